package search_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

var statsCases = []struct {
	name string
	test func(t *testing.T, x backend)
}{
	{"it counts what the meaning of the tree says", testStats},
	{"counts go by the ends of a range to the nanosecond", testStatsEnds},
	{"counts never hold another tenant's entries", testStatsIsolation},
	{"an interval too short for the entries is refused, auto finds one", testStatsBuckets},
	{"a count that takes too long is a timeout", testStatsTimeout},
}

// valueOf is the value of a field as facets show it; empty where there is none.
func valueOf(e *logentry.Entry, f query.Field) string {
	switch f {
	case query.Severity:
		return e.Severity.String()
	case query.Service:
		return e.Service
	case query.Action:
		return e.Action
	case query.UserID:
		return e.UserID
	case query.ResourceType:
		return e.ResourceType
	case query.SchemaVersion:
		return fmt.Sprint(e.SchemaVersion)
	case query.IPAddress:
		a, _ := query.Address(e.IPAddress)
		a, _, _ = strings.Cut(a, "%")
		return a
	}
	return ""
}

// expectedStats counts one by one.
func expectedStats(records []logentry.Record, slug string, where query.Node, r search.StatsRequest, step time.Duration) (s search.Stats) {
	facets := make([]map[string]int64, len(r.Facets))
	for i := range facets {
		facets[i] = map[string]int64{}
	}
	buckets := map[int64]*search.Bucket{}
	for i := range records {
		e := &records[i].Entry
		if e.TenantID != authtest.TenantID(slug) || !query.Match(where, e) {
			continue
		}
		s.Total++
		for i, f := range r.Facets {
			if v := valueOf(e, f); v != "" {
				facets[i][v]++
			}
		}
		if step > 0 {
			start := e.Timestamp.UnixNano() / int64(step) * int64(step)
			if buckets[start] == nil {
				buckets[start] = &search.Bucket{Start: time.Unix(0, start).UTC()}
			}
			buckets[start].Count++
			buckets[start].BySeverity[e.Severity]++
		}
	}
	for i, f := range r.Facets {
		facet := search.Facet{Field: f, Exact: true}
		for v, n := range facets[i] {
			facet.Values = append(facet.Values, search.Count{Value: v, Count: n})
		}
		slices.SortFunc(facet.Values, func(a, b search.Count) int {
			if a.Count != b.Count {
				return int(b.Count - a.Count)
			}
			return search.CompareValues(f, a.Value, b.Value)
		})
		if len(facet.Values) > r.Top {
			facet.Values = facet.Values[:r.Top]
		}
		s.Facets = append(s.Facets, facet)
	}
	if step > 0 {
		s.Histogram = &search.Histogram{Interval: step}
		for _, b := range buckets {
			s.Histogram.Buckets = append(s.Histogram.Buckets, *b)
		}
		slices.SortFunc(s.Histogram.Buckets, func(a, b search.Bucket) int { return a.Start.Compare(b.Start) })
	}
	return s
}

// compareStats asks and compares with what is expected; it returns the total.
func compareStats(t *testing.T, x backend, records []logentry.Record, slug string, where query.Node, r search.StatsRequest) int64 {
	t.Helper()
	got, err := x.Stats(t.Context(), authtest.Tenant(t, slug), query.Query{Where: where}, r)
	if err != nil {
		t.Fatalf("%#v of %#v: %v", r, where, err)
	}
	step := time.Duration(0)
	if got.Histogram != nil {
		step = got.Histogram.Interval
	}
	if want := expectedStats(records, slug, where, r, step); !reflect.DeepEqual(got, want) {
		t.Fatalf("%#v of %#v:\n got %+v %+v\nwant %+v %+v", r, where, got, got.Histogram, want, want.Histogram)
	}
	return got.Total
}

func testStats(t *testing.T, x backend) {
	m := newMaker(31)
	records := m.records(600)
	for rest := records; len(rest) > 0; {
		n := min(len(rest), 1+m.IntN(90))
		mustAdd(t, x, rest[:n])
		rest = rest[n:]
	}
	x.settle(t)
	counted := int64(0)
	for n := range 150 {
		where := m.node(&records[m.IntN(len(records))].Entry, n%4)
		if n < 3 {
			where = nil
		}
		r := search.StatsRequest{Top: pick(m, 1, 3, 100), Interval: pick(m, search.Interval{}, search.Interval{Auto: true}, search.Interval{Every: 30 * 24 * time.Hour})}
		for _, f := range search.FacetFields {
			if m.IntN(2) == 0 {
				r.Facets = append(r.Facets, f)
			}
		}
		counted += compareStats(t, x, records, pick(m, append(slugs, "nobody")...), where, r)
	}
	if counted < 3_000 {
		t.Errorf("only %d entries were counted: the questions prove little", counted)
	}
}

