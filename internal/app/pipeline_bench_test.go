package app

import (
	"context"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/bench"
	"github.com/ocelot-log/ocelot/internal/config"
	"github.com/ocelot-log/ocelot/internal/drain"
	"github.com/ocelot-log/ocelot/internal/ingest"
	"github.com/ocelot-log/ocelot/internal/mask"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// BenchmarkPipeline measures everything behind HTTP: bodies of 500 entries are decoded, accepted, recorded and
// indexed on files. It reports CPU and entries per second from the first Accept until the last is searchable.
func BenchmarkPipeline(b *testing.B) {
	dir, err := ownDataDir(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = dir.release() }()
	files, err := openBackends(b.Context(), config.Settings{}, dir, telemetry.Discard())
	if err != nil {
		b.Fatal(err)
	}
	defer files.Close()
	tel := telemetry.Discard()
	in := ingest.New(ingest.Config{Linger: 5 * time.Millisecond}, files.queue, mask.NewSet(nil), tel)
	worker := drain.New(drain.Config{}, files.queue, files.store, files.index, tel)
	ctx, stop := context.WithCancel(b.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = in.Run(ctx) })
	running.Go(func() { _ = worker.Run(ctx) })
	tenant := authtest.Tenant(b, "bench")
	gen := bench.NewGenerator(1, "pipeline")

	const size, clients = 500, 8
	b.ResetTimer()
	cpu, began := cpuTime(), time.Now()
	var next sync.Mutex
	n := uint64(0)
	var senders sync.WaitGroup
	for range clients {
		senders.Go(func() {
			var body []byte
			for {
				next.Lock()
				first := n
				n += size
				next.Unlock()
				if first >= uint64(b.N) {
					return
				}
				batch := gen.Batch(first, time.Now())
				body = body[:0]
				for i := range size {
					body = append(gen.Append(body, &batch, i), '\n')
				}
				o := logentry.DefaultOptions()
				o.Now = time.Now()
				entries, err := logentry.Decode(body, logentry.NDJSON, o)
				if err == nil {
					_, err = in.Accept(ctx, tenant, ingest.Batch{Entries: entries, ReceivedAt: o.Now})
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	senders.Wait()
	accepted := time.Since(began)
	want := int64((uint64(b.N) + size - 1) / size * size)
	for {
		page, err := files.index.Search(ctx, tenant, query.Query{Limit: 1, Total: query.TotalExact})
		if err != nil {
			b.Fatal(err)
		}
		if page.Total == want {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	all := time.Since(began)
	b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/float64(want), "cpu-ns/entry")
	b.ReportMetric(float64(want)/accepted.Seconds(), "accepted/s")
	b.ReportMetric(float64(want)/all.Seconds(), "searchable/s")
	stop()
	running.Wait()
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
