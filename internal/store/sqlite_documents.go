package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/ocelot-log/ocelot/internal/document"
	"github.com/ocelot-log/ocelot/internal/sqlite"
)

// documentColumns are those of a document in the order of scanDocument. Times are milliseconds since 1970;
// expires_at is 0 for never. One that was deleted expired at that moment and has no body.
const documentColumns = "id, tenant, body, version, changed_at, expires_at"

// documentThere finds what is there at a time in milliseconds. What was deleted after that is not, though its end is later.
const documentThere = "(expires_at=0 OR expires_at>?) AND NOT (body IS NULL AND expires_at BETWEEN 1 AND changed_at)"

// scanDocument reads a row. What had expired by now, in milliseconds, or was deleted since, is a tombstone.
func scanDocument(rows *sql.Rows, kind document.Kind, now int64) (document.Document, error) {
	d := document.Document{Kind: kind}
	var changed, expires int64
	if err := rows.Scan(&d.ID, &d.TenantID, &d.Body, &d.Version, &changed, &expires); err != nil {
		return d, err
	}
	d.ChangedAt, d.ExpiresAt = fromMilli(changed), fromMilli(expires)
	if expires != 0 && (expires <= now || d.Body == nil && expires <= changed) {
		d.Deleted, d.Body = true, nil
	}
	return d, nil
}

// heldDocument returns the row of an id, as it is within the transaction; ok is false where there is none.
func heldDocument(c *sqlite.Conn, kind document.Kind, id string, now int64) (d document.Document, ok bool, err error) {
	rows, err := c.Query("SELECT "+documentColumns+" FROM documents WHERE kind=? AND id=?", string(kind), id)
	if err != nil {
		return d, false, err
	}
	for rows.Next() {
		if d, err = scanDocument(rows, kind, now); err != nil {
			_ = rows.Close()
			return d, false, err
		}
		ok = true
	}
	return d, ok, rows.Err()
}

// changeDocument runs change with the document as it is held (Version 0: there was none; Deleted: it is gone)
// and keeps what change returns as the next version. Times go only forward, whatever the clock does, so that
// who asks for changes since the last one misses none.
func (s *SQLite) changeDocument(ctx context.Context, kind document.Kind, id, doing string,
	change func(held document.Document) (document.Document, error)) (next document.Document, err error) {
	if err := checkDocument(kind, id); err != nil {
		return next, err
	}
	if err := s.enter(); err != nil {
		return next, err
	}
	defer s.leave()
	err = s.db.Write(ctx, func(c *sqlite.Conn) error {
		now := time.Now().UnixMilli()
		held, _, err := heldDocument(c, kind, id, now)
		if err != nil {
			return err
		}
		if next, err = change(held); err != nil {
			return err
		}
		latest, err := c.Query("SELECT max(changed_at, ?) FROM documents WHERE kind=? ORDER BY changed_at DESC LIMIT 1", now, string(kind))
		if err != nil {
			return err
		}
		changed := now
		for latest.Next() {
			if err := latest.Scan(&changed); err != nil {
				_ = latest.Close()
				return err
			}
		}
		if err := latest.Err(); err != nil {
			return err
		}
		expires := unixMilli(next.ExpiresAt)
		if next.Deleted {
			expires = now
		}
		next.Kind, next.ID, next.Version = kind, id, held.Version+1
		next.ChangedAt, next.ExpiresAt = fromMilli(changed), fromMilli(expires)
		if _, err = c.Exec("INSERT OR REPLACE INTO documents(kind, "+documentColumns+") VALUES(?,?,?,?,?,?,?)",
			string(kind), id, next.TenantID, next.Body, next.Version, changed, expires); err != nil {
			return err
		}
		_, err = c.Exec("DELETE FROM documents WHERE rowid IN (SELECT rowid FROM documents WHERE expires_at BETWEEN 1 AND ? LIMIT 100)",
			now-tombstones.Milliseconds())
		return err
	})
	if err != nil {
		return document.Document{}, sqlite.Fault(err, doing)
	}
	return next, nil
}

// CreateDocument stores a new document.
func (s *SQLite) CreateDocument(ctx context.Context, d document.Document) (document.Document, error) {
	return s.changeDocument(ctx, d.Kind, d.ID, "create a document", func(held document.Document) (document.Document, error) {
		if held.Version > 0 && !held.Deleted {
			return d, documentExists()
		}
		d.Deleted = false
		return d, nil
	})
}

// ReplaceDocument changes one that is as the caller saw it.
func (s *SQLite) ReplaceDocument(ctx context.Context, d document.Document) (document.Document, error) {
	return s.changeDocument(ctx, d.Kind, d.ID, "replace a document", func(held document.Document) (document.Document, error) {
		if held.Version == 0 || held.Deleted || held.TenantID != d.TenantID {
			return d, documentNotFound()
		}
		if held.Version != d.Version {
			return d, documentChanged()
		}
		d.Deleted = false
		return d, nil
	})
}

// DeleteDocument leaves a tombstone.
func (s *SQLite) DeleteDocument(ctx context.Context, kind document.Kind, id string) error {
	_, err := s.changeDocument(ctx, kind, id, "delete a document", func(held document.Document) (document.Document, error) {
		if held.Version == 0 || held.Deleted {
			return held, documentNotFound()
		}
		return document.Document{TenantID: held.TenantID, Deleted: true}, nil
	})
	return err
}

// Document returns one.
func (s *SQLite) Document(ctx context.Context, kind document.Kind, id string) (document.Document, error) {
	now := time.Now().UnixMilli()
	all, err := s.documents(ctx, kind, now, "read a document", "WHERE kind=? AND id=? AND "+documentThere, string(kind), id, now)
	if err != nil {
		return document.Document{}, err
	}
	if len(all) == 0 {
		return document.Document{}, documentNotFound()
	}
	return all[0], nil
}

// Documents returns some by id.
func (s *SQLite) Documents(ctx context.Context, kind document.Kind, tenantID, after string, max int) ([]document.Document, error) {
	now := time.Now().UnixMilli()
	if tenantID == "" {
		return s.documents(ctx, kind, now, "list documents", "WHERE kind=? AND id>? AND "+documentThere+" ORDER BY id LIMIT ?",
			string(kind), after, now, limit(max))
	}
	return s.documents(ctx, kind, now, "list documents", "WHERE kind=? AND tenant=? AND id>? AND "+documentThere+" ORDER BY id LIMIT ?",
		string(kind), tenantID, after, now, limit(max))
}

// limit keeps a negative number from meaning no limit.
func limit(n int) int { return max(n, 0) }

// DocumentChanges returns some by the time of their change.
func (s *SQLite) DocumentChanges(ctx context.Context, kind document.Kind, since time.Time, max int) ([]document.Document, error) {
	return s.documents(ctx, kind, time.Now().UnixMilli(), "read changes of documents", "WHERE kind=? AND changed_at>=? ORDER BY changed_at, id LIMIT ?",
		string(kind), unixMilli(since), limit(max))
}

func (s *SQLite) documents(ctx context.Context, kind document.Kind, now int64, doing, where string, args ...any) ([]document.Document, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	var all []document.Document
	err := s.each(ctx, "SELECT "+documentColumns+" FROM documents "+where, args, func(rows *sql.Rows) error {
		d, err := scanDocument(rows, kind, now)
		all = append(all, d)
		return err
	})
	return all, sqlite.Fault(err, doing)
}
