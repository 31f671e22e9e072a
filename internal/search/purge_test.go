package search_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// ofTwo makes records of two tenants in turn.
func ofTwo(m *maker, n int) (records []logentry.Record) {
	records = m.records(n)
	for i := range records {
		records[i].TenantID = authtest.TenantID([]string{"gone", "stays"}[i%2])
	}
	return records
}

// purge takes steps until there are no more.
func purge(t *testing.T, x search.Index, slug string, max int, between func()) (n int64) {
	t.Helper()
	for steps, more := 0, true; more; steps++ {
		removed, again, err := x.PurgeTenant(t.Context(), authtest.TenantID(slug), max)
		if err != nil || steps > 10_000 {
			t.Fatalf("step %d: %v", steps, err)
		}
		n, more = n+removed, again
		between()
	}
	return n
}

func testPurge(t *testing.T, x backend) {
	m := newMaker(70)
	var records []logentry.Record
	for range 6 {
		part := ofTwo(m, 500)
		mustAdd(t, x, part)
		records = append(records, part...)
	}
	x.settle(t)
	if n := purge(t, x, "nobody", 100, func() {}); n != 0 {
		t.Fatalf("%d entries of a tenant without any", n)
	}
	added := 0
	n := purge(t, x, "gone", 400, func() { // the others go on meanwhile
		if added++; added > 5 {
			return
		}
		part := ofTwo(m, 40)
		for i := range part {
			part[i].TenantID = authtest.TenantID("stays")
		}
		mustAdd(t, x, part)
		records = append(records, part...)
	})
	if n != 1500 {
		t.Errorf("%d entries were removed, want 1,500", n)
	}
	x.settle(t)
	for _, where := range []query.Node{nil, query.Not{Node: query.Text{Tokens: []string{"absent"}}}} {
		walk(t, x, "gone", query.Query{Where: where, Limit: 100}, nil)
		walk(t, x, "stays", query.Query{Where: where, Limit: 1000}, expected(records, "stays", where, query.NewestFirst))
	}
	if n := purge(t, x, "gone", 400, func() {}); n != 0 {
		t.Errorf("again %d entries were removed", n)
	}
	late := ofTwo(m, 10)
	mustAdd(t, x, late)
	x.settle(t)
	if n := purge(t, x, "gone", 400, func() {}); n != 5 {
		t.Errorf("of what came late %d entries were removed, want 5", n)
	}
	mustAdd(t, x, records[:500]) // as when the record is read into it again
	x.settle(t)
	walk(t, x, "stays", query.Query{Limit: 1000}, expected(append(records, late...), "stays", nil, query.NewestFirst))
	if page := mustSearch(t, x, "gone", query.Query{Limit: 1000, Total: query.TotalExact}); page.Total != 250 {
		t.Errorf("added again, %d entries are found, want 250", page.Total)
	}
}

func TestSQLiteIsWellFormedAfterAPurgeAndHasNoBytesOfIt(t *testing.T) {
	slow(t)
	path := filepath.Join(t.TempDir(), "search.db")
	x, err := search.NewSQLite(path, search.SQLiteConfig{})
	if err != nil {
		t.Fatal(err)
	}
	m := newMaker(71)
	for range 20 { // enough for merges
		records := ofTwo(m, 300)
		for i := range records {
			if i%2 == 0 {
				records[i].Message += " canaryofgone"
			}
		}
		mustAdd(t, backend{x, nil}, records)
	}
	before := int64(0)
	for range 3 { // a crash in the middle
		n, more, err := x.PurgeTenant(t.Context(), authtest.TenantID("gone"), 100)
		if err != nil || !more || n == 0 {
			t.Fatal(n, more, err)
		}
		before += n
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	checkFile(t, path)
	if x, err = search.NewSQLite(path, search.SQLiteConfig{}); err != nil {
		t.Fatal(err)
	}
	if n := purge(t, x, "gone", 400, func() {}); before+n != 3000 {
		t.Errorf("%d entries were removed before the crash and %d after it, want 3,000 together", before, n)
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
