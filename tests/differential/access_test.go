//go:build e2e

package differential

import (
	"crypto/rand"
	"encoding/json"
	"slices"
	"strings"
)

// step is a request of a story, and how it must end.
type step struct {
	request
	status int
	keep   string // the name of the answer's data.id, or of its data.jti
}

// walk sends the requests of one story to both systems, in which a later one needs what an earlier one made: {name} in
// a path stands for what keep took from an answer. What is each system's own is in these answers, so their status and
// the description are compared, not their bytes.
func (w *twins) walk(steps []step) {
	kept := [2]map[string]string{{}, {}}
	for _, s := range steps {
		id := "X-Request-ID: " + rand.Text()
		var a [2]answer
		for side := range a {
			own := s.request
			own.header = slices.Clone(s.header)
			for name, value := range kept[side] {
				own.target = strings.ReplaceAll(own.target, "{"+name+"}", value)
				for i := range own.header {
					own.header[i] = strings.ReplaceAll(own.header[i], "{"+name+"}", value)
				}
			}
			var err error
			if a[side], err = w.send(w.t.Context(), w.sides[side].URL+own.target, own, id); err != nil {
				w.t.Errorf("%s: %v", s, err)
				return
			}
			var made struct {
				Data struct{ ID, JTI string }
			}
			if s.keep != "" && json.Unmarshal(a[side].body, &made) == nil {
				kept[side][s.keep] = made.Data.ID + made.Data.JTI
			}
			if cookie, _, ok := strings.Cut(a[side].header.Get("Set-Cookie"), ";"); ok {
				kept[side]["cookie"] = cookie
			}
		}
		w.api.check(w.t, s.method, w.api.Route(s.method, s.target), a)
		if words := sameHead(a); words != "" || a[0].status != s.status {
			w.report.differs(s.request, a, "%s; want %d", words, s.status)
		}
	}
}

func change(as, method, path, body string) request {
	r := post(as, path, body)
	r.method = method
	return r
}

// credentials is the life of keys, with every answer that their routes have.
func (w *twins) credentials() {
	const keys = "/api/v1/tenants/acme/keys"
	do := func(status int, r request) step { return step{request: r, status: status} }
	steps := []step{
		{post("acme", keys, `{"name":"reports","role":"reader","expires_at":"2030-01-01T00:00:00Z","cidrs":["127.0.0.0/8"],"filter":"service:billing"}`), 201, "key"},
		do(200, get("acme", keys)), do(200, get("platform", keys)),
		do(200, change("acme", "PATCH", keys+"/{key}", `{"disabled":true}`)), do(409, post("acme", keys+"/{key}/rotate", `{}`)),
		do(200, change("acme", "PATCH", keys+"/{key}", `{"disabled":false}`)),
		{post("acme", keys+"/{key}/rotate", `{"overlap":"1h"}`), 201, "next"}, do(409, post("acme", keys+"/{key}/rotate", `{}`)),
		do(200, change("acme", "DELETE", keys+"/{key}", "")), do(404, change("acme", "DELETE", keys+"/{key}", "")), do(200, change("platform", "DELETE", keys+"/{next}", "")),
		do(404, get("platform", "/api/v1/tenants/nosuch/keys")), do(404, get("zeta", keys)),
	}
	for _, c := range []struct{ method, path string }{{"GET", keys}, {"POST", keys}, {"PATCH", keys + "/none"}, {"DELETE", keys + "/none"}, {"POST", keys + "/none/rotate"}} {
		good := map[string]string{"POST" + keys: `{"name":"x","role":"reader"}`, "PATCH" + keys + "/none": `{"disabled":true}`, "POST" + keys + "/none/rotate": `{}`}[c.method+c.path]
		ask := func(status int, as, body string, header ...string) {
			r := change(as, c.method, c.path, body)
			if len(header) > 0 {
				r.header = header
			}
			steps = append(steps, do(status, r))
		}
		ask(400, "acme", good, isJSON, "X-Tenant-ID: zeta")
		ask(401, "", good)
		ask(403, "reader", good)
		ask(404, "zeta", good)
		if good == "" {
			continue
		}
		ask(400, "acme", `{"id":"x"}`)
		ask(400, "acme", `{`)
		ask(413, "acme", strings.Repeat(" ", 65<<10))
		ask(415, "acme", good, "Content-Type: text/plain")
		switch c.path {
		case keys:
			ask(422, "acme", `{"name":"x","role":"owner"}`)
		case keys + "/none":
			ask(404, "acme", good)
			ask(422, "acme", `{}`)
		default:
			ask(404, "acme", good)
			ask(422, "acme", `{"overlap":"soon"}`)
		}
	}
	w.walk(steps)
	w.walk(tokensAndSessions())
}

