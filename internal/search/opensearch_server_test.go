package search_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/internal/telemetry"
)

// TestOpenSearchPhrasesThatEndInABeginning has a beginning stand for more words than most queries of
// OpenSearch expand to: 50, 128 and 1,024.
func TestOpenSearchPhrasesThatEndInABeginning(t *testing.T) {
	x := openOpenSearch(t, openSearchURL(t), search.OpenSearchConfig{})
	records := oneDay(3000)
	for i := range records {
		e := &records[i].Entry
		e.TenantID, e.Message, e.Metadata = authtest.TenantID("acme"), fmt.Sprintf("user x%d and y", i), jsontext.Value(fmt.Sprintf(`{"a":["user","z%d user z%d"]}`, i, i))
	}
	mustAdd(t, x, records)
	x.settle(t)
	for _, where := range []query.Node{
		query.Text{Tokens: []string{"user", "x"}, Prefix: true}, query.Text{Tokens: []string{"user", "x1"}, Prefix: true}, query.Text{Tokens: []string{"user", "z"}, Prefix: true},
		query.Text{Field: query.Message, Tokens: []string{"user", "z"}, Prefix: true}, query.Text{Tokens: []string{"x"}, Prefix: true}, query.Text{Tokens: []string{"user", "user"}, Prefix: true},
	} {
		walk(t, x, "acme", query.Query{Where: where, Limit: 1000, Total: query.TotalExact}, expected(records, "acme", where, query.NewestFirst))
	}
}

// TestOpenSearchKeepsAnEntryInTheIndexOfItsDay counts past the code under test.
func TestOpenSearchKeepsAnEntryInTheIndexOfItsDay(t *testing.T) {
	url := openSearchURL(t)
	x := openOpenSearch(t, url, search.OpenSearchConfig{Gzip: true, Prefix: "test-days-" + rand12()})
	records := oneDay(300)
	for i := range records {
		records[i].ReceivedAt = time.Date(2026, 11, 3, 23, 59, 59, 999_999_850+i, time.UTC) // 150 each
	}
	for from := 0; from < 300; from += 100 {
		mustAdd(t, x, records[from:from+100])
		mustAdd(t, x, slices.Concat(records[:50], records[250:]))
	}
	x.settle(t)
	prefix := x.Index.(*search.OpenSearch).Prefix()
	for _, day := range []string{"2026.11.03", "2026.11.04"} {
		if _, answer := ask(t, "GET", url+"/"+prefix+"-"+day+"/_count?filter_path=count", ""); answer != `{"count":150}` {
			t.Errorf("%s: %s", day, answer)
		}
	}
	_, answer := ask(t, "GET", url+"/"+prefix+"-2026.11.03/_mapping", "")
	if !strings.Contains(answer, `"dynamic":"false"`) || strings.Contains(answer, `"dynamic":"true"`) {
		t.Errorf("the mapping is %s", answer)
	}
}

func TestOpenSearchUpgradesWhatIsThere(t *testing.T) {
	url := openSearchURL(t)
	x := openOpenSearch(t, url, search.OpenSearchConfig{})
	o := x.Index.(*search.OpenSearch)
	mustAdd(t, x, oneDay(1))
	index := url + "/" + o.Prefix() + "-2026.11.03/_mapping?filter_path=*.mappings._meta.ocelot_version"
	for _, c := range []struct {
		name          string
		version, want int
	}{{"ours", 2, 2}, {"a newer one", 3, 3}, {"the older one again", 2, 3}} {
		o.SetVersion(c.version)
		for range 2 {
			if err := o.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		_, template := ask(t, "GET", url+"/_index_template/"+o.Prefix()+"?filter_path=index_templates.index_template.version", "")
		_, mapping := ask(t, "GET", index, "")
		if !strings.Contains(template, fmt.Sprintf(`"version":%d`, c.want)) || !strings.Contains(mapping, fmt.Sprintf(`"ocelot_version":%d`, c.want)) {
			t.Errorf("after %s: %s, %s", c.name, template, mapping)
		}
		mustAdd(t, x, oneDay(3))
	}
}

func TestOpenSearchLeavesWhatIsNotItsOwn(t *testing.T) {
	url := openSearchURL(t)
	t.Run("an index of somebody where one of ours belongs", func(t *testing.T) {
		x := openOpenSearch(t, url, search.OpenSearchConfig{})
		o := x.Index.(*search.OpenSearch)
		ask(t, "DELETE", url+"/_index_template/"+o.Prefix(), "")
		if status, answer := ask(t, "PUT", url+"/"+o.Prefix()+"-2026.11.03", `{"settings":{"number_of_replicas":0}}`); status != http.StatusOK {
			t.Fatal(answer)
		}
		_, err := x.Add(t.Context(), oneDay(1))
		if f := fault.Of(err); f == nil || f.Kind != fault.Unavailable || f.Code != "opensearch_foreign_index" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("an index in the place of the alias", func(t *testing.T) {
		prefix := "test-alias-" + rand12()
		if status, answer := ask(t, "PUT", url+"/"+prefix, `{"settings":{"number_of_replicas":0}}`); status != http.StatusOK {
			t.Fatal(answer)
		}
		defer ask(t, "DELETE", url+"/"+prefix, "")
		defer ask(t, "DELETE", url+"/_index_template/"+prefix, "")
		x, err := search.NewOpenSearch(t.Context(), search.OpenSearchConfig{URL: url, Prefix: prefix}, telemetry.Discard())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = x.Close() }()
		oneLine(t, x.Migrate(t.Context()), fault.Invalid, "opensearch_alias", "OPENSEARCH_INDEX_PREFIX")
	})
}

// TestOpenSearchWithoutItsTemplate: somebody removed it; the next day's index is as it must be.
func TestOpenSearchWithoutItsTemplate(t *testing.T) {
	url := openSearchURL(t)
	x := openOpenSearch(t, url, search.OpenSearchConfig{})
	ask(t, "DELETE", url+"/_index_template/"+x.Index.(*search.OpenSearch).Prefix(), "")
	records := newMaker(34).records(20)
	mustAdd(t, x, records)
	x.settle(t)
	walk(t, x, "acme", query.Query{Limit: 1000}, expected(records, "acme", nil, query.NewestFirst))
}
