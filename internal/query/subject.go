package query

import (
	"slices"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// Subject is an entry that many trees are compared with: its words and its metadata are taken apart once, when the first
// of them asks for that. It is for one goroutine, and the entry must not change.
type Subject struct {
	Entry *logentry.Entry

	inWords bool
	tokens  []string // of all texts
	texts   []subjectText

	inPairs bool
	pairs   []Pair
}

// subjectText is the stretch of the tokens that are those of one text.
type subjectText struct {
	field    Field
	from, to int
}

// Match is Match of the entry.
func (s *Subject) Match(n Node) bool {
	switch n := n.(type) {
	case And:
		return !slices.ContainsFunc(n, func(c Node) bool { return !s.Match(c) })
	case Or:
		return slices.ContainsFunc(n, s.Match)
	case Not:
		return !s.Match(n.Node)
	case Text:
		return s.words(n)
	case Value, Interval, Has:
		if is := onPair(n); is != nil {
			return s.anyPair(is)
		}
	}
	return Match(n, s.Entry)
}

func (s *Subject) words(t Text) bool {
	if len(t.Tokens) == 0 {
		return false
	}
	if !s.inWords {
		s.inWords = true
		Texts(s.Entry, func(f Field, text string) bool {
			from := len(s.tokens)
			s.tokens = AppendTokens(s.tokens, text)
			s.texts = append(s.texts, subjectText{f, from, len(s.tokens)})
			return true
		})
	}
	for _, text := range s.texts {
		if (t.Field != Message || text.field == Message) && matchPhrase(t, s.tokens[text.from:text.to]) {
			return true
		}
	}
	return false
}

func (s *Subject) anyPair(is func(Pair) bool) bool {
	if !s.inPairs {
		s.inPairs = true
		if len(s.Entry.Metadata) > 0 {
			Pairs(s.Entry.Metadata, func(p Pair) bool {
				s.pairs = append(s.pairs, p)
				return true
			})
		}
	}
	return slices.ContainsFunc(s.pairs, is)
}
