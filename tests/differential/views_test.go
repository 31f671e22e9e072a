//go:build e2e

package differential

import "strings"

// savedViews is the life of saved views, with every answer that their routes have.
func savedViews() []step {
	const views = "/api/v1/views"
	const good = `{"name":"declined cards","search":"q=declined&severity=ERROR&start_time=now-1d"}`
	do := func(status int, r request) step { return step{request: r, status: status} }
	steps := []step{
		do(200, get("acme", views)),
		{post("reader", views, good), 201, "own"}, {post("acme", views, `{"name":"all","search":"","shared":true}`), 201, "shared"},
		{post("both", views, good, isJSON, "X-Tenant-ID: zeta"), 201, "zetas"},
		do(200, get("reader", views)), do(200, get("platform", views, "X-Tenant-ID: acme")), do(200, get("zeta", views)),
		do(400, get("reader", views+"?x=1")), do(401, get("", views)), do(403, get("writer", views)), do(403, get("reader", views, "X-Tenant-ID: zeta")),
		do(400, get("both", views)),

		do(200, change("reader", "PATCH", views+"/{own}", `{"name":"declined"}`)), do(200, change("reader", "PATCH", views+"/{own}", `{}`)),
		do(403, change("reader", "PATCH", views+"/{own}", `{"shared":true}`)), do(403, change("reader", "PATCH", views+"/{shared}", `{"name":"mine"}`)),
		do(200, change("acme", "PATCH", views+"/{shared}", `{"name":"everything","search":"audit=include"}`)),
		do(404, change("acme", "PATCH", views+"/{zetas}", `{"name":"x"}`)), do(404, change("zeta", "PATCH", views+"/{shared}", `{"name":"x"}`)),
		do(403, change("reader", "DELETE", views+"/{shared}", "")), do(404, change("zeta", "DELETE", views+"/{own}", "")),
	}
	for _, c := range []struct{ method, path, wrong string }{{"POST", views, `{"name":"","search":"nothing=1"}`}, {"PATCH", views + "/{own}", `{"search":"q=service:&cursor=x"}`}} {
		ask := func(status int, as, body string, header ...string) {
			r := change(as, c.method, c.path, body)
			if len(header) > 0 {
				r.header = header
			}
			steps = append(steps, do(status, r))
		}
		ask(400, "reader", `{`)
		ask(400, "reader", `{"id":"mine","name":"x","search":""}`)
		ask(400, "reader", `{"name":"x","created_by":"eve"}`)
		ask(401, "", good)
		ask(403, "writer", good)
		ask(413, "reader", strings.Repeat(" ", 65<<10))
		ask(415, "reader", good, "Content-Type: text/plain")
		ask(422, "reader", c.wrong)
		ask(422, "reader", `{"name":7}`)
		ask(422, "reader", `{"name":"x","search":"`+strings.Repeat("x", 2_001)+`"}`)
	}
	return append(steps,
		do(400, change("reader", "DELETE", views+"/{own}?x=1", "")), do(401, change("", "DELETE", views+"/{own}", "")),
		do(200, change("reader", "DELETE", views+"/{own}", "")), do(404, change("reader", "DELETE", views+"/{own}", "")),
		do(404, change("reader", "PATCH", views+"/{own}", `{"name":"x"}`)), do(200, change("acme", "DELETE", views+"/{shared}", "")),
		do(200, change("zeta", "DELETE", views+"/{zetas}", "")))
}
