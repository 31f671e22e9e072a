package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// fakeService takes bulks as the service does: a batch whole or not at all, an entry once for its key, place and bytes.
type fakeService struct {
	t      *testing.T
	before func(request int, w http.ResponseWriter) bool // true: answered, nothing is stored
	after  func(request int) bool                        // true: stored, but the connection breaks

	mu       sync.Mutex
	requests int
	stored   map[string]string // id → message
	order    []string          // messages
	header   http.Header       // of the last request
}

func (f *fakeService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	request := f.requests
	f.requests++
	f.header = r.Header
	if f.before != nil && f.before(request, w) {
		return
	}
	zip, err := gzip.NewReader(r.Body)
	if err != nil {
		f.t.Errorf("not gzip: %v", err)
		return
	}
	body, err := io.ReadAll(zip)
	if err != nil {
		f.t.Error(err)
		return
	}
	if r.URL.Path != "/api/v1/logs/bulk" || r.Header.Get("Content-Type") != "application/x-ndjson" || len(r.Header.Get("Idempotency-Key")) != 64 {
		f.t.Errorf("%s %v", r.URL.Path, r.Header)
	}
	if len(body) > maxBatchBytes {
		f.t.Errorf("a body of %d bytes", len(body))
	}
	if f.stored == nil {
		f.stored = map[string]string{}
	}
	var ids []string
	i := 0
	for line := range bytes.Lines(body) {
		var e struct{ Message string }
		if err := json.Unmarshal(line, &e); err != nil {
			f.t.Errorf("%s: %v", line, err)
		}
		id := logentry.KeyedID("t", r.Header.Get("Idempotency-Key"), i, line).String()
		if _, there := f.stored[id]; !there {
			f.stored[id] = e.Message
			f.order = append(f.order, e.Message)
		}
		ids = append(ids, id)
		i++
	}
	if f.after != nil && f.after(request) {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(http.StatusAccepted)
	fmt.Fprintf(w, `{"data":{"ids":["%s"],"count":%d,"status":"queued","duplicates":0},"meta":{}}`, strings.Join(ids, `","`), len(ids))
}

// counts is how often each message is stored.
func (f *fakeService) counts() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := map[string]int{}
	for _, message := range f.stored {
		n[message]++
	}
	return n
}

// whole fails where a message of 0 … n-1 is not stored exactly once.
func (f *fakeService) whole(n int) {
	f.t.Helper()
	counts := f.counts()
	if len(counts) != n {
		f.t.Errorf("%d different entries are stored, want %d", len(counts), n)
	}
	for i := range n {
		if counts[fmt.Sprintf("m%d", i)] != 1 {
			f.t.Errorf("m%d is stored %d times", i, counts[fmt.Sprintf("m%d", i)])
		}
	}
}

func refuse(w http.ResponseWriter, status int, body string) bool {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
	return true
}

// ndjsonOf is n entries with the messages m0 ….
func ndjsonOf(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"service":"test","message":"m%d"}`+"\n", i)
	}
	return b.String()
}

// sendTo runs send against f. Pauses between tries take no time; those that were asked for are returned.
func sendTo(t *testing.T, f *fakeService, change func(*sendOptions), stdin string, files ...string) (out string, pauses []time.Duration, err error) {
	t.Helper()
	f.t = t
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	var mu sync.Mutex
	o := sendOptions{batch: 10, conns: 2, retryFor: time.Minute, zone: "UTC"}
	o.wait = func(ctx context.Context, d time.Duration) error {
		mu.Lock()
		defer mu.Unlock()
		pauses = append(pauses, d)
		return ctx.Err()
	}
	if change != nil {
		change(&o)
	}
	if err := o.check(files); err != nil {
		return "", nil, err
	}
	var stdout, stderr strings.Builder
	err = send(t.Context(), o, &client{URL: server.URL, Token: "x", HTTP: server.Client()}, files, strings.NewReader(stdin), &stdout, &stderr)
	return stdout.String(), pauses, err
}
