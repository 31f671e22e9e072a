package search_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

func TestGoldenSearches(t *testing.T) {
	noon := time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)
	word := func(tokens ...string) query.Text { return query.Text{Tokens: tokens} }
	begin := func(tokens ...string) query.Text { return query.Text{Tokens: tokens, Prefix: true} }
	term := func(f query.Field, v string) query.Term { return query.Term{Field: f, Value: v} }
	prefix := func(f query.Field, v string) query.Term { return query.Term{Field: f, Value: v, Prefix: true} }
	between := func(from, to time.Time) query.Range { return query.Range{Field: query.Timestamp, From: from, To: to} }
	id := logentry.ID{0: 1, 6: 0x70, 15: 0xff}
	var b strings.Builder
	for _, c := range []struct {
		name string
		q    query.Query
	}{
		{"everything", query.Query{}},
		{"the oldest, all counted", query.Query{Sort: query.OldestFirst, Total: query.TotalExact}},
		{"by receipt, uncounted, behind others", query.Query{Sort: query.ReceivedNewestFirst, Total: query.TotalNone, Skip: 10_000}},
		{"the oldest received, after an entry", query.Query{Sort: query.ReceivedOldestFirst, After: &query.Position{At: noon.Add(7), ID: id}}},
		{"after an entry before 1970", query.Query{After: &query.Position{At: time.Unix(-5, 0)}}},
		{"a word", query.Query{Where: word("payment")}},
		{"a word of the message", query.Query{Where: query.Text{Field: query.Message, Tokens: []string{"payment"}}}},
		{"a phrase", query.Query{Where: word("user", "id", "東京都")}},
		{"the beginning of a word", query.Query{Where: begin("pay")}},
		{"a phrase that ends in a beginning", query.Query{Where: begin("user", "i")}},
		{"no words", query.Query{Where: word()}},
		{"what is no word", query.Query{Where: word(`same" OR "x`)}},
		{"a word that is longer than any", query.Query{Where: word(strings.Repeat("é", 129))}},
		{"values", query.Query{Where: query.And{term(query.Service, `a"b\`), prefix(query.UserAgent, "Moz*"), term(query.Severity, "ERROR"), term(query.SchemaVersion, "7")}}},
		{"no values", query.Query{Where: query.Or{term(query.Service, ""), term(query.Severity, "error"), term(query.SchemaVersion, "07"), term(query.Message, "x"), term(query.EntryID, "x")}}},
		{"any value", query.Query{Where: query.Or{prefix(query.Service, ""), prefix(query.Severity, "")}}},
		{"numbers that begin with a digit", query.Query{Where: prefix(query.SchemaVersion, "21")}},
		{"addresses", query.Query{Where: query.Or{term(query.IPAddress, "::ffff:10.0.0.1"), term(query.IPAddress, "FE80::1%eth0"), term(query.IPAddress, "nonsense")}}},
		{"an id", query.Query{Where: term(query.EntryID, id.String())}},
		{"the beginning of an id", query.Query{Where: prefix(query.EntryID, "8100000")}},
		{"a long beginning of an id", query.Query{Where: prefix(query.EntryID, id.String()[:28])}},
		{"a whole id as a beginning", query.Query{Where: prefix(query.EntryID, id.String())}},
		{"the beginning of no id", query.Query{Where: prefix(query.EntryID, "0-")}},
		{"times", query.Query{Where: between(noon, noon.Add(time.Millisecond+1))}},
		{"times without ends", query.Query{Where: query.Or{between(time.Time{}, noon), between(noon, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))}}},
		{"all times", query.Query{Where: between(time.Time{}.Add(1), time.Time{})}},
		{"no times", query.Query{Where: query.Or{between(noon, noon), between(time.Time{}, time.Unix(0, 0)), between(time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC), time.Time{})}}},
		{"not", query.Query{Where: query.Not{Node: word("a")}}},
		{"not not", query.Query{Where: query.Not{Node: query.Not{Node: word("a")}}}},
		{"this or not that", query.Query{Where: query.Or{word("a"), query.Not{Node: word("b")}}}},
		{"neither", query.Query{Where: query.And{query.Not{Node: word("a")}, query.Not{Node: word("b")}}}},
		{"nested", query.Query{Where: query.And{query.Or{term(query.Service, "a"), term(query.Service, "b")}, query.Not{Node: query.And{word("a"), query.All{}}}, query.Or{query.All{}, word("c")}}}},
		{"no alternative", query.Query{Where: query.Or{}}},
		{"no condition", query.Query{Where: query.And{}}},
	} {
		c.q.Limit = 50
		fmt.Fprintf(&b, "%s\n%s\n\n", c.name, search.SearchBody("qivthlmhyfek", c.q))
	}
	for _, c := range valueNodes() {
		fmt.Fprintf(&b, "%s\n%s\n\n", c.name, search.SearchBody("qivthlmhyfek", query.Query{Where: c.node, Limit: 50}))
	}
	golden(t, "opensearch_search.golden", b.String())
}

// TestTheTenantIsAlwaysTheFirstCondition, and what a reader writes never becomes structure.
func TestTheTenantIsAlwaysTheFirstCondition(t *testing.T) {
	m := newMaker(32)
	for n := range 3000 {
		e := m.entry()
		body := search.SearchBody("qivthlmhyfek", query.Query{Where: m.node(&e, n%5), Limit: 1})
		if body == "nothing" {
			continue
		}
		if !strings.HasPrefix(body, `{"query":{"bool":{"filter":[{"term":{"tenant_id":"qivthlmhyfek"}}`) || !jsontext.Value(body).IsValid() {
			t.Fatal(body)
		}
		for _, word := range []string{"should", "tenant_id", "query_string", "regexp", "wildcard", "script"} {
			if strings.Contains(strings.ReplaceAll(body, `"should"`, ""), `"`+word+`"`) && word != "tenant_id" {
				t.Fatalf("%s in %s", word, body)
			}
		}
		if strings.Count(body, `"tenant_id"`) != 1 {
			t.Fatal(body)
		}
	}
}

// FuzzText: the index cuts texts as query.Tokens does.
func FuzzText(f *testing.F) {
	for _, w := range words {
		f.Add(w)
	}
	f.Add(strings.Repeat("a", 128) + strings.Repeat("B", 3) + " " + strings.Repeat("𝒳", 200))
	f.Add("a\x00b\xffc\u0085d\u2028e\u3000f\u1680g")
	f.Fuzz(func(t *testing.T, text string) {
		if got, want := search.IndexedText(text), query.Tokens(text); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	})
}

func TestHalvesSortAsIDs(t *testing.T) {
	m := newMaker(33)
	for range 2000 {
		a, b := m.id(), m.id()
		if m.IntN(2) == 0 {
			copy(b[:], a[:m.IntN(16)])
		}
		ah, al := search.SortHalves(a)
		bh, bl := search.SortHalves(b)
		if search.IDOf(ah, al) != a {
			t.Fatalf("%s comes back as %s", a, search.IDOf(ah, al))
		}
		if (ah < bh || ah == bh && al < bl) != (a.String() < b.String()) {
			t.Fatalf("%s and %s sort as %d %d and %d %d", a, b, ah, al, bh, bl)
		}
	}
}
