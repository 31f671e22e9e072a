//go:build e2e

package differential

import (
	"encoding/json"
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
		var urls [2]string
		for side := range urls {
			urls[side] = w.sides[side].URL + s.target
			for name, value := range kept[side] {
				urls[side] = strings.ReplaceAll(urls[side], "{"+name+"}", value)
			}
		}
		a, err := w.bothOf(w.t.Context(), s.request, urls)
		if err != nil {
			w.t.Errorf("%s: %v", s, err)
			return
		}
		w.api.check(w.t, s.method, w.api.route(s.method, s.target), a)
		if words := sameHead(a); words != "" || a[0].status != s.status {
			w.report.differs(s.request, a, "%s; want %d", words, s.status)
		}
		for side := range a {
			var made struct {
				Data struct{ ID, JTI string }
			}
			if s.keep != "" && json.Unmarshal(a[side].body, &made) == nil {
				kept[side][s.keep] = made.Data.ID + made.Data.JTI
			}
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
}
