package tail

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ocelot-log/ocelot/internal/fault"
)

func TestNobodyListensWhileMuchComes(t *testing.T) {
	p := newPace(Config{}.withDefaults())
	now := p.counting
	for i, c := range []struct {
		rate, looks int // entries in a second, and in how many looks
		busy        bool
	}{
		{0, 1, false}, {400, 10, false}, {499, 1, false}, {600, 10, true}, {0, 1, true}, {10, 2, true}, {0, 10, true}, {0, 1, true}, {0, 1, false},
		{5000, 10, true}, {0, 1, true}, {0, 1, true}, {0, 1, true}, {300, 5, true}, {0, 1, true}, {0, 1, true}, {0, 1, true}, {0, 1, true}, {0, 1, false},
	} {
		for range c.looks {
			now = now.Add(time.Second / time.Duration(c.looks))
			p.count(c.rate/c.looks, now)
		}
		if p.busy != c.busy {
			t.Fatalf("after second %d, with %d entries, busy is %v", i, c.rate, p.busy)
		}
	}
}

// watched is a record whose Watch is the function.
type watched struct {
	source
	watch func(ring func()) error
}

func (w *watched) Watch(_ context.Context, ring func()) error { return w.watch(ring) }

func TestWhyTheRecordDoesNotTellIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, lines := observer.New(zap.InfoLevel)
		tries := 0
		w := &watched{watch: func(func()) error {
			tries++
			return fault.New(fault.Unavailable, "watch_not_allowed", "a right is missing")
		}}
		h := New(Config{}, w, zap.New(core))
		listen := func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			h.listen(ctx)
		}
		listen()
		listen()
		if all := lines.TakeAll(); len(all) != 1 || tries < 100 {
			t.Errorf("said %d times in %d tries", len(all), tries)
		}
		again, refused := false, w.watch
		w.watch = func(ring func()) error {
			if !again {
				again = true
				ring() // it was allowed for a while
			}
			return refused(ring)
		}
		listen()
		if all := lines.TakeAll(); len(all) != 1 {
			t.Errorf("said %d times after it had told", len(all))
		}
	})
}