func testStatsEnds(t *testing.T, x backend) {
	m := newMaker(32)
	records := m.records(300)
	for i := range records {
		records[i].TenantID = authtest.TenantID("acme")
		records[i].Timestamp = m.now.Add(time.Duration(m.IntN(40_000)-20_000) * time.Microsecond)
	}
	mustAdd(t, x, records)
	x.settle(t)
	for range 40 {
		at := query.Range{Field: query.Timestamp, From: records[m.IntN(300)].Timestamp.Add(time.Duration(m.IntN(3) - 1)), To: m.now.Add(time.Duration(m.IntN(20_000_000)))}
		for _, where := range []query.Node{at, query.Not{Node: at}, query.And{at, query.Term{Field: query.Severity, Value: "ERROR"}}} {
			compareStats(t, x, records, "acme", where, search.StatsRequest{Facets: search.FacetFields, Top: 10, Interval: search.Interval{Every: time.Second}})
		}
	}
}

func testStatsIsolation(t *testing.T, x backend) {
	m := newMaker(33)
	var records []logentry.Record
	for i := range 120 { // enough tenants for numbers of more than one digit
		e := m.entry()
		e.TenantID = authtest.TenantID(fmt.Sprintf("tenant-%d", i%40))
		records = append(records, recordOf(e))
	}
	mustAdd(t, x, records)
	x.settle(t)
	for i := range 40 {
		r := search.StatsRequest{Facets: search.FacetFields, Top: 100, Interval: search.Interval{Auto: true}}
		for _, where := range []query.Node{nil, query.Not{Node: query.Text{Tokens: []string{"absent"}}}} {
			if n := compareStats(t, x, records, fmt.Sprintf("tenant-%d", i), where, r); n != 3 {
				t.Fatalf("tenant %d has %d entries, want 3", i, n)
			}
		}
	}
}

func testStatsBuckets(t *testing.T, x backend) {
	m := newMaker(34)
	records := m.records(50)
	for i := range records {
		records[i].TenantID, records[i].Timestamp = authtest.TenantID("acme"), m.now.Truncate(time.Hour).Add(time.Duration(i)*20*time.Second)
	}
	mustAdd(t, x, records) // 980 s, which are 981 steps
	x.settle(t)
	r := search.StatsRequest{Interval: search.Interval{Every: time.Second}}
	compareStats(t, x, records, "acme", nil, r)
	for r.Interval.Buckets = 1; r.Interval.Buckets < 2000; r.Interval.Buckets *= 3 {
		auto := search.StatsRequest{Interval: search.Interval{Auto: true, Buckets: r.Interval.Buckets, Least: 2 * time.Second}}
		s, err := x.Stats(t.Context(), authtest.Tenant(t, "acme"), query.Query{}, auto)
		if err != nil {
			t.Fatal(err)
		}
		if width := s.Histogram.Interval; width < 2*time.Second || len(s.Histogram.Buckets) > r.Interval.Buckets {
			t.Errorf("auto chose %s for at most %d buckets and made %d", width, r.Interval.Buckets, len(s.Histogram.Buckets))
		}
		_, err = x.Stats(t.Context(), authtest.Tenant(t, "acme"), query.Query{}, r)
		f := fault.Of(err)
		if refused := f != nil && f.Code == "too_many_buckets" && f.Kind == fault.Malformed; refused != (r.Interval.Buckets < 981) {
			t.Errorf("at most %d buckets: %v", r.Interval.Buckets, err)
		}
	}
}

func testStatsTimeout(t *testing.T, x backend) {
	mustAdd(t, x, newMaker(35).records(2000))
	x.settle(t)
	ctx, cancel := context.WithTimeout(t.Context(), 1)
	defer cancel()
	_, err := x.Stats(ctx, authtest.Tenant(t, "acme"), query.Query{}, search.StatsRequest{Facets: search.FacetFields, Top: 10})
	if f := fault.Of(err); f == nil || f.Kind != fault.Timeout || f.Code != "search_timeout" {
		t.Errorf("got %v", err)
	}
	if s, err := x.Stats(t.Context(), authtest.Tenant(t, "acme"), query.Query{}, search.StatsRequest{}); err != nil || s.Total == 0 {
		t.Errorf("after it %d entries are counted, %v", s.Total, err)
	}
}
