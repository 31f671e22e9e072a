package auth

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/internal/tenant"
)

func principal(t *testing.T, a *Authenticator, tenants, roles string) Principal {
	t.Helper()
	claims := fmt.Sprintf(`{"sub":"ada","tenants":%s,"roles":%s,"exp":%d}`, tenants, roles, time.Now().Add(time.Hour).Unix())
	p, err := a.Authenticate(t.Context(), Request{Header: bearer(signed(plainHeader, claims, sha256.New))})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestTheTenantOfARequest(t *testing.T) {
	a := newAuthenticator(t)
	for name, c := range map[string]struct {
		tenants   string
		requested []string
		slug      string
		code      string
		kind      fault.Kind
	}{
		"one tenant needs nothing":                      {`["acme"]`, nil, "acme", "", 0},
		"one tenant may be named":                       {`["acme"]`, []string{"acme"}, "acme", "", 0},
		"one of several must be named":                  {`["acme","zeta"]`, nil, "", "tenant_required", fault.Malformed},
		"one of several is named":                       {`["acme","zeta"]`, []string{"zeta"}, "zeta", "", 0},
		"an empty name is none":                         {`["acme"]`, []string{""}, "", "tenant_required", fault.Malformed},
		"a platform token must name one":                {`["*"]`, nil, "", "tenant_required", fault.Malformed},
		"a platform token names any":                    {`["*"]`, []string{"zeta"}, "zeta", "", 0},
		"a platform token names one that is not there":  {`["*"]`, []string{"nobody"}, "", "tenant_forbidden", fault.Forbidden},
		"somebody else's":                               {`["acme"]`, []string{"zeta"}, "", "tenant_forbidden", fault.Forbidden},
		"one that does not exist":                       {`["acme"]`, []string{"nobody"}, "", "tenant_forbidden", fault.Forbidden},
		"one that is no slug":                           {`["acme"]`, []string{"a/../b"}, "", "tenant_forbidden", fault.Forbidden},
		"the mark of all tenants is no tenant":          {`["*"]`, []string{"*"}, "", "tenant_forbidden", fault.Forbidden},
		"a list in one header":                          {`["acme","zeta"]`, []string{"acme,zeta"}, "", "ambiguous_tenant", fault.Malformed},
		"two headers of a platform admin":               {`["*"]`, []string{"acme", "acme"}, "", "ambiguous_tenant", fault.Malformed},
		"a token for no tenant":                         {`[]`, nil, "", "tenant_forbidden", fault.Forbidden},
		"a token for no tenant that names one":          {`[]`, []string{"acme"}, "", "tenant_forbidden", fault.Forbidden},
		"the token's tenant is gone":                    {`["gone"]`, nil, "", "tenant_disabled", fault.Unauthenticated},
		"the token's tenant is suspended":               {`["still"]`, nil, "", "tenant_disabled", fault.Unauthenticated},
		"the token's tenant is to be deleted":           {`["acme","leaving"]`, []string{"leaving"}, "", "tenant_disabled", fault.Unauthenticated},
		"a platform token for a suspended tenant":       {`["*"]`, []string{"still"}, "still", "", 0},
		"a platform token for one to be deleted":        {`["*"]`, []string{"leaving"}, "leaving", "", 0},
		"a platform token for one that is removed":      {`["*"]`, []string{"left"}, "", "tenant_forbidden", fault.Forbidden},
		"a token for something that is not even a slug": {`["A/B"]`, nil, "", "tenant_forbidden", fault.Forbidden},
	} {
		t.Run(name, func(t *testing.T) {
			tn, err := principal(t, a, c.tenants, `["admin"]`).Tenant(t.Context(), c.requested)
			if codeOf(err) != c.code || err != nil && fault.KindOf(err) != c.kind {
				t.Fatalf("%v, want %q", err, c.code)
			}
			if tn.Slug() != c.slug || tn.IsZero() != (err != nil) {
				t.Errorf("got %q %q", tn.Slug(), tn.ID())
			}
		})
	}
}

func TestWhoMayActForATenantIsActive(t *testing.T) {
	a := newAuthenticator(t)
	for tenants, code := range map[string]string{
		`["acme"]`: "", `["*"]`: "", `[]`: "", `["gone","acme"]`: "", `["still","acme"]`: "",
		`["gone"]`: "tenant_disabled", `["still"]`: "tenant_disabled", `["leaving","left"]`: "tenant_disabled",
	} {
		if err := principal(t, a, tenants, `["admin"]`).Active(t.Context()); codeOf(err) != code {
			t.Errorf("%s: %v, want %q", tenants, err, code)
		}
	}
	b, err := New(Config{Secret: NewSecret(testSecret)}, tenants(nil), nil, discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := principal(t, b, `["acme"]`, `["admin"]`).Active(t.Context()); fault.KindOf(err) != fault.Unavailable {
		t.Error(err)
	}
}

func TestSomebodyElsesTenantLooksLikeNone(t *testing.T) {
	p := principal(t, newAuthenticator(t), `["acme"]`, `["reader"]`)
	_, foreign := p.Tenant(t.Context(), []string{"zeta"})
	_, absent := p.Tenant(t.Context(), []string{"nobody"})
	if foreign == nil || absent == nil || foreign.Error() != absent.Error() {
		t.Errorf("%v\n%v", foreign, absent)
	}
}

func TestAnUnreadableListOfTenantsIsNoVerdict(t *testing.T) {
	a, err := New(Config{Secret: NewSecret(testSecret)}, tenants(nil), nil, telemetry.Discard())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := principal(t, a, `["acme"]`, `["reader"]`).Tenant(t.Context(), nil); fault.KindOf(err) != fault.Unavailable {
		t.Error(err)
	}
}

func TestRoles(t *testing.T) {
	a := newAuthenticator(t)
	for _, c := range []struct {
		tenants, roles                  string
		writer, reader, admin, platform bool
	}{
		{`["acme"]`, `["writer"]`, true, false, false, false},
		{`["acme"]`, `["reader"]`, false, true, false, false},
		{`["acme"]`, `["reader","writer"]`, true, true, false, false},
		{`["acme"]`, `["admin"]`, true, true, true, false},
		{`["acme"]`, `["Admin","root","*"]`, false, false, false, false},
		{`["acme"]`, `[]`, false, false, false, false},
		{`["*"]`, `["reader"]`, false, true, false, false},
		{`["*"]`, `["admin"]`, true, true, true, true},
	} {
		p := principal(t, a, c.tenants, c.roles)
		if p.Can(Writer) != c.writer || p.Can(Reader) != c.reader || p.Can(Admin) != c.admin || p.Platform() != c.platform {
			t.Errorf("%s %s: %v %v %v %v", c.tenants, c.roles, p.Can(Writer), p.Can(Reader), p.Can(Admin), p.Platform())
		}
	}
	if zero := (Principal{}); zero.Can(Writer) || zero.Can(Reader) || zero.Can(Admin) || zero.Platform() {
		t.Error("the zero principal may do something")
	}
	if tn, err := (Principal{}).Tenant(t.Context(), []string{"acme"}); err == nil || !tn.IsZero() {
		t.Errorf("the zero principal has a tenant: %v", tn)
	}
}

func TestMintedTokensAreAccepted(t *testing.T) {
	a := newAuthenticator(t, func(c *Config) { c.Issuer, c.Audience = "ocelot", "logs" })
	token, jti, expires, err := Mint(NewSecret(testSecret), Claims{Subject: "ada", Tenants: []string{"acme", "zeta"}, Roles: []string{"reader", "writer"},
		TTL: time.Hour, Issuer: "ocelot", Audience: "logs"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := a.Authenticate(t.Context(), Request{Header: bearer(token)})
	if err != nil || p.Subject != "ada" || p.TokenID != jti || jti == "" || !p.Can(Reader) || !p.Can(Writer) || p.Can(Admin) || !p.Owns("zeta") {
		t.Errorf("%+v %v", p, err)
	}
	if left := time.Until(expires); left < 59*time.Minute || left > time.Hour {
		t.Errorf("expires in %s", left)
	}
}

func TestMintRefuses(t *testing.T) {
	for name, c := range map[string]Claims{
		"no tenant":          {Roles: []string{"reader"}, TTL: time.Hour},
		"no role":            {Tenants: []string{"acme"}, TTL: time.Hour},
		"what is no slug":    {Tenants: []string{"Acme"}, Roles: []string{"reader"}, TTL: time.Hour},
		"what is no role":    {Tenants: []string{"acme"}, Roles: []string{"root"}, TTL: time.Hour},
		"no time":            {Tenants: []string{"acme"}, Roles: []string{"reader"}},
		"more than one year": {Tenants: []string{"acme"}, Roles: []string{"reader"}, TTL: 8761 * time.Hour},
		"more than is taken": {Tenants: []string{"acme"}, Roles: []string{"reader"}, TTL: time.Hour, MaxTTL: time.Minute},
		"what is no filter":  {Tenants: []string{"acme"}, Roles: []string{"reader"}, TTL: time.Hour, Filter: "service:("},
	} {
		if token, _, _, err := Mint(NewSecret(testSecret), c); err == nil || token != "" {
			t.Errorf("%s: %q", name, token)
		}
	}
}

// TestSecretsNeverShow is L10 for the type; internal/config has the dump of the settings.
func TestSecretsNeverShow(t *testing.T) {
	s := NewSecret(testSecret)
	text, err := json.Marshal(map[string]any{"secret": s})
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q %x", s, s, s, s, s, s), fmt.Sprintf("%+v", Config{Secret: s}), string(text), http.Header{"A": {s.String()}}.Get("A")} {
		if len(shown) == 0 || strings.Contains(shown, testSecret) || strings.Contains(shown, fmt.Sprintf("%x", testSecret)) {
			t.Errorf("%q", shown)
		}
	}
}

// born is a lookup to which every slug is a tenant that was created then.
type born time.Time

func (b born) BySlug(_ context.Context, slug string) (*tenant.Info, error) {
	return &tenant.Info{ID: "aaaaaaaaaaaa", Slug: slug, CreatedAt: time.Time(b)}, nil
}

func TestATokenIsNotForALaterTenantOfTheSameName(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		tenants string
		issued  time.Duration // after the tenant was created
		code    string
	}{
		"issued after the tenant was created":           {`["acme"]`, time.Minute, ""},
		"issued a moment before, by clocks that differ": {`["acme"]`, -defaultLeeway + time.Second, ""},
		"issued before": {`["acme"]`, -defaultLeeway - 2*time.Second, "tenant_disabled"},
		"for all tenants, whenever they are created": {`["*"]`, -time.Hour, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := newShelf().process(t)
			claims := fmt.Sprintf(`{"sub":"ada","tenants":%s,"roles":["admin"],"iat":%d,"exp":%d}`, c.tenants, now.Add(-time.Hour).Unix(), now.Add(time.Hour).Unix())
			p, err := a.Authenticate(t.Context(), Request{Header: bearer(signed(plainHeader, claims, sha256.New))})
			if err != nil {
				t.Fatal(err)
			}
			p.lookup = born(now.Add(-time.Hour - c.issued))
			if _, err := p.Tenant(t.Context(), []string{"acme"}); codeOf(err) != c.code {
				t.Errorf("the token: %v, want %q", err, c.code)
			}
			cookie, _, err := a.Sessions().Start(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			of, err := a.Sessions().Principal(t.Context(), cookie, netip.Addr{})
			if err != nil {
				t.Fatal(err)
			}
			of.lookup = p.lookup
			if _, err := of.Tenant(t.Context(), []string{"acme"}); codeOf(err) != c.code {
				t.Errorf("a session made with it: %v, want %q", err, c.code)
			}
		})
	}
}
