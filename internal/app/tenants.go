package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/internal/audit"
	"github.com/ocelot-log/ocelot/internal/config"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/jobs"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/internal/tenant"
)

// TenantChange is what is to become of a tenant; nil stays as it is.
type TenantChange struct {
	Name      *string `json:"name,omitempty"`
	Suspended *bool   `json:"suspended,omitempty"`
	Deleted   *bool   `json:"deleted,omitempty"` // only false: takes a deletion back

	Settings json.RawMessage `json:"settings,omitempty"` // a merge patch: what is absent stays, null is the service's own
}

// ShowTenant reads a tenant.
func ShowTenant(ctx context.Context, s config.Settings, slug string) (t Tenant, err error) {
	err = withRecord(ctx, s, func(st store.Store) error {
		info, err := tenantOf(ctx, st, slug)
		t = shown(info)
		return err
	}, func() error {
		if !tenant.ValidSlug(slug) {
			return noTenant(slug)
		}
		return askOwner(ctx, s, http.MethodGet, "/api/v1/tenants/"+slug, nil, &t)
	})
	return t, explain(err)
}

// ChangeTenant renames, suspends or resumes a tenant, changes its settings, or takes its deletion back.
func ChangeTenant(ctx context.Context, s config.Settings, slug string, c TenantChange) (t Tenant, err error) {
	if c.Name != nil && !tenant.ValidName(*c.Name) {
		return t, fmt.Errorf("%s", tenant.NameRule)
	}
	if c.Settings != nil && !jsontext.Value(c.Settings).IsValid() {
		return t, errors.New("the settings are no JSON object, such as {\"retention_days\":30}")
	}
	err = withRecord(ctx, s, func(st store.Store) error {
		info, err := tenantOf(ctx, st, slug)
		if err != nil {
			return err
		}
		was := info
		if c.Name != nil {
			info.Name = *c.Name
		}
		if c.Settings != nil {
			p, err := tenant.ReadPatch(info, map[string]jsontext.Value{"settings": jsontext.Value(c.Settings)})
			if err != nil {
				return err
			}
			info = p.Info
		}
		if c.Suspended != nil {
			info.Suspended = *c.Suspended
		}
		undelete := c.Deleted != nil && !*c.Deleted && !info.DeleteAt.IsZero()
		if undelete {
			if info.Gone(time.Now()) {
				return fault.New(fault.Conflict, "deletion_began", "the tenant is being removed already")
			}
			info.DeleteAt = time.Time{}
		}
		if info, err = st.UpdateTenant(ctx, info); err != nil {
			return err
		}
		t = shown(info)
		if undelete {
			if err := jobs.CancelDeletion(ctx, st, info.ID); err != nil {
				return err
			}
		}
		return notedTenant(ctx, st, s, audit.Update, &was, info)
	}, func() error {
		if !tenant.ValidSlug(slug) {
			return noTenant(slug)
		}
		return askOwner(ctx, s, http.MethodPatch, "/api/v1/tenants/"+slug, c, &t)
	})
	return t, explain(err)
}

// DeleteTenant has a tenant removed once the grace has passed. It returns the job's id and when it may begin.
func DeleteTenant(ctx context.Context, s config.Settings, slug string) (job string, at time.Time, err error) {
	var j jobs.Job
	err = withRecord(ctx, s, func(st store.Store) error {
		info, err := tenantOf(ctx, st, slug)
		if err != nil {
			return err
		}
		was := info
		if info.DeleteAt.IsZero() {
			info.DeleteAt = time.Now().Add(s.TenantDeleteGrace).UTC().Truncate(time.Millisecond)
			if info, err = st.UpdateTenant(ctx, info); err != nil {
				return err
			}
		}
		if j, err = jobs.ScheduleDeletion(ctx, st, info.ID, info.Slug, info.DeleteAt); err != nil || !was.DeleteAt.IsZero() {
			return err
		}
		return notedTenant(ctx, st, s, audit.Delete, &was, info)
	}, func() error {
		if !tenant.ValidSlug(slug) {
			return noTenant(slug)
		}
		return askOwner(ctx, s, http.MethodDelete, "/api/v1/tenants/"+slug, nil, &j)
	})
	return j.ID, j.StartAt, explain(err)
}

func tenantOf(ctx context.Context, st store.Tenants, slug string) (tenant.Info, error) {
	all, err := st.ListTenants(ctx)
	if err != nil {
		return tenant.Info{}, err
	}
	for _, t := range all {
		if t.Slug == slug {
			return t, nil
		}
	}
	return tenant.Info{}, noTenant(slug)
}

func noTenant(slug string) error {
	return fault.New(fault.NotFound, "tenant_not_found", fmt.Sprintf("there is no tenant %q", slug))
}
