package client

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// found is an answer to a search for highlights.
func found(next, meta string, entries ...logentry.Entry) http.HandlerFunc {
	lines := make([]string, len(entries))
	for i := range entries {
		e := &entries[i]
		e.ID, e.SchemaVersion = logentry.KeyedID("acme", e.Message, 0, nil), 1
		lines[i] = string(logentry.AppendJSON(nil, e))
		meta = strings.ReplaceAll(meta, "ID:"+e.Message, e.ID.String())
	}
	return says(200, `{"data":[`+strings.Join(lines, ",")+`],"meta":{`+meta+`,"pagination":{"next_cursor":`+next+`}}}`)
}

func TestHitsHaveTheTextsOfTheirHighlights(t *testing.T) {
	const nested = `{"big":1e999,"a/b~":["x",{"":"👍 ok"}]}`
	a := ask(t,
		found(`"c1"`, `"highlights":{"ID:💳é card":[{"pointer":"/message","ranges":[[0,2],[4,8]]},{"pointer":"/metadata/a~1b~0/1/","ranges":[[3,5]]}]}`,
			logentry.Entry{Message: "💳é card", Metadata: []byte(nested)}, logentry.Entry{Message: "without"}),
		found(`null`, `"highlights":{"ID:b":[{"pointer":"/message","ranges":[[0,1]]}]},"highlights_truncated":true`,
			logentry.Entry{Message: "a"}, logentry.Entry{Message: "b"}, logentry.Entry{Message: "c"}))
	type seen struct {
		message   string
		marked    []string
		truncated bool
	}
	var have []seen
	for h, err := range clientOf(t, a.URL).SearchHits(soon(t), Query{Q: "x", Page: 3}) {
		must(t, err)
		s := seen{message: h.Entry.Message, truncated: h.Truncated}
		for _, l := range h.Highlights {
			for _, r := range l.Ranges {
				s.marked = append(s.marked, l.Pointer+" "+l.Text[r[0]:r[1]])
			}
		}
		have = append(have, s)
	}
	want := []seen{{"💳é card", []string{"/message 💳", "/message card", "/metadata/a~1b~0/1/ ok"}, false}, {"without", nil, false},
		{"a", nil, false}, {"b", []string{"/message b"}, false}, {"c", nil, true}}
	if !reflect.DeepEqual(have, want) {
		t.Errorf("have %+v\nwant %+v", have, want)
	}
	for i, r := range a.all() {
		if q := r.URL.Query(); q.Get("highlight") != "true" || q.Get("limit") != "3" || q.Get("cursor") != []string{"", "c1"}[i] {
			t.Errorf("request %d asks for %v", i, q)
		}
	}
}

func TestAHighlightThatItsEntryDoesNotHave(t *testing.T) {
	for name, place := range map[string]string{
		"no such member":            `{"pointer":"/metadata/x","ranges":[[0,1]]}`,
		"no such element":           `{"pointer":"/metadata/a/1","ranges":[[0,1]]}`,
		"no element's number":       `{"pointer":"/metadata/a/-","ranges":[[0,1]]}`,
		"below a text":              `{"pointer":"/message/x","ranges":[[0,1]]}`,
		"not a text":                `{"pointer":"/metadata","ranges":[[0,1]]}`,
		"behind the text":           `{"pointer":"/message","ranges":[[0,9]]}`,
		"before its beginning":      `{"pointer":"/message","ranges":[[-1,1]]}`,
		"in the middle of a letter": `{"pointer":"/message","ranges":[[0,2]]}`,
		"backwards":                 `{"pointer":"/message","ranges":[[1,0]]}`,
	} {
		a := ask(t, found(`"c1"`, `"highlights":{"ID:a💳":[`+place+`]}`, logentry.Entry{Message: "first"}, logentry.Entry{Message: "a💳", Metadata: []byte(`{"a":["x"]}`)}))
		n, last := 0, error(nil)
		for h, err := range clientOf(t, a.URL).SearchHits(soon(t), Query{}) {
			if n, last = n+1, err; n == 1 && h.Entry.Message != "first" {
				t.Errorf("%s: first comes %+v", name, h)
			}
		}
		if p, ok := errors.AsType[*Problem](last); n != 2 || !ok || p.Code != "answer_invalid" {
			t.Errorf("%s: %d, %v", name, n, last)
		}
	}
}

func TestASearchForHitsEnds(t *testing.T) {
	a := ask(t, saysPage(`"c1"`, "a", "b"), saysPage(`"c1"`, "a"), says(403, `{"code":"insufficient_role"}`))
	c := clientOf(t, a.URL)
	for h, err := range c.SearchHits(soon(t), Query{}) {
		if must(t, err); h.Entry.Message == "b" {
			break
		}
	}
	n, last := 0, error(nil)
	for _, err := range c.SearchHits(soon(t), Query{}) {
		n, last = n+1, err
	}
	if p, ok := errors.AsType[*Problem](last); n != 2 || !ok || p.Code != "insufficient_role" {
		t.Errorf("%d, %v", n, last)
	}
}
