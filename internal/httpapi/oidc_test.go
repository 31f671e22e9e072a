package httpapi

import (
	"net/http"
	"strings"
	"testing"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/signin"
	"github.com/ocelot-log/ocelot/internal/signin/signintest"
)

const callbackPath = "/api/v1/session/oidc/callback"

func TestAPersonOfAProviderGetsASession(t *testing.T) {
	provider := signintest.New(t)
	us, err := signin.New(signin.Config{Issuer: provider.URL, ClientID: signintest.ClientID, ClientSecret: auth.NewSecret(signintest.ClientSecret), RedirectURL: signintest.Callback,
		RolesClaim: "access.roles"})
	must(t, err)
	w := newWorld(t, func(p *parts) { p.access.SignIn = us })
	b := &browser{w: w, tls: true}
	a := b.do(t, nil, http.MethodGet, "/api/v1/session/oidc", "")
	if c := b.cookies; a.status != http.StatusSeeOther || len(c) != 1 || c[0].Name != "__Host-ocelot-signin" || !c[0].HttpOnly || !c[0].Secure || c[0].SameSite != http.SameSiteLaxMode || c[0].MaxAge > 600 {
		t.Fatalf("%d %s %v", a.status, a.body, c)
	}
	answer := callbackPath + "?" + provider.SignIn(t, a.header.Get("Location")).Encode()
	if a := (&browser{w: w, tls: true}).do(t, nil, http.MethodGet, answer, ""); a.status != http.StatusBadRequest || a.problem().Code != "signin_attempt_invalid" {
		t.Errorf("in another browser: %d %s", a.status, a.body)
	}
	attempt := b.cookies
	a = b.do(t, nil, http.MethodGet, answer, "")
	if c := b.cookies; a.status != http.StatusSeeOther || a.header.Get("Location") != "/" || len(c) != 1 || c[0].Name != "__Host-ocelot" || c[0].SameSite != http.SameSiteStrictMode {
		t.Fatalf("%d %s %v", a.status, a.body, c)
	}
	if s := made[sessionBody](t, b.do(t, nil, http.MethodGet, sessionPath, ""), http.StatusOK); s.Subject == "" || len(s.Tenants) != 1 || s.Tenants[0].ID != "acme" || strings.Join(s.Roles, " ") != "reader" || s.Platform {
		t.Errorf("%+v", s)
	}
	if a := b.do(t, nil, http.MethodGet, "/api/v1/logs", ""); a.status != http.StatusOK {
		t.Errorf("it reads: %d %s", a.status, a.body)
	}
	if a := b.do(t, nil, http.MethodGet, "/api/v1/logs", "", "X-Tenant-ID", "zeta"); a.status != http.StatusForbidden {
		t.Errorf("B3 it reads of another tenant: %d %s", a.status, a.body)
	}
	again := &browser{w: w, tls: true, cookies: attempt}
	if a := again.do(t, nil, http.MethodGet, answer, ""); a.status != http.StatusForbidden || a.problem().Code != "signin_failed" || len(again.cookies) != 0 {
		t.Errorf("the same answer again: %d %s %v", a.status, a.body, again.cookies)
	}
	if a := b.do(t, nil, http.MethodGet, callbackPath+"?a=%zz", ""); a.status != http.StatusBadRequest {
		t.Errorf("a query that can't be read: %d %s", a.status, a.body)
	}
	far := &browser{w: w, from: "203.0.113.1:1"}
	if a := far.do(t, nil, http.MethodGet, "/api/v1/session/oidc", ""); a.problem().Code != "https_required" {
		t.Errorf("from afar without TLS: %d %s", a.status, a.body)
	}
}

func TestWithoutAProviderThereIsNoSignIn(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/api/v1/session/oidc", callbackPath} {
		if a := w.do(t, nil, http.MethodGet, path, ""); a.status != http.StatusNotFound || a.problem().Code != "not_found" {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}

func TestAProviderThatDoesNotAnswerIsSaidSo(t *testing.T) {
	provider := signintest.New(t)
	us, err := signin.New(signin.Config{Issuer: provider.URL, ClientID: signintest.ClientID, RedirectURL: signintest.Callback})
	must(t, err)
	provider.Close()
	b := &browser{w: newWorld(t, func(p *parts) { p.access.SignIn = us })}
	if a := b.do(t, nil, http.MethodGet, "/api/v1/session/oidc", ""); a.status != http.StatusServiceUnavailable || a.problem().Code != "signin_unavailable" || strings.Contains(string(a.body), provider.URL) {
		t.Errorf("%d %s", a.status, a.body)
	}
}
