package search_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// typical makes entries as services send them at 45,000 a second: some 540 bytes as JSON, seven values that
// hardly any other entry has, a vocabulary of two thousand words.
type typical struct {
	*maker
	n     int
	words []string
}

func newTypical() *typical {
	y := &typical{maker: newMaker(42)}
	for range 2000 {
		var b strings.Builder
		for range 2 + y.IntN(2) {
			b.WriteByte("bcdfghklmnprstvz"[y.IntN(16)])
			b.WriteByte("aeiou"[y.IntN(5)])
		}
		y.words = append(y.words, b.String())
	}
	return y
}

func (y *typical) record() logentry.Record {
	y.n++
	y.now = y.now.Add(time.Duration(y.IntN(44_000)))
	id := y.id()
	ms := y.now.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	var message strings.Builder
	fmt.Fprintf(&message, "%s %s", pick(y.maker, "order", "invoice", "customer", "cart"), pick(y.maker, "completed", "rejected", "queued", "retried", "timed out"))
	for range 6 + y.IntN(4) {
		message.WriteByte(' ')
		message.WriteString(y.words[int(2000*y.Float64()*y.Float64())])
	}
	if y.IntN(10) < 4 {
		fmt.Fprintf(&message, " no %06d", y.IntN(1_000_000))
	}
	if y.n%2000 == 0 {
		message.WriteString(" rarity")
	}
	return logentry.Record{Entry: logentry.Entry{
		ID: id, TenantID: authtest.TenantID(slugs[min(y.IntN(5), 2)]), ReceivedAt: y.now.Add(time.Millisecond), Timestamp: y.now,
		Severity: pick(y.maker, logentry.Debug, logentry.Info, logentry.Info, logentry.Info, logentry.Info, logentry.Info, logentry.Warning, logentry.Error),
		Service:  pick(y.maker, "checkout", "payments", "catalog", "gateway", "accounts", "search", "mailer"), Action: pick(y.maker, "READ", "READ", "UPDATE", "CREATE", "LOGIN"),
		Message: message.String(), UserID: fmt.Sprintf("u%05d", y.IntN(50_000)), SessionID: fmt.Sprintf("s-%08x", y.Uint32()),
		ResourceType: "order", ResourceID: fmt.Sprintf("order-%06d", y.IntN(1_000_000)), IPAddress: fmt.Sprintf("10.%d.%d.%d", y.IntN(256), y.IntN(256), y.IntN(254)),
		RequestID: fmt.Sprintf("req-%016x", y.n), TraceID: fmt.Sprintf("%016x%016x", y.Uint64(), y.Uint64()), SchemaVersion: 1,
		Metadata: jsontext.Value(fmt.Sprintf(`{"region":"%s","pod":"pod%02d","took_ms":%d,"cached":true}`, pick(y.maker, "eu-west-1", "eu-north-1", "us-east-1"), y.IntN(40), y.IntN(2000))),
	}}
}

func (y *typical) batch(n int) []logentry.Record {
	out := make([]logentry.Record, n)
	for i := range out {
		out[i] = y.record()
	}
	return out
}

// cpuTime is what the process has used of all cores, collector and kernel included.
func cpuTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// peakMemory is the largest resident size that the process had, in MiB.
func peakMemory() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	var kib float64
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	_, _ = fmt.Sscan(after, &kib)
	return kib / 1024
}

// BenchmarkAdd20000 adds batches as the worker does that is behind. What is reported is the process's CPU per
// entry, checkpoints and merges included, and the file's growth.
func BenchmarkAdd20000(b *testing.B) {
	path := filepath.Join(b.TempDir(), "search.db")
	x := openSQLite(b, path, search.SQLiteConfig{})
	y := newTypical()
	var used time.Duration
	n := 0
	for b.Loop() {
		b.StopTimer()
		batch := y.batch(20_000)
		b.StartTimer()
		before := cpuTime()
		mustAdd(b, x, batch)
		used += cpuTime() - before
		n += len(batch)
	}
	b.ReportMetric(float64(used.Nanoseconds())/1000/float64(n), "cpu-µs/entry")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/1000/float64(n), "wall-µs/entry")
	b.ReportMetric(float64(sizeOf(b, path))/float64(n), "B/entry")
	b.ReportMetric(peakMemory(), "peak-MiB")
}

