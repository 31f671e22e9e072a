package search

import (
	"encoding/binary"

	"github.com/ocelot-log/ocelot/internal/sqlite"
)

// The index is read by FTS5 and written here. FTS5's own INSERT sorts the tokens of a transaction into a
// hash of its own, one call per token, which costs several times what all the rest of an entry does; a
// batch that is sorted in Go and written as a finished segment is the same to whoever reads it. The layout
// of a segment is described at the top of SQLite's ext/fts5/fts5_index.c and is part of its file format;
// the tests have FTS5's own integrity-check read what is written here.
//
// Two liberties that the layout gives are used throughout: a row of a doclist is never cut in two between
// pages, and a doclist index is one page however long.

// pageSize is how large a page of a segment gets, in bytes, so that it just fits into a page of the file.
// A row that is larger makes a larger page. Pages of 4 KiB, FTS5's own, cost a third more CPU per entry and
// no search less.
const pageSize = filePageSize - 134

// segmentWriter writes one segment: its terms in ascending order, for each its rows in ascending order.
type segmentWriter struct {
	out *pageWriter
	id  int

	number    int    // of the page that is being made
	page      []byte // header and content
	footer    []byte // where the terms begin
	lastStart int    // where the last term of the page began
	term      []byte // the last one
	prevRow   int64
	firstRow  bool // no row of the term was written yet

	split     []byte // what tells the terms from splitPage on from those before
	splitPage int    // the last page with a term, where the last doclist began
	bare      int    // pages without a term since
	skip      []byte // the doclist index: the first row of each page since
	skipPrev  int64
}

// minSkip is how many pages a doclist goes on for until a doclist index is worth its page.
const minSkip = 4

func newSegmentWriter(out *pageWriter, id int) *segmentWriter {
	return &segmentWriter{out: out, id: id, number: 1, page: make([]byte, 4, filePageSize), splitPage: 1}
}

// begin starts a term.
func (w *segmentWriter) begin(term []byte) error {
	if len(w.page)+len(w.footer)+len(term)+40 > pageSize && len(w.page) > 4 {
		if err := w.flush(); err != nil {
			return err
		}
	}
	shared := 0
	for n := min(len(w.term), len(term)); shared < n && w.term[shared] == term[shared]; {
		shared++
	}
	start := len(w.page)
	if len(w.footer) == 0 {
		if w.number > 1 {
			if err := w.endDoclist(); err != nil {
				return err
			}
			w.split = append(w.split[:0], term[:shared+1]...)
			w.splitPage = w.number
		}
		w.footer = appendVarint(w.footer, uint64(start))
		shared = 0
	} else {
		w.footer = appendVarint(w.footer, uint64(start-w.lastStart))
		w.page = appendVarint(w.page, uint64(shared))
	}
	w.lastStart = start
	w.page = appendVarint(w.page, uint64(len(term)-shared))
	w.page = append(w.page, term[shared:]...)
	w.term = append(w.term[:0], term...)
	w.firstRow = true
	return nil
}

// row adds a row to the term. positions begins with its own length.
func (w *segmentWriter) row(rowid int64, positions []byte) error {
	if !w.firstRow && len(w.page)+len(w.footer)+9+len(positions) > pageSize {
		if err := w.flush(); err != nil {
			return err
		}
	}
	switch {
	case len(w.page) == 4:
		binary.BigEndian.PutUint16(w.page, 4)
		if len(w.skip) == 0 {
			w.skip = appendVarint(append(w.skip, 0), uint64(w.number))
			w.skip = appendVarint(w.skip, uint64(rowid))
		} else {
			w.skip = appendVarint(w.skip, uint64(rowid-w.skipPrev))
		}
		w.skipPrev = rowid
		w.page = appendVarint(w.page, uint64(rowid))
	case w.firstRow:
		w.page = appendVarint(w.page, uint64(rowid))
	default:
		w.page = appendVarint(w.page, uint64(rowid-w.prevRow))
	}
	w.firstRow = false
	w.prevRow = rowid
	w.page = append(w.page, positions...)
	return nil
}

