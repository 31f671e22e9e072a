package query

import "unicode"

// PlainText reads what a person types into a search box: words and "phrases", all of which must occur.
// Nothing is an operator, a field, a prefix or an escape; an empty text is All. Its errors are those of
// Parse with the pointer "search".
func PlainText(s string) (Node, error) {
	n, _, bad := plainText(s)
	if err := bad.err(bad.gravest); err != nil {
		return nil, err
	}
	return n, nil
}

func plainText(text string) (Node, int, *problems) {
	bad := &problems{}
	if c := checkLength(text); c != nil {
		bad.add("search", 0, 0, c)
		return nil, 0, bad
	}
	s := scanner{src: []rune(text)}
	var nodes And
	for s.space(); !s.end(); s.space() {
		start := s.pos
		closed := true
		var piece []rune
		if s.at('"') {
			piece, closed = s.phrase()
		} else {
			for !s.end() && !s.at('"') && !unicode.IsSpace(s.src[s.pos]) {
				s.pos++
			}
			piece = s.src[start:s.pos]
		}
		n, c := textValue(target{}, string(piece), false)
		switch {
		case !closed:
			c = invalid("quote_open", "this quote is never closed")
		case len(nodes) == MaxTerms:
			bad.add("search", start+1, s.pos-start, tooExpensive("too_many_terms", "there are more than 64 words and phrases"))
			return nil, 0, bad
		}
		if c != nil {
			bad.add("search", start+1, s.pos-start, c)
		}
		nodes = append(nodes, n)
	}
	switch len(nodes) {
	case 0:
		return All{}, 0, bad
	case 1:
		return nodes[0], 1, bad
	}
	return nodes, len(nodes), bad
}

// phrase goes over a quoted text without escapes.
func (s *scanner) phrase() (text []rune, closed bool) {
	s.pos++
	start := s.pos
	for !s.end() {
		s.pos++
		if s.src[s.pos-1] == '"' {
			return s.src[start : s.pos-1], true
		}
	}
	return s.src[start:], false
}
