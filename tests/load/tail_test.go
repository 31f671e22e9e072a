//go:build e2e

package load

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/bench"
	"github.com/ocelot-log/ocelot/tests/service"
)

// perCaller is how many streams a caller may have.
const perCaller = 10

// BenchmarkTail loads the system with 5,000 entries a second while many follow it, and measures the time from the 202 to
// the screen of one who follows everything. The others, with callers of their own, ask for a user each, of whom
// nothing comes, or all for one service, which is every fortieth entry. Loader and followers are in the process of the
// benchmark. TAIL_SECONDS is how long each takes (10), TAIL_RATE the entries a second.
//
//	go test -tags e2e -run '^$' -bench Tail -benchtime 1x -timeout 30m ./tests/load
func BenchmarkTail(b *testing.B) {
	for _, kind := range []string{"embedded", "deployed"} {
		for _, c := range []struct {
			name     string
			others   int
			question func(i int) url.Values
		}{
			{"alone", 0, nil},
			{"1000 users", 999, func(i int) url.Values { return url.Values{"user_id": {fmt.Sprint("nobody-", i)}} }},
			{"1000 of one service", 999, func(int) url.Values { return url.Values{"service": {"billing"}} }},
		} {
			b.Run(kind+"/"+c.name, func(b *testing.B) { benchTail(b, kind, c.others, c.question) })
		}
	}
}

func benchTail(b *testing.B, kind string, others int, question func(int) url.Values) {
	var s *service.System
	if kind == "deployed" {
		s = service.Deploy(b, service.NewServers(b), 1, "LOG_LEVEL=warn")
	} else {
		s = service.Start(b, b.TempDir(), "LOG_LEVEL=warn")
	}
	var bytes atomic.Int64
	stop := followMany(b, s, others, question, &bytes)
	defer stop()
	token := s.Token("default", "admin")
	seconds, rate := numberOf(b, "TAIL_SECONDS", 10), numberOf(b, "TAIL_RATE", 5000)
	for b.Loop() {
		servers, api, worker, own, started := serverCPU(b), cpuOf(b, s.API), cpuOf(b, s.Workers...), ownCPU(b), time.Now()
		var cpu [4]float64 // in percent of one core, while the load lasts
		r, err := bench.Run(b.Context(), bench.Config{URL: s.URL, Token: func() (string, error) { return token, nil }, HTTP: &http.Client{},
			Rate: float64(rate), Duration: time.Duration(seconds) * time.Second, Batch: 50, Conns: 8, Tenants: []string{""}, Seed: 1, Tail: true,
			Timeout: 30 * time.Second, Settle: time.Minute, Run: "tail-" + strings.ToLower(rand.Text())[:8], Note: func(what string) {
				if !strings.Contains(what, "acknowledged, waiting") {
					return
				}
				took := time.Since(started)
				for i, used := range []time.Duration{serverCPU(b) - servers, cpuOf(b, s.API) - api, cpuOf(b, s.Workers...) - worker, ownCPU(b) - own} {
					cpu[i] = 100 * used.Seconds() / took.Seconds()
				}
			}})
		if err != nil || !r.OK {
			b.Fatalf("%v\n%s", err, r.Text())
		}
		b.ReportMetric(r.Tail.P50, "p50-ms")
		b.ReportMetric(r.Tail.P95, "p95-ms")
		b.ReportMetric(r.Tail.P99, "p99-ms")
		b.ReportMetric(r.Tail.Max, "max-ms")
		b.ReportMetric(r.AcceptedPerSecond, "entries/s")
		b.ReportMetric(cpu[0], "servers-cpu-%")
		b.ReportMetric(cpu[1], "api-cpu-%")
		b.ReportMetric(cpu[2], "worker-cpu-%")
		b.ReportMetric(cpu[3], "meter-cpu-%")
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(peakOf(b, s.API))/(1<<20), "api-peak-MiB")
	b.ReportMetric(float64(bytes.Load())/(1<<20), "to-the-others-MiB")
}

// followMany follows until it is stopped, with ten streams a caller, and counts the bytes that come.
func followMany(b *testing.B, s *service.System, n int, question func(int) url.Values, bytes *atomic.Int64) (stop func()) {
	b.Helper()
	ctx, end := context.WithCancel(context.Background())
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var running sync.WaitGroup
	token := ""
	for i := range n {
		if i%perCaller == 0 {
			out, err := s.Run(nil, "token", "--tenant", "default", "--role", "reader", "--subject", fmt.Sprint("follower-", i/perCaller))
			if err != nil {
				b.Fatal(err)
			}
			token = strings.TrimSpace(out)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/api/v1/logs/stream?"+question(i).Encode(), nil)
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		res, err := client.Do(req)
		if err != nil || res.StatusCode != http.StatusOK {
			b.Fatal("a follower is refused: ", res, err)
		}
		running.Go(func() {
			defer func() { _ = res.Body.Close() }()
			count, err := io.Copy(io.Discard, res.Body)
			if bytes.Add(count); ctx.Err() == nil {
				b.Error("a follower was left: ", err)
			}
		})
	}
	return func() { end(); running.Wait() }
}

func ownCPU(b *testing.B) time.Duration {
	b.Helper()
	used, err := service.CPU(os.Getpid())
	if err != nil {
		b.Fatal(err)
	}
	return used
}

func numberOf(b *testing.B, name string, normal int) int {
	b.Helper()
	text := os.Getenv(name)
	if text == "" {
		return normal
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		b.Fatalf("%s is %q; it is a number from 1 on", name, text)
	}
	return n
}
