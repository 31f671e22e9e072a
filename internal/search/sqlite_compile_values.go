package search

import (
	"encoding/hex"
	"math"
	"slices"
	"strconv"

	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// oneOf is what one of some expressions finds.
func oneOf(exprs []string) match {
	if len(exprs) == 0 {
		return nothing
	}
	return match{expr: joined(exprs, " OR ")}
}

// version finds a version by its digits; versions that begin with some are numbers between others.
func (c *compiler) version(t query.Term) match {
	n := query.Interval{Field: query.SchemaVersion}
	v, err := strconv.ParseInt(t.Value, 10, 32)
	switch {
	case t.Prefix && t.Value == "":
		return everything
	case err != nil || strconv.FormatInt(v, 10) != t.Value:
		return nothing
	case !t.Prefix || v <= 0:
		n.From, n.To = float64(v), float64(v)
		return c.interval(n)
	}
	var some []query.Node
	for from, to := v, v; from <= math.MaxInt32; from, to = from*10, to*10+9 {
		n.From, n.To = float64(from), float64(to)
		some = append(some, n)
	}
	return c.or(some)
}

func (c *compiler) interval(n query.Interval) match {
	switch n.Field {
	case query.Severity:
		var some []query.Node
		for s := logentry.Debug; s <= logentry.Critical; s++ {
			if n.Has(float64(s)) {
				some = append(some, query.Term{Field: query.Severity, Value: s.String()})
			}
		}
		return c.or(some)
	case query.SchemaVersion:
		return c.numbers([]byte{markField + byte(query.SchemaVersion)}, n)
	case query.Metadata:
		if len(n.Path) <= query.MaxPath {
			return c.numbers(append(appendValue([]byte{markMeta}, n.Path), metaNumber), n)
		}
	}
	return nothing
}

// numbers finds numbers whose terms begin with something.
func (c *compiler) numbers(begin []byte, n query.Interval) match {
	var some []string
	for _, p := range numberPieces(n) {
		some = append(some, c.quoted(string(begin)+p.digits)+star(!p.whole))
	}
	return oneOf(some)
}

// network finds addresses by the hex digits that they begin with.
func (c *compiler) network(n query.Network) match {
	if !n.Prefix.IsValid() {
		return nothing
	}
	first, bits := n.Bits()
	hexed := hex.EncodeToString(first[:])
	begin := string([]byte{markField + byte(query.IPAddress)}) + hexed[:bits/4]
	if bits%4 == 0 {
		return match{expr: c.quoted(begin) + star(true)}
	}
	const all = "0123456789abcdef"
	from := 0
	for all[from] != hexed[bits/4] {
		from++
	}
	var some []string
	for _, digit := range all[from : from+1<<(4-bits%4)] {
		some = append(some, c.quoted(begin+string(digit))+star(true))
	}
	return oneOf(some)
}

func (c *compiler) value(v query.Value) match {
	if len(v.Path) > query.MaxPath || len(v.Text) > query.MaxValue {
		return nothing
	}
	term := func(mark, kind byte) []byte { return append(appendValue([]byte{mark}, v.Path), kind) }
	var some []string
	if v.Text != "" || v.Prefix {
		some = append(some, c.quoted(string(appendValue(term(markMeta, metaString), v.Text)))+star(v.Prefix))
	}
	if v.Text == "" {
		some = append(some, c.quoted(string(term(markEmpty, metaString))))
	}
	if v.Prefix {
		some = append(some, c.quoted(string(appendValue(term(markMeta, metaCut), v.Text)))+star(true))
	}
	if number, ok := v.AsNumber(); ok {
		some = append(some, c.quoted(string(appendNumber(term(markMeta, metaNumber), query.SortBits(number)))))
	}
	switch {
	case !v.AsLiteral():
	case v.Text == "null":
		some = append(some, c.quoted(string(term(markEmpty, metaLiteral))+v.Text))
	default:
		some = append(some, c.quoted(string(term(markMeta, metaLiteral))+v.Text))
	}
	return oneOf(some)
}

// has finds what does not lack a field, or what has any value at a path or below it.
func (c *compiler) has(h query.Has) match {
	switch h.Field {
	case query.EntryID, query.Timestamp, query.ReceivedAt, query.SchemaVersion:
		return everything
	case query.Metadata:
		if h.Path == "" || len(h.Path) > query.MaxPath {
			return nothing
		}
		path := string(appendValue([]byte{markMeta}, h.Path))
		var some []string
		for _, next := range []byte{metaString, metaCut, metaNumber, metaLiteral, encoded['.']} {
			some = append(some, c.quoted(path+string([]byte{next}))+star(true))
		}
		return oneOf(some)
	}
	for group, fields := range optional {
		i := slices.Index(fields[:], h.Field)
		if i < 0 {
			continue
		}
		var some []string
		for set := range absences {
			if set>>i&1 == 1 {
				some = append(some, c.quoted(string([]byte{markAbsent, '0' + byte(group), absences[set]})))
			}
		}
		m := oneOf(some)
		m.negative = true
		return m
	}
	return nothing
}
