package httpapi

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

func TestA6NobodyIsAskedForTheKeyThatATokenNames(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var asked atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			_ = conn.Close()
		}
	}()
	w := newWorld(t)
	address := listen(t, w)
	at := "http://" + l.Addr().String() + "/keys"
	for _, named := range []string{`"jku":"` + at + `"`, `"x5u":"` + at + `"`, `"jwk":{"kty":"oct","k":"` + base64.RawURLEncoding.EncodeToString([]byte("mine")) + `"}`} {
		token := expand(t, "{{jwt `{\"alg\":\"HS256\","+named+"}` `{\"exp\":@1h,\"tenants\":[\"acme\"],\"roles\":[\"admin\"],\"typ\":\"access\"}`}}")
		status, header, body := send(t, address, []byte("GET /api/v1/logs HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer "+token+"\r\n\r\n"), false)
		if p := (answer{status, header, body}).problem(); status != http.StatusUnauthorized || p.Code != "token_invalid" {
			t.Errorf("A6 %.8s: %d %s", named, status, body)
		}
	}
	_ = l.Close()
	<-done
	if n := asked.Load(); n != 0 {
		t.Errorf("A6 it was asked %d times", n)
	}
}

func TestB5ACursorIsOneTenants(t *testing.T) {
	w := newWorld(t)
	w.put(t, "acme", logentry.Entry{Message: "one"}, logentry.Entry{Message: "two"})
	w.put(t, "zeta", logentry.Entry{Message: "one"}, logentry.Entry{Message: "two"})
	next := w.search(t, authHeader(t, "acme", "reader"), "limit=1").Meta.Pagination.Next
	if next == nil {
		t.Fatal("no cursor")
	}
	if a := w.do(t, authHeader(t, "zeta", "reader"), http.MethodGet, "/api/v1/logs?limit=1&cursor="+*next, ""); a.status != http.StatusBadRequest || a.problem().Code != "cursor_invalid" {
		t.Errorf("B5 %d %s", a.status, a.body)
	}
}

func TestB7TheTenantIsNoField(t *testing.T) {
	w := newWorld(t)
	w.put(t, "zeta", logentry.Entry{Message: "theirs", Service: "zeta"})
	reader := authHeader(t, "acme", "reader")
	for _, q := range []string{"q=tenant_id:zeta", "tenant_id=zeta", "_index=x", "sort=tenant_id", "highlight=tenant_id", "highlight.fields=tenant_id"} {
		if a := w.do(t, reader, http.MethodGet, "/api/v1/logs?"+q, ""); a.status != http.StatusBadRequest {
			t.Errorf("B7 %s: %d %s", q, a.status, a.body)
		}
	}
	for path, code := range map[string]string{"/stats?facets=tenant_id": "field_not_allowed", "/stats?facets=_index": "field_not_allowed", "/stats?metrics=count&group_by=tenant_id": "field_not_allowed",
		"/fields/tenant_id/values": "field_not_allowed", "/fields/_id/values": "field_not_allowed"} {
		if a := w.do(t, reader, http.MethodGet, "/api/v1/logs"+path, ""); a.status != http.StatusBadRequest || a.problem().Code != code {
			t.Errorf("B7 %s: %d %s", path, a.status, a.body)
		}
	}
	for _, q := range []string{"q=_index:*", "q=_id:*", "q=_exists_:tenant_id", "q=NOT+acme", "q=theirs+OR+-theirs"} { // refused, or text like any other
		if a := w.do(t, reader, http.MethodGet, "/api/v1/logs?"+q, ""); a.status != http.StatusBadRequest && !strings.Contains(string(a.body), `"total":0`) {
			t.Errorf("B7 %s: %d %s", q, a.status, a.body)
		}
	}
}

func TestL9LabelsOfMetricsAreBounded(t *testing.T) {
	w := newWorld(t)
	for i := range 200 {
		w.do(t, http.Header{}, "INVENTED"+strings.Repeat("X", i), fmt.Sprintf("/api/v1/invented/%d", i), "", "X-Tenant-ID", fmt.Sprintf("tenant-%d", i))
		w.do(t, authHeader(t, "acme", "reader"), http.MethodGet, fmt.Sprintf("/api/v1/logs/0197fd60-0000-7000-8000-%012d", i), "")
	}
	rec := newRecorder()
	r := newRequest(t, nil, http.MethodGet, "/metrics", "")
	w.MetricsHandler().ServeHTTP(rec, r)
	text := string(rec.body)
	if n := strings.Count(text, "ocelot_http_requests_total{"); n == 0 || n > 10 {
		t.Errorf("L9 %d series of requests", n)
	}
	for _, word := range []string{"invented", "INVENTED", "tenant-1", "0197fd60"} {
		if strings.Contains(text, word) {
			t.Errorf("L9 %q is in the metrics", word)
		}
	}
}

