package search

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"maps"
	"slices"

	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// builder turns entries into the terms and rows of a segment: it counts each term once, sorts the terms
// and then writes them in one go. Its memory is kept from one batch to the next.
type builder struct {
	seed   maphash.Seed
	table  []uint32    // open addressing: number of the term + 1
	hashed int         // how many terms are in it
	recent [512]uint32 // terms that many entries have, found without the table: number + 1
	terms  []term
	arena  []byte // the bytes of all terms
	rows   []int64
	postTo []uint32 // of each posting: the term
	posts  []uint64 // and where: row<<32 | column<<31 | position

	scratch []byte
	tokens  []string
	order   []sortKey
	starts  []uint32
	sorted  []uint64
	list    []byte
	inOrder bool // sort is done
}

// term is a different term of the batch.
type term struct {
	hash  uint32 // 0: not in the table
	count uint32
	start uint32
	size  uint32
}

// sortKey sorts most terms without a look at their bytes.
type sortKey struct {
	key uint64 // the first bytes that its group does not share
	n   uint32
}

const (
	mainIndex    = '0' // what FTS5 has before each term of its one index
	metaColumn   = 1 << 31
	maxPosition  = 1<<31 - 2
	maxPostings  = 2 << 20    // in one segment: about 64 MiB of memory with all that belongs to them
	maxArena     = 48 << 20   // bytes of terms in one segment
	maxPositions = 0xffff / 2 // bytes of the positions of a term in one entry; the validator allows less
)

func newBuilder() *builder {
	return &builder{seed: maphash.MakeSeed(), table: make([]uint32, 1<<15)}
}

func (b *builder) empty() bool { return len(b.rows) == 0 }

// full says whether the segment should be written before the next entry.
func (b *builder) full() bool { return len(b.posts) > maxPostings || len(b.arena) > maxArena }

// add takes the entry at rowid, which is above all before. tenant is what all terms of its tenant begin with.
func (b *builder) add(rowid int64, tenant []byte, e *logentry.Entry) {
	row := uint64(len(b.rows)) << 32
	b.rows = append(b.rows, rowid)
	s := append(append(append(b.scratch[:0], mainIndex), tenant...), markAll)
	mark := len(s) - 1
	b.post(s, row)

	fieldValues(e, func(f query.Field, value string) {
		s[mark] = markField + byte(f)
		s = appendValue(s[:mark+1], value[:min(len(value), maxValue)])
		b.post(s, row)
	})
	s[mark] = markField + byte(query.EntryID)
	var id [36]byte
	s = s[:mark+1]
	for _, c := range e.ID.AppendText(id[:0]) {
		s = append(s, encoded[c])
	}
	b.postOnce(s, row)
	if e.IPAddress != "" {
		s[mark] = markField + byte(query.IPAddress)
		var ok bool
		if s, ok = appendAddress(s[:mark+1], e.IPAddress); ok {
			b.post(s, row)
		}
	}

	s[mark] = markField + byte(query.SchemaVersion)
	s = appendNumber(s[:mark+1], query.SortBits(float64(e.SchemaVersion)))
	b.post(s, row)
	s[mark] = markAbsent
	for group := range optional {
		if set := absence(e, group); set != 0 {
			s = append(s[:mark+1], '0'+byte(group), set)
			b.post(s, row)
		}
	}

	position := uint64(0)
	text := func(text string, column uint64) {
		s[mark] = markText
		b.tokens = query.AppendTokens(b.tokens[:0], text)
		for _, t := range b.tokens {
			s = append(s[:mark+1], t...)
			b.post(s, row|column|min(position, maxPosition))
			position++
		}
		position++ // nobody's: a phrase ends with its text
	}
	if e.Message != "" {
		text(e.Message, 0)
	}
	if len(e.Metadata) > 0 {
		query.Pairs(e.Metadata, func(p query.Pair) bool {
			s = b.pair(s[:mark+1], row, p)
			if p.Kind <= query.PairCut {
				text(p.Text, metaColumn)
			}
			return true
		})
	}
	b.scratch = s
}

