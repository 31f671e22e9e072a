package search

import (
	"encoding/binary"
	"errors"
)

// segment is one sorted piece of the index: the pages 1 … pages with its id.
type segment struct {
	id    int
	pages int
}

// structure is the list of the segments that make the index, as FTS5 reads it from its record 10. All are
// on one level: FTS5's levels steer merges of its own, and here it never writes.
type structure struct {
	cookie   [4]byte // of FTS5's settings; kept as it is
	written  uint64
	segments []segment
}

const (
	structureID   = 10    // of the record in fts_data
	maxSegmentID  = 65535 // FTS5's limit
	pageShift     = 37    // a page's id in fts_data is segment<<37 + page
	doclistBit    = 1 << 36
	errBadSegment = "the index is damaged: remove its file, it will be built again from the record"
)

var errDamaged = errors.New(errBadSegment)

func pageID(segment, page int) int64 { return int64(segment)<<pageShift + int64(page) }

// append writes the record.
func (s *structure) append(dst []byte) []byte {
	dst = append(dst, s.cookie[:]...)
	dst = appendVarint(dst, 1) // levels
	dst = appendVarint(dst, uint64(len(s.segments)))
	dst = appendVarint(dst, s.written)
	dst = appendVarint(dst, 0) // no merge of FTS5's
	dst = appendVarint(dst, uint64(len(s.segments)))
	for _, g := range s.segments {
		dst = appendVarint(dst, uint64(g.id))
		dst = appendVarint(dst, 1)
		dst = appendVarint(dst, uint64(g.pages))
	}
	return dst
}

// parseStructure reads the record, also the empty one that FTS5 made with the table.
func parseStructure(b []byte) (s structure, err error) {
	if len(b) < 7 {
		return s, errDamaged
	}
	binary.BigEndian.PutUint32(s.cookie[:], binary.BigEndian.Uint32(b))
	b = b[4:]
	next := func() int {
		v, n := varint(b)
		if n == 0 || v > 1<<40 {
			err = errDamaged
			return 0
		}
		b = b[n:]
		return int(v)
	}
	levels, total := next(), next()
	s.written = uint64(next())
	for range levels {
		if err != nil || levels > 64 {
			return s, errDamaged
		}
		merging, count := next(), next()
		if merging != 0 || count > total {
			return s, errDamaged
		}
		for range count {
			id, first, last := next(), next(), next()
			if err != nil || first != 1 || id < 1 || id > maxSegmentID {
				return s, errDamaged
			}
			s.segments = append(s.segments, segment{id: id, pages: last})
		}
	}
	return s, err
}
