//go:build e2e

package differential

import "strings"

// masking tries rules, with every answer that the route has.
func (w *twins) masking() {
	const path = "/api/v1/tenants/acme/masking/test"
	const good = `{"rules":[{"name":"who","field":"user_id","action":"mask"},{"builtin":"card","action":"drop"}],"entries":[{"message":"m","user_id":"ann","metadata":{"token":"t","n":1.50}}]}`
	var steps []step
	ask := func(status int, as, body string, header ...string) {
		r := post(as, path, body)
		if len(header) > 0 {
			r.header = header
		}
		steps = append(steps, step{request: r, status: status})
	}
	ask(200, "acme", good)
	ask(200, "platform", good)
	ask(400, "acme", `{"entries":[],"x":1}`)
	ask(401, "", good)
	ask(403, "reader", good)
	ask(404, "zeta", good)
	ask(413, "acme", strings.Repeat(" ", 65<<10))
	ask(415, "acme", good, "Content-Type: text/plain")
	ask(422, "acme", `{"rules":[{"pattern":"("}],"entries":[{"message":"m"}]}`)
	w.walk(steps)
}
