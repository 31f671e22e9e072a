package query

import (
	"strings"
	"unicode"
)

// scanner reads the pieces of a query. Places are characters, counted from 0.
type scanner struct {
	src []rune
	pos int
}

// piece is a word or a quoted text, its escapes undone.
type piece struct {
	text   string
	start  int
	length int
	quoted bool
	prefix bool // an unescaped * ended it
}

// bare tells an * that stands alone.
func (p piece) bare() bool { return p.prefix && p.text == "" }

func (s *scanner) end() bool { return s.pos >= len(s.src) }

func (s *scanner) space() {
	for !s.end() && unicode.IsSpace(s.src[s.pos]) {
		s.pos++
	}
}

// at tells whether the next character is r.
func (s *scanner) at(r rune) bool { return s.pos < len(s.src) && s.src[s.pos] == r }

// boundary tells whether a word ends before i.
func (s *scanner) boundary(i int) bool {
	if i >= len(s.src) {
		return true
	}
	switch r := s.src[i]; r {
	case '(', ')', '"':
		return true
	default:
		return unicode.IsSpace(r)
	}
}

// keyword tells whether the word here is the operator w.
func (s *scanner) keyword(w string) bool {
	for i, r := range w {
		if s.pos+i >= len(s.src) || s.src[s.pos+i] != r {
			return false
		}
	}
	return s.boundary(s.pos + len(w))
}

// take goes over the operator w if it is here.
func (s *scanner) take(w string) bool {
	if !s.keyword(w) {
		return false
	}
	s.pos += len(w)
	return true
}

// operator tells whether AND, OR or NOT is here.
func (s *scanner) operator() bool { return s.keyword("AND") || s.keyword("OR") || s.keyword("NOT") }

// name goes over a field's name and its colon and returns the name. A colon that :// begins is none.
func (s *scanner) name() (name string, ok bool) {
	i := s.pos
	if i >= len(s.src) || !unicode.IsLetter(s.src[i]) {
		return "", false
	}
	for i < len(s.src) && (unicode.IsLetter(s.src[i]) || unicode.IsDigit(s.src[i]) || s.src[i] == '_' || s.src[i] == '.') {
		i++
	}
	if i >= len(s.src) || s.src[i] != ':' || i+2 < len(s.src) && s.src[i+1] == '/' && s.src[i+2] == '/' {
		return "", false
	}
	name = string(s.src[s.pos:i])
	s.pos = i + 1
	return name, true
}

// wrong is a complaint about a place.
type wrong struct {
	start, length int
	*complaint
}

// word goes over a word, up to white space, a parenthesis or a quote.
func (s *scanner) word() (piece, *wrong) {
	p := piece{start: s.pos}
	var text []rune
	slash, tilde := -1, -1 // the last ones that no \ precedes
	for !s.boundary(s.pos) {
		r := s.src[s.pos]
		s.pos++
		switch r {
		case '\\':
			if s.end() {
				return p, &wrong{s.pos - 1, 1, invalid("escape_open", `a \ stands before the character that it escapes: write \\ for itself`)}
			}
			r = s.src[s.pos]
			s.pos++
		case '*':
			if !s.boundary(s.pos) && s.pos-1 == p.start {
				return p, &wrong{s.pos - 1, 1, tooExpensive("wildcard_misplaced", `a * stands at the end of a word only, before it everything would have to be read: write \* for itself`)}
			}
			if !s.boundary(s.pos) {
				return p, &wrong{s.pos - 1, 1, invalid("wildcard_misplaced", `a * stands at the end of a word only: write \* for itself`)}
			}
			p.prefix = true
			continue
		case '/':
			slash = s.pos - 1
		case '~':
			tilde = s.pos - 1
		}
		text = append(text, r)
	}
	p.text, p.length = string(text), s.pos-p.start
	if p.length > 0 && s.src[p.start] == '/' && (p.length > 2 && slash == s.pos-1 || p.length == 1 && s.at('(')) {
		return p, &wrong{p.start, p.length, tooExpensive("regex", "there are no regular expressions: quote text between slashes")}
	}
	if tilde >= 0 && digits(s.src[tilde+1:s.pos]) {
		return p, &wrong{p.start, p.length, tooExpensive("fuzzy", `there is no fuzzy search: quote text that ends with ~`)}
	}
	return p, nil
}

