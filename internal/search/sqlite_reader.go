package search

import (
	"database/sql"
	"encoding/binary"
)

// segmentReader goes through a segment from its first term to its last.
type segmentReader struct {
	fetch func(from, to int64) ([][]byte, error) // blocks by their ids
	segment
	read int      // pages fetched
	wait [][]byte // pages fetched and not yet begun

	content  []byte // of the page
	footer   []byte // what is left of it: the terms that were not yet begun
	at       int    // in content
	nextFrom int    // where the next term begins; len(content) if none does
	lastFrom int    // where the last one began
	first    bool   // no term of the page was begun

	term      []byte
	row       int64
	positions []byte // of the row, with their length
}

const pagesInRead = 4

// load goes to the next page.
func (r *segmentReader) load() (bool, error) {
	if len(r.wait) == 0 {
		if r.read == r.pages {
			return false, nil
		}
		upTo := min(r.read+pagesInRead, r.pages)
		var err error
		if r.wait, err = r.fetch(pageID(r.id, r.read+1), pageID(r.id, upTo)); err != nil {
			return false, err
		}
		if len(r.wait) != upTo-r.read {
			return false, errDamaged
		}
		r.read = upTo
	}
	page := r.wait[0]
	r.wait = r.wait[1:]
	if len(page) < 4 {
		return false, errDamaged
	}
	size := int(binary.BigEndian.Uint16(page[2:]))
	if size < 4 || size > len(page) {
		return false, errDamaged
	}
	r.content, r.footer, r.at, r.lastFrom, r.first = page[:size], page[size:], 4, 0, true
	return true, r.findNext()
}

func blobs(rows *sql.Rows) (all [][]byte, err error) {
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var b []byte
		if err := rows.Scan(&b); err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, rows.Err()
}

// findNext takes the beginning of the next term from the footer.
func (r *segmentReader) findNext() error {
	if len(r.footer) == 0 {
		r.nextFrom = len(r.content)
		return nil
	}
	v, n := varint(r.footer)
	if n == 0 || v > uint64(len(r.content)-r.lastFrom) {
		return errDamaged
	}
	r.footer = r.footer[n:]
	r.lastFrom += int(v)
	r.nextFrom = r.lastFrom
	return nil
}

// nextTerm goes to the next term and its first row. The rows of the present one must have been read.
func (r *segmentReader) nextTerm() (bool, error) {
	for r.at >= len(r.content) {
		if ok, err := r.load(); !ok || err != nil {
			return false, err
		}
	}
	shared := uint64(0)
	if !r.first {
		v, n := varint(r.content[r.at:])
		if n == 0 {
			return false, errDamaged
		}
		r.at += n
		shared = v
	}
	size, n := varint(r.content[r.at:])
	r.at += n
	if n == 0 || shared > uint64(len(r.term)) || size > uint64(len(r.content)-r.at) {
		return false, errDamaged
	}
	r.term = append(r.term[:shared], r.content[r.at:r.at+int(size)]...)
	r.at += int(size)
	r.first = false
	r.row = 0
	if err := r.findNext(); err != nil {
		return false, err
	}
	return true, r.readRow()
}

// nextRow goes to the next row of the term, if there is one.
func (r *segmentReader) nextRow() (bool, error) {
	if r.at < r.nextFrom {
		return true, r.readRow()
	}
	if r.nextFrom < len(r.content) {
		return false, nil
	}
	ok, err := r.load()
	if !ok || err != nil {
		return false, err
	}
	if binary.BigEndian.Uint16(r.content) == 0 { // no row before the first term
		return false, nil
	}
	r.row = 0
	return true, r.readRow()
}

// readRow reads a row; the numbers count from the one before.
func (r *segmentReader) readRow() error {
	if r.at > r.nextFrom {
		return errDamaged
	}
	delta, n := varint(r.content[r.at:r.nextFrom])
	size, m := varint(r.content[r.at+n : r.nextFrom])
	end := r.at + n + m + int(size/2)
	if n == 0 || m == 0 || size > 1<<20 || end > r.nextFrom {
		return errDamaged
	}
	r.row += int64(delta)
	r.positions = r.content[r.at+n : end]
	r.at = end
	return nil
}
