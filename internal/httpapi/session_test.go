package httpapi

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/fault"
)

// browser sends requests as one does: from this machine, with its cookies.
type browser struct {
	w       *world
	tls     bool
	from    string // default loopback
	cookies []*http.Cookie
}

func (b *browser) do(t *testing.T, header http.Header, method, target, body string, more ...string) answer {
	t.Helper()
	r := newRequest(t, header, method, target, body, more...)
	r.Host, r.RemoteAddr = "logs.example", "127.0.0.1:1234"
	if b.from != "" {
		r.RemoteAddr = b.from
	}
	if b.tls {
		r.TLS = &tls.ConnectionState{}
	}
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	a := b.w.serveRequest(r)
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		b.cookies = nil
		if c.MaxAge >= 0 {
			b.cookies = []*http.Cookie{c}
		}
	}
	return a
}

func (b *browser) signIn(t *testing.T, header http.Header) sessionBody {
	t.Helper()
	s := made[sessionBody](t, b.do(t, header, http.MethodPost, sessionPath, ""), http.StatusCreated)
	if len(b.cookies) != 1 {
		t.Fatal("no cookie")
	}
	return s
}

const ours = "same-origin"

func TestABrowserSignsInAndOut(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		tls    bool
		cookie string
	}{"on this machine": {false, "ocelot"}, "by TLS": {true, "__Host-ocelot"}} {
		b := &browser{w: w, tls: c.tls}
		if s := b.signIn(t, authHeader(t, "acme,gone", "reader")); s.Subject != "test" || s.Kind != "session" || s.Platform || len(s.Tenants) != 1 || s.Tenants[0] != (tenantName{"acme", "acme"}) || strings.Join(s.Roles, " ") != "reader" || s.ExpiresAt.IsZero() {
			t.Errorf("%s: %+v", name, s)
		}
		cookie := b.cookies[0]
		if cookie.Name != c.cookie || !cookie.HttpOnly || cookie.Secure != c.tls || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/" || cookie.Domain != "" || cookie.MaxAge <= 0 || len(cookie.Value) < 40 {
			t.Errorf("%s: %s", name, cookie)
		}
		if s := made[sessionBody](t, b.do(t, nil, http.MethodGet, sessionPath, ""), http.StatusOK); s.Kind != "session" || s.Subject != "test" {
			t.Errorf("%s: %+v", name, s)
		}
		if a := b.do(t, nil, http.MethodGet, "/api/v1/logs", "", "X-Tenant-ID", "acme"); a.status != http.StatusOK {
			t.Errorf("%s reads: %d %s", name, a.status, a.body)
		}
		if a := b.do(t, nil, http.MethodPost, "/api/v1/logs", `{"message":"x"}`, "X-Tenant-ID", "acme", "Sec-Fetch-Site", ours); a.status != http.StatusForbidden || a.problem().Code != "insufficient_role" {
			t.Errorf("%s posts: %d %s", name, a.status, a.body)
		}
		if a := b.do(t, nil, http.MethodDelete, sessionPath, "", "Sec-Fetch-Site", ours); a.status != http.StatusOK || len(b.cookies) != 0 {
			t.Errorf("%s signs out: %d %s %v", name, a.status, a.body, b.cookies)
		}
		b.cookies = []*http.Cookie{cookie}
		if a := b.do(t, nil, http.MethodGet, "/api/v1/logs", ""); a.status != http.StatusUnauthorized || a.problem().Code != "session_invalid" || len(b.cookies) != 0 {
			t.Errorf("%s with the old cookie: %d %s; it is kept: %v", name, a.status, a.body, b.cookies)
		}
	}
}

