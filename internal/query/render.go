package query

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// String writes a tree as a query: what Parse made is read back as the same tree. A nil node is *.
func String(n Node) string {
	var w writer
	w.node(n, orLevel)
	return w.String()
}

// Fingerprint is a short text that is the same for questions that have the same result: it goes over
// Where, in whatever order it names its parts, and Sort; not over the piece of the result that is asked
// for. A time that goes by the clock counts as it was asked, so that now-15m is the same question later.
func (q Query) Fingerprint() string {
	w := writer{canonical: true}
	w.node(q.Where, orLevel)
	sum := sha256.Sum256(append([]byte{byte(q.Sort)}, w.String()...))
	return hex.EncodeToString(sum[:16])
}

// ByClock is the first part of a tree that goes by the clock, such as timestamp:>=now-15m, and so means something else
// later; empty where there is none.
func ByClock(n Node) string {
	var inside []Node
	switch n := n.(type) {
	case And:
		inside = n
	case Or:
		inside = n
	case Not:
		inside = []Node{n.Node}
	case Range:
		if n.asked != "" {
			w := writer{canonical: true}
			w.node(n, orLevel)
			return w.String()
		}
	}
	for _, n := range inside {
		if part := ByClock(n); part != "" {
			return part
		}
	}
	return ""
}

// The places where a node may stand without parentheses.
const (
	orLevel  = iota // anything
	andLevel        // not Or
	notLevel        // not And
	oneLevel        // not Not
)

type writer struct {
	strings.Builder
	canonical bool // sort what And and Or join
}

func (w *writer) node(n Node, level int) {
	switch n := n.(type) {
	case nil, All:
		w.WriteByte('*')
	case And:
		w.join(n, " AND ", "*", level, notLevel)
	case Or:
		w.join(n, " OR ", "NOT *", level, andLevel)
	case Not:
		w.group(level >= oneLevel, func() {
			w.WriteString("NOT ")
			w.node(n.Node, oneLevel)
		})
	case Term:
		w.field(n.Field)
		if n.Prefix {
			w.escaped(n.Value)
			w.WriteByte('*')
			return
		}
		w.quoted(n.Value)
	case Text:
		w.field(n.Field)
		if n.Prefix {
			w.WriteString(strings.Join(n.Tokens, "_"))
			w.WriteByte('*')
			return
		}
		w.quoted(strings.Join(n.Tokens, " "))
	case Range:
		w.field(n.Field)
		w.times(n)
	case Interval:
		w.named(n.Field, n.Path)
		w.numbers(n)
	case Network:
		w.field(IPAddress)
		w.WriteString(n.Prefix.String())
	case Value:
		w.named(Metadata, n.Path)
		switch {
		case n.Quoted:
			w.quoted(n.Text)
		case n.Prefix:
			w.escaped(n.Text)
			w.WriteByte('*')
		default:
			w.escaped(n.Text)
		}
	case Has:
		w.WriteString("has:")
		if n.Field == Metadata {
			w.WriteString("metadata.")
			w.escaped(n.Path)
			return
		}
		w.WriteString(n.Field.String())
	}
}

// join writes nodes with an operator between them; above most they need parentheses.
func (w *writer) join(nodes []Node, operator, none string, level, inside int) {
	switch len(nodes) {
	case 0:
		w.group(level >= oneLevel && none != "*", func() { w.WriteString(none) })
		return
	case 1:
		w.node(nodes[0], level)
		return
	}
	w.group(level >= inside, func() {
		parts := make([]string, len(nodes))
		for i, n := range nodes {
			part := writer{canonical: w.canonical}
			part.node(n, inside)
			parts[i] = part.String()
		}
		if w.canonical {
			slices.Sort(parts)
		}
		w.WriteString(strings.Join(parts, operator))
	})
}

func (w *writer) group(parens bool, write func()) {
	if parens {
		w.WriteByte('(')
		defer w.WriteByte(')')
	}
	write()
}

func (w *writer) field(f Field) {
	if f != FieldNone {
		w.WriteString(f.String())
		w.WriteByte(':')
	}
}

// named writes a field with its path, and escapes what no name of a query has.
func (w *writer) named(f Field, path string) {
	if path == "" {
		w.field(f)
		return
	}
	w.WriteString(f.String())
	w.WriteByte('.')
	for _, r := range path {
		if r != '_' && r != '.' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			w.WriteByte('\\')
		}
		w.WriteRune(r)
	}
	w.WriteByte(':')
}

func (w *writer) quoted(v string) {
	w.WriteByte('"')
	for i := range len(v) {
		if v[i] == '"' || v[i] == '\\' {
			w.WriteByte('\\')
		}
		w.WriteByte(v[i])
	}
	w.WriteByte('"')
}

func (w *writer) escaped(v string) {
	for _, r := range v {
		if !unicode.IsLetter(r) && !unicode.IsNumber(r) {
			w.WriteByte('\\')
		}
		w.WriteRune(r)
	}
}

// numbers writes an interval, one with an open end as a comparison.
func (w *writer) numbers(n Interval) {
	end := func(v float64) string {
		if n.Field == Severity && v >= 1 && v <= 5 {
			return logentry.Severity(v).String()
		}
		return numberForm(v)
	}
	comparison := func(sign string, without bool, v float64) {
		w.WriteString(sign)
		if !without {
			w.WriteByte('=')
		}
		w.WriteString(end(v))
	}
	switch {
	case math.IsInf(n.To, 1) && !n.Below && !math.IsInf(n.From, -1):
		comparison(">", n.Above, n.From)
	case math.IsInf(n.From, -1) && !n.Above && !math.IsInf(n.To, 1):
		comparison("<", n.Below, n.To)
	default:
		open, closed := "[", "]"
		if n.Above {
			open = "{"
		}
		if n.Below {
			closed = "}"
		}
		w.WriteString(open + end(n.From) + " TO " + end(n.To) + closed)
	}
}

// times writes a range: a day or an instant as such, anything else between brackets.
func (w *writer) times(r Range) {
	switch day := r.From.AddDate(0, 0, 1); {
	case w.canonical && r.asked != "":
		w.WriteString(r.asked)
	case !r.From.IsZero() && r.To.Equal(day) && r.From.Equal(r.From.Truncate(24*time.Hour)):
		w.WriteString(r.From.UTC().Format(time.DateOnly))
	case !r.From.IsZero() && r.To.Equal(r.From.Add(1)):
		w.WriteString(r.From.UTC().Format(time.RFC3339Nano))
	default:
		open, closed := "[", "}"
		if from := r.From; !from.Before(lastTime) { // which is no time that can be asked for
			open, r.From = "{", from.Add(-1)
		}
		if !r.To.Before(lastTime) {
			closed, r.To = "]", r.To.Add(-1)
		}
		w.WriteString(open + rangeEnd(r.From) + " TO " + rangeEnd(r.To) + closed)
	}
}

func rangeEnd(t time.Time) string {
	if t.IsZero() {
		return "*"
	}
	return t.UTC().Format(time.RFC3339Nano)
}
