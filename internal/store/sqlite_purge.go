package store

import (
	"context"
	"slices"

	"github.com/ocelot-log/ocelot/internal/sqlite"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// PurgeTenant removes ids first and the blocks that nobody finds any more after them: a block is removed whole.
// What lies on the pages is overwritten, not only given free; what the log still holds goes when it is folded into
// the file.
func (s *SQLite) PurgeTenant(ctx context.Context, tenantID string, max int) (done Purged, err error) {
	if err := s.enter(); err != nil {
		return done, err
	}
	defer s.leave()
	if tenantID == "" { // is nobody's
		return done, nil
	}
	num, known, err := s.owner(ctx, tenantID)
	if err != nil {
		return done, failed(err, "purge a tenant")
	}
	dropped := int64(0)
	err = s.db.Write(ctx, func(c *sqlite.Conn) error {
		done, dropped = Purged{}, 0
		if _, err := c.Exec("PRAGMA secure_delete = 1"); err != nil {
			return err
		}
		defer func() { _, _ = c.Exec("PRAGMA secure_delete = 0") }()
		left := max
		if known {
			ids, err := ownIDs(c, num, left)
			if err != nil {
				return err
			}
			if dropped, err = s.removeEntries(c, ids); err != nil {
				return err
			}
			done.Records = int64(len(ids))
			if left -= len(ids); left > 0 {
				blocks := left/blockSlots + 1
				n, err := removed(c, "DELETE FROM blocks WHERE seq IN (SELECT seq FROM blocks WHERE tenant=? LIMIT ?)", num, blocks)
				if err != nil {
					return err
				}
				left -= int(n) * blockSlots
			}
		}
		if left > 0 {
			if done.Quarantined, err = removed(c, "DELETE FROM quarantine WHERE num IN (SELECT num FROM quarantine WHERE tenant=? LIMIT ?)", tenantID, left); err != nil {
				return err
			}
			left -= int(done.Quarantined)
		}
		done.More = left <= 0
		return nil
	})
	if err != nil {
		return Purged{}, sqlite.Fault(err, "purge a tenant")
	}
	s.backlog.Add(-dropped)
	return done, nil
}

func ownIDs(c *sqlite.Conn, num int64, max int) (ids []logentry.ID, err error) {
	rows, err := c.Query("SELECT id FROM entries WHERE tenant=? LIMIT ?", num, limit(max))
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		var id []byte
		if err := rows.Scan(&id); err != nil {
			_ = rows.Close()
			return nil, err
		}
		ids = append(ids, logentry.ID(id))
	}
	return ids, rows.Err()
}

// removeEntries removes ids from entries and from the backlog, and returns how many the backlog had.
func (s *SQLite) removeEntries(c *sqlite.Conn, ids []logentry.ID) (dropped int64, err error) {
	for part := range slices.Chunk(ids, blockSlots) {
		args := make([]any, 0, blockSlots)
		for i := range part {
			args = append(args, part[i][:])
		}
		args = pad(args, blockSlots)
		n, err := removed(c, s.texts.drop, args...)
		if err != nil {
			return 0, err
		}
		dropped += n
		if _, err := c.Exec(s.texts.remove, args...); err != nil {
			return 0, err
		}
	}
	return dropped, nil
}

func removed(c *sqlite.Conn, text string, args ...any) (int64, error) {
	result, err := c.Exec(text, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
