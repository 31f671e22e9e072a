package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/ingest"
	"github.com/ocelot-log/ocelot/internal/mask"
	"github.com/ocelot-log/ocelot/internal/queue"
	"github.com/ocelot-log/ocelot/internal/telemetry"
)

// nowhere takes every message and keeps none.
type nowhere struct{ queue.Queue }

func (nowhere) Limits() queue.Limits { return queue.Limits{MaxBytes: 4 << 20, Binary: true} }

func (nowhere) Send(context.Context, []queue.Outgoing) []error { return nil }

func (nowhere) Ping(context.Context) error { return nil }

// sampleEntry is an entry of about 400 bytes.
func sampleEntry(i int) string {
	return fmt.Sprintf(`{"timestamp":"2026-01-31T10:%02d:%02d.123Z","service":"billing","action":"CREATE","severity":"WARNING","user_id":"user-%06d",`+
		`"session_id":"s-%08x","resource_type":"invoice","resource_id":"inv-%07d","message":"card declined by issuer for invoice %d, retrying in a while",`+
		`"ip_address":"10.0.%d.%d","request_id":"req-%016x","metadata":{"amount":%d.50,"currency":"EUR","attempt":%d}}`,
		i/60%60, i%60, i, i*7919, i, i, i/256%256, i%256, i*104729, i%1000, i%5)
}

func BenchmarkPost(b *testing.B) {
	array := []byte("[")
	var lines []byte
	for i := range 500 {
		if i > 0 {
			array = append(array, ',')
		}
		array = append(array, sampleEntry(i)...)
		lines = append(append(lines, sampleEntry(i)...), '\n')
	}
	array = append(array, ']')
	for _, c := range []struct {
		name, path, media, encoding string
		body                        []byte
		entries                     int
	}{
		{"one", "/api/v1/logs", "application/json", "", []byte(sampleEntry(1)), 1},
		{"500", "/api/v1/logs/bulk", "application/json", "", array, 500},
		{"500 lines", "/api/v1/logs/bulk", "application/x-ndjson", "", lines, 500},
		{"500 gzip", "/api/v1/logs/bulk", "application/json", "gzip", []byte(gzipped(string(array))), 500},
		{"500 zstd", "/api/v1/logs/bulk", "application/json", "zstd", []byte(zstded(string(array))), 500},
	} {
		b.Run(c.name, func(b *testing.B) {
			w := newWorld(b, func(p *parts) {
				in := ingest.New(ingest.Config{Linger: 5 * time.Millisecond}, nowhere{}, mask.NewSet(nil), telemetry.Discard())
				live(b, in.Run)
				p.writing = Writing{Ingest: in, Queue: nowhere{}, Audit: &noted{}, Masks: mask.NewSet(nil)}
			})
			header := authHeader(b, "acme", "writer")
			header["Content-Type"] = []string{c.media}
			if c.encoding != "" {
				header["Content-Encoding"] = []string{c.encoding}
			}
			u := &url.URL{Path: c.path}
			rec, reader := newRecorder(), bytes.NewReader(nil)
			b.ReportAllocs()
			for b.Loop() {
				rec.reset()
				reader.Reset(c.body)
				r := (&http.Request{Method: http.MethodPost, URL: u, RequestURI: c.path, Header: header, Body: io.NopCloser(reader),
					ContentLength: int64(len(c.body))}).WithContext(b.Context())
				w.Handler().ServeHTTP(rec, r)
				if rec.status != http.StatusAccepted {
					b.Fatalf("%d %s", rec.status, rec.body)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*c.entries), "ns/entry")
		})
	}
}
