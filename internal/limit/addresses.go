package limit

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

const (
	ways  = 8  // addresses that share a set; the one that is furthest from its limit makes room
	locks = 64 // for all sets
)

// Addresses limits how often something may happen for each client address: an IPv4 address, or an IPv6 /64, which
// is what one customer has. Its memory is a table of fixed size. Where more addresses come at once than it has
// room for, those are forgotten that have used least. Processes count together while Run runs. Nil limits nothing.
type Addresses struct {
	interval int64 // nanoseconds that one token takes
	perMin   int64
	seed     maphash.Seed // so that nobody can choose addresses that share a set
	sets     [][ways]slot
	locks    [locks]struct {
		sync.Mutex
		_ [56]byte // a cache line each
	}

	untold int64 // tokens of one address that other processes need not know of

	mu    sync.Mutex
	dirty [][16]byte // addresses of which they should
}

// slot is a token bucket as the time at which it will be full again.
type slot struct {
	address [16]byte
	full    int64
	sharing
}

// NewAddresses limits to perMin a minute, which may come at once; nil for 0: unlimited. The table has room for so
// many addresses.
func NewAddresses(perMin int64, room int) *Addresses {
	if perMin <= 0 {
		return nil
	}
	return &Addresses{interval: int64(time.Minute) / perMin, perMin: perMin, untold: perMin / 20, seed: maphash.MakeSeed(), sets: make([][ways]slot, max(1, room/ways))}
}

// Over says whether the address has nothing left, and for how long.
func (a *Addresses) Over(address netip.Addr) (time.Duration, bool) {
	wait, ok := a.take(address, 0)
	return wait, !ok
}

// Spend takes one token, or says how long it takes until there is one.
func (a *Addresses) Spend(address netip.Addr) (wait time.Duration, ok bool) {
	return a.take(address, 1)
}

func (a *Addresses) take(address netip.Addr, n int64) (time.Duration, bool) {
	if a == nil {
		return 0, true
	}
	key := network(address)
	set, lock := a.find(key)
	now := time.Now().UnixNano()
	lock.Lock()
	defer lock.Unlock()
	emptiest := 0
	for i := range set {
		if set[i].address == key {
			return a.spend(&set[i], now, n)
		}
		if set[i].full < set[emptiest].full {
			emptiest = i
		}
	}
	if n > 0 {
		set[emptiest] = slot{address: key}
		return a.spend(&set[emptiest], now, n)
	}
	return 0, true
}

// find is where an address has its slot, if it has one, and what to lock meanwhile.
func (a *Addresses) find(key [16]byte) (*[ways]slot, *sync.Mutex) {
	i := maphash.Bytes(a.seed, key[:]) % uint64(len(a.sets))
	return &a.sets[i], &a.locks[i%locks].Mutex
}

// spend takes n tokens if there is at least one.
func (a *Addresses) spend(s *slot, now, n int64) (time.Duration, bool) {
	const holds = int64(time.Minute)
	full := max(s.full, now)
	if wait := full + a.interval - now - holds; wait > 0 {
		return time.Duration(wait), false
	}
	if n > 0 {
		s.full = full + n*a.interval
		a.note(s, n)
	}
	return 0, true
}

// PerMin is the limit; 0: none.
func (a *Addresses) PerMin() int64 {
	if a == nil {
		return 0
	}
	return a.perMin
}

// network is what counts as one address.
func network(address netip.Addr) [16]byte {
	b := address.Unmap().As16()
	if address.Is6() && !address.Is4In6() {
		clear(b[8:])
	}
	return b
}
