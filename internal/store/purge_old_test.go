package store_test

import (
	"bytes"
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

// purgeOld walks once.
func purgeOld(t *testing.T, s store.Store, tenantID string, before time.Time, max int) (n int64) {
	t.Helper()
	for from, calls, more := "", 0, true; more; calls++ {
		p, err := s.PurgeOld(t.Context(), tenantID, before, from, max)
		if err != nil || p.Records > int64(max)+64 || calls > 1000 {
			t.Fatalf("call %d removes %+v, %v", calls, p, err)
		}
		n, from, more = n+p.Records, p.Next, p.More
	}
	return n
}

func testPurgeOld(t *testing.T, s store.Store) {
	acme, zeta, m := authtest.Tenant(t, "acme"), authtest.Tenant(t, "zeta"), newMaker(62)
	var records, left []logentry.Record
	before := m.now
	for i := range 300 { // mixed, as they come
		for _, id := range []string{acme.ID(), zeta.ID()} {
			e := m.entry(id)
			e.ReceivedAt = before.Add(time.Duration(i%7-3) * time.Nanosecond) // three of seven are older
			if i%5 == 0 {
				e.Timestamp = time.Unix(0, int64(i)).UTC() // an import of long ago
			}
			records = append(records, recordOf(e))
			if id == zeta.ID() || !e.ReceivedAt.Before(before) {
				left = append(left, records[len(records)-1])
			}
		}
	}
	putNew(t, s, slices.Clone(records))
	if err := s.AddBacklog(t.Context(), idsOf(records)); err != nil {
		t.Fatal(err)
	}
	if err := s.Quarantine(t.Context(), []store.Quarantined{{TenantID: acme.ID(), Reason: "crash_loop"}}); err != nil {
		t.Fatal(err)
	}
	for _, nobody := range []string{"", "nobody"} {
		if n := purgeOld(t, s, nobody, before.Add(time.Hour), 50); n != 0 {
			t.Fatalf("%d of %q", n, nobody)
		}
	}
	if n := purgeOld(t, s, acme.ID(), before, 50); int(n) != len(records)-len(left) || n < 100 {
		t.Fatalf("%d records are removed, want %d", n, len(records)-len(left))
	}
	if n := purgeOld(t, s, acme.ID(), before, 50); n != 0 {
		t.Fatalf("again: %d", n)
	}
	all := scanAll(t, s, 50)
	if len(all) != len(left) {
		t.Fatalf("the scan finds %d records, want %d", len(all), len(left))
	}
	for _, r := range left {
		if r.TenantID == acme.ID() {
			get(t, s, acme, r)
		} else {
			get(t, s, zeta, r)
		}
	}
	page, err := s.Find(t.Context(), acme, query.Query{Limit: 1000})
	if err != nil || len(page.Hits) != len(left)-300 || page.Total != int64(len(left)-300) {
		t.Fatalf("%d hits of %d, %v; want %d", len(page.Hits), page.Total, err, len(left)-300)
	}
	if st, err := s.BacklogStats(t.Context()); err != nil || st.Entries != int64(len(left)) {
		t.Fatalf("the backlog has %d, %v; want %d", st.Entries, err, len(left))
	}
	if n, err := s.CountQuarantine(t.Context()); err != nil || n != 1 {
		t.Fatalf("%d are quarantined, %v", n, err)
	}
	late := recordOf(m.entry(acme.ID()))
	late.ReceivedAt = before.Add(-time.Second)
	late = recordOf(late.Entry)
	putNew(t, s, []logentry.Record{late})
	if n := purgeOld(t, s, acme.ID(), before, 50); n != 1 {
		t.Fatalf("of what came late %d were removed, want 1", n)
	}
	for i, v := range put(t, s, slices.Clone(left)) {
		if v != store.Duplicate {
			t.Fatalf("record %d that stayed: verdict %d", i, v)
		}
	}
}

func TestSQLiteLeavesNoBytesOfOldRecordsAndTheOthersIntact(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s, err := store.NewSQLite(path, store.SQLiteConfig{})
	if err != nil {
		t.Fatal(err)
	}
	acme, m := authtest.Tenant(t, "acme"), newMaker(63)
	before, kept := m.now.Add(24*time.Hour), 0
	var records []logentry.Record
	for i := range 640 { // those of a block have one of two ages
		e := m.entry(acme.ID())
		e.Message = "canaryofyoung"
		if i%2 == 0 {
			e.Message = string(bytes.Repeat([]byte{byte('a' + i%13), 'z', byte('A' + i%7)}, 40)) + "canaryofold"
		}
		if e.ReceivedAt = before.Add(-time.Minute); i%2 == 1 {
			e.ReceivedAt, kept = before, kept+1
		}
		records = append(records, recordOf(e))
	}
	putNew(t, s, records)
	if n := purgeOld(t, s, acme.ID(), before, 100); int(n) != len(records)-kept {
		t.Fatalf("%d are removed, want %d", n, len(records)-kept)
	}
	if checked, damaged, err := s.Verify(t.Context()); checked != kept || damaged != 0 || err != nil {
		t.Errorf("%d records are there, %d damaged, %v; want %d", checked, damaged, err, kept)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(content, []byte("canaryofold")) || !bytes.Contains(content, []byte("canaryofyoung")) {
		t.Error("the file has bytes of what is old, or none of what is young")
	}
}
