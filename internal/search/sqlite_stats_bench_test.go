package search_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// BenchmarkAnalyst is what one analyst waits for, on a day of 20 tenants: what the explorer of the product asks at
// once. -search.entries says of how many entries.
func BenchmarkAnalyst(b *testing.B) {
	if testing.Short() {
		b.Skip("it takes a minute to build the index")
	}
	path := filepath.Join(b.TempDir(), "search.db")
	x := openSQLite(b, path, search.SQLiteConfig{})
	y := newTypical()
	tenants := make([]string, 20)
	for i := range tenants {
		tenants[i] = fmt.Sprintf("tenant-%d", i)
	}
	start := time.Date(2026, 11, 3, 0, 0, 0, 0, time.UTC)
	var used time.Duration
	var some []logentry.Record
	for n := 0; n < *searchEntries; n += 20_000 {
		batch := y.batch(20_000)
		for i := range batch {
			batch[i].TenantID = authtest.TenantID(pick(y.maker, tenants...))
			batch[i].Timestamp = start.Add(time.Duration(float64(n+i) / float64(*searchEntries) * float64(24*time.Hour)))
			batch[i].UserID = fmt.Sprintf("u%04d", y.IntN(2_000))
		}
		before := cpuTime()
		mustAdd(b, x, batch)
		used += cpuTime() - before
		some = append(some, batch[:20]...)
	}
	b.Logf("%d entries, %.1f µs of CPU each, %d MiB", *searchEntries, float64(used.Nanoseconds())/1000/float64(*searchEntries), sizeOf(b, path)>>20)
	one := func() *logentry.Entry { return &some[y.IntN(len(some))].Entry }
	day := query.Range{Field: query.Timestamp, From: start, To: start.Add(24 * time.Hour)}
	others := query.AuditLeftOut.Node() // as every question that asks for nothing else
	five := search.StatsRequest{Facets: []query.Field{query.Severity, query.Service, query.Action, query.ResourceType, query.UserID}, Top: 10, Interval: search.Interval{Auto: true}}
	stats := func(where query.Node, r search.StatsRequest) error {
		_, err := x.Stats(b.Context(), authtest.Tenant(b, pick(y.maker, tenants...)), query.Query{Where: where}, r)
		return err
	}
	for _, c := range []struct {
		name string
		ask  func() error
	}{
		{"five facets and a histogram of a day", func() error { return stats(query.And{others, day}, five) }},
		{"the same of an hour", func() error {
			from := start.Add(time.Duration(y.IntN(23)) * time.Hour)
			return stats(query.And{others, query.Range{Field: query.Timestamp, From: from, To: from.Add(time.Hour)}}, five)
		}},
		{"the same of a day with a filter", func() error {
			return stats(query.And{others, day, query.Term{Field: query.Severity, Value: "INFO"}}, five)
		}},
		{"the same of a day with text", func() error { return stats(query.And{others, day, query.Text{Tokens: []string{"order"}}}, five) }},
		{"percentiles by service of a day", func() error {
			return stats(query.And{others, day}, search.StatsRequest{Top: 10, Metrics: []string{"took_ms"}, GroupBy: query.Service})
		}},
		{"a page of 50 with two filters and text", func() error {
			e := one()
			where := query.And{others, query.Term{Field: query.Service, Value: e.Service}, query.Term{Field: query.Severity, Value: e.Severity.String()}, query.Text{Tokens: []string{"order"}}}
			_, err := x.Search(b.Context(), authtest.Tenant(b, pick(y.maker, tenants...)), query.Query{Where: where, Limit: 50})
			return err
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			var times []time.Duration
			for b.Loop() {
				began := time.Now()
				if err := c.ask(); err != nil {
					b.Fatal(err)
				}
				times = append(times, time.Since(began))
			}
			slices.Sort(times)
			b.ReportMetric(times[len(times)/2].Seconds()*1000, "p50-ms")
			b.ReportMetric(times[len(times)*95/100].Seconds()*1000, "p95-ms")
		})
	}
}
