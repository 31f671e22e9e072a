package search_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

var metricCases = []struct {
	name string
	test func(t *testing.T, x backend)
}{
	{"metrics are those of the numbers one by one", testMetrics},
	{"more different numbers than can be counted are refused", testManyNumbers},
}

// numbersAt are the different numbers that an entry has at a path.
func numbersAt(e *logentry.Entry, path string) (all []float64) {
	query.Pairs(e.Metadata, func(p query.Pair) bool {
		if v := query.Number(p.Text); p.Path == path && p.Kind == query.PairNumber && !slices.Contains(all, v) {
			all = append(all, v)
		}
		return true
	})
	return all
}

// summaryOf makes a summary the long way.
func summaryOf(numbers []float64) (s search.Summary) {
	if len(numbers) == 0 {
		return s
	}
	slices.Sort(numbers)
	at := func(percent float64) float64 { return numbers[int(math.Ceil(percent/100*float64(len(numbers))))-1] }
	for _, v := range numbers {
		s.Sum += v
	}
	s.Count, s.Min, s.Max, s.Avg = int64(len(numbers)), numbers[0], numbers[len(numbers)-1], s.Sum/float64(len(numbers))
	s.P50, s.P95, s.P99 = at(50), at(95), at(99)
	return s
}

// sameSummary compares exactly but for what depends on the order of adding.
func sameSummary(a, b search.Summary) bool {
	near := func(x, y float64) bool { return x == y || math.Abs(x-y) <= 1e-9*math.Max(math.Abs(x), math.Abs(y)) }
	ok := near(a.Sum, b.Sum) && near(a.Avg, b.Avg)
	a.Sum, b.Sum, a.Avg, b.Avg = 0, 0, 0, 0
	return ok && a == b
}

func compareMetrics(t *testing.T, x backend, records []logentry.Record, slug string, where query.Node, r search.StatsRequest) (counted int64) {
	t.Helper()
	got, err := x.Stats(t.Context(), authtest.Tenant(t, slug), query.Query{Where: where}, r)
	if err != nil || len(got.Metrics) != len(r.Metrics) {
		t.Fatalf("%#v of %#v: %d metrics, %v", r, where, len(got.Metrics), err)
	}
	for i, path := range r.Metrics {
		var all []float64
		groups, sizes := map[string][]float64{}, map[string]int64{}
		for j := range records {
			e := &records[j].Entry
			if e.TenantID != authtest.TenantID(slug) || !query.Match(where, e) {
				continue
			}
			numbers := numbersAt(e, path)
			all = append(all, numbers...)
			if v := valueOf(e, r.GroupBy); v != "" && len(numbers) > 0 {
				groups[v] = append(groups[v], numbers...)
				sizes[v]++
			}
		}
		m := got.Metrics[i]
		if want := summaryOf(all); m.Path != path || !sameSummary(m.Summary, want) {
			t.Fatalf("%s of %#v:\n got %+v\nwant %+v", path, where, m.Summary, want)
		}
		counted += m.Count
		var order []search.Count
		for v, n := range sizes {
			order = append(order, search.Count{Value: v, Count: n})
		}
		order = search.SortCounts(r.GroupBy, order, r.Top)
		if len(m.Groups) != len(order) {
			t.Fatalf("%s by %s of %#v: %d groups, want %d: %+v %+v", path, r.GroupBy, where, len(m.Groups), len(order), m.Groups, order)
		}
		for n, g := range m.Groups {
			if want := summaryOf(groups[order[n].Value]); g.Value != order[n].Value || !sameSummary(g.Summary, want) {
				t.Fatalf("%s by %s of %#v: %q %+v, want %q %+v", path, r.GroupBy, where, g.Value, g.Summary, order[n].Value, want)
			}
		}
	}
	return counted
}

func testMetrics(t *testing.T, x backend) {
	m := newMaker(41)
	records := m.records(500)
	for rest := records; len(rest) > 0; {
		n := min(len(rest), 1+m.IntN(150))
		mustAdd(t, x, rest[:n])
		rest = rest[n:]
	}
	x.settle(t)
	counted := int64(0)
	for n := range 60 {
		where := m.node(&records[m.IntN(len(records))].Entry, n%3)
		if n%3 == 0 {
			where = nil
		}
		r := search.StatsRequest{Top: pick(m, 1, 3, 100), GroupBy: pick(m, append(search.FacetFields, query.FieldNone)...),
			Metrics: []string{"n", pick(m, "a", "b", "a.b"), pick(m, "k8s-pod", "x=y", "Größe", "c:d", `e\f`, "g~h", "i#j", "nothing", "list.deep")}}
		counted += compareMetrics(t, x, records, pick(m, append(slugs, "nobody")...), where, r)
	}
	if counted < 1_000 {
		t.Errorf("only %d numbers were counted: the questions prove little", counted)
	}
}

func testManyNumbers(t *testing.T, x backend) {
	m := newMaker(42)
	var records []logentry.Record
	for from := 0; from <= search.MaxNumbers; from += 60 {
		e := m.entry()
		e.TenantID, e.Service = authtest.TenantID("acme"), "s"
		var list []string
		for i := range 60 {
			list = append(list, fmt.Sprint(from+i))
		}
		e.Metadata = jsontext.Value(`{"v":[` + strings.Join(list, ",") + `]}`)
		records = append(records, recordOf(e))
	}
	mustAdd(t, x, records)
	x.settle(t)
	r := search.StatsRequest{Top: 3, Metrics: []string{"v"}, GroupBy: query.Service}
	_, err := x.Stats(t.Context(), authtest.Tenant(t, "acme"), query.Query{}, r)
	if f := fault.Of(err); f == nil || f.Kind != fault.Malformed || f.Code != "too_many_numbers" {
		t.Errorf("got %v", err)
	}
	half := query.Interval{Field: query.Metadata, Path: "v", From: 30_000, To: math.Inf(1)}
	compareMetrics(t, x, records, "acme", half, r)
}

func TestWhichPathsCanBeMetrics(t *testing.T) {
	for path, ok := range map[string]bool{"amount": true, "order.lines.price": true, "Größe": true, "": false, strings.Repeat("a", 60): true, strings.Repeat("a", 61): false, strings.Repeat("a.", 31): false} {
		if err := search.CheckMetric(path); (err == nil) != ok {
			t.Errorf("%q: %v", path, err)
		}
	}
}
