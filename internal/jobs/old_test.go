package jobs

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/document"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// addAt puts n entries of a tenant that were received at a time; indexed says whether the index has them too.
func (w *world) addAt(t *testing.T, slug string, n int, at time.Time, indexed bool) []logentry.Record {
	t.Helper()
	records := make([]logentry.Record, n)
	for i := range records {
		e := logentry.Entry{ID: w.ids.New(at), TenantID: authtest.TenantID(slug), ReceivedAt: at, Timestamp: at, Severity: logentry.Info, SchemaVersion: 1, Message: "of " + slug}
		records[i] = logentry.Record{Entry: e, JSON: logentry.AppendJSON(nil, &e)}
	}
	_, err := w.store.Put(t.Context(), records)
	must(t, err)
	if indexed {
		_, err = w.index.Add(t.Context(), records)
	} else {
		ids := make([]logentry.ID, n)
		for i := range records {
			ids[i] = records[i].ID
		}
		err = w.store.AddBacklog(t.Context(), ids)
	}
	must(t, err)
	return records
}

// found is how many entries of a tenant the index finds.
func (w *world) found(t *testing.T, slug string) int64 {
	t.Helper()
	page, err := w.index.Search(t.Context(), authtest.Tenant(t, slug), query.Query{Limit: 1, Total: query.TotalExact})
	must(t, err)
	return page.Total
}

func (w *world) schedule(t *testing.T, before time.Time) Job {
	t.Helper()
	j, err := ScheduleOldEntries(t.Context(), w.store, authtest.TenantID("stays"), "stays", "ann", before)
	must(t, err)
	return j
}

func (w *world) read(t *testing.T, id string) Job {
	t.Helper()
	j, err := Read(t.Context(), w.store, id)
	must(t, err)
	return j
}

func TestOldEntriesAreRemovedAndNothingYoungerAndNothingOfAnother(t *testing.T) {
	w := newWorld(t)
	before := time.Now().Add(-time.Hour).UTC().Truncate(time.Millisecond)
	w.addAt(t, "stays", 200, before.Add(-time.Nanosecond), true)
	w.addAt(t, "stays", 7, before, true)
	waiting := w.addAt(t, "stays", 50, before.Add(-time.Hour), false)
	w.addAt(t, "gone", 100, before.Add(-time.Hour), true)

	job := w.schedule(t, before)
	if again := w.schedule(t, before); again.ID != job.ID || job.State != Waiting || !job.Before.Equal(before) || job.By != "ann" {
		t.Fatalf("%+v, then %+v", job, again)
	}
	j := w.janitor(w.store, time.Hour)
	must(t, look(t, j))
	if job = w.read(t, job.ID); job.State != Running || job.Removed != (Counts{Records: 250, Index: 200}) {
		t.Fatalf("%+v", job)
	}
	if page, err := w.store.ReadBacklog(t.Context(), 100); err != nil || len(page) != 0 {
		t.Fatalf("the backlog still gives %d entries out, %v", len(page), err)
	}
	_, err := w.index.Add(t.Context(), waiting[:3]) // by a worker that had read the backlog before
	must(t, err)
	must(t, look(t, j))
	if job = w.read(t, job.ID); job.State != Running || w.found(t, "stays") != 310 {
		t.Fatalf("what a worker held was not waited for: %+v, %d are found", job, w.found(t, "stays"))
	}
	j.cfg.Settle = time.Nanosecond
	j.walks[job.ID].resume = time.Time{}
	must(t, look(t, j))
	if job = w.read(t, job.ID); job.State != Running || job.Removed.Index != 203 {
		t.Fatalf("a walk that still found something ended the job: %+v", job)
	}
	must(t, look(t, j))
	if job = w.read(t, job.ID); job.State != Done || job.FinishedAt.IsZero() || job.Removed != (Counts{Records: 250, Index: 203}) {
		t.Fatalf("%+v", job)
	}
	if w.found(t, "stays") != 307 || w.found(t, "gone") != 400 || w.left(t, "gone") != 400 {
		t.Errorf("%d and %d are found, %d records of the other tenant are left", w.found(t, "stays"), w.found(t, "gone"), w.left(t, "gone"))
	}
	told, err := w.store.ReadBacklog(t.Context(), 10) // the entry that says so, on its way into the index
	if err != nil || len(told) != 1 || told[0].TenantID != authtest.TenantID("stays") || w.left(t, "stays") != 308 {
		t.Fatalf("%d entries tell of it, %v; %d are left", len(told), err, w.left(t, "stays"))
	}
	for _, want := range []string{`"service":"ocelot"`, `"action":"DELETE"`, `"user_id":"ann"`, `"resource_id":"` + job.ID + `"`, "deleted 250 entries that were received before ", `"records":250`} {
		if !strings.Contains(string(told[0].JSON), want) {
			t.Errorf("no %s in %s", want, told[0].JSON)
		}
	}
	must(t, look(t, j))
	if w.left(t, "stays") != 308 {
		t.Errorf("a job that is done goes on: %d are left", w.left(t, "stays"))
	}
	w.addAt(t, "stays", 5, before.Add(-time.Minute), true) // from the queue, after all
	if again := w.schedule(t, before); again.State != Waiting || again.Removed != (Counts{}) {
		t.Fatalf("asked for again it does not begin again: %+v", again)
	}
	for range 3 {
		must(t, look(t, j))
	}
	if job := w.read(t, job.ID); job.State != Done || job.Removed.Records != 5 || w.left(t, "stays") != 309 {
		t.Errorf("%+v, %d are left", job, w.left(t, "stays"))
	}
}

