package httpapi

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/ocelot-log/ocelot/internal/tenant"
)

func entriesOf(n int) []byte {
	var body []byte
	for i := range n {
		body = append(append(body, sampleEntry(i)...), '\n')
	}
	return body
}

// BenchmarkRefused is what a request costs that is refused by a limit.
func BenchmarkRefused(b *testing.B) {
	w := limited(b, tenant.Limits{EntriesPerMin: 1}, strangers(1))
	w.post(b, authHeader(b, "nova", "writer"), lines(1)) // and the minute's one entry is used up
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
