package store

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/ocelot-log/ocelot/internal/sqlite"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// AddBacklog makes ids durable.
func (s *SQLite) AddBacklog(ctx context.Context, ids []logentry.ID) error {
	now := time.Now().UnixNano()
	return s.changeBacklog(ctx, ids, "add to the backlog", +1, func(c *sqlite.Conn, part []logentry.ID) (sql.Result, error) {
		args := make([]any, 0, 2*len(part))
		for i := range part {
			args = append(args, part[i][:], now)
		}
		return c.Exec(s.texts.queue[len(part)-1], args...)
	})
}

// DropBacklog removes ids.
func (s *SQLite) DropBacklog(ctx context.Context, ids []logentry.ID) error {
	return s.changeBacklog(ctx, ids, "drop from the backlog", -1, func(c *sqlite.Conn, part []logentry.ID) (sql.Result, error) {
		args := make([]any, 0, blockSlots)
		for i := range part {
			args = append(args, part[i][:])
		}
		return c.Exec(s.texts.drop, pad(args, blockSlots)...)
	})
}

// changeBacklog runs change for ids in parts, in one transaction, and counts sign for each row it changed.
func (s *SQLite) changeBacklog(ctx context.Context, ids []logentry.ID, doing string, sign int64,
	change func(*sqlite.Conn, []logentry.ID) (sql.Result, error)) error {
	if len(ids) == 0 {
		return nil
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	changed := int64(0)
	err := s.db.Write(ctx, func(c *sqlite.Conn) error {
		for part := range slices.Chunk(ids, blockSlots) {
			result, err := change(c, part)
			if err != nil {
				return err
			}
			n, err := result.RowsAffected()
			if err != nil {
				return err
			}
			changed += n
		}
		return nil
	})
	if err != nil {
		return sqlite.Fault(err, doing)
	}
	s.backlog.Add(sign * changed)
	return nil
}

// ReadBacklog returns the records of the oldest ids.
func (s *SQLite) ReadBacklog(ctx context.Context, max int) ([]logentry.Record, error) {
	for max > 0 {
		records, gone, err := s.readBacklog(ctx, max)
		if err != nil {
			return nil, failed(err, "read the backlog")
		}
		if err := s.DropBacklog(ctx, gone); err != nil {
			return nil, err
		}
		if len(records) > 0 || len(gone) == 0 {
			return records, nil
		}
	}
	return nil, nil
}

// readBacklog returns the records of up to max of the oldest ids, and the ids that have none.
func (s *SQLite) readBacklog(ctx context.Context, max int) (records []logentry.Record, gone []logentry.ID, err error) {
	if err := s.enter(); err != nil {
		return nil, nil, err
	}
	defer s.leave()
	var ids []logentry.ID
	err = s.each(ctx, "SELECT id FROM backlog ORDER BY num LIMIT ?", []any{max}, func(rows *sql.Rows) error {
		var id sql.RawBytes
		if err := rows.Scan(&id); err != nil {
			return err
		}
		ids = append(ids, logentry.ID(id))
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if records, err = s.getMany(ctx, 0, ids); err != nil || len(records) == len(ids) {
		return records, nil, err
	}
	at := 0
	for _, id := range ids { // both are in the same order
		if at < len(records) && records[at].ID == id {
			at++
		} else {
			gone = append(gone, id)
		}
	}
	return records, gone, nil
}

// BacklogStats counts the backlog.
func (s *SQLite) BacklogStats(ctx context.Context) (BacklogStats, error) {
	if err := s.enter(); err != nil {
		return BacklogStats{}, err
	}
	defer s.leave()
	st := BacklogStats{Entries: s.backlog.Load()}
	err := s.each(ctx, "SELECT at FROM backlog ORDER BY num LIMIT 1", nil, func(rows *sql.Rows) error {
		var at int64
		err := rows.Scan(&at)
		st.Oldest = max(0, time.Since(time.Unix(0, at)))
		return err
	})
	return st, sqlite.Fault(err, "count the backlog")
}
