package auth

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/tenant"
)

// AllTenants stands in a token for every tenant there is and will be.
const AllTenants = "*"

// Lookup finds a tenant by its slug. Kind NotFound: there is none. What it returns is never changed.
type Lookup interface {
	BySlug(ctx context.Context, slug string) (*tenant.Info, error)
}

// Principal is who is calling. The zero value may do nothing.
type Principal struct {
	Subject string // who the credentials were given to; stands in audit entries
	TokenID string // by which the token can be revoked; empty: no token
	KeyID   string // of the API key; empty: no key

	SessionID string // of a browser's session; empty: none. TokenID or KeyID then say what it was made with

	owner    string   // where it is not the subject
	tenants  []string // slugs; AllTenants among them for all
	tenantID string   // the internal id of the one tenant, where the credential is bound to it; empty: by slug
	roles    Role
	scope    scope
	from     []netip.Prefix // where it may be used from; none: from everywhere
	issued   time.Time      // the credential; zero: nobody says. Tenants that were created later are others of the same name
	expires  time.Time      // of the credential; zero: never
	lookup   Lookup
}

// holds says whether the principal has all of these roles.
func (p Principal) holds(roles Role) bool { return p.roles&Admin != 0 || p.roles&roles == roles }

// cameFrom says whether the principal's credential may be used from an address. Kind Forbidden, code ip_not_allowed.
func (p Principal) cameFrom(client netip.Addr) error {
	if len(p.from) == 0 {
		return nil
	}
	client = client.Unmap().WithZone("")
	if slices.ContainsFunc(p.from, func(n netip.Prefix) bool { return n.Contains(client) }) {
		return nil
	}
	return fault.New(fault.Forbidden, "ip_not_allowed", "these credentials may not be used from this address")
}

// Owner is whose the things are that the service keeps for the principal: the subject, but for an API key that of the
// first one of those that were rotated to it. Empty: nobody's.
func (p Principal) Owner() string { return cmp.Or(p.owner, p.Subject) }

// Tenants are the slugs of the principal's tenants, or AllTenants.
func (p Principal) Tenants() []string { return slices.Clone(p.tenants) }

// Roles are the names of the principal's roles.
func (p Principal) Roles() []string { return p.roles.Names() }

// Expires is when the credential ends by itself; zero: never.
func (p Principal) Expires() time.Time { return p.expires }

// Scope is which entries of its tenants the principal may read and write; nil: all of them.
func (p Principal) Scope() query.Node { return p.scope.node }

// Filter is the scope as a search; empty: all entries.
func (p Principal) Filter() string { return p.scope.String() }

// Can says whether the principal has a role; an admin has them all.
func (p Principal) Can(r Role) bool { return p.roles&(r|Admin) != 0 }

// Platform says whether this is a platform admin: an admin of all tenants, who may create them.
func (p Principal) Platform() bool { return p.roles&Admin != 0 && p.all() }

// Owns says whether the principal may act for the tenant of this slug, if there is one.
func (p Principal) Owns(slug string) bool { return p.all() || slices.Contains(p.tenants, slug) }

func (p Principal) all() bool { return slices.Contains(p.tenants, AllTenants) }

// Tenant is the one tenant that a request is about. requested are the values of X-Tenant-ID as they were
// sent: none is enough for a principal with one tenant, everybody else names one.
//
// Faults: Malformed ambiguous_tenant (more than one named), Malformed tenant_required (none named),
// Forbidden tenant_forbidden (not the principal's, the same whether it exists or not),
// Unauthenticated tenant_disabled (the principal's, but it is gone, suspended or to be deleted). A platform
// admin may still act for a tenant that is suspended or to be deleted, until its removal begins.
func (p Principal) Tenant(ctx context.Context, requested []string) (Tenant, error) {
	if len(requested) > 1 || len(requested) == 1 && strings.Contains(requested[0], ",") {
		return Tenant{}, fault.New(fault.Malformed, "ambiguous_tenant", "X-Tenant-ID must name one tenant, once")
	}
	var slug string
	switch {
	case len(requested) == 1 && requested[0] != "":
		slug = requested[0]
	case len(requested) == 0 && len(p.tenants) == 1 && !p.all():
		slug = p.tenants[0]
	case len(p.tenants) == 0:
		return Tenant{}, forbidden()
	default:
		return Tenant{}, fault.New(fault.Malformed, "tenant_required", "name the tenant that this request is about in X-Tenant-ID")
	}
	if !p.Owns(slug) || !tenant.ValidSlug(slug) || p.lookup == nil {
		return Tenant{}, forbidden()
	}
	info, err := p.lookup.BySlug(ctx, slug)
	switch {
	case err == nil && p.serves(info):
		return Tenant{id: info.ID, slug: info.Slug, settings: &info.Settings, version: info.Version}, nil
	case err != nil && fault.KindOf(err) != fault.NotFound:
		return Tenant{}, fault.Wrap(err, "find the tenant")
	case p.all():
		return Tenant{}, forbidden()
	default:
		return Tenant{}, disabled()
	}
}

// Serves says whether the principal may act for a tenant as it is now. Where it may not, nothing of the tenant is for it.
func (p Principal) Serves(t *tenant.Info) bool { return p.Owns(t.Slug) && p.serves(t) }

// serves is Serves of a tenant that the principal owns.
func (p Principal) serves(t *tenant.Info) bool {
	return p.means(t) && (!t.Disabled() || p.Platform() && !t.Gone(time.Now()))
}

// Means says whether a tenant, whatever its state, is one that the principal's credential was made for.
func (p Principal) Means(t *tenant.Info) bool { return p.Owns(t.Slug) && p.means(t) }

// means says whether a tenant that the principal owns is the one that its credential was made for: a later tenant of the
// same name is another one.
func (p Principal) means(t *tenant.Info) bool {
	if p.tenantID != "" && p.tenantID != t.ID {
		return false
	}
	return p.issued.IsZero() || p.all() || !p.issued.Add(defaultLeeway).Before(t.CreatedAt)
}

// ends are the tenants whose tokens the principal has a say over: not those that came later under the same name.
func (p Principal) ends(ctx context.Context) ([]string, error) {
	if p.all() {
		return []string{AllTenants}, nil
	}
	var slugs []string
	for _, slug := range p.tenants {
		info, err := p.lookup.BySlug(ctx, slug)
		switch {
		case err != nil && fault.KindOf(err) != fault.NotFound:
			return nil, fault.Wrap(err, "find the tenant")
		case err != nil || p.means(info):
			slugs = append(slugs, slug)
		}
	}
	return slugs, nil
}

// Active is nil where the principal may act for any tenant at all: for requests that are about no tenant.
// Fault: Unauthenticated tenant_disabled (every tenant of the principal is gone, suspended or to be deleted).
func (p Principal) Active(ctx context.Context) error {
	if p.all() || len(p.tenants) == 0 {
		return nil
	}
	for _, slug := range p.tenants {
		switch info, err := p.lookup.BySlug(ctx, slug); {
		case err == nil && p.serves(info):
			return nil
		case err != nil && fault.KindOf(err) != fault.NotFound:
			return fault.Wrap(err, "find the tenant")
		}
	}
	return disabled()
}

func disabled() error {
	return fault.New(fault.Unauthenticated, "tenant_disabled", "the tenant of these credentials does not exist, or it is suspended or being deleted")
}

func forbidden() error {
	return fault.New(fault.Forbidden, "tenant_forbidden", "these credentials are not for this tenant")
}
