package query

import (
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
	}
	return false
}

func matchTerm(t Term, e *logentry.Entry) bool {
	var have string
	switch t.Field {
	case Service:
		have = e.Service
	case Action:
		have = e.Action
	case UserID:
		have = e.UserID
	case SessionID:
		have = e.SessionID
	case ResourceType:
		have = e.ResourceType
	case ResourceID:
		have = e.ResourceID
	case UserAgent:
		have = e.UserAgent
	case RequestID:
		have = e.RequestID
	case TraceID:
		have = e.TraceID
	case SpanID:
		have = e.SpanID
	case EventID:
		have = e.EventID
	case EntryID:
		have = e.ID.String()
	case Severity:
		have = e.Severity.String()
	case SchemaVersion:
		have = strconv.Itoa(e.SchemaVersion)
	case IPAddress:
		return matchAddress(t.Value, e.IPAddress)
	}
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
