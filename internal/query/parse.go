package query

import (
	"time"
	"unicode/utf8"
)

// The bounds of a query.
const (
	MaxCharacters = 2000
	MaxTerms      = 64 // values; over q, search and the filters together
	MaxParens     = 8  // open at once
)

// Parse reads a query of the grammar; an empty one is All. now is what the word now means.
//
// Its errors are *fault.Error of kind Malformed with code query_invalid or query_too_expensive and one
// problem for each thing that is wrong, with pointer "q", column and length in characters. Reading stops at the first place that is not in the grammar.
func Parse(q string, now time.Time) (Node, error) {
	n, _, bad := parse(q, now)
	if err := bad.err(bad.gravest); err != nil {
		return nil, err
	}
	return n, nil
}

// parse also counts the values.
func parse(q string, now time.Time) (Node, int, *problems) {
	p := parser{now: now}
	if c := checkLength(q); c != nil {
		p.add("q", 0, 0, c)
		return nil, 0, &p.problems
	}
	p.src = []rune(q)
	p.space()
	if p.end() {
		return All{}, 0, &p.problems
	}
	n := p.or(-1)
	if !p.stopped && !p.end() {
		p.stop(p.pos, 1, invalid("paren_unexpected", `nothing is open that this closes: write \) for itself`))
	}
	return n, p.terms, &p.problems
}

func checkLength(s string) *complaint {
	switch {
	case !utf8.ValidString(s):
		return invalid("utf8_invalid", "this is not UTF-8")
	case len(s) > MaxCharacters && utf8.RuneCountInString(s) > MaxCharacters:
		return tooExpensive("too_long", "this has more than 2,000 characters")
	}
	return nil
}

// parser goes down the grammar. After stop every method returns at once.
type parser struct {
	scanner
	problems
	now     time.Time
	terms   int
	depth   int
	stopped bool
}

// note adds a problem after which reading goes on.
func (p *parser) note(start, length int, c *complaint) { p.add("q", start+1, length, c) }

// stop adds a problem after which nothing more can be read.
func (p *parser) stop(start, length int, c *complaint) Node {
	if !p.stopped {
		p.note(start, length, c)
		p.stopped = true
	}
	return All{}
}

// or reads what OR joins. open is where its parenthesis stands, -1 for none.
func (p *parser) or(open int) Node {
	var nodes Or
	for {
		before := p.pos
		n := p.and()
		if p.stopped {
			return All{}
		}
		if n == nil {
			switch {
			case len(nodes) > 0 || p.keyword("OR"):
				if !p.keyword("OR") {
					p.pos = before - len("OR")
				}
				return p.stop(p.pos, 2, misplaced())
			case open >= 0 && p.at(')'):
				return p.stop(open, p.pos+1-open, invalid("paren_empty", "there is nothing between these parentheses"))
			case open >= 0:
				return p.stop(open, 1, openParen())
			}
			return All{} // what closes nothing; parse says so
		}
		nodes = append(nodes, n)
		if !p.take("OR") {
			break
		}
	}
	if len(nodes) == 1 {
		return nodes[0]
	}
	return nodes
}

func misplaced() *complaint {
	return invalid("operator_misplaced", "an operator in capitals stands between two things: quote it to search for the word")
}

func openParen() *complaint {
	return invalid("paren_open", `this parenthesis is never closed: write \( for itself`)
}

// and reads what AND joins, or nothing; nil where there is nothing at all.
func (p *parser) and() Node {
	var nodes And
	for !p.stopped {
		p.space()
		if p.keyword("AND") {
			at := p.pos
			p.pos += len("AND")
			p.space()
			if len(nodes) == 0 || p.end() || p.at(')') || p.keyword("AND") || p.keyword("OR") {
				return p.stop(at, 3, misplaced())
			}
		}
		if p.end() || p.at(')') || p.keyword("OR") {
			break
		}
		nodes = append(nodes, p.not())
	}
	switch len(nodes) {
	case 0:
		return nil
	case 1:
		return nodes[0]
	}
	return nodes
}

func (p *parser) not() Node {
	start := p.pos
	minus := p.at('-')
	switch {
	case minus:
		p.pos++
	case p.take("NOT"):
		p.space()
	default:
		return p.primary()
	}
	length := p.pos - start
	switch {
	case p.end() || p.at(')') || p.operator() || p.at('-') || minus && p.src[p.pos] != '(' && p.src[p.pos] != '"' && p.boundary(p.pos):
		return p.stop(start, max(1, length), invalid("negation_misplaced", "NOT or one - stands directly before what it excludes: quote text that begins with a -"))
	}
	return Not{Node: p.primary()}
}

