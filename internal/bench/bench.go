package bench

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/ocelot-log/ocelot/internal/wait"
)

// How often is looked whether everything is searchable.
const (
	checkAgain = time.Second
	countEvery = 500 * time.Millisecond
	countSlow  = 5 * time.Second
)

// runner is one run.
type runner struct {
	cfg      Config
	reader   reader
	prober   *prober
	load     *load
	follower *follower       // nil: the run is not followed
	settling context.Context // ends when the time to settle is over
}

// Run loads the service, waits until all is searchable, and compares. The report is complete also where
// Report.OK is false; an error means that nothing could be measured or compared. When ctx ends the load
// stops early and the rest follows; a second end is up to the caller.
func Run(ctx context.Context, cfg Config) (Report, error) {
	if err := cfg.check(); err != nil {
		return Report{}, err
	}
	target, err := url.Parse(strings.TrimRight(cfg.URL, "/"))
	if err != nil || target.Host == "" || target.Scheme != "http" && target.Scheme != "https" {
		return Report{}, fmt.Errorf("%q is not a URL of a service, such as http://127.0.0.1:8080", cfg.URL)
	}
	gen := NewGenerator(cfg.Seed, cfg.Run)
	samples := make(chan sample, 4096)
	r := &runner{cfg: cfg, reader: reader{cfg: cfg}, prober: newProber(cfg, gen, samples), load: newLoad(cfg, gen, target, samples)}
	if _, err := r.reader.count(ctx); err != nil {
		return Report{}, fmt.Errorf("before the load: %w", err)
	}

	if cfg.Tail {
		if r.follower, err = follow(ctx, cfg, gen); err != nil {
			return Report{}, err
		}
		defer r.follower.stop()
	}
	probing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var prober sync.WaitGroup
	prober.Go(func() { r.prober.run(probing) })
	cfg.Note(fmt.Sprintf("run %s: loading for %s", cfg.Run, cfg.Duration))
	r.load.run(ctx)

	after := context.WithoutCancel(ctx)
	var enough context.CancelFunc
	r.settling, enough = context.WithTimeout(after, cfg.Settle)
	defer enough()
	cfg.Note(fmt.Sprintf("%d entries acknowledged, waiting until all are searchable", r.load.acked.Len()))
	if r.follower != nil {
		r.follower.await(r.settling, int64(r.load.acked.Len()), cfg.Settle/4)
	}
	searchable, settled := r.settle()
	stop()
	prober.Wait()
	if r.follower != nil {
		r.follower.stop()
	}

	cfg.Note("comparing what is found with what was acknowledged")
	book := newLedger(&r.load.acked, r.load.unknown, gen)
	if err := r.check(after, book); err != nil {
		return r.report(book, searchable, settled), fmt.Errorf("comparing: %w", err)
	}
	return r.report(book, searchable, settled), nil
}

// settle waits until as many entries are in the index as were acknowledged, and returns when that was so: what
// the record answers while the index is down does not count. It waits for samples first, the last entry of every connection among them, because they are cheap to look for, and
// then counts: at most twice a second, and less often where counting is slow or nothing moves.
func (r *runner) settle() (at time.Time, ok bool) {
	acked := int64(r.load.acked.Len())
	counted := time.Now()
	for r.prober.waiting.Load()+int64(len(r.prober.samples)) > 0 && time.Since(counted) < countSlow {
		if wait.For(r.settling, 5*time.Millisecond) != nil {
			return time.Time{}, false
		}
	}
	pause, before := countEvery, int64(-1)
	for {
		begun, aside := time.Now(), r.reader.fromRecord
		n, err := r.reader.count(r.settling)
		if err == nil && n >= acked && r.reader.fromRecord == aside {
			return begun, true
		}
		if err != nil {
			r.prober.errors.Add(1)
		} else if n > before {
			pause, before = countEvery, n
		} else {
			pause = min(pause*3/2, 10*time.Second)
		}
		if wait.For(r.settling, max(pause, 5*time.Since(begun))) != nil {
			return time.Time{}, false
		}
	}
}

