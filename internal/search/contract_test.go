package search_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// backend is an empty index under test. settle returns when what was added is found.
type backend struct {
	search.Index
	settle func(t *testing.T)
}

// testIndex checks what every backend promises. Each call of open gives an empty index.
func testIndex(t *testing.T, open func(t *testing.T) backend) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, x backend)
	}{
		{"an index is empty until something is added", testEmpty},
		{"it finds what the meaning of the tree says, in order, page by page", testOracle},
		{"it finds what each line of the language says", testLanguage},
		{"an entry is found once however often it was added", testIdempotent},
		{"concurrent Adds of the same entries index each once", testConcurrent},
		{"a search never finds another tenant's entries", testIsolation},
		{"thousands of entries with one timestamp are paged exactly", testOneTimestamp},
		{"entries that come out of order are found in order", testOutOfOrder},
		{"a tenant that was never seen finds nothing", testStranger},
		{"a total is exact up to its bound", testTotals},
		{"as many ranges as a query may have are answered", testManyRanges},
		{"long texts and many texts are found to the end", testLong},
		{"a search that takes too long is a timeout", testTimeout},
		{"a tenant is purged in steps while others add, and nothing of theirs", testPurge},
		{"what is old of a tenant is purged while it and others add", testPurgeOld},
		{"a closed index says so", testClosed},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
	for _, c := range append(statsCases, metricCases...) {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

func mustAdd(t testing.TB, x backend, records []logentry.Record) {
	t.Helper()
	verdicts, err := x.Add(t.Context(), records)
	if err != nil {
		t.Fatal(err)
	}
	if len(verdicts) != len(records) {
		t.Fatalf("%d verdicts for %d records", len(verdicts), len(records))
	}
	for i, v := range verdicts {
		if v != search.Indexed {
			t.Fatalf("record %d: verdict %d", i, v)
		}
	}
}

func mustSearch(t testing.TB, x backend, slug string, q query.Query) query.Page {
	t.Helper()
	page, err := x.Search(t.Context(), authtest.Tenant(t, slug), q)
	if err != nil {
		t.Fatalf("%#v: %v", q, err)
	}
	return page
}

// expected is what query.Match says is found, in the order of the sort.
func expected(records []logentry.Record, slug string, where query.Node, sort query.Sort) (hits []query.Hit) {
	for i := range records {
		e := &records[i].Entry
		if e.TenantID != authtest.TenantID(slug) || !query.Match(where, e) {
			continue
		}
		at := e.Timestamp
		if sort == query.ReceivedNewestFirst || sort == query.ReceivedOldestFirst {
			at = e.ReceivedAt
		}
		hits = append(hits, query.Hit{Position: query.Position{At: at, ID: e.ID}})
	}
	slices.SortFunc(hits, func(a, b query.Hit) int {
		d := a.At.Compare(b.At)
		if d == 0 {
			d = bytes.Compare(a.ID[:], b.ID[:])
		}
		if sort == query.NewestFirst || sort == query.ReceivedNewestFirst {
			return -d
		}
		return d
	})
	return hits
}

// walk asks for page after page and compares each with what is expected.
func walk(t *testing.T, x backend, slug string, q query.Query, want []query.Hit) {
	t.Helper()
	all := want
	for n := 0; ; n++ {
		page := mustSearch(t, x, slug, q)
		size := min(len(want), q.Limit)
		if !slices.EqualFunc(page.Hits, want[:size], func(a, b query.Hit) bool { return a.ID == b.ID && a.At.Equal(b.At) }) {
			t.Fatalf("page %d of %#v: %d hits, want %d\n got %v\nwant %v", n, q, len(page.Hits), size, page.Hits, want[:size])
		}
		if page.More != (len(want) > q.Limit) {
			t.Fatalf("page %d of %#v: more is %v, %d hits are left", n, q, page.More, len(want)-q.Limit)
		}
		if q.Total == query.TotalNone && page.Total != -1 || q.Total != query.TotalNone && (page.Total != int64(len(all)) || !page.Exact) {
			t.Fatalf("page %d of %#v: total %d (exact %v), want %d", n, q, page.Total, page.Exact, len(all))
		}
		want = want[size:]
		if !page.More {
			return
		}
		last := page.Hits[size-1].Position
		q.After = &last
	}
}

var sorts = []query.Sort{query.NewestFirst, query.OldestFirst, query.ReceivedNewestFirst, query.ReceivedOldestFirst}

func testEmpty(t *testing.T, x backend) {
	if empty, err := x.Empty(t.Context()); err != nil || !empty {
		t.Errorf("empty is %v, %v", empty, err)
	}
	if verdicts, err := x.Add(t.Context(), nil); err != nil || len(verdicts) != 0 {
		t.Errorf("adding nothing: %v, %v", verdicts, err)
	}
	mustAdd(t, x, newMaker(1).records(1))
	x.settle(t)
	if empty, err := x.Empty(t.Context()); err != nil || empty {
		t.Errorf("empty is %v, %v", empty, err)
	}
	if err := x.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func testOracle(t *testing.T, x backend) {
	m := newMaker(2)
	records := m.records(400)
	for rest := records; len(rest) > 0; {
		n := min(len(rest), 1+m.IntN(60))
		mustAdd(t, x, rest[:n])
		rest = rest[n:]
	}
	x.settle(t)
	found, questions := 0, 300
	if _, server := x.Index.(*search.OpenSearch); server || testing.Short() {
		questions = 80 // each takes long; the others are asked in the files
	}
	for n := range questions {
		slug := pick(m, slugs...)
		q := query.Query{Where: m.node(&records[m.IntN(len(records))].Entry, n%4), Sort: pick(m, sorts...), Limit: pick(m, 1, 7, 50, 1000), Total: query.Total(m.IntN(3))}
		if n == 0 {
			q.Where = nil
		}
		want := expected(records, slug, q.Where, q.Sort)
		found += len(want)
		if q.Limit == 1 {
			want = want[:min(len(want), 6)]
			q.Total = query.TotalNone
			q.Where = query.And{q.Where, idIn(want)}
		}
		walk(t, x, slug, q, want)
		q.Skip = m.IntN(20)
		page := mustSearch(t, x, slug, q)
		if left := want[min(q.Skip, len(want)):]; len(page.Hits) != min(len(left), q.Limit) || len(left) > 0 && page.Hits[0].ID != left[0].ID || page.More != (len(left) > q.Limit) {
			t.Fatalf("%#v: %d hits behind the skipped ones, want %d", q, len(page.Hits), len(left))
		}
	}
	if found < 15*questions {
		t.Errorf("only %d entries were asked for: the questions prove little", found)
	}
}

// idIn asks for some entries by their ids.
func idIn(hits []query.Hit) query.Node {
	var or query.Or
	for _, h := range hits {
		or = append(or, query.Term{Field: query.EntryID, Value: h.ID.String()})
	}
	return or
}

func testIdempotent(t *testing.T, x backend) {
	m := newMaker(3)
	records := m.records(300)
	for i := range records {
		records[i].TenantID = authtest.TenantID("acme")
	}
	mustAdd(t, x, append(slices.Clone(records), records[:100]...))
	mustAdd(t, x, records)
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
	for rest := records; len(rest) > 0; rest = rest[20:] {
		mustAdd(t, x, append(slices.Clone(rest[:20]), rest[0]))
	}
	more := m.records(100)
	mustAdd(t, x, append(slices.Clone(more), records...))
	records = append(records, more...)
	x.settle(t)
	for _, slug := range slugs {
		walk(t, x, slug, query.Query{Limit: 1000, Total: query.TotalExact}, expected(records, slug, nil, query.NewestFirst))
	}
}

func testConcurrent(t *testing.T, x backend) {
	records := newMaker(4).records(200)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 10 {
				from := (i*7 + n*20) % 180
				if verdicts, err := x.Add(t.Context(), records[from:from+20]); err != nil || slices.Index(verdicts, search.Retry) >= 0 {
					t.Errorf("%v, %v", verdicts, err)
				}
				if _, err := x.Search(t.Context(), authtest.Tenant(t, "acme"), query.Query{Limit: 10}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	mustAdd(t, x, records)
	x.settle(t)
	for _, slug := range slugs {
		walk(t, x, slug, query.Query{Limit: 50}, expected(records, slug, nil, query.NewestFirst))
	}
}

func testIsolation(t *testing.T, x backend) {
	m := newMaker(5)
	var records []logentry.Record
	for i := range 120 { // enough tenants for numbers of more than one digit
		e := m.entry()
		e.TenantID = authtest.TenantID(fmt.Sprintf("tenant-%d", i%40))
		e.Service, e.Message = "same", "the same words"
		records = append(records, recordOf(e))
	}
	mustAdd(t, x, records)
	x.settle(t)
	for i := range 40 {
		slug := fmt.Sprintf("tenant-%d", i)
		for _, where := range []query.Node{
			nil, query.Term{Field: query.Service, Value: "s", Prefix: true}, query.Text{Tokens: []string{"same", "w"}, Prefix: true},
			query.Not{Node: query.Text{Tokens: []string{"absent"}}}, query.Or{query.All{}, query.Term{Field: query.Service, Value: "same"}},
			query.Text{Tokens: []string{`same" OR "x`}}, query.Term{Field: query.Service, Value: `same" OR "1`, Prefix: true},
		} {
			walk(t, x, slug, query.Query{Where: where, Limit: 10}, expected(records, slug, where, query.NewestFirst))
		}
	}
}

func testOneTimestamp(t *testing.T, x backend) {
	slow(t)
	m := newMaker(6)
	records := m.records(5000)
	for i := range records {
		records[i].Timestamp, records[i].TenantID = m.now, authtest.TenantID("acme")
	}
	for from := 0; from < len(records); from += 1700 {
		mustAdd(t, x, records[from:min(len(records), from+1700)])
	}
	x.settle(t)
	for _, sort := range sorts {
		walk(t, x, "acme", query.Query{Sort: sort, Limit: 999}, expected(records, "acme", nil, sort))
	}
	exactly := query.Range{Field: query.Timestamp, From: m.now, To: m.now.Add(1)}
	walk(t, x, "acme", query.Query{Where: exactly, Limit: 1000}, expected(records, "acme", exactly, query.NewestFirst))
	walk(t, x, "acme", query.Query{Where: query.Not{Node: exactly}, Limit: 1000}, nil)
}

func testOutOfOrder(t *testing.T, x backend) {
	m := newMaker(7)
	records := m.records(900)
	slices.SortFunc(records, func(a, b logentry.Record) int { return b.Timestamp.Compare(a.Timestamp) })
	for from := 0; from < len(records); from += 30 {
		mustAdd(t, x, records[from:from+30])
	}
	x.settle(t)
	for _, sort := range sorts {
		walk(t, x, "zeta", query.Query{Sort: sort, Limit: 40}, expected(records, "zeta", nil, sort))
	}
}

func testStranger(t *testing.T, x backend) {
	mustAdd(t, x, newMaker(8).records(10))
	x.settle(t)
	walk(t, x, "nobody", query.Query{Limit: 10}, nil)
	walk(t, x, "nobody", query.Query{Limit: 10, Total: query.TotalNone}, nil)
}

func testTotals(t *testing.T, x backend) {
	slow(t)
	m := newMaker(9)
	records := m.records(10_001)
	for i := range records {
		records[i].TenantID, records[i].Service, records[i].Timestamp = authtest.TenantID("acme"), "s", m.now.Add(time.Duration(i)*time.Millisecond)
	}
	mustAdd(t, x, records[:10_000])
	x.settle(t)
	where := query.And{query.Term{Field: query.Service, Value: "s"}, query.Range{Field: query.Timestamp, From: m.now}}
	for n, want := range []query.Page{{Total: 10_000, Exact: true}, {Total: 10_000, Exact: false}} {
		for _, sort := range sorts {
			got := mustSearch(t, x, "acme", query.Query{Where: where, Sort: sort, Limit: 10})
			if got.Total != want.Total || got.Exact != want.Exact {
				t.Errorf("sort %d: total %d (exact %v), want %d (%v)", sort, got.Total, got.Exact, want.Total, want.Exact)
			}
			got = mustSearch(t, x, "acme", query.Query{Where: where, Sort: sort, Limit: 10, Skip: 9_995, Total: query.TotalExact})
			if got.Total != int64(10_000+n) || !got.Exact || len(got.Hits) != 5+n {
				t.Errorf("sort %d: exact total %d (%v) and %d hits at the end", sort, got.Total, got.Exact, len(got.Hits))
			}
		}
		mustAdd(t, x, records)
		x.settle(t)
	}
}

func testManyRanges(t *testing.T, x backend) {
	m := newMaker(13)
	records := m.records(300)
	for i := range records {
		records[i].TenantID = authtest.TenantID("acme")
	}
	mustAdd(t, x, records)
	x.settle(t)
	var or query.Or
	var and query.And
	for i := range query.MaxTerms/2 + 1 {
		at, received := m.time().Truncate(time.Second), m.time().Truncate(time.Second)
		or = append(or, query.Range{Field: query.Timestamp, From: at, To: at.Add(time.Hour)}, query.Range{Field: query.ReceivedAt, From: received, To: received.Add(time.Hour)})
		and = append(and, query.Not{Node: or[2*i]}, query.Not{Node: or[2*i+1]})
	}
	found := 0
	for _, where := range []query.Node{or, and, query.And{query.Term{Field: query.Severity, Value: "ERROR"}, or[:20]}} {
		for _, sort := range sorts {
			want := expected(records, "acme", where, sort)
			found += len(want)
			walk(t, x, "acme", query.Query{Where: where, Sort: sort, Limit: 60}, want)
		}
	}
	if found < 300 {
		t.Errorf("only %d entries were asked for", found)
	}
}

func testLong(t *testing.T, x backend) {
	m := newMaker(10)
	var records []logentry.Record
	for i := range 20 {
		e := m.entry()
		e.TenantID, e.UserAgent = authtest.TenantID("acme"), string(bytes.Repeat([]byte("Ä-"), 170))
		var b bytes.Buffer
		for b.Len() < 60_000 {
			fmt.Fprintf(&b, "a b%d ", b.Len()%(1000+i))
		}
		e.Message = b.String() + " finally"
		records = append(records, recordOf(e))
	}
	mustAdd(t, x, records)
	x.settle(t)
	for _, where := range []query.Node{
		query.Text{Tokens: []string{"a"}}, query.Text{Tokens: []string{"a", "b7"}}, query.Text{Field: query.Message, Tokens: []string{"final"}, Prefix: true},
		query.Term{Field: query.UserAgent, Value: records[0].UserAgent}, query.Term{Field: query.UserAgent, Value: records[0].UserAgent + "x"},
		query.Term{Field: query.UserAgent, Value: "Ä-Ä", Prefix: true},
	} {
		walk(t, x, "acme", query.Query{Where: where, Limit: 7}, expected(records, "acme", where, query.NewestFirst))
	}
}

// testTimeout is F8: the search ends in time, and on a cluster its task with it.
func testTimeout(t *testing.T, x backend) {
	mustAdd(t, x, newMaker(11).records(2000))
	x.settle(t)
	ctx, cancel := context.WithTimeout(t.Context(), 1)
	defer cancel()
	_, err := x.Search(ctx, authtest.Tenant(t, "acme"), query.Query{Limit: 1000, Sort: query.ReceivedNewestFirst})
	if f := fault.Of(err); f == nil || f.Kind != fault.Timeout || f.Code != "search_timeout" {
		t.Errorf("got %v", err)
	}
}

func testClosed(t *testing.T, x backend) {
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := x.Add(t.Context(), newMaker(12).records(1))
	_, err2 := x.Search(t.Context(), authtest.Tenant(t, "acme"), query.Query{Limit: 1})
	_, err3 := x.Empty(t.Context())
	for _, err := range []error{err, err2, err3, x.Ping(t.Context())} {
		if fault.KindOf(err) != fault.Unavailable {
			t.Errorf("got %v", err)
		}
	}
}