func (p *parser) primary() Node {
	if p.at('(') {
		open := p.pos
		if !p.enter() {
			return All{}
		}
		n := p.or(open)
		if p.stopped {
			return All{}
		}
		if !p.at(')') {
			return p.stop(open, 1, openParen())
		}
		p.leave()
		return n
	}
	start := p.pos
	name, ok := p.name()
	if !ok {
		return p.value(target{})
	}
	if name == "has" {
		return p.present(start)
	}
	t, c := targetNamed(name)
	if c != nil {
		p.note(start, p.pos-1-start, c)
		t.answered = true
	}
	if p.at('(') {
		return p.group(t)
	}
	if p.boundary(p.pos) && !p.at('"') {
		if t.answered {
			return All{}
		}
		return p.stop(start, p.pos-start, invalid("value_missing", "a value directly follows a field and its colon: quote text that has a colon"))
	}
	return p.value(t)
}

// enter goes over a parenthesis and leave over the one that closes it.
func (p *parser) enter() bool {
	if p.depth == MaxParens {
		p.stop(p.pos, 1, tooExpensive("too_deep", "more than 8 parentheses are open here"))
		return false
	}
	p.depth++
	p.pos++
	return true
}

func (p *parser) leave() {
	p.depth--
	p.pos++
}

// present reads the name that follows has:.
func (p *parser) present(start int) Node {
	at := p.pos
	w, f := p.word()
	if f != nil {
		return p.stop(f.start, f.length, f.complaint)
	}
	if !p.term(start, p.pos-start) {
		return All{}
	}
	if w.length == 0 || w.prefix {
		return p.stop(start, max(1, p.pos-start), invalid("value_missing", "the name of a field directly follows has:"))
	}
	t, c := targetNamed(w.text)
	if c != nil {
		p.note(at, w.length, c)
		return All{}
	}
	return Has{Field: t.field, Path: t.path}
}

// group reads field:( … ).
func (p *parser) group(t target) Node {
	open := p.pos
	if !p.enter() {
		return All{}
	}
	var nodes Or
	for !p.stopped {
		p.space()
		switch {
		case p.end():
			return p.stop(open, 1, openParen())
		case p.at(')') && len(nodes) == 0:
			return p.stop(open, p.pos+1-open, invalid("paren_empty", "there is nothing between these parentheses"))
		case p.at(')') || p.at('(') || p.at('-') || p.operator():
			return p.stop(p.pos, 1, groupSyntax())
		}
		nodes = append(nodes, p.value(t))
		p.space()
		if p.at(')') {
			break
		}
		if !p.end() && !p.stopped && !p.take("OR") {
			return p.stop(p.pos, 1, groupSyntax())
		}
	}
	if p.stopped {
		return All{}
	}
	p.leave()
	if len(nodes) == 1 {
		return nodes[0]
	}
	return nodes
}

func groupSyntax() *complaint {
	return invalid("group_syntax", "between the parentheses after a field stand values with OR between them; NOT goes before the field")
}

// term counts a value, false where there may be no more.
func (p *parser) term(start, length int) bool {
	if p.stopped {
		return false
	}
	p.terms++
	if p.terms > MaxTerms {
		p.stop(start, length, tooExpensive("too_many_terms", "there are more than 64 values"))
		return false
	}
	return true
}

// value reads one value of t.
func (p *parser) value(t target) Node {
	var w piece
	var f *wrong
	var s span
	spans := true
	switch {
	case p.at('>') || p.at('<'):
		s, w, f = p.comparison()
	case p.at('[') || p.at('{'):
		s, w, f = p.interval()
	case p.at('"'):
		w, f = p.quote()
		spans = false
	default:
		w, f = p.word()
		spans = false
	}
	if f != nil {
		return p.stop(f.start, f.length, f.complaint)
	}
	if !p.term(w.start, w.length) || t.answered {
		return All{}
	}
	if t.name == "" && p.unwritable(w) {
		p.note(w.start, w.length, invalid("field_not_writable",
			"a path in q has letters, digits, _ and . only: others are found by a parameter of the URL, as in metadata.k8s-pod=api-1, and by has:"))
		return All{}
	}
	var n Node
	var c *complaint
	switch {
	case spans:
		n, c = spanValue(t, s, p.now)
	case w.bare() && t.name == "":
		return All{}
	default:
		n, c = fieldValue(t, w.text, w.prefix, w.quoted, p.now)
	}
	if c != nil {
		p.note(w.start, w.length, c)
		return All{}
	}
	return n
}
