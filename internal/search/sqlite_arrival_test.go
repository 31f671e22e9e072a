package search_test

import (
	"math"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// arrivalWays are the ways in which a page by arrival may be read, and the changes from one to another.
var arrivalWays = []struct {
	name       string
	few        int64
	share, gap float64
	again      bool
}{
	{"blocks", 0, 1e9, 1, false},
	{"blocks, terms behind each gap", 0, 1e9, 0, false},
	{"blocks, terms alone", 0, 1e9, -1, false},
	{"blocks, FTS5 again behind each gap", 0, 1e9, 0, true},
	{"blocks, FTS5 once", 0, 1e9, 1e9, true},
	{"blocks, then all", 0, 0, 1, false},
	{"some, then blocks", 20, 1e9, 1, false},
	{"some, then blocks, then all", 20, 0, 1, false},
	{"all", math.MaxInt64, 1, 1, false},
}

// arrivals are entries whose received_at and timestamp have to do with each other in some way.
var arrivals = []struct {
	name string
	time func(m *maker, i int) (at, received time.Time)
}{
	{"as they happen", func(m *maker, i int) (time.Time, time.Time) {
		at := m.now.Add(time.Duration(i) * 100 * time.Microsecond)
		return at, at.Add(time.Duration(m.IntN(300)) * time.Millisecond)
	}},
	{"some of them days late", func(m *maker, i int) (time.Time, time.Time) {
		received := m.now.Add(time.Duration(i) * 20 * time.Millisecond)
		if m.IntN(10) > 0 {
			return received.Add(-time.Duration(m.IntN(50)) * time.Millisecond), received
		}
		return received.Add(-time.Duration(m.IntN(100)) * time.Hour), received
	}},
	{"a year's within an hour", func(m *maker, i int) (time.Time, time.Time) {
		return m.now.Add(-time.Duration(m.IntN(365*24)) * time.Hour), m.now.Add(time.Duration(i/100) * time.Minute)
	}},
	{"of one moment over days", func(m *maker, i int) (time.Time, time.Time) {
		return m.now.Add(time.Duration(m.IntN(3)) * 10 * time.Millisecond), m.now.Add(time.Duration(m.IntN(4*24*60)) * time.Minute)
	}},
	{"of one moment, within seconds", func(m *maker, i int) (time.Time, time.Time) {
		return m.now, m.now.Add(time.Duration(m.IntN(40)) * 100 * time.Millisecond)
	}},
	{"received in one moment", func(m *maker, i int) (time.Time, time.Time) {
		return m.now.Add(time.Duration(m.IntN(5000)) * time.Millisecond), m.now
	}},
	{"of any times", func(m *maker, _ int) (time.Time, time.Time) { return m.time(), m.time() }},
}

// arriving makes n entries of a small tenant among a big one, and of a third.
func (m *maker) arriving(n int, at func(m *maker, i int) (at, received time.Time)) (records []logentry.Record) {
	for i := range n {
		e := logentry.Entry{ID: m.id(), TenantID: authtest.TenantID(pick(m, "acme", "acme", "acme", "zeta")), Severity: logentry.Severity(1 + m.IntN(5)), Message: m.text(3), Service: pick(m, "billing", "billing-eu", "gateway")}
		if m.IntN(60) == 0 {
			e.TenantID = authtest.TenantID("umbra")
		}
		e.Timestamp, e.ReceivedAt = at(m, i)
		records = append(records, recordOf(e))
	}
	return records
}

// byArrivalWhere asks for something that depends on times of receipt or does not.
func (m *maker) byArrivalWhere(records []logentry.Record) query.Node {
	between := func(f query.Field) query.Node {
		a, b := &records[m.IntN(len(records))], &records[m.IntN(len(records))]
		r := query.Range{Field: f, From: a.ReceivedAt, To: b.ReceivedAt}
		if f == query.Timestamp {
			r.From, r.To = a.Timestamp, b.Timestamp
		}
		if r.To.Before(r.From) {
			r.From, r.To = r.To, r.From
		}
		switch m.IntN(4) {
		case 0:
			r.From = time.Time{}
		case 1:
			r.To = time.Time{}
		}
		return r
	}
	common := query.Node(query.Term{Field: query.Service, Value: "billing", Prefix: true})
	switch m.IntN(8) {
	case 0:
		return nil
	case 1:
		return common
	case 2:
		return query.Text{Tokens: []string{"payment"}}
	case 3:
		return query.And{between(query.ReceivedAt), common}
	case 4:
		return query.Not{Node: between(query.ReceivedAt)}
	case 5:
		return query.And{between(query.Timestamp), query.Not{Node: between(query.Timestamp)}, between(query.ReceivedAt)}
	case 6:
		return query.Or{query.And{between(query.ReceivedAt), common}, query.And{query.Not{Node: between(query.ReceivedAt)}, query.Text{Tokens: []string{"user"}}}, between(query.Timestamp)}
	}
	return m.node(&records[m.IntN(len(records))].Entry, 2)
}

func TestEveryWayOfReadingByArrivalFindsTheSame(t *testing.T) {
	slow(t)
	for n, a := range arrivals {
		t.Run(a.name, func(t *testing.T) {
			m := newMaker(80 + uint64(n))
			records := m.arriving(400, a.time)
			x, err := search.NewSQLite(filepath.Join(t.TempDir(), "search.db"), search.SQLiteConfig{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = x.Close() }()
			if n%2 == 0 {
				x.SetMaxSlots(8) // rows go into later buckets
			}
			b := backend{Index: x}
			for rest := records; len(rest) > 0; {
				n := min(len(rest), 1+m.IntN(150))
				mustAdd(t, b, rest[:n])
				rest = rest[n:]
			}
			asks := func(records []logentry.Record, n int) {
				t.Helper()
				for range n {
					askByArrival(t, m, x, records)
				}
			}
			asks(records, 12)
			before := m.now.Add(20 * time.Millisecond)
			left := slices.DeleteFunc(slices.Clone(records), func(r logentry.Record) bool {
				return r.TenantID == authtest.TenantID("zeta") && r.ReceivedAt.Before(before)
			})
			if n := purgeOld(t, x, "zeta", before, func() {}); n != int64(len(records)-len(left)) {
				t.Fatalf("%d were purged, want %d", n, len(records)-len(left))
			}
			asks(left, 6)
			mustAdd(t, b, records)
			asks(records, 3)
		})
	}
}

// askByArrival asks a question in two of the ways that there are: for all pages, or for a few from somewhere on.
func askByArrival(t *testing.T, m *maker, x *search.SQLite, records []logentry.Record) {
	t.Helper()
	slug := pick(m, "acme", "acme", "zeta", "umbra")
	q := query.Query{Where: m.byArrivalWhere(records), Sort: pick(m, query.ReceivedNewestFirst, query.ReceivedOldestFirst), Limit: pick(m, 3, 60, 1000), Total: query.Total(m.IntN(3))}
	want := expected(records, slug, q.Where, q.Sort)
	few := q.Limit == 3
	if few {
		from := m.IntN(len(want) + 1)
		if q.Total = query.TotalNone; from > 0 {
			q.After = &want[from-1].Position
		}
		want = want[from:]
	}
	for range 2 {
		w := pick(m, arrivalWays...)
		t.Log(w.name)
		x.SetArrival(w.few, w.share, w.gap, w.again)
		if few && len(want) > 4*q.Limit {
			pages(t, backend{Index: x}, slug, q, want[:4*q.Limit])
		} else {
			walk(t, backend{Index: x}, slug, q, want)
		}
	}
}

// pages asks for as many full pages as are wanted.
func pages(t *testing.T, x backend, slug string, q query.Query, want []query.Hit) {
	t.Helper()
	for len(want) > 0 {
		page := mustSearch(t, x, slug, q)
		if !slices.EqualFunc(page.Hits, want[:q.Limit], func(a, b query.Hit) bool { return a.ID == b.ID && a.At.Equal(b.At) }) {
			t.Fatalf("page of %#v:\n got %v\nwant %v", q, page.Hits, want[:q.Limit])
		}
		q.After, want = &page.Hits[q.Limit-1].Position, want[q.Limit:]
	}
}

// TestTermsTellWhatFTS5Finds asks for everything where FTS5 is not asked if terms can tell.
func TestTermsTellWhatFTS5Finds(t *testing.T) {
	slow(t)
	for _, path := range []string{":memory:", filepath.Join(t.TempDir(), "search.db")} {
		b := openSQLite(t, path, search.SQLiteConfig{})
		b.Index.(*search.SQLite).SetArrival(0, 1e9, -1, false)
		m := newMaker(90)
		records := m.records(300)
		for rest := records; len(rest) > 0; rest = rest[60:] {
			mustAdd(t, b, rest[:60])
		}
		for n := range 150 {
			q := query.Query{Where: m.node(&records[m.IntN(len(records))].Entry, n%4), Sort: pick(m, query.ReceivedNewestFirst, query.ReceivedOldestFirst), Limit: 1000}
			walk(t, b, "acme", q, expected(records, "acme", q.Where, q.Sort))
		}
	}
}
