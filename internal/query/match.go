package query

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// Match tells whether the entry is what n asks for; a nil node asks for everything. It is the meaning of
// the tree: an index finds exactly the entries that it is true for.
func Match(n Node, e *logentry.Entry) bool {
	switch n := n.(type) {
	case nil, All:
		return true
	case And:
		for _, c := range n {
			if !Match(c, e) {
				return false
			}
		}
		return true
	case Or:
		for _, c := range n {
			if Match(c, e) {
				return true
			}
		}
		return false
	case Not:
		return !Match(n.Node, e)
	case Term:
		return matchTerm(n, e)
	case Text:
		return matchText(n, e)
	case Range:
		return matchRange(n, e)
	case Interval:
		return matchInterval(n, e)
	case Network:
		return matchNetwork(n, e.IPAddress)
	case Value:
		return anyPair(e, onPair(n))
	case Has:
		return matchHas(n, e)
	}
	return false
}

// onPair is what n asks of a pair of the metadata; nil where it asks for something else.
func onPair(n Node) func(Pair) bool {
	switch n := n.(type) {
	case Value:
		number, numeric := n.AsNumber()
		return func(p Pair) bool { return p.equals(&n, number, numeric) }
	case Interval:
		if n.Field == Metadata {
			return func(p Pair) bool { return p.Path == n.Path && p.Kind == PairNumber && n.Has(Number(p.Text)) }
		}
	case Has:
		if n.Field == Metadata {
			return func(p Pair) bool { return p.Present() && p.Within(n.Path) }
		}
	}
	return nil
}

// anyPair tells whether a pair of the metadata is one that is asked for.
func anyPair(e *logentry.Entry, is func(p Pair) bool) (found bool) {
	if len(e.Metadata) > 0 {
		Pairs(e.Metadata, func(p Pair) bool {
			found = is(p)
			return !found
		})
	}
	return found
}

func matchInterval(n Interval, e *logentry.Entry) bool {
	switch n.Field {
	case Severity:
		return e.Severity != 0 && n.Has(float64(e.Severity))
	case SchemaVersion:
		return n.Has(float64(e.SchemaVersion))
	case Metadata:
		return anyPair(e, onPair(n))
	}
	return false
}

func matchNetwork(n Network, address string) bool {
	a, err := netip.ParseAddr(address)
	if err != nil || !n.Prefix.IsValid() {
		return false
	}
	first, bits := n.Bits()
	b := a.As16()
	for i := 0; bits > 0; i, bits = i+1, bits-8 {
		if (first[i]^b[i])>>max(0, 8-bits) != 0 {
			return false
		}
	}
	return true
}

func matchHas(h Has, e *logentry.Entry) bool {
	switch h.Field {
	case Metadata:
		return anyPair(e, onPair(h))
	case Severity:
		return e.Severity != 0
	case EntryID, Timestamp, ReceivedAt, SchemaVersion:
		return true // an entry without is none
	case IPAddress:
		return e.IPAddress != ""
	case Message:
		return e.Message != ""
	case Changes:
		return len(e.Changes) > 0
	}
	return valueOf(h.Field, e) != ""
}

// valueOf is the value of a field that has a whole one, but the address and the changes.
func valueOf(f Field, e *logentry.Entry) string {
	switch f {
	case Service:
		return e.Service
	case Action:
		return e.Action
	case UserID:
		return e.UserID
	case SessionID:
		return e.SessionID
	case ResourceType:
		return e.ResourceType
	case ResourceID:
		return e.ResourceID
	case UserAgent:
		return e.UserAgent
	case RequestID:
		return e.RequestID
	case TraceID:
		return e.TraceID
	case SpanID:
		return e.SpanID
	case EventID:
		return e.EventID
	case EntryID:
		return e.ID.String()
	case Severity:
		return e.Severity.String()
	case SchemaVersion:
		return strconv.Itoa(e.SchemaVersion)
	}
	return ""
}

func matchTerm(t Term, e *logentry.Entry) bool {
	switch t.Field {
	case IPAddress:
		return matchAddress(t.Value, e.IPAddress)
	case Changes:
		return slices.ContainsFunc(e.Changes, func(path string) bool { return len(path) <= MaxChange && t.is(path) })
	}
	return t.is(valueOf(t.Field, e))
}

// is compares one value.
func (t Term) is(have string) bool {
	if have == "" {
		return false // an absent field has no value, not an empty one
	}
	if t.Prefix {
		return strings.HasPrefix(have, t.Value)
	}
	return have == t.Value
}

func matchAddress(want, have string) bool {
	if have == "" {
		return false
	}
	a, ok := Address(want)
	b, is := Address(have)
	return ok && is && a == b
}

func matchText(t Text, e *logentry.Entry) bool {
	if len(t.Tokens) == 0 {
		return false
	}
	var tokens []string
	found := false
	Texts(e, func(f Field, text string) bool {
		if t.Field == Message && f != Message {
			return false
		}
		tokens = AppendTokens(tokens[:0], text)
		found = matchPhrase(t, tokens)
		return !found
	})
	return found
}

// matchPhrase tells whether the tokens of t follow each other somewhere in have.
func matchPhrase(t Text, have []string) bool {
	last := len(t.Tokens) - 1
next:
	for ; len(have) > last; have = have[1:] {
		for i, want := range t.Tokens {
			switch {
			case have[i] == want:
			case t.Prefix && i == last && strings.HasPrefix(have[i], want):
			default:
				continue next
			}
		}
		return true
	}
	return false
}

func matchRange(r Range, e *logentry.Entry) bool {
	var at time.Time
	switch r.Field {
	case Timestamp:
		at = e.Timestamp
	case ReceivedAt:
		at = e.ReceivedAt
	default:
		return false
	}
	return (r.From.IsZero() || !at.Before(r.From)) && (r.To.IsZero() || at.Before(r.To))
}
