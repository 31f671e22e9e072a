package httpapi

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
)

func TestEveryRouteHasARuleAndNoOtherRouteExists(t *testing.T) {
	w := newWorld(t)
	engine, ok := w.Handler().(*gin.Engine)
	if !ok {
		t.Fatal("the handler is not the engine")
	}
	none := shadowed(routes) // answered with 405
	if len(none) != 1 || none[0].method != http.MethodGet || none[0].path != "/api/v1/logs/bulk" {
		t.Errorf("%v", none)
	}
	registered := slices.DeleteFunc(engine.Routes(), func(r gin.RouteInfo) bool { return r.Method == none[0].method && r.Path == none[0].path })
	if len(registered) != len(routes) {
		t.Errorf("%d routes registered, %d in the table", len(registered), len(routes))
	}
	for _, r := range registered {
		i := slices.IndexFunc(routes, func(x route) bool { return x.method == r.Method && x.path == r.Path })
		if i < 0 || routes[i].access == unruled {
			t.Errorf("%s %s has no rule", r.Method, r.Path)
		}
	}
}

// TestWhoMayUseWhat asks every route of the table as everybody: whoever may gets past the rule, and
// everybody else is told why not before the body is read.
func TestWhoMayUseWhat(t *testing.T) {
	w := newWorld(t)
	address := listen(t, w)
	client := &http.Client{Transport: &http.Transport{}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	all := map[access]string{open: "nobody none writer reader both admin platform", known: "none writer reader both admin platform",
		writers: "writer both admin platform", readers: "reader both admin platform", admins: "admin platform", managers: "admin platform", enders: "admin platform", platform: "platform", owners: "platform"}
	for who, header := range map[string]http.Header{
		"nobody":   {},
		"none":     authHeader(t, "acme"),
		"writer":   authHeader(t, "acme", "writer"),
		"reader":   authHeader(t, "acme", "reader"),
		"both":     authHeader(t, "acme", "reader", "writer"),
		"admin":    authHeader(t, "acme", "admin"),
		"platform": authHeader(t, "*", "admin"),
	} {
		if who == "platform" {
			header.Set("X-Tenant-Id", "acme")
		}
		for _, r := range routes {
			body := &touchy{}
			ctx, leave := context.WithCancel(t.Context())
			if r.path == streamPath { // has no end of its own
				time.AfterFunc(50*time.Millisecond, leave)
			}
			defer leave()
			req, err := http.NewRequestWithContext(ctx, r.method, concrete(r), body)
			must(t, err)
			req.Header = header.Clone()
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("If-Match", `"0"`) // whoever may delete the tenant leaves it to the others all the same
			rec := newRecorder()
			w.Handler().ServeHTTP(rec, req)
			may := slices.Contains(strings.Fields(all[r.access]), who)
			refused := rec.status == http.StatusUnauthorized || rec.status == http.StatusForbidden
			status := overHTTP(t, client, address, req)
			if no := status == http.StatusUnauthorized || status == http.StatusForbidden; no != refused || no && status != rec.status {
				t.Errorf("%s as %s: %d over HTTP, %d without", r.method+" "+r.path, who, status, rec.status)
			}
			if may == refused {
				t.Errorf("%s as %s: %d %s", r.method+" "+r.path, who, rec.status, rec.body)
			}
			if refused && body.read {
				t.Errorf("%s as %s: the body was read before the refusal", r.method+" "+r.path, who)
			}
			if want := http.StatusUnauthorized; refused && (who == "nobody") != (rec.status == want) {
				t.Errorf("%s as %s: %d", r.method+" "+r.path, who, rec.status)
			}
		}
	}
}

// overHTTP asks the same through a listener and returns the status.
func overHTTP(t *testing.T, client *http.Client, address string, like *http.Request) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, like.Method, "http://"+address+like.URL.Path, nil)
	must(t, err)
	req.Header = like.Header
	res, err := client.Do(req)
	must(t, err)
	_ = res.Body.Close()
	return res.StatusCode
}

// concrete is a path of a route.
func concrete(r route) string {
	path := strings.Replace(r.path, tenantPath, "/api/v1/tenants/acme", 1)
	return pathParameter.ReplaceAllString(path, "0199c1f0-8a4e-7c3b-9f00-2f1d3c4b5a69")
}

// authHeader is a token's header; without roles it has one that this version does not know.
func authHeader(tb testing.TB, tenants string, roles ...string) http.Header {
	tb.Helper()
	if len(roles) == 0 {
		return unknownRole(tb, tenants)
	}
	return authtest.Header(tb, strings.Split(tenants, ","), roles...)
}

// touchy is an empty body that knows whether it was read.
type touchy struct{ read bool }

func (b *touchy) Read([]byte) (int, error) { b.read = true; return 0, http.ErrBodyReadAfterClose }

