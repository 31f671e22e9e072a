package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/internal/audit"
	"github.com/ocelot-log/ocelot/internal/document"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/jobs"
	"github.com/ocelot-log/ocelot/internal/tenant"
)

// tenants is what is asked of the record about tenants.
type tenants interface {
	CreateTenant(ctx context.Context, t tenant.Info) error
	ListTenants(ctx context.Context) ([]tenant.Info, error)
	UpdateTenant(ctx context.Context, t tenant.Info) (tenant.Info, error)
}

// documents is what is asked of the record about the small things besides entries.
type documents interface {
	CreateDocument(ctx context.Context, d document.Document) (document.Document, error)
	ReplaceDocument(ctx context.Context, d document.Document) (document.Document, error)
	DeleteDocument(ctx context.Context, kind document.Kind, id string) error
	Document(ctx context.Context, kind document.Kind, id string) (document.Document, error)
	Documents(ctx context.Context, kind document.Kind, tenantID, after string, max int) ([]document.Document, error)
}

// codeOtherVersion has a status of its own.
const codeOtherVersion = "version_mismatch"

// changeAttempts is how often a change is tried when others change the same tenant at the same time.
const changeAttempts = 4

func etag(t tenant.Info) string { return `"` + strconv.FormatInt(t.Version, 10) + `"` }

func replyTenant(k *call, status int, t tenant.Info) error {
	k.Writer.Header().Set("ETag", etag(t))
	return replyData(k, status, bodyOf(t, true))
}

// current is the tenant that the request is about as the record has it now, not as the cache saw it.
func (s *Server) current(k *call) (tenant.Info, error) {
	all, err := s.reading.Store.ListTenants(k.Request.Context())
	if err != nil {
		return tenant.Info{}, err
	}
	for _, t := range all {
		if t.ID == k.tenant.ID() {
			return t, nil
		}
	}
	return tenant.Info{}, errNoTenant
}

// matches says whether If-Match, where it was sent, names the version of the tenant.
func matches(k *call, t tenant.Info) error {
	sent := k.Request.Header["If-Match"]
	if len(sent) == 0 {
		return nil
	}
	for _, tag := range strings.Split(strings.Join(sent, ","), ",") {
		switch tag = strings.TrimSpace(tag); {
		case tag == "*" || tag == etag(t):
			return nil
		case len(tag) < 2 || tag[len(tag)-1] != '"' || tag[0] != '"' && !strings.HasPrefix(tag, `W/"`):
			return fault.New(fault.Malformed, "if_match_invalid", "If-Match takes the ETag of an earlier answer, or *")
		}
	}
	return fault.New(fault.Conflict, codeOtherVersion, "it was changed since the version in If-Match; read it again")
}

// getTenant answers the tenant with its settings.
func (s *Server) getTenant(k *call) error {
	t, err := s.current(k)
	if err != nil {
		return err
	}
	return replyTenant(k, http.StatusOK, t)
}

// patchTenant changes a tenant by a JSON merge patch.
func (s *Server) patchTenant(k *call) error {
	if err := wholeTenant(k); err != nil { // retention removes, masking changes what others send
		return err
	}
	var members map[string]jsontext.Value
	if err := s.readSmall(k, &members, "application/merge-patch+json"); err != nil {
		return err
	}
	if members == nil {
		return atField("", "field_wrong_type", "this must be an object")
	}
	was, t, err := s.change(k, func(t *tenant.Info) (bool, error) {
		p, err := tenant.ReadPatch(*t, members)
		switch {
		case err != nil:
			return false, err
		case p.Platform && !k.principal.Platform():
			return false, fault.New(fault.Forbidden, "insufficient_role", "only a platform admin suspends a tenant or takes its deletion back")
		case !k.principal.Platform() && s.access.Limits.Tenants.Loosens(&t.Settings.Limits, &p.Info.Settings.Limits):
			return false, fault.New(fault.Forbidden, "insufficient_role", "only a platform admin raises a tenant's limits, or takes them away")
		case p.Undelete && t.Gone(time.Now()):
			return false, fault.New(fault.Conflict, "deletion_began", "the tenant is being removed already")
		}
		*t = p.Info
		return p.Changes, nil
	})
	if err != nil {
		return err
	}
	if !was.DeleteAt.IsZero() && t.DeleteAt.IsZero() {
		if err := jobs.CancelDeletion(k.Request.Context(), s.reading.Store, t.ID); err != nil {
			return err
		}
	}
	if err := s.tenantChanged(k, audit.Update, was, t); err != nil {
		return err
	}
	return replyTenant(k, http.StatusOK, t)
}

