package search

import (
	"slices"
	"strings"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
)

// span is a range of times in nanoseconds: from inclusive, to exclusive.
type span struct{ from, to int64 }

func (s span) has(ns int64) bool { return s.from <= ns && (ns < s.to || s.to == maxTime) }

var allTime = span{minTime, maxTime}

// part is a piece of a question: what match finds, of the entries whose times lie in at and in one of received.
// The parts of a question have no entry in common, and the times of two are the same or apart.
type part struct {
	match    string // of FTS5
	at       span
	received []span // in order, none next to another
}

// has says whether an entry is of the part as far as its times go.
func (p *part) has(d doc) bool {
	if !p.at.has(d.at) {
		return false
	}
	for _, s := range p.received {
		if s.has(d.received) {
			return true
		}
	}
	return false
}

// whenever says that entries may have been received at any time.
func (p *part) whenever() bool { return p.received[0] == allTime }

// maxParts is how many pieces a question may fall into. It is above what a query within its bounds can have: with
// query.MaxTerms ranges and start_time with end_time, half of them on either time, 67 × 67.
const maxParts = 5000

// compile cuts a question into parts, in the order of time. Times are not in the terms, so the ranges of
// the tree are resolved first: between two ends of ranges each range is true for all entries or for none,
// and what is left of the tree is terms only. tenant is what the tenant's terms begin with.
func compile(where query.Node, tenant []byte) ([]part, error) {
	var ats, receiveds []int64
	ends(where, &ats, &receiveds)
	if (len(ats)+1)*(len(receiveds)+1) > maxParts {
		return nil, fault.New(fault.Malformed, "query_too_expensive", "the query has too many time ranges; ask for fewer")
	}
	c := compiler{tenant: string(tenant)}
	var parts []part
	same := 0 // from here on parts are of one time
	for _, c.at = range spans(ats) {
		now := c.atOnce(where, spans(receiveds))
		before := parts[same:]
		if len(before) > 0 && before[0].at.to == c.at.from && slices.EqualFunc(before, now, part.asks) {
			for i := range before {
				before[i].at.to = c.at.to
			}
			continue
		}
		same = len(parts)
		parts = append(parts, now...)
	}
	return parts, nil
}

// atOnce are the parts of the times that c is at.
func (c *compiler) atOnce(where query.Node, receiveds []span) (parts []part) {
	for _, c.received = range receiveds {
		m := c.node(where)
		if m == nothing {
			continue
		}
		expr := c.closed(m)
		i := slices.IndexFunc(parts, func(p part) bool { return p.match == expr })
		if i < 0 {
			parts = append(parts, part{match: expr, at: c.at, received: []span{c.received}})
			continue
		}
		before := parts[i].received
		if last := &before[len(before)-1]; last.to == c.received.from {
			last.to = c.received.to
			continue
		}
		parts[i].received = append(before, c.received)
	}
	return parts
}

// asks says whether two parts ask for the same, at whatever times.
func (p part) asks(q part) bool { return p.match == q.match && slices.Equal(p.received, q.received) }

// ends collects the ends of the ranges in the tree.
func ends(n query.Node, ats, receiveds *[]int64) {
	switch n := n.(type) {
	case query.And:
		for _, c := range n {
			ends(c, ats, receiveds)
		}
	case query.Or:
		for _, c := range n {
			ends(c, ats, receiveds)
		}
	case query.Not:
		ends(n.Node, ats, receiveds)
	case query.Range:
		to := ats
		if n.Field == query.ReceivedAt {
			to = receiveds
		}
		if !n.From.IsZero() {
			*to = append(*to, nanoseconds(n.From))
		}
		if !n.To.IsZero() {
			*to = append(*to, nanoseconds(n.To))
		}
	}
}

// spans are the ranges between cuts, the open ones at both ends included.
func spans(cuts []int64) (all []span) {
	slices.Sort(cuts)
	from := allTime.from
	for _, c := range slices.Compact(cuts) {
		if c > from && c < maxTime {
			all = append(all, span{from, c})
			from = c
		}
	}
	return append(all, span{from, allTime.to})
}

// match is an expression of FTS5, or everything, or nothing. Negative: it is what must not match.
type match struct {
	expr     string
	negative bool
	constant uint8
}

var (
	everything = match{constant: 1}
	nothing    = match{constant: 2}
)

// compiler turns a tree into a MATCH. Its text is made here, of quoted terms only; nothing that a reader
// wrote gets into it unencoded.
type compiler struct {
	tenant       string
	at, received span // where the times are
}

