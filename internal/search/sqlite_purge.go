package search

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/sqlite"
)

// A tenant is removed by writing each segment that has terms of it anew without them, as a merge of one segment
// does, and by overwriting what docs keep of its entries. Steps are small and each is a transaction: Adds and
// searches go on between them. What a restart interrupts begins again with the segment that it was at.
const (
	purgePages = 256    // pages of a new segment that a step writes
	purgeRows  = 20_000 // rows of terms that a step leaves out, more or less
)

// purging is the segment that is being written without a tenant, or without what is old of it.
type purging struct {
	*merge
	tenantID string
	before   int64   // what was received from then on stays; maxTime: nothing does
	rows     []int64 // of entries that are left out, whose docs are still there
	merged   bool    // all terms are written
}

// PurgeTenant takes one step; see Purger.
func (x *SQLite) PurgeTenant(ctx context.Context, tenantID string, max int) (n int64, more bool, err error) {
	return x.purgeIn(ctx, func(c *sqlite.Conn, num int64) (int64, bool, error) { return x.purgeStep(c, tenantID, num, max) }, tenantID)
}

// purgeIn takes a step in a transaction while nobody else writes, where the tenant has ever had an entry.
func (x *SQLite) purgeIn(ctx context.Context, step func(c *sqlite.Conn, num int64) (n int64, more bool, err error), tenantID string) (n int64, more bool, err error) {
	leave, err := x.enter()
	if err != nil {
		return 0, false, err
	}
	defer leave()
	select { // nobody else writes meanwhile
	case <-x.line.lead:
		defer func() { x.line.lead <- struct{}{} }()
	case <-ctx.Done():
		return 0, false, fault.As(fault.Unavailable, "storage_busy", ctx.Err())
	}
	err = x.db.Write(ctx, func(c *sqlite.Conn) (err error) {
		n, more = 0, false
		if !x.loaded {
			if err := x.load(c); err != nil {
				return err
			}
		}
		num, known := x.tenants[tenantID]
		if !known {
			return nil
		}
		x.loaded = false // until it is durable, memory is ahead of the file
		if n, more, err = secretly(c, num, step); err != nil {
			return err
		}
		if _, err := c.Exec("UPDATE fts_data SET block = ? WHERE id = 10", x.structure.append(nil)); err != nil || !x.memory {
			return err
		}
		_, err = c.Exec("PRAGMA writable_schema = RESET") // as after an Add
		return err
	})
	if err != nil {
		return 0, false, sqlite.Fault(damaged(err), "purge a tenant")
	}
	x.loaded = true
	return n, more, nil
}

// secretly has what a step removes overwritten.
func secretly(c *sqlite.Conn, num int64, step func(c *sqlite.Conn, num int64) (int64, bool, error)) (n int64, more bool, err error) {
	if _, err := c.Exec("PRAGMA secure_delete = 1"); err != nil {
		return 0, false, err
	}
	defer func() { _, _ = c.Exec("PRAGMA secure_delete = 0") }()
	return step(c, num)
}

// abandon leaves the purge of something else that was left in the middle.
func (x *SQLite) abandon(tenantID string, before int64) {
	if p := x.purge; p != nil && (p.tenantID != tenantID || p.before != before) {
		x.garbage, x.purge = append(x.garbage, p.out.id), nil
	}
}

func (x *SQLite) purgeStep(c *sqlite.Conn, tenantID string, num int64, max int) (n int64, more bool, err error) {
	x.abandon(tenantID, maxTime)
	if x.purge == nil {
		prefix := appendTenant([]byte{mainIndex}, num)
		at, err := x.segmentWith(c, prefix)
		if err != nil {
			return 0, false, err
		}
		if at < 0 { // only pages are left that belong to nothing
			err := x.removeGarbage(c, purgePages)
			x.secret = len(x.garbage) > 0
			return 0, x.secret, err
		}
		x.purge, x.secret = x.startPurge(at, tenantID, maxTime, prefix), true
	}
	p := x.purge
	out := &pageWriter{c: c}
	p.out.out = out // finishing writes too, maybe steps after the last term
	if !p.merged {
		p.skipped = 0
		if p.merged, err = p.step(c, out, purgePages); err != nil {
			return 0, false, err
		}
		p.rows, p.dropped = append(p.rows, p.dropped...), nil
	}
	if n, err = p.overwrite(c, max); err != nil {
		return 0, false, err
	}
	if p.merged && len(p.rows) == 0 {
		if err := x.finishMerge(p.merge); err != nil {
			return 0, false, err
		}
		x.purge = nil
	}
	if err := out.flush(); err != nil {
		return 0, false, err
	}
	return n, true, x.removeGarbage(c, purgePages)
}