// pair posts a scalar of the metadata. s ends with the mark.
func (b *builder) pair(s []byte, row uint64, p query.Pair) []byte {
	s[len(s)-1] = markMeta
	if !p.Present() {
		s[len(s)-1] = markEmpty
	}
	s = appendValue(s, p.Path)
	switch p.Kind {
	case query.PairString:
		s = appendValue(append(s, metaString), p.Text)
	case query.PairCut:
		s = appendValue(append(s, metaCut), p.Text)
	case query.PairNumber:
		s = appendNumber(append(s, metaNumber), query.SortBits(query.Number(p.Text)))
	default:
		s = append(append(s, metaLiteral), p.Text...)
	}
	b.post(s, row)
	return s
}

// post notes that s is at a place.
func (b *builder) post(s []byte, place uint64) {
	recent := &b.recent[(uint(s[len(s)-1])*31+uint(s[len(s)/2])*7+uint(s[1])+uint(len(s))*57)%uint(len(b.recent))]
	if n := *recent; n != 0 {
		if t := &b.terms[n-1]; string(b.arena[t.start:t.start+t.size]) == string(s) {
			t.count++
			b.postTo = append(b.postTo, n-1)
			b.posts = append(b.posts, place)
			return
		}
	}
	h := maphash.Bytes(b.seed, s)
	tag := uint32(h>>32) | 1
	mask := uint32(len(b.table) - 1)
	i := uint32(h) & mask
	for b.table[i] != 0 {
		n := b.table[i] - 1
		t := &b.terms[n]
		if t.hash == tag && string(b.arena[t.start:t.start+t.size]) == string(s) {
			t.count++
			b.postTo = append(b.postTo, n)
			b.posts = append(b.posts, place)
			*recent = n + 1 // it was there before, so it may be again
			return
		}
		i = (i + 1) & mask
	}
	b.table[i] = b.append(s, tag, place) + 1
	if b.hashed++; b.hashed*2 > len(b.table) {
		b.grow()
	}
}

// postOnce is post for a term that no other entry has.
func (b *builder) postOnce(s []byte, place uint64) { b.append(s, 0, place) }

func (b *builder) append(s []byte, tag uint32, place uint64) (n uint32) {
	n = uint32(len(b.terms))
	b.terms = append(b.terms, term{hash: tag, count: 1, start: uint32(len(b.arena)), size: uint32(len(s))})
	b.arena = append(b.arena, s...)
	b.postTo = append(b.postTo, n)
	b.posts = append(b.posts, place)
	return n
}

func (b *builder) grow() {
	b.table = make([]uint32, 2*len(b.table))
	mask := uint32(len(b.table) - 1)
	for n, t := range b.terms {
		if t.hash == 0 {
			continue
		}
		i := uint32(maphash.Bytes(b.seed, b.bytes(uint32(n)))) & mask
		for b.table[i] != 0 {
			i = (i + 1) & mask
		}
		b.table[i] = uint32(n) + 1
	}
}

func (b *builder) bytes(n uint32) []byte {
	t := &b.terms[n]
	return b.arena[t.start : t.start+t.size]
}

// write writes everything as one segment and forgets it. It returns the segment's pages.
func (b *builder) write(w *segmentWriter) (pages int, err error) {
	defer b.reset()
	if !b.inOrder {
		b.sort()
	}
	for _, k := range b.order {
		if err := w.begin(b.bytes(k.n)); err != nil {
			return 0, err
		}
		end := b.starts[k.n]
		posts := b.sorted[end-b.terms[k.n].count : end]
		for len(posts) > 0 {
			row := posts[0] >> 32
			n := 1
			for n < len(posts) && posts[n]>>32 == row {
				n++
			}
			var from int
			b.list, from = positions(b.list[:0], posts[:n])
			if err := w.row(b.rows[row], b.list[from:]); err != nil {
				return 0, err
			}
			posts = posts[n:]
		}
	}
	return w.finish()
}

