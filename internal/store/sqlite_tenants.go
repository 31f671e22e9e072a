package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/sqlite"
	"github.com/ocelot-log/ocelot/internal/tenant"
)

// CreateTenant stores a new tenant.
func (s *SQLite) CreateTenant(ctx context.Context, t tenant.Info) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	err := s.db.Write(ctx, func(c *sqlite.Conn) error {
		result, err := c.Exec("INSERT OR IGNORE INTO tenants(id, slug, name, created_at) VALUES(?,?,?,?)",
			t.ID, t.Slug, t.Name, t.CreatedAt.UnixNano())
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 1 {
			return err
		}
		return fault.New(fault.Conflict, "tenant_exists", "there is a tenant with this id already")
	})
	return sqlite.Fault(err, "create a tenant")
}

// ListTenants returns all tenants by slug.
func (s *SQLite) ListTenants(ctx context.Context) ([]tenant.Info, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	var all []tenant.Info
	err := s.each(ctx, "SELECT id, slug, name, created_at FROM tenants ORDER BY slug", nil, func(rows *sql.Rows) error {
		var t tenant.Info
		var created int64
		if err := rows.Scan(&t.ID, &t.Slug, &t.Name, &created); err != nil {
			return err
		}
		t.CreatedAt = time.Unix(0, created).UTC()
		all = append(all, t)
		return nil
	})
	return all, sqlite.Fault(err, "list tenants")
}
