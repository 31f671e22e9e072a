package search

import (
	"database/sql"
	"errors"
	"time"
)

const (
	selectRows = "SELECT rowid, (SELECT substr(entries, (fts.rowid - first)*32 + 1, 32) FROM docs WHERE first <= fts.rowid ORDER BY first DESC LIMIT 1) " +
		"FROM fts WHERE fts MATCH ? AND rowid BETWEEN ? AND ? ORDER BY rowid "
	selectCount = "SELECT count(*) FROM (SELECT 1 FROM fts WHERE fts MATCH ? AND rowid BETWEEN ? AND ? LIMIT ?)"
)

// rows calls yield for what a part finds, in the order of the rows, until it returns false.
func (f *finder) rows(p part, newest bool, yield func(row int64, d doc) bool) error {
	low, high := f.buckets(p.at)
	return f.between(p, low, high, newest, yield)
}

// buckets are the first and the last bucket that may have entries of a time.
func (f *finder) buckets(s span) (low, high int64) {
	low, high = bucketOf(s.from), maxTime>>slotBits-1
	if s.to != maxTime {
		high = bucketOf(s.to-1) + f.spill
	}
	return low, high
}

// inside are the first and the last bucket whose entries are all of a time.
func (f *finder) inside(s span) (low, high int64) {
	low, high = f.buckets(s)
	if s.from > 0 {
		low += f.spill
		if s.from%bucketWidth != 0 {
			low++
		}
	}
	if s.to != maxTime {
		high = bucketOf(s.to) - 1
	}
	return low, high
}

// between is rows in some buckets only.
func (f *finder) between(p part, low, high int64, newest bool, yield func(row int64, d doc) bool) (err error) {
	if low > high || p.at.to <= 0 {
		return nil
	}
	order := "ASC"
	if newest {
		order = "DESC"
	}
	asked, first := time.Now(), true
	rows, err := f.conn.QueryContext(f.ctx, selectRows+order, p.match, bucketStart(low), bucketStart(high+1)-1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var row int64
	var block sql.RawBytes
	for rows.Next() {
		if f.rowsRead++; f.most > 0 && f.rowsRead > f.most {
			return errMany
		}
		if first {
			f.setup, first = f.setup+time.Since(asked), false
		}
		if err := rows.Scan(&row, &block); err != nil {
			return err
		}
		d, ok := readDoc(block)
		if !ok {
			return errDamaged // terms of an entry that has no doc
		}
		if p.has(d) && !yield(row, d) {
			return nil
		}
	}
	return rows.Err()
}

// count counts what a part finds, up to limit. Only in the buckets at the ends of a range can the time of
// an entry be outside; what lies between is counted inside FTS5.
func (f *finder) count(p part, limit int64) (n int64, err error) {
	if p.at.from >= p.at.to || p.at.to <= 0 {
		return 0, nil
	}
	low, high := f.buckets(p.at)
	inLow, inHigh := f.inside(p.at)
	each := func(low, high int64) error {
		if low > high || n >= limit {
			return nil
		}
		return f.between(p, low, high, true, func(int64, doc) bool { n++; return n < limit })
	}
	if !p.whenever() || inLow > inHigh {
		return n, each(low, high)
	}
	if err := each(low, inLow-1); err != nil {
		return 0, err
	}
	if err := each(inHigh+1, high); err != nil || n >= limit {
		return n, err
	}
	var inner int64
	err = f.conn.QueryRowContext(f.ctx, selectCount, p.match, bucketStart(inLow), bucketStart(inHigh+1)-1, limit-n).Scan(&inner)
	return n + inner, err
}
