package search

import (
	"bytes"
	"context"
	"database/sql"
	"errors"

	"github.com/ocelot-log/ocelot/internal/query"
)

// Counting by value goes through the terms themselves: all values of a field of a tenant are terms that
// follow each other, each with the rows that have it. FTS5 answers which rows match; that their values can be
// counted needs nothing more to be written, and costs about ten nanoseconds a row.

// termReader reads terms of all segments as they are in one moment.
type termReader struct {
	ctx      context.Context
	segments []segment
	blocks   *sql.Stmt
	before   *sql.Stmt // where a term is, or would be
	behind   *sql.Stmt // where the next page with a term is
}

func newTermReader(ctx context.Context, conn *sql.Conn) (r *termReader, err error) {
	var record []byte
	if err := conn.QueryRowContext(ctx, "SELECT block FROM fts_data WHERE id = 10").Scan(&record); err != nil {
		return nil, err
	}
	s, err := parseStructure(record)
	if err != nil {
		return nil, err
	}
	r = &termReader{ctx: ctx, segments: s.segments}
	for text, to := range map[string]**sql.Stmt{
		"SELECT block FROM fts_data WHERE id BETWEEN ? AND ? ORDER BY id":                      &r.blocks,
		"SELECT pgno FROM fts_idx WHERE segid = ? AND term <= ? ORDER BY term DESC LIMIT 1":    &r.before,
		"SELECT pgno >> 1 FROM fts_idx WHERE segid = ? AND term > ? ORDER BY term ASC LIMIT 1": &r.behind,
	} {
		if *to, err = conn.PrepareContext(ctx, text); err != nil {
			return nil, errors.Join(err, r.close())
		}
	}
	return r, nil
}

func (r *termReader) close() error {
	var errs []error
	for _, s := range []*sql.Stmt{r.blocks, r.before, r.behind} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// read fetches blocks by their ids.
func (r *termReader) read(from, to int64) ([][]byte, error) {
	rows, err := r.blocks.QueryContext(r.ctx, from, to)
	if err != nil {
		return nil, err
	}
	return blobs(rows)
}

// fieldPrefix is what the terms of a field begin with.
func fieldPrefix(tenant []byte, f query.Field) []byte {
	return append(append([]byte{mainIndex}, tenant...), markField+byte(f))
}

// each calls value for every value of the terms that begin with prefix, in their order, and then row for each
// of its rows from low to high; those of one segment come in order. value's bytes change afterwards.
func (r *termReader) each(prefix []byte, low, high int64, value func(rest []byte), row func(row int64)) error {
	var live []*segmentReader
	for _, g := range r.segments {
		s := &segmentReader{fetch: r.read, segment: g}
		ok, err := r.seek(s, prefix)
		if err != nil {
			return err
		}
		if ok {
			live = append(live, s)
		}
	}
	var term []byte
	var from []*segmentReader
	for len(live) > 0 {
		from = append(from[:0], live[0])
		for _, s := range live[1:] {
			switch d := bytes.Compare(s.term, from[0].term); {
			case d < 0:
				from = append(from[:0], s)
			case d == 0:
				from = append(from, s)
			}
		}
		term = append(term[:0], from[0].term...)
		value(term[len(prefix):])
		for _, s := range from {
			if err := r.rows(s, low, high, row); err != nil {
				return err
			}
			ok, err := s.nextTerm()
			if err != nil {
				return err
			}
			if !ok || !bytes.HasPrefix(s.term, prefix) {
				live = without(live, s)
			}
		}
	}
	return nil
}

func without(all []*segmentReader, s *segmentReader) []*segmentReader {
	for i := range all {
		if all[i] == s {
			return append(all[:i], all[i+1:]...)
		}
	}
	return all
}

// seek goes to the first term with a prefix.
func (r *termReader) seek(s *segmentReader, prefix []byte) (bool, error) {
	page := int64(1)
	var place sql.NullInt64
	switch err := r.before.QueryRowContext(r.ctx, s.id, prefix).Scan(&place); {
	case err == nil && place.Valid:
		page = place.Int64 >> 1
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return false, err
	}
	if ok, err := s.jump(int(page)); !ok || err != nil {
		return false, err
	}
	for {
		ok, err := s.nextTerm()
		if !ok || err != nil {
			return false, err
		}
		if d := bytes.Compare(s.term, prefix); d >= 0 {
			return bytes.HasPrefix(s.term, prefix), nil
		}
		if err := r.leave(s); err != nil {
			return false, err
		}
	}
}

// rows calls yield for the rows of the present term from low to high, and leaves the term.
func (r *termReader) rows(s *segmentReader, low, high int64, yield func(row int64)) error {
	skipped := false
	for {
		if s.row > high {
			return r.leave(s)
		}
		if s.row >= low {
			yield(s.row)
		}
		if !skipped && s.row < low && s.at >= s.nextFrom && s.nextFrom == len(s.content) {
			skipped = true
			if err := r.skip(s, low); err != nil {
				return err
			}
		}
		more, err := s.nextRow()
		if err != nil {
			return err
		}
		if !more {
			return nil
		}
	}
}

// leave goes past the rows of the present term that were not read.
func (r *termReader) leave(s *segmentReader) error {
	s.at = s.nextFrom
	if s.nextFrom < len(s.content) {
		return nil
	}
	var page int64
	switch err := r.behind.QueryRowContext(r.ctx, s.id, s.term).Scan(&page); {
	case errors.Is(err, sql.ErrNoRows): // it was the last term
		s.wait, s.read = nil, s.pages
		return nil
	case err != nil:
		return err
	}
	_, err := s.jump(int(page))
	return err
}

// skip goes on in a long list of rows at the last page that begins at or before low. The page that s is on is
// at its end.
func (r *termReader) skip(s *segmentReader, low int64) error {
	var place int64
	if err := r.before.QueryRowContext(r.ctx, s.id, s.term).Scan(&place); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	}
	if place&1 == 0 {
		return nil // too short for an index of its own
	}
	id := pageID(s.id, int(place>>1)) + doclistBit
	index, err := r.read(id, id)
	if err != nil {
		return err
	}
	if len(index) != 1 || len(index[0]) < 1 {
		return errDamaged
	}
	b := index[0][1:]
	number, n := varint(b)
	first, m := varint(b[n:])
	if n == 0 || m == 0 {
		return errDamaged
	}
	here := s.read - len(s.wait)
	page, row := int(number), int64(first)
	target := 0
	for b = b[n+m:]; row <= low; page++ {
		target = page
		delta, n := varint(b)
		if n == 0 {
			break
		}
		b = b[n:]
		row += int64(delta)
	}
	if target > here+1 {
		s.goTo(target)
	}
	return nil
}

// jump goes to the first term of a page.
func (r *segmentReader) jump(page int) (bool, error) {
	r.goTo(page)
	ok, err := r.load()
	if ok && err == nil {
		r.at = r.nextFrom
	}
	return ok, err
}

// goTo makes a page the next one that is loaded. Pages that were read already are not read again.
func (r *segmentReader) goTo(page int) {
	if first := r.read - len(r.wait) + 1; first <= page && page <= r.read {
		r.wait = r.wait[page-first:]
		return
	}
	r.wait, r.read = nil, page-1
}
