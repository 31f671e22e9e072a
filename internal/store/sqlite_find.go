package store

import (
	"context"
	"database/sql"
	"math"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// finding is one Find.
type finding struct {
	s   *SQLite
	num int64
	q   query.Query

	ts, received span // the times that the filter allows, both ends included
	plain        bool // the filter is nothing but bounds of timestamp
	order        order
	want         int // entries to collect: those skipped, those asked for, and one to know of more
}

// Find answers a query from the record. Without a filter but for timestamps, and in their order, the
// index of times alone answers. With one it walks that index from the start, which is quick where matches are
// frequent, and reads all blocks of the tenant where they are not. Orders of received_at read blocks
// in about that order until no later one can matter.
func (s *SQLite) Find(ctx context.Context, t auth.Tenant, q query.Query) (query.Page, error) {
	if err := s.enter(); err != nil {
		return query.Page{}, err
	}
	defer s.leave()
	page := query.Page{Exact: true}
	if q.Total == query.TotalNone {
		page.Total, page.Exact = -1, false
	}
	num, ok, err := s.owner(ctx, t.ID())
	if err != nil || !ok {
		return page, failed(err, "find")
	}
	f := finding{s: s, num: num, q: q, order: order{sort: q.Sort}, want: max(q.Skip, 0) + max(q.Limit, 0) + 1}
	f.ts, f.received = everything, everything
	f.plain = f.bound(q.Where)
	if f.ts.min > f.ts.max || f.received.min > f.received.max {
		return page, nil
	}
	if q.After != nil {
		f.order.after, f.order.bounded = place(q.After), true
	}
	var hits []hit
	var total int64
	if f.plain && f.order.byTimestamp() {
		hits, total, err = f.fromTimes(ctx)
	} else {
		hits, total, err = f.filtered(ctx)
	}
	if err != nil {
		return query.Page{}, failed(err, "find")
	}
	hits = hits[min(len(hits), max(q.Skip, 0)):]
	if page.More = len(hits) > q.Limit; page.More {
		hits = hits[:max(q.Limit, 0)]
	}
	page.Hits = make([]query.Hit, len(hits))
	for i, h := range hits {
		page.Hits[i].Position = query.Position{At: time.Unix(0, h.at).UTC(), ID: h.id}
	}
	switch {
	case q.Total == query.TotalNone:
	case q.Total == query.TotalBounded && total > query.MaxTotal:
		page.Total, page.Exact = query.MaxTotal, false
	default:
		page.Total = total
	}
	return page, nil
}

// filtered collects the page by the walk or the scan that suits, and counts.
func (f *finding) filtered(ctx context.Context) (hits []hit, total int64, err error) {
	if f.order.byTimestamp() {
		var full, end bool
		hits, total, full, end, err = f.walkTimes(ctx)
		if err != nil {
			return nil, 0, err
		}
		if end && !f.order.bounded || (full || end) && total >= f.countTo() {
			return hits, total, nil
		}
		if full || end {
			_, total, err = f.scanBlocks(ctx, false)
			return hits, total, err
		}
	}
	if f.plain {
		if total, err = f.count(ctx); err != nil {
			return nil, 0, err
		}
		hits, _, err = f.scanBlocks(ctx, true)
		return hits, total, err
	}
	return f.scanBlocks(ctx, true)
}

// countTo is where counting may stop.
func (f *finding) countTo() int64 { return countTo(f.q.Total) }

func countTo(t query.Total) int64 {
	switch t {
	case query.TotalNone:
		return 0
	case query.TotalBounded:
		return query.MaxTotal + 1
	default:
		return math.MaxInt64
	}
}

// fromTimes answers from the index of times alone.
func (f *finding) fromTimes(ctx context.Context) (hits []hit, total int64, err error) {
	if total, err = f.count(ctx); err != nil {
		return nil, 0, err
	}
	hits = make([]hit, 0, min(f.want, 1024))
	err = f.times(ctx, f.start(), f.want, func(h hit, _ int64) { hits = append(hits, h) })
	return hits, total, err
}

// count counts what lies within the bounds of timestamp.
func (f *finding) count(ctx context.Context) (total int64, err error) {
	limit := f.countTo()
	if limit == 0 {
		return 0, nil
	}
	err = f.s.each(ctx, "SELECT count(*) FROM (SELECT 1 FROM entries INDEXED BY entries_time WHERE tenant=? AND ts BETWEEN ? AND ? LIMIT ?)",
		[]any{f.num, f.ts.min, f.ts.max, limit}, func(rows *sql.Rows) error { return rows.Scan(&total) })
	return total, err
}

// times walks the index of times in the order asked for, from after a place on, for up to limit rows.
// One end of the walk is the row value alone, so that the index leads straight to it, also among ties.
func (f *finding) times(ctx context.Context, after hit, limit int, row func(h hit, place int64)) error {
	text, end := "SELECT ts, id, place FROM entries INDEXED BY entries_time WHERE tenant=? AND ts>=? AND (ts, id) < (?, ?) ORDER BY ts DESC, id DESC LIMIT ?", f.ts.min
	if !f.order.descending() {
		text, end = "SELECT ts, id, place FROM entries INDEXED BY entries_time WHERE tenant=? AND ts<=? AND (ts, id) > (?, ?) ORDER BY ts, id LIMIT ?", f.ts.max
	}
	return f.s.each(ctx, text, []any{f.num, end, after.at, after.id[:], limit}, func(rows *sql.Rows) error {
		var h hit
		var id sql.RawBytes
		var place int64
		if err := rows.Scan(&h.at, &id, &place); err != nil {
			return err
		}
		h.id = logentry.ID(id)
		row(h, place)
		return nil
	})
}

// start is the place after which a walk of times begins. No entry has the zero id, nor the last time there is.
func (f *finding) start() hit {
	from := hit{at: f.ts.min}
	if f.order.descending() {
		from.at = f.ts.max
		if from.at < math.MaxInt64 {
			from.at++
		}
	}
	if f.order.bounded && f.order.compare(f.order.after, from) > 0 {
		return f.order.after
	}
	return from
}

// bound narrows the times to what the top of the tree allows; plain says that the tree asks for nothing
// else, and that of timestamp only.
func (f *finding) bound(n query.Node) (plain bool) {
	switch n := n.(type) {
	case nil, query.All:
		return true
	case query.And:
		plain = true
		for _, c := range n {
			plain = f.bound(c) && plain
		}
		return plain
	case query.Range:
		switch n.Field {
		case query.Timestamp:
			f.ts.narrow(n)
			return true
		case query.ReceivedAt:
			f.received.narrow(n)
		}
	}
	return false
}
