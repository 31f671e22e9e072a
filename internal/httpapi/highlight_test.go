package httpapi

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/client"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

func TestASearchSaysWhereItsWordsStand(t *testing.T) {
	w := newWorld(t)
	ids := w.put(t, "acme", logentry.Entry{Message: "<b>card</b> 💳 declined", Service: "billing", Metadata: jsontext.Value(`{"a\"b":["x","card"]}`)}, logentry.Entry{Message: "started", Service: "billing"})
	card := `"highlights":{"` + ids[0].String() + `":[{"pointer":"/message","ranges":[[3,7],[15,23]]},{"pointer":"/metadata/a\"b/1","ranges":[[0,4]]}]},"took_ms":`
	reader := authHeader(t, "acme", "reader")
	for name, c := range map[string]struct {
		query, want string
	}{
		"words":                         {"q=card+declined&highlight=true", card},
		"words of the plain search":     {"search=card+declined&highlight=true", card},
		"entries in which none are":     {"q=service:billing&highlight=true", `"meta":{"highlights":{},"took_ms":`},
		"some that are met and not":     {"q=started+OR+nothing&highlight=true", `"highlights":{"` + ids[1].String() + `":[{"pointer":"/message","ranges":[[0,7]]}]}`},
		"no entries":                    {"q=nothing&highlight=true", `{"data":[],"meta":{"highlights":{},"took_ms":`},
		"none are asked":                {"q=card", `"meta":{"took_ms":`},
		"none are wanted":               {"q=card&highlight=false", `"meta":{"took_ms":`},
		"the bound of credentials does": {"highlight=true", `"meta":{"highlights":{},"took_ms":`},
	} {
		header := reader
		if strings.HasPrefix(name, "the bound") {
			header = filtered(t, "card", "reader")
		}
		if a := w.do(t, header, http.MethodGet, "/api/v1/logs?"+c.query, ""); a.status != http.StatusOK || !strings.Contains(string(a.body), c.want) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	for asked, code := range map[string]string{"highlight=1": "value_invalid", "highlight=": "value_invalid", "highlight=true&highlight=true": "repeated_parameter"} {
		if a := w.do(t, reader, http.MethodGet, "/api/v1/logs?"+asked, ""); a.status != http.StatusBadRequest || a.problem().Code != code {
			t.Errorf("%s: %d %s", asked, a.status, a.body)
		}
	}
	if a := w.do(t, reader, http.MethodGet, "/api/v1/logs/stats?highlight=true", ""); a.problem().Code != "unknown_parameter" {
		t.Errorf("stats: %d %s", a.status, a.body)
	}
}

// pkg/client finds in an entry's JSON what is marked in the entry.
func TestTheGoClientReadsHighlights(t *testing.T) {
	w := newWorld(t)
	w.put(t, "acme", logentry.Entry{Message: "💳 card \"declined\"\n→ cards", Metadata: jsontext.Value(`{"a~/b":["x",{"né":"💳💳 card"}],"n":1e400}`)})
	s := httptest.NewServer(w.Handler())
	defer s.Close()
	c, err := client.New(client.Config{URL: s.URL, Token: strings.TrimPrefix(authHeader(t, "acme", "reader").Get("Authorization"), "Bearer "), HTTPClient: s.Client()})
	must(t, err)
	var marked []string
	for h, err := range c.SearchHits(t.Context(), client.Query{Q: "card* declined"}) {
		must(t, err)
		for _, l := range h.Highlights {
			for _, r := range l.Ranges {
				marked = append(marked, l.Pointer+" "+l.Text[r[0]:r[1]])
			}
		}
	}
	if want := []string{"/message card", "/message declined", "/message cards", "/metadata/a~0~1b/1/né card"}; !slices.Equal(marked, want) {
		t.Errorf("marked %q, want %q", marked, want)
	}
}

func TestHighlightsEndAfterSoMuchText(t *testing.T) {
	var found []logentry.Record
	for range 3 {
		found = append(found, logentry.Record{Entry: logentry.Entry{Message: "a" + strings.Repeat(" ", maxHighlighted/2-1)}})
	}
	b, err := appendHighlights(nil, query.Text{Tokens: []string{"a"}}, found)
	must(t, err)
	if strings.Count(string(b), `"/message"`) != 2 || !strings.HasSuffix(string(b), `},"highlights_truncated":true,`) {
		t.Errorf("%s", b)
	}
}
