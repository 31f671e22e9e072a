package httpapi

import (
	"io"
	"net/http"
	"testing"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// BenchmarkExport exports 20,000 entries over TCP to a caller that only counts them; the CPU is that of both.
func BenchmarkExport(b *testing.B) {
	w := newWorld(b)
	const n = 20_000
	for from := 0; from < n; from += 2_000 {
		entries, err := logentry.Decode(entriesOf(2_000), logentry.NDJSON, logentry.Options{})
		must(b, err)
		w.put(b, "acme", entries...)
	}
	address := listen(b, w)
	for _, format := range []string{"ndjson", "csv"} {
		b.Run(format, func(b *testing.B) {
			for b.Loop() {
				r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://"+address+"/api/v1/logs/export?format="+format, nil)
				must(b, err)
				r.Header = authHeader(b, "acme", "reader")
				r.Header.Set("Accept-Encoding", "identity")
				res, err := http.DefaultClient.Do(r)
				must(b, err)
				_, err = io.Copy(io.Discard, res.Body)
				must(b, err)
				must(b, res.Body.Close())
				if rows := res.Trailer.Get("X-Export-Rows"); rows != "20000" {
					b.Fatal(rows)
				}
			}
			b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}
