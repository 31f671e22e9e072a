package tail

import (
	"testing"
	"time"
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
