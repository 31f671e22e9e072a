// Package query is what a reader asks: filters and text as one syntax tree, the order, the page. It
// knows no backend; each backend compiles the tree, and Match says what the tree means.
package query

import (
	"net/netip"
	"time"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// Query is a whole question of one tenant. The tenant is never part of it.
type Query struct {
	Where Node // nil matches everything
	Sort  Sort
	Limit int       // 1 … 1,000
	After *Position // go on after this entry; nil from the start
	Skip  int       // 0 … 10,000; never together with After
	Total Total
	Audit Audit // what is asked of audit entries; Where does not hold it: see Audit.Node
}

// Narrow is the question with one more condition: only what n matches too is found, whatever Where asks for.
// Where it is made before Binding, a cursor belongs to the narrowed question. A nil n narrows nothing.
func (q Query) Narrow(n Node) Query {
	if n == nil {
		return q
	}
	switch q.Where.(type) {
	case nil, All:
		q.Where = n
	default:
		q.Where = And{n, q.Where}
	}
	return q
}

// Sort is the order of a page. Ties go by id in the same direction.
type Sort uint8

const (
	NewestFirst         Sort = iota // -timestamp
	OldestFirst                     // timestamp
	ReceivedNewestFirst             // -received_at
	ReceivedOldestFirst             // received_at
)

// Total says how much counting is wanted.
type Total uint8

const (
	TotalBounded Total = iota // exact up to MaxTotal, then "at least"
	TotalExact                // all of them
	TotalNone                 // none
)

// MaxTotal is where a bounded count stops.
const MaxTotal = 10_000

// Position is an entry's place in a sorted result.
type Position struct {
	At time.Time // timestamp or received_at, as the sort says
	ID logentry.ID
}

// Hit is one entry of a result.
type Hit struct {
	Position
}

// Page is a piece of a result.
type Page struct {
	Hits  []Hit
	More  bool  // there is an entry after the last one
	Total int64 // -1 where none was asked for
	Exact bool  // false: there are at least Total
}

// Node is a node of the syntax tree: And, Or, Not, All, Term, Text, Range, Interval, Network, Value or Has.
type Node interface{ node() }

// And matches what all of its nodes match; none matches everything.
type And []Node

// Or matches what one of its nodes matches; none matches nothing.
type Or []Node

// Not matches what its node does not.
type Not struct{ Node Node }

// All matches everything.
type All struct{}

// Term matches a whole value of a field, case as stored, or with Prefix the beginning of one; of Changes one
// of the paths. Severities are Terms with the canonical name, one for each (no Prefix).
type Term struct {
	Field  Field
	Value  string
	Prefix bool
}

// Text matches consecutive tokens within one value: a word (one token), a word that is cut into several,
// or a phrase. Of Field message only in the message; of FieldNone in the message or in one string value
// of the metadata. With Prefix the last token is the beginning of one.
type Text struct {
	Field  Field // FieldNone or Message
	Tokens []string
	Prefix bool
}

// Range matches times of Timestamp or ReceivedAt: From inclusive, To exclusive; a zero end is open.
type Range struct {
	Field    Field
	From, To time.Time

	asked string // the ends as they were asked for where one goes by the clock, as in now-15m
}

// Interval matches numbers between two ends, of which Below and Above say that they themselves do not match;
// an infinite end is open. The numbers are those of SchemaVersion, those of the metadata at Path (Field
// Metadata; one of an array must meet both ends), or the severities from 1 for DEBUG to 5 for CRITICAL.
type Interval struct {
	Field        Field
	Path         string
	From, To     float64
	Above, Below bool // above From, below To
}

// Network matches addresses of a network, those with a zone too. Addresses of IPv4 that are written as IPv6 are
// IPv4: Prefix is masked, and of IPv4 where it is the same.
type Network struct{ Prefix netip.Prefix }

// Value matches what the metadata has at Path, one element of an array is enough: a string as a whole, case as
// stored, or with Prefix the beginning of one. Unless it is Quoted it matches the number, true, false or null
// that its text spells as well.
type Value struct {
	Path   string
	Text   string
	Prefix bool
	Quoted bool
}

// Has matches where a field is there and not empty. Of Field Metadata it is what lies at Path or below: null and
// the empty string are nothing, nor are arrays and objects in which there is nothing.
type Has struct {
	Field Field
	Path  string
}

func (And) node()      {}
func (Or) node()       {}
func (Not) node()      {}
func (All) node()      {}
func (Term) node()     {}
func (Text) node()     {}
func (Range) node()    {}
func (Interval) node() {}
func (Network) node()  {}
func (Value) node()    {}
func (Has) node()      {}

// Field is a field that can be asked for.
type Field uint8

const (
	FieldNone Field = iota // text in the message or the metadata
	Service
	Action
	UserID
	SessionID
	ResourceType
	ResourceID
	UserAgent
	RequestID
	TraceID
	SpanID
	EventID
	EntryID
	Severity
	Timestamp
	ReceivedAt
	IPAddress
	SchemaVersion
	Message
	Changes
	Metadata // never without a path
)
