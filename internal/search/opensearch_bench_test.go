package search_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// ordinary are records of about 540 bytes of JSON, as services write them.
func ordinary(m *maker, n int) []logentry.Record {
	records := make([]logentry.Record, n)
	for i := range records {
		m.now = m.now.Add(time.Microsecond)
		records[i] = recordOf(logentry.Entry{
			ID: m.id(), TenantID: authtest.TenantID("acme"), ReceivedAt: m.now.Truncate(time.Millisecond), Timestamp: m.now, Severity: logentry.Severity(1 + m.IntN(5)),
			Service: fmt.Sprintf("service-%d", m.IntN(20)), Action: pick(m, "order.created", "order.paid", "login.failed"), UserID: fmt.Sprintf("user-%d", m.IntN(5000)),
			Message:      fmt.Sprintf("Payment %d for order %d failed after %d ms: the gateway did not answer in time", m.IntN(1e6), m.IntN(1e6), m.IntN(3000)),
			ResourceType: "order", ResourceID: fmt.Sprintf("ord-%08x", m.Uint32()), IPAddress: fmt.Sprintf("10.%d.%d.%d", m.IntN(256), m.IntN(256), m.IntN(256)),
			RequestID: fmt.Sprintf("req-%016x", m.Uint64()), TraceID: fmt.Sprintf("%016x%016x", m.Uint64(), m.Uint64()), SpanID: fmt.Sprintf("%016x", m.Uint64()), SchemaVersion: 1,
			Metadata: jsontext.Value(fmt.Sprintf(`{"region":"eu-west-1","pod":"checkout-%d","attempt":%d,"cart":{"items":%d,"currency":"EUR"}}`, m.IntN(100), m.IntN(5), m.IntN(20))),
		})
	}
	return records
}

// BenchmarkOpenSearchAdd adds batches of new entries and, in turn with it, sends bodies that were made
// before with a bare client. Against a server that does nothing, the difference is what an Add costs this
// process; against a real one (TEST_OPENSEARCH_URL), the rates say what is left of what the server can do.
func BenchmarkOpenSearchAdd(b *testing.B) {
	b.Run("null server", func(b *testing.B) {
		f := newFake(b)
		f.bulk = nil
		answer := items(created(benchBatch)...)
		f.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasSuffix(r.URL.Path, "_bulk") {
				f.serve(w, r)
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, answer)
		})
		x := f.open(b, search.OpenSearchConfig{Prefix: "ocelot"})
		benchAdd(b, f.URL, x, "ocelot")
	})
	b.Run("real server", func(b *testing.B) {
		url := openSearchURL(b)
		x := openOpenSearch(b, url, search.OpenSearchConfig{RefreshInterval: 10 * time.Second})
		bare := openOpenSearch(b, url, search.OpenSearchConfig{RefreshInterval: 10 * time.Second})
		mustAdd(b, bare, ordinary(newMaker(42), 1)) // makes the index
		benchAdd(b, url, x.Index.(*search.OpenSearch), bare.Index.(*search.OpenSearch).Prefix())
	})
}

const (
	benchBatch   = 2000
	benchRounds  = 5
	benchWriters = 2
)

func benchAdd(b *testing.B, url string, x *search.OpenSearch, prefix string) {
	m := newMaker(41)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: benchWriters, DisableCompression: true, WriteBufferSize: 64 << 10}}
	defer client.CloseIdleConnections()
	send := func(body []byte) error {
		r, err := http.NewRequest("POST", url+"/_bulk?filter_path=items.*.status,items.*.error.type", bytes.NewReader(body))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/x-ndjson")
		res, err := client.Do(r)
		if err != nil {
			return err
		}
		defer func() { _ = res.Body.Close() }()
		if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s, %w", res.Status, err)
		}
		return nil
	}
	type cost struct{ elapsed, used time.Duration }
	measure := func(c *cost, work func(writer, round int) error) {
		start, before := time.Now(), cpuTime()
		var wg sync.WaitGroup
		for w := range benchWriters {
			wg.Go(func() {
				for r := range benchRounds {
					if err := work(w, r); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		c.elapsed += time.Since(start)
		c.used += cpuTime() - before
	}
	var add, bare cost
	n := 0
	for b.Loop() {
		var records [benchWriters][benchRounds][]logentry.Record
		var bodies [benchWriters][benchRounds][]byte
		for w := range benchWriters {
			for r := range benchRounds {
				records[w][r] = ordinary(m, benchBatch)
				bodies[w][r] = search.BulkBody(prefix, ordinary(m, benchBatch))
			}
		}
		steps := []func(){
			func() {
				measure(&add, func(w, r int) error {
					_, err := x.Add(context.Background(), records[w][r])
					return err
				})
			},
			func() { measure(&bare, func(w, r int) error { return send(bodies[w][r]) }) },
		}
		if n%2 == 1 {
			steps[0], steps[1] = steps[1], steps[0]
		}
		for _, step := range steps {
			step()
		}
		n++
	}
	entries := float64(n * benchWriters * benchRounds * benchBatch)
	b.ReportMetric(float64(add.used.Nanoseconds())/1e3/entries, "µs-CPU/entry")
	b.ReportMetric(float64(bare.used.Nanoseconds())/1e3/entries, "bare-µs-CPU/entry")
	b.ReportMetric(entries/add.elapsed.Seconds(), "entries/s")
	b.ReportMetric(100*bare.elapsed.Seconds()/add.elapsed.Seconds(), "%-of-bare")
	b.ReportMetric(0, "ns/op")
}
