package drain

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/queue"
	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// nullQueue hands out one body until left is used up, and counts deletes.
type nullQueue struct {
	body    []byte
	left    atomic.Int64
	deleted atomic.Int64
	want    int64
	done    chan struct{}
}

func (q *nullQueue) Receive(ctx context.Context, most int, _, _ time.Duration) ([]queue.Message, error) {
	out := make([]queue.Message, 0, most)
	for range most {
		n := q.left.Add(-1)
		if n < 0 {
			break
		}
		out = append(out, queue.Message{Body: q.body, Receipt: strconv.FormatInt(n, 10), Receives: 1, SentAt: time.Now()})
	}
	if len(out) == 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return out, nil
}

func (q *nullQueue) Delete(_ context.Context, receipts []string) []error {
	if q.deleted.Add(int64(len(receipts))) == q.want {
		close(q.done)
	}
	return nil
}

func (q *nullQueue) Extend(context.Context, []string, time.Duration) []error { return nil }
func (q *nullQueue) Stats(context.Context) (queue.Stats, error)              { return queue.Stats{}, nil }

type nullStore struct{ Store }

func (nullStore) Put(_ context.Context, records []logentry.Record) ([]store.Verdict, error) {
	verdicts := make([]store.Verdict, len(records))
	for i := range verdicts {
		verdicts[i] = store.Stored
	}
	return verdicts, nil
}
func (nullStore) ReadBacklog(context.Context, int) ([]logentry.Record, error) { return nil, nil }
func (nullStore) CountQuarantine(context.Context) (int64, error)              { return 0, nil }
func (nullStore) BacklogStats(context.Context) (store.BacklogStats, error) {
	return store.BacklogStats{}, nil
}

type nullIndex struct{}

func (nullIndex) Add(_ context.Context, records []logentry.Record) ([]search.Verdict, error) {
	verdicts := make([]search.Verdict, len(records))
	for i := range verdicts {
		verdicts[i] = search.Indexed
	}
	return verdicts, nil
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkWorker is the worker between null sinks: receive, unpack, parse, gather, delete. One
// operation is an envelope of 500 entries of about 540 bytes.
func BenchmarkWorker(b *testing.B) {
	for _, wire := range []queue.Wire{queue.Binary, queue.Text} {
		b.Run(map[queue.Wire]string{queue.Binary: "binary", queue.Text: "text"}[wire], func(b *testing.B) {
			const n = 500
			es := entries(n, "payment of invoice accepted")
			var lines []byte
			for i := range es {
				e := &es[i]
				e.UserID, e.RequestID = fmt.Sprintf("user-%d", i*7919%10007), ids.New(time.Now()).String()
				e.TraceID, e.SpanID = fmt.Sprintf("%032x", i*104729), fmt.Sprintf("%016x", i*15485863)
				e.ResourceID, e.IPAddress = fmt.Sprintf("inv-%d", i), fmt.Sprintf("10.0.%d.%d", i%256, i*31%256)
				e.Metadata = fmt.Appendf(nil, `{"amount":%d.50,"currency":"EUR","attempt":2,"gateway":"gw-%d"}`, i, i%7)
				lines = append(logentry.AppendJSON(lines, e), '\n')
			}
			p, err := queue.NewPacker(wire)
			if err != nil {
				b.Fatal(err)
			}
			body, err := p.Pack(nil, queue.Header{TenantID: "t1", Producer: "bench", Created: time.Now(), Count: n}, lines)
			if err != nil {
				b.Fatal(err)
			}
			q := &nullQueue{body: body, want: int64(b.N), done: make(chan struct{})}
			q.left.Store(int64(b.N))
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			w := New(Config{}, q, nullStore{}, nullIndex{}, telemetry.Discard())
			b.ReportAllocs()
			b.ResetTimer()
			start := cpu()
			go func() { ended <- w.Run(ctx) }()
			<-q.done
			b.StopTimer()
			b.ReportMetric(float64(cpu()-start)/float64(b.N*n), "cpu-ns/entry")
			b.ReportMetric(float64(len(lines)/n), "B/line")
			cancel()
			if err := <-ended; err != nil {
				b.Fatal(err)
			}
		})
	}
}
