package httpapi

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// maxHighlighted is how many bytes of messages and metadata are looked through for the highlights of a page.
const maxHighlighted = 16 << 20

// highlighted reads whether highlights are asked for.
func highlighted(params query.Params) (bool, error) {
	values := params[highlightParam]
	if len(values) > 1 {
		return false, badParameter(highlightParam, "repeated_parameter", "this parameter may be there only once")
	}
	if len(values) == 0 || values[0] == "false" {
		return false, nil
	}
	if values[0] != "true" {
		return false, badParameter(highlightParam, "value_invalid", "highlight is true or false")
	}
	return true, nil
}

const highlightParam = "highlight"

// appendHighlights appends the places in a page's entries where the words of a question stand, by the entries' ids:
// as places and never as text, so that whoever shows them decides what is markup. They are worked out here and not by
// the index, so that they are the same whatever answered. An entry in which none are is left out. Past maxHighlighted
// bytes the rest is left out too, and the answer says so.
func appendHighlights(b []byte, where query.Node, found []logentry.Record) ([]byte, error) {
	b = append(b, `"highlights":{`...)
	read, any, truncated := 0, false, false
	for i := range found {
		e := &found[i].Entry
		if read += len(e.Message) + len(e.Metadata); read > maxHighlighted {
			truncated = true
			break
		}
		marked := query.Highlight(where, e)
		if len(marked) == 0 {
			continue
		}
		if any {
			b = append(b, ',')
		}
		any = true
		b = append(append(append(b, '"'), e.ID.String()...), `":[`...)
		for i, m := range marked {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, `{"pointer":`...)
			var err error
			if b, err = jsontext.AppendQuote(b, m.Pointer); err != nil {
				return nil, err
			}
			b = appendRanges(append(b, `,"ranges":`...), m.Ranges)
			b = append(b, '}')
		}
		b = append(b, ']')
	}
	b = append(b, '}')
	if truncated {
		b = append(b, `,"highlights_truncated":true`...)
	}
	return append(b, ','), nil
}

// appendRanges appends [[from,to],…].
func appendRanges(b []byte, ranges [][2]int) []byte {
	b = append(b, '[')
	for i, r := range ranges {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(append(b, '['), int64(r[0]), 10)
		b = strconv.AppendInt(append(b, ','), int64(r[1]), 10)
		b = append(b, ']')
	}
	return append(b, ']')
}
