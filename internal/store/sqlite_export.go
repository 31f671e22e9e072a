package store

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// exportAtOnce is how many places of the index of times are looked at before their records are handed over.
// Where entries came in about the order of their times each block is opened once or twice; where they did
// not, once for each time that this many were handed over. exportBytes bounds what these hold together:
// where records are large, fewer are looked at.
const (
	exportAtOnce = 8192
	exportFew    = 64 // no fewer, so that the bound is for records of up to 256 KiB
	exportBytes  = 16 << 20
)

// errExportBytes means that so many records at once would hold too much.
var errExportBytes = errors.New("too many bytes for one part of an export")

// Export hands over the records of a query part by part, and holds nothing open while it does: a reader that
// takes its time keeps neither a connection nor old pages.
func (s *SQLite) Export(ctx context.Context, t auth.Tenant, q query.Query, yield func(logentry.Record) error) error {
	q.Skip, q.Total = 0, query.TotalNone
	return ahead(ctx, func(ctx context.Context, hand func([]logentry.Record) error) error {
		for size := 4 * exportFew; ; size = min(2*size, exportAtOnce) {
			records, last, more, err := s.exportPart(ctx, t, q, size)
			for errors.Is(err, errExportBytes) {
				size /= 4
				records, last, more, err = s.exportPart(ctx, t, q, size)
			}
			if err != nil {
				return failed(err, "export")
			}
			if err := hand(records); err != nil || !more {
				return err
			}
			q.After = &last
		}
	}, func(records []logentry.Record) error {
		for i := range records {
			if err := yield(records[i]); err != nil {
				return err
			}
			records[i] = logentry.Record{}
		}
		return nil
	})
}

// exportPart reads the next records, and says after which place the next part begins.
func (s *SQLite) exportPart(ctx context.Context, t auth.Tenant, q query.Query, size int) (records []logentry.Record, last query.Position, more bool, err error) {
	if err := s.enter(); err != nil {
		return nil, last, false, err
	}
	defer s.leave()
	num, ok, err := s.owner(ctx, t.ID())
	if err != nil || !ok {
		return nil, last, false, err
	}
	f := finding{s: s, num: num, q: q, order: order{sort: q.Sort}, want: size}
	f.ts, f.received = everything, everything
	f.plain = f.bound(q.Where)
	if f.ts.min > f.ts.max || f.received.min > f.received.max {
		return nil, last, false, nil
	}
	if q.After != nil {
		f.order.after, f.order.bounded = place(q.After), true
	}
	var end hit
	if f.order.byTimestamp() {
		records, end, more, err = f.exportTimes(ctx, size)
	} else {
		records, end, more, err = f.exportReceived(ctx, size)
	}
	return records, query.Position{At: time.Unix(0, end.at).UTC(), ID: end.id}, more, err
}

// exportTimes takes the next places of the index of times and reads those that match, each block once.
func (f *finding) exportTimes(ctx context.Context, size int) (records []logentry.Record, end hit, more bool, err error) {
	places := make([]located, 0, size)
	if err := f.times(ctx, f.start(), size, func(h hit, place int64) {
		places = append(places, located{place, len(places)})
		end = h
	}); err != nil {
		return nil, end, false, err
	}
	slices.SortFunc(places, func(a, b located) int { return cmp.Compare(a.place, b.place) })
	records = make([]logentry.Record, len(places))
	held := 0
	err = f.s.visit(ctx, places, func(b *block, tenantID string, here []located) error {
		if !mayMatch(f.q.Where, b.all()) {
			return nil
		}
		for _, l := range here {
			slot := int(l.place % blockSlots)
			if slot >= b.n || !mayMatch(f.q.Where, b.jsons[slot]) {
				continue
			}
			r, ok, err := f.matches(bytes.Clone(b.jsons[slot]))
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			if held += len(r.JSON); held > exportBytes && size > exportFew {
				return errExportBytes
			}
			r.TenantID = tenantID
			records[l.index] = r
		}
		return nil
	})
	if err != nil {
		return nil, end, false, err
	}
	return slices.DeleteFunc(records, func(r logentry.Record) bool { return r.JSON == nil }), end, len(places) == size, nil
}

// exportReceived reads the next records by received_at, as a page is, until there are enough bytes of them.
func (f *finding) exportReceived(ctx context.Context, size int) (records []logentry.Record, end hit, more bool, err error) {
	hits, _, err := f.scanBlocks(ctx, true)
	if err != nil {
		return nil, end, false, err
	}
	more = len(hits) == size
	held := 0
	for part := range slices.Chunk(hits, exportFew) {
		if held > exportBytes {
			return records, end, true, nil
		}
		ids := make([]logentry.ID, len(part))
		for i := range part {
			ids[i] = part[i].id
		}
		found, err := f.s.getMany(ctx, f.num, ids)
		if err != nil {
			return nil, end, false, err
		}
		for i := range found {
			held += len(found[i].JSON)
		}
		records, end = append(records, found...), part[len(part)-1]
	}
	return records, end, more, nil
}

// End is the place of the last slot that a block was made for.
func (s *SQLite) End(ctx context.Context) (Position, error) {
	if err := s.enter(); err != nil {
		return "", err
	}
	defer s.leave()
	last := int64(0)
	err := s.each(ctx, "SELECT coalesce(max(seq),0) FROM sqlite_sequence WHERE name='blocks'", nil, func(rows *sql.Rows) error { return rows.Scan(&last) })
	if err != nil {
		return "", failed(err, "find the end")
	}
	if last == 0 {
		return "", nil
	}
	return Position(strconv.FormatInt(last*blockSlots+blockSlots-1, 10)), nil
}
