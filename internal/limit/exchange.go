package limit

import (
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/internal/wait"
)

const (
	exchangeTimeout = 2 * time.Second
	staleAfter      = 2 * time.Second  // older totals say too little of what others let in since
	window          = 10 * time.Second // of the counters that say how full a bucket is
	windows         = 12               // that are looked at, before the present one: two minutes
	keepDays        = 33               // usage shows 31
)

// Run exchanges what was let in until ctx ends; then it tells the store what is left to tell, and returns nil.
func (t *Tenants) Run(ctx context.Context) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	_ = t.exchange(ctx, false) // failures are logged, and the next one comes soon
	for swept := time.Now(); ; {
		select {
		case <-ctx.Done():
			_ = t.exchange(context.WithoutCancel(ctx), true)
			return nil
		case <-tick.C:
		case <-t.urgent:
		}
		if t.exchange(ctx, false) != nil {
			_ = wait.For(ctx, time.Second)
		}
		if time.Since(swept) > time.Minute {
			swept = time.Now()
			t.sweep()
		}
		_ = wait.For(ctx, gap+rand.N(2*gap)) // processes that claim in step would refuse each other for ever
	}
}

// told is what an exchange says about one account, and where its totals begin in the answer.
type told struct {
	*account
	day, window int64
	sent        pair
	refund      refund
	claims      []*claim
	first       bool // nobody here has watched the buckets: the windows say how full they are
	at          int
}

// added is what the account has let in, and what it would like to.
func (x *told) added() pair {
	p := x.sent
	for _, c := range x.claims {
		p.add(c.cost)
	}
	return p
}

// exchange adds what is due, all of it at the end, and learns what others have added.
func (t *Tenants) exchange(ctx context.Context, all bool) error {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	now := time.Now()
	list, add := t.gather(now.UnixNano(), all)
	beat := now.UnixNano() / int64(epoch)
	if !t.cfg.Alone {
		alive := store.Counter{Key: "p" + strconv.FormatInt(beat, 10), ExpiresAt: now.Add(time.Minute)}
		if beat != t.beat {
			alive.Add = 1
		}
		add = append(add, alive, store.Counter{Key: "p" + strconv.FormatInt(beat-1, 10)})
		if len(list) == 0 && alive.Add == 0 && !t.blind.Load() {
			return nil
		}
	}
	var (
		totals []int64
		err    error
	)
	if len(add) > 0 {
		totals, err = t.from.AddCounters(ctx, add)
	}
	if err != nil {
		t.failed(list, err)
		return err
	}
	if !t.cfg.Alone {
		t.beat = beat
		t.processes.Store(max(1, totals[len(totals)-2], totals[len(totals)-1]))
	}
	if t.blind.Swap(false) {
		t.tel.Log.Debug("limits are shared", zap.Int64("processes", t.processes.Load()))
	}
	for i := range list {
		t.learn(&list[i], totals[list[i].at:], time.Now().UnixNano())
	}
	return nil
}

// gather takes from the accounts what they have to tell. Those whose time has not come stay for the next.
func (t *Tenants) gather(now int64, all bool) (list []told, add []store.Counter) {
	t.mu.Lock()
	dirty := t.dirty
	t.dirty = nil
	t.mu.Unlock()
	var later []*account
	for _, a := range dirty {
		a.mu.Lock()
		if !all && (len(list) >= atOnce || !t.due(a, now)) {
			a.mu.Unlock()
			later = append(later, a)
			continue
		}
		a.listed = false
		a.turn(now, a.limits)
		x := told{account: a, day: a.day, window: now / int64(window), sent: a.unsent, at: len(add), claims: a.nextClaims(t.processes.Load()),
			first: a.limited() && (a.exchanged == 0 || now-a.exchanged > int64(staleAfter) && t.processes.Load() > 1)}
		x.refund, a.refund = a.refund, refund{window: x.window}
		a.flying, a.unsent = a.unsent, pair{}
		a.flying.sub(x.refund.pair)
		a.mu.Unlock()
		list = append(list, x)
		add = x.counters(add)
	}
	t.mu.Lock()
	t.dirty = append(t.dirty, later...)
	t.mu.Unlock()
	return list, add
}

// due says whether it is time to tell the store about a.
func (t *Tenants) due(a *account, now int64) bool {
	wait := every
	if !a.limited() || t.processes.Load() == 1 {
		wait = lazily
	}
	return a.exchanged == 0 && a.limited() || now-a.exchanged >= int64(wait) || t.urgently(a)
}

// nextClaims takes those that the next exchange settles: the first, and as many more as this process's part of
// what is left holds. If all processes claimed all that is left at once, all would be refused.
func (a *account) nextClaims(processes int64) []*claim {
	a.claims = slices.DeleteFunc(a.claims, func(c *claim) bool { return c.settled }) // their callers have gone
	n, sum, perDay, sent := 0, pair{}, a.perDay(), a.sent()
	for ; n < len(a.claims); n++ {
		sum.add(a.claims[n].cost)
		fits := true
		for i := range sum {
			fits = fits && (a.levels[i].size == 0 || sum[i]*processes <= int64(a.levels[i].level)) &&
				(perDay[i] == 0 || sum[i]*processes <= perDay[i]-sent[i])
		}
		if n > 0 && !fits {
			break
		}
	}
	taken := a.claims[:n:n]
	a.claims = a.claims[n:]
	return taken
}

