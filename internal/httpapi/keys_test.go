package httpapi

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
)

const keysOfAcme = "/api/v1/tenants/acme/keys"

// made reads the data of an answer that must have a status.
func made[T any](t *testing.T, a answer, status int) (data T) {
	t.Helper()
	var all struct{ Data T }
	if err := json.Unmarshal(a.body, &all); err != nil || a.status != status {
		t.Fatalf("%d %s, want %d", a.status, a.body, status)
	}
	return all.Data
}

func withKey(key string) http.Header { return http.Header{"X-Api-Key": {key}} }

func TestTheLifeOfAKey(t *testing.T) {
	w := newWorld(t)
	admin := authHeader(t, "acme", "admin")
	key := made[keyBody](t, w.do(t, admin, http.MethodPost, keysOfAcme, `{"name":"reports","role":"reader"}`), http.StatusCreated)
	if key.Key == "" || key.Name != "reports" || key.Role != "reader" || key.CreatedBy != "test" || key.CreatedAt.IsZero() {
		t.Fatalf("%+v", key)
	}
	reads := func(text string) string {
		t.Helper()
		return w.do(t, withKey(text), http.MethodGet, "/api/v1/logs", "").problem().Code
	}
	if code := reads(key.Key); code != "" {
		t.Fatalf("the new key: %s", code)
	}
	if a := w.do(t, http.Header{"Authorization": {"Bearer " + key.Key}}, http.MethodGet, "/api/v1/logs", ""); a.status != http.StatusOK {
		t.Errorf("as Bearer: %d %s", a.status, a.body)
	}
	if a := w.do(t, withKey(key.Key), http.MethodPost, "/api/v1/logs", `{"message":"x"}`); a.status != http.StatusForbidden || a.problem().Code != "insufficient_role" {
		t.Errorf("A14 a reader's key that posts: %d %s", a.status, a.body)
	}

	list := w.do(t, admin, http.MethodGet, keysOfAcme, "")
	if all := made[[]keyBody](t, list, http.StatusOK); len(all) != 1 || all[0].ID != key.ID || all[0].LastUsedAt.IsZero() || strings.Contains(string(list.body), key.Key) {
		t.Errorf("L3 listed: %s", list.body)
	}

	path := keysOfAcme + "/" + key.ID
	if a := made[keyBody](t, w.do(t, admin, http.MethodPatch, path, `{"disabled":true}`), http.StatusOK); !a.Disabled || a.Key != "" {
		t.Errorf("disabled: %+v", a)
	}
	if code := reads(key.Key); code != "key_disabled" {
		t.Errorf("A14 a disabled key: %s", code)
	}
	made[keyBody](t, w.do(t, admin, http.MethodPatch, path, `{"disabled":false}`), http.StatusOK)

	next := made[keyBody](t, w.do(t, admin, http.MethodPost, path+"/rotate", `{"overlap":"1h"}`), http.StatusCreated)
	if next.Key == "" || next.Key == key.Key || next.Replaces != key.ID || next.Name != "reports" || next.Role != "reader" {
		t.Errorf("the next one: %+v", next)
	}
	if a, b := reads(key.Key), reads(next.Key); a != "" || b != "" {
		t.Errorf("while both work: %s, %s", a, b)
	}
	if a := w.do(t, admin, http.MethodPost, path+"/rotate", `{}`); a.status != http.StatusConflict || a.problem().Code != "key_not_rotatable" {
		t.Errorf("rotated again: %d %s", a.status, a.body)
	}
	if a := made[ended](t, w.do(t, admin, http.MethodDelete, path, ""), http.StatusOK); a != (ended{"revoked"}) {
		t.Errorf("revoked: %+v", a)
	}
	if a, b := reads(key.Key), reads(next.Key); a != "key_invalid" || b != "" {
		t.Errorf("after its end: %s, the next one: %s", a, b)
	}
	if a := w.do(t, admin, http.MethodDelete, path, ""); a.status != http.StatusNotFound {
		t.Errorf("revoked twice: %d %s", a.status, a.body)
	}
}

func TestKeysThatAreForSomePlacesAndSomeTime(t *testing.T) {
	proxies, err := ParseProxies("127.0.0.0/8")
	must(t, err)
	w := newWorld(t, func(p *parts) { p.cfg.Proxies = proxies })
	admin := authHeader(t, "acme", "admin")
	key := made[keyBody](t, w.do(t, admin, http.MethodPost, keysOfAcme, `{"name":"office","role":"reader","cidrs":["192.0.2.0/24","2001:db8::/32"],"expires_at":"`+
		time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+`"}`), http.StatusCreated)
	for from, code := range map[string]string{"192.0.2.7": "", "::ffff:192.0.2.7": "", "[2001:db8::1]:99": "", "203.0.113.1": "ip_not_allowed", "192.0.2.7, 203.0.113.1": "ip_not_allowed", "": "ip_not_allowed", "unknown": "ip_not_allowed"} {
		r := newRequest(t, withKey(key.Key), http.MethodGet, "/api/v1/logs", "", "X-Forwarded-For", from)
		r.RemoteAddr = "127.0.0.1:1234"
		if a := w.serveRequest(r); a.problem().Code != code {
			t.Errorf("A14 from %q: %d %s", from, a.status, a.body)
		}
		r.RemoteAddr = "203.0.113.1:1234"
		if a := w.serveRequest(r); a.status != http.StatusForbidden {
			t.Errorf("J4 a stranger who says it is %q: %d %s", from, a.status, a.body)
		}
	}
}

