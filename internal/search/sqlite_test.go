package search_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/search"
	_ "github.com/ocelot-log/ocelot/internal/sqlite/driver"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

func TestSQLiteInMemory(t *testing.T) {
	slow(t)
	testIndex(t, func(t *testing.T) backend { return openSQLite(t, ":memory:", search.SQLiteConfig{}) })
}

func TestSQLiteFile(t *testing.T) {
	testIndex(t, func(t *testing.T) backend {
		return openSQLite(t, filepath.Join(t.TempDir(), "search.db"), search.SQLiteConfig{})
	})
}

// slow leaves a test out under -short, which the run with the race detector has: it takes thirty times as long there,
// and these tests have one goroutine.
func slow(t *testing.T) {
	if testing.Short() {
		t.Skip("long and of one goroutine: run without -short")
	}
}

func openSQLite(t testing.TB, path string, cfg search.SQLiteConfig) backend {
	t.Helper()
	x, err := search.NewSQLite(path, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return backend{x, func(*testing.T) {}}
}

// checkFile has FTS5 and SQLite check the file of a closed index.
func checkFile(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Exec("INSERT INTO fts(fts) VALUES('integrity-check')"); err != nil {
		t.Errorf("FTS5: %v", err)
	}
	var result string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&result); err != nil || result != "ok" {
		t.Errorf("SQLite: %s, %v", result, err)
	}
}

// TestSegmentsAreWhatFTS5Reads adds batches of many sizes, so that segments merge on several tiers, closes
// in the middle of merges, and has FTS5 check every term, row and page of what came out.
func TestSegmentsAreWhatFTS5Reads(t *testing.T) {
	slow(t)
	path := filepath.Join(t.TempDir(), "search.db")
	m := newMaker(20)
	var records []logentry.Record
	most, merging := 0, 0
	for round := range 4 {
		x, err := search.NewSQLite(path, search.SQLiteConfig{})
		if err != nil {
			t.Fatal(err)
		}
		for n := range 25 {
			batch := m.records([]int{1, 7, 200, 600}[(n+round)%4])
			mustAdd(t, backend{Index: x}, batch)
			records = append(records, batch...)
			segments, merges := x.Segments()
			most, merging = max(most, segments), max(merging, merges)
		}
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		checkFile(t, path)
	}
	if most > 40 || merging == 0 {
		t.Errorf("%d segments at most, %d merges at once", most, merging)
	}
	x := openSQLite(t, path, search.SQLiteConfig{})
	for _, slug := range slugs {
		for _, where := range []query.Node{nil, query.Text{Tokens: []string{"user", "id"}}, query.Term{Field: query.Service, Value: "bill", Prefix: true}} {
			walk(t, x, slug, query.Query{Where: where, Limit: 1000, Total: query.TotalExact}, expected(records, slug, where, query.NewestFirst))
		}
	}
}

