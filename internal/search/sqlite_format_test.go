package search

import (
	"bytes"
	"math"
	"testing"
)

func TestVarintsComeBack(t *testing.T) {
	values := []uint64{0, math.MaxUint64, math.MaxInt64}
	for shift := range 64 {
		values = append(values, 1<<shift, 1<<shift-1, 1<<shift+1)
	}
	for _, v := range values {
		b := appendVarint([]byte{7}, v)[1:]
		if got, n := varint(append(b, 0xaa)); got != v || n != len(b) || n > 9 {
			t.Errorf("%d: %x is read as %d of %d bytes", v, b, got, n)
		}
		if _, n := varint(b[:len(b)-1]); n != 0 {
			t.Errorf("%d: an end is found in %x", v, b[:len(b)-1])
		}
	}
}

func TestStructureComesBack(t *testing.T) {
	s := structure{cookie: [4]byte{1, 2, 3, 4}, written: 1 << 30, segments: []segment{{1, 1}, {65535, 99_999}}}
	got, err := parseStructure(s.append(nil))
	if err != nil || got.cookie != s.cookie || got.written != s.written || len(got.segments) != 2 || got.segments[1] != s.segments[1] {
		t.Errorf("got %v, %v", got, err)
	}
}

// FuzzValues: different values have different terms, beginnings stay beginnings, and nothing in a term
// means anything to FTS5.
func FuzzValues(f *testing.F) {
	f.Add("a", "A")
	f.Add("a-", "a-\xff")
	f.Add("\xff\x80", "é")
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := appendValue(nil, a), appendValue(nil, b)
		if bytes.Equal(x, y) != (a == b) {
			t.Errorf("%q and %q are %q and %q", a, b, x, y)
		}
		if bytes.HasPrefix(x, y) != bytes.HasPrefix([]byte(a), []byte(b)) {
			t.Errorf("%q and %q are %q and %q", a, b, x, y)
		}
		if !isToken(string(x)) && a != "" {
			t.Errorf("%q is %q", a, x)
		}
	})
}

// FuzzSegmentReader reads anything as a segment: it ends, with an error or without.
func FuzzSegmentReader(f *testing.F) {
	f.Add([]byte{0, 0, 0, 12, 2, '0', 'a', 5, 2, 2, 1, 1, 4}, []byte{0, 4, 0, 7, 9, 2, 2})
	f.Add([]byte{}, []byte{0, 0, 0, 4})
	f.Fuzz(func(_ *testing.T, first, second []byte) {
		r := &segmentReader{segment: segment{id: 1, pages: 2}, read: 2, wait: [][]byte{first, second}}
		for {
			ok, err := r.nextTerm()
			for ok && err == nil {
				ok, err = r.nextRow()
			}
			if err != nil || !ok && len(r.wait) == 0 && r.at >= len(r.content) {
				return
			}
		}
	})
}
