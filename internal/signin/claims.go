package signin

import (
	"slices"
	"strings"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/tenant"
)

// maxTenants bounds what a provider may hand out to one person; more are no list but a mistake.
const maxTenants = 200

// identity reads who somebody is. What is no tenant and no role of ours is left out: a provider serves others too.
func (p *Provider) identity(subject string, claims map[string]any) (Identity, error) {
	id := Identity{Subject: subject, Name: subject}
	if mail, _ := claims["email"].(string); mail != "" && claims["email_verified"] == true {
		id.Name = mail
	}
	for _, slug := range texts(claims, p.cfg.TenantsClaim) {
		if (slug == auth.AllTenants || tenant.ValidSlug(slug)) && !slices.Contains(id.Tenants, slug) && len(id.Tenants) < maxTenants {
			id.Tenants = append(id.Tenants, slug)
		}
	}
	for _, name := range texts(claims, p.cfg.RolesClaim) {
		if _, ok := auth.ParseRole(name); ok && !slices.Contains(id.Roles, name) {
			id.Roles = append(id.Roles, name)
		}
	}
	if subject == "" || len(id.Tenants) == 0 || len(id.Roles) == 0 {
		return Identity{}, fault.New(fault.Forbidden, "signin_no_access", "the provider knows you, but gives you no tenant or no role here; ask who manages it")
	}
	return id, nil
}

// texts are the strings of a claim: a list of them, or one alone. A name that is no claim leads by its dots into
// objects, as in realm_access.roles.
func texts(claims map[string]any, name string) []string {
	value, there := claims[name]
	if !there {
		first, rest, dotted := strings.Cut(name, ".")
		inner, ok := claims[first].(map[string]any)
		if !dotted || !ok {
			return nil
		}
		return texts(inner, rest)
	}
	switch v := value.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, item := range v {
			if text, ok := item.(string); ok {
				all = append(all, text)
			}
		}
		return all
	}
	return nil
}
