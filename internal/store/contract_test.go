package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/internal/tenant"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

func TestSQLiteInMemory(t *testing.T) {
	if testing.Short() { // as with the race detector, where it takes thirty times as long
		t.Skip("the same suite as on a file: run without -short")
	}
	testStore(t, func(t *testing.T) store.Store { return openSQLite(t, ":memory:", store.SQLiteConfig{}) })
}

// slow leaves a test out under -short, which the run with the race detector has: it takes thirty times as long there,
// and these tests have one goroutine.
func slow(t *testing.T) {
	if testing.Short() {
		t.Skip("long and of one goroutine: run without -short")
	}
}

func TestSQLiteFile(t *testing.T) {
	testStore(t, func(t *testing.T) store.Store {
		return openSQLite(t, filepath.Join(t.TempDir(), "store.db"), store.SQLiteConfig{})
	})
}

func openSQLite(t testing.TB, path string, cfg store.SQLiteConfig) *store.SQLite {
	t.Helper()
	s, err := store.NewSQLite(path, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// testStore checks what every backend promises. Each call of open gives an empty store.
func testStore(t *testing.T, open func(t *testing.T) store.Store) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, s store.Store)
	}{
		{"records are read back byte for byte", testReadBack},
		{"odd JSON stays as it was put", testOddJSON},
		{"an id twice in one Put is stored once", testTwiceInOne},
		{"an id in a later Put leaves the first version", testTwiceInTwo},
		{"new and held ids mixed in one Put each get their verdict", testMixed},
		{"concurrent Puts of the same ids store each once", testConcurrent},
		{"an id that another tenant has is rejected and shown to nobody else", testForeignID},
		{"a record that can't be kept is rejected and its neighbours stored", testRejected},
		{"an empty Put is nothing", testEmptyPut},
		{"a tenant sees its own records only", testIsolation},
		{"GetMany keeps the order of ids and leaves absent ones out", testGetMany},
		{"large messages, large entries and large batches are kept", testLarge},
		{"a scan sees everything once in one order while others write", testScan},
		{"a scan from a position that is none is refused", testScanInvalid},
		{"find agrees with the meaning of the tree", testFind},
		{"find orders ties and nanoseconds", testFindTies},
		{"find counts up to its bound", testFindTotals},
		{"find that takes too long is a timeout", testFindTimeout},
		{"an export is what the tree means, whole and in order", testExport},
		{"an export of many keeps its order over its parts", testExportMany},
		{"an export of large records is whole", testExportLarge},
		{"an export ends when its receiver or its caller says so, and sees one tenant", testExportEnds},
		{"the end is after everything and before what comes", testEnd},
		{"a scan to a position ends exactly there", testScanTo},
		{"who watches is told of what is put", testWatch},
		{"the backlog is read oldest first until it is dropped", testBacklog},
		{"the backlog forgets ids without a record", testBacklogGone},
		{"the quarantine keeps what it was given, newest first", testQuarantine},
		{"a slug is taken once", testTenants},
		{"a tenant is changed by who saw its version, and removed", testTenantChanges},
		{"a tenant is purged in parts, and nothing of another's", testPurge},
		{"what is old of a tenant is purged in parts, and nothing younger", testPurgeOld},
		{"a document is changed by who saw its version, and deleted", testDocuments},
		{"a list has no document that is being deleted", testDocumentsWhileDeleted},
		{"documents are listed by id, a tenant's own", testDocumentLists},
		{"a document that has expired is found by no read", testDocumentsExpire},
		{"changes of documents are found by their time, deletions too", testDocumentChanges},
		{"of many who make or change a document at once one does", testDocumentRaces},
		{"a closed store says so", testClosed},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

func put(t testing.TB, s store.Records, records []logentry.Record) []store.Verdict {
	t.Helper()
	verdicts, err := s.Put(t.Context(), records)
	if err != nil {
		t.Fatalf("put: %v", err)
	}
	if len(verdicts) != len(records) {
		t.Fatalf("%d verdicts for %d records", len(verdicts), len(records))
	}
	return verdicts
}

func putNew(t testing.TB, s store.Records, records []logentry.Record) {
	t.Helper()
	for i, v := range put(t, s, records) {
		if v != store.Stored {
			t.Fatalf("record %d: verdict %d, want it stored", i, v)
		}
	}
}

// same fails unless the two records are the same in every field and byte.
func same(t testing.TB, got, want logentry.Record) {
	t.Helper()
	if !bytes.Equal(got.JSON, want.JSON) {
		t.Fatalf("JSON is\n%s\nwant\n%s", got.JSON, want.JSON)
	}
	if got.ID != want.ID || got.TenantID != want.TenantID || !got.ReceivedAt.Equal(want.ReceivedAt) || !got.Timestamp.Equal(want.Timestamp) || got.Message != want.Message {
		t.Fatalf("the entry is %+v, want %+v", got.Entry, want.Entry)
	}
}

func get(t testing.TB, s store.Records, tn auth.Tenant, want logentry.Record) {
	t.Helper()
	got, err := s.Get(t.Context(), tn, want.ID)
	if err != nil {
		t.Fatalf("get %s: %v", want.ID, err)
	}
	same(t, got, want)
}

func wantKind(t testing.TB, err error, kind fault.Kind, code string) {
	t.Helper()
	if f := fault.Of(err); f == nil || f.Kind != kind || code != "" && f.Code != code {
		t.Fatalf("error is %v, want kind %s, code %s", err, kind, code)
	}
}

// scanAll reads all records in parts of max.
func scanAll(t testing.TB, s store.Records, max int) []logentry.Record {
	t.Helper()
	var all []logentry.Record
	var at store.Position
	for {
		part, next, err := s.Scan(t.Context(), at, max)
		if err != nil {
			t.Fatalf("scan: %v", err)
		}
		all, at = append(all, part...), next
		if len(part) < max {
			return all
		}
	}
}

func testReadBack(t *testing.T, s store.Store) {
	tn, m := authtest.Tenant(t, "acme"), newMaker(1)
	records := m.records(tn.ID(), 300)
	putNew(t, s, records)
	for _, r := range records {
		get(t, s, tn, r)
	}
	got, err := s.GetMany(t.Context(), tn, idsOf(records))
	if err != nil || len(got) != len(records) {
		t.Fatalf("%d records, %v", len(got), err)
	}
	for i := range got {
		same(t, got[i], records[i])
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func testOddJSON(t *testing.T, s store.Store) {
	tn, m := authtest.Tenant(t, "acme"), newMaker(2)
	const lead = `{"id":"%s","received_at":"2026-11-02T09:30:00.123456789Z","timestamp":"2026-11-02T09:30:00Z","severity":"INFO"`
	var records []logentry.Record
	for _, rest := range []string{
		`,"message":"quote \" backslash \\ slash / newline \n tab \t bell \u0007 nul \u0000"}`,
		`,"message":"ünï ÷ 日本 🙂 U+FFFE ` + "\ufffe" + ` line separator ` + "\u2028" + `"}`,
		`,"message":"x","metadata":{"a":1.0,"b":-0,"c":1e400,"d":12345678901234567890,"e":0.10000000000000000555,"f":1E+2}}`,
		`,"message":"x","metadata":{"\u0061":"\u00e9\ud83d\ude42","nul":"\u0000","empty":{},"list":[[],{},null,true]}}`,
		`,"message":"x","later_version":{"any":["thing",1]},"another":null}`,
		`,"action":"DELETE","before_state":{"z":1,"a":2},"after_state":{"a":2,"z":1},"changes":["z"]}`,
		`,"message":"` + strings.Repeat("a", 5000) + `"}`,
	} {
		line := fmt.Appendf(nil, lead+"%s", m.id(m.now), rest)
		r, err := logentry.ParseRecord(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		r.TenantID = tn.ID()
		records = append(records, r)
	}
	putNew(t, s, slices.Clone(records))
	for _, r := range records {
		get(t, s, tn, r)
	}
	for i, r := range scanAll(t, s, 3) {
		same(t, r, records[i])
	}
}

// changed is a record with the id of r and everything else of another.
func changed(r, other logentry.Record) logentry.Record {
	e := other.Entry
	e.ID, e.TenantID = r.ID, r.TenantID
	return recordOf(e)
}

func testTwiceInOne(t *testing.T, s store.Store) {
	tn, m := authtest.Tenant(t, "acme"), newMaker(3)
	fresh := m.records(tn.ID(), 3)
	again := changed(fresh[0], m.records(tn.ID(), 1)[0])
	records := []logentry.Record{fresh[0], fresh[1], again, fresh[2], again}
	verdicts := put(t, s, records)
	if want := []store.Verdict{store.Stored, store.Stored, store.Duplicate, store.Stored, store.Duplicate}; !slices.Equal(verdicts, want) {
		t.Fatalf("verdicts are %v, want %v", verdicts, want)
	}
	same(t, records[2], fresh[0])
	same(t, records[4], fresh[0])
	if all := scanAll(t, s, 100); len(all) != 3 {
		t.Fatalf("%d records are held, want 3", len(all))
	}
	for _, r := range fresh {
		get(t, s, tn, r)
	}
}

func testTwiceInTwo(t *testing.T, s store.Store) {
	tn, m := authtest.Tenant(t, "acme"), newMaker(4)
	held := m.records(tn.ID(), 1)[0]
	putNew(t, s, []logentry.Record{held})
	m.now = m.now.Add(24 * time.Hour)
	again := []logentry.Record{changed(held, m.records(tn.ID(), 1)[0])}
	if again[0].ReceivedAt.Equal(held.ReceivedAt) {
		t.Fatal("the second version is to have another received_at")
	}
	if v := put(t, s, again); v[0] != store.Duplicate {
		t.Fatalf("verdict %d, want a duplicate", v[0])
	}
	same(t, again[0], held)
	get(t, s, tn, held)
}

func testMixed(t *testing.T, s store.Store) {
	tn, other, m := authtest.Tenant(t, "acme"), authtest.Tenant(t, "zeta"), newMaker(5)
	records, others := m.records(tn.ID(), 500), m.records(other.ID(), 500)
	held := map[logentry.ID]logentry.Record{}
	var first []logentry.Record
	for i, r := range records {
		if i%3 == 1 || i >= 64 && i < 128 { // one whole run of 64, too
			held[r.ID] = r
			first = append(first, r)
		}
	}
	putNew(t, s, first)
	var batch []logentry.Record
	for i := range records {
		batch = append(batch, changed(records[i], others[i]), others[i])
	}
	want := slices.Clone(batch)
	for i, v := range put(t, s, batch) {
		wantVerdict := store.Stored
		if h, ok := held[batch[i].ID]; ok {
			want[i], wantVerdict = h, store.Duplicate
		}
		if v != wantVerdict {
			t.Fatalf("record %d: verdict %d, want %d", i, v, wantVerdict)
		}
		same(t, batch[i], want[i])
	}
	for i, r := range want {
		get(t, s, []auth.Tenant{tn, other}[i%2], r)
	}
	if all := scanAll(t, s, 77); len(all) != 1000 {
		t.Fatalf("%d records are held, want 1,000", len(all))
	}
}

func testConcurrent(t *testing.T, s store.Store) {
	tn := authtest.Tenant(t, "acme")
	base := newMaker(6).records(tn.ID(), 500)
	const writers = 8
	versions := make([][]logentry.Record, writers)
	verdicts := make([][]store.Verdict, writers)
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for w := range writers {
		m := newMaker(uint64(100 + w))
		for _, r := range base {
			versions[w] = append(versions[w], changed(r, m.records(tn.ID(), 1)[0]))
		}
		wg.Go(func() { verdicts[w], errs[w] = s.Put(context.Background(), versions[w]) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for i, r := range base {
		held, err := s.Get(t.Context(), tn, r.ID)
		if err != nil {
			t.Fatal(err)
		}
		stored := 0
		for w := range writers {
			if verdicts[w][i] == store.Stored {
				stored++
			}
			same(t, versions[w][i], held)
		}
		if stored != 1 {
			t.Fatalf("id %d was stored %d times", i, stored)
		}
	}
	if all := scanAll(t, s, 1000); len(all) != len(base) {
		t.Fatalf("%d records are held, want %d", len(all), len(base))
	}
}

func testForeignID(t *testing.T, s store.Store) {
	owner, other, m := authtest.Tenant(t, "acme"), authtest.Tenant(t, "zeta"), newMaker(7)
	held := m.records(owner.ID(), 1)[0]
	putNew(t, s, []logentry.Record{held})
	stolen := m.records(other.ID(), 1)[0]
	stolen.ID = held.ID
	stolen.JSON = logentry.AppendJSON(nil, &stolen.Entry)
	records := []logentry.Record{stolen}
	if v := put(t, s, records); v[0] != store.Rejected {
		t.Fatalf("verdict %d, want it rejected", v[0])
	}
	same(t, records[0], stolen)
	get(t, s, owner, held)
	_, err := s.Get(t.Context(), other, held.ID)
	wantKind(t, err, fault.NotFound, "")
}

func testRejected(t *testing.T, s store.Store) {
	tn, m := authtest.Tenant(t, "acme"), newMaker(8)
	records := m.records(tn.ID(), 4)
	records[1].TenantID = ""
	records[2].ID = logentry.ID{}
	want := []store.Verdict{store.Stored, store.Rejected, store.Rejected, store.Stored}
	if got := put(t, s, records); !slices.Equal(got, want) {
		t.Fatalf("verdicts are %v, want %v", got, want)
	}
	get(t, s, tn, records[0])
	get(t, s, tn, records[3])
}

func testEmptyPut(t *testing.T, s store.Store) {
	put(t, s, nil)
	if all := scanAll(t, s, 10); len(all) != 0 {
		t.Fatalf("%d records in an empty store", len(all))
	}
}

func testIsolation(t *testing.T, s store.Store) {
	a, b, m := authtest.Tenant(t, "acme"), authtest.Tenant(t, "zeta"), newMaker(9)
	var all []logentry.Record
	for range 150 {
		all = append(all, m.records(a.ID(), 1)[0], m.records(b.ID(), 1)[0])
	}
	putNew(t, s, slices.Clone(all))
	for _, c := range []struct {
		name string
		tn   auth.Tenant
		want int
	}{{"one", a, 150}, {"the other", b, 150}, {"one without entries", authtest.Tenant(t, "nobody"), 0}, {"none", auth.Tenant{}, 0}} {
		got, err := s.GetMany(t.Context(), c.tn, idsOf(all))
		if err != nil || len(got) != c.want {
			t.Fatalf("%s gets %d records, %v", c.name, len(got), err)
		}
		for _, sort := range []query.Sort{query.NewestFirst, query.OldestFirst, query.ReceivedNewestFirst, query.ReceivedOldestFirst} {
			for _, where := range []query.Node{nil, query.Not{Node: query.Term{Field: query.Service, Value: "none"}}} {
				page, err := s.Find(t.Context(), c.tn, query.Query{Where: where, Sort: sort, Limit: 1000})
				if err != nil || len(page.Hits) != c.want || page.Total != int64(c.want) {
					t.Fatalf("%s finds %d of %d records, %v", c.name, len(page.Hits), page.Total, err)
				}
			}
		}
		for _, r := range got {
			if r.TenantID != c.tn.ID() {
				t.Fatalf("%s gets a record of %q", c.name, r.TenantID)
			}
		}
		for _, r := range all[:4] {
			if _, err := s.Get(t.Context(), c.tn, r.ID); r.TenantID != c.tn.ID() {
				wantKind(t, err, fault.NotFound, "")
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func testGetMany(t *testing.T, s store.Store) {
	tn, m := authtest.Tenant(t, "acme"), newMaker(10)
	records := m.records(tn.ID(), 400)
	putNew(t, s, records)
	absent := m.id(m.now)
	ids := []logentry.ID{records[399].ID, absent, records[0].ID, records[200].ID, absent}
	got, err := s.GetMany(t.Context(), tn, ids)
	if err != nil || len(got) != 3 {
		t.Fatalf("%d records, %v", len(got), err)
	}
	for i, want := range []int{399, 0, 200} {
		same(t, got[i], records[want])
	}
	got[0].JSON[0] = '!' // the caller's own
	get(t, s, tn, records[399])
	if got, err := s.GetMany(t.Context(), tn, nil); err != nil || len(got) != 0 {
		t.Fatalf("%d records for no ids, %v", len(got), err)
	}
	_, err = s.Get(t.Context(), tn, absent)
	wantKind(t, err, fault.NotFound, "")
}

func testLarge(t *testing.T, s store.Store) {
	tn, m := authtest.Tenant(t, "acme"), newMaker(11)
	records := m.records(tn.ID(), 10_000)
	for _, size := range []int{64 << 10, 256<<10 - 600, 64<<10 - 700, 1} {
		e := m.entry(tn.ID())
		e.Message = strings.Repeat("é", size/2) + "x"
		records = slices.Insert(records, len(records)/2, recordOf(e))
	}
	putNew(t, s, slices.Clone(records))
	for i, r := range scanAll(t, s, 4096) {
		same(t, r, records[i])
	}
	get(t, s, tn, records[0])
	get(t, s, tn, records[len(records)-1])
	get(t, s, tn, records[len(records)/2])
}

func testClosed(t *testing.T, s store.Store) {
	m := newMaker(12)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := s.Put(t.Context(), m.records("t", 1))
	wantKind(t, err, fault.Unavailable, "")
	wantKind(t, s.AddBacklog(t.Context(), []logentry.ID{m.id(m.now)}), fault.Unavailable, "")
	wantKind(t, s.Ping(t.Context()), fault.Unavailable, "")
	wantKind(t, s.Watch(t.Context(), func() { t.Error("a closed store rings") }), fault.Unavailable, "")
}

func testTenants(t *testing.T, s store.Store) {
	at := time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)
	zeta := tenant.Info{ID: "aaaaaaaaaaaa", Slug: "zeta", Name: "Zeta Ltd", CreatedAt: at}
	acme := tenant.Info{ID: "bbbbbbbbbbbb", Slug: "acme", Name: "Acme", CreatedAt: at.Add(time.Hour)}
	for _, i := range []tenant.Info{zeta, acme} {
		if err := s.CreateTenant(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	wantKind(t, s.CreateTenant(t.Context(), tenant.Info{ID: "cccccccccccc", Slug: "acme", CreatedAt: at}), fault.Conflict, "tenant_exists")
	acme.Version, zeta.Version = 1, 1
	all, err := s.ListTenants(t.Context())
	if err != nil || !reflect.DeepEqual(all, []tenant.Info{acme, zeta}) {
		t.Fatalf("tenants are %+v, %v", all, err)
	}
}
