package store

import (
	"context"
	"database/sql"
	"strconv"
	"time"

	"github.com/ocelot-log/ocelot/internal/sqlite"
)

// Quarantine makes items durable. A zero At becomes now.
func (s *SQLite) Quarantine(ctx context.Context, items []Quarantined) error {
	if len(items) == 0 {
		return nil
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	now := time.Now()
	err := s.db.Write(ctx, func(c *sqlite.Conn) error {
		for _, q := range items {
			if q.At.IsZero() {
				q.At = now
			}
			sent := sql.NullInt64{Int64: q.SentAt.UnixNano(), Valid: !q.SentAt.IsZero()}
			if _, err := c.Exec("INSERT INTO quarantine(tenant, reason, detail, body, receives, sent_at, at) VALUES(?,?,?,?,?,?,?)",
				q.TenantID, q.Reason, q.Detail, q.Body, q.Receives, sent, q.At.UnixNano()); err != nil {
				return err
			}
		}
		return nil
	})
	return sqlite.Fault(err, "quarantine")
}

// ListQuarantine returns up to max items, newest first.
func (s *SQLite) ListQuarantine(ctx context.Context, max int) ([]Quarantined, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	var items []Quarantined
	err := s.each(ctx, "SELECT num, tenant, reason, detail, body, receives, sent_at, at FROM quarantine ORDER BY num DESC LIMIT ?",
		[]any{max}, func(rows *sql.Rows) error {
			var q Quarantined
			var num, at int64
			var sent sql.NullInt64
			if err := rows.Scan(&num, &q.TenantID, &q.Reason, &q.Detail, &q.Body, &q.Receives, &sent, &at); err != nil {
				return err
			}
			q.ID, q.At = strconv.FormatInt(num, 10), time.Unix(0, at).UTC()
			if sent.Valid {
				q.SentAt = time.Unix(0, sent.Int64).UTC()
			}
			items = append(items, q)
			return nil
		})
	return items, sqlite.Fault(err, "list the quarantine")
}

// CountQuarantine counts the items.
func (s *SQLite) CountQuarantine(ctx context.Context) (n int64, err error) {
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	err = s.each(ctx, "SELECT count(*) FROM quarantine", nil, func(rows *sql.Rows) error { return rows.Scan(&n) })
	return n, sqlite.Fault(err, "count the quarantine")
}