// counters are the day and the window, entries and bytes of each, and the windows before where they are needed.
func (x *told) counters(to []store.Counter) []store.Counter {
	untilDay, untilWindow := time.Unix(0, (x.day+keepDays)*int64(day)), time.Unix(0, (x.window+2*windows)*int64(window))
	added := x.added()
	for i := range added {
		to = append(to, store.Counter{Key: key('d', x.day, i, x.id), Add: added[i] - x.refund.pair[i], ExpiresAt: untilDay})
		here := added[i]
		if x.refund.window == x.window {
			here -= x.refund.pair[i]
		} else {
			to = append(to, store.Counter{Key: key('w', x.refund.window, i, x.id), Add: -x.refund.pair[i], ExpiresAt: untilWindow})
		}
		to = append(to, store.Counter{Key: key('w', x.window, i, x.id), Add: here, ExpiresAt: untilWindow})
		for before := int64(1); x.first && before <= windows; before++ {
			to = append(to, store.Counter{Key: key('w', x.window-before, i, x.id)})
		}
	}
	return to
}

// key names the counter of a period of a tenant.
func key(period byte, number int64, unit int, tenantID string) string {
	b := make([]byte, 0, 40)
	b = append(b, period)
	b = strconv.AppendInt(b, number, 10)
	b = append(b, '.', units[unit][0], '.')
	return string(append(b, tenantID...))
}

// learn takes the totals that came back for an account, and settles the claims that they were asked for.
func (t *Tenants) learn(x *told, totals []int64, now int64) {
	a := x.account
	a.mu.Lock()
	defer a.mu.Unlock()
	a.turn(now, a.limits)
	added := x.added()
	for i := range added {
		today := totals[0]
		others := float64(today - a.today[i] - added[i] + x.refund.pair[i])
		if x.day == a.day {
			a.today[i] = today
		}
		totals = totals[1:]
		if x.refund.window != x.window {
			totals = totals[1:]
		}
		b := &a.levels[i]
		switch {
		case !x.first:
			b.lower(others)
		case b.size > 0:
			totals[0] -= added[i] - x.sent[i] // the claims are not settled yet
			known := x.replay(b.size, now, totals) - float64(a.unsent[i])
			if a.exchanged != 0 && x.day == a.day { // others may have come in any order, but no more than these
				known = max(known, b.level-others)
			}
			b.level = min(b.level, known)
		}
		totals = totals[1:]
		if x.first {
			totals = totals[windows:]
		}
	}
	a.flying, a.exchanged = pair{}, now
	for _, c := range x.claims { // in the total already, as what others let in is
		a.unsent.sub(c.cost)
	}
	for _, c := range x.claims {
		a.settle(c, now, nil)
		if c.err != nil {
			a.unsent.add(c.cost)
			a.refund.add(c.cost)
		}
	}
	for _, c := range a.claims { // those that this has decided need not ask
		if a.check(now, c.cost) != nil {
			a.settle(c, now, nil)
		}
	}
	a.claims = slices.DeleteFunc(a.claims, func(c *claim) bool { return c.settled })
	if len(a.claims) > 0 || a.unsent != (pair{}) || a.refund.pair != (pair{}) {
		t.tell(a)
	}
}

// replay is how full a bucket is that was empty two minutes ago: by the totals of the windows, the present one
// first, each as if all of it had come at its end.
func (x *told) replay(size, now int64, totals []int64) float64 {
	b := bucket{size: size, at: (x.window - windows) * int64(window)}
	for before := int64(windows); before >= 0; before-- {
		b.fill(min(now, (x.window-before+1)*int64(window)))
		b.lower(float64(totals[before]))
	}
	b.fill(now)
	return b.level
}

// failed puts back what was to be told. What is not known to be in the store may be counted twice: by less than
// what came in between two exchanges.
func (t *Tenants) failed(list []told, err error) {
	if !t.blind.Swap(true) {
		t.tel.Log.Warn("limits hold for this process alone: the store can't be asked", zap.Error(err), zap.String("code", fault.Of(err).Code))
	}
	now := time.Now().UnixNano()
	for _, x := range list {
		a := x.account
		a.mu.Lock()
		a.unsent.add(x.sent)
		a.refund.add(x.refund.pair)
		a.flying = pair{}
		for _, c := range append(x.claims, a.claims...) {
			a.settle(c, now, nil)
		}
		a.claims = nil
		t.tell(a)
		a.mu.Unlock()
	}
}

// sweep forgets the accounts of tenants that have not sent for long and have nothing to tell.
func (t *Tenants) sweep() {
	oldest := time.Now().Add(-idleAfter).UnixNano()
	t.known.Lock()
	defer t.known.Unlock()
	for id, a := range t.accounts {
		a.mu.Lock()
		if a.used < oldest && !a.listed {
			delete(t.accounts, id)
		}
		a.mu.Unlock()
	}
}
