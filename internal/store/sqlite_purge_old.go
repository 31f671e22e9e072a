package store

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/sqlite"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// PurgeOld goes by what a block says of its oldest record: blocks that are old as a whole are removed, others are
// written anew with holes. So what it removed is not found again, and it needs no place to go on from.
func (s *SQLite) PurgeOld(ctx context.Context, tenantID string, before time.Time, _ string, max int) (done Purged, err error) {
	if err := s.enter(); err != nil {
		return done, err
	}
	defer s.leave()
	num, known, err := s.owner(ctx, tenantID)
	if err != nil || !known {
		return done, failed(err, "purge old records")
	}
	dropped := int64(0)
	err = s.db.Write(ctx, func(c *sqlite.Conn) error {
		done, dropped = Purged{}, 0
		if _, err := c.Exec("PRAGMA secure_delete = 1"); err != nil {
			return err
		}
		defer func() { _, _ = c.Exec("PRAGMA secure_delete = 0") }()
		blocks, err := oldBlocks(c, num, nanos(before), max/blockSlots+1)
		if err != nil {
			return err
		}
		sc := s.scratch.Get().(*scratch)
		defer s.scratch.Put(sc)
		for _, b := range blocks {
			ids, err := sc.makeHoles(c, b, before)
			if err != nil {
				return fault.Wrap(err, "purge a block")
			}
			n, err := s.removeEntries(c, ids)
			if err != nil {
				return err
			}
			dropped += n
			done.Records += int64(len(ids))
		}
		done.More = len(blocks) > max/blockSlots
		return nil
	})
	if err != nil {
		return Purged{}, failed(err, "purge old records")
	}
	s.backlog.Add(-dropped)
	return done, nil
}

// oldBlock is a block that has old records.
type oldBlock struct {
	seq  int64
	body []byte
}

func oldBlocks(c *sqlite.Conn, num, before int64, max int) (blocks []oldBlock, err error) {
	rows, err := c.Query("SELECT seq, body FROM blocks WHERE tenant=? AND received_min<? ORDER BY received_min LIMIT ?", num, before, max)
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		var b oldBlock
		if err := rows.Scan(&b.seq, &b.body); err != nil {
			_ = rows.Close()
			return nil, err
		}
		blocks = append(blocks, b)
	}
	return blocks, rows.Err()
}

// makeHoles takes the old records out of a block and returns their ids. The others keep their slots, by which they
// are found.
func (sc *scratch) makeHoles(c *sqlite.Conn, b oldBlock, before time.Time) (ids []logentry.ID, err error) {
	if err := sc.open(b.body); err != nil {
		return nil, err
	}
	records, slots, holes := make([]logentry.Record, sc.n), make([]int32, sc.n), uint64(0)
	ts, received, left := span{math.MaxInt64, math.MinInt64}, span{math.MaxInt64, math.MinInt64}, 0
	for i := range sc.n {
		slots[i] = int32(i)
		r, ok, err := sc.record(i, "")
		switch {
		case err != nil:
			return nil, err
		case !ok:
			holes |= 1 << i
		case r.ReceivedAt.Before(before):
			holes |= 1 << i
			ids = append(ids, r.ID)
		default:
			records[i], left = r, left+1
			ts.add(r.Timestamp.UnixNano())
			received.add(r.ReceivedAt.UnixNano())
		}
	}
	if left == 0 {
		_, err := c.Exec("DELETE FROM blocks WHERE seq=?", b.seq)
		return ids, err
	}
	_, err = c.Exec("UPDATE blocks SET count=?, ts_min=?, ts_max=?, received_min=?, received_max=?, body=? WHERE seq=?",
		left, ts.min, ts.max, received.min, received.max, slices.Clone(sc.pack(records, slots, holes)), b.seq)
	return ids, err
}
