package jobs

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/document"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/search"
	_ "github.com/ocelot-log/ocelot/internal/sqlite/driver"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/internal/tenant"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a record and an index in memory, with two tenants, gone and stays, that have 300 entries each.
type world struct {
	store *store.SQLite
	index *search.SQLite
	ids   logentry.IDs
}

func newWorld(t *testing.T) *world {
	t.Helper()
	st, err := store.NewSQLite(":memory:", store.SQLiteConfig{})
	must(t, err)
	t.Cleanup(func() { must(t, st.Close()) })
	ix, err := search.NewSQLite(":memory:", search.SQLiteConfig{})
	must(t, err)
	t.Cleanup(func() { must(t, ix.Close()) })
	w := &world{store: st, index: ix}
	for _, slug := range []string{"gone", "stays"} {
		must(t, st.CreateTenant(t.Context(), tenant.Info{ID: authtest.TenantID(slug), Slug: slug, Name: slug, CreatedAt: time.Now()}))
		w.add(t, slug, 300)
		for _, kind := range []document.Kind{document.Key, document.View} {
			_, err := st.CreateDocument(t.Context(), document.Document{Kind: kind, ID: "of " + slug, TenantID: authtest.TenantID(slug), Body: []byte(`{}`)})
			must(t, err)
		}
		must(t, st.Quarantine(t.Context(), []store.Quarantined{{TenantID: authtest.TenantID(slug), Reason: "crash_loop"}}))
	}
	return w
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) add(t *testing.T, slug string, n int) {
	t.Helper()
	records := make([]logentry.Record, n)
	at := time.Now().UTC()
	for i := range records {
		e := logentry.Entry{ID: w.ids.New(at), TenantID: authtest.TenantID(slug), ReceivedAt: at, Timestamp: at, Severity: logentry.Info, SchemaVersion: 1, Message: "of " + slug}
		records[i] = logentry.Record{Entry: e, JSON: logentry.AppendJSON(nil, &e)}
	}
	_, err := w.store.Put(t.Context(), records)
	must(t, err)
	_, err = w.index.Add(t.Context(), records)
	must(t, err)
}

// delete marks the tenant gone as the API does, its grace being over at a time.
func (w *world) delete(t *testing.T, at time.Time) {
	t.Helper()
	for _, i := range w.list(t) {
		if i.Slug == "gone" {
			i.DeleteAt = at
			_, err := w.store.UpdateTenant(t.Context(), i)
			must(t, err)
		}
	}
}

func (w *world) list(t *testing.T) []tenant.Info {
	t.Helper()
	all, err := w.store.ListTenants(t.Context())
	must(t, err)
	return all
}

func (w *world) job(t *testing.T) Job {
	t.Helper()
	j, err := Read(t.Context(), w.store, DeletionID(authtest.TenantID("gone")))
	must(t, err)
	return j
}

// left is how many records of a tenant the store has.
func (w *world) left(t *testing.T, slug string) (n int) {
	t.Helper()
	records, _, err := w.store.Scan(t.Context(), "", 10_000)
	must(t, err)
	for _, r := range records {
		if r.TenantID == authtest.TenantID(slug) {
			n++
		}
	}
	return n
}

func (w *world) janitor(st record, settle time.Duration) *Janitor {
	return New(Config{Every: time.Millisecond, Term: 50 * time.Millisecond, Settle: settle, Late: time.Nanosecond, Step: 70}, st, w.index, telemetry.Discard())
}

func look(t *testing.T, j *Janitor) error {
	t.Helper()
	ours, err := j.lease.hold(t.Context())
	must(t, err)
	if !ours {
		t.Fatal("the lease is another's")
	}
	return j.look(t.Context())
}

func TestATenantIsRemovedWithEverythingAndNothingOfAnother(t *testing.T) {
	w := newWorld(t)
	w.delete(t, time.Now().Add(-time.Second))
	j := w.janitor(w.store, time.Hour)
	must(t, look(t, j))
	job := w.job(t)
	if want := (Counts{Records: 300, Index: 300, Quarantine: 1, Documents: 2}); job.State != Running || job.Removed != want {
		t.Fatalf("%+v, want %+v removed", job, want)
	}
	if len(w.list(t)) != 2 {
		t.Fatal("the tenant is gone before what workers hold of it has settled")
	}
	w.add(t, "gone", 10) // by such a worker
	j.cfg.Settle = time.Nanosecond
	must(t, look(t, j))
	if job := w.job(t); job.State != Running || job.Removed.Records != 310 {
		t.Fatalf("a pass that still found something ended the job: %+v", job)
	}
	must(t, look(t, j))
	if job = w.job(t); job.State != Done || job.FinishedAt.IsZero() || job.Removed != (Counts{310, 310, 1, 2}) {
		t.Fatalf("%+v", job)
	}
	if all := w.list(t); len(all) != 1 || all[0].Slug != "stays" {
		t.Fatalf("%+v", all)
	}
	if n := w.left(t, "stays"); n != 300 {
		t.Errorf("the other tenant has %d records", n)
	}
	for _, kind := range []document.Kind{document.Key, document.View} {
		if all, err := w.store.Documents(t.Context(), kind, "", "", 10); err != nil || len(all) != 1 || all[0].ID != "of stays" {
			t.Errorf("%s: %+v, %v", kind, all, err)
		}
	}
	w.add(t, "gone", 5) // from the queue, long after
	must(t, look(t, j))
	if job := w.job(t); w.left(t, "gone") != 0 || job.Removed.Records != 315 || job.State != Done {
		t.Errorf("what came late: %d left, %+v", w.left(t, "gone"), job)
	}
}

