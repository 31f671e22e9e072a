package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ocelot-log/ocelot/internal/audit"
	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/ingest"
	"github.com/ocelot-log/ocelot/internal/limit"
	"github.com/ocelot-log/ocelot/internal/mask"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/queue"
	"github.com/ocelot-log/ocelot/internal/search"
	_ "github.com/ocelot-log/ocelot/internal/sqlite/driver"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/internal/tenant"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a server on real backends in memory, with two tenants: acme and zeta.
type world struct {
	*Server
	queue queue.Queue
	store store.Store
	index search.Index
	tel   telemetry.Telemetry
	ids   logentry.IDs
}

// parts are what a test may replace before the server is made.
type parts struct {
	cfg     Config
	access  Access
	writing Writing
	reading Reading
	tel     telemetry.Telemetry
}

func newWorld(tb testing.TB, change ...func(*parts)) *world {
	tb.Helper()
	w := &world{tel: telemetry.Discard()}
	closing := func(c interface{ Close() error }) {
		tb.Cleanup(func() {
			if err := c.Close(); err != nil {
				tb.Error(err)
			}
		})
	}
	q, err := queue.NewSQLite(":memory:", queue.SQLiteConfig{})
	must(tb, err)
	closing(q)
	st, err := store.NewSQLite(":memory:", store.SQLiteConfig{})
	must(tb, err)
	closing(st)
	ix, err := search.NewSQLite(":memory:", search.SQLiteConfig{})
	must(tb, err)
	closing(ix)
	w.queue, w.store, w.index = q, st, ix
	for _, slug := range []string{"acme", "zeta"} {
		must(tb, st.CreateTenant(tb.Context(), tenant.Info{ID: authtest.TenantID(slug), Slug: slug, Name: slug, CreatedAt: time.Unix(0, 0).UTC()}))
	}
	tenants := tenant.NewCache(st)
	authn, err := auth.New(auth.Config{Secret: authtest.Secret}, tenants, st, w.tel)
	must(tb, err)
	masks := mask.NewSet([]byte("key"))
	in := ingest.New(ingest.Config{}, q, masks, w.tel)
	live(tb, in.Run)
	p := parts{access: Access{Auth: authn, Tenants: tenants, Limits: Limits{Tenants: limit.New(limit.Config{Alone: true}, st, w.tel)}}, writing: Writing{Ingest: in, Queue: q, Audit: &noted{}, Masks: masks},
		reading: Reading{Store: st, Index: ix, Cursors: query.NewCursors([]byte(authtest.Secret.Reveal()))}, tel: w.tel}
	for _, f := range change {
		f(&p)
	}
	w.Server, err = New(p.cfg, p.access, p.writing, p.reading, p.tel)
	must(tb, err)
	return w
}

// noted remembers audit events, or fails with err.
type noted struct {
	mu     sync.Mutex
	err    error
	events []notedEvent
}

type notedEvent struct {
	tenantID string
	audit.Event
}

func (n *noted) Record(_ context.Context, tenantID string, e audit.Event) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.err == nil {
		n.events = append(n.events, notedEvent{tenantID, e})
	}
	return n.err
}

func (n *noted) Refused(tenantID string, e audit.Event) {
	_ = n.Record(context.Background(), tenantID, e)
}

// live runs something until the test ends.
func live(tb testing.TB, run func(context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	tb.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			tb.Error(err)
		}
	})
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) problem() problem {
	var p problem
	_ = json.Unmarshal(a.body, &p)
	return p
}

// do sends one request to the handler. The headers are names and values in turn.
func (w *world) do(tb testing.TB, header http.Header, method, target, body string, more ...string) answer {
	tb.Helper()
	return w.serveRequest(newRequest(tb, header, method, target, body, more...))
}

func newRequest(tb testing.TB, header http.Header, method, target, body string, more ...string) *http.Request {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), method, target, strings.NewReader(body))
	r.RequestURI = target
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for name, values := range header {
		r.Header[name] = values
	}
	for i := 0; i+1 < len(more); i += 2 {
		r.Header.Add(more[i], more[i+1])
	}
	return r
}

func (w *world) serveRequest(r *http.Request) answer {
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, r)
	return answer{rec.Code, rec.Header(), rec.Body.Bytes()}
}

// put records and indexes entries of a tenant, and returns their ids.
func (w *world) put(tb testing.TB, slug string, entries ...logentry.Entry) []logentry.ID {
	tb.Helper()
	now := time.Now().UTC()
	records := make([]logentry.Record, len(entries))
	ids := make([]logentry.ID, len(entries))
	for i, e := range entries {
		e.ID, e.TenantID, e.ReceivedAt, e.SchemaVersion, e.Severity = w.ids.New(now), authtest.TenantID(slug), now, 1, logentry.Info
		if e.Timestamp.IsZero() {
			e.Timestamp = now.Add(time.Duration(i) * time.Millisecond)
		}
		records[i] = logentry.Record{Entry: e, JSON: logentry.AppendJSON(nil, &e)}
		ids[i] = e.ID
	}
	_, err := w.store.Put(tb.Context(), records)
	must(tb, err)
	_, err = w.index.Add(tb.Context(), records)
	must(tb, err)
	return ids
}

// sent is how many envelopes the queue has taken.
func (w *world) sent(tb testing.TB) int64 {
	tb.Helper()
	stats, err := w.queue.Stats(tb.Context())
	must(tb, err)
	return stats.Visible + stats.InFlight
}

// found is the answer of a search.
type found struct {
	Data []map[string]any `json:"data"`
	Meta struct {
		TookMS     *int64 `json:"took_ms"`
		Source     string `json:"source"`
		Expired    int    `json:"expired_count"`
		Pagination struct {
			Total    *int64  `json:"total"`
			Relation *string `json:"relation"`
			Next     *string `json:"next_cursor"`
			Size     int     `json:"size"`
			Page     *int    `json:"page"`
		} `json:"pagination"`
	} `json:"meta"`
}

func (w *world) search(tb testing.TB, header http.Header, query string) found {
	tb.Helper()
	a := w.do(tb, header, http.MethodGet, "/api/v1/logs?"+query, "")
	if a.status != http.StatusOK {
		tb.Fatalf("%s: %d %s", query, a.status, a.body)
	}
	var f found
	d := json.NewDecoder(bytes.NewReader(a.body))
	d.DisallowUnknownFields()
	must(tb, d.Decode(&f))
	return f
}
