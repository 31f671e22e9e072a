package search_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// purgeOld takes steps until there are no more.
func purgeOld(t *testing.T, x search.Index, slug string, before time.Time, between func()) (n int64) {
	t.Helper()
	for steps, more := 0, true; more; steps++ {
		removed, again, err := x.PurgeOld(t.Context(), authtest.TenantID(slug), before, 400)
		if err != nil || steps > 10_000 {
			t.Fatalf("step %d: %v", steps, err)
		}
		n, more = n+removed, again
		between()
	}
	return n
}

// younger are the records of gone that came at a time or later, and all of others.
func younger(records []logentry.Record, before time.Time) (left []logentry.Record) {
	for _, r := range records {
		if r.TenantID != authtest.TenantID("gone") || !r.ReceivedAt.Before(before) {
			left = append(left, r)
		}
	}
	return left
}

func testPurgeOld(t *testing.T, x backend) {
	m := newMaker(72)
	var records []logentry.Record
	add := func(n int) {
		part := ofTwo(m, n)
		mustAdd(t, x, part)
		records = append(records, part...)
	}
	for range 6 {
		add(500)
	}
	x.settle(t)
	check := func(left []logentry.Record) {
		t.Helper()
		x.settle(t)
		for _, where := range []query.Node{nil, query.Not{Node: query.Text{Tokens: []string{"absent"}}}, query.Text{Tokens: []string{"payment"}}} {
			for _, slug := range []string{"gone", "stays"} {
				walk(t, x, slug, query.Query{Where: where, Limit: 400}, expected(left, slug, where, query.NewestFirst))
			}
		}
	}
	if n := purgeOld(t, x, "gone", time.Unix(0, 0), func() {}) + purgeOld(t, x, "nobody", m.now, func() {}); n != 0 {
		t.Fatalf("%d entries are older than all, or of a tenant without any", n)
	}
	check(records)
	before := m.now // some were received in this very nanosecond: they stay
	was, added := len(younger(records, before)), 0
	n := purgeOld(t, x, "gone", before, func() {
		if added++; added > 5 {
			return
		}
		part := ofTwo(m, 40) // the others go on meanwhile, and so does the tenant itself
		for i := range part {
			part[i].ReceivedAt = before.Add(time.Hour)
		}
		mustAdd(t, x, part)
		records = append(records, part...)
		was += len(part)
	})
	left := younger(records, before)
	if int(n) != len(records)-len(left) || n == 0 || was != len(left) {
		t.Errorf("%d entries were removed, want %d", n, len(records)-len(left))
	}
	check(left)
	if n := purgeOld(t, x, "gone", before, func() {}); n != 0 {
		t.Errorf("again %d entries were removed", n)
	}
	old := ofTwo(m, 2)[:1]
	old[0].ReceivedAt = before.Add(-1)
	mustAdd(t, x, old) // as from a backlog that was read before
	x.settle(t)
	if n := purgeOld(t, x, "gone", before, func() {}); n != 1 {
		t.Errorf("of what came late %d entries were removed, want 1", n)
	}
	mustAdd(t, x, records) // as when the record is read into it again
	check(records)
}

func TestSQLiteIsWellFormedAfterAPurgeOfWhatIsOldAndHasNoBytesOfIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "search.db")
	open := func() *search.SQLite {
		x, err := search.NewSQLite(path, search.SQLiteConfig{})
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	x, m, old := open(), newMaker(73), 0
	before := m.now
	for range 20 { // enough for merges
		records := ofTwo(m, 300)
		for i := range records {
			if records[i].TenantID == authtest.TenantID("gone") && records[i].ReceivedAt.Before(before) {
				records[i].Message += " canaryofgone"
				old++
			}
		}
		mustAdd(t, backend{x, nil}, records)
	}
	removed := int64(0)
	for range 3 { // a crash in the middle
		n, more, err := x.PurgeOld(t.Context(), authtest.TenantID("gone"), before, 100)
		if err != nil || !more {
			t.Fatal(more, err)
		}
		removed += n
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	checkFile(t, path)
	x = open()
	x.SetOldAtOnce(70) // so that a segment is written several times
	if n := purgeOld(t, x, "gone", before, func() {}); removed+n != int64(old) {
		t.Errorf("%d entries were removed before the crash and %d after it, want %d together", removed, n, old)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	checkFile(t, path)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(content, []byte("canaryofgone")) {
		t.Error("the file still has a word of what was purged")
	}
}
