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
	rows  []int64
	moved []moved // of each of rows, in an index with a spill; otherwise nil
}

func (s *rowSet) sort() {
	slices.Sort(s.rows)
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
	set *rowSet
	at  int // in rows: all before are below the last row that was looked for
}

func (s *rowSet) finder() *rowFinder { return &rowFinder{set: s} }

// again says that lower rows may come.
func (f *rowFinder) again() { f.at = 0 }

// row says whether a row is in the set.
func (f *rowFinder) row(row int64) bool {
	for _, r := range f.set.whole {
		if r.from <= row && row <= r.to {
			return true
		}
	}
	rows := f.set.rows
	if f.at > 0 && rows[f.at-1] >= row { // another segment
		f.at = 0
	}
	step := 1
	for f.at+step < len(rows) && rows[f.at+step] < row {
		f.at += step
		step *= 2
	}
	i, is := slices.BinarySearch(rows[f.at:min(f.at+step+1, len(rows))], row)
	f.at += i
	return is
}
