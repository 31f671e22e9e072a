package search

import (
	"cmp"
	"math"
	"slices"
)

// rowRange is rows from … to, both included.
type rowRange struct{ from, to int64 }

// moved is a row and the time of its entry, where the bucket does not say it.
type moved struct{ row, at int64 }

// rowSet is which rows match: all that the tenant has in some ranges, and single ones.
type rowSet struct {
	whole []rowRange
	but   []int64 // what of the ranges is left out
	rows  []int64
	moved []moved // of each of rows, in an index with a spill; otherwise nil
}

func (s *rowSet) sort() {
	slices.Sort(s.rows)
	slices.Sort(s.but)
	slices.SortFunc(s.moved, func(a, b moved) int { return cmp.Compare(a.row, b.row) })
}

// ends are the first and the last row that may be in the set.
func (s *rowSet) ends() (low, high int64) {
	low, high = math.MaxInt64, -1
	if n := len(s.rows); n > 0 {
		low, high = s.rows[0], s.rows[n-1]
	}
	for _, r := range s.whole {
		low, high = min(low, r.from), max(high, r.to)
	}
	return low, high
}

// timeOf is the time of a row of the set, as far as its bucket.
func (s *rowSet) timeOf(row int64) int64 {
	if s.moved == nil {
		return bucketTime(row)
	}
	i, _ := slices.BinarySearchFunc(s.moved, row, func(m moved, row int64) int { return cmp.Compare(m.row, row) })
	return s.moved[i].at
}

// rowFinder looks for rows that mostly come in order.
type rowFinder struct {
	set       *rowSet
	rows, but place
}

func (s *rowSet) finder() *rowFinder { return &rowFinder{set: s} }

// again says that lower rows may come.
func (f *rowFinder) again() { f.rows, f.but = 0, 0 }

// row says whether a row is in the set.
func (f *rowFinder) row(row int64) bool {
	for _, r := range f.set.whole {
		if r.from <= row && row <= r.to {
			_, is := f.but.find(f.set.but, row)
			return !is
		}
	}
	_, is := f.rows.find(f.set.rows, row)
	return is
}

// place is where in an ordered list the last row was looked for: all before are below it.
type place int

// find looks for a row from there on, in steps that get longer.
func (p *place) find(rows []int64, row int64) (at int, is bool) {
	at = int(*p)
	if at > 0 && rows[at-1] >= row { // another segment
		at = 0
	}
	step := 1
	for at+step < len(rows) && rows[at+step] < row {
		at += step
		step *= 2
	}
	i, is := slices.BinarySearch(rows[at:min(at+step+1, len(rows))], row)
	*p = place(at + i)
	return at + i, is
}
