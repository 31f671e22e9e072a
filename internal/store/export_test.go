package store_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// exported are all records of an export.
func exported(t testing.TB, s store.Records, q query.Query) (all []logentry.Record) {
	t.Helper()
	err := s.Export(t.Context(), authtest.Tenant(t, "acme"), q, func(r logentry.Record) error {
		all = append(all, r)
		return nil
	})
	if err != nil {
		t.Fatalf("export %+v: %v", q, err)
	}
	return all
}

func testExport(t *testing.T, s store.Store) {
	slow(t)
	all := findCorpus(t, s)
	byID := map[logentry.ID]logentry.Record{}
	for _, r := range all {
		byID[r.ID] = r
	}
	check := func(t *testing.T, got []logentry.Record, want []query.Position) {
		t.Helper()
		if len(got) != len(want) {
			t.Fatalf("%d records, want %d", len(got), len(want))
		}
		for i := range got {
			if got[i].ID != want[i].ID {
				t.Fatalf("record %d is %s, want %s", i, got[i].ID, want[i].ID)
			}
			same(t, got[i], byID[want[i].ID])
		}
	}
	for filter, where := range findFilters(all) {
		for order, sort := range sorts {
			want := oracle(all, where, sort)
			t.Run(filter+", "+order, func(t *testing.T) {
				check(t, exported(t, s, query.Query{Where: where, Sort: sort, Limit: 3, Skip: 2}), want)
				for _, at := range []int{0, len(want) / 2, len(want) - 1} {
					if at >= 0 && at < len(want) {
						check(t, exported(t, s, query.Query{Where: where, Sort: sort, After: &want[at]}), want[at+1:])
					}
				}
			})
		}
	}
}

func testExportMany(t *testing.T, s store.Store) {
	slow(t)
	tn, m := authtest.Tenant(t, "acme"), newMaker(51)
	records := m.records(tn.ID(), 20_000) // several parts, and ties over their borders
	for i := range records {
		e := &records[i].Entry
		e.Timestamp = m.now.Add(time.Duration(i/700) * time.Second)
		records[i] = recordOf(*e)
	}
	putNew(t, s, records)
	for order, sort := range sorts {
		for name, where := range map[string]query.Node{"all": nil, "some": query.Term{Field: query.Severity, Value: "ERROR"}} {
			want := oracle(records, where, sort)
			got := exported(t, s, query.Query{Where: where, Sort: sort})
			if len(got) != len(want) {
				t.Fatalf("%s, %s: %d records, want %d", name, order, len(got), len(want))
			}
			for i := range got {
				if got[i].ID != want[i].ID {
					t.Fatalf("%s, %s: record %d is %s, want %s", name, order, i, got[i].ID, want[i].ID)
				}
			}
		}
	}
}

func testExportLarge(t *testing.T, s store.Store) {
	slow(t)
	tn, m := authtest.Tenant(t, "acme"), newMaker(54)
	records := m.records(tn.ID(), 400) // 80 MiB, which nobody holds at once
	for i := range records {
		if i%2 == 0 {
			records[i].Metadata = jsontext.Value(`{"text":"` + strings.Repeat("x", 200<<10) + strconv.Itoa(i) + `"}`)
			records[i] = recordOf(records[i].Entry)
		}
	}
	putNew(t, s, records)
	for order, sort := range sorts {
		want := oracle(records, nil, sort)
		n := 0
		err := s.Export(t.Context(), tn, query.Query{Sort: sort}, func(r logentry.Record) error {
			if n < len(want) && r.ID != want[n].ID {
				t.Fatalf("%s: record %d is %s, want %s", order, n, r.ID, want[n].ID)
			}
			n++
			return nil
		})
		if err != nil || n != len(want) {
			t.Fatalf("%s: %d records, want %d, %v", order, n, len(want), err)
		}
	}
}

