// Package limit says who may send now, and how much: tenants by their limits, strangers by their address.
//
// What it promises:
//   - A limit is a token bucket that holds one period: what was saved up may come at once. A batch is let in
//     whole or not at all. Limits by the day are counted in UTC days and hold nothing over.
//   - A tenant's limits hold for all processes on one store together, whichever of them its requests reach and
//     whichever keys they carry: together they let in at most a twentieth more than one process alone.
//   - Deciding takes no look at the store. Processes tell each other through its counters, four times a second,
//     what they have let in. A process lets in a share of that twentieth unasked; a batch that is larger waits
//     for the next exchange, which begins at once, so a few milliseconds, where there are other processes.
//   - While the store does not answer, each process goes by what it knows: limits then hold for each alone.
//   - The limits of an address hold for all processes together too, but are never waited for: see sharing.
//   - Memory is bounded: addresses have a table of fixed size, tenants an account each while they send.
//
// What it leaves to its caller: to give back what was let in and then not stored.
package limit

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/internal/tenant"
)

const (
	every     = 250 * time.Millisecond // from one exchange about a tenant with limits to the next
	lazily    = 5 * time.Second        // the same where nothing depends on it: no limits, or no other process
	gap       = 5 * time.Millisecond   // between two exchanges, however urgent
	patience  = 500 * time.Millisecond // how long a batch waits for an exchange before it is decided without
	epoch     = 10 * time.Second       // how often a process says that it lives
	atOnce    = 500                    // accounts in one exchange
	idleAfter = 10 * time.Minute       // an account without requests is forgotten
	slack     = 0.05                   // of a limit: what all processes together may let in before they tell each other
)

// counters is what processes share.
type counters interface {
	AddCounters(ctx context.Context, counters []store.Counter) ([]int64, error)
	Counters(ctx context.Context, keys []string) ([]int64, error)
}

// Config is how tenants are limited.
type Config struct {
	PerMin int64 // entries a minute of a tenant without a limit of its own; 0: unlimited
	Alone  bool  // no other process uses the store: there is nothing to wait for
}

// Cost is what a batch takes of a tenant's limits.
type Cost struct {
	Entries int64
	Bytes   int64 // as sent, inflated
}

// Tenants are the accounts of the tenants that send. Make it with New, and let Run run.
type Tenants struct {
	cfg       Config
	from      counters
	tel       telemetry.Telemetry
	urgent    chan struct{}
	processes atomic.Int64 // that live, this one included
	blind     atomic.Bool  // the last exchange failed

	known    sync.RWMutex
	accounts map[string]*account // by internal tenant id

	mu    sync.Mutex
	dirty []*account // that have something to tell
	beat  int64      // the epoch in which this process last said that it lives
}

// New starts nothing: until Run runs, each account goes by what it knows.
func New(cfg Config, from counters, tel telemetry.Telemetry) *Tenants {
	t := &Tenants{cfg: cfg, from: from, tel: tel, urgent: make(chan struct{}, 1), accounts: map[string]*account{}}
	t.processes.Store(1)
	if !cfg.Alone {
		t.processes.Store(2) // until the store has said how many
	}
	t.blind.Store(true)
	return t
}

// Ask is Admit without taking anything: whether a batch could be let in now, for what can be refused before a
// body is read.
func (t *Tenants) Ask(id string, own *tenant.Limits, cost Cost) (Standing, error) {
	a := t.account(id)
	now := time.Now().UnixNano()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.turn(now, t.effective(own))
	err := a.check(now, pair{cost.Entries, cost.Bytes})
	a.note(err, now)
	return a.standing(now), err
}

