package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	_ "github.com/ocelot-log/ocelot/internal/sqlite/driver"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

func TestSQLiteKeepsEverythingOverAReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s, err := store.NewSQLite(path, store.SQLiteConfig{})
	if err != nil {
		t.Fatal(err)
	}
	tn, m := authtest.Tenant(t, "acme"), newMaker(40)
	records := m.records(tn.ID(), 500)
	putNew(t, s, slices.Clone(records[:300]))
	if err := s.AddBacklog(t.Context(), idsOf(records[:70])); err != nil {
		t.Fatal(err)
	}
	first, at, err := s.Scan(t.Context(), "", 250)
	if err != nil || len(first) != 250 {
		t.Fatalf("%d records, %v", len(first), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	again := openSQLite(t, path, store.SQLiteConfig{})
	if st, err := again.BacklogStats(t.Context()); err != nil || st.Entries != 70 {
		t.Fatalf("stats are %+v, %v", st, err)
	}
	batch := slices.Clone(records[200:])
	for i, v := range put(t, again, batch) {
		if want := map[bool]store.Verdict{true: store.Duplicate, false: store.Stored}[i < 100]; v != want {
			t.Fatalf("record %d: verdict %d, want %d", i, v, want)
		}
	}
	rest, _, err := again.Scan(t.Context(), at, 1000)
	if err != nil || !slices.Equal(idsOf(append(first, rest...)), idsOf(records)) {
		t.Fatalf("%d more records after the position, %v", len(rest), err)
	}
	page, err := again.Find(t.Context(), tn, query.Query{Limit: 1000})
	if err != nil || len(page.Hits) != 500 {
		t.Fatalf("%d hits, %v", len(page.Hits), err)
	}
}

func TestSQLiteStoresNothingOnAFullDiskAndKeepsWhatItHas(t *testing.T) {
	s := openSQLite(t, filepath.Join(t.TempDir(), "store.db"), store.SQLiteConfig{MaxPages: 300})
	tn, m := authtest.Tenant(t, "acme"), newMaker(41)
	var held []logentry.Record
	var lost []logentry.Record
	for lost == nil {
		batch := m.records(tn.ID(), 500)
		if _, err := s.Put(t.Context(), slices.Clone(batch)); err != nil {
			wantKind(t, err, fault.Full, "storage_full")
			lost = batch
			break
		}
		held = append(held, batch...)
	}
	if len(held) < 500 {
		t.Fatal("it was full from the start")
	}
	got, err := s.GetMany(t.Context(), tn, idsOf(append(slices.Clone(lost), held...)))
	if err != nil || !slices.Equal(idsOf(got), idsOf(held)) {
		t.Fatalf("%d records of %d, %v", len(got), len(held), err)
	}
	for i := range got {
		same(t, got[i], held[i])
	}
	if all := scanAll(t, s, 100); len(all) != len(held) {
		t.Fatalf("the scan sees %d records of %d", len(all), len(held))
	}
	again := slices.Clone(held[:10]) // what is there already needs no space
	for i, v := range put(t, s, again) {
		if v != store.Duplicate {
			t.Fatalf("record %d: verdict %d, want a duplicate", i, v)
		}
	}
}

func TestSQLiteFindsRareEntriesAmongMany(t *testing.T) {
	slow(t)
	s := openSQLite(t, ":memory:", store.SQLiteConfig{})
	tn, m := authtest.Tenant(t, "acme"), newMaker(42)
	all := m.records(tn.ID(), 24_000) // more than a walk by time looks at
	for _, i := range []int{7, 8, 12_000, 23_990} {
		all[i].UserID = "rare user"
		all[i] = recordOf(all[i].Entry)
	}
	putNew(t, s, slices.Clone(all))
	for _, where := range []query.Node{
		query.Term{Field: query.UserID, Value: "rare user"},
		query.Term{Field: query.SessionID, Value: all[7].SessionID},
	} {
		want := oracle(all, where, query.NewestFirst)
		page := find(t, s, query.Query{Where: where, Limit: 3})
		checkHits(t, page, want[:min(3, len(want))], len(want) > 3)
		if page.Total != int64(len(want)) {
			t.Fatalf("total is %d, want %d", page.Total, len(want))
		}
		if len(want) == 4 {
			page = find(t, s, query.Query{Where: where, Limit: 3, After: &want[1], Total: query.TotalNone})
			checkHits(t, page, want[2:], false)
		}
	}
}

func TestSQLiteVerifyFindsDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s := openSQLite(t, path, store.SQLiteConfig{})
	tn, m := authtest.Tenant(t, "acme"), newMaker(43)
	records := m.records(tn.ID(), 640)
	putNew(t, s, slices.Clone(records))
	if checked, damaged, err := s.Verify(t.Context()); err != nil || checked != 640 || damaged != 0 {
		t.Fatalf("checked %d, damaged %d, %v", checked, damaged, err)
	}

	raw, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	spoil := func(seq int, spoil func(body []byte) []byte) {
		t.Helper()
		var body []byte
		if err := raw.QueryRow("SELECT body FROM blocks WHERE seq=?", seq).Scan(&body); err != nil {
			t.Fatal(err)
		}
		if _, err := raw.Exec("UPDATE blocks SET body=? WHERE seq=?", spoil(body), seq); err != nil {
			t.Fatal(err)
		}
	}
	spoil(3, func(body []byte) []byte { return body[:len(body)/2] })
	spoil(5, func(body []byte) []byte { // one letter of one message, kept as a literal somewhere
		i := bytes.LastIndex(body, []byte("of order"))
		if i < 0 {
			i = len(body) - 20
		}
		body[i] ^= 1
		return body
	})
	checked, damaged, err := s.Verify(context.Background())
	if err != nil || checked != 640 || damaged < 65 {
		t.Fatalf("checked %d, damaged %d, %v; want the 64 of one block and some of another", checked, damaged, err)
	}
	_, err = s.Get(t.Context(), tn, records[2*64].ID)
	wantKind(t, err, fault.Corrupt, "record_corrupt")
	get(t, s, tn, records[0])
}