// failingOld is a record whose removals fail now and then, some after they had their effect.
type failingOld struct{ failing }

func (f *failingOld) PurgeOld(ctx context.Context, id string, before time.Time, from string, max int) (store.Purged, error) {
	if f.crash() {
		_, err := f.SQLite.PurgeOld(ctx, id, before, from, max)
		return store.Purged{}, errors.Join(err, errCrash)
	}
	return f.SQLite.PurgeOld(ctx, id, before, from, max)
}

func TestARemovalOfOldEntriesGoesOnAfterACrashAnywhere(t *testing.T) {
	w := newWorld(t)
	before := time.Now().Add(-time.Hour).UTC().Truncate(time.Millisecond)
	for range 8 {
		w.addAt(t, "stays", 100, before.Add(-time.Minute), true)
	}
	job := w.schedule(t, before)
	f := &failingOld{failing{SQLite: w.store}}
	failed, seen := 0, false
	for end := time.Now().Add(20 * time.Second); ; {
		j := w.janitor(f, time.Nanosecond) // a new process each time
		j.lease.holder = "the same"        // or it would wait for the term
		if err := look(t, j); err != nil {
			failed++
		}
		if job = w.read(t, job.ID); job.State == Done {
			break
		}
		seen = seen || job.LastError == "storage_unavailable"
		if time.Now().After(end) {
			t.Fatalf("it does not end: %+v", job)
		}
	}
	if failed == 0 || !seen || w.found(t, "stays") != 300 || w.left(t, "stays") != 301 || w.left(t, "gone") != 300 || job.LastError != "" {
		t.Fatalf("%d failures, shown %v, %d found, %d and %d left, %+v", failed, seen, w.found(t, "stays"), w.left(t, "stays"), w.left(t, "gone"), job)
	}
}

func TestOneJobOfManyTakesASliceOfTimeOnly(t *testing.T) {
	w := newWorld(t)
	before := time.Now().Add(-time.Hour).UTC().Truncate(time.Millisecond)
	w.addAt(t, "stays", 500, before.Add(-time.Minute), true)
	job := w.schedule(t, before)
	j := w.janitor(w.store, time.Nanosecond)
	j.cfg.Slice = time.Nanosecond
	must(t, look(t, j))
	if n := w.left(t, "stays"); n == 300 || n == 800 {
		t.Fatalf("%d are left after one step", n)
	}
	if job := w.read(t, job.ID); job.State != Running || job.Removed.Records == 0 {
		t.Errorf("what was removed is not shown: %+v", job)
	}
	for range 1000 {
		must(t, look(t, j))
		if job = w.read(t, job.ID); job.State == Done {
			break
		}
	}
	if job.State != Done || job.Removed.Records != 500 || job.Removed.Index != 500 {
		t.Errorf("%+v", job)
	}
}

func TestATenantHasSoManyRemovalsUnderWayAndNoMore(t *testing.T) {
	w := newWorld(t)
	at := time.Now().Add(-time.Hour)
	for i := range mostUnfinished {
		w.schedule(t, at.Add(time.Duration(i)*time.Second))
	}
	w.schedule(t, at) // is there already
	if _, err := ScheduleOldEntries(t.Context(), w.store, authtest.TenantID("stays"), "stays", "ann", at.Add(-time.Minute)); fault.Of(err).Code != "too_many_jobs" {
		t.Errorf("one more: %v", err)
	}
	if _, err := ScheduleOldEntries(t.Context(), w.store, authtest.TenantID("gone"), "gone", "ann", at); err != nil {
		t.Errorf("another tenant's: %v", err)
	}
	w.delete(t, time.Now().Add(-time.Second))
	must(t, look(t, w.janitor(w.store, time.Hour)))
	all, err := w.store.Documents(t.Context(), document.Job, authtest.TenantID("gone"), "", 10)
	if err != nil || len(all) != 1 || all[0].ID != DeletionID(authtest.TenantID("gone")) {
		t.Errorf("a tenant that is removed leaves %d jobs, %v", len(all), err)
	}
}
