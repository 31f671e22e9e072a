//go:build e2e

// Package load measures the deployed system on the real servers, beside what the servers can do at all:
//
//	eval "$(tests/services/services test-env)"
//	go test -tags e2e -run '^$' -bench Deployed -benchtime 3x -timeout 30m ./tests/load
//
// ENTRIES sets how many entries a round has (300,000). Nothing else should run on the machine.
package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ocelot-log/ocelot/internal/bench"
	"github.com/ocelot-log/ocelot/tests/service"
)

const (
	bulk       = 500   // entries in a request
	conns      = 8     // of the loader
	bareBatch  = 2_000 // documents that the bare loop writes at once
	bareLoops  = 2     // and how many of it there are
	drainLimit = 5 * time.Minute
)

// entriesOf is how many entries a round has.
func entriesOf(b *testing.B) int {
	n := 300_000
	if text := os.Getenv("ENTRIES"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < bulk {
			b.Fatalf("ENTRIES is %q; it is a number from %d on", text, bulk)
		}
	}
	return n / bulk * bulk
}

// quiet are the settings of a cluster under load, for the product and for the bare loop.
var quiet = []string{"OPENSEARCH_REFRESH_INTERVAL=10s", "WORKER_VISIBILITY=90s", "LOG_LEVEL=warn", "READ_AUDIT=false"}

// BenchmarkDeployed fills the queue through the API while no worker runs, lets workers drain it, and then has a bare
// loop write the same documents to other collections and indices of the same servers, from bodies that were made
// before. The first round warms the servers up and is not counted. Metrics: the worker's rate as a share of the
// bare loop's, the CPU of the processes, and their peak of memory.
func BenchmarkDeployed(b *testing.B) {
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) { benchDeployed(b, workers) })
	}
}

func benchDeployed(b *testing.B, workers int) {
	n := entriesOf(b)
	s := service.Deploy(b, service.NewServers(b), workers, quiet...)
	token := s.Token("default", "writer")
	bare := newBareLoop(b)
	var api, drain, loop, underWorker, underLoop cost
	var apiPeak, workerPeak int64
	least := 1.0
	round := func(count bool) {
		for _, w := range s.Workers {
			if err := w.Stop(); err != nil {
				b.Fatal(err)
			}
		}
		before := cpuOf(b, s.API)
		filled := fill(b, s.URL, token, n)
		apiCPU, peak := cpuOf(b, s.API)-before, peakOf(b, s.API)

		if err := s.StartWorkers(); err != nil {
			b.Fatal(err)
		}
		before = cpuOf(b, s.Workers...)
		servers := serverCPU(b)
		start := time.Now()
		shares := awaitDrained(b, s, n)
		drained := time.Since(start)
		workerCPU := cpuOf(b, s.Workers...) - before
		servedWorker := serverCPU(b) - servers

		written, servedBare := bare.run(b, s.Servers, n)
		if !count {
			return
		}
		api.add(n, filled, apiCPU)
		drain.add(n, drained, workerCPU)
		loop.add(n, written, 0)
		underWorker.add(n, drained, servedWorker)
		underLoop.add(n, written, servedBare)
		apiPeak = max(apiPeak, peak)
		for i, w := range s.Workers {
			workerPeak = max(workerPeak, peakOf(b, w))
			least = min(least, shares[i]*float64(workers)/float64(n))
		}
	}
	round(false)
	for b.Loop() {
		round(true)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(100*drain.rate()/loop.rate(), "worker-%-of-bare")
	b.ReportMetric(drain.rate(), "worker-entries/s")
	b.ReportMetric(loop.rate(), "bare-entries/s")
	b.ReportMetric(drain.cpuPerEntry(), "worker-cpu-µs/entry")
	if underLoop.cpu > 0 {
		b.ReportMetric(underWorker.cpuPerEntry(), "servers-cpu-µs/entry")
		b.ReportMetric(underLoop.cpuPerEntry(), "bare-servers-cpu-µs/entry")
	}
	b.ReportMetric(api.rate(), "api-entries/s")
	b.ReportMetric(api.cpuPerEntry(), "api-cpu-µs/entry")
	b.ReportMetric(float64(apiPeak)/(1<<20), "api-peak-MiB")
	b.ReportMetric(float64(workerPeak)/(1<<20), "worker-peak-MiB")
	b.ReportMetric(100*least, "least-%-of-fair-share")
}

// BenchmarkCalls counts the calls to SQS that a million entries in bulks of 500 take, by a proxy before the server.
func BenchmarkCalls(b *testing.B) {
	n := entriesOf(b)
	servers := service.NewServers(b)
	target, err := url.Parse(servers.SQS)
	if err != nil {
		b.Fatal(err)
	}
	var mu sync.Mutex
	calls := map[string]int{}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = &http.Transport{MaxIdleConnsPerHost: 64}
	l := service.Listen(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		calls[r.Header.Get("X-Amz-Target")]++
		mu.Unlock()
		proxy.ServeHTTP(w, r)
	}))
	s := service.Deploy(b, servers, 1, append(quiet, "SQS_ENDPOINT_URL="+l)...)
	token := s.Token("default", "writer")
	total := 0
	for b.Loop() {
		fill(b, s.URL, token, n)
		total += n
		awaitDrained(b, s, total)
	}
	mu.Lock()
	defer mu.Unlock()
	million := float64(total) / 1e6
	all := 0
	for _, op := range []string{"SendMessage", "SendMessageBatch", "ReceiveMessage", "DeleteMessageBatch"} {
		c := calls["AmazonSQS."+op]
		all += c
		b.ReportMetric(float64(c)/million, op+"/million")
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(all)/million, "calls/million")
}

