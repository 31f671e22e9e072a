package ingest

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/mask"
	"github.com/ocelot-log/ocelot/internal/queue"
	"github.com/ocelot-log/ocelot/internal/telemetry"
)

// null is a queue that is always there and keeps nothing.
type null struct{ limits queue.Limits }

func (n null) Limits() queue.Limits                           { return n.limits }
func (n null) Send(context.Context, []queue.Outgoing) []error { return nil }

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Accept in bulks of 500 from 4 clients; ns/op is for an entry.
func BenchmarkAccept(b *testing.B) {
	const bulk = 500
	for name, binary := range map[string]bool{"text": false, "binary": true} {
		b.Run(name, func(b *testing.B) {
			tenant := authtest.Tenant(b, "bench")
			in, stop := start(b, Config{Linger: 5 * time.Millisecond}, null{queue.Limits{MaxBytes: 1 << 20, Binary: binary}})
			defer stop()
			sample := entries(bulk, 0)
			b.ReportAllocs()
			before := cpu(b)
			b.ResetTimer()
			b.SetParallelism(2)
			b.RunParallel(func(pb *testing.PB) {
				for more := true; more; {
					for range bulk {
						more = pb.Next()
					}
					if _, err := in.Accept(background, tenant, Batch{Entries: slices.Clone(sample)}); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/entry")
		})
	}
}

// One entry a request, from 64 clients.
func BenchmarkAcceptSingles(b *testing.B) {
	tenant := authtest.Tenant(b, "bench")
	in, stop := start(b, Config{Linger: 5 * time.Millisecond}, null{queue.Limits{MaxBytes: 1 << 20, Binary: true}})
	defer stop()
	sample := entries(1, 0)
	b.ReportAllocs()
	before := cpu(b)
	b.ResetTimer()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := in.Accept(background, tenant, Batch{Entries: slices.Clone(sample)}); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/float64(b.N), "cpu-ns/entry")
}

// The part of Accept that runs in the caller.
func BenchmarkStamp(b *testing.B) {
	in := New(Config{}, null{queue.Limits{MaxBytes: 1 << 20}}, mask.NewSet(nil), telemetry.Discard())
	for _, keyed := range []string{"", "key"} {
		b.Run(fmt.Sprintf("idempotency key %q", keyed), func(b *testing.B) {
			sample := entries(500, 0)
			b.ReportAllocs()
			for b.Loop() {
				r := in.request("tenant")
				if _, err := in.stamp(r, Batch{Entries: sample, IdempotencyKey: keyed}, keeping{masker: in.masks.Standard()}); err != nil {
					b.Fatal(err)
				}
				in.recycle(r)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/entry")
		})
	}
}
