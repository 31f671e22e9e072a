package store

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"math"
	"slices"

	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// walkTimes takes the first rows of the index of times and looks into their entries, until the page is
// full, the rows end, or there were so many that reading all blocks in turn is cheaper.
func (f *finding) walkTimes(ctx context.Context) (hits []hit, total int64, full, end bool, err error) {
	from := f.start()
	for _, size := range []int{256, 1024, 4096, 16_384} {
		rows := make([]hit, 0, size)
		places := make([]located, 0, size)
		if err := f.times(ctx, from, size, func(h hit, place int64) {
			places = append(places, located{place, len(rows)})
			rows = append(rows, h)
		}); err != nil {
			return nil, 0, false, false, err
		}
		slices.SortFunc(places, func(a, b located) int { return cmp.Compare(a.place, b.place) })
		matches := make([]bool, len(rows))
		if err := f.s.visit(ctx, places, func(b *block, _ string, here []located) error {
			if !mayMatch(f.q.Where, b.all()) {
				return nil
			}
			for _, l := range here {
				var err error
				if slot := int(l.place % blockSlots); slot < b.n {
					if _, matches[l.index], err = f.matches(b.jsons[slot]); err != nil {
						return err
					}
				}
			}
			return nil
		}); err != nil {
			return nil, 0, false, false, err
		}
		for i, h := range rows {
			if matches[i] {
				total++
				if len(hits) < f.want {
					hits = append(hits, h)
				}
			}
		}
		if len(rows) < size {
			return hits, total, len(hits) == f.want, true, nil
		}
		if len(hits) == f.want {
			return hits, total, true, false, nil
		}
		from = rows[len(rows)-1]
	}
	return nil, 0, false, false, nil
}

// scanBlocks reads the tenant's blocks, each once, by received_at in the direction of the order: for the
// page if that is wanted, and for the total. It ends as soon as neither can change.
func (f *finding) scanBlocks(ctx context.Context, page bool) ([]hit, int64, error) {
	text := "SELECT seq, received_max, body FROM blocks INDEXED BY blocks_newest WHERE tenant=? AND (received_max, seq) < (?, ?)" +
		" AND received_min<=? AND received_max>=? AND ts_min<=? AND ts_max>=? ORDER BY received_max DESC, seq DESC LIMIT 16"
	edge, seq := int64(math.MaxInt64), int64(math.MaxInt64)
	if !f.order.descending() {
		text = "SELECT seq, received_min, body FROM blocks INDEXED BY blocks_oldest WHERE tenant=? AND (received_min, seq) > (?, ?)" +
			" AND received_min<=? AND received_max>=? AND ts_min<=? AND ts_max>=? ORDER BY received_min, seq LIMIT 16"
		edge, seq = math.MinInt64, math.MinInt64
	}
	sc := f.s.scratch.Get().(*scratch)
	defer f.s.scratch.Put(sc)
	top := first{order: &f.order, max: f.want}
	total, countTo := int64(0), f.countTo()
	if f.plain {
		countTo = 0 // counted from the index
	}
	received, ts := f.received, f.ts
	if f.order.bounded && countTo == 0 { // what lies before the page need not be read
		switch f.order.sort {
		case query.NewestFirst:
			ts.max = min(ts.max, f.order.after.at)
		case query.OldestFirst:
			ts.min = max(ts.min, f.order.after.at)
		case query.ReceivedNewestFirst:
			received.max = min(received.max, f.order.after.at)
		case query.ReceivedOldestFirst:
			received.min = max(received.min, f.order.after.at)
		}
	}
	for done, more := false, true; more && !done; {
		more = false
		if err := f.s.each(ctx, text, []any{f.num, edge, seq, received.max, received.min, ts.max, ts.min}, func(rows *sql.Rows) error {
			var body sql.RawBytes
			if err := rows.Scan(&seq, &edge, &body); err != nil {
				return err
			}
			more = true
			pageDone := !page || !f.order.byTimestamp() && top.settled(edge)
			if done = done || pageDone && total >= countTo; done {
				return nil
			}
			if err := sc.open(body); err != nil {
				return err
			}
			if !mayMatch(f.q.Where, sc.all()) {
				return nil
			}
			for _, j := range sc.jsons[:sc.n] {
				r, ok, err := f.matches(j)
				if err != nil {
					return err
				}
				if ok {
					total++
					if !pageDone {
						top.offer(f.order.of(&r.Entry))
					}
				}
			}
			return nil
		}); err != nil {
			return nil, 0, err
		}
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
	}
	return top.sorted(), total, nil
}

// matches says whether the record in j, unless it is a hole, is what the query asks for. The record shares j.
func (f *finding) matches(j []byte) (r logentry.Record, ok bool, err error) {
	if j == nil || !mayMatch(f.q.Where, j) {
		return r, false, nil
	}
	if r, err = logentry.ParseRecord(j); err != nil {
		return r, false, errBlock
	}
	return r, query.Match(f.q.Where, &r.Entry), nil
}

// mayMatch says whether an entry whose JSON lies in text can match n. It is a quick look for the bytes
// of values; true says nothing.
func mayMatch(n query.Node, text []byte) bool {
	switch n := n.(type) {
	case query.And:
		for _, c := range n {
			if !mayMatch(c, text) {
				return false
			}
		}
	case query.Or:
		for _, c := range n {
			if mayMatch(c, text) {
				return true
			}
		}
		return false
	case query.Term:
		return !literal(n) || bytes.Contains(text, []byte(n.Value))
	}
	return true
}

// literal says whether a value that t matches stands in the JSON as it is in t.
func literal(t query.Term) bool {
	if t.Field == query.IPAddress || t.Field == query.SchemaVersion || t.Field == query.Changes { // which are made of a path's names
		return false
	}
	for i := range len(t.Value) {
		switch c := t.Value[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.', c == ':':
		default:
			return false
		}
	}
	return true
}
