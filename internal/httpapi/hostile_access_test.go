package httpapi

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

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
	for _, q := range []string{"q=tenant_id:zeta", "tenant_id=zeta", "_index=x", "sort=tenant_id"} {
		if a := w.do(t, reader, http.MethodGet, "/api/v1/logs?"+q, ""); a.status != http.StatusBadRequest {
			t.Errorf("B7 %s: %d %s", q, a.status, a.body)
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
	want := []string{"CREATE key " + key.ID, "UPDATE key " + key.ID, "UPDATE key " + key.ID, "CREATE key " + next.ID, "DELETE key " + key.ID, "CREATE token " + token.JTI, "DELETE token " + token.JTI,
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
}
