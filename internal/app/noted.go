package app

import (
	"context"

	"github.com/ocelot-log/ocelot/internal/audit"
	"github.com/ocelot-log/ocelot/internal/config"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/internal/tenant"
)

// Commands that change the record itself, where no server does it for them, note it there themselves: in the log of the
// tenant that it is about. A worker adds the entry to the index.

// noted notes a change, with the state before and after it: nil, or what becomes a JSON object and holds no secret.
func noted(ctx context.Context, st store.Store, tenantID, action, kind, id string, before, after any) error {
	err := audit.Keep(ctx, st, tenantID, "", audit.Event{Who: audit.Who{Subject: localAdmin, Route: "ocelot " + kind}, Action: action,
		ResourceType: kind, ResourceID: id, Before: before, After: after})
	if err != nil {
		return &fault.Error{Kind: fault.Unavailable, Code: "audit_unavailable", Err: err,
			Detail: "the change was made, but it could not be noted in the log of the tenant: the record took nothing more"}
	}
	return nil
}

// notedTenant notes a change of a tenant, in the operators' log too where only they make it.
func notedTenant(ctx context.Context, st store.Store, s config.Settings, action string, was *tenant.Info, is tenant.Info) error {
	var before any
	operators := was == nil || is.Disabled()
	if was != nil {
		before, operators = shown(*was), operators || was.Disabled()
	}
	if err := noted(ctx, st, is.ID, action, "tenant", is.Slug, before, shown(is)); err != nil || !operators {
		return err
	}
	theirs, err := tenantOf(ctx, st, s.AuditTenant)
	if fault.KindOf(err) == fault.NotFound {
		return nil // they keep none
	}
	if err != nil {
		return err
	}
	return noted(ctx, st, theirs.ID, action, "tenant", is.Slug, before, shown(is))
}