// sort brings the terms into order, and the postings into the order of the terms: after it, the postings
// of term n end at starts[n].
func (b *builder) sort() {
	b.inOrder = true
	b.sortTerms()
	b.starts = slices.Grow(b.starts[:0], len(b.terms))[:len(b.terms)]
	at := uint32(0)
	for _, k := range b.order {
		b.starts[k.n] = at
		at += b.terms[k.n].count
	}
	b.sorted = slices.Grow(b.sorted[:0], len(b.posts))[:len(b.posts)]
	for i, n := range b.postTo {
		b.sorted[b.starts[n]] = b.posts[i]
		b.starts[n]++
	}
}

// sortTerms puts the terms into order, group by group: those of a tenant and a mark begin alike, often with
// much more than that, as ids made from the time do. What they share tells nothing, so that the eight bytes
// behind it mostly decide.
func (b *builder) sortTerms() {
	groups := map[uint64]*termGroup{}
	var last *termGroup
	for n := range b.terms {
		s := b.bytes(uint32(n))
		head, key := 1, uint64(0)
		for ; s[head-1] < 0x80; head++ {
			key = key<<8 | uint64(s[head])
		}
		if last == nil || last.key != key {
			if last = groups[key]; last == nil {
				last = &termGroup{key: key, first: s, shared: len(s)}
				groups[key] = last
			}
		}
		shared := head
		for most := min(len(s), last.shared); shared < most && s[shared] == last.first[shared]; {
			shared++
		}
		last.shared = shared
		last.terms = append(last.terms, uint32(n))
	}
	sorted := slices.SortedFunc(maps.Values(groups), func(x, y *termGroup) int { return bytes.Compare(x.first, y.first) })
	b.order = slices.Grow(b.order[:0], len(b.terms))
	for _, g := range sorted {
		from := len(b.order)
		for _, n := range g.terms {
			s := b.bytes(n)
			var key [8]byte
			copy(key[:], s[g.shared:])
			b.order = append(b.order, sortKey{binary.BigEndian.Uint64(key[:]), n})
		}
		slices.SortFunc(b.order[from:], func(x, y sortKey) int {
			if x.key != y.key {
				if x.key < y.key {
					return -1
				}
				return 1
			}
			return bytes.Compare(b.bytes(x.n), b.bytes(y.n))
		})
	}
}

// termGroup is the terms of a tenant and a mark.
type termGroup struct {
	key    uint64 // the number and the mark
	first  []byte // one of them
	shared int    // how many bytes all of them begin with
	terms  []uint32
}

// positions writes the positions of one term in one row into the empty dst, with their length before
// them: they begin at from.
func positions(dst []byte, posts []uint64) (list []byte, from int) {
	if p := posts[0] & 0xffffffff; len(posts) == 1 && p < 126 {
		return append(dst, 2, byte(p)+2), 0
	}
	dst = append(dst, 0, 0, 0) // room for the length
	last, column := uint64(0), uint64(0)
	for i, p := range posts {
		if i > 0 && p == posts[i-1] {
			continue // twice in an array
		}
		if p&metaColumn != column {
			column, last = metaColumn, 0
			dst = append(dst, 1, 1)
		}
		at := p & (metaColumn - 1)
		dst = appendVarint(dst, at-last+2)
		last = at
		if len(dst) > maxPositions {
			break
		}
	}
	var size [3]byte
	head := appendVarint(size[:0], uint64(len(dst)-3)*2)
	from = 3 - len(head)
	copy(dst[from:], head)
	return dst, from
}

func (b *builder) reset() {
	if b.hashed*8 < len(b.table) && len(b.table) > 1<<15 {
		b.table = make([]uint32, len(b.table)/2)
	} else {
		clear(b.table)
	}
	clear(b.recent[:])
	b.hashed, b.inOrder = 0, false
	b.terms, b.arena, b.rows = b.terms[:0], b.arena[:0], b.rows[:0]
	b.postTo, b.posts = b.postTo[:0], b.posts[:0]
}