func TestASessionIsWhatTheCredentialWas(t *testing.T) {
	w := newWorld(t)
	key := made[keyBody](t, w.do(t, authHeader(t, "acme", "admin"), http.MethodPost, keysOfAcme, `{"name":"k","role":"writer"}`), http.StatusCreated)
	if s := made[sessionBody](t, w.do(t, withKey(key.Key), http.MethodGet, sessionPath, ""), http.StatusOK); s.Kind != "key" || len(s.Tenants) != 1 {
		t.Errorf("a key: %+v", s)
	}
	b := &browser{w: w}
	if s := b.signIn(t, withKey(key.Key)); strings.Join(s.Roles, " ") != "writer" {
		t.Errorf("%+v", s)
	}
	old := b.cookies
	if a := b.do(t, withKey(key.Key), http.MethodPost, sessionPath, ""); a.status != http.StatusCreated {
		t.Fatalf("signed in again: %d %s", a.status, a.body)
	}
	if a := (&browser{w: w, cookies: old}).do(t, nil, http.MethodGet, sessionPath, ""); a.problem().Code != "session_invalid" {
		t.Errorf("the session before: %d %s", a.status, a.body)
	}
	if a := b.do(t, authHeader(t, "acme", "reader"), http.MethodGet, "/api/v1/logs", ""); a.status != http.StatusBadRequest || a.problem().Code != "ambiguous_credentials" {
		t.Errorf("A3 the cookie and a token: %d %s", a.status, a.body)
	}
	if a := b.do(t, withKey(key.Key), http.MethodGet, "/api/v1/logs", ""); a.problem().Code != "ambiguous_credentials" {
		t.Errorf("A3 the cookie and a key: %d %s", a.status, a.body)
	}
	twice := &browser{w: w, cookies: append(b.cookies, old...)}
	if a := twice.do(t, nil, http.MethodGet, "/api/v1/logs", ""); a.problem().Code != "ambiguous_credentials" {
		t.Errorf("A3 two cookies: %d %s", a.status, a.body)
	}
	made[ended](t, w.do(t, authHeader(t, "acme", "admin"), http.MethodDelete, keysOfAcme+"/"+key.ID, ""), http.StatusOK)
	if a := b.do(t, nil, http.MethodGet, sessionPath, ""); a.status != http.StatusUnauthorized || a.problem().Code != "session_invalid" {
		t.Errorf("after the end of its key: %d %s", a.status, a.body)
	}
	if a := w.do(t, authHeader(t, "acme", "admin"), http.MethodDelete, sessionPath, ""); a.status != http.StatusNotFound {
		t.Errorf("a token that signs out: %d %s", a.status, a.body)
	}
}

func TestJ7ACookieAloneChangesNothingFromOtherPages(t *testing.T) {
	origins, err := ParseOrigins("https://app.example,https://*.ours.example")
	must(t, err)
	w := newWorld(t, func(p *parts) { p.cfg.Origins = origins })
	b := &browser{w: w, tls: true}
	b.signIn(t, authHeader(t, "acme", "admin"))
	for name, c := range map[string]struct {
		header []string
		ok     bool
	}{
		"nothing says where from":            {nil, false},
		"a form on another site":             {[]string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, false},
		"a page of a sister":                 {[]string{"Sec-Fetch-Site", "same-site", "Origin", "https://evil.logs.example"}, false},
		"no page at all":                     {[]string{"Sec-Fetch-Site", "none"}, false},
		"an old browser, another origin":     {[]string{"Origin", "https://evil.example"}, false},
		"our name without TLS":               {[]string{"Origin", "http://logs.example"}, false},
		"our name on another port":           {[]string{"Origin", "https://logs.example:8443"}, false},
		"our name and more":                  {[]string{"Origin", "https://logs.example.evil.example"}, false},
		"null":                               {[]string{"Origin", "null"}, false},
		"two origins":                        {[]string{"Origin", "https://logs.example", "Origin", "https://evil.example"}, false},
		"our page":                           {[]string{"Sec-Fetch-Site", "same-origin", "Origin", "https://logs.example"}, true},
		"our page in an old browser":         {[]string{"Origin", "https://logs.example"}, true},
		"a page of an origin that is named":  {[]string{"Sec-Fetch-Site", "same-site", "Origin", "https://app.example"}, true},
		"a page below a domain that is ours": {[]string{"Origin", "https://a.ours.example"}, true},
	} {
		before := w.sent(t)
		a := b.do(t, nil, http.MethodPost, "/api/v1/logs", `{"message":"x"}`, c.header...)
		if c.ok && a.status != http.StatusAccepted || !c.ok && (a.status != http.StatusForbidden || a.problem().Code != "origin_not_allowed" || w.sent(t) != before) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if a := b.do(t, nil, http.MethodGet, "/api/v1/logs", "", c.header...); a.status != http.StatusOK {
			t.Errorf("%s, reading: %d %s", name, a.status, a.body)
		}
		// I1, I2: a stream goes on, so that where it is from counts although it is a GET.
		stream := route{http.MethodGet, "/api/v1/logs" + streamEnd, readers, true, nil}
		r := newRequest(t, nil, http.MethodGet, stream.path, "", c.header...)
		r.Host, r.TLS = "logs.example", &tls.ConnectionState{}
		r.AddCookie(b.cookies[0])
		ctx, _ := gin.CreateTestContext(httptest.NewRecorder())
		ctx.Request = r
		_, err := w.caller(&call{Context: ctx}, stream)
		if c.ok != (err == nil) || err != nil && fault.Of(err).Code != "origin_not_allowed" {
			t.Errorf("I1, I2 a stream, %s: %v", name, err)
		}
	}
	for _, kind := range []string{"application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "text/plain"} { // what a form can send
		for _, target := range []string{"/api/v1/logs", "/api/v1/tenants/acme/keys", "/api/v1/tokens", "/api/v1/views"} {
			if a := b.do(t, nil, http.MethodPost, target, `{"message":"x"}`, "Content-Type", kind, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"); a.status != http.StatusForbidden || a.problem().Code != "origin_not_allowed" {
				t.Errorf("J7 a form as %s to %s: %d %s", kind, target, a.status, a.body)
			}
		}
	}
	if a := w.do(t, authHeader(t, "acme", "admin"), http.MethodPost, "/api/v1/logs", `{"message":"x"}`, "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"); a.status != http.StatusAccepted {
		t.Errorf("I2 a token in a header is no cookie: %d %s", a.status, a.body)
	}
}