// cost is what a way took, over all rounds.
type cost struct {
	entries   int
	wall, cpu time.Duration
}

func (c *cost) add(n int, wall, cpu time.Duration) {
	c.entries += n
	c.wall += wall
	c.cpu += cpu
}

func (c *cost) rate() float64 { return float64(c.entries) / c.wall.Seconds() }

func (c *cost) cpuPerEntry() float64 { return float64(c.cpu.Nanoseconds()) / 1e3 / float64(c.entries) }

// fill posts n entries and returns how long it took.
func fill(b *testing.B, base, token string, n int) time.Duration {
	b.Helper()
	gen := bench.NewGenerator(1, fmt.Sprintf("load-%d", time.Now().UnixNano()))
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: conns}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	var next atomic.Int64
	errs := make([]error, conns)
	start := time.Now()
	var wg sync.WaitGroup
	for c := range conns {
		wg.Go(func() {
			var body []byte
			for errs[c] == nil {
				first := int(next.Add(bulk)) - bulk
				if first >= n {
					return
				}
				batch := gen.Batch(uint64(first), time.Now())
				body = append(body[:0], '[')
				for i := range bulk {
					if i > 0 {
						body = append(body, ',')
					}
					body = gen.Append(body, &batch, i)
				}
				errs[c] = post(b.Context(), client, base+"/api/v1/logs/bulk", token, append(body, ']'))
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

func post(ctx context.Context, client *http.Client, url, token string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusAccepted {
		err = fmt.Errorf("%s %s", res.Status, answer)
	}
	return err
}

// awaitDrained waits until the workers have indexed n entries since their start, and returns how many each did. It
// asks seldom: who reads all metrics of a worker takes some of its time.
func awaitDrained(b *testing.B, s *service.System, n int) (each []float64) {
	b.Helper()
	ask := time.NewTicker(250 * time.Millisecond)
	defer ask.Stop()
	for until := time.Now().Add(drainLimit); ; <-ask.C {
		each = each[:0]
		sum := 0.0
		for i := range s.Workers {
			v, err := service.Metric(b.Context(), s.Metrics[i+1], `ocelot_indexed_entries_total{verdict="indexed"}`)
			if err != nil {
				b.Fatal(err)
			}
			each = append(each, v)
			sum += v
		}
		if sum >= float64(n) {
			return each
		}
		if time.Now().After(until) {
			b.Fatalf("%.0f of %d indexed in %s", sum, n, drainLimit)
		}
	}
}

// bareLoop writes documents that the product made to a database and indices of its own.
type bareLoop struct {
	servers *service.Servers
	client  *http.Client
	last    bson.Binary // the highest id that was copied
}

// newBareLoop makes database and template as the product does.
func newBareLoop(b *testing.B) *bareLoop {
	b.Helper()
	servers := service.NewServers(b)
	s := service.Deploy(b, servers, 0, quiet...)
	if err := s.Stop(); err != nil {
		b.Fatal(err)
	}
	return &bareLoop{servers: servers, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: bareLoops, WriteBufferSize: 64 << 10}},
		last: bson.Binary{Subtype: 4, Data: make([]byte, 16)}}
}

// chunk is a command and a bulk of the same documents.
type chunk struct {
	insert bson.Raw
	bulk   []byte
}

// run reads the n newest entries of the product, makes commands and bulks of them, and returns how long it takes to
// write them, and what the servers use for it.
func (l *bareLoop) run(b *testing.B, from *service.Servers, n int) (took, served time.Duration) {
	b.Helper()
	ctx := b.Context()
	docs, err := from.Collection("entries").Find(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$gt", Value: l.last}}}}, options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = docs.Close(ctx) }()
	var chunks []chunk
	var some []bson.Raw
	copied := 0
	flush := func() {
		insert, err := bson.Marshal(bson.D{{Key: "insert", Value: "entries"}, {Key: "ordered", Value: false}, {Key: "documents", Value: some},
			{Key: "writeConcern", Value: bson.D{{Key: "w", Value: "majority"}, {Key: "j", Value: true}}}})
		if err != nil {
			b.Fatal(err)
		}
		ids := make([][16]byte, len(some))
		for i, d := range some {
			_, id := d.Lookup("_id").Binary()
			copy(ids[i][:], id)
			l.last = bson.Binary{Subtype: 4, Data: id}
		}
		bulk, err := from.BulkOf(ctx, l.servers.Name, ids)
		if err != nil {
			b.Fatal(err)
		}
		chunks = append(chunks, chunk{insert, bulk})
		copied += len(some)
		some = nil
	}
	for docs.Next(ctx) {
		if some = append(some, bytes.Clone(docs.Current)); len(some) == bareBatch {
			flush()
		}
	}
	if err := docs.Err(); err != nil {
		b.Fatal(err)
	}
	if len(some) > 0 {
		flush()
	}
	if copied != n {
		b.Fatalf("the product has %d new entries, not %d", copied, n)
	}
	todo := make(chan chunk, len(chunks))
	for _, c := range chunks {
		todo <- c
	}
	close(todo)
	errs := make([]error, bareLoops)
	before := serverCPU(b)
	start := time.Now()
	var wg sync.WaitGroup
	for w := range bareLoops {
		wg.Go(func() {
			for c := range todo {
				if errs[w] = l.write(ctx, c); errs[w] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	took, served = time.Since(start), serverCPU(b)-before
	if err := errors.Join(errs...); err != nil {
		b.Fatal(err)
	}
	return took, served
}

func (l *bareLoop) write(ctx context.Context, c chunk) error {
	if err := l.servers.RunCommand(ctx, c.insert); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.servers.OpenSearch+"/_bulk?filter_path=errors", bytes.NewReader(c.bulk))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	res, err := l.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err == nil && (res.StatusCode != http.StatusOK || !bytes.Contains(answer, []byte(`"errors":false`))) {
		err = fmt.Errorf("bulk: %s %s", res.Status, answer)
	}
	return err
}

// cpuOf is the processor time that processes have used.
func cpuOf(b *testing.B, of ...*service.Process) (sum time.Duration) {
	b.Helper()
	for _, p := range of {
		used, err := p.CPU()
		if err != nil {
			b.Fatal(err)
		}
		sum += used
	}
	return sum
}

// serverCPU is the processor time that the servers of tests/services have used, or one of them; 0 where they are others.
func serverCPU(b *testing.B, name ...string) (sum time.Duration) {
	b.Helper()
	home := os.Getenv("SERVICES_HOME")
	if home == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return 0
		}
		home = filepath.Join(cache, "ocelot-services")
	}
	files, _ := filepath.Glob(filepath.Join(home, "run", append(name, "*")[0]+".pid")) // the pattern is a good one
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
			used, _ := service.CPU(pid) // 0 for one that has gone
			sum += used
		}
	}
	return sum
}

// peakOf is the most memory that a process had resident, in bytes.
func peakOf(b *testing.B, p *service.Process) int64 {
	b.Helper()
	peak, err := p.PeakMemory()
	if err != nil {
		b.Fatal(err)
	}
	return peak
}
