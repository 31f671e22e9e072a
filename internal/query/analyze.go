package query

import (
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// The bounds of what of metadata can be found. An entry is kept whole whatever it carries; what lies
// beyond is not indexed, so that one entry cannot fill the index.
const (
	MaxPairs    = 64   // scalar values within the other bounds, in the order of the document; an element of an array is one
	MaxDepth    = 5    // names in a path; arrays have none
	MaxPath     = 128  // bytes of a dotted path
	MaxValue    = 256  // bytes of a string; a longer one is cut between characters
	MaxChange   = 1024 // bytes of a path of changes; a longer one is not found
	maxNestings = 64   // objects and arrays around a value, more than an entry may have
)

// Texts calls yield for each text of an entry that can be found by words: the message, if there is one,
// with Message, then the string values of the metadata with FieldNone. It stops where yield returns
// false. truncated says that metadata goes beyond the bounds, the index_truncated of the entry; it is
// only meaningful where yield never returned false.
func Texts(e *logentry.Entry, yield func(f Field, text string) bool) (truncated bool) {
	if e.Message != "" && !yield(Message, e.Message) {
		return false
	}
	if len(e.Metadata) == 0 {
		return false
	}
	return MetadataTexts(e.Metadata, func(_, value string) bool { return yield(FieldNone, value) })
}

// MetadataTexts is Pairs for the string values alone. The others count as pairs, but are no text.
func MetadataTexts(meta jsontext.Value, yield func(path, value string) bool) (truncated bool) {
	return Pairs(meta, func(p Pair) bool { return p.Kind > PairCut || yield(p.Path, p.Text) })
}

// walker goes once through a document without building anything of it.
type walker struct {
	s         string
	i         int
	scalars   int // so far, found or not
	pairs     int // of them, those that are found
	truncated bool
	yield     func(p Pair) bool
}

// value reads one value and tells whether to go on.
func (w *walker) value(path string, names, nesting int) bool {
	switch w.peek() {
	case '{':
		return w.object(path, names, nesting+1)
	case '[':
		return w.array(path, names, nesting+1)
	case '"':
		start := w.i + 1
		end, escaped := w.text()
		if end < 0 {
			return false
		}
		if w.scalars++; w.beyond(path, names) {
			return true
		}
		if !w.count() {
			return false
		}
		text, kind := w.cut(w.s[start:end], escaped)
		return w.yield(Pair{Path: path, Kind: kind, Text: text, number: w.scalars})
	case 0:
		return false
	}
	start := w.i
	for w.i < len(w.s) && !delimiter[w.s[w.i]] {
		w.i++
	}
	if w.i == start {
		return false
	}
	if w.scalars++; w.beyond(path, names) {
		return true
	}
	if !w.count() {
		return false
	}
	kind := PairNumber
	if w.s[start] > '9' { // no number begins with a letter
		kind = PairLiteral
	}
	return w.yield(Pair{Path: path, Kind: kind, Text: w.s[start:w.i], number: w.scalars})
}

func (w *walker) object(path string, names, nesting int) bool {
	w.i++
	if w.peek() == '}' {
		w.i++
		return true
	}
	for nesting <= maxNestings && w.peek() == '"' {
		start := w.i + 1
		end, escaped := w.text()
		if end < 0 || w.peek() != ':' {
			return false
		}
		w.i++
		name := w.s[start:end]
		if escaped {
			name = unescape(name, MaxPath)
		}
		switch {
		case path != "" && len(path) <= MaxPath && names < MaxDepth: // a longer one is not used
			name = path + "." + name
		case path != "":
			name = path
		}
		if !w.value(name, names+1, nesting) {
			return false
		}
		c := w.peek()
		w.i++
		if c != ',' {
			return c == '}'
		}
		w.peek()
	}
	return false
}

func (w *walker) array(path string, names, nesting int) bool {
	w.i++
	if w.peek() == ']' {
		w.i++
		return true
	}
	for nesting <= maxNestings {
		if !w.value(path, names, nesting) {
			return false
		}
		c := w.peek()
		w.i++
		if c != ',' {
			return c == ']'
		}
	}
	return false
}

// beyond tells, and notes, that a scalar lies too deep to be found.
func (w *walker) beyond(path string, names int) bool {
	if len(path) <= MaxPath && names <= MaxDepth {
		return false
	}
	w.truncated = true
	return true
}

// count takes the next pair, false where there may be no more.
func (w *walker) count() bool {
	w.pairs++
	if w.pairs > MaxPairs {
		w.truncated = true
		return false
	}
	return true
}

// peek returns the next byte that is not white space, 0 at the end.
func (w *walker) peek() byte {
	for w.i < len(w.s) {
		switch c := w.s[w.i]; c {
		case ' ', '\t', '\n', '\r':
			w.i++
		default:
			return c
		}
	}
	return 0
}

// text goes over a string from its opening quote and returns where its closing one is, -1 for none.
func (w *walker) text() (end int, escaped bool) {
	i := w.i + 1
	for i < len(w.s) {
		switch w.s[i] {
		case '"':
			w.i = i + 1
			return i, escaped
		case '\\':
			escaped = true
			i++
		}
		i++
	}
	return -1, escaped
}

// cut returns the text of a string literal without its quotes, at most MaxValue bytes of it.
func (w *walker) cut(literal string, escaped bool) (text string, kind Kind) {
	v := literal
	if escaped {
		v = unescape(literal, MaxValue)
	}
	if len(v) <= MaxValue {
		return v, PairString
	}
	w.truncated = true
	n := MaxValue
	for n > 0 && !utf8.RuneStart(v[n]) {
		n--
	}
	return v[:n], PairCut
}

// unescape undoes the escapes of a JSON string until it has more than limit bytes.
func unescape(literal string, limit int) string {
	var b strings.Builder
	b.Grow(min(len(literal), limit+utf8.UTFMax))
	for len(literal) > 0 && b.Len() <= limit {
		if literal[0] != '\\' || len(literal) < 2 {
			b.WriteByte(literal[0])
			literal = literal[1:]
			continue
		}
		c := literal[1]
		literal = literal[2:]
		switch c {
		case 'b':
			b.WriteByte('\b')
		case 'f':
			b.WriteByte('\f')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		case 'u':
			var r rune
			r, literal = unicodeEscape(literal)
			b.WriteRune(r)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// unicodeEscape reads what follows \u, the second half of a surrogate pair included.
func unicodeEscape(s string) (rune, string) {
	r, ok := hex4(s)
	if !ok {
		return utf8.RuneError, s
	}
	s = s[4:]
	if r < 0xd800 || r > 0xdfff {
		return r, s
	}
	if r < 0xdc00 && strings.HasPrefix(s, `\u`) {
		if low, ok := hex4(s[2:]); ok && 0xdc00 <= low && low <= 0xdfff {
			return (r-0xd800)<<10 + (low - 0xdc00) + 0x10000, s[6:]
		}
	}
	return utf8.RuneError, s
}

func hex4(s string) (r rune, ok bool) {
	if len(s) < 4 {
		return 0, false
	}
	for i := range 4 {
		c := s[i]
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// delimiter tells the bytes that end a number, true, false or null.
var delimiter = [256]bool{',': true, '}': true, ']': true, ' ': true, '\t': true, '\n': true, '\r': true,
	'{': true, '[': true, '"': true, ':': true}
