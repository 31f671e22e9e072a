package store_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

func testScan(t *testing.T, s store.Store) {
	tn, other := authtest.Tenant(t, "acme"), authtest.Tenant(t, "zeta")
	const writers, batches = 3, 20
	var mu sync.Mutex
	all := map[logentry.ID]logentry.Record{}
	var wg sync.WaitGroup
	errs := make(chan error, writers)
	for w := range writers {
		m := newMaker(uint64(w))
		wg.Go(func() {
			for range batches {
				batch := append(m.records(tn.ID(), 70), m.records(other.ID(), 5)...)
				if _, err := s.Put(context.Background(), batch); err != nil {
					errs <- err
					return
				}
				mu.Lock()
				for _, r := range batch {
					all[r.ID] = r
				}
				mu.Unlock()
			}
		})
	}
	written := make(chan struct{})
	go func() { wg.Wait(); close(written) }()

	var seen []logentry.Record
	var at store.Position
	for done := false; ; {
		part, next, err := s.Scan(t.Context(), at, 33)
		if err != nil {
			t.Fatal(err)
		}
		seen, at = append(seen, part...), next
		if len(part) == 33 {
			continue
		}
		if done {
			break
		}
		select {
		case <-written:
			done = true // once more, to the end
		default:
		}
	}
	select {
	case err := <-errs:
		t.Fatal(err)
	default:
	}
	if len(seen) != len(all) || len(all) != writers*batches*75 {
		t.Fatalf("the scan saw %d records of %d", len(seen), len(all))
	}
	for _, r := range seen {
		want, ok := all[r.ID]
		if !ok {
			t.Fatalf("%s was seen twice", r.ID)
		}
		delete(all, r.ID)
		same(t, r, want)
	}
	again := scanAll(t, s, 1000)
	if !slices.EqualFunc(again, seen, func(a, b logentry.Record) bool { return a.ID == b.ID }) {
		t.Fatal("a second scan has another order")
	}
	if part, next, err := s.Scan(t.Context(), at, 10); err != nil || len(part) != 0 || next != at {
		t.Fatalf("after the end: %d records at %q, %v", len(part), next, err)
	}
}

func testScanInvalid(t *testing.T, s store.Store) {
	_, _, err := s.Scan(t.Context(), "not a position", 10)
	wantKind(t, err, fault.Invalid, "position_invalid")
}

func testBacklog(t *testing.T, s store.Store) {
	tn, other, m := authtest.Tenant(t, "acme"), authtest.Tenant(t, "zeta"), newMaker(20)
	records := append(m.records(tn.ID(), 100), m.records(other.ID(), 50)...)
	putNew(t, s, slices.Clone(records))
	if st, err := s.BacklogStats(t.Context()); err != nil || st != (store.BacklogStats{}) {
		t.Fatalf("stats of an empty backlog are %+v, %v", st, err)
	}
	ids := idsOf(records)
	begin := time.Now()
	for _, part := range [][]logentry.ID{ids[:90], ids[80:], ids[:3], nil, {ids[0], ids[0]}} { // some come again
		if err := s.AddBacklog(t.Context(), part); err != nil {
			t.Fatal(err)
		}
	}
	if st, err := s.BacklogStats(t.Context()); err != nil || st.Entries != 150 || st.Oldest <= 0 || st.Oldest > time.Since(begin) {
		t.Fatalf("stats are %+v, %v", st, err)
	}
	for range 2 { // reading removes nothing
		got, err := s.ReadBacklog(t.Context(), 60)
		if err != nil || !slices.Equal(idsOf(got), ids[:60]) {
			t.Fatalf("read %d records, %v; want the oldest 60 in order", len(got), err)
		}
		for i := range got {
			same(t, got[i], records[i])
		}
	}
	if err := s.DropBacklog(t.Context(), ids[:70]); err != nil {
		t.Fatal(err)
	}
	if err := s.DropBacklog(t.Context(), ids[60:70]); err != nil { // gone already
		t.Fatal(err)
	}
	if got, err := s.ReadBacklog(t.Context(), 1000); err != nil || !slices.Equal(idsOf(got), ids[70:]) {
		t.Fatalf("read %d records, %v; want the other 80", len(got), err)
	}
	if st, err := s.BacklogStats(t.Context()); err != nil || st.Entries != 80 {
		t.Fatalf("stats are %+v, %v", st, err)
	}
	if err := s.DropBacklog(t.Context(), ids); err != nil {
		t.Fatal(err)
	}
	if st, err := s.BacklogStats(t.Context()); err != nil || st != (store.BacklogStats{}) {
		t.Fatalf("stats at the end are %+v, %v", st, err)
	}
	get(t, s, tn, records[0]) // the record stays
}

