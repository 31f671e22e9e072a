// Package authtest makes principals and tenants for tests, by way of a real token and a real
// Authenticator: there is no other way to a Tenant.
package authtest

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"hash/crc32"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/internal/tenant"
)

// Secret signs the tokens of this package.
var Secret = auth.NewSecret("a secret for tests of thirty-two bytes or more")

// Tenant is the tenant of a slug, which must be a valid one. Its ID is the same in each run.
func Tenant(tb testing.TB, slug string) auth.Tenant {
	tb.Helper()
	return tenantOf(tb, slug, Everyone{})
}

// TenantWith is the tenant of a slug with settings of its own, in a version of them.
func TenantWith(tb testing.TB, slug string, version int64, settings tenant.Settings) auth.Tenant {
	tb.Helper()
	return tenantOf(tb, slug, chosen{version, settings})
}

func tenantOf(tb testing.TB, slug string, lookup auth.Lookup) auth.Tenant {
	tb.Helper()
	a, err := auth.New(auth.Config{Secret: Secret}, lookup, nil, telemetry.Discard())
	if err != nil {
		tb.Fatal(err)
	}
	p, err := a.Authenticate(tb.Context(), auth.Request{Header: Header(tb, []string{slug}, "reader")})
	if err != nil {
		tb.Fatal(err)
	}
	t, err := p.Tenant(tb.Context(), nil)
	if err != nil {
		tb.Fatalf("the tenant %q: %v", slug, err)
	}
	return t
}

// Header carries a token for the tenants with the roles.
func Header(tb testing.TB, tenants []string, roles ...string) http.Header {
	tb.Helper()
	token, _, _, err := auth.Mint(Secret, auth.Claims{Subject: "test", Tenants: tenants, Roles: roles, TTL: time.Hour})
	if err != nil {
		tb.Fatal(err)
	}
	return http.Header{"Authorization": {"Bearer " + token}}
}

// Everyone is a lookup to which every slug is a tenant.
type Everyone struct{}

// BySlug makes the tenant up.
func (Everyone) BySlug(_ context.Context, slug string) (*tenant.Info, error) {
	return &tenant.Info{ID: TenantID(slug), Slug: slug, Name: slug}, nil
}

// chosen is a lookup to which every slug is a tenant with these settings.
type chosen struct {
	version  int64
	settings tenant.Settings
}

func (c chosen) BySlug(_ context.Context, slug string) (*tenant.Info, error) {
	return &tenant.Info{ID: TenantID(slug), Slug: slug, Name: slug, Settings: c.settings, Version: c.version}, nil
}

// TenantID is the id that a tenant of this slug has here: 12 characters of [a-z2-7].
func TenantID(slug string) string {
	sum := sha256.Sum256([]byte(slug))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:12]
}

// KeyText is a whole API key of what stands before its checksum: ocl_, a public part, _ and a secret.
func KeyText(text string) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	sum := crc32.ChecksumIEEE([]byte(text))
	var end [6]byte
	for i := range end {
		end[len(end)-1-i] = digits[sum%62]
		sum /= 62
	}
	return text + string(end[:])
}