func TestWhatIsNoRoute(t *testing.T) {
	w := newWorld(t)
	token := authHeader(t, "acme", "admin")
	for name, c := range map[string]struct {
		method, target string
		status         int
		code, allow    string
	}{
		"nothing":                        {"GET", "/", 404, "not_found", ""},
		"a path that does not exist":     {"GET", "/api/v1/nothing", 404, "not_found", ""},
		"two slashes":                    {"GET", "//api/v1/logs", 404, "not_found", ""},
		"a slash at the end":             {"GET", "/api/v1/logs/", 404, "not_found", ""},
		"other case":                     {"GET", "/API/v1/logs", 404, "not_found", ""},
		"a parameter of the path":        {"GET", "/api/v1/logs;x=1", 404, "not_found", ""},
		"an escaped letter":              {"GET", "/api/v1/%6cogs", 404, "not_found", ""},
		"dots":                           {"GET", "/api/v1/x/../logs", 404, "not_found", ""},
		"metrics on the public listener": {"GET", "/metrics", 404, "not_found", ""},
		"pprof on the public listener":   {"GET", "/debug/pprof/", 404, "not_found", ""},
		"a method of another route":      {"PUT", "/api/v1/logs", 405, "method_not_allowed", "POST, GET, DELETE"},
		"a method that does not exist":   {"FOO", "/api/v1/logs", 405, "method_not_allowed", "POST, GET, DELETE"},
		"a method in lower case":         {"get", "/api/v1/logs", 405, "method_not_allowed", "POST, GET, DELETE"},
		"TRACE":                          {"TRACE", "/api/v1/logs/bulk", 405, "method_not_allowed", "POST"},
		"GET where POST is":              {"GET", "/api/v1/logs/bulk", 405, "method_not_allowed", "POST"},
		"GET of a name that is no id":    {"GET", "/api/v1/logs/bulks", 400, "id_invalid", ""},
		"OPTIONS":                        {"OPTIONS", "/api/v1/tenants", 405, "method_not_allowed", "GET, POST"},
		"POST to an entry":               {"POST", "/api/v1/logs/x", 405, "method_not_allowed", "GET"},
	} {
		t.Run(name, func(t *testing.T) {
			a := w.do(t, token, c.method, c.target, "")
			if a.status != c.status || a.problem().Code != c.code || a.header.Get("Location") != "" {
				t.Errorf("%d %s", a.status, a.body)
			}
			allowed := strings.Split(a.header.Get("Allow"), ", ")
			slices.Sort(allowed)
			want := strings.Split(c.allow, ", ")
			slices.Sort(want)
			if !slices.Equal(allowed, want) {
				t.Errorf("Allow: %q", a.header.Get("Allow"))
			}
		})
	}
}

// TestJ10EveryAnswerCarriesTheFixedHeaders asks every route as somebody who may and as nobody, and what is no route.
func TestJ10EveryAnswerCarriesTheFixedHeaders(t *testing.T) {
	w := newWorld(t)
	admin := authHeader(t, "acme", "admin")
	check := func(what string, a answer, ours bool) {
		t.Helper()
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src ", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
			"Strict-Transport-Security": "max-age=", "X-Request-Id": ""} {
			if name == "Cache-Control" && ours { // what is the same for everybody may be kept
				want = ""
			}
			if got := a.header.Values(name); len(got) != 1 || got[0] == "" || !strings.HasPrefix(got[0], want) {
				t.Errorf("J10 %s: %d, %s: %q", what, a.status, name, got)
			}
		}
		for _, name := range []string{"Server", "X-Powered-By", "Via"} {
			if a.header.Get(name) != "" {
				t.Errorf("J10 %s: it says what it is: %s", what, a.header.Get(name))
			}
		}
	}
	for _, r := range routes {
		open := strings.HasPrefix(r.path, "/api/v1/docs") || r.path == "/api/v1/openapi.json"
		for who, header := range map[string]http.Header{"admin": admin, "nobody": {}} {
			ctx, leave := context.WithCancel(t.Context())
			if r.path == streamPath { // has no end of its own
				time.AfterFunc(50*time.Millisecond, leave)
			}
			req := newRequest(t, header, r.method, concrete(r), "").WithContext(ctx)
			check(r.method+" "+r.path+" as "+who, w.serveRequest(req), open)
			leave()
		}
	}
	for _, target := range []string{"/nothing", "/", "//", "/api/v1/logs/", "/metrics", "/api/v1/logs?x=%zz"} {
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodOptions, http.MethodTrace, "FOO"} {
			check(method+" "+target, w.do(t, admin, method, target, ""), false)
		}
	}
	check("a URL that is too long", w.do(t, admin, http.MethodGet, "/api/v1/logs?"+strings.Repeat("a", 9000), ""), false)
}

// TestRequestIDs is J8 for ids that net/http lets through.
func TestRequestIDs(t *testing.T) {
	w := newWorld(t)
	for sent, kept := range map[string]bool{
		"abc-1_2.3": true, strings.Repeat("a", 128): true, strings.Repeat("a", 129): false, "": false, "a b": false, "a\x1b[31m": false, "a/b": false, "ä": false,
	} {
		a := w.do(t, http.Header{}, http.MethodGet, "/nothing", "", "X-Request-ID", sent)
		got := a.header.Get("X-Request-Id")
		if (got == sent) != kept || got != a.problem().RequestID || got == "" {
			t.Errorf("%q became %q, %q in the problem", sent, got, a.problem().RequestID)
		}
	}
	a := w.do(t, http.Header{}, http.MethodGet, "/nothing", "", "X-Request-ID", "one", "X-Request-ID", "two")
	if got := a.header.Values("X-Request-Id"); len(got) != 1 || got[0] == "one" || got[0] == "two" {
		t.Errorf("two became %q", got)
	}
}