func TestAKeyIsNeverWiderThanItsIssuer(t *testing.T) {
	w := newWorld(t)
	post := func(header http.Header, path, body string) answer {
		return w.do(t, header, http.MethodPost, path, body)
	}
	admin := authHeader(t, "acme", "admin")
	for name, c := range map[string]struct {
		header http.Header
		path   string
		status int
		code   string
	}{
		"L2 a reader makes one":                 {authHeader(t, "acme", "reader"), keysOfAcme, 403, "insufficient_role"},
		"L2 a writer makes one":                 {authHeader(t, "acme", "writer"), keysOfAcme, 403, "insufficient_role"},
		"an admin of another tenant makes one":  {authHeader(t, "zeta", "admin"), keysOfAcme, 404, "tenant_not_found"},
		"one for a tenant that does not exist":  {authHeader(t, "zeta", "admin"), "/api/v1/tenants/nosuch/keys", 404, "tenant_not_found"},
		"a platform admin for one that is not":  {authHeader(t, "*", "admin"), "/api/v1/tenants/nosuch/keys", 404, "tenant_not_found"},
		"a tenant in the header besides":        {admin.Clone(), keysOfAcme, 400, "ambiguous_tenant"},
		"a platform admin":                      {authHeader(t, "*", "admin"), keysOfAcme, 201, ""},
		"an admin who is for a part of entries": {filtered(t, "service:billing", "admin"), keysOfAcme, 201, ""},
	} {
		if name == "a tenant in the header besides" {
			c.header["X-Tenant-Id"] = []string{"zeta"}
		}
		if a := post(c.header, c.path, `{"name":"k","role":"admin"}`); a.status != c.status || a.problem().Code != c.code {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	narrow := made[keyBody](t, post(filtered(t, "service:billing", "admin"), keysOfAcme, `{"name":"k","role":"reader","filter":"severity:ERROR"}`), http.StatusCreated)
	if !strings.Contains(narrow.Filter, "service:billing") || !strings.Contains(narrow.Filter, "severity:ERROR") {
		t.Errorf("the filter is %q", narrow.Filter)
	}
}

func TestB6KeysOfAnotherTenantAreNotThere(t *testing.T) {
	w := newWorld(t)
	key := made[keyBody](t, w.do(t, authHeader(t, "acme", "admin"), http.MethodPost, keysOfAcme, `{"name":"k","role":"reader"}`), http.StatusCreated)
	zeta := authHeader(t, "zeta", "admin")
	for _, c := range []struct{ method, end, body string }{{http.MethodDelete, "", ""}, {http.MethodPatch, "", `{"disabled":true}`}, {http.MethodPost, "/rotate", `{}`}} {
		theirs := w.do(t, zeta, c.method, "/api/v1/tenants/zeta/keys/"+key.ID+c.end, c.body, "X-Request-ID", "r")
		absent := w.do(t, zeta, c.method, "/api/v1/tenants/zeta/keys/aaaaaaaa"+c.end, c.body, "X-Request-ID", "r")
		if theirs.status != http.StatusNotFound || string(theirs.body) != string(absent.body) {
			t.Errorf("%s %s: %d %s, absent: %d %s", c.method, c.end, theirs.status, theirs.body, absent.status, absent.body)
		}
	}
	if a := w.do(t, withKey(key.Key), http.MethodGet, "/api/v1/logs", ""); a.status != http.StatusOK {
		t.Errorf("the key all the same: %d %s", a.status, a.body)
	}
}

func TestBodiesOfKeysAreRefused(t *testing.T) {
	w := newWorld(t)
	admin := authHeader(t, "acme", "admin")
	key := made[keyBody](t, w.do(t, admin, http.MethodPost, keysOfAcme, `{"name":"k","role":"reader"}`), http.StatusCreated)
	for _, c := range []struct {
		method, end, body string
		status            int
		code, pointer     string
	}{
		{"POST", "", `{"role":"reader"}`, 422, "name_invalid", "/name"},
		{"POST", "", `{"name":"k"}`, 422, "role_invalid", "/role"},
		{"POST", "", `{"name":"k","role":"owner"}`, 422, "role_invalid", "/role"},
		{"POST", "", `{"name":"a\u0000b","role":"reader"}`, 422, "name_invalid", "/name"},
		{"POST", "", `{"name":"k","role":["reader"]}`, 422, "field_wrong_type", "/role"},
		{"POST", "", `{"name":"k","role":"reader","expires_at":"2001-01-01T00:00:00Z"}`, 422, "expiry_invalid", "/expires_at"},
		{"POST", "", `{"name":"k","role":"reader","expires_at":"tomorrow"}`, 422, "field_wrong_type", "/expires_at"},
		{"POST", "", `{"name":"k","role":"reader","cidrs":["10.0.0.0/8","everywhere"]}`, 422, "cidr_invalid", "/cidrs/1"},
		{"POST", "", `{"name":"k","role":"reader","filter":"service:"}`, 422, "filter_invalid", ""},
		{"POST", "", `{"name":"k","role":"reader","tenant_id":"zeta"}`, 400, "unknown_field", ""},
		{"POST", "", `{"name":"k","role":"reader","id":"mine"}`, 400, "unknown_field", ""},
		{"POST", "", `{"name":"k","role":"reader","key":"ocl_mine"}`, 400, "unknown_field", ""},
		{"POST", "", `{"name":"k","role":"reader","is_superuser":true}`, 400, "unknown_field", ""},
		{"PATCH", "/" + key.ID, `{}`, 422, "required", "/disabled"},
		{"PATCH", "/" + key.ID, `{"role":"admin"}`, 400, "unknown_field", ""},
		{"POST", "/" + key.ID + "/rotate", `{"overlap":"soon"}`, 422, "overlap_invalid", "/overlap"},
		{"POST", "/" + key.ID + "/rotate", `{"overlap":"-1h"}`, 422, "overlap_invalid", "/overlap"},
		{"POST", "/" + key.ID + "/rotate", `{"overlap":"9999h"}`, 422, "overlap_invalid", "/overlap"},
		{"POST", "/" + key.ID + "/rotate", `{"role":"admin"}`, 400, "unknown_field", ""},
	} {
		a := w.do(t, admin, c.method, keysOfAcme+c.end, c.body)
		p := a.problem()
		if a.status != c.status || p.Code != c.code || c.pointer != "" && (len(p.Errors) != 1 || p.Errors[0].Pointer != c.pointer) {
			t.Errorf("L1 %s %s: %d %s", c.method, c.body, a.status, a.body)
		}
	}
	if all := made[[]keyBody](t, w.do(t, admin, http.MethodGet, keysOfAcme, ""), http.StatusOK); len(all) != 1 || all[0].Disabled || all[0].ReplacedBy != "" {
		t.Errorf("a refused request left something: %+v", all)
	}
}

func TestAKeyOfATenantThatIsGoneIsNoKey(t *testing.T) {
	w := newWorld(t)
	key := made[keyBody](t, w.do(t, authHeader(t, "acme", "admin"), http.MethodPost, keysOfAcme, `{"name":"k","role":"reader"}`), http.StatusCreated)
	tn, err := w.access.Tenants.BySlug(t.Context(), "acme")
	must(t, err)
	if tn.ID != authtest.TenantID("acme") {
		t.Fatal(tn.ID)
	}
	gone := *tn
	gone.Suspended = true
	_, err = w.store.UpdateTenant(t.Context(), gone)
	must(t, err)
	w.access.Tenants.Forget()
	if a := w.do(t, withKey(key.Key), http.MethodGet, "/api/v1/logs", ""); a.status != http.StatusUnauthorized || a.problem().Code != "tenant_disabled" {
		t.Errorf("B10 %d %s", a.status, a.body)
	}
}

func TestWhatIsWrongWithASmallBodyIsSaid(t *testing.T) {
	w := newWorld(t)
	for body, want := range map[string]string{
		`{"name":"k","role":"reader","tenant":"zeta"}`:          `"errors":[{"pointer":"/tenant","code":"unknown_field",`,
		`{"name":"k","role":"reader","expires_at":"tomorrow"}`:  `{"pointer":"/expires_at","code":"field_wrong_type","message":"this value has the wrong type: it is a time as in RFC 3339`,
		`{"name":"k","role":"reader","expires_at":1798761599}`:  `it is a time as in RFC 3339`,
		`{"name":5,"role":"reader"}`:                            `{"pointer":"/name","code":"field_wrong_type","message":"this value has the wrong type: it is a text"}`,
		`{"name":null,"role":"reader"}`:                         `{"pointer":"/name","code":"field_wrong_type","message":"this value has the wrong type: it is a text"}`,
		`{"name":"k","role":"reader","cidrs":"10.0.0.0/8"}`:     `{"pointer":"/cidrs","code":"field_wrong_type","message":"this value has the wrong type: it is a list"}`,
		`{"name":"k","role":"reader","cidrs":["10.0.0.0/8",5]}`: `{"pointer":"/cidrs/1","code":"field_wrong_type","message":"this value has the wrong type: it is a text"}`,
		`[]`: `"message":"this value has the wrong type: it is an object"`,
	} {
		if a := w.do(t, authHeader(t, "acme", "admin"), "POST", keysOfAcme, body); a.status != 400 && a.status != 422 || !strings.Contains(string(a.body), want) {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
}
