package bench

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// fake is a service that keeps entries in memory and can be told to fail and to lie.
type fake struct {
	t *testing.T

	refuse func(request int) int            // a status instead of taking the request; 0 takes it
	lose   func(request int) bool           // store, then break the connection instead of answering
	show   func(stored []kept) []kept       // what a search is shown
	stall  func(request int) time.Duration  // before the answer
	source func(search int) string          // of a search: index, record, or "" for none that answers
	walk   func() string                    // the same, of a page of the comparison
	tail   func(n int, event string) string // what of the nth event of the live tail is sent

	mu       sync.Mutex
	ids      logentry.IDs
	requests int
	searches int
	stored   []kept
	tenants  map[string]int
}

type kept struct {
	id              logentry.ID
	tenant, session string
	requestID       string
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer secret" {
		problem(w, http.StatusUnauthorized, "unauthenticated")
		return
	}
	if strings.HasSuffix(r.URL.Path, "/stream") {
		f.stream(w, r)
		return
	}
	if r.Method == http.MethodGet {
		f.search(w, r)
		return
	}
	var in io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		zip, err := gzip.NewReader(r.Body)
		if err != nil {
			f.t.Error(err)
			return
		}
		in = zip
	}
	body, err := io.ReadAll(in)
	if err != nil {
		f.t.Error(err)
		return
	}
	f.mu.Lock()
	request := f.requests
	f.requests++
	f.mu.Unlock()
	if f.stall != nil {
		<-time.After(f.stall(request))
	}
	if f.refuse != nil {
		if status := f.refuse(request); status != 0 {
			problem(w, status, "refused")
			return
		}
	}
	ids := f.keep(r.Header.Get("X-Tenant-ID"), body)
	if f.lose != nil && f.lose(request) {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(http.StatusAccepted)
	if strings.HasSuffix(r.URL.Path, "/bulk") {
		fmt.Fprintf(w, `{"data":{"ids":["%s"],"count":%d,"status":"queued"},"meta":{}}`, strings.Join(ids, `","`), len(ids))
	} else {
		fmt.Fprintf(w, `{"data":{"id":"%s","status":"queued"},"meta":{}}`, ids[0])
	}
}

func (f *fake) keep(tenant string, body []byte) (ids []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for line := range bytes.Lines(body) {
		var e struct {
			SessionID string `json:"session_id"`
			RequestID string `json:"request_id"`
		}
		if err := json.Unmarshal(line, &e); err != nil {
			f.t.Errorf("%s: %v", line, err)
		}
		k := kept{f.ids.New(time.Now()), tenant, e.SessionID, e.RequestID}
		f.stored = append(f.stored, k)
		ids = append(ids, k.id.String())
	}
	if f.tenants == nil {
		f.tenants = map[string]int{}
	}
	f.tenants[tenant] += len(ids)
	return ids
}

func (f *fake) search(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	f.mu.Lock()
	stored := slices.Clone(f.stored)
	search := f.searches
	f.searches++
	f.mu.Unlock()
	source := "index"
	if f.source != nil {
		source = f.source(search)
	}
	if f.walk != nil && q.Get("limit") == "1000" {
		source = f.walk()
	}
	if source == "" {
		problem(w, http.StatusServiceUnavailable, "store_down")
		return
	}
	if f.show != nil {
		stored = f.show(stored)
	}
	var hits []kept
	for _, k := range stored {
		if k.tenant == r.Header.Get("X-Tenant-ID") && (!q.Has("session_id") || k.session == q.Get("session_id")) &&
			(!q.Has("request_id") || slices.Contains(q["request_id"], k.requestID)) {
			hits = append(hits, k)
		}
	}
	from, _ := strconv.Atoi(q.Get("cursor"))
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil || limit < 1 || limit > 1000 {
		problem(w, http.StatusBadRequest, "limit_invalid")
		return
	}
	to := min(from+limit, len(hits))
	var items []string
	for _, k := range hits[from:to] {
		items = append(items, fmt.Sprintf(`{"id":"%s","session_id":"%s","request_id":"%s","metadata":{"id":"x"}}`, k.id, k.session, k.requestID))
	}
	next := "null"
	if to < len(hits) {
		next = fmt.Sprintf(`"%d"`, to)
	}
	pages := fmt.Sprintf(`"size":%d,"next_cursor":%s`, limit, next)
	if q.Get("total") == "exact" {
		pages = fmt.Sprintf(`"total":%d,"relation":"eq",`, len(hits)) + pages
	}
	fmt.Fprintf(w, `{"data":[%s],"meta":{"pagination":{%s},"took_ms":1,"source":"%s"}}`, strings.Join(items, ","), pages, source)
}

// stream sends what is stored, in order, until the caller leaves.
func (f *fake) stream(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, ": alive\n\n")
	for sent := 0; r.Context().Err() == nil; time.Sleep(time.Millisecond) {
		_ = http.NewResponseController(w).Flush()
		f.mu.Lock()
		stored := f.stored[sent:]
		f.mu.Unlock()
		for _, k := range stored {
			event := fmt.Sprintf("event: entry\nid: x\ndata: {\"id\":\"%s\",\"request_id\":\"%s\"}\n\n", k.id, k.requestID)
			if k.tenant != r.Header.Get("X-Tenant-ID") {
				event = ""
			} else if f.tail != nil {
				event = f.tail(sent, event)
			}
			_, _ = io.WriteString(w, event)
			sent++
		}
	}
}

func problem(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"type":"about:blank","title":"x","status":%d,"code":"%s","detail":"told to"}`, status, code)
}
