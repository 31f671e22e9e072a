package limit

import (
	"sync"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/tenant"
)

// pair is a number of entries and a number of bytes.
type pair [2]int64

func (p *pair) add(q pair) { p[0] += q[0]; p[1] += q[1] }
func (p *pair) sub(q pair) { p[0] -= q[0]; p[1] -= q[1] }

// account is what a process knows of what a tenant has sent. Everything is under mu.
//
// What this process lets in is unsent until an exchange has added it to the counters of the store. A batch that
// waits for others' word is added before it is let in; where it is refused then, it is taken off again. What
// others add comes back as totals.
type account struct {
	mu     sync.Mutex
	id     string
	limits tenant.Limits
	levels [2]bucket // of the limits by the minute

	day    int64 // that today speaks of, since 1970
	today  pair  // total in the store, when it was last seen
	unsent pair
	flying pair     // on its way to the store
	refund refund   // of claims that were refused
	claims []*claim // that wait for the next exchange, first come, first served

	exchanged int64 // when the total was seen, in nanoseconds; 0: never
	used      int64 // when the tenant last asked
	refused   int64 // when it last had to be told to wait; 0: never
	listed    bool  // among those that have something to tell
}

// refund is to be taken off again, of the window that it was added to.
type refund struct {
	pair
	window int64
}

// claim is a batch that waits until others know of it.
type claim struct {
	cost    pair
	done    chan struct{} // closed when it is settled
	settled bool
	err     error
}

// bucket is a token bucket that holds one minute.
type bucket struct {
	size  int64 // 0: no limit
	level float64
	at    int64
}

// fill adds what has come since it was last looked at.
func (b *bucket) fill(now int64) {
	switch {
	case now > b.at:
		b.level = min(float64(b.size), b.level+b.perNano()*float64(now-b.at))
	case now > b.at-int64(time.Second): // whoever looked at the clock first came second
		return
	}
	b.at = now // or the clock was set back
}

func (b *bucket) perNano() float64 { return float64(b.size) / float64(time.Minute) }

// until is how long it takes until n tokens are there.
func (b *bucket) until(n float64) time.Duration {
	if n <= b.level {
		return 0
	}
	return time.Duration((n - b.level) / b.perNano())
}

// resize changes the limit: a higher one gives at once what it holds more.
func (b *bucket) resize(size int64) {
	b.level = min(float64(size), b.level+max(0, float64(size-b.size)))
	b.size = size
}

// lower takes what others let in, or asked for; what they gave back comes back. What they let in before they knew
// of a lower limit takes no longer than a few minutes to get over.
func (b *bucket) lower(by float64) {
	if b.size > 0 {
		b.level = max(-4*float64(b.size), min(float64(b.size), b.level-by))
	}
}

// turn brings the account to the present.
func (a *account) turn(now int64, l tenant.Limits) {
	a.used = now
	if a.limits != l {
		a.levels[0].fill(now)
		a.levels[1].fill(now)
		a.levels[0].resize(l.EntriesPerMin)
		a.levels[1].resize(l.BytesPerMin)
		a.limits = l
	}
	for i := range a.levels {
		if a.levels[i].size > 0 {
			a.levels[i].fill(now)
		}
	}
	if d := now / int64(day); d > a.day || now < a.day*int64(day)-int64(time.Second) { // as in fill
		a.day, a.today = d, pair{}
	}
}

// note keeps in mind that the tenant presses against its limits.
func (a *account) note(err error, now int64) {
	if fault.KindOf(err) == fault.Limited {
		a.refused = now
	}
}

// perDay are the limits by the day; 0: none.
func (a *account) perDay() pair { return pair{a.limits.EntriesPerDay, a.limits.BytesPerDay} }

func (a *account) limited() bool { return a.limits != tenant.Limits{} }

// sent is how much all processes have let in today, as far as it is known here.
func (a *account) sent() pair {
	p := a.today
	p.add(a.unsent)
	p.add(a.flying)
	p.sub(a.refund.pair)
	return p
}

// within says whether c may be let in before other processes know of it: what they do not know of stays within
// this process's share of each limit.
func (a *account) within(c pair, share float64) bool {
	perDay := a.perDay()
	for i := range c {
		untold := float64(a.unsent[i] + a.flying[i] + c[i])
		if size := a.levels[i].size; size > 0 && untold > share*float64(size) {
			return false
		}
		if perDay[i] > 0 && untold > share*float64(perDay[i]) {
			return false
		}
	}
	return true
}

// take lets c in.
func (a *account) take(c pair) {
	a.spend(c)
	a.unsent.add(c)
}

func (a *account) spend(c pair) {
	for i := range c {
		if a.levels[i].size > 0 {
			a.levels[i].level -= float64(c[i])
		}
	}
}

// settle decides x by what is known here, unless it was decided before. gone is why its caller no longer waits.
func (a *account) settle(x *claim, now int64, gone error) {
	if x.settled {
		return
	}
	x.settled = true
	a.turn(now, a.limits)
	if gone != nil {
		x.err = &fault.Error{Kind: fault.Unavailable, Code: "unknown_outcome", RetryAfter: time.Second, Err: gone,
			Detail: "the request ended before it was let in; nothing was stored"}
	} else if x.err = a.check(now, x.cost); x.err == nil {
		a.take(x.cost)
	}
	close(x.done)
}