func (r *runner) report(book *ledger, searchable time.Time, settled bool) Report {
	l := r.load
	out := Report{Run: r.cfg.Run, Loop: "open", Rate: r.cfg.Rate, Batch: r.cfg.Batch, Conns: r.cfg.Conns, Tenants: len(r.cfg.Tenants),
		Seed: r.cfg.Seed, Gzip: r.cfg.Gzip, Latency: quantiles(l.latency), Searchable: quantiles(r.prober.latency),
		Status: map[string]int64{}, Errors: l.errors, SearchErrors: r.prober.errors.Load(), FromRecord: r.prober.reader.fromRecord + r.reader.fromRecord, Requests: l.requests,
		Entries: book.state, Bytes: l.bytes, WireBytes: l.wireBytes, Problems: book.told}
	if r.cfg.Rate == 0 {
		out.Loop = "closed"
	}
	for status, n := range l.status {
		out.Status[strconv.Itoa(status)] = n
	}
	acked := int64(l.acked.Len())
	out.Entries.Sent, out.Entries.Acknowledged = l.sent, acked
	out.Entries.Unknown, out.Entries.Refused = entries(l.unknown), entries(l.refused)
	if acked > 0 {
		out.Duration = l.lastAck.Sub(l.start).Seconds()
		out.AcceptedPerSecond = float64(acked) / out.Duration
		if settled {
			if searchable.Before(l.lastAck) {
				searchable = l.lastAck
			}
			out.SearchablePerSecond = float64(acked) / searchable.Sub(l.start).Seconds()
		}
	}
	if l.fault != "" {
		out.Problems = append(out.Problems, "first error: "+l.fault)
	}
	if l.requests.Unsent > 0 {
		out.Problems = append(out.Problems, fmt.Sprintf("%d requests were due but never sent: the service, or --conns, is too slow for this rate", l.requests.Unsent))
	}
	if !settled {
		out.Problems = append(out.Problems, "not everything was searchable within --settle")
	}
	if book.aside {
		out.Problems = append(out.Problems, "the comparison was answered from the record: the index is down, and nobody knows what is in it")
	}
	if acked == 0 {
		out.Problems = append(out.Problems, "nothing was acknowledged")
	}
	shown := true
	if r.follower != nil {
		latency, skipped, problems := r.follower.report(l.ackedAt, r.cfg.Batch)
		out.Tail, out.TailSkipped, out.Problems, shown = &latency, skipped, append(out.Problems, problems...), len(problems) == 0
	}
	e := out.Entries
	out.OK = shown && acked > 0 && settled && !book.aside && e.Missing == 0 && e.Doubled == 0 && e.Unexpected == 0 && l.errors["ids_do_not_match"] == 0
	return out
}

func entries(spans []span) (n int64) {
	for _, s := range spans {
		n += int64(s.n)
	}
	return n
}

func quantiles(h *hdrhistogram.Histogram) Quantiles {
	ms := func(v int64) float64 { return float64(v) / 1000 }
	return Quantiles{P50: ms(h.ValueAtQuantile(50)), P90: ms(h.ValueAtQuantile(90)), P95: ms(h.ValueAtQuantile(95)), P99: ms(h.ValueAtQuantile(99)),
		P999: ms(h.ValueAtQuantile(99.9)), Max: ms(h.Max()), Count: h.TotalCount()}
}

// Text is the report for a person.
func (r Report) Text() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-22s %s\n", name, fmt.Sprintf(format, args...))
	}
	latency := func(q Quantiles) string {
		return fmt.Sprintf("p50 %.1f  p90 %.1f  p95 %.1f  p99 %.1f  p99.9 %.1f  max %.1f ms  (%d)", q.P50, q.P90, q.P95, q.P99, q.P999, q.Max, q.Count)
	}
	line("run", "%s, %s loop, batches of %d, %d connections, %d tenants, seed %d", r.Run, r.Loop, r.Batch, r.Conns, r.Tenants, r.Seed)
	line("accepted", "%.0f entries/s over %.1f s", r.AcceptedPerSecond, r.Duration)
	line("searchable", "%.0f entries/s", r.SearchablePerSecond)
	line("accept", "%s", latency(r.Latency))
	line("accept to searchable", "%s", latency(r.Searchable))
	if r.Tail != nil {
		line("accept to screen", "%s", latency(*r.Tail))
		if r.TailSkipped > 0 {
			line("skipped on screen", "%d", r.TailSkipped)
		}
	}
	e := r.Entries
	line("entries", "%d sent, %d acknowledged, %d refused, %d of unknown outcome", e.Sent, e.Acknowledged, e.Refused, e.Unknown)
	line("found", "%d, missing %d, doubled %d, unexpected %d", e.Found, e.Missing, e.Doubled, e.Unexpected)
	if r.FromRecord > 0 {
		line("from the record", "%d searches, while the index was down", r.FromRecord)
	}
	line("bytes", "%d acknowledged, %d on the wire", r.Bytes, r.WireBytes)
	for _, counts := range []struct {
		name string
		of   map[string]int64
	}{{"status", r.Status}, {"errors", r.Errors}} {
		for _, key := range slices.Sorted(maps.Keys(counts.of)) {
			line(counts.name+" "+key, "%d", counts.of[key])
		}
	}
	for _, p := range r.Problems {
		line("!", "%s", p)
	}
	if r.OK {
		line("check", "every acknowledged entry was found exactly once")
	} else {
		line("check", "FAILED")
	}
	return b.String()
}
