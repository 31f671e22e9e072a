package httpapi

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

const tokensPath = "/api/v1/tokens"

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

func TestTheLifeOfAToken(t *testing.T) {
	w := newWorld(t)
	admin := authHeader(t, "acme", "admin")
	token := made[tokenBody](t, w.do(t, admin, http.MethodPost, tokensPath, `{"tenants":["acme"],"role":"reader","ttl":"30m","subject":"ada","filter":"service:billing"}`), http.StatusCreated)
	if token.Token == "" || token.JTI == "" || token.Subject != "ada" || token.Issuer != "test" || token.Role != "reader" || token.Filter != "service:billing" || time.Until(token.ExpiresAt).Round(time.Minute) != 30*time.Minute {
		t.Fatalf("%+v", token)
	}
	if a := w.do(t, bearer(token.Token), http.MethodGet, "/api/v1/logs", ""); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	list := w.do(t, admin, http.MethodGet, tokensPath, "")
	if all := made[[]tokenBody](t, list, http.StatusOK); len(all) != 1 || all[0].JTI != token.JTI || strings.Contains(string(list.body), token.Token) {
		t.Errorf("L3 listed: %s", list.body)
	}
	if all := made[[]tokenBody](t, w.do(t, authHeader(t, "zeta", "admin"), http.MethodGet, tokensPath, ""), http.StatusOK); len(all) != 0 {
		t.Errorf("another tenant sees %+v", all)
	}
	if a := w.do(t, authHeader(t, "zeta", "admin"), http.MethodDelete, tokensPath+"/"+token.JTI, ""); a.status != http.StatusOK {
		t.Errorf("another tenant ends it: %d %s", a.status, a.body) // the same for a jti that nobody has
	}
	if a := w.do(t, bearer(token.Token), http.MethodGet, "/api/v1/logs", ""); a.status != http.StatusOK {
		t.Errorf("another tenant has ended it: %d %s", a.status, a.body)
	}
	made[ended](t, w.do(t, admin, http.MethodDelete, tokensPath+"/"+token.JTI, ""), http.StatusOK)
	if a := w.do(t, bearer(token.Token), http.MethodGet, "/api/v1/logs", ""); a.status != http.StatusUnauthorized || a.problem().Code != "token_revoked" {
		t.Errorf("A12 %d %s", a.status, a.body)
	}
	if all := made[[]tokenBody](t, w.do(t, admin, http.MethodGet, tokensPath, ""), http.StatusOK); len(all) != 1 || all[0].RevokedAt.IsZero() {
		t.Errorf("%+v", all)
	}
}

func TestAnybodyMayEndTheOwnToken(t *testing.T) {
	w := newWorld(t)
	token := made[tokenBody](t, w.do(t, authHeader(t, "acme", "admin"), http.MethodPost, tokensPath, `{"tenants":["acme"],"role":"reader"}`), http.StatusCreated)
	if a := w.do(t, authHeader(t, "acme", "reader"), http.MethodDelete, tokensPath+"/"+token.JTI, ""); a.status != http.StatusForbidden {
		t.Errorf("a reader ends another's: %d %s", a.status, a.body)
	}
	made[ended](t, w.do(t, bearer(token.Token), http.MethodDelete, tokensPath+"/"+token.JTI, ""), http.StatusOK)
	if a := w.do(t, bearer(token.Token), http.MethodGet, "/api/v1/logs", ""); a.problem().Code != "token_revoked" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestATokenIsNeverWiderThanItsIssuer(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		as     http.Header
		body   string
		status int
		code   string
	}{
		"L2 a reader":                          {authHeader(t, "acme", "reader"), `{"tenants":["acme"],"role":"reader"}`, 403, "insufficient_role"},
		"L2 a writer":                          {authHeader(t, "acme", "writer"), `{"tenants":["acme"],"role":"writer"}`, 403, "insufficient_role"},
		"L2 a tenant's admin for all tenants":  {authHeader(t, "acme", "admin"), `{"tenants":["*"],"role":"admin"}`, 403, "insufficient_role"},
		"a tenant's admin for another":         {authHeader(t, "acme", "admin"), `{"tenants":["zeta"],"role":"reader"}`, 403, "wider_than_issuer"},
		"a tenant's admin for one that is not": {authHeader(t, "acme", "admin"), `{"tenants":["nosuch"],"role":"reader"}`, 403, "wider_than_issuer"},
		"a platform admin for all tenants":     {authHeader(t, "*", "admin"), `{"tenants":["*"],"role":"admin","ttl":"5m"}`, 201, ""},
		"one that outlives its issuer":         {authHeader(t, "acme", "admin"), `{"tenants":["acme"],"role":"reader","ttl":"100h"}`, 403, "wider_than_issuer"},
		"no tenants":                           {authHeader(t, "acme", "admin"), `{"role":"reader"}`, 422, "tenants_invalid"},
		"no role":                              {authHeader(t, "acme", "admin"), `{"tenants":["acme"]}`, 422, "role_invalid"},
		"no time":                              {authHeader(t, "acme", "admin"), `{"tenants":["acme"],"role":"reader","ttl":"soon"}`, 422, "ttl_invalid"},
		"L1 more than is asked for":            {authHeader(t, "acme", "admin"), `{"tenants":["acme"],"role":"reader","jti":"mine"}`, 400, "unknown_field"},
		"L1 an issuer of one's choice":         {authHeader(t, "acme", "admin"), `{"tenants":["acme"],"role":"reader","iss":"x"}`, 400, "unknown_field"},
		"L2 a tenant's admin makes a tenant":   {authHeader(t, "acme", "admin"), ``, 403, "insufficient_role"},
	} {
		path := tokensPath
		if c.body == "" {
			path, c.body = "/api/v1/tenants", `{"id":"mine"}`
		}
		if a := w.do(t, c.as, http.MethodPost, path, c.body); a.status != c.status || a.problem().Code != c.code {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}
