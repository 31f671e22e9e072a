package limit

import (
	"context"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/ocelot-log/ocelot/internal/store"
)

// sharing is what of an address is told to other processes, and known of them. A process tells four times a second
// which addresses have used more than a twentieth of the limit since it last told, and learns what they used of it
// elsewhere in this minute: that is taken here too, into a debt where nothing is left. So together processes let in
// more than one alone only until they hear of each other, and that is made good by what comes next.
type sharing struct {
	unsent int64 // tokens that were taken and not told yet
	listed bool  // among those that are to be told of
	minute int64 // since 1970, in which it was last told
	known  int64 // tokens of that minute, of all processes, that are taken here
}

const (
	minute   = int64(time.Minute)
	mostDebt = 3 * minute // of an address, as the time until it may come again
)

// note sees to it that the next exchange is about s if it should be. The slot is locked.
func (a *Addresses) note(s *slot, n int64) {
	if s.unsent += n; s.listed || s.unsent <= a.untold {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.dirty) < atOnce { // otherwise its next token lists it
		s.listed = true
		a.dirty = append(a.dirty, s.address)
	}
}

// Run lets the processes on the store of the tenants count together, until ctx ends. name tells the counters of one
// kind from another's. While the store does not answer each process counts for itself.
func (a *Addresses) Run(ctx context.Context, name string, with *Tenants) error {
	if a == nil {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		list := a.gather(time.Now().UnixNano() / minute)
		if len(list) > 0 && with.processes.Load() > 1 {
			a.exchange(ctx, name, list, with.from)
		}
	}
}

// share is what one exchange says of an address.
type share struct {
	address [16]byte
	minute  int64
	spent   int64
	first   bool  // of this minute: what others used in the one before may not be known here
	before  int64 // tokens of the minute before that are
}

func (a *Addresses) gather(now int64) (list []share) {
	a.mu.Lock()
	dirty := a.dirty
	a.dirty = nil
	a.mu.Unlock()
	for _, address := range dirty {
		a.with(address, func(s *slot) {
			if !s.listed { // it made room for others meanwhile, and came again
				return
			}
			x := share{address: address, minute: now, spent: s.unsent, first: s.minute != now}
			if s.minute == now-1 {
				x.before = s.known
			}
			if x.first {
				s.known = 0
			}
			s.unsent, s.listed, s.minute = 0, false, now
			list = append(list, x)
		})
	}
	return list
}

// with calls fn with the slot of an address, locked, if it still has one.
func (a *Addresses) with(address [16]byte, fn func(*slot)) {
	set, lock := a.find(address)
	lock.Lock()
	defer lock.Unlock()
	for i := range set {
		if set[i].address == address {
			fn(&set[i])
			return
		}
	}
}

// exchange adds what was used here and takes what was used elsewhere.
func (a *Addresses) exchange(ctx context.Context, name string, list []share, with counters) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	var add []store.Counter
	for _, x := range list {
		until := time.Unix(0, (x.minute+3)*minute)
		add = append(add, store.Counter{Key: x.key(name, x.minute), Add: x.spent, ExpiresAt: until})
		if x.first {
			add = append(add, store.Counter{Key: x.key(name, x.minute-1)})
		}
	}
	totals, err := with.AddCounters(ctx, add)
	if err != nil {
		return // the tenants' exchange, which goes to the same store, says so
	}
	now := time.Now().UnixNano()
	for _, x := range list {
		a.with(x.address, func(s *slot) {
			others := totals[0] - s.known - x.spent
			s.known = totals[0]
			if x.first { // as if it had come evenly: what is more than a minute ago is there again
				left := float64((x.minute+1)*minute-now) / float64(minute)
				others += int64(float64(totals[1]-x.before) * min(1, max(0, left)))
			}
			if others > 0 {
				s.full = min(max(s.full, now)+others*a.interval, now+mostDebt)
			}
		})
		totals = totals[1:]
		if x.first {
			totals = totals[1:]
		}
	}
}

func (x *share) key(name string, minute int64) string {
	return name + strconv.FormatInt(minute, 10) + "." + hex.EncodeToString(x.address[:])
}
