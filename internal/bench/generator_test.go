package bench

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

var noon = time.Date(2026, 5, 6, 12, 0, 0, 123_000_000, time.UTC)

func lines(g *Generator, first uint64, n int, at time.Time) []byte {
	var out []byte
	b := g.Batch(first, at)
	for i := range n {
		out = append(g.Append(out, &b, i), '\n')
	}
	return out
}

func TestGeneratorMakesEntriesThatTheServiceTakes(t *testing.T) {
	g := NewGenerator(1, "bench-x")
	body := lines(g, 5000, 2000, noon)
	entries, err := logentry.Decode(body, logentry.NDJSON, logentry.Options{Now: noon})
	if err != nil || len(entries) != 2000 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	seen := map[string]bool{}
	severities := map[logentry.Severity]int{}
	for i, e := range entries {
		if e.SessionID != "bench-x" || e.RequestID != g.RequestID(5000+uint64(i)) || !e.Timestamp.Equal(noon.Add(time.Duration(i)*time.Microsecond)) {
			t.Fatalf("%d: %+v", i, e)
		}
		if seen[e.TraceID] {
			t.Fatalf("trace id %s twice", e.TraceID)
		}
		seen[e.TraceID] = true
		if n, ok := g.number([]byte(e.RequestID)); !ok || n != 5000+uint64(i) {
			t.Fatalf("%s is read as %d %t", e.RequestID, n, ok)
		}
		if words := len(strings.Fields(e.Message)); words < 8 || words > 14 {
			t.Fatalf("%d words: %s", words, e.Message)
		}
		severities[e.Severity]++
	}
	if size := len(body) / 2000; size < 350 || size > 450 {
		t.Errorf("an entry has %d bytes", size)
	}
	if severities[logentry.Info] < 1200 || severities[logentry.Error] < 50 || severities[logentry.Error] > 200 {
		t.Errorf("severities %v", severities)
	}
}

func TestGeneratorGoesByItsSeed(t *testing.T) {
	a, b := lines(NewGenerator(7, "r"), 0, 500, noon), lines(NewGenerator(7, "r"), 0, 500, noon)
	if !bytes.Equal(a, b) {
		t.Error("the same seed gave other entries")
	}
	if bytes.Equal(a, lines(NewGenerator(8, "r"), 0, 500, noon)) {
		t.Error("another seed gave the same entries")
	}
	g, other := NewGenerator(7, "r"), NewGenerator(7, "s")
	if _, ok := g.number([]byte(other.RequestID(1))); ok {
		t.Error("an entry of another run was taken for one of this")
	}
}

func TestGeneratorKeepsTheSecondsEnd(t *testing.T) {
	at := noon.Truncate(time.Second).Add(999_999_500 * time.Nanosecond)
	for line := range bytes.Lines(lines(NewGenerator(1, "r"), 0, 3, at)) {
		var e struct{ Timestamp time.Time }
		if err := json.Unmarshal(line, &e); err != nil || e.Timestamp.Before(at.Truncate(time.Microsecond)) || e.Timestamp.Sub(at) > time.Second {
			t.Fatalf("%s %v", e.Timestamp, err)
		}
	}
}

func BenchmarkGenerator(b *testing.B) {
	g := NewGenerator(1, "bench-20260506-120000-abcd")
	var out []byte
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		batch := g.Batch(uint64(i)*500, noon)
		out = out[:0]
		for k := range 500 {
			out = append(g.Append(out, &batch, k), '\n')
		}
	}
	b.SetBytes(int64(len(out)))
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/entry")
	b.ReportMetric(float64(len(out))/500, "bytes/entry")
}

func TestAnswersAreScanned(t *testing.T) {
	const a, b = "0192f3c4-0000-7000-8000-000000000001", "0192F3C4-0000-7000-8000-000000000002"
	collect := func(body string) (got []string) {
		n := eachID([]byte(body), func(id logentry.ID) { got = append(got, id.String()) })
		if n != len(got) {
			t.Errorf("%d ids counted, %d given", n, len(got))
		}
		return got
	}
	for name, c := range map[string]struct {
		body string
		want []string
	}{
		"the answer to one entry": {`{"data":{"id":"` + a + `","status":"queued"},"meta":{}}`, []string{a}},
		"the answer to a bulk":    {`{"data":{"ids":["` + a + `","` + b + `"],"count":2}}`, []string{a, strings.ToLower(b)}},
		"with white space":        {"{\"data\": {\"ids\":[\n \"" + a + "\",\n \"" + b + "\"\n]}}", []string{a, strings.ToLower(b)}},
		"no ids":                  {`{"data":{"ids":[]}}`, nil},
		"a broken id":             {`{"data":{"ids":["` + strings.Replace(a, "-", "x", 1) + `"]}}`, nil},
		"cut in the middle":       {`{"data":{"ids":["` + a + `","` + b[:20], []string{a}},
		"nothing":                 {``, nil},
	} {
		if got := collect(c.body); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	page := `{"data":[{"id":"` + a + `","message":"a \"id\":\"x\" } {","metadata":{"id":"` + b + `","request_id":"no"},"request_id":"req-1"},{"request_id":"req-2","id":"` + b + `"}],` +
		`"meta":{"pagination":{"total":12,"relation":"eq","next_cursor":"abc"},"took_ms":1}}`
	var got []string
	if n := eachFound([]byte(page), func(id logentry.ID, r []byte) { got = append(got, id.String()[35:]+string(r)) }); n != 2 || !slices.Equal(got, []string{"1req-1", "2req-2"}) {
		t.Errorf("%d %q", n, got)
	}
	if total([]byte(page)) != 12 || cursor([]byte(page)) != "abc" || total([]byte(`{}`)) != -1 || cursor([]byte(`{"next_cursor":null}`)) != "" {
		t.Errorf("total %d, cursor %q", total([]byte(page)), cursor([]byte(page)))
	}
}

func TestIDsAreKeptAndFound(t *testing.T) {
	var l ids
	var maker logentry.IDs
	want := make([]logentry.ID, chunk+100)
	for i := range want {
		want[len(want)-1-i] = maker.New(noon)
	}
	for _, id := range want {
		l.add(id)
	}
	book := newLedger(&l, nil, NewGenerator(1, "r"))
	for _, id := range want {
		if at, ok := book.acked.find(&id); !ok || book.acked.at(at) != id {
			t.Fatalf("%s is not found", id)
		}
	}
	foreign := maker.New(noon)
	if _, ok := book.acked.find(&foreign); ok {
		t.Error("an id that was never added is found")
	}
}
