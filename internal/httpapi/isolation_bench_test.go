package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/ingest"
	"github.com/ocelot-log/ocelot/internal/mask"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/internal/tenant"
)

// BenchmarkIsolation posts steadily for one tenant over TCP, in turns of a second alone, beside as many health checks as
// there are refusals otherwise, and beside somebody who is refused, and reports the 99th percentiles. Callers and server
// share the machine: the health checks tell what the wire and the callers cost.
//
//	go test -run '^$' -bench Isolation -benchtime 30x ./internal/httpapi
func BenchmarkIsolation(b *testing.B) {
	const perMin = 6_000
	for _, c := range []struct {
		name    string
		header  http.Header
		entries int
		rate    int // requests a second
	}{
		{"1000 wrong keys a second", http.Header{"X-Api-Key": {"ocelot_0123456789_0123456789abcdefghijklmnopqrstuv"}}, 1, 1_000},
		{"a tenant at ten times its limit", authHeader(b, "nova", "writer"), 10, 10 * perMin / 60 / 10},
	} {
		b.Run(c.name, func(b *testing.B) {
			w := limited(b, tenant.Limits{EntriesPerMin: perMin}, strangers(60), func(p *parts) {
				in := ingest.New(ingest.Config{Linger: 5 * time.Millisecond}, nowhere{}, mask.NewSet([]byte("key")), telemetry.Discard())
				live(b, in.Run)
				p.writing.Ingest, p.writing.Queue = in, nowhere{}
			})
			l, err := net.Listen("tcp", "127.0.0.1:0")
			must(b, err)
			live(b, func(ctx context.Context) error { return w.Serve(ctx, l) })
			post := poster(b, "http://"+l.Addr().String())
			probe := prober(b, "http://"+l.Addr().String())
			good, other := entriesOf(10), entriesOf(c.entries)
			var (
				noise   atomic.Int32
				refused atomic.Int64
				wg      sync.WaitGroup
				ctx     = b.Context()
			)
			stop, cancel := context.WithCancel(ctx)
			const callers = 10
			for range callers {
				wg.Go(func() {
					for tick := time.NewTicker(callers * time.Second / time.Duration(c.rate)); ; {
						select {
						case <-stop.Done():
							tick.Stop()
							return
						case <-tick.C:
						}
						switch noise.Load() {
						case probes:
							probe()
						case refusals:
							if status := post(c.header, other); status == http.StatusTooManyRequests {
								refused.Add(1)
							}
						}
					}
				})
			}
			header := authHeader(b, "acme", "writer")
			took := map[int32][]time.Duration{}
			for b.Loop() {
				for _, with := range []int32{quiet, probes, refusals} {
					noise.Store(with)
					time.Sleep(50 * time.Millisecond)
					for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
						began := time.Now()
						if status := post(header, good); status != http.StatusAccepted {
							b.Fatal(status)
						}
						took[with] = append(took[with], time.Since(began))
					}
				}
			}
			cancel()
			wg.Wait()
			p99 := func(all []time.Duration) float64 {
				slices.Sort(all)
				return all[len(all)*99/100].Seconds() * 1e3
			}
			alone, probed, loud := p99(took[quiet]), p99(took[probes]), p99(took[refusals])
			b.ReportMetric(alone, "quiet-p99-ms")
			b.ReportMetric(probed, "probes-p99-ms")
			b.ReportMetric(loud, "noisy-p99-ms")
			b.ReportMetric(loud/alone, "ratio")
			b.ReportMetric(loud/probed, "ratio-to-probes")
			b.ReportMetric(float64(refused.Load())/float64(b.N), "refused/s")
		})
	}
}

// What else the server does while a request is timed: nothing, as many requests of the cheapest kind, whose callers use
// the same two cores, or what is refused.
const (
	quiet int32 = iota
	probes
	refusals
)

// prober asks whether the server lives.
func prober(b *testing.B, url string) func() {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	b.Cleanup(client.CloseIdleConnections)
	return func() {
		res, err := client.Get(url + "/health/live")
		if err != nil {
			b.Error(err)
			return
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK {
			b.Error(res.Status)
		}
	}
}

func entriesOf(n int) []byte {
	var body []byte
	for i := range n {
		body = append(append(body, sampleEntry(i)...), '\n')
	}
	return body
}

// poster posts lines and returns the status.
func poster(b *testing.B, url string) func(http.Header, []byte) int {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	b.Cleanup(client.CloseIdleConnections)
	return func(header http.Header, body []byte) int {
		r, err := http.NewRequestWithContext(context.WithoutCancel(b.Context()), http.MethodPost, url+bulkPath, bytes.NewReader(body))
		if err != nil {
			b.Error(err)
			return 0
		}
		r.Header = header.Clone()
		r.Header.Set(asLines[0], asLines[1])
		res, err := client.Do(r)
		if err != nil {
			b.Error(fmt.Errorf("post: %w", err))
			return 0
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		return res.StatusCode
	}
}

// BenchmarkRefused is what a request costs that is refused by a limit.
func BenchmarkRefused(b *testing.B) {
	w := limited(b, tenant.Limits{EntriesPerMin: 1}, strangers(1))
	for name, header := range map[string]http.Header{"a wrong key": {"X-Api-Key": {"ocelot_0123456789_0123456789abcdefghijklmnopqrstuv"}}, "a tenant": authHeader(b, "nova", "writer")} {
		b.Run(name, func(b *testing.B) {
			header = header.Clone()
			header.Set(asLines[0], asLines[1])
			body, reader, rec := entriesOf(500), bytes.NewReader(nil), newRecorder()
			b.ReportAllocs()
			for b.Loop() {
				rec.reset()
				reader.Reset(body)
				r := (&http.Request{Method: http.MethodPost, URL: &url.URL{Path: bulkPath}, RequestURI: bulkPath, Header: header, Body: io.NopCloser(reader),
					RemoteAddr: "192.0.2.1:1", ContentLength: int64(len(body))}).WithContext(b.Context())
				w.Handler().ServeHTTP(rec, r)
			}
			if rec.status < 400 {
				b.Fatalf("%d %s", rec.status, rec.body)
			}
		})
	}
}
