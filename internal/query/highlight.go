package query

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// MaxRanges is how many ranges are marked in one entry: the first ones, the message's before those of the metadata.
const MaxRanges = 100

// maxCompared is how many tokens are compared for one entry at most: a long phrase of one word could take long in a
// text of that word. What comes behind is not marked.
const maxCompared = 20_000

// Marked is a text of an entry with the places in it where the words and phrases of a question stand.
type Marked struct {
	Pointer string   // JSON pointer of the text in the entry
	Ranges  [][2]int // from and to, in UTF-16 code units of the text; in order, none in another
}

// Highlight marks in an entry that n matches the words and phrases of text by which it does: whole tokens, also of a
// prefix, and of a phrase all from its first token to its last. What n excludes is not marked, nor is what stands in an
// alternative that the entry does not meet. Fields that are compared as a whole are not text.
func Highlight(n Node, e *logentry.Entry) []Marked {
	var wanted phrases
	wanted.collect(n, e, false)
	if len(wanted.all) == 0 {
		return nil
	}
	room := MaxRanges
	var marked []Marked
	if ranges := wanted.in(e.Message, Message, room); len(ranges) > 0 {
		marked = append(marked, Marked{Pointer: "/message", Ranges: ranges})
		room -= len(ranges)
	}
	if len(e.Metadata) == 0 || !wanted.anywhere {
		return marked
	}
	var pointers []string
	Pairs(e.Metadata, func(p Pair) bool {
		if p.Kind > PairCut {
			return true
		}
		ranges := wanted.in(p.Text, FieldNone, room)
		if len(ranges) == 0 {
			return true
		}
		if pointers == nil {
			pointers = scalarPointers(e.Metadata)
		}
		if p.number > len(pointers) {
			return false // not the JSON that it should be
		}
		marked = append(marked, Marked{Pointer: "/metadata" + pointers[p.number-1], Ranges: ranges})
		room -= len(ranges)
		return room > 0
	})
	return marked
}

// phrases are the texts that are looked for, by their first tokens.
type phrases struct {
	all      []Text
	anywhere bool           // one is not of the message alone
	compared int            // tokens so far
	first    map[string]int // tokens that one begins with, those of one that is a prefix alone apart
	prefixes []string
}

// collect takes the texts by which n matches e, or by which it does not, where n is excluded.
func (w *phrases) collect(n Node, e *logentry.Entry, excluded bool) {
	switch n := n.(type) {
	case And:
		for _, c := range n {
			w.collect(c, e, excluded)
		}
	case Or:
		for _, c := range n {
			if excluded || Match(c, e) {
				w.collect(c, e, excluded)
			}
		}
	case Not:
		w.collect(n.Node, e, !excluded)
	case Text:
		if excluded || len(n.Tokens) == 0 {
			return
		}
		w.all = append(w.all, n)
		w.anywhere = w.anywhere || n.Field != Message
		if n.Prefix && len(n.Tokens) == 1 {
			w.prefixes = append(w.prefixes, n.Tokens[0])
			return
		}
		if w.first == nil {
			w.first = map[string]int{}
		}
		w.first[n.Tokens[0]]++
	}
}

// begins says whether one may begin with a token.
func (w *phrases) begins(token string) bool {
	if w.first[token] > 0 {
		return true
	}
	return slices.ContainsFunc(w.prefixes, func(prefix string) bool { return strings.HasPrefix(token, prefix) })
}

// in are the first ranges of a text of a field, at most room of them.
func (w *phrases) in(text string, f Field, room int) [][2]int {
	if text == "" || room == 0 {
		return nil
	}
	tokens, places := tokenPlaces(text)
	var ranges [][2]int
	for i, token := range tokens {
		if !w.begins(token) {
			continue
		}
		if w.compared >= maxCompared {
			break
		}
		end := 0
		for _, t := range w.all {
			last := i + len(t.Tokens) - 1
			if t.Field == Message && f != Message || last >= len(tokens) {
				continue
			}
			w.compared += len(t.Tokens)
			if matchPhrase(t, tokens[i:last+1]) {
				end = max(end, places[last][1])
			}
		}
		if end == 0 {
			continue
		}
		if last := len(ranges) - 1; last >= 0 && places[i][0] < ranges[last][1] {
			ranges[last][1] = max(ranges[last][1], end)
			continue
		}
		if len(ranges) == room {
			break
		}
		ranges = append(ranges, [2]int{places[i][0], end})
	}
	return ranges
}

// tokenPlaces are the tokens of s, as Tokens cuts them, and where they stand in it, in UTF-16 code units. A letter
// has one lower case of one character, so that both have the same characters.
func tokenPlaces(s string) (tokens []string, places [][2]int) {
	tokens = Tokens(s)
	places = make([][2]int, 0, len(tokens))
	at, start, cut, length := 0, -1, 0, 0
	for _, r := range s {
		lower := unicode.ToLower(r)
		inside := unicode.IsLetter(lower) || unicode.IsNumber(lower)
		switch {
		case inside && start < 0:
			start, length = at, 0
		case !inside && start >= 0:
			places = append(places, [2]int{start, cut})
			start = -1
		}
		at += max(1, utf16.RuneLen(r))
		if inside {
			if length++; length <= MaxToken {
				cut = at
			}
		}
	}
	if start >= 0 {
		places = append(places, [2]int{start, cut})
	}
	return tokens, places
}

// scalarPointers are the JSON pointers of the scalars of a document, in its order.
func scalarPointers(doc jsontext.Value) []string {
	var pointers []string
	d := jsontext.NewDecoder(strings.NewReader(string(doc)), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for {
		isName := false
		if kind, n := d.StackIndex(d.StackDepth()); kind == '{' && n%2 == 0 {
			isName = true // or the end
		}
		token, err := d.ReadToken()
		if err != nil {
			return pointers
		}
		switch token.Kind() {
		case '{', '}', '[', ']':
		default:
			if !isName {
				pointers = append(pointers, string(d.StackPointer()))
			}
		}
	}
}
