package httpapi

import (
	"context"
	"net/http"

	"go.uber.org/zap"

	"github.com/ocelot-log/ocelot/internal/audit"
	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// auditor keeps who did what.
type auditor interface {
	Record(ctx context.Context, tenantID string, e audit.Event) error
	Refused(tenantID string, e audit.Event)
}

// audited notes that entries of the request's tenant were read. A handler calls it when it knows what it will answer
// and before the first byte of it: when it fails, nothing may be given out.
//
//	err := s.audited(k, audit.Event{Action: audit.Read, ResourceType: "entries", Params: params, Count: len(found)})
func (s *Server) audited(k *call, e audit.Event) error {
	if s.cfg.UnauditedReads {
		return nil
	}
	e.Who = who(k)
	return s.writing.Audit.Record(k.Request.Context(), k.tenant.ID(), e)
}

// changed notes a change that was made, with the state before and after it: nil, or what becomes a JSON object and
// holds no secret. tenantID is the internal id of the tenant that it is about; empty where it is about none or about
// the tenants themselves: such changes are kept for those who run the service.
//
//	return s.changed(k, k.tenant.ID(), audit.Create, "key", key.ID, nil, shown(key))
func (s *Server) changed(k *call, tenantID, action, resourceType, resourceID string, before, after any) error {
	ctx := context.WithoutCancel(k.Request.Context()) // it was made, whether or not the caller still waits
	if tenantID == "" {
		if tenantID = s.operators(ctx); tenantID == "" {
			return nil
		}
	}
	return s.writing.Audit.Record(ctx, tenantID, audit.Event{Who: who(k), Action: action, ResourceType: resourceType, ResourceID: resourceID,
		Before: before, After: after})
}

// changedFor is changed for what belongs to several tenants, by their slugs: a token, a session. What is for all of
// them is kept for those who run the service.
func (s *Server) changedFor(k *call, slugs []string, action, resourceType, resourceID string, before, after any) error {
	ctx := context.WithoutCancel(k.Request.Context())
	for _, slug := range slugs {
		id := ""
		if slug != auth.AllTenants {
			t, err := s.access.Tenants.BySlug(ctx, slug)
			if fault.KindOf(err) == fault.NotFound && err != nil {
				continue // it has no log any more
			}
			if err != nil {
				return err
			}
			if !k.principal.Means(t) {
				continue // it is another one of the same name
			}
			id = t.ID
		}
		if err := s.changed(k, id, action, resourceType, resourceID, before, after); err != nil {
			return err
		}
	}
	return nil
}

// operators is the id of the tenant in which those who run the service look for what is about no other tenant;
// empty where it does not exist.
func (s *Server) operators(ctx context.Context) string {
	t, err := s.access.Tenants.BySlug(ctx, s.cfg.AuditTenant)
	if err != nil {
		s.log.Warn("there is no tenant for audit entries about no tenant; see AUDIT_TENANT", zap.String("tenant", s.cfg.AuditTenant), zap.Error(err))
		return ""
	}
	return t.ID
}

// refused notes an attempt of somebody known that was refused: for want of rights, or a change that was not made. It
// belongs to the caller's own tenant, never to the one that was reached for.
func (s *Server) refused(k *call, r route, f *fault.Error) {
	if !k.known {
		return
	}
	manages := k.Request.Method != http.MethodGet && (r.access == admins || r.access == managers || r.access == enders || r.access == platform || r.access == owners)
	if status := statusOf(f); status != http.StatusUnauthorized && status != http.StatusForbidden && (!manages || status >= http.StatusInternalServerError) {
		return
	}
	ctx := k.Request.Context()
	id := k.tenant.ID()
	for _, named := range [][]string{k.Request.Header["X-Tenant-Id"], nil} {
		if id != "" {
			break
		}
		if t, err := k.principal.Tenant(ctx, named); err == nil {
			id = t.ID()
		}
	}
	if id == "" {
		id = s.operators(ctx)
	}
	if id != "" {
		s.writing.Audit.Refused(id, audit.Event{Who: who(k), Action: audit.Refuse, Severity: logentry.Warning, Code: f.Code})
	}
}

func who(k *call) audit.Who {
	w := audit.Who{Subject: k.principal.Subject, Address: k.client, UserAgent: k.Request.UserAgent(), RequestID: requestID(k.Context),
		TraceID: telemetry.TraceID(telemetry.Traceparent(k.Request.Header["Traceparent"])), Route: k.Request.Method + " " + k.FullPath()}
	switch {
	case k.principal.KeyID != "":
		w.Credential = "key:" + k.principal.KeyID
	case k.principal.SessionID != "":
		w.Credential = "session"
	case k.principal.TokenID != "":
		w.Credential = "token:" + k.principal.TokenID
	}
	return w
}
