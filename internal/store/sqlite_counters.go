package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/ocelot-log/ocelot/internal/sqlite"
)

const (
	sqliteAddCounter = `INSERT INTO counters(key, total, expires_at) VALUES(?,?,?)
		ON CONFLICT(key) DO UPDATE SET total=total+excluded.total, expires_at=max(expires_at, excluded.expires_at) RETURNING total`
	sqliteCounter = "SELECT total FROM counters WHERE key=?"
)

// AddCounters adds in one transaction.
func (s *SQLite) AddCounters(ctx context.Context, counters []Counter) ([]int64, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	if len(counters) == 0 {
		return nil, nil
	}
	totals := make([]int64, len(counters))
	err := s.db.Write(ctx, func(c *sqlite.Conn) error {
		now := time.Now()
		if last := s.purged.Load(); now.UnixNano()-last >= int64(counterPurge) && s.purged.CompareAndSwap(last, now.UnixNano()) {
			if _, err := c.Exec("DELETE FROM counters WHERE expires_at<?", now.UnixNano()); err != nil {
				return err
			}
		}
		add, err := c.Stmt(sqliteAddCounter)
		if err != nil {
			return err
		}
		ask, err := c.Stmt(sqliteCounter)
		if err != nil {
			return err
		}
		for i, x := range counters {
			var row *sql.Row
			if x.Add == 0 {
				row = ask.QueryRow(x.Key)
			} else {
				row = add.QueryRow(x.Key, x.Add, x.ExpiresAt.UnixNano())
			}
			if err := row.Scan(&totals[i]); err != nil && !errors.Is(err, sql.ErrNoRows) {
				return err
			}
		}
		return nil
	})
	return totals, sqlite.Fault(err, "add to counters")
}

// Counters reads them one by one: there are tens.
func (s *SQLite) Counters(ctx context.Context, keys []string) ([]int64, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	totals := make([]int64, len(keys))
	for i, key := range keys {
		err := s.each(ctx, sqliteCounter, []any{key}, func(rows *sql.Rows) error { return rows.Scan(&totals[i]) })
		if err != nil {
			return nil, sqlite.Fault(err, "read counters")
		}
	}
	return totals, nil
}
