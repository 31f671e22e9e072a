package limit

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// addressProcess is one API process's table of addresses, until the test ends.
func addressProcess(t *testing.T, perMin int64, from counters) *Addresses {
	tenants, _ := process(t, Config{}, from)
	a := NewAddresses(perMin, 64)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := a.Run(ctx, "a", tenants); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return a
}

func TestProcessesCountAnAddressTogether(t *testing.T) {
	loud, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	for name, c := range map[string]struct {
		processes int
		every     time.Duration // from one request to the next
		turns     func(i int) int
		fails     bool
		low, high int64 // let in within three minutes
	}{
		"a flood on one of two":      {2, 200 * time.Millisecond, func(int) int { return 0 }, false, 235, 245},
		"a flood on both":            {2, 200 * time.Millisecond, func(i int) int { return i }, false, 226, 264},
		"a flood on four":            {4, 200 * time.Millisecond, func(i int) int { return i }, false, 200, 264},
		"a flood, mostly on one":     {2, 200 * time.Millisecond, func(i int) int { return min(1, i%10) }, false, 226, 264},
		"a flood that changes sides": {2, 200 * time.Millisecond, func(i int) int { return i / 200 }, false, 226, 264},
		"within the limit on both":   {2, 1100 * time.Millisecond, func(i int) int { return i }, false, 164, 164},
		"within the limit on one":    {2, 1100 * time.Millisecond, func(int) int { return 1 }, false, 164, 164},
		"twice the limit on both":    {2, 500 * time.Millisecond, func(i int) int { return i }, false, 216, 264},
		"a flood without the store":  {2, 200 * time.Millisecond, func(i int) int { return i }, true, 470, 490},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShelf()
				var tables []*Addresses
				for range c.processes {
					tables = append(tables, addressProcess(t, 60, s))
				}
				time.Sleep(2 * epoch) // they know of each other
				s.set(time.Millisecond, c.fails)
				let := int64(0)
				began := time.Now()
				for i := 0; time.Since(began) < 3*time.Minute; i++ {
					table := tables[c.turns(i)%c.processes]
					if wait, ok := table.Spend(loud); ok {
						let++
					} else if wait <= 0 || wait > time.Duration(mostDebt) {
						t.Fatalf("to wait for %s", wait)
					}
					time.Sleep(c.every)
				}
				if let < c.low || let > c.high {
					t.Errorf("%d were let in, want %d to %d", let, c.low, c.high)
				}
				if _, over := tables[0].Over(other); over {
					t.Error("another address pays for it")
				}
				time.Sleep(time.Duration(mostDebt) + time.Minute)
				for _, table := range tables {
					if wait, over := table.Over(loud); over {
						t.Errorf("still over the limit, for %s", wait)
					}
				}
			})
		})
	}
}