// finish writes what is left and returns how many pages the segment has.
func (w *segmentWriter) finish() (pages int, err error) {
	if len(w.page) > 4 {
		if err := w.flush(); err != nil {
			return 0, err
		}
	}
	if w.number == 1 {
		return 0, nil
	}
	return w.number - 1, w.endDoclist()
}

func (w *segmentWriter) flush() error {
	if len(w.page) > 0xffff {
		return errDamaged // one row of more than 64 KiB; the builder makes none
	}
	binary.BigEndian.PutUint16(w.page[2:], uint16(len(w.page)))
	if len(w.footer) == 0 {
		w.bare++
	}
	w.page = append(w.page, w.footer...)
	err := w.out.page(pageID(w.id, w.number), w.page)
	w.page = append(w.page[:0], 0, 0, 0, 0)
	w.footer = w.footer[:0]
	w.number++
	return err
}

// endDoclist notes where the pages since splitPage are found, and their doclist index.
func (w *segmentWriter) endDoclist() error {
	place := int64(w.splitPage) << 1
	if len(w.skip) > 0 && w.bare >= minSkip {
		place |= 1
		w.out.later(pageID(w.id, w.splitPage)+doclistBit, w.skip)
	}
	w.skip, w.bare = w.skip[:0], 0
	return w.out.split(w.id, w.split, place)
}

// pageWriter writes rows of FTS5's tables many at a time: a statement costs more than a row.
type pageWriter struct {
	c       *sqlite.Conn
	pages   [pagesAtOnce][]byte
	args    []any // of the pages that wait
	splits  []any // of the splits that wait
	after   []laterPage
	written int // pages in all
}

type laterPage struct {
	id   int64
	body []byte
}

const (
	pagesAtOnce  = 8
	splitsAtOnce = 64
)

const insertPage = "INSERT INTO fts_data(id, block) VALUES "
const insertSplit = "INSERT INTO fts_idx(segid, term, pgno) VALUES "

var (
	insertPages  = insertPage + sqlite.Placeholders(pagesAtOnce, 2)
	insertSplits = insertSplit + sqlite.Placeholders(splitsAtOnce, 3)
)

func (p *pageWriter) page(id int64, body []byte) error {
	p.written++
	n := len(p.args) / 2
	p.pages[n] = append(p.pages[n][:0], body...)
	p.args = append(p.args, id, p.pages[n])
	if n+1 < pagesAtOnce {
		return nil
	}
	_, err := p.c.Exec(insertPages, p.args...)
	p.args = p.args[:0]
	return err
}

// later keeps a page until flush: its id is above those of the segment's other pages, and inserting in
// order of the ids costs least.
func (p *pageWriter) later(id int64, body []byte) {
	p.after = append(p.after, laterPage{id, append([]byte(nil), body...)})
}

func (p *pageWriter) split(segment int, term []byte, place int64) error {
	p.splits = append(p.splits, segment, append([]byte{}, term...), place)
	if len(p.splits) < splitsAtOnce*3 {
		return nil
	}
	_, err := p.c.Exec(insertSplits, p.splits...)
	p.splits = p.splits[:0]
	return err
}

// flush writes what waits. Nothing may be left of it at the end of a transaction.
func (p *pageWriter) flush() error {
	for ; len(p.args) > 0; p.args = p.args[2:] {
		if _, err := p.c.Exec(insertPage+"(?,?)", p.args[:2]...); err != nil {
			return err
		}
	}
	for ; len(p.splits) > 0; p.splits = p.splits[3:] {
		if _, err := p.c.Exec(insertSplit+"(?,?,?)", p.splits[:3]...); err != nil {
			return err
		}
	}
	for _, l := range p.after {
		if _, err := p.c.Exec(insertPage+"(?,?)", l.id, l.body); err != nil {
			return err
		}
	}
	p.args, p.splits, p.after = nil, nil, nil
	return nil
}