func TestATenantIsKeptUntilItsGraceIsOver(t *testing.T) {
	w := newWorld(t)
	w.delete(t, time.Now().Add(time.Hour))
	j := w.janitor(w.store, time.Nanosecond)
	must(t, look(t, j))
	if job := w.job(t); job.State != Waiting || w.left(t, "gone") != 300 {
		t.Fatalf("%+v", job)
	}
	w.delete(t, time.Time{}) // taken back
	must(t, CancelDeletion(t.Context(), w.store, authtest.TenantID("gone")))
	must(t, look(t, j))
	if job := w.job(t); job.State != Cancelled || w.left(t, "gone") != 300 {
		t.Fatalf("%+v", job)
	}
}

// failing is a record whose calls fail now and then, some after they had their effect.
type failing struct {
	*store.SQLite
	calls int
}

var errCrash = fault.New(fault.Unavailable, "storage_unavailable", "")

func (f *failing) crash() bool { f.calls++; return f.calls%3 == 0 }

func (f *failing) PurgeTenant(ctx context.Context, id string, max int) (store.Purged, error) {
	if f.crash() {
		_, err := f.SQLite.PurgeTenant(ctx, id, max)
		return store.Purged{}, errors.Join(err, errCrash)
	}
	return f.SQLite.PurgeTenant(ctx, id, max)
}

func (f *failing) DeleteTenant(ctx context.Context, id string) error {
	if f.calls++; f.calls%2 == 0 {
		return errors.Join(f.SQLite.DeleteTenant(ctx, id), errCrash)
	}
	return f.SQLite.DeleteTenant(ctx, id)
}

func TestARemovalGoesOnAfterACrashAnywhere(t *testing.T) {
	w := newWorld(t)
	w.delete(t, time.Now().Add(-time.Second))
	f := &failing{SQLite: w.store}
	failed := 0
	for end := time.Now().Add(20 * time.Second); ; {
		j := w.janitor(f, time.Nanosecond) // a new process each time
		j.lease.holder = "the same"        // or it would wait for the term
		if err := look(t, j); err != nil {
			failed++
		}
		job := w.job(t)
		if job.State == Done {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("it does not end: %+v", job)
		}
	}
	if failed == 0 || len(w.list(t)) != 1 || w.left(t, "gone") != 0 || w.left(t, "stays") != 300 {
		t.Fatalf("%d failures, %d tenants, %d and %d records left", failed, len(w.list(t)), w.left(t, "gone"), w.left(t, "stays"))
	}
}

func TestALeaseIsHeldByOneAndTakenOverAfterATerm(t *testing.T) {
	w := newWorld(t)
	const term = 200 * time.Millisecond
	a, b := newLease(w.store, "x", term), newLease(w.store, "x", term)
	hold := func(l *lease, want bool) {
		t.Helper()
		if ours, err := l.hold(t.Context()); err != nil || ours != want {
			t.Fatalf("%v, %v; want %v", ours, err, want)
		}
	}
	hold(a, true)
	for range 4 { // as long as it is renewed
		hold(b, false)
		time.Sleep(term / 3)
		hold(a, true)
	}
	hold(b, false)
	time.Sleep(term)
	hold(b, true)
	hold(a, false)
	must(t, a.release(t.Context())) // is not its own any more
	hold(a, false)
	must(t, b.release(t.Context()))
	hold(a, true)
}

func TestOfManyJanitorsOneWorksAndAnotherGoesOnWhenItStops(t *testing.T) {
	w := newWorld(t)
	w.delete(t, time.Now().Add(-time.Second))
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 3)
	for range 3 {
		go func() { done <- w.janitor(w.store, 10*time.Millisecond).Run(ctx) }()
	}
	for end := time.Now().Add(20 * time.Second); len(w.list(t)) > 1 && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	stop()
	for range 3 {
		must(t, <-done)
	}
	if len(w.list(t)) != 1 || w.left(t, "gone") != 0 || w.left(t, "stays") != 300 {
		t.Fatalf("%+v, %d and %d records", w.job(t), w.left(t, "gone"), w.left(t, "stays"))
	}
}