// TestL3AKeyIsShownOnceAndStandsInNoLog also asks for what a key of the wrong kind could be seen by.
func TestL3AKeyIsShownOnceAndStandsInNoLog(t *testing.T) {
	w, log := loggedWorld(t)
	admin := authHeader(t, "acme", "admin")
	key := made[keyBody](t, w.do(t, admin, http.MethodPost, keysOfAcme, `{"name":"k","role":"reader"}`), http.StatusCreated)
	token := made[tokenBody](t, w.do(t, admin, http.MethodPost, tokensPath, `{"tenants":["acme"],"role":"reader"}`), http.StatusCreated)
	secrets := []string{key.Key, token.Token, admin.Get("Authorization")[7:], token.Token[strings.LastIndexByte(token.Token, '.'):]}
	b := &browser{w: w}
	b.signIn(t, withKey(key.Key))
	secrets = append(secrets, b.cookies[0].Value)
	// A13: a credential in the URL is in no log either.
	for _, path := range []string{keysOfAcme, tokensPath, sessionPath, "/api/v1/tenants", keysOfAcme + "/" + key.ID, "/api/v1/logs?api_key=" + key.Key, "/api/v1/logs?q=" + key.Key, "/api/v1/" + key.Key} {
		for _, header := range []http.Header{admin, withKey(key.Key), bearer(token.Token), bearer(token.Token + "x"), withKey(key.Key[:len(key.Key)-1] + "!")} {
			a := w.do(t, header, http.MethodGet, path, "")
			for _, s := range secrets {
				if strings.Contains(string(a.body), s) || strings.Contains(fmt.Sprint(a.header), s) {
					t.Errorf("L3 %s: %d %s", path, a.status, a.body)
				}
			}
		}
	}
	for _, s := range secrets {
		if strings.Contains(log.String(), s) {
			t.Errorf("L3 a secret is logged")
		}
	}
}

func TestL11WhatAdminsDoWithCredentialsIsNotedAndSoIsWhatIsRefused(t *testing.T) {
	w, n := auditedWorld(t)
	admin := authHeader(t, "acme", "admin")
	key := made[keyBody](t, w.do(t, admin, http.MethodPost, keysOfAcme, `{"name":"k","role":"reader"}`), http.StatusCreated)
	made[keyBody](t, w.do(t, admin, http.MethodPatch, keysOfAcme+"/"+key.ID, `{"disabled":true}`), http.StatusOK)
	made[keyBody](t, w.do(t, admin, http.MethodPatch, keysOfAcme+"/"+key.ID, `{"disabled":false}`), http.StatusOK)
	next := made[keyBody](t, w.do(t, admin, http.MethodPost, keysOfAcme+"/"+key.ID+"/rotate", `{}`), http.StatusCreated)
	made[ended](t, w.do(t, admin, http.MethodDelete, keysOfAcme+"/"+key.ID, ""), http.StatusOK)
	token := made[tokenBody](t, w.do(t, admin, http.MethodPost, tokensPath, `{"tenants":["acme"],"role":"reader"}`), http.StatusCreated)
	made[ended](t, w.do(t, admin, http.MethodDelete, tokensPath+"/"+token.JTI, ""), http.StatusOK)
	w.do(t, admin, http.MethodPost, tokensPath, `{"tenants":["*"],"role":"admin"}`)
	w.do(t, admin, http.MethodPost, keysOfAcme, `{"name":"k","role":"owner"}`)
	w.do(t, authHeader(t, "acme", "reader"), http.MethodDelete, keysOfAcme+"/"+next.ID, "")
	want := []string{"CREATE key " + key.ID, "UPDATE key " + key.ID, "UPDATE key " + key.ID, "CREATE key " + next.ID, "UPDATE key " + key.ID, "DELETE key " + key.ID, "CREATE token " + token.JTI, "DELETE token " + token.JTI,
		"REFUSE insufficient_role", "REFUSE role_invalid", "REFUSE insufficient_role"}
	if len(n.events) != len(want) {
		t.Fatalf("%d events, want %d: %+v", len(n.events), len(want), n.events)
	}
	for i, e := range n.events {
		got := strings.Join(strings.Fields(e.Action+" "+e.ResourceType+" "+e.ResourceID+" "+e.Code), " ")
		if got != want[i] || e.tenantID != authtest.TenantID("acme") || e.Subject != "test" {
			t.Errorf("L11 %q of %s in %s, want %q", got, e.Subject, e.tenantID, want[i])
		}
		for _, secret := range []string{key.Key, next.Key, token.Token} {
			if strings.Contains(fmt.Sprintf("%+v", e), secret) {
				t.Errorf("L11 %q has a secret", got)
			}
		}
	}
	before, _ := n.events[1].Before.(keyBody)
	after, _ := n.events[1].After.(keyBody)
	if before.Disabled || !after.Disabled {
		t.Errorf("L11 before %+v, after %+v", before, after)
	}
	before, _ = n.events[4].Before.(keyBody)
	after, _ = n.events[4].After.(keyBody)
	if !before.ExpiresAt.IsZero() || after.ExpiresAt.IsZero() || after.ReplacedBy != next.ID {
		t.Errorf("L11 rotated: before %+v, after %+v", before, after)
	}
	revoked, _ := n.events[7].Before.(tokenBody)
	if is, _ := n.events[7].After.(tokenBody); revoked.JTI != token.JTI || !revoked.RevokedAt.IsZero() || is.RevokedAt.IsZero() {
		t.Errorf("L11 revoked: before %+v, after %+v", revoked, is)
	}
}

