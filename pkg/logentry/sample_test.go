package logentry

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

var testNow = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// sample makes n realistic entries of about 400 bytes as one body of the form.
func sample(n int, form Form) []byte {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	words := strings.Fields(`payment order user session request accepted refused retried after timeout gateway
		database connection closed opened by peer while reading response from upstream with status cached`)
	pick := func(from ...string) string { return from[rng.IntN(len(from))] }
	var b bytes.Buffer
	if form == Bulk {
		b.WriteString(`{"logs":[`)
	}
	for i := range n {
		if i > 0 {
			b.WriteByte(map[Form]byte{Bulk: ',', NDJSON: '\n'}[form])
		}
		message := make([]string, 9)
		for j := range message {
			message[j] = words[rng.IntN(len(words))]
		}
		at := testNow.Add(-time.Duration(rng.Int64N(int64(time.Hour))))
		fmt.Fprintf(&b, `{"timestamp":%q,"service":%q,"action":%q,"severity":%q,"user_id":"user-%05d","resource_type":%q,`+
			`"resource_id":"res-%08x","message":%q,"ip_address":"10.%d.%d.%d","request_id":"req-%016x","trace_id":"%016x%016x",`+
			`"metadata":{"region":%q,"latency_ms":%d,"cached":%t,"build":"v1.%d.%d"}}`,
			at.Format("2006-01-02T15:04:05.000Z"), pick("checkout", "billing", "identity", "catalog"),
			pick("CREATE", "UPDATE", "DELETE", "VIEW", "LOGIN"), pick("DEBUG", "INFO", "INFO", "INFO", "WARNING", "ERROR"),
			rng.IntN(1e5), pick("order", "invoice", "account"), rng.Uint32(), strings.Join(message, " "),
			rng.IntN(256), rng.IntN(256), rng.IntN(256), rng.Uint64(), rng.Uint64(), rng.Uint64(),
			pick("eu-west-1", "us-east-1", "ap-south-1"), rng.IntN(5000), rng.IntN(2) == 0, rng.IntN(40), rng.IntN(10))
	}
	if form == Bulk {
		b.WriteString(`]}`)
	}
	return b.Bytes()
}

// stamped is the sample as accepted entries.
func stamped(tb testing.TB, n int) []Entry {
	tb.Helper()
	entries, err := Decode(sample(n, Bulk), Bulk, Options{Now: testNow})
	if err != nil {
		tb.Fatal(err)
	}
	var ids IDs
	for i := range entries {
		entries[i].ID = ids.New(testNow)
		entries[i].ReceivedAt = testNow.Add(time.Duration(i) * time.Microsecond)
		entries[i].SchemaVersion = 1
	}
	return entries
}

func perEntry(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/entry")
}

func BenchmarkDecodeBulk500(b *testing.B) {
	body := sample(500, Bulk)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := Decode(body, Bulk, Options{Now: testNow}); err != nil {
			b.Fatal(err)
		}
	}
	perEntry(b, 500)
}

func BenchmarkDecodeNDJSON500(b *testing.B) {
	body := sample(500, NDJSON)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(body, NDJSON, Options{Now: testNow}); err != nil {
			b.Fatal(err)
		}
	}
	perEntry(b, 500)
}

func BenchmarkAppendJSON(b *testing.B) {
	entries := stamped(b, 500)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = buf[:0]
		for i := range entries {
			buf = append(AppendJSON(buf, &entries[i]), '\n')
		}
	}
	b.ReportMetric(float64(len(buf))/500, "B/entry")
	perEntry(b, 500)
}

func BenchmarkParseRecords(b *testing.B) {
	entries := stamped(b, 500)
	var buf []byte
	for i := range entries {
		buf = append(AppendJSON(buf, &entries[i]), '\n')
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseRecords(buf, 500); err != nil {
			b.Fatal(err)
		}
	}
	perEntry(b, 500)
}

// BenchmarkCodecReadValue is the codec's verdict alone on the same body, to compare with.
func BenchmarkCodecReadValue(b *testing.B) {
	body := sample(500, Bulk)
	for b.Loop() {
		if d := (&decoder{b: body}); d.syntaxFault() == nil {
			b.Fatal("a verdict was expected")
		}
	}
	perEntry(b, 500)
}
