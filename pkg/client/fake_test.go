package client

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// post is one request that came in.
type post struct {
	key, body string // body as it came, compressed
	header    http.Header
	entries   []logentry.Entry
}

// fake takes batches as the service does: checks them, refuses what a test says, and keeps entries by key, place and
// content.
type fake struct {
	*httptest.Server
	t *testing.T

	mu    sync.Mutex
	posts []post
	kept  map[logentry.ID]string // message

	answer func(n int, p post) (status int, body string) // n from 0; status 0: keep and acknowledge. Called without mu
	header http.Header                                   // of answers that are not 202
}

func newFake(t *testing.T) *fake {
	f := &fake{t: t, kept: map[logentry.ID]string{}, header: http.Header{}}
	f.Server = httptest.NewServer(http.HandlerFunc(f.take))
	t.Cleanup(f.Close)
	return f
}

func (f *fake) take(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil { // the sender gave up
		return
	}
	zip, err := gzip.NewReader(strings.NewReader(string(raw)))
	if err != nil {
		f.t.Error(err)
		return
	}
	lines, err := io.ReadAll(zip)
	if err != nil {
		f.t.Error(err)
	}
	p := post{key: r.Header.Get("Idempotency-Key"), body: string(raw), header: r.Header}
	if p.entries, err = logentry.Decode(lines, logentry.NDJSON, logentry.Options{}); err != nil {
		f.t.Errorf("a batch that is refused: %v in %s", err, lines)
	}
	f.mu.Lock()
	n := len(f.posts)
	f.posts = append(f.posts, p)
	f.mu.Unlock()
	status, body := 0, ""
	if f.answer != nil {
		status, body = f.answer(n, p)
	}
	if status != 0 {
		for name, values := range f.header {
			w.Header()[name] = values
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
		return
	}
	ids := f.keep(p)
	w.WriteHeader(http.StatusAccepted)
	_, _ = fmt.Fprintf(w, `{"data":{"ids":["%s"],"count":%d,"status":"queued"},"meta":{}}`, strings.Join(ids, `","`), len(ids))
}

func (f *fake) keep(p post) (ids []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range p.entries {
		id := logentry.KeyedID("acme", p.key, i, logentry.AppendContent(nil, &p.entries[i]))
		ids = append(ids, id.String())
		f.kept[id] = p.entries[i].Message
	}
	return ids
}

// counts is how often each message is kept.
func (f *fake) counts() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := map[string]int{}
	for _, message := range f.kept {
		n[message]++
	}
	return n
}

func (f *fake) all() []post {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]post(nil), f.posts...)
}

// client is a client of a server with a transport of its own.
func clientOf(t *testing.T, url string, change ...func(*Config)) *Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	cfg := Config{URL: url, Token: "secret", HTTPClient: &http.Client{Transport: transport}}
	for _, c := range change {
		c(&cfg)
	}
	c, err := New(cfg)
	must(t, err)
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// soon is a context for what must not take long.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func entrySaying(text string, args ...any) logentry.Entry {
	return logentry.Entry{Message: fmt.Sprintf(text, args...)}
}

// reports collects what OnError is told.
type reports struct {
	mu      sync.Mutex
	batches []Batch
	errs    []error
}

func (r *reports) add(b Batch, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.batches, r.errs = append(r.batches, b), append(r.errs, err)
}

// messages are those of the entries that were reported, in their order.
func (r *reports) messages() (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range r.batches {
		for _, e := range b.Entries {
			all = append(all, e.Message)
		}
	}
	return all
}
