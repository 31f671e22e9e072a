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
