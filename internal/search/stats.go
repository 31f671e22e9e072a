package search

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// Bounds of a StatsRequest.
const (
	MaxFacets  = 10
	MaxTop     = 100
	MaxBuckets = 1000
)

// StatsRequest is what is wanted of the entries that match a query. Only what is named is counted, besides
// the total.
type StatsRequest struct {
	Facets   []query.Field // of FacetFields, each once
	Top      int           // how many values of each facet, and groups of each metric, from 1 on
	Interval Interval
	Metrics  []string    // paths of numbers in the metadata that CheckMetric takes
	GroupBy  query.Field // of the metrics, one of FacetFields; FieldNone: no groups
}

// Interval is how wide the buckets of a histogram are: whole steps of UTC, counted from 1970. The zero value
// asks for no histogram.
type Interval struct {
	Every   time.Duration // whole seconds; 0: Auto, or no histogram
	Auto    bool          // the finest that is round and gives no more than Buckets
	Least   time.Duration // of Auto; 0: a second
	Buckets int           // from the first entry to the last at the most, empty ones included; 0: MaxBuckets, and about a hundred with Auto
}

// Stats are counts of the entries that match.
type Stats struct {
	Total     int64
	Facets    []Facet    // in the order that was asked
	Histogram *Histogram // nil unless one was asked for
	Metrics   []Metric   // in the order that was asked
}

// Facet are the most frequent values of a field: the higher count first, then the lower value.
type Facet struct {
	Field  query.Field
	Values []Count
	Exact  bool // false: so many different values that a count may be low, or one that belongs here missing
}

// Count is how many entries have a value.
type Count struct {
	Value string
	Count int64
}

// Histogram counts entries by time; buckets without entries are left out.
type Histogram struct {
	Interval time.Duration
	Buckets  []Bucket // in the order of time
}

// Bucket is one step of a histogram.
type Bucket struct {
	Start      time.Time
	Count      int64
	BySeverity [logentry.Critical + 1]int64 // by the severity's number
}

// FacetFields are the fields whose values are counted: those that both backends keep in a form that can be. The
// others have about as many values as there are entries.
var FacetFields = []query.Field{query.Severity, query.Service, query.Action, query.UserID, query.ResourceType, query.IPAddress, query.SchemaVersion}

// steps are the intervals that Auto chooses from.
var steps = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, day, 2 * day, 7 * day, 30 * day, 90 * day, 365 * day,
}

const (
	day        = 24 * time.Hour
	autoAmount = 120 // buckets, about: a bar of a chart is some pixels wide
)

// wanted says whether there is to be a histogram.
func (i Interval) wanted() bool { return i.Auto || i.Every > 0 }

// choose is the width of the buckets for entries from first to last, both in nanoseconds from 1970 on.
func (i Interval) choose(first, last int64) (time.Duration, error) {
	most := int64(i.Buckets)
	if !i.Auto {
		if most == 0 {
			most = MaxBuckets
		}
		if n := last/int64(i.Every) - first/int64(i.Every) + 1; n > most {
			return 0, fault.New(fault.Malformed, "too_many_buckets", fmt.Sprintf(
				"the entries found span %d intervals and a histogram has at most %d: choose a longer interval, or auto, or a shorter time", n, most))
		}
		return i.Every, nil
	}
	if most == 0 {
		most = autoAmount
	}
	for _, s := range steps {
		if s >= i.Least && last/int64(s)-first/int64(s)+1 <= most {
			return s, nil
		}
	}
	return steps[len(steps)-1], nil // 292 buckets for all times there are
}

// noStats is the answer where nothing matches.
func noStats(r StatsRequest) (s Stats) {
	for _, f := range r.Facets {
		s.Facets = append(s.Facets, Facet{Field: f, Exact: true})
	}
	for _, path := range r.Metrics {
		s.Metrics = append(s.Metrics, Metric{Path: path})
	}
	if r.Interval.wanted() {
		s.Histogram = &Histogram{Interval: r.Interval.Every}
		if r.Interval.Auto {
			s.Histogram.Interval = max(r.Interval.Least, time.Second)
		}
	}
	return s
}

// compareValues is the order of two values of a field that are equally frequent.
func compareValues(f query.Field, a, b string) int {
	switch f {
	case query.IPAddress:
		x, errX := netip.ParseAddr(a)
		y, errY := netip.ParseAddr(b)
		if errX == nil && errY == nil {
			p, q := x.As16(), y.As16()
			return slices.Compare(p[:], q[:])
		}
	case query.SchemaVersion:
		x, errX := strconv.Atoi(a)
		y, errY := strconv.Atoi(b)
		if errX == nil && errY == nil {
			return cmp.Compare(x, y)
		}
	case query.Severity:
		x, _ := logentry.ParseSeverity(a)
		y, _ := logentry.ParseSeverity(b)
		return cmp.Compare(x, y)
	}
	return strings.Compare(a, b)
}

// sortCounts brings counts into the order of a facet and keeps the first.
func sortCounts(f query.Field, counts []Count, top int) []Count {
	slices.SortFunc(counts, func(a, b Count) int {
		if a.Count != b.Count {
			return cmp.Compare(b.Count, a.Count)
		}
		return compareValues(f, a.Value, b.Value)
	})
	return counts[:min(len(counts), top)]
}