// segmentWith is where the first segment stands that has terms with the prefix; -1 for none.
func (x *SQLite) segmentWith(c *sqlite.Conn, prefix []byte) (int, error) {
	for i, g := range x.structure.segments {
		has, err := hasPrefix(c, g, prefix)
		if err != nil || has {
			return i, err
		}
	}
	return -1, nil
}

// startPurge begins with a segment. A merge that it is in begins again without it.
func (x *SQLite) startPurge(at int, tenantID string, before int64, prefix []byte) *purging {
	g := x.structure.segments[at]
	x.merges = slices.DeleteFunc(x.merges, func(m *merge) bool {
		in := slices.ContainsFunc(m.sources, func(s segment) bool { return s.id == g.id })
		if in {
			x.garbage = append(x.garbage, m.out.id)
		}
		return in
	})
	return &purging{tenantID: tenantID, before: before, merge: &merge{sources: []segment{g}, inputs: []*segmentReader{{segment: g}},
		out: newSegmentWriter(nil, x.newSegmentID()), drop: prefix}}
}

// hasPrefix says whether a segment has a tenant's terms.
func hasPrefix(c *sqlite.Conn, g segment, prefix []byte) (bool, error) {
	r, err := seekTenant(c, g, prefix, 0x80) // below every mark
	return r != nil, err
}

// seekTenant goes to the first of a tenant's terms in a segment from a mark on, by the page where it would be; nil for
// none.
func seekTenant(c *sqlite.Conn, g segment, prefix []byte, mark byte) (*segmentReader, error) {
	first := append(bytes.Clone(prefix), mark)
	page := int64(1)
	err := one(c, "SELECT pgno >> 1 FROM fts_idx WHERE segid = ? AND term <= ? ORDER BY term DESC LIMIT 1", []any{g.id, first}, &page)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	r := &segmentReader{segment: g, read: int(page) - 1, fetch: fetchFrom(c)}
	for {
		for r.at >= len(r.content) { // rows of a term that began on an earlier page are passed over
			if ok, err := r.load(); err != nil || !ok {
				return nil, err
			}
			r.at = r.nextFrom
		}
		if ok, err := r.nextTerm(); err != nil || !ok {
			return nil, err
		}
		if bytes.Compare(r.term, first) >= 0 {
			if !isOf(r.term, prefix) {
				return nil, nil
			}
			return r, nil
		}
		r.at = r.nextFrom
	}
}

// isOf says whether a term is of the tenant with the prefix: what comes behind it is a mark.
func isOf(term, prefix []byte) bool {
	return bytes.HasPrefix(term, prefix) && len(term) > len(prefix) && term[len(prefix)] >= 0x80
}

func fetchFrom(c *sqlite.Conn) func(from, to int64) ([][]byte, error) {
	return func(from, to int64) ([][]byte, error) {
		rows, err := c.Query("SELECT block FROM fts_data WHERE id BETWEEN ? AND ? ORDER BY id", from, to)
		if err != nil {
			return nil, err
		}
		return blobs(rows)
	}
}

// leaveOut passes over the present term of the only source, and notes the rows of the term that all entries have.
func (m *merge) leaveOut(r *segmentReader) error {
	all := len(r.term) == len(m.drop)+1 && r.term[len(m.drop)] == markAll
	return m.eachRow(r, func() error {
		if all {
			m.dropped = append(m.dropped, r.row)
		}
		return nil
	})
}

// eachRow calls fn at each row of the present term of the only source, and goes to the next term.
func (m *merge) eachRow(r *segmentReader, fn func() error) error {
	for more := true; more; {
		m.skipped++
		err := fn()
		if err == nil {
			more, err = r.nextRow()
		}
		if err != nil {
			return err
		}
	}
	more, err := r.nextTerm()
	if err == nil && !more {
		m.live = m.live[:0] // nil would mean that it has not begun
	}
	return err
}

// overwrite puts nothing in the place of up to max docs, and counts those that were something.
func (p *purging) overwrite(c *sqlite.Conn, max int) (n int64, err error) {
	for done := 0; len(p.rows) > 0 && done < max; {
		var first int64
		var block []byte
		if err := one(c, "SELECT first, entries FROM docs WHERE first <= ? ORDER BY first DESC LIMIT 1", []any{p.rows[0]}, &first, &block); err != nil {
			return 0, err
		}
		before, was := len(p.rows), n
		for len(p.rows) > 0 && (p.rows[0]-first+1)*docSize <= int64(len(block)) {
			slot := block[(p.rows[0]-first)*docSize:][:docSize]
			if !bytes.Equal(slot, noDoc[:]) {
				n++
				clear(slot)
			}
			p.rows = p.rows[1:]
		}
		if len(p.rows) == before {
			return 0, errDamaged // terms of an entry that has no doc
		}
		done += before - len(p.rows)
		if n > was {
			if _, err := c.Exec("UPDATE docs SET entries = ? WHERE first = ?", block, first); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

var noDoc [docSize]byte