// unwritable tells a word that was meant to be a path of metadata and its value, but has signs that no name has here.
func (s *scanner) unwritable(w piece) bool {
	word := s.src[w.start : w.start+w.length]
	if w.quoted || !strings.HasPrefix(string(word), metadataName) {
		return false
	}
	for i := 0; i < len(word); i++ {
		switch word[i] {
		case '\\':
			i++
		case ':':
			return i+2 >= len(word) || word[i+1] != '/' || word[i+2] != '/'
		}
	}
	return false
}

func digits(rs []rune) bool {
	for _, r := range rs {
		if r != '.' && (r < '0' || r > '9') {
			return false
		}
	}
	return true
}

// quote goes over a quoted text. Only \" and \\ are escapes in it.
func (s *scanner) quote() (piece, *wrong) {
	p := piece{start: s.pos, quoted: true}
	var text []rune
	for s.pos++; !s.end(); s.pos++ {
		switch r := s.src[s.pos]; {
		case r == '"':
			s.pos++
			p.text, p.length = string(text), s.pos-p.start
			if s.at('*') {
				return p, &wrong{s.pos, 1, invalid("wildcard_misplaced", "quoted text has no prefixes: write a * at the end of a word")}
			}
			return p, nil
		case r == '\\' && s.pos+1 < len(s.src) && (s.src[s.pos+1] == '"' || s.src[s.pos+1] == '\\'):
			s.pos++
			text = append(text, s.src[s.pos])
		default:
			text = append(text, r)
		}
	}
	return p, &wrong{p.start, 1, invalid("quote_open", `this quote is never closed: write \" for itself`)}
}

// comparison goes over > >= < <= and the word that follows.
func (s *scanner) comparison() (span, piece, *wrong) {
	start := s.pos
	greater := s.at('>')
	s.pos++
	without := !s.at('=')
	if !without {
		s.pos++
	}
	if s.boundary(s.pos) {
		return span{}, piece{}, &wrong{start, s.pos - start, invalid("value_missing", "a value directly follows a comparison: quote text that begins with one")}
	}
	w, f := s.word()
	if f == nil && w.prefix {
		f = &wrong{s.pos - 1, 1, invalid("wildcard_misplaced", "a comparison has no prefixes")}
	}
	w.start, w.length = start, s.pos-start
	if greater {
		return span{from: &w.text, above: without}, w, f
	}
	return span{to: &w.text, below: without}, w, f
}

// interval goes over [a TO b], either bracket square or curly, and its ends.
func (s *scanner) interval() (span, piece, *wrong) {
	start := s.pos
	r := span{ranged: true, above: s.at('{')}
	s.pos++
	from, ok := s.bound()
	s.space()
	ok = ok && s.take("TO")
	var to string
	if ok {
		to, ok = s.bound()
	}
	s.space()
	if !ok || !s.at(']') && !s.at('}') {
		return r, piece{}, &wrong{start, max(1, min(s.pos, len(s.src))-start), invalid("range_syntax", "a range is [a TO b] or {a TO b}: quote text that begins with a bracket")}
	}
	r.below = s.at('}')
	s.pos++
	if r.from = &from; from == "*" {
		r.from, r.above = nil, false
	}
	if r.to = &to; to == "*" {
		r.to, r.below = nil, false
	}
	return r, piece{start: start, length: s.pos - start}, nil
}

// bound goes over one end of a range.
func (s *scanner) bound() (string, bool) {
	s.space()
	start := s.pos
	for !s.boundary(s.pos) && !s.at(']') && !s.at('}') {
		s.pos++
	}
	return string(s.src[start:s.pos]), s.pos > start
}