// TestLongDoclists makes doclists of many pages, which FTS5 jumps about in.
func TestLongDoclists(t *testing.T) {
	slow(t)
	path := filepath.Join(t.TempDir(), "search.db")
	x := openSQLite(t, path, search.SQLiteConfig{})
	m := newMaker(21)
	var records []logentry.Record
	for i := range 30_000 {
		e := logentry.Entry{ID: m.id(), TenantID: authtest.TenantID("acme"), Timestamp: m.now.Add(time.Duration(i) * time.Second),
			ReceivedAt: m.now, Service: "s", Message: "common"}
		if i%1000 == 7 {
			e.Message = "common rare"
		}
		records = append(records, recordOf(e))
	}
	for from := 0; from < len(records); from += 3000 {
		mustAdd(t, x, records[from:from+3000])
	}
	for _, sort := range []query.Sort{query.NewestFirst, query.OldestFirst} {
		for _, where := range []query.Node{
			query.And{query.Text{Tokens: []string{"common"}}, query.Text{Tokens: []string{"rare"}}},
			query.And{query.Term{Field: query.Service, Value: "s"}, query.Range{Field: query.Timestamp, From: records[9000].Timestamp, To: records[21_000].Timestamp}},
			query.Text{Tokens: []string{"common", "rare"}},
		} {
			walk(t, x, "acme", query.Query{Where: where, Sort: sort, Limit: 900, Total: query.TotalExact}, expected(records, "acme", where, sort))
		}
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	checkFile(t, path)
}

// TestBucketsThatAreFull has more entries in a moment than a bucket takes.
func TestBucketsThatAreFull(t *testing.T) {
	slow(t)
	for _, path := range []string{":memory:", filepath.Join(t.TempDir(), "search.db")} {
		t.Run(filepath.Base(path), func(t *testing.T) {
			x, err := search.NewSQLite(path, search.SQLiteConfig{})
			if err != nil {
				t.Fatal(err)
			}
			x.SetMaxSlots(8)
			m := newMaker(22)
			var records []logentry.Record
			for range 300 {
				e := m.entry()
				e.TenantID, e.Timestamp = authtest.TenantID("acme"), m.now.Add(time.Duration(m.IntN(40))*time.Millisecond+time.Duration(m.IntN(2)*20)*time.Hour)
				records = append(records, recordOf(e))
			}
			b := backend{Index: x}
			for from := 0; from < len(records); from += 50 {
				mustAdd(t, b, records[from:from+50])
				mustAdd(t, b, records[max(0, from-60):from+20])
			}
			if x.Spill() < 3 {
				t.Errorf("the spill is %d: nothing was tested", x.Spill())
			}
			for n := range 60 {
				var where query.Node
				if n > 3 {
					where = query.Range{Field: query.Timestamp, From: pick(m, records...).Timestamp, To: pick(m, records...).Timestamp}
				}
				sort := sorts[n%4]
				walk(t, b, "acme", query.Query{Where: where, Sort: sort, Limit: pick(m, 3, 40, 1000)}, expected(records, "acme", where, sort))
			}
			if err := x.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestWhatCannotBeIndexedIsRefused(t *testing.T) {
	x := openSQLite(t, ":memory:", search.SQLiteConfig{})
	m := newMaker(23)
	records := m.records(5)
	records[0].TenantID = ""
	records[1].Timestamp = time.Unix(-1, 0)
	records[2].Timestamp = time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC)
	verdicts, err := x.Add(t.Context(), records)
	if want := []search.Verdict{search.Refused, search.Refused, search.Refused, search.Indexed, search.Indexed}; err != nil || !slices.Equal(verdicts, want) {
		t.Errorf("got %v, %v", verdicts, err)
	}
	if verdicts, err := x.Add(t.Context(), records[:1]); err != nil || !slices.Equal(verdicts, []search.Verdict{search.Refused}) {
		t.Errorf("alone: %v, %v", verdicts, err)
	}
}

// TestAFullDiskLosesNothing fills the file up; what was Indexed stays found, and the rest can be added again.
func TestAFullDiskLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "search.db")
	m := newMaker(24)
	var records, rest []logentry.Record
	x, err := search.NewSQLite(path, search.SQLiteConfig{MaxPages: 400})
	if err != nil {
		t.Fatal(err)
	}
	for full := 0; full < 5; {
		batch := m.records(100)
		switch _, err := x.Add(t.Context(), batch); {
		case err == nil:
			records = append(records, batch...)
		case fault.KindOf(err) == fault.Full:
			rest = append(rest, batch...)
			full++
		default:
			t.Fatal(err)
		}
	}
	walk(t, backend{Index: x}, "acme", query.Query{Limit: 1000, Total: query.TotalExact}, expected(records, "acme", nil, query.NewestFirst))
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	checkFile(t, path)
	again := openSQLite(t, path, search.SQLiteConfig{})
	mustAdd(t, again, append(rest, records...))
	walk(t, again, "acme", query.Query{Limit: 1000, Total: query.TotalExact}, expected(append(rest, records...), "acme", nil, query.NewestFirst))
}

// TestWhatAKilledRemovalLeftIsNoSegment opens a file as a SIGKILL leaves it between the removal of a replaced
// segment's last page and that of its splits, for every id that the next segments could get.
func TestWhatAKilledRemovalLeftIsNoSegment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "search.db")
	m := newMaker(25)
	records := m.records(300)
	x := openSQLite(t, path, search.SQLiteConfig{})
	mustAdd(t, x, records[:100])
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec(`WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 50)
		INSERT INTO fts_idx(segid, term, pgno) SELECT id, x'', 2 FROM n WHERE id NOT IN (SELECT segid FROM fts_idx)`)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	again := openSQLite(t, path, search.SQLiteConfig{})
	for from := 100; from < 300; from += 20 {
		mustAdd(t, again, records[from:from+20])
	}
	walk(t, again, "acme", query.Query{Limit: 1000, Total: query.TotalExact}, expected(records, "acme", nil, query.NewestFirst))
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	checkFile(t, path)
	db, err = sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	var left int
	err = db.QueryRow("SELECT count(*) FROM fts_idx WHERE pgno = 2 AND term = x''").Scan(&left)
	if err := errors.Join(err, db.Close()); err != nil || left > 11 { // each of the eleven Adds may have made one of its own
		t.Errorf("%d splits of no segment are left, %v", left, err)
	}
}

func TestAnotherFormatIsNotOpened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "search.db")
	x := openSQLite(t, path, search.SQLiteConfig{})
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec("UPDATE facts SET value = 99 WHERE name = 'format'")
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = search.NewSQLite(path, search.SQLiteConfig{})
	if f := fault.Of(err); f == nil || f.Kind != fault.Corrupt || f.Code != "index_format" {
		t.Errorf("got %v", err)
	}
}
