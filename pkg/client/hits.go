package client

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// Hit is an entry that was found, and where in it the words and phrases of the question stand.
type Hit struct {
	Entry      logentry.Entry
	Highlights []Highlight // in the order of the entry; none where the question has no words or they are not in its texts

	// Truncated says that Highlights may be missing: the service looks through 16 MiB of text in a page, and this entry
	// may be behind that. With a smaller Page it is not.
	Truncated bool
}

// Highlight is a text of an entry with the places in it where words and phrases of the question stand.
type Highlight struct {
	Pointer string   // the text's JSON pointer in the entry, such as /message or /metadata/order/note
	Text    string   // the whole text
	Ranges  [][2]int // Text[r[0]:r[1]] is such a place; in order, none in another
}

// SearchHits is Search, and says of each entry where the words and phrases of the question stand: of Q, and of the
// parameter search. A prefix marks the whole word, a phrase all from its first word to its last. What the question
// excludes is not marked, nor are fields that are compared as a whole. An entry has at most 100 ranges.
func (c *Client) SearchHits(ctx context.Context, q Query) iter.Seq2[Hit, error] {
	return func(yield func(Hit, error) bool) {
		params := q.searchParams()
		params.Set("highlight", "true")
		for p, err := range c.pages(ctx, params) {
			if err != nil {
				yield(Hit{}, err)
				return
			}
			hits, err := p.hits()
			for _, h := range hits {
				if !yield(h, nil) {
					return
				}
			}
			if err != nil {
				yield(Hit{}, err)
				return
			}
		}
	}
}

// place is a Highlight as the service answers it.
type place struct {
	Pointer string   `json:"pointer"`
	Ranges  [][2]int `json:"ranges"` // in UTF-16 code units
}

// hits are those of a page, up to the first that can't be read.
func (p *page) hits() (hits []Hit, err error) {
	for _, text := range p.Data {
		e, err := entryOf(text)
		if err != nil {
			return hits, err
		}
		h := Hit{Entry: e}
		if h.Highlights, err = highlights(text, p.Meta.Highlights[e.ID.String()]); err != nil {
			return hits, err
		}
		hits = append(hits, h)
	}
	for i := len(hits) - 1; i >= 0 && p.Meta.Truncated && hits[i].Highlights == nil; i-- {
		hits[i].Truncated = true // what is before one that has highlights was looked through
	}
	return hits, nil
}

// highlights finds the texts of the places in an entry's JSON.
func highlights(entry []byte, places []place) (found []Highlight, err error) {
	if len(places) == 0 {
		return nil, nil
	}
	var whole any
	d := json.NewDecoder(bytes.NewReader(entry))
	d.UseNumber() // a number need not fit into a float64
	if err := d.Decode(&whole); err != nil {
		return nil, err
	}
	for _, p := range places {
		text, is := at(whole, p.Pointer).(string)
		ranges, within := inBytes(text, p.Ranges)
		if !is || !within {
			return nil, &Problem{Status: http.StatusOK, Code: "answer_invalid", Detail: "a highlight is at a place that its entry does not have"}
		}
		found = append(found, Highlight{Pointer: p.Pointer, Text: text, Ranges: ranges})
	}
	return found, nil
}

var unescape = strings.NewReplacer("~1", "/", "~0", "~")

// at is the value at a JSON pointer; nil where there is none.
func at(value any, pointer string) any {
	for name := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		switch inside := value.(type) {
		case map[string]any:
			value = inside[unescape.Replace(name)]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(inside) {
				return nil
			}
			value = inside[i]
		default:
			return nil
		}
	}
	return value
}

// inBytes are ranges of UTF-16 code units as ranges of bytes; false where one is not of this text.
func inBytes(text string, units [][2]int) ([][2]int, bool) {
	ranges := slices.Clone(units)
	unit, here := 0, 0 // the same place
	for i := range ranges {
		for j, want := range units[i] {
			for unit < want && here < len(text) {
				r, size := utf8.DecodeRuneInString(text[here:])
				unit, here = unit+utf16.RuneLen(r), here+size
			}
			if unit != want {
				return nil, false
			}
			ranges[i][j] = here
		}
	}
	return ranges, true
}
