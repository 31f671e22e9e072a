package search

import (
	"bytes"
	"math/bits"
	"slices"

	"github.com/ocelot-log/ocelot/internal/sqlite"
)

// A search looks into every segment, so their number must stay small while each Add writes one. Segments of
// about the same size are merged, fanIn at a time; what the sizes are alike in is the tier. An entry is
// rewritten once for each tier that it climbs. A merge runs in steps: each Add pays for some pages in
// proportion to what it wrote, so that no Add waits for a large merge. Pages of a merge that is not
// finished belong to no segment of the structure; after a restart they are removed and it begins again.
const (
	fanIn         = 8
	firstTier     = 16     // pages: all below are in tier 0
	maxMerged     = 25_000 // pages of a segment that comes from a merge: about 400 MB
	stepMinimum   = 16     // pages that an Add pays to each merge at least
	stepShare     = 2      // and how many for each page that it wrote
	removeMinimum = 64     // pages of replaced segments that an Add removes at least
)

func tierOf(pages int) int { return (bits.Len(uint(pages/firstTier)) + 2) / 3 }

// merge is a merge that is on its way.
type merge struct {
	inputs  []*segmentReader
	live    []*segmentReader // those with a term left
	sources []segment
	out     *segmentWriter
	from    []*segmentReader // those that have the present term

	drop    []byte  // terms that begin with this and a mark are left out; of a merge of one segment only
	old     []int64 // or only these rows of them, where there are any
	dropped []int64 // rows of entries that were left out
	skipped int     // rows of terms that were left out in this step
}

// startMerges begins the merges that are due, at most one in each tier.
func (x *SQLite) startMerges() {
	byTier := map[int][]segment{}
	busy := map[int]bool{}
	if x.purge != nil {
		busy[x.purge.sources[0].id] = true
	}
	for _, m := range x.merges {
		for _, g := range m.sources {
			busy[g.id] = true
		}
		busy[-1-tierOf(m.sources[0].pages)] = true
	}
	for _, g := range x.structure.segments {
		if t := tierOf(g.pages); !busy[g.id] && !busy[-1-t] {
			byTier[t] = append(byTier[t], g)
		}
	}
	for _, due := range byTier {
		if len(due) < fanIn {
			continue
		}
		total, n := 0, 0
		for ; n < fanIn && total+due[n].pages <= maxMerged; n++ {
			total += due[n].pages
		}
		if n < fanIn/2 {
			continue // large enough
		}
		due = due[:n]
		m := &merge{sources: slices.Clone(due), out: newSegmentWriter(nil, x.newSegmentID())}
		for _, g := range due {
			m.inputs = append(m.inputs, &segmentReader{segment: g})
		}
		x.merges = append(x.merges, m)
	}
}

// workMerges lets each merge write its share after an Add that wrote so many pages, and removes pages of
// segments that were replaced.
func (x *SQLite) workMerges(c *sqlite.Conn, added int) error {
	x.startMerges()
	out := &pageWriter{c: c}
	for _, m := range slices.Clone(x.merges) {
		done, err := m.step(c, out, stepMinimum+stepShare*added)
		if err != nil {
			return err
		}
		if done {
			if err := x.finishMerge(m); err != nil {
				return err
			}
		}
	}
	if err := out.flush(); err != nil {
		return err
	}
	if x.secret { // for PurgeTenant, which overwrites what it removes
		return nil
	}
	return x.removeGarbage(c, removeMinimum+stepShare*added)
}

// finishMerge puts the new segment in the place of its sources.
func (x *SQLite) finishMerge(m *merge) error {
	pages, err := m.out.finish()
	if err != nil {
		return err
	}
	x.merges = slices.DeleteFunc(x.merges, func(o *merge) bool { return o == m })
	x.structure.segments = slices.DeleteFunc(x.structure.segments, func(g segment) bool {
		return slices.ContainsFunc(m.sources, func(s segment) bool { return s.id == g.id })
	})
	if pages > 0 { // nothing may be left without a tenant
		x.addSegment(segment{id: m.out.id, pages: pages})
	}
	for _, g := range m.sources {
		x.garbage = append(x.garbage, g.id)
	}
	return nil
}

// addSegment makes a segment that is written part of the index. Its id may have been another's.
func (x *SQLite) addSegment(g segment) {
	x.structure.segments = append(x.structure.segments, g)
	x.hunt.forget(g.id)
}

// removeGarbage removes up to so many pages that belong to no segment any more. Readers that still use
// them have a snapshot of their own.
func (x *SQLite) removeGarbage(c *sqlite.Conn, pages int) error {
	for len(x.garbage) > 0 && pages > 0 {
		id := x.garbage[0]
		r, err := c.Exec("DELETE FROM fts_data WHERE id IN (SELECT id FROM fts_data WHERE id BETWEEN ? AND ? LIMIT ?)",
			pageID(id, 0), pageID(id+1, 0)-1, pages)
		if err != nil {
			return err
		}
		n, err := r.RowsAffected()
		if err != nil {
			return err
		}
		if pages -= int(n); pages > 0 {
			if _, err := c.Exec("DELETE FROM fts_idx WHERE segid = ?", id); err != nil {
				return err
			}
			x.garbage = x.garbage[1:]
		}
	}
	return nil
}

// step merges until about so many pages are written, and says whether all is merged.
func (m *merge) step(c *sqlite.Conn, out *pageWriter, pages int) (done bool, err error) {
	m.out.out = out
	for _, r := range m.inputs {
		r.fetch = fetchFrom(c)
	}
	if m.live == nil {
		for _, r := range m.inputs {
			if ok, err := r.nextTerm(); err != nil {
				return false, err
			} else if ok {
				m.live = append(m.live, r)
			}
		}
	}
	for until := m.out.number + pages; len(m.live) > 0; {
		if m.out.number >= until || m.skipped >= purgeRows {
			return false, nil
		}
		if err := m.term(); err != nil {
			return false, err
		}
	}
	return true, nil
}

// term merges the doclists of the first term that is left.
func (m *merge) term() error {
	m.from = append(m.from[:0], m.live[0])
	for _, r := range m.live[1:] {
		switch d := bytes.Compare(r.term, m.from[0].term); {
		case d < 0:
			m.from = append(m.from[:0], r)
		case d == 0:
			m.from = append(m.from, r)
		}
	}
	if m.drop != nil && isOf(m.from[0].term, m.drop) {
		if m.old != nil {
			return m.leaveOld(m.from[0])
		}
		return m.leaveOut(m.from[0])
	}
	if err := m.out.begin(m.from[0].term); err != nil {
		return err
	}
	for len(m.from) > 0 {
		if err := m.run(); err != nil {
			return err
		}
	}
	return nil
}

// run takes rows from the source with the lowest one as long as it has the lowest one.
func (m *merge) run() error {
	low, other := 0, int64(maxTime)
	for i, r := range m.from[1:] {
		if r.row < m.from[low].row {
			low, other = i+1, m.from[low].row
		} else {
			other = min(other, r.row)
		}
	}
	r := m.from[low]
	for r.row <= other {
		if err := m.out.row(r.row, r.positions); err != nil {
			return err
		}
		more, err := r.nextRow()
		if err != nil {
			return err
		}
		if more {
			continue
		}
		m.from = slices.Delete(m.from, low, low+1)
		more, err = r.nextTerm()
		if err == nil && !more {
			m.live = slices.DeleteFunc(m.live, func(o *segmentReader) bool { return o == r })
		}
		return err
	}
	return nil
}