func testExportEnds(t *testing.T, s store.Store) {
	tn := authtest.Tenant(t, "acme")
	putNew(t, s, newMaker(52).records(tn.ID(), 300))
	for order, sort := range sorts {
		enough, n := errors.New("enough"), 0
		err := s.Export(t.Context(), tn, query.Query{Sort: sort}, func(logentry.Record) error {
			if n++; n == 7 {
				return enough
			}
			return nil
		})
		if !errors.Is(err, enough) || n != 7 {
			t.Fatalf("%s: error %v after %d records", order, err, n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Export(ctx, tn, query.Query{Sort: sort}, func(logentry.Record) error { return nil }); err == nil {
			t.Fatalf("%s: no error where the caller has gone", order)
		}
		for _, none := range []auth.Tenant{authtest.Tenant(t, "zeta"), {}} {
			err := s.Export(t.Context(), none, query.Query{Sort: sort}, func(r logentry.Record) error {
				t.Errorf("%s is seen by another tenant", r.ID)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func testEnd(t *testing.T, s store.Store) {
	tn, m := authtest.Tenant(t, "acme"), newMaker(53)
	end := func() store.Position {
		at, err := s.End(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	empty := end()
	for range 3 {
		at := end()
		records, next, err := s.Scan(t.Context(), at, 1000)
		if err != nil || len(records) != 0 {
			t.Fatalf("after the end there are %d records, %v", len(records), err)
		}
		put := m.records(tn.ID(), 100)
		putNew(t, s, put)
		for _, from := range []store.Position{at, next} {
			records, _, err = s.Scan(t.Context(), from, 1000)
			if err != nil || len(records) != len(put) {
				t.Fatalf("after what was the end there are %d records, want %d, %v", len(records), len(put), err)
			}
		}
	}
	if records, _, err := s.Scan(t.Context(), empty, 1000); err != nil || len(records) != 300 {
		t.Fatalf("after the end of an empty store there are %d records, %v", len(records), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := s.End(context.Background())
	wantKind(t, err, fault.Unavailable, "storage_closed")
	err = s.Export(context.Background(), tn, query.Query{}, func(logentry.Record) error { return nil })
	wantKind(t, err, fault.Unavailable, "storage_closed")
}

func testScanTo(t *testing.T, s store.Store) {
	tn, m := authtest.Tenant(t, "acme"), newMaker(55)
	var all []logentry.Record
	places := []store.Position{""} // after 0, 3, 6 … records
	at := store.Position("")
	for range 5 {
		records := m.records(tn.ID(), 60)
		putNew(t, s, records)
		all = append(all, records...)
	}
	for {
		part, next, err := s.Scan(t.Context(), at, 3)
		if err != nil {
			t.Fatal(err)
		}
		if len(part) == 0 {
			break
		}
		places, at = append(places, next), next
	}
	if len(places) != 101 {
		t.Fatalf("%d places", len(places))
	}
	for _, span := range [][2]int{{0, 1}, {0, 100}, {7, 8}, {7, 7}, {19, 43}, {20, 40}, {99, 100}, {5, 95}} {
		if span[0] != span[1] && places[span[0]].Compare(places[span[1]]) >= 0 || places[span[1]].Compare(places[span[0]]) < 0 {
			t.Errorf("%s does not lie before %s", places[span[0]], places[span[1]])
		}
		var got []logentry.Record
		for at := places[span[0]]; at.Compare(places[span[1]]) < 0; {
			part, next, err := s.ScanTo(t.Context(), at, places[span[1]], 10)
			if err != nil || at.Compare(next) >= 0 {
				t.Fatalf("from %s comes %s, %v", at, next, err)
			}
			got, at = append(got, part...), next
		}
		want := all[3*span[0] : 3*span[1]]
		if len(got) != len(want) {
			t.Fatalf("%v: %d records, want %d", span, len(got), len(want))
		}
		for i := range got {
			same(t, got[i], want[i])
		}
	}
	if part, next, err := s.ScanTo(t.Context(), places[9], places[9], 10); err != nil || len(part) != 0 || next != places[9] {
		t.Errorf("from a place to itself: %d records, %s, %v", len(part), next, err)
	}
	_, _, err := s.ScanTo(t.Context(), places[1], "x", 10)
	wantKind(t, err, fault.Invalid, "position_invalid")
}
