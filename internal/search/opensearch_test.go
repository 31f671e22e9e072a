package search_test

import (
	"crypto/rand"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/internal/telemetry"
)

func TestOpenSearch(t *testing.T) {
	url := openSearchURL(t)
	testIndex(t, func(t *testing.T) backend { return openOpenSearch(t, url, search.OpenSearchConfig{}) })
}

// openSearchURL is the server of the tests. Without one they are skipped.
func openSearchURL(tb testing.TB) string {
	tb.Helper()
	url := os.Getenv("TEST_OPENSEARCH_URL")
	if url == "" {
		tb.Skip(`no OpenSearch: make services-up; eval "$(tests/services/services test-env)"`)
	}
	return strings.TrimRight(url, "/")
}

// openOpenSearch opens an index of its own, which is removed afterwards.
func openOpenSearch(tb testing.TB, url string, cfg search.OpenSearchConfig) backend {
	tb.Helper()
	cfg.URL = url
	if cfg.Prefix == "" {
		cfg.Prefix = "test-" + rand12()
	}
	tb.Cleanup(func() {
		removeIndices(tb, url, cfg.Prefix)
		ask(tb, "DELETE", url+"/_index_template/"+cfg.Prefix, "")
	})
	x, err := search.NewOpenSearch(tb.Context(), cfg, telemetry.Discard())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := x.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	if err := x.Migrate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return backend{x, func(t *testing.T) {
		if status, body := ask(t, "POST", url+"/"+cfg.Prefix+"/_refresh?ignore_unavailable=true", ""); status != http.StatusOK && status != http.StatusNotFound {
			t.Fatalf("refresh: %d %s", status, body)
		}
	}}
}

// rand12 is part of a name that nobody else has.
func rand12() string { return strings.ToLower(rand.Text())[:12] }

// removeIndices removes the indices of a prefix, by their full names: patterns may be forbidden. A
// cluster that has much to do may need a second time.
func removeIndices(tb testing.TB, url, prefix string) {
	tb.Helper()
	var status int
	var left string
	for range 3 {
		if status, left = ask(tb, "GET", url+"/_cat/indices/"+prefix+"-*?h=index", ""); status == http.StatusOK && left == "" {
			return
		}
		var wg sync.WaitGroup
		for some := range slices.Chunk(strings.Fields(left), 20) {
			wg.Go(func() { ask(tb, "DELETE", url+"/"+strings.Join(some, ","), "") })
		}
		wg.Wait()
	}
	if status, left = ask(tb, "GET", url+"/_cat/indices/"+prefix+"-*?h=index", ""); status != http.StatusOK || left != "" {
		tb.Errorf("indices are left behind: %d %s", status, left)
	}
}

// ask is a request past the code under test.
func ask(tb testing.TB, method, url, body string) (status int, answer string) {
	tb.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		tb.Error(err)
		return 0, ""
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		tb.Error(err)
		return 0, ""
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		tb.Error(err)
	}
	return res.StatusCode, string(b)
}
