package drain

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/queue"
	"github.com/ocelot-log/ocelot/internal/search"
	_ "github.com/ocelot-log/ocelot/internal/sqlite/driver"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/internal/telemetry"
)

// countedQueue closes done when want messages were deleted.
type countedQueue struct {
	queue.Receiver
	want int
	done chan struct{}
}

func (q *countedQueue) Delete(ctx context.Context, receipts []string) []error {
	errs := q.Receiver.Delete(ctx, receipts)
	if q.want -= len(receipts); q.want == 0 {
		close(q.done)
	}
	return errs
}

// files are the three embedded backends on files of their own.
type files struct {
	q  *queue.SQLite
	st *store.SQLite
	ix *search.SQLite
}

func open(t testing.TB) (f files) {
	t.Helper()
	dir := t.TempDir()
	var err error
	if f.q, err = queue.NewSQLite(filepath.Join(dir, "queue.db"), queue.SQLiteConfig{}); err != nil {
		t.Fatal(err)
	}
	if f.st, err = store.NewSQLite(filepath.Join(dir, "store.db"), store.SQLiteConfig{}); err != nil {
		t.Fatal(err)
	}
	if f.ix, err = search.NewSQLite(filepath.Join(dir, "index.db"), search.SQLiteConfig{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _, _ = f.q.Close(), f.st.Close(), f.ix.Close() })
	return f
}

// fill sends envelopes of n entries each; every tenth comes twice.
func (f files) fill(t testing.TB, envelopes, n int) (messages int) {
	t.Helper()
	for i := range envelopes {
		es := entries(n, "payment accepted")
		for j := range es {
			es[j].TenantID = authtest.TenantID("acme")
		}
		body := envelope(t, es)
		for range 1 + (i%10)/9 {
			if err := errorsOf(f.q.Send(t.Context(), []queue.Outgoing{{Body: body}})); err != nil {
				t.Fatal(err)
			}
			messages++
		}
	}
	return messages
}

func (f files) drain(t testing.TB, messages int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	q := &countedQueue{Receiver: f.q, want: messages, done: make(chan struct{})}
	ended := make(chan error, 1)
	go func() { ended <- New(Config{}, q, f.st, f.ix, telemetry.Discard()).Run(ctx) }()
	<-q.done
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func TestEmbeddedBackendsGetEachEntryOnce(t *testing.T) {
	f := open(t)
	f.drain(t, f.fill(t, 40, 100))
	acme := authtest.Tenant(t, "acme")
	page, err := f.ix.Search(t.Context(), acme, query.Query{Limit: 1, Total: query.TotalExact})
	if err != nil || page.Total != 4000 {
		t.Errorf("the index has %d entries, %v", page.Total, err)
	}
	records, _, err := f.st.Scan(t.Context(), "", 10_000)
	if err != nil || len(records) != 4000 {
		t.Errorf("the record has %d entries, %v", len(records), err)
	}
	if s, err := f.q.Stats(t.Context()); err != nil || s.Visible+s.InFlight != 0 {
		t.Errorf("messages left: %+v, %v", s, err)
	}
}

// BenchmarkEmbedded drains envelopes of 500 entries into the embedded record and index.
func BenchmarkEmbedded(b *testing.B) {
	f := open(b)
	messages := f.fill(b, b.N, 500)
	b.ReportAllocs()
	b.ResetTimer()
	start := cpu()
	f.drain(b, messages)
	b.StopTimer()
	b.ReportMetric(float64(cpu()-start)/float64(messages*500), "cpu-ns/entry")
	b.ReportMetric(float64(messages*500)/b.Elapsed().Seconds(), "entries/s")
}
