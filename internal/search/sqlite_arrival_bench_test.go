package search_test

import (
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/search"
)

// BenchmarkArrival asks for a page of 1,000 in the middle of -search.entries: by timestamp, by arrival, and by arrival
// from all that matches, of entries that come 1,000 a second about when they happen, and of a backfill of two days.
func BenchmarkArrival(b *testing.B) {
	if testing.Short() {
		b.Skip("it takes half a minute to build the indexes")
	}
	for _, of := range []string{"as it happens", "a backfill"} {
		b.Run(of, func(b *testing.B) { benchmarkArrival(b, of == "a backfill") })
	}
}

func benchmarkArrival(b *testing.B, backfill bool) {
	const big, small = "umbra", "small"
	x, err := search.NewSQLite(filepath.Join(b.TempDir(), "search.db"), search.SQLiteConfig{})
	if err != nil {
		b.Fatal(err)
	}
	y := newTypical()
	start := y.now
	for n := 0; n < *searchEntries; n += 20_000 {
		batch := y.batch(20_000)
		for i := range batch {
			e := &batch[i]
			e.ReceivedAt = start.Add(time.Duration(n+i) * time.Millisecond)
			e.Timestamp = e.ReceivedAt.Add(-time.Duration(y.IntN(500)) * time.Millisecond)
			if backfill {
				e.ReceivedAt = start.Add(time.Duration((n+i)/500) * 20 * time.Millisecond)
				e.Timestamp = start.Add(-time.Duration(y.IntN(48*3600*1000)) * time.Millisecond)
			}
			if (n+i)%1000 == 7 {
				e.TenantID = authtest.TenantID(small)
			}
		}
		mustAdd(b, backend{Index: x}, batch)
	}
	middle := start.Add(time.Duration(*searchEntries/2) * time.Millisecond)
	at := map[query.Sort]time.Time{query.NewestFirst: middle, query.OldestFirst: middle, query.ReceivedNewestFirst: middle, query.ReceivedOldestFirst: middle}
	if backfill {
		at[query.NewestFirst], at[query.OldestFirst] = start.Add(-24*time.Hour), start.Add(-24*time.Hour)
		middle = start.Add(time.Duration(*searchEntries/1000) * 20 * time.Millisecond)
		at[query.ReceivedNewestFirst], at[query.ReceivedOldestFirst] = middle, middle
	}
	for _, c := range []struct {
		name, slug string
		where      query.Node
	}{
		{"all of a tenant", big, nil},
		{"one of eight", big, query.Term{Field: query.Severity, Value: "ERROR"}},
		{"a prefix", big, query.Term{Field: query.Service, Value: "c", Prefix: true}},
		{"one of a thousand", big, query.Interval{Field: query.Metadata, Path: "took_ms", From: 5, To: 6}},
		{"a small tenant", small, nil},
		{"received in ten minutes", big, query.Range{Field: query.ReceivedAt, From: middle.Add(-5 * time.Minute), To: middle.Add(5 * time.Minute)}},
	} {
		for _, how := range []struct {
			name string
			sort query.Sort
			few  int64
		}{
			{"-timestamp", query.NewestFirst, 1000}, {"timestamp", query.OldestFirst, 1000},
			{"-received_at", query.ReceivedNewestFirst, 1000}, {"received_at", query.ReceivedOldestFirst, 1000},
			{"-received_at of all", query.ReceivedNewestFirst, math.MaxInt64},
		} {
			b.Run(c.name+"/"+how.name, func(b *testing.B) {
				x.SetArrival(how.few, 1, 1, false)
				began, n := cpuTime(), 0
				for b.Loop() {
					n++
					q := query.Query{Where: c.where, Sort: how.sort, Limit: 1000, After: &query.Position{At: at[how.sort]}, Total: query.TotalBounded}
					page, err := x.Search(b.Context(), authtest.Tenant(b, c.slug), q)
					if err != nil || len(page.Hits) == 0 {
						b.Fatal(len(page.Hits), err)
					}
				}
				b.ReportMetric(float64((cpuTime()-began).Microseconds())/1000/float64(n), "cpu-ms")
			})
		}
	}
	if err := x.Close(); err != nil {
		b.Fatal(err)
	}
}
