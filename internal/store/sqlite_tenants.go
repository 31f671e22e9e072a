package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/sqlite"
	"github.com/ocelot-log/ocelot/internal/tenant"
)

const listTenants = `SELECT t.id, t.slug, t.name, t.created_at, coalesce(s.settings, ''), coalesce(s.suspended, 0), coalesce(s.delete_at, 0), coalesce(s.version, 1)
	FROM tenants t LEFT JOIN tenant_state s ON s.id=t.id`

// CreateTenant stores a new tenant.
func (s *SQLite) CreateTenant(ctx context.Context, t tenant.Info) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	t.Version = 1
	err := s.db.Write(ctx, func(c *sqlite.Conn) error {
		result, err := c.Exec("INSERT OR IGNORE INTO tenants(id, slug, name, created_at) VALUES(?,?,?,?)",
			t.ID, t.Slug, t.Name, t.CreatedAt.UnixNano())
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return tenantExists()
		}
		return keepTenantState(c, t)
	})
	return sqlite.Fault(err, "create a tenant")
}

func keepTenantState(c *sqlite.Conn, t tenant.Info) error {
	_, err := c.Exec("INSERT OR REPLACE INTO tenant_state(id, settings, suspended, delete_at, version) VALUES(?,?,?,?,?)",
		t.ID, string(t.Settings.AppendJSON(nil)), t.Suspended, unixMilli(t.DeleteAt), t.Version)
	return err
}

// ListTenants returns all tenants by slug.
func (s *SQLite) ListTenants(ctx context.Context) ([]tenant.Info, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	var all []tenant.Info
	err := s.each(ctx, listTenants+" ORDER BY t.slug", nil, func(rows *sql.Rows) error {
		t, err := scanTenant(rows)
		all = append(all, t)
		return err
	})
	return all, sqlite.Fault(err, "list tenants")
}

func scanTenant(rows *sql.Rows) (t tenant.Info, err error) {
	var created, deleteAt int64
	var settings sql.RawBytes
	if err := rows.Scan(&t.ID, &t.Slug, &t.Name, &created, &settings, &t.Suspended, &deleteAt, &t.Version); err != nil {
		return t, err
	}
	t.CreatedAt, t.DeleteAt = time.Unix(0, created).UTC(), fromMilli(deleteAt)
	t.Settings, err = tenant.StoredSettings(settings)
	return t, err
}

// UpdateTenant changes one that is as the caller saw it.
func (s *SQLite) UpdateTenant(ctx context.Context, t tenant.Info) (tenant.Info, error) {
	if err := s.enter(); err != nil {
		return tenant.Info{}, err
	}
	defer s.leave()
	var kept tenant.Info
	err := s.db.Write(ctx, func(c *sqlite.Conn) error {
		rows, err := c.Query(listTenants+" WHERE t.id=?", t.ID)
		if err != nil {
			return err
		}
		for rows.Next() {
			if kept, err = scanTenant(rows); err != nil {
				_ = rows.Close()
				return err
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
		if kept.ID == "" {
			return tenantNotFound()
		}
		if kept.Version != t.Version {
			return tenantChanged()
		}
		kept.Name, kept.Settings, kept.Suspended, kept.DeleteAt = t.Name, t.Settings, t.Suspended, fromMilli(unixMilli(t.DeleteAt))
		kept.Version++
		if _, err := c.Exec("UPDATE tenants SET name=? WHERE id=?", kept.Name, kept.ID); err != nil {
			return err
		}
		return keepTenantState(c, kept)
	})
	if err != nil {
		return tenant.Info{}, sqlite.Fault(err, "change a tenant")
	}
	return kept, nil
}

// DeleteTenant removes the tenant itself.
func (s *SQLite) DeleteTenant(ctx context.Context, id string) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return sqlite.Fault(s.db.Write(ctx, func(c *sqlite.Conn) error {
		if _, err := c.Exec("DELETE FROM tenant_state WHERE id=?", id); err != nil {
			return err
		}
		_, err := c.Exec("DELETE FROM tenants WHERE id=?", id)
		return err
	}), "delete a tenant")
}

func tenantExists() error {
	return fault.New(fault.Conflict, "tenant_exists", "there is a tenant with this id already")
}

func tenantNotFound() error {
	return fault.New(fault.NotFound, "tenant_not_found", "there is no such tenant")
}

func tenantChanged() error {
	return fault.New(fault.Conflict, "tenant_changed", "somebody else changed the tenant in the meantime: read it again")
}
