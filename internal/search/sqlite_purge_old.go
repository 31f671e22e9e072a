package search

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/ocelot-log/ocelot/internal/sqlite"
)

// The old entries of a tenant are hunted segment by segment, by what docs keep of the entries that the term of all of
// them has. A segment with some is written anew without their rows. Unlike those of a tenant that is gone, its searches
// go on: they find an entry until the new segment takes the place of the old one, and in the same transaction docs
// forget it, since a row with terms and without a doc would be a wrong place in a page.

// oldAtOnce is how many rows a segment is rewritten for at a time: docs of so many are overwritten in one transaction,
// about 6 MB, for which Adds wait.
const oldAtOnce = 200_000

// hunt is how far the looking for old entries has come.
type hunt struct {
	tenantID string
	before   int64
	clean    map[int]bool // ids of segments that have none
	reader   *segmentReader
	docs     docBlock
	old      []int64
}

// PurgeOld takes one step; see Index.
func (x *SQLite) PurgeOld(ctx context.Context, tenantID string, before time.Time, _ int) (n int64, more bool, err error) {
	limit := nanoseconds(before)
	return x.purgeIn(ctx, func(c *sqlite.Conn, num int64) (int64, bool, error) { return x.purgeOldStep(c, tenantID, num, limit) }, tenantID)
}

func (x *SQLite) purgeOldStep(c *sqlite.Conn, tenantID string, num, before int64) (n int64, more bool, err error) {
	x.abandon(tenantID, before)
	if h := x.hunt; h == nil || h.tenantID != tenantID || h.before != before {
		x.hunt = &hunt{tenantID: tenantID, before: before, clean: map[int]bool{}}
	}
	if x.purge == nil {
		at, err := x.hunt.step(c, x.structure.segments, appendTenant([]byte{mainIndex}, num), x.atOnce)
		switch {
		case err != nil:
			return 0, false, err
		case at == unfinished:
			return 0, true, nil
		case at == clean: // only pages are left that belong to nothing
			err := x.removeGarbage(c, purgePages)
			x.secret = len(x.garbage) > 0
			if !x.secret {
				x.hunt = nil
			}
			return 0, x.secret, err
		}
		x.purge, x.secret = x.startPurge(at, tenantID, before, appendTenant([]byte{mainIndex}, num)), true
		x.purge.old, x.purge.rows, x.hunt.old = x.hunt.old, x.hunt.old, nil
	}
	p := x.purge
	out := &pageWriter{c: c}
	p.skipped = 0
	if p.merged, err = p.step(c, out, purgePages); err != nil {
		return 0, false, err
	}
	if p.merged {
		if n, err = p.overwrite(c, len(p.rows)); err != nil {
			return 0, false, err
		}
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

// What step returns besides the number of a segment.
const (
	clean      = -1 // no segment has old entries
	unfinished = -2 // it must look further
)

// step looks at some rows, and returns where the first segment stands that has old entries once all of them, or as
// many as are taken at once, are in h.old.
func (h *hunt) step(c *sqlite.Conn, segments []segment, prefix []byte, most int) (int, error) {
	for rows := 0; rows < purgeRows; {
		if h.reader != nil && !slices.ContainsFunc(segments, func(g segment) bool { return g.id == h.reader.id }) {
			h.forget(h.reader.id) // it was merged meanwhile
		}
		if h.reader == nil {
			at := slices.IndexFunc(segments, func(g segment) bool { return !h.clean[g.id] })
			if at < 0 {
				return clean, nil
			}
			r, err := seekTenant(c, segments[at], prefix, markAll)
			if err != nil {
				return 0, err
			}
			rows++
			if r == nil {
				h.clean[segments[at].id] = true
				continue
			}
			if len(r.term) != len(prefix)+1 || r.term[len(prefix)] != markAll {
				return 0, errDamaged // every entry has it
			}
			h.reader, h.docs = r, docBlock{}
		}
		r := h.reader
		r.fetch = fetchFrom(c)
		for more := true; more && len(h.old) < most; rows++ {
			if rows >= purgeRows {
				return unfinished, nil
			}
			d, err := h.docs.doc(c, r.row)
			if err != nil {
				return 0, err
			}
			if d.received < h.before { // or it is none any more
				h.old = append(h.old, r.row)
			}
			if more, err = r.nextRow(); err != nil {
				return 0, err
			}
		}
		h.reader = nil
		if len(h.old) > 0 {
			return slices.IndexFunc(segments, func(g segment) bool { return g.id == r.id }), nil
		}
		h.clean[r.id] = true
	}
	return unfinished, nil
}

// forget says that an id is another segment's from now on, or nobody's.
func (h *hunt) forget(id int) {
	if h == nil {
		return
	}
	delete(h.clean, id)
	if h.reader != nil && h.reader.id == id {
		h.reader, h.old = nil, nil
	}
}

// docBlock is a row of docs that was read last: the next one asked for is mostly in it too.
type docBlock struct {
	first   int64
	entries []byte
}

func (b *docBlock) doc(c *sqlite.Conn, row int64) (doc, error) {
	at := (row - b.first) * docSize
	if b.entries == nil || at < 0 || at >= int64(len(b.entries)) {
		err := one(c, "SELECT first, entries FROM docs WHERE first <= ? ORDER BY first DESC LIMIT 1", []any{row}, &b.first, &b.entries)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return doc{}, err
		}
		at = (row - b.first) * docSize
		if err != nil || at >= int64(len(b.entries)) {
			return doc{}, errDamaged // terms of an entry that has no doc
		}
	}
	d, _ := readDoc(b.entries[at:])
	return d, nil
}

// leaveOld writes the present term of the only source without the rows of old entries.
func (m *merge) leaveOld(r *segmentReader) error {
	begun, old := false, m.old
	return m.eachRow(r, func() error {
		at, is := slices.BinarySearch(old, r.row)
		if old = old[at:]; is {
			return nil
		}
		if !begun {
			begun = true
			if err := m.out.begin(r.term); err != nil {
				return err
			}
		}
		return m.out.row(r.row, r.positions)
	})
}