func TestWhereACookieIsGiven(t *testing.T) {
	proxies, err := ParseProxies("10.0.0.0/8")
	must(t, err)
	w := newWorld(t, func(p *parts) { p.cfg.Proxies = proxies })
	header := authHeader(t, "acme", "reader")
	for name, c := range map[string]struct {
		from, proto, forwarded string
		code, cookie           string
	}{
		"this machine":                       {"127.0.0.1:1", "", "", "", "ocelot"},
		"another machine":                    {"203.0.113.1:1", "", "", "https_required", ""},
		"another machine that says https":    {"203.0.113.1:1", "https", "", "https_required", ""},
		"a proxy that says https":            {"10.0.0.1:1", "https", "203.0.113.1", "", "__Host-ocelot"},
		"a proxy that says http":             {"10.0.0.1:1", "http", "203.0.113.1", "https_required", ""},
		"a proxy that says the client is us": {"10.0.0.1:1", "http", "127.0.0.1", "", "ocelot"},
	} {
		b := &browser{w: w, from: c.from}
		var more []string
		if c.proto != "" {
			more = append(more, "X-Forwarded-Proto", c.proto)
		}
		if c.forwarded != "" {
			more = append(more, "X-Forwarded-For", c.forwarded)
		}
		a := b.do(t, header, http.MethodPost, sessionPath, "", more...)
		if a.problem().Code != c.code || (len(b.cookies) == 1) != (c.cookie != "") || c.cookie != "" && b.cookies[0].Name != c.cookie {
			t.Errorf("%s: %d %s %v", name, a.status, a.body, b.cookies)
		}
	}
	b := &browser{w: w}
	b.signIn(t, header)
	b.tls = true
	if a := b.do(t, nil, http.MethodGet, sessionPath, ""); a.problem().Code != "unauthenticated" {
		t.Errorf("the name without the promise, by TLS: %d %s", a.status, a.body)
	}
}

func TestWhatIsNoSession(t *testing.T) {
	w := newWorld(t)
	for _, value := range []string{"x", strings.Repeat("A", 43), strings.Repeat("A", 5000), "%00", authtest.Header(t, []string{"acme"}, "admin").Get("Authorization")[7:]} {
		b := &browser{w: w, cookies: []*http.Cookie{{Name: "ocelot", Value: value}}}
		if a := b.do(t, nil, http.MethodGet, "/api/v1/logs", ""); a.status != http.StatusUnauthorized || a.problem().Code != "session_invalid" {
			t.Errorf("%.20q: %d %s", value, a.status, a.body)
		}
	}
	b := &browser{w: w}
	b.signIn(t, authHeader(t, "acme", "admin"))
	if a := b.do(t, nil, http.MethodPost, sessionPath, "", "Sec-Fetch-Site", ours); a.status != http.StatusUnauthorized || a.problem().Code != "unauthenticated" {
		t.Errorf("a session that makes a session: %d %s", a.status, a.body)
	}
}