// tokensAndSessions is the life of a token and of a session.
func tokensAndSessions() []step {
	const tokens, session = "/api/v1/tokens", "/api/v1/session"
	good := `{"tenants":["acme"],"role":"reader","ttl":"5m","subject":"ada","filter":"service:billing"}`
	do := func(status int, r request) step { return step{request: r, status: status} }
	end := func(as, path string, header ...string) request {
		return request{method: "DELETE", target: path, as: as, header: header}
	}
	cookie := "Cookie: {cookie}"
	return []step{
		{post("acme", tokens, good), 201, "jti"}, do(200, get("acme", tokens)), do(200, get("platform", tokens)), do(200, get("zeta", tokens)),
		do(403, end("reader", tokens+"/{jti}")), do(401, end("", tokens+"/{jti}")), do(400, end("acme", tokens+"/{jti}?x=1")), do(200, end("acme", tokens+"/{jti}")), do(200, end("acme", tokens+"/nobodys")),
		do(200, get("acme", tokens)), do(401, get("", tokens)), do(403, get("reader", tokens)), do(400, get("acme", tokens+"?x=1")),
		do(401, post("", tokens, good)), do(403, post("writer", tokens, good)), do(403, post("acme", tokens, `{"tenants":["*"],"role":"admin"}`)), do(403, post("zeta", tokens, good)),
		do(400, post("acme", tokens, `{"jti":"mine"}`)), do(400, post("acme", tokens, `{`)), do(413, post("acme", tokens, strings.Repeat(" ", 65<<10))), do(415, post("acme", tokens, good, "Content-Type: text/plain")),
		do(422, post("acme", tokens, `{"tenants":["acme"]}`)), do(422, post("acme", tokens, `{"tenants":["acme"],"role":"reader","ttl":"soon"}`)), do(422, post("acme", tokens, `{"tenants":["acme"],"role":"reader","filter":"service:"}`)),

		do(200, get("both", session)), do(200, get("platform", session)), do(401, get("", session)), do(400, get("acme", session+"?x=1")),
		do(401, post("", session, "")), do(400, post("acme", session+"?x=1", "")), do(401, end("", session)), do(404, end("acme", session)), do(400, end("acme", session+"?x=1")),
		do(201, post("both", session, "")), do(200, get("", session, cookie)), do(400, get("acme", session, cookie)), do(200, get("", single, cookie, "X-Tenant-ID: acme")),
		do(403, end("", session, cookie)), do(403, end("", session, cookie, "Origin: https://evil.example", "Sec-Fetch-Site: cross-site")), do(403, post("", single, `{"message":"x"}`, isJSON, cookie, "X-Tenant-ID: acme")),
		do(200, end("", session, cookie, "Sec-Fetch-Site: same-origin")), do(401, get("", session, "Cookie: ocelot="+strings.Repeat("A", 43))),
		do(404, get("", session+"/oidc")), do(400, get("", session+"/oidc?x=1")), do(404, get("", session+"/oidc/callback?code=x&state=y")),
	}
}
