package httpapi

import (
	"net/http"
	"slices"
	"testing"
)

func TestOnlyAllowedHostsAreServed(t *testing.T) {
	hosts, err := ParseHosts("logs.example.com, *.ocelot.test ,10.0.0.1,[2001:db8::1]")
	must(t, err)
	w := newWorld(t, func(p *parts) { p.cfg.Hosts = hosts })
	admin := authHeader(t, "acme", "admin")
	for host, ours := range map[string]bool{
		"logs.example.com": true, "LOGS.example.com:8443": true, "logs.example.com.": true, "a.b.ocelot.test": true, "10.0.0.1:80": true, "[2001:db8::1]:443": true, "[2001:db8::1]": true,
		"evil.com": false, "logs.example.com.evil.com": false, "ocelot.test": false, ".ocelot.test": false, "evilocelot.test": false, "": false, "10.0.0.11": false,
	} {
		r := newRequest(t, admin, http.MethodGet, "/api/v1/logs", "")
		r.Host = host
		a := w.serveRequest(r)
		if ours && a.status != http.StatusOK || !ours && (a.status != http.StatusMisdirectedRequest || a.problem().Code != "host_not_allowed") {
			t.Errorf("J3 %q: %d %s", host, a.status, a.body)
		}
		r = newRequest(t, http.Header{}, http.MethodGet, "/health/live", "")
		r.Host = host
		if a := w.serveRequest(r); a.status != http.StatusOK {
			t.Errorf("a probe of %q: %d %s", host, a.status, a.body)
		}
	}
	if a := newWorld(t).do(t, admin, http.MethodGet, "/api/v1/logs", "", "X-Forwarded-Host", "evil.com"); a.status != http.StatusOK {
		t.Errorf("no hosts are named: %d %s", a.status, a.body)
	}
}

func TestHostsThatAreNoneAreRefused(t *testing.T) {
	for _, text := range []string{"https://logs.example.com", "logs.example.com:80", "*", "*.", "*example.com", "a.*.com", "a b", "-a.com", "a..b", "logs.example.com/x"} {
		if _, err := ParseHosts(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestCORS(t *testing.T) {
	admin := authHeader(t, "acme", "admin")
	for name, c := range map[string]struct {
		setting, origin, want string
		cookies               bool
	}{
		"none is set":                             {"", "https://app.example.com", "", false},
		"an origin that is named":                 {"https://app.example.com,http://localhost:5173", "http://localhost:5173", "http://localhost:5173", true},
		"one that is not":                         {"https://app.example.com", "https://evil.com", "", false},
		"another scheme":                          {"https://app.example.com", "http://app.example.com", "", false},
		"another port":                            {"https://app.example.com", "https://app.example.com:8443", "", false},
		"a longer name":                           {"https://app.example.com", "https://app.example.com.evil.com", "", false},
		"in capitals, as no browser writes it":    {"https://app.example.com", "https://APP.example.com", "", false},
		"below a domain":                          {"https://*.example.com", "https://a.b.example.com", "https://a.b.example.com", true},
		"the domain itself is not below":          {"https://*.example.com", "https://example.com", "", false},
		"a name that ends like the domain":        {"https://*.example.com", "https://evilexample.com", "", false},
		"below a domain without TLS":              {"https://*.example.com", "http://a.example.com", "", false},
		"below a domain with another port":        {"https://*.example.com", "https://a.example.com:444", "", false},
		"below a domain with its port":            {"https://*.example.com:444", "https://a.example.com:444", "https://a.example.com:444", true},
		"something before the name":               {"https://*.example.com", "https://evil.com/.example.com", "", false},
		"a name and a password before the name":   {"https://*.example.com", "https://evil.com@a.example.com", "", false},
		"null":                                    {"https://app.example.com", "null", "", false},
		"everybody may, and never with cookies":   {"*", "https://anybody.example", "*", false},
		"everybody may, a file without an origin": {"*", "null", "*", false},
	} {
		t.Run(name, func(t *testing.T) {
			origins, err := ParseOrigins(c.setting)
			must(t, err)
			w := newWorld(t, func(p *parts) { p.cfg.Origins = origins })
			check := func(a answer) {
				t.Helper()
				h := a.header
				if h.Get("Access-Control-Allow-Origin") != c.want || (h.Get("Access-Control-Allow-Credentials") == "true") != c.cookies {
					t.Errorf("%d %v", a.status, h)
				}
				if slices.Contains(h.Values("Vary"), "Origin") != (c.setting != "") {
					t.Errorf("Vary: %v", h.Values("Vary"))
				}
			}
			a := w.do(t, admin, http.MethodGet, "/api/v1/logs", "", "Origin", c.origin)
			check(a)
			if a.status != http.StatusOK {
				t.Errorf("%d %s", a.status, a.body)
			}
			check(w.do(t, http.Header{}, http.MethodGet, "/api/v1/logs", "", "Origin", c.origin)) // a page may read why it is refused
			a = w.do(t, http.Header{}, http.MethodOptions, "/api/v1/logs", "", "Origin", c.origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization")
			check(a)
			if c.want == "" {
				if a.status != http.StatusMethodNotAllowed || a.header.Get("Access-Control-Allow-Methods") != "" {
					t.Errorf("the preflight: %d %v", a.status, a.header)
				}
				return
			}
			if a.status != http.StatusNoContent || len(a.body) > 0 || a.header.Get("Access-Control-Max-Age") != "7200" || a.header.Get("Access-Control-Allow-Methods") == "" || a.header.Get("Access-Control-Allow-Headers") == "" {
				t.Errorf("the preflight: %d %v %s", a.status, a.header, a.body)
			}
			for _, name := range []string{"Access-Control-Request-Method", "Access-Control-Request-Headers"} {
				if !slices.Contains(a.header.Values("Vary"), name) {
					t.Errorf("the preflight varies by %v", a.header.Values("Vary"))
				}
			}
		})
	}
}

func TestOriginsThatAreNoneAreRefused(t *testing.T) {
	for _, text := range []string{"app.example.com", "https://app.example.com/", "https://app.example.com/x", "https://App.example.com", "https://*", "https://*.com", "http://*.example.com",
		"https://a.*.example.com", "null", "ftp://a.example.com", "https://u:p@a.example.com", "https://a.example.com:443", "http://a.example.com:80", "https://a.example.com:", "*,https://a.example.com", "https://a.example.com?x", "https://[::ffff:1.2.3.4]x"} {
		if _, err := ParseOrigins(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
