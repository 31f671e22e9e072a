package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// cpuTime is what the process has used, of all cores, in user and kernel.
func cpuTime(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// BenchmarkPut puts batches as the worker does, ids made from the time and from content, one tenant
// and many. The CPU is that of the whole process, collector and checkpoints included.
func BenchmarkPut(b *testing.B) {
	for _, bc := range []struct {
		name           string
		batch, tenants int
		keyed          bool
	}{
		{"batches of 2,000", 2000, 1, false},
		{"batches of 5,000", 5000, 1, false},
		{"batches of 2,000 of 20 tenants", 2000, 20, false},
		{"batches of 2,000, ids from keys", 2000, 1, true},
		{"batches of 64", 64, 1, false},
	} {
		b.Run(bc.name, func(b *testing.B) {
			s, err := store.NewSQLite(filepath.Join(b.TempDir(), "store.db"), store.SQLiteConfig{})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			m := newMaker(1)
			var batch []logentry.Record
			for i := range bc.tenants {
				batch = append(batch, m.records(fmt.Sprintf("tenant%d", i), bc.batch/bc.tenants)...)
			}
			bytes := 0
			for i := range batch {
				bytes += len(batch[i].JSON)
			}
			var used time.Duration
			n := 0
			for b.Loop() {
				b.StopTimer()
				for i := range batch { // the same entries with ids of their own
					m.now = m.now.Add(time.Microsecond)
					id := m.id(m.now)
					if bc.keyed {
						id = logentry.KeyedID("tenant", "key", n+i, nil)
					}
					batch[i].ID, batch[i].Timestamp = id, m.now
					id.AppendText(batch[i].JSON[len(`{"id":"`):][:0])
				}
				n += len(batch)
				b.StartTimer()
				before := cpuTime(b)
				if _, err := s.Put(context.Background(), batch); err != nil {
					b.Fatal(err)
				}
				used += cpuTime(b) - before
			}
			b.ReportMetric(float64(used.Microseconds())/float64(n), "cpu-µs/entry")
			b.ReportMetric(float64(bytes)/float64(len(batch)), "B/entry")
		})
	}
}

// filled is a store on a file with n entries of one tenant.
func filled(b *testing.B, n int) (*store.SQLite, []logentry.ID) {
	s := openSQLite(b, filepath.Join(b.TempDir(), "store.db"), store.SQLiteConfig{})
	m := newMaker(1)
	tenantID := authtest.Tenant(b, "acme").ID()
	var ids []logentry.ID
	for len(ids) < n {
		records := m.records(tenantID, min(5000, n-len(ids)))
		ids = append(ids, idsOf(records)...)
		putNew(b, s, records)
	}
	return s, ids
}

// BenchmarkGetMany50 reads pages of 50: of entries received together, and of any.
func BenchmarkGetMany50(b *testing.B) {
	s, ids := filled(b, 200_000)
	tn := authtest.Tenant(b, "acme")
	rnd := rand.New(rand.NewPCG(1, 1))
	for _, bc := range []struct {
		name string
		from func() []logentry.ID
	}{
		{"neighbours", func() []logentry.ID { at := rnd.IntN(len(ids) - 50); return ids[at : at+50] }},
		{"scattered", func() []logentry.ID {
			page := make([]logentry.ID, 50)
			for i := range page {
				page[i] = ids[rnd.IntN(len(ids))]
			}
			return page
		}},
	} {
		b.Run(bc.name, func(b *testing.B) {
			for b.Loop() {
				if got, err := s.GetMany(context.Background(), tn, bc.from()); err != nil || len(got) != 50 {
					b.Fatal(len(got), err)
				}
			}
		})
	}
}

// BenchmarkFind asks for the newest 50 with the filters that a page of a log viewer has.
func BenchmarkFind(b *testing.B) {
	s, _ := filled(b, 200_000)
	tn := authtest.Tenant(b, "acme")
	middle, err := s.Find(context.Background(), tn, query.Query{Limit: 1, Skip: 100_000})
	if err != nil {
		b.Fatal(err)
	}
	for _, bc := range []struct {
		name  string
		where query.Node
		sort  query.Sort
		total query.Total
		after *query.Position
	}{
		{"newest 50", nil, query.NewestFirst, query.TotalBounded, nil},
		{"50 from the middle", nil, query.NewestFirst, query.TotalNone, &middle.Hits[0].Position},
		{"50 from the middle by received_at", nil, query.ReceivedOldestFirst, query.TotalNone, &middle.Hits[0].Position},
		{"newest 50 by received_at", nil, query.ReceivedNewestFirst, query.TotalBounded, nil},
		{"two fields", query.And{query.Term{Field: query.Service, Value: "checkout"}, query.Term{Field: query.Severity, Value: "ERROR"}}, query.NewestFirst, query.TotalBounded, nil},
		{"two fields, no total", query.And{query.Term{Field: query.Service, Value: "checkout"}, query.Term{Field: query.Severity, Value: "ERROR"}}, query.NewestFirst, query.TotalNone, nil},
		{"a user", query.Term{Field: query.UserID, Value: "u-4321"}, query.NewestFirst, query.TotalBounded, nil},
		{"a value that is nowhere", query.Term{Field: query.UserID, Value: "nobody"}, query.NewestFirst, query.TotalBounded, nil},
		{"a word", query.Text{Tokens: []string{"declined"}}, query.NewestFirst, query.TotalBounded, nil},
	} {
		b.Run(bc.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Find(context.Background(), tn, query.Query{Where: bc.where, Sort: bc.sort, Limit: 50, Total: bc.total, After: bc.after}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
