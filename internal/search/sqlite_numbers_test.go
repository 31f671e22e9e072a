package search

import (
	"math"
	"strings"
	"testing"

	"github.com/ocelot-log/ocelot/internal/query"
)

// FuzzNumberPieces: a number is in one of the pieces of an interval exactly if it lies in the interval.
func FuzzNumberPieces(f *testing.F) {
	for _, v := range []float64{0, 1, 100, -1, 12.34, math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64, math.Copysign(0, -1), 1e15} {
		f.Add(v, 100.0, v, true, false)
		f.Add(math.Inf(-1), v, 12.34, false, true)
		f.Add(v, math.Inf(1), math.Nextafter(v, math.Inf(1)), true, true)
		f.Add(-v, v, math.Nextafter(v, 0), false, false)
	}
	f.Fuzz(func(t *testing.T, from, to, v float64, above, below bool) {
		if math.IsNaN(from) || math.IsNaN(to) || math.IsNaN(v) {
			return
		}
		n := query.Interval{From: from, To: to, Above: above, Below: below}
		own := string(appendNumber(nil, query.SortBits(v)))
		if back, ok := numberOf([]byte(own), digitBits); !ok || back != v {
			t.Errorf("%v comes back as %v", v, back)
		}
		found := 0
		pieces := numberPieces(n)
		for _, p := range pieces {
			if p.whole && own == p.digits || !p.whole && strings.HasPrefix(own, p.digits) {
				found++
			}
		}
		if (found > 0) != n.Has(v) || found > 1 {
			t.Errorf("%v in %+v: in %d pieces, want %v: %v", v, n, found, n.Has(v), pieces)
		}
		if len(pieces) > 4+2*3*digits {
			t.Errorf("%+v has %d pieces", n, len(pieces))
		}
	})
}

func TestRoundIntervalsHaveFewPieces(t *testing.T) {
	for name, c := range map[string]struct {
		n    query.Interval
		most int
	}{
		"above 100":           {query.Interval{From: 100, To: math.Inf(1), Above: true}, 20},
		"from 100 on":         {query.Interval{From: 100, To: math.Inf(1)}, 20},
		"below 0":             {query.Interval{From: math.Inf(-1), To: 0, Below: true}, 3},
		"a million to two":    {query.Interval{From: 1e6, To: 2e6}, 30},
		"above a price":       {query.Interval{From: 12.34, To: math.Inf(1), Above: true}, 60},
		"between two prices":  {query.Interval{From: 12.34, To: 99.99}, 110},
		"all that are finite": {query.Interval{From: math.Inf(-1), To: math.Inf(1), Above: true, Below: true}, 80},
	} {
		if got := len(numberPieces(c.n)); got > c.most {
			t.Errorf("%s: %d pieces, want at most %d", name, got, c.most)
		}
	}
}