// closed is the expression for all of a question.
func (c *compiler) closed(m match) string {
	if m == everything {
		return c.all()
	}
	return c.positive(m)
}

func (c *compiler) all() string { return c.quoted(string([]byte{markAll})) }

// quoted is a string of FTS5: tokens of the tenant that follow each other.
func (c *compiler) quoted(tokens ...string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i, t := range tokens {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(c.tenant)
		b.WriteString(t)
	}
	b.WriteByte('"')
	return b.String()
}

// positive is the expression of m with a positive side, which FTS5's NOT needs.
func (c *compiler) positive(m match) string {
	if m.negative {
		return "(" + c.all() + " NOT " + m.expr + ")"
	}
	return m.expr
}

func (c *compiler) node(n query.Node) match {
	switch n := n.(type) {
	case nil, query.All:
		return everything
	case query.And:
		return c.and(n)
	case query.Or:
		return c.or(n)
	case query.Not:
		switch m := c.node(n.Node); m {
		case everything:
			return nothing
		case nothing:
			return everything
		default:
			m.negative = !m.negative
			return m
		}
	case query.Term:
		return c.term(n)
	case query.Text:
		return c.text(n)
	case query.Range:
		return c.times(n)
	case query.Interval:
		return c.interval(n)
	case query.Network:
		return c.network(n)
	case query.Value:
		return c.value(n)
	case query.Has:
		return c.has(n)
	}
	return nothing
}

func (c *compiler) and(nodes []query.Node) match {
	var with, without []string
	for _, n := range nodes {
		switch m := c.node(n); {
		case m == nothing:
			return nothing
		case m == everything:
		case m.negative:
			without = append(without, m.expr)
		default:
			with = append(with, m.expr)
		}
	}
	switch {
	case len(with) == 0 && len(without) == 0:
		return everything
	case len(with) == 0:
		return match{expr: joined(without, " OR "), negative: true}
	case len(without) == 0:
		return match{expr: joined(with, " AND ")}
	}
	return match{expr: "(" + joined(with, " AND ") + " NOT " + joined(without, " OR ") + ")"}
}

func (c *compiler) or(nodes []query.Node) match {
	var some []string
	for _, n := range nodes {
		switch m := c.node(n); m {
		case everything:
			return everything
		case nothing:
		default:
			some = append(some, c.positive(m))
		}
	}
	if len(some) == 0 {
		return nothing
	}
	return match{expr: joined(some, " OR ")}
}

func joined(exprs []string, by string) string {
	if len(exprs) == 1 {
		return exprs[0]
	}
	return "(" + strings.Join(exprs, by) + ")"
}

func (c *compiler) term(t query.Term) match {
	switch t.Field {
	case query.FieldNone, query.Message, query.Timestamp, query.ReceivedAt:
		return nothing // they have no whole value
	}
	value := []byte{markField + byte(t.Field)}
	if t.Field == query.IPAddress {
		var ok bool
		if value, ok = appendAddress(value, t.Value); !ok {
			return nothing
		}
		return match{expr: c.quoted(string(value))}
	}
	if t.Field == query.SchemaVersion {
		return c.version(t)
	}
	if len(t.Value) > maxValue || t.Value == "" && !t.Prefix {
		return nothing
	}
	return match{expr: c.quoted(string(appendValue(value, t.Value))) + star(t.Prefix)}
}

func (c *compiler) text(t query.Text) match {
	if len(t.Tokens) == 0 {
		return nothing
	}
	tokens := make([]string, len(t.Tokens))
	for i, s := range t.Tokens {
		if !isToken(s) {
			return nothing
		}
		tokens[i] = string([]byte{markText}) + s
	}
	column := ""
	switch t.Field {
	case query.FieldNone:
	case query.Message:
		column = "message : "
	default:
		return nothing
	}
	return match{expr: column + c.quoted(tokens...) + star(t.Prefix)}
}

// isToken says whether s can be a token at all: only then does it stand in quotes as itself.
func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x80 && encoded[c] != c {
			return false
		}
	}
	return s != ""
}

func star(prefix bool) string {
	if prefix {
		return " *"
	}
	return ""
}

// times is what a range is where the times are: no end of it lies inside.
func (c *compiler) times(r query.Range) match {
	var s span
	switch r.Field {
	case query.Timestamp:
		s = c.at
	case query.ReceivedAt:
		s = c.received
	default:
		return nothing
	}
	if !r.From.IsZero() && nanoseconds(r.From) > s.from || !r.To.IsZero() && nanoseconds(r.To) < s.to {
		return nothing
	}
	return everything
}