// Admit takes the cost of a batch from the tenant's limits, or refuses all of it. Kinds: Limited, codes
// rate_limited and quota_exceeded, with RetryAfter; TooLarge, code batch_over_limit, where it can never pass.
// It may wait for other processes, half a second at the most.
func (t *Tenants) Admit(ctx context.Context, id string, own *tenant.Limits, cost Cost) (Standing, error) {
	a := t.account(id)
	c := pair{cost.Entries, cost.Bytes}
	now := time.Now().UnixNano()
	a.mu.Lock()
	a.turn(now, t.effective(own))
	err := a.check(now, c)
	if err == nil && t.mustAsk(a) && !a.within(c, t.share()) {
		x := &claim{cost: c, done: make(chan struct{})}
		a.claims = append(a.claims, x)
		t.tell(a)
		a.mu.Unlock()
		t.wait(ctx, a, x)
		a.mu.Lock()
		err = x.err
	} else if err == nil {
		a.take(c)
		t.tell(a)
	}
	a.note(err, now)
	s := a.standing(now)
	a.mu.Unlock()
	return s, err
}

// Pressing says whether this process refused something of the tenant for its limits within the last second.
func (t *Tenants) Pressing(id string) bool {
	a := t.account(id)
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.refused > 0 && time.Now().UnixNano()-a.refused < int64(time.Second)
}

// wait is over when an exchange has settled x, or takes too long: then it goes by what this process knows.
func (t *Tenants) wait(ctx context.Context, a *account, x *claim) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-x.done:
		return
	case <-timer.C:
		t.blind.Store(true) // so slow is the same as silent: nobody waits until it has answered again
	case <-ctx.Done():
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.settle(x, time.Now().UnixNano(), ctx.Err())
}

// GiveBack returns what was let in and then not stored.
func (t *Tenants) GiveBack(id string, cost Cost) {
	a := t.account(id)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.take(pair{-cost.Entries, -cost.Bytes})
	t.tell(a)
}

// mustAsk says whether others may have let in what this process does not know of.
func (t *Tenants) mustAsk(a *account) bool {
	return !t.blind.Load() && a.limited() && (a.exchanged == 0 || t.processes.Load() > 1)
}

// share is the part of a limit that this process may let in before the others know.
func (t *Tenants) share() float64 { return slack / float64(t.processes.Load()) }

// tell sees to it that the next exchange is about a too, and soon where it is urgent. The account is locked.
func (t *Tenants) tell(a *account) {
	if !a.listed {
		a.listed = true
		t.mu.Lock()
		t.dirty = append(t.dirty, a)
		t.mu.Unlock()
	}
	if !t.urgently(a) {
		return
	}
	select {
	case t.urgent <- struct{}{}:
	default:
	}
}

// urgently says whether an exchange about a should not wait its time.
func (t *Tenants) urgently(a *account) bool {
	return t.mustAsk(a) && (a.exchanged == 0 || len(a.claims) > 0 || !a.within(pair{}, t.share()/2))
}

func (t *Tenants) account(id string) *account {
	t.known.RLock()
	a := t.accounts[id]
	t.known.RUnlock()
	if a != nil {
		return a
	}
	t.known.Lock()
	defer t.known.Unlock()
	if a = t.accounts[id]; a == nil {
		a = &account{id: id}
		t.accounts[id] = a
	}
	return a
}

// Loosens says whether a tenant with the limits is may send more than one with the limits was. Nil tells the same of
// tenants that have no limit but their own.
func (t *Tenants) Loosens(was, is *tenant.Limits) bool {
	before, after := *was, *is
	if t != nil {
		before, after = t.effective(was), t.effective(is)
	}
	for _, n := range [][2]int64{{before.EntriesPerMin, after.EntriesPerMin}, {before.BytesPerMin, after.BytesPerMin},
		{before.EntriesPerDay, after.EntriesPerDay}, {before.BytesPerDay, after.BytesPerDay}} {
		if n[0] > 0 && (n[1] == 0 || n[1] > n[0]) {
			return true
		}
	}
	return false
}

// effective are the limits of a tenant, with what holds for those that have none of their own.
func (t *Tenants) effective(own *tenant.Limits) tenant.Limits {
	l := *own
	if l.EntriesPerMin == 0 {
		l.EntriesPerMin = t.cfg.PerMin
	}
	return l
}
