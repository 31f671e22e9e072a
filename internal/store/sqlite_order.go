package store

import (
	"bytes"
	"cmp"
	"container/heap"
	"math"
	"slices"
	"time"

	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// everything is all times that a record may have, and some more.
var everything = span{math.MinInt64, math.MaxInt64}

// narrow keeps what r allows too.
func (s *span) narrow(r query.Range) {
	if !r.From.IsZero() {
		s.min = max(s.min, nanos(r.From))
	}
	if r.To.IsZero() {
		return
	}
	if to := nanos(r.To); to == math.MinInt64 {
		*s = span{0, -1}
	} else {
		s.max = min(s.max, to-1)
	}
}

// nanos is t in Unix nanoseconds, or the nearest that there is.
func nanos(t time.Time) int64 {
	switch {
	case t.Before(firstTime):
		return math.MinInt64
	case t.After(lastTime):
		return math.MaxInt64
	}
	return t.UnixNano()
}

// hit is the place of an entry in a sorted result.
type hit struct {
	at int64 // timestamp or received_at, in Unix nanoseconds
	id logentry.ID
}

func place(p *query.Position) hit { return hit{nanos(p.At), p.ID} }

// order is the order of a result and where it begins.
type order struct {
	sort    query.Sort
	after   hit
	bounded bool // there is an after
}

func (o *order) byTimestamp() bool { return o.sort == query.NewestFirst || o.sort == query.OldestFirst }

func (o *order) descending() bool {
	return o.sort == query.NewestFirst || o.sort == query.ReceivedNewestFirst
}

// compare is negative where a comes before b.
func (o *order) compare(a, b hit) int {
	c := cmp.Compare(a.at, b.at)
	if c == 0 {
		c = bytes.Compare(a.id[:], b.id[:])
	}
	if o.descending() {
		return -c
	}
	return c
}

// of is the place of e in the order.
func (o *order) of(e *logentry.Entry) hit {
	if o.byTimestamp() {
		return hit{e.Timestamp.UnixNano(), e.ID}
	}
	return hit{e.ReceivedAt.UnixNano(), e.ID}
}

// first collects the first of many hits: a heap with the last of them on top.
type first struct {
	order *order
	max   int
	hits  []hit
}

// offer takes h if it comes after the start and is among the first.
func (f *first) offer(h hit) {
	switch {
	case f.order.bounded && f.order.compare(h, f.order.after) <= 0:
	case len(f.hits) < f.max:
		heap.Push(f, h)
	case f.order.compare(h, f.hits[0]) < 0:
		f.hits[0] = h
		heap.Fix(f, 0)
	}
}

// settled says whether no hit at this time or further on can be among the first.
func (f *first) settled(at int64) bool {
	if len(f.hits) < f.max {
		return false
	}
	if f.order.descending() {
		return at < f.hits[0].at
	}
	return at > f.hits[0].at
}

// sorted returns the hits in order; the heap is used up.
func (f *first) sorted() []hit {
	slices.SortFunc(f.hits, f.order.compare)
	return f.hits
}

func (f *first) Len() int           { return len(f.hits) }
func (f *first) Less(i, j int) bool { return f.order.compare(f.hits[i], f.hits[j]) > 0 }
func (f *first) Swap(i, j int)      { f.hits[i], f.hits[j] = f.hits[j], f.hits[i] }
func (f *first) Push(x any)         { f.hits = append(f.hits, x.(hit)) }
func (f *first) Pop() any {
	last := f.hits[len(f.hits)-1]
	f.hits = f.hits[:len(f.hits)-1]
	return last
}