func sizeOf(tb testing.TB, path string) int64 {
	tb.Helper()
	info, err := os.Stat(path)
	if err != nil {
		tb.Fatal(err)
	}
	return info.Size()
}

var searchEntries = flag.Int("search.entries", 1_000_000, "how many entries BenchmarkSearch asks")

// BenchmarkSearch asks for the first 50 with a bounded total, as the list of the product does.
func BenchmarkSearch(b *testing.B) {
	if testing.Short() {
		b.Skip("it takes half a minute to build the index")
	}
	path := filepath.Join(b.TempDir(), "search.db")
	x := openSQLite(b, path, search.SQLiteConfig{})
	y := newTypical()
	var used time.Duration
	var some []logentry.Record
	for n := 0; n < *searchEntries; n += 20_000 {
		batch := y.batch(20_000)
		before := cpuTime()
		mustAdd(b, x, batch)
		used += cpuTime() - before
		some = append(some, batch[:20]...)
	}
	b.Logf("%d entries, %.1f µs of CPU each, %d MiB", *searchEntries, float64(used.Nanoseconds())/1000/float64(*searchEntries), sizeOf(b, path)>>20)
	one := func() *logentry.Entry { return &some[y.IntN(len(some))].Entry }
	for _, c := range []struct {
		name  string
		where func() query.Node
	}{
		{"newest of a tenant", func() query.Node { return nil }},
		{"two fields", func() query.Node {
			return query.And{query.Term{Field: query.Service, Value: one().Service}, query.Term{Field: query.Severity, Value: "ERROR"}}
		}},
		{"a common word", func() query.Node { return query.Text{Tokens: []string{"order"}} }},
		{"a rare word", func() query.Node { return query.Text{Tokens: []string{"rarity"}} }},
		{"a phrase", func() query.Node { return query.Text{Tokens: []string{"timed", "out"}} }},
		{"a unique token", func() query.Node { return query.Term{Field: query.TraceID, Value: one().TraceID} }},
		{"common and rare", func() query.Node {
			return query.And{query.Text{Tokens: []string{"rarity"}}, query.Term{Field: query.ResourceType, Value: "order"}}
		}},
		{"common, not common", func() query.Node {
			return query.And{query.Term{Field: query.Service, Value: "mailer"}, query.Not{Node: query.Term{Field: query.Severity, Value: "INFO"}}}
		}},
		{"a prefix", func() query.Node { return query.Text{Tokens: []string{one().Message[:3]}, Prefix: true} }},
		{"a prefix of ids", func() query.Node {
			return query.Term{Field: query.TraceID, Value: one().TraceID[:6], Prefix: true}
		}},
		{"a minute", func() query.Node {
			from := one().Timestamp
			return query.And{query.Range{Field: query.Timestamp, From: from, To: from.Add(10 * time.Second)}, query.Term{Field: query.Service, Value: "mailer"}}
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			var times []time.Duration
			for b.Loop() {
				q := query.Query{Where: c.where(), Limit: 50}
				t := authtest.Tenant(b, pick(y.maker, slugs...))
				start := time.Now()
				if _, err := x.Search(b.Context(), t, q); err != nil {
					b.Fatal(err)
				}
				times = append(times, time.Since(start))
			}
			slices.Sort(times)
			b.ReportMetric(times[len(times)/2].Seconds()*1000, "p50-ms")
			b.ReportMetric(times[len(times)*95/100].Seconds()*1000, "p95-ms")
		})
	}
}
