package queue

import (
	"context"
	"math"
	"strconv"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/sqlite"
)

// Receive waits without touching the file: for a commit that brings messages, or for the moment at
// which the next hidden one comes back.
func (q *SQLite) Receive(ctx context.Context, max int, wait, visibility time.Duration) ([]Message, error) {
	if err := q.begin(); err != nil {
		return nil, err
	}
	defer q.calls.Done()
	max = min(max, maxReceive)
	visibility = clamp(visibility)
	deadline := q.now() + wait.Microseconds()
	for {
		q.mu.Lock()
		next, changed := q.next, q.changed
		q.mu.Unlock()
		now := q.now()
		if ctx.Err() != nil {
			return nil, fault.As(fault.Unavailable, "canceled", ctx.Err())
		}
		if next <= now && max > 0 {
			held, err := q.claim(ctx, max, visibility)
			if err != nil || len(held) > 0 {
				return held, fault.Wrap(err, "receive")
			}
			continue // claim has set next
		}
		left := min(deadline, next) - now
		if deadline <= now {
			return nil, nil
		}
		timer := time.NewTimer(time.Duration(left) * time.Microsecond)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
		case <-q.closed:
			timer.Stop()
			return nil, errClosed()
		}
		timer.Stop()
	}
}

// claim hides up to max visible messages and returns them with their bodies.
func (q *SQLite) claim(ctx context.Context, max int, visibility time.Duration) ([]Message, error) {
	var held []Message
	var ids []any
	var next int64
	err := q.commit.do(ctx, &write{
		run: func(c *sqlite.Conn) error {
			held, ids = held[:0], ids[:0]
			now := q.now()
			rows, err := c.Query(`UPDATE q SET visible_at = ?, receives = receives + 1, receipt = random() WHERE id IN
				(SELECT id FROM q WHERE visible_at <= ? ORDER BY visible_at, id LIMIT ?) RETURNING id, receipt, receives, sent_at`,
				now+visibility.Microseconds(), now, max)
			if err != nil {
				return err
			}
			for rows.Next() {
				var id, receipt, sent int64
				var m Message
				if err = rows.Scan(&id, &receipt, &m.Receives, &sent); err != nil {
					break
				}
				m.ID, m.Receipt, m.SentAt = strconv.FormatInt(id, 10), receiptOf(id, receipt), time.UnixMicro(sent).UTC()
				held, ids = append(held, m), append(ids, id)
			}
			if err = closeRows(rows, err); err != nil {
				return err
			}
			next, err = nextVisible(c)
			return err
		},
		settled: func() {
			q.mu.Lock()
			q.next = next
			q.mu.Unlock()
		},
	})
	if err != nil || len(held) == 0 {
		return nil, err
	}
	if err := q.load(held, ids); err != nil {
		receipts := make([]string, len(held))
		for i, m := range held {
			receipts[i] = m.Receipt
		}
		_ = q.extend(context.Background(), receipts, 0) // else they come back when their time is over
		return nil, err
	}
	return held, nil
}

// load reads the bodies of held messages, beside the writer.
func (q *SQLite) load(held []Message, ids []any) error {
	rows, err := q.db.Reader().Query("SELECT id, body, trace FROM q_body WHERE id IN "+sqlite.Placeholders(1, len(ids)), ids...)
	if err != nil {
		return sqlite.Fault(err, "read bodies")
	}
	found := 0
	for rows.Next() {
		var id int64
		var body []byte
		var trace string
		if err = rows.Scan(&id, &body, &trace); err != nil {
			break
		}
		for i := range ids {
			if ids[i] == id {
				held[i].Body, held[i].Trace = body, trace
				found++
			}
		}
	}
	if err := closeRows(rows, err); err != nil {
		return sqlite.Fault(err, "read bodies")
	}
	if found != len(held) {
		return fault.New(fault.Internal, "storage_corrupt", "messages of the queue have no body")
	}
	return nil
}

func nextVisible(c *sqlite.Conn) (int64, error) {
	next := int64(math.MaxInt64)
	err := scanOne(c, &next, "SELECT visible_at FROM q ORDER BY visible_at, id LIMIT 1")
	return next, err
}
