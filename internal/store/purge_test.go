package store_test

import (
	"bytes"
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// purge calls until nothing is left.
func purge(t *testing.T, s store.Store, tenantID string, max int) (all store.Purged, calls int) {
	t.Helper()
	for more := true; more; calls++ {
		p, err := s.PurgeTenant(t.Context(), tenantID, max)
		if err != nil || p.Records > int64(max) || calls > 1000 {
			t.Fatalf("call %d removes %+v, %v", calls, p, err)
		}
		all.Records += p.Records
		all.Quarantined += p.Quarantined
		more = p.More
	}
	return all, calls
}

func testPurge(t *testing.T, s store.Store) {
	gone, stays, m := authtest.Tenant(t, "acme"), authtest.Tenant(t, "zeta"), newMaker(60)
	var records []logentry.Record
	for range 300 { // mixed, as they come
		records = append(records, m.records(gone.ID(), 1)[0], m.records(stays.ID(), 1)[0])
	}
	putNew(t, s, slices.Clone(records))
	if err := s.AddBacklog(t.Context(), idsOf(records[:100])); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := s.Quarantine(t.Context(), []store.Quarantined{{TenantID: gone.ID(), Reason: "crash_loop"}, {TenantID: stays.ID(), Reason: "crash_loop"}, {Reason: "crash_loop"}}); err != nil {
			t.Fatal(err)
		}
	}
	if p, err := s.PurgeTenant(t.Context(), "", 1000); err != nil || p.Records != 0 {
		t.Fatalf("of no tenant: %+v, %v", p, err)
	}
	all, calls := purge(t, s, gone.ID(), 77)
	if all.Records != 300 || calls < 4 || all.Quarantined != 20 {
		t.Fatalf("%d calls remove %+v", calls, all)
	}
	if again, _ := purge(t, s, gone.ID(), 77); again.Records != 0 || again.Quarantined != 0 {
		t.Fatalf("again: %+v", again)
	}
	if got, err := s.GetMany(t.Context(), gone, idsOf(records)); err != nil || len(got) != 0 {
		t.Fatalf("%d records are left, %v", len(got), err)
	}
	if page, err := s.Find(t.Context(), gone, query.Query{Limit: 100}); err != nil || len(page.Hits) != 0 || page.Total != 0 {
		t.Fatalf("%d hits, %v", len(page.Hits), err)
	}
	if got, err := s.GetMany(t.Context(), stays, idsOf(records)); err != nil || len(got) != 300 {
		t.Fatalf("the other tenant has %d records, %v", len(got), err)
	}
	if st, err := s.BacklogStats(t.Context()); err != nil || st.Entries != 50 {
		t.Fatalf("the backlog has %d, %v", st.Entries, err)
	}
	if n, err := s.CountQuarantine(t.Context()); err != nil || n != 40 {
		t.Fatalf("%d are quarantined, %v", n, err)
	}
	scanned := scanAll(t, s, 50)
	if len(scanned) != 300 {
		t.Fatalf("the scan finds %d records, want 300", len(scanned))
	}
	for _, r := range scanned {
		if r.TenantID != stays.ID() {
			t.Fatalf("the scan finds a record of %s", r.TenantID)
		}
	}
	late := m.records(gone.ID(), 10) // what was still on its way
	putNew(t, s, slices.Clone(late))
	if all, _ := purge(t, s, gone.ID(), 77); all.Records != 10 {
		t.Fatalf("what came late: %+v", all)
	}
}

func TestSQLiteLeavesNoBytesOfAPurgedTenant(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s, err := store.NewSQLite(path, store.SQLiteConfig{})
	if err != nil {
		t.Fatal(err)
	}
	gone, m := authtest.Tenant(t, "acme"), newMaker(61)
	putNew(t, s, m.records(gone.ID(), 2000))
	body := []byte("a quarantined body that nobody should find " + time.Now().String())
	if err := s.Quarantine(t.Context(), []store.Quarantined{{TenantID: gone.ID(), Reason: "crash_loop", Body: body}}); err != nil {
		t.Fatal(err)
	}
	raw, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	var block []byte
	if err := raw.QueryRow("SELECT substr(body, 200, 60) FROM blocks WHERE seq=3").Scan(&block); err != nil {
		t.Fatal(err)
	}
	if err := raw.Close(); err != nil {
		t.Fatal(err)
	}
	holds := func(what []byte) bool {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if log, err := os.ReadFile(path + "-wal"); err == nil {
			content = append(content, log...)
		}
		return bytes.Contains(content, what)
	}
	if !holds(block) || !holds(body) {
		t.Fatal("the bytes to look for are not there to begin with")
	}
	purge(t, s, gone.ID(), 500)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if holds(block) || holds(body) {
		t.Error("the file still has bytes of what was purged")
	}
}