// TestL11EveryChangeOfATenantIsNotedAndSoIsOneThatIsRefused looks into the log of the tenant and that of the operators.
func TestL11EveryChangeOfATenantIsNotedAndSoIsOneThatIsRefused(t *testing.T) {
	const path = "/api/v1/tenants/acme"
	w, n := auditedWorld(t, func(p *parts) { p.cfg.DeleteGrace, p.cfg.AuditTenant = time.Hour, "zeta" })
	admin, platform := authHeader(t, "acme", "admin"), authHeader(t, "*", "admin")
	type noted struct{ in, what, before, after string } // pieces of the states; - for none
	for _, c := range []struct {
		as                   http.Header
		method, target, body string
		more                 []string
		want                 []noted
	}{
		{admin, "PATCH", path, `{"name":"Acme","settings":{"retention_days":30}}`, nil, []noted{{"acme", "UPDATE tenant acme", `"settings":{}`, `"retention_days":30`}}},
		{admin, "PATCH", path, `{"name":"Acme"}`, nil, nil}, // changes nothing
		{admin, "PATCH", path, `{"settings":{"retention_days":-1}}`, nil, []noted{{"acme", "REFUSE retention_invalid", "-", "-"}}},
		{admin, "PATCH", path, `{"role":"admin"}`, nil, []noted{{"acme", "REFUSE unknown_field", "-", "-"}}},
		{admin, "PATCH", path, `{"name":"A"}`, []string{"If-Match", `"1"`}, []noted{{"acme", "REFUSE version_mismatch", "-", "-"}}},
		{admin, "PATCH", path, `{"suspended":true}`, nil, []noted{{"acme", "REFUSE insufficient_role", "-", "-"}}},
		{admin, "DELETE", path, "", nil, []noted{{"acme", "REFUSE insufficient_role", "-", "-"}}},
		{admin, "POST", "/api/v1/tenants", `{"id":"mine"}`, nil, []noted{{"acme", "REFUSE insufficient_role", "-", "-"}}},
		{platform, "PATCH", path, `{"suspended":true}`, nil, []noted{{"acme", "UPDATE tenant acme", `"suspended":false`, `"suspended":true`}, {"zeta", "UPDATE tenant acme", `"suspended":false`, `"suspended":true`}}},
		{platform, "PATCH", path, `{"suspended":false}`, nil, []noted{{"acme", "UPDATE tenant acme", `"suspended":true`, `"suspended":false`}, {"zeta", "UPDATE tenant acme", `"suspended":true`, `"suspended":false`}}},
		{platform, "DELETE", path, "", []string{"If-Match", `"1"`}, []noted{{"acme", "REFUSE version_mismatch", "-", "-"}}},
		{platform, "DELETE", path, "", nil, []noted{{"acme", "DELETE tenant acme", `"suspended":false`, `"delete_at":"`}, {"zeta", "DELETE tenant acme", `"suspended":false`, `"delete_at":"`}}},
		{platform, "DELETE", path, "", nil, nil}, // it is that already
		{platform, "PATCH", path, `{"deleted":false}`, nil, []noted{{"acme", "UPDATE tenant acme", `"delete_at":"`, `"suspended":false`}, {"zeta", "UPDATE tenant acme", `"delete_at":"`, `"suspended":false`}}},
		{platform, "POST", "/api/v1/tenants", `{"id":"acme"}`, nil, []noted{{"zeta", "REFUSE tenant_exists", "-", "-"}}},
		{admin, "POST", path + "/masking/test", `{"entries":[]}`, nil, []noted{{"acme", "REFUSE ", "-", "-"}}},
		{admin, "DELETE", "/api/v1/logs?days=0", "", nil, []noted{{"acme", "REFUSE range_invalid", "-", "-"}}},
	} {
		n.events = nil
		a := w.do(t, c.as, c.method, c.target, c.body, c.more...)
		what := fmt.Sprintf("L11 %s %s %s: %d %s", c.method, c.target, c.body, a.status, a.body)
		if len(n.events) != len(c.want) {
			t.Errorf("%s\n%d events, want %d: %+v", what, len(n.events), len(c.want), n.events)
			continue
		}
		for i, e := range n.events {
			want := c.want[i]
			before, after := "-", "-"
			for state, v := range map[*string]any{&before: e.Before, &after: e.After} {
				if v != nil {
					text, err := json.Marshal(v)
					must(t, err)
					*state = string(text)
				}
			}
			got := strings.Join(strings.Fields(e.Action+" "+e.ResourceType+" "+e.ResourceID+" "+e.Code), " ")
			if e.tenantID != authtest.TenantID(want.in) || !strings.HasPrefix(got, strings.TrimSpace(want.what)) || e.Subject != "test" || !strings.Contains(before, want.before) || !strings.Contains(after, want.after) {
				t.Errorf("%s\n%q in %s by %q: before %s, after %s; want %+v", what, got, e.tenantID, e.Subject, before, after, want)
			}
		}
	}
}