func testBacklogGone(t *testing.T, s store.Store) {
	tn, m := authtest.Tenant(t, "acme"), newMaker(21)
	records := m.records(tn.ID(), 2)
	putNew(t, s, slices.Clone(records))
	var ids []logentry.ID
	for range 100 {
		ids = append(ids, m.id(m.now))
	}
	ids = append(slices.Insert(ids, 30, records[0].ID), records[1].ID)
	if err := s.AddBacklog(t.Context(), ids); err != nil {
		t.Fatal(err)
	}
	var got []logentry.Record
	for len(got) < 2 { // any number of them at a time, but never none before the end
		part, err := s.ReadBacklog(t.Context(), 10)
		if err != nil || len(part) == 0 {
			t.Fatalf("%d records, %v", len(part), err)
		}
		got = append(got, part...)
		if err := s.DropBacklog(t.Context(), idsOf(part)); err != nil {
			t.Fatal(err)
		}
	}
	same(t, got[0], records[0])
	same(t, got[1], records[1])
	if st, err := s.BacklogStats(t.Context()); err != nil || st.Entries != 0 {
		t.Fatalf("stats are %+v, %v", st, err)
	}
	if got, err := s.ReadBacklog(t.Context(), 10); err != nil || len(got) != 0 {
		t.Fatalf("%d records, %v", len(got), err)
	}
}

func testQuarantine(t *testing.T, s store.Store) {
	sent := time.Date(2026, 11, 2, 9, 30, 0, 123456789, time.UTC)
	items := []store.Quarantined{
		{Reason: "envelope_corrupt", Detail: "the checksum differs", Body: []byte{0, 1, 0xff, 0xfe}, Receives: 5, SentAt: sent, At: sent.Add(time.Minute)},
		{Reason: "index_refused", TenantID: "aaaaaaaaaaaa", Body: []byte(`{"id":1}`), Receives: 1, SentAt: sent.Add(time.Second), At: sent.Add(time.Minute)},
		{Reason: "crash_loop"},
	}
	before := time.Now().Add(-time.Second)
	if err := s.Quarantine(t.Context(), items[:1]); err != nil {
		t.Fatal(err)
	}
	if err := s.Quarantine(t.Context(), items[1:]); err != nil {
		t.Fatal(err)
	}
	if n, err := s.CountQuarantine(t.Context()); err != nil || n != 3 {
		t.Fatalf("%d items, %v", n, err)
	}
	got, err := s.ListQuarantine(t.Context(), 10)
	if err != nil || len(got) != 3 {
		t.Fatalf("%d items, %v", len(got), err)
	}
	if at := got[0].At; at.Before(before) || at.After(time.Now().Add(time.Second)) {
		t.Fatalf("an item without a time was put at %s", at)
	}
	ids := map[string]bool{}
	for i, q := range got {
		want := items[len(items)-1-i]
		ids[q.ID] = true
		if q.TenantID != want.TenantID || q.Reason != want.Reason || q.Detail != want.Detail || string(q.Body) != string(want.Body) ||
			q.Receives != want.Receives || !q.SentAt.Equal(want.SentAt) || i > 0 && !q.At.Equal(want.At) {
			t.Fatalf("item is %+v, want %+v", q, want)
		}
	}
	if len(ids) != 3 || ids[""] {
		t.Fatalf("ids are %v", ids)
	}
	if got, err := s.ListQuarantine(t.Context(), 1); err != nil || len(got) != 1 || got[0].Reason != "crash_loop" {
		t.Fatalf("the newest is %+v, %v", got, err)
	}
}
