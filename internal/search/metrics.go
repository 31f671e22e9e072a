package search

import (
	"fmt"
	"strings"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
)

// Bounds of the metrics of a StatsRequest.
const (
	MaxMetrics = 5
	MaxNumbers = 50_000 // different numbers of one metric, in all groups together
	maxPattern = 64     // of a path, as OpenSearch picks its numbers out: its indices take no longer one
)

// Metric says how large the numbers are that the metadata have at a path. An entry counts once for each different
// number that it has there. It is exact, the percentiles too: both backends count each number, and what is made of
// that is the same code.
type Metric struct {
	Path string
	Summary
	Groups []Group // by the field that was named: the most frequent values first, as of a facet; nil without one
}

// Group is a metric of the entries that have a value.
type Group struct {
	Value string
	Summary
}

// Summary is of some numbers; all are 0 where there are none.
type Summary struct {
	Count         int64
	Sum, Min, Max float64
	Avg           float64
	P50, P95, P99 float64 // the least number that so many percent of all are not above
}

// numberCount is how often there is a number.
type numberCount struct {
	number float64
	count  int64
}

// summarize makes a summary of numbers in ascending order.
func summarize(numbers []numberCount) (s Summary) {
	for _, n := range numbers {
		s.Count += n.count
		s.Sum += n.number * float64(n.count)
	}
	if s.Count == 0 {
		return Summary{}
	}
	s.Min, s.Max, s.Avg = numbers[0].number, numbers[len(numbers)-1].number, s.Sum/float64(s.Count)
	at := func(percent int64) float64 {
		below, rank := int64(0), (s.Count*percent+99)/100
		for _, n := range numbers {
			if below += n.count; below >= rank {
				return n.number
			}
		}
		return s.Max
	}
	s.P50, s.P95, s.P99 = at(50), at(95), at(99)
	return s
}

func errNumbers(path string) error {
	return fault.New(fault.Malformed, "too_many_numbers", fmt.Sprintf("metadata.%s has more than %d different numbers in what was found: narrow the time or the filters", path, MaxNumbers))
}

// CheckMetric says whether a path of the metadata can be a metric: its numbers must be found by their terms in
// both backends.
func CheckMetric(path string) error {
	if path == "" || len(path) > query.MaxPath || len(numberPattern(path)) > maxPattern {
		return fault.New(fault.Malformed, "metric_invalid", "a metric is metadata. and a path of at most 60 letters, digits and underscores; dots and signs take two")
	}
	return nil
}

// numberPattern is the regular expression of Lucene for the terms of a path's numbers.
func numberPattern(path string) string {
	var b strings.Builder
	for _, c := range []byte(pairTerm(path, query.PairNumber, "")) {
		if c < 0x80 && c != '_' && folded[c] == 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String() + ".*"
}

// numberOf is the number of digits that sort as numbers do, each of so many bits, without the zeros at their end:
// query.SortBits undone.
func numberOf(digits []byte, width int) (float64, bool) {
	if len(digits) > 64/width {
		return 0, false
	}
	var bits uint64
	for i, d := range digits {
		v := uint64(strings.IndexByte("0123456789abcdef", d))
		if v >= 1<<width { // -1 too
			return 0, false
		}
		bits |= v << (64 - width*(i+1))
	}
	return query.FromSortBits(bits), true
}
