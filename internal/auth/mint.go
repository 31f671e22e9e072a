package auth

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/ocelot-log/ocelot/internal/tenant"
)

// Claims are what a new token says.
type Claims struct {
	Subject  string
	Tenants  []string // slugs, or AllTenants
	Roles    []string // writer, reader, admin
	TTL      time.Duration
	MaxTTL   time.Duration // that an Authenticator takes; 0: 8,760 h
	Issuer   string        // empty: none
	Audience string        // empty: none
	Filter   string        // a search that bounds which entries the token is for; empty: all

	TenantsClaim, RolesClaim string // as an Authenticator is told; empty: tenants, roles
}

// Mint makes a token that an Authenticator with the same secret accepts. It returns the token, its id (jti)
// and when it expires.
func Mint(secret Secret, c Claims) (token, jti string, expires time.Time, err error) {
	if err := checkSecret("JWT_SECRET", secret); err != nil {
		return "", "", time.Time{}, err
	}
	if err := c.check(); err != nil {
		return "", "", time.Time{}, err
	}
	now := time.Now().Truncate(time.Second)
	jti, expires = rand.Text(), now.Add(c.TTL.Truncate(time.Second))
	token, err = sign(secret, claimNames{c.TenantsClaim, c.RolesClaim}, &claims{Issuer: c.Issuer, Audience: audienceOf(c.Audience), Subject: c.Subject, Tenants: listed(c.Tenants), Roles: listed(c.Roles), ID: jti, Purpose: accessPurpose, Filter: c.Filter,
		IssuedAt: &numericDate{now}, ExpiresAt: &numericDate{expires}})
	return token, jti, expires, err
}

func sign(secret Secret, names claimNames, c *claims) (string, error) {
	if err := names.check(); err != nil {
		return "", err
	}
	c.named = names
	t := jwt.NewWithClaims(jwt.SigningMethodHS256, c)
	t.Header["typ"] = "at+jwt"
	return t.SignedString([]byte(secret.Reveal()))
}

func (c Claims) check() error {
	if most := cmp.Or(c.MaxTTL, defaultMaxTTL); c.TTL < time.Second || c.TTL > most {
		return fmt.Errorf("a token is valid for at least 1s and at most %s (JWT_MAX_TTL), not %s", most, c.TTL)
	}
	if len(c.Tenants) == 0 || len(c.Roles) == 0 {
		return fmt.Errorf("a token needs a tenant and a role")
	}
	for _, slug := range c.Tenants {
		if slug != AllTenants && !tenant.ValidSlug(slug) {
			return fmt.Errorf("%q is no tenant: 3 to 40 of a-z, 0-9 and -, or %s for all", slug, AllTenants)
		}
	}
	if i := slices.IndexFunc(c.Roles, func(name string) bool { _, ok := ParseRole(name); return !ok }); i >= 0 {
		return fmt.Errorf("%q is no role: writer, reader or admin", c.Roles[i])
	}
	_, err := newScope([]string{c.Filter})
	return err
}
