package search_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/internal/telemetry"
)

// fakeOpenSearch answers as a cluster does that has every index, with what a test wants to see in between.
type fakeOpenSearch struct {
	*httptest.Server
	root string                                                         // the answer to GET /
	on   func(r *http.Request, body string) (status int, answer string) // answers first; status 0: not it
	bulk func(ids []string, body string) (status int, answer string)    // answers to a _bulk
	mu   sync.Mutex
	seen []string // method, path and body of each request but GET /
}

const openSearch3 = `{"version":{"distribution":"opensearch","number":"3.8.0"},"tagline":"The OpenSearch Project: https://opensearch.org/"}`

func newFake(tb testing.TB) *fakeOpenSearch {
	tb.Helper()
	f := &fakeOpenSearch{root: openSearch3}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	tb.Cleanup(f.Close)
	return f
}

func (f *fakeOpenSearch) serve(w http.ResponseWriter, r *http.Request) {
	body := r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	b, err := io.ReadAll(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	status, answer := f.answer(r, string(b))
	if r.URL.Path != "/" {
		f.mu.Lock()
		f.seen = append(f.seen, r.Method+" "+r.URL.Path+" "+string(b))
		f.mu.Unlock()
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, answer)
}

func (f *fakeOpenSearch) answer(r *http.Request, body string) (status int, answer string) {
	if f.on != nil {
		if status, answer := f.on(r, body); status != 0 {
			return status, answer
		}
	}
	name := strings.TrimPrefix(r.URL.Path, "/")
	switch {
	case name == "":
		return http.StatusOK, f.root
	case strings.HasSuffix(name, "_bulk"):
		return f.bulk(bulkIDs(body), body)
	case strings.HasPrefix(name, "_"):
		return http.StatusNotFound, "{}"
	case r.Method == "GET":
		return http.StatusOK, fmt.Sprintf(`{%q:{"aliases":{"ocelot":{}},"mappings":{"dynamic":"false","_meta":{"ocelot_version":2}}}}`, name)
	}
	return http.StatusNotFound, "{}"
}

// bulkIDs are the _ids of a bulk's creates.
func bulkIDs(body string) (ids []string) {
	for line := range strings.Lines(body) {
		if _, id, is := strings.Cut(line, `"_id":"`); is && strings.HasPrefix(line, `{"create"`) {
			ids = append(ids, id[:22])
		}
	}
	return ids
}

// items is an answer to a bulk.
func items(of ...string) string { return `{"items":[` + strings.Join(of, ",") + `]}` }

func created(n int) []string {
	var all []string
	for range n {
		all = append(all, `{"create":{"status":201}}`)
	}
	return all
}

func failed(status int, kind string) string {
	return fmt.Sprintf(`{"create":{"status":%d,"error":{"type":%q}}}`, status, kind)
}

func (f *fakeOpenSearch) open(tb testing.TB, cfg search.OpenSearchConfig) *search.OpenSearch {
	tb.Helper()
	cfg.URL = f.URL
	x, err := search.NewOpenSearch(tb.Context(), cfg, telemetry.Discard())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = x.Close() })
	return x
}

// requests are the requests that began with one of the given.
func (f *fakeOpenSearch) requests(begin string) (out []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.seen {
		if strings.HasPrefix(s, begin) {
			out = append(out, s)
		}
	}
	return out
}
