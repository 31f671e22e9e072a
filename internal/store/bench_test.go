package store_test

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

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
			var used time.Duration
			var bytes, n int
			for b.Loop() {
				b.StopTimer()
				var batch []logentry.Record
				for i := range bc.tenants {
					batch = append(batch, m.records(fmt.Sprintf("tenant%d", i), bc.batch/bc.tenants)...)
				}
				if bc.keyed {
					for i := range batch {
						batch[i].ID = logentry.KeyedID("tenant", "key", i, batch[i].JSON)
						batch[i].JSON = logentry.AppendJSON(nil, &batch[i].Entry)
					}
				}
				for i := range batch {
					bytes += len(batch[i].JSON)
				}
				n += len(batch)
				runtime.GC()
				b.StartTimer()
				before := cpuTime(b)
				if _, err := s.Put(context.Background(), batch); err != nil {
					b.Fatal(err)
				}
				used += cpuTime(b) - before
			}
			b.ReportMetric(float64(used.Microseconds())/float64(n), "cpu-µs/entry")
			b.ReportMetric(float64(bytes)/float64(n), "B/entry")
		})
	}
}
