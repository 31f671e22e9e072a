package httpapi

import (
	"fmt"
	"strings"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/fault"
)

// access is who may use a route.
type access uint8

const (
	unruled  access = iota // nobody said; New refuses it
	open                   // everybody, without credentials
	known                  // everybody with credentials; the request is about no tenant
	writers                // those who may post entries of the request's tenant
	readers                // those who may read entries of the request's tenant
	admins                 // those who manage the request's tenant
	managers               // those who manage any tenant; the request is about none, or says in its body about which
	enders                 // managers, and everybody for the credential that they come with; the handler tells
	platform               // platform admins; the request is about no tenant
	owners                 // platform admins, about the request's tenant
)

// rule is what an access asks of the principal.
type rule struct {
	credentials bool
	role        auth.Role // 0: any, even none
	all         bool      // of all tenants
	tenant      bool      // the request is about one: that of the path, of X-Tenant-ID, or the principal's only one
}

// rules are all there are: the one place that says what an access means.
var rules = map[access]rule{
	open:     {},
	known:    {credentials: true},
	writers:  {credentials: true, role: auth.Writer, tenant: true},
	readers:  {credentials: true, role: auth.Reader, tenant: true},
	admins:   {credentials: true, role: auth.Admin, tenant: true},
	managers: {credentials: true, role: auth.Admin},
	enders:   {credentials: true},
	platform: {credentials: true, role: auth.Admin, all: true},
	owners:   {credentials: true, role: auth.Admin, all: true, tenant: true},
}

// tenantPath is the beginning of the paths that name the tenant which they are about.
const tenantPath = "/api/v1/tenants/:id"

// ruled is an error where nobody said who may use a route.
func ruled(all []route) error {
	for _, r := range all {
		if _, ok := rules[r.access]; !ok {
			return fmt.Errorf("httpapi: nobody said who may %s %s", r.method, r.path)
		}
	}
	return nil
}

// identify settles who is calling, whether they may, and for which tenant.
func (s *Server) identify(k *call, r route) error {
	rule := rules[r.access]
	if !rule.credentials {
		return s.uninvited(k)
	}
	p, err := s.authenticated(k, r, func() (auth.Principal, error) { return s.caller(k, r) })
	k.principal, k.known = p, err == nil || p.KeyID != "" || p.TokenID != "" || p.SessionID != "" // what is proven and may not be used now is somebody's all the same
	if err != nil {
		return err
	}
	if rule.role != 0 && !p.Can(rule.role) || rule.all && !p.Platform() {
		return fault.New(fault.Forbidden, "insufficient_role", "these credentials do not have the role for this")
	}
	if rule.tenant {
		k.tenant, err = tenantOf(k, r)
		return err
	}
	return p.Active(k.Request.Context())
}

// tenantOf is the tenant that a request is about. One that is in the path is a thing like any other: one that is
// absent and one that is somebody else's are both not found.
func tenantOf(k *call, r route) (auth.Tenant, error) {
	ctx, named := k.Request.Context(), k.Request.Header["X-Tenant-Id"]
	if !strings.HasPrefix(r.path, tenantPath) {
		return k.principal.Tenant(ctx, requestedTenants(k))
	}
	id := k.Param("id")
	if len(named) > 1 || len(named) == 1 && named[0] != id {
		return auth.Tenant{}, fault.New(fault.Malformed, "ambiguous_tenant", "the path names the tenant; leave X-Tenant-ID out")
	}
	t, err := k.principal.Tenant(ctx, []string{id})
	if kind := fault.KindOf(err); err != nil && (kind == fault.Forbidden || kind == fault.Malformed) {
		return t, errNoTenant
	}
	return t, err
}

var errNoTenant = fault.New(fault.NotFound, "tenant_not_found", "there is no such tenant, or it is not yours")
