package search

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/sqlite"
)

// Search finds in about the time that it takes to read the page, by timestamp since rows are in that order, and by
// received_at since docs are found in that order. The second takes longer where what came together lies apart by
// timestamp, as in a backfill that is shuffled, or where few of many entries match: then up to what reading all matches
// takes.
func (x *SQLite) Search(ctx context.Context, t auth.Tenant, q query.Query) (query.Page, error) {
	page, err := x.search(ctx, t, q)
	return page, sqlite.Fault(damaged(err), "search")
}

func (x *SQLite) search(ctx context.Context, t auth.Tenant, q query.Query) (page query.Page, err error) {
	leave, err := x.enter()
	if err != nil {
		return page, err
	}
	defer leave()
	x.tenantsMu.RLock()
	num, known := x.tenants[t.ID()]
	x.tenantsMu.RUnlock()
	if !known || t.IsZero() {
		return empty(q), nil
	}
	parts, err := compile(q.Where, appendTenant(nil, num))
	if err != nil {
		return page, err
	}
	conn, err := x.db.Reader().Conn(ctx)
	if err != nil {
		return page, err
	}
	defer func() { _ = conn.Close() }()
	f := finder{ctx: ctx, conn: conn, spill: x.spill.Load(), parts: parts, q: q, want: q.Skip + q.Limit + 1, arrival: x.arrival}
	f.received = q.Sort == query.ReceivedNewestFirst || q.Sort == query.ReceivedOldestFirst
	f.newest = q.Sort == query.NewestFirst || q.Sort == query.ReceivedNewestFirst
	if f.received {
		err = f.byArrival()
	} else {
		err = f.byTime()
	}
	if err != nil {
		return page, err
	}
	return f.page()
}

// empty is the answer where there is nothing.
func empty(q query.Query) query.Page {
	if q.Total == query.TotalNone {
		return query.Page{Total: -1}
	}
	return query.Page{Exact: true}
}

// finder answers one question.
type finder struct {
	ctx      context.Context
	conn     *sql.Conn
	spill    int64
	parts    []part
	q        query.Query
	want     int  // entries from the beginning, and one more to know whether there are more
	received bool // by received_at
	newest   bool // first
	arrival  arrivalWay

	most     int64 // rows that are read before errMany; 0: all
	rowsRead int64
	setup    time.Duration // that FTS5 took to its first rows

	hits    []doc
	matched int64 // how many entries matched, as far as read
	whole   bool  // everything that matches was read: matched is the total
}

// compare is the order that was asked for.
func (f *finder) compare(a, b doc) int {
	x, y := a.at, b.at
	if f.received {
		x, y = a.received, b.received
	}
	d := cmp.Compare(x, y)
	if d == 0 {
		d = bytes.Compare(a.id[:], b.id[:])
	}
	if f.newest {
		return -d
	}
	return d
}

// after is the entry that the page goes on behind.
func (f *finder) after() (d doc, ok bool) {
	if f.q.After == nil {
		return d, false
	}
	ns := nanoseconds(f.q.After.At)
	return doc{at: ns, received: ns, id: f.q.After.ID}, true
}

// byTime reads part by part in the order of time until the page is complete.
func (f *finder) byTime() error {
	parts := slices.Clone(f.parts)
	if f.newest {
		slices.Reverse(parts)
	}
	last, from := f.after()
	f.whole = !from
	for len(parts) > 0 {
		n := 1
		for n < len(parts) && parts[n].at == parts[0].at {
			n++
		}
		for _, p := range parts[:n] {
			if from && f.newest && last.at < maxTime {
				p.at.to = min(p.at.to, last.at+1)
			} else if from {
				p.at.from = max(p.at.from, last.at)
			}
			if err := f.read(p, last, from); err != nil {
				return err
			}
		}
		if parts = parts[n:]; len(f.hits) >= f.want && len(parts) > 0 {
			f.whole = false
			break
		}
	}
	slices.SortFunc(f.hits, f.compare)
	return nil
}

// read collects what a part has until the first `want` of it are among the hits.
func (f *finder) read(p part, last doc, from bool) error {
	if p.at.from >= p.at.to {
		return nil
	}
	start := len(f.hits)
	bucket := int64(-1)
	return f.rows(p, f.newest, func(row int64, d doc) bool {
		if b := row >> slotBits; b != bucket {
			bucket = b
			if f.settled(f.hits[start:], b) >= f.want {
				f.whole = false
				return false
			}
		}
		f.matched++
		if !from || f.compare(d, last) > 0 {
			f.hits = append(f.hits, d)
		}
		return true
	})
}

// settled counts the docs that no row from this bucket on can come before. A row is up to `spill` buckets
// behind its time.
func (f *finder) settled(docs []doc, bucket int64) (n int) {
	if f.spill == 0 || len(docs) < f.want {
		return len(docs)
	}
	for _, d := range docs {
		if b := bucketOf(d.at); f.newest && b > bucket || !f.newest && b < bucket-f.spill {
			n++
		}
	}
	return n
}

// page makes the answer of the hits.
func (f *finder) page() (page query.Page, err error) {
	hits := f.hits[min(f.q.Skip, len(f.hits)):]
	page.More = len(hits) > f.q.Limit
	for _, d := range hits[:min(len(hits), f.q.Limit)] {
		at := d.at
		if f.received {
			at = d.received
		}
		page.Hits = append(page.Hits, query.Hit{Position: query.Position{At: time.Unix(0, at).UTC(), ID: d.id}})
	}
	page.Total, page.Exact, err = f.total()
	return page, err
}

func (f *finder) total() (n int64, exact bool, err error) {
	limit := int64(maxTime)
	switch f.q.Total {
	case query.TotalNone:
		return -1, false, nil
	case query.TotalBounded:
		limit = query.MaxTotal + 1
	}
	if n = f.matched; !f.whole {
		n = 0
		for _, p := range f.parts {
			some, err := f.count(p, limit-n)
			if err != nil {
				return 0, false, err
			}
			if n += some; n >= limit {
				break
			}
		}
	}
	if n >= limit {
		return query.MaxTotal, false, nil
	}
	return n, true, nil
}