// tenantChanged notes a change in the tenant's own log, and, where only a platform admin makes it, in that of the
// operators.
func (s *Server) tenantChanged(k *call, action string, was, is tenant.Info) error {
	if was.Version == is.Version {
		return nil
	}
	logs := []string{is.ID}
	if was.Disabled() || is.Disabled() {
		logs = append(logs, "")
	}
	for _, in := range logs {
		if err := s.changed(k, in, action, "tenant", is.Slug, bodyOf(was, true), bodyOf(is, true)); err != nil {
			return err
		}
	}
	return nil
}

// change reads the tenant of the request, has it changed, and keeps it: was is what it was, is what it is now. Who
// sent If-Match is told where somebody else came between; for others the change is made again on what there is then.
func (s *Server) change(k *call, change func(t *tenant.Info) (bool, error)) (was, is tenant.Info, err error) {
	for attempt := 1; ; attempt++ {
		if was, err = s.current(k); err == nil {
			err = matches(k, was)
		}
		if err != nil {
			return was, is, err
		}
		is = was
		if changes, err := change(&is); err != nil || !changes {
			return was, is, err
		}
		if is, err = s.reading.Store.UpdateTenant(k.Request.Context(), is); err == nil {
			s.access.Tenants.Forget()
			return was, is, nil
		}
		if fault.KindOf(err) != fault.Conflict || attempt == changeAttempts {
			return was, is, err
		}
	}
}

// deleteTenant refuses the tenant's credentials from now on, and has everything of it removed once the grace has
// passed. Sent again it answers the same job.
func (s *Server) deleteTenant(k *call) error {
	if err := wholeTenant(k); err != nil {
		return err
	}
	was, t, err := s.change(k, func(t *tenant.Info) (bool, error) {
		if !t.DeleteAt.IsZero() {
			return false, nil
		}
		t.DeleteAt = time.Now().Add(s.cfg.DeleteGrace).UTC().Truncate(time.Millisecond)
		return true, nil
	})
	if err != nil {
		return err
	}
	// A crash here leaves a tenant that is to be deleted without a job: the janitor makes it.
	j, err := jobs.ScheduleDeletion(k.Request.Context(), s.reading.Store, t.ID, t.Slug, t.DeleteAt)
	if err != nil {
		return err
	}
	if err := s.tenantChanged(k, audit.Delete, was, t); err != nil {
		return err
	}
	k.Writer.Header().Set("Location", "/api/v1/jobs/"+j.ID)
	return replyData(k, http.StatusAccepted, j)
}

// getJob answers a job of a tenant that the caller manages. One that is somebody else's is as absent as one that
// is not there.
func (s *Server) getJob(k *call) error {
	j, err := jobs.Read(k.Request.Context(), s.reading.Store, k.Param("id"))
	if err != nil {
		return err
	}
	if !k.principal.Platform() {
		t, err := s.access.Tenants.BySlug(k.Request.Context(), j.Tenant)
		if err != nil && fault.KindOf(err) != fault.NotFound {
			return err
		}
		if err != nil || t.ID != j.TenantID || !k.principal.Serves(t) { // the slug may be another tenant's by now
			return fault.New(fault.NotFound, "not_found", "there is no such job")
		}
	}
	return replyData(k, http.StatusOK, j)
}
