//go:build e2e

package differential

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ocelot-log/ocelot/tests/service"
)

// manageTenants changes, suspends and deletes a tenant in both systems, each request after the one before.
func (w *twins) manageTenants(ctx context.Context) {
	const path = "/api/v1/tenants/managed"
	token := w.sides[0].Token("managed", "admin")
	w.tokens["managed"] = token
	w.exchange(ctx, post("platform", "/api/v1/tenants", `{"id":"managed"}`))
	ask := func(status int, method, as, target, body string, header ...string) [2]answer {
		w.t.Helper()
		if body != "" {
			header = append(header, isJSON)
		}
		r := request{method: method, target: target, as: as, header: header, body: []byte(body)}
		a := w.exchange(ctx, r)
		if a[0].status != status {
			w.t.Errorf("%s: %d %s, want %d", r, a[0].status, a[0].body, status)
		}
		return a
	}
	// The deployed API may have seen the list of tenants before this one was in it.
	w.until(ctx, get("managed", path), http.StatusOK)
	for _, as := range []string{"", "reader", "acme", "platform", "nobody", "managed"} {
		want := map[string]int{"": 401, "reader": 403, "acme": 404, "nobody": 404, "platform": 200, "managed": 200}[as]
		ask(want, "GET", as, path, "")
		ask(want, "PATCH", as, path, `{}`)
		if as != "platform" {
			ask(map[string]int{"": 401}[as]+map[bool]int{true: 403}[as != ""], "DELETE", as, path, "")
		}
	}
	ask(400, "GET", "managed", path+"?x=1", "")
	ask(400, "GET", "managed", path, "", "X-Tenant-ID: acme")
	for _, body := range []string{`{"settings":{"retention_days":-1}}`, `{"settings":{"retention_days":1.5}}`, `{"settings":{"retention_days":1e9}}`, `{"settings":{"retention_days":"30"}}`, `{"settings":{"min_severity":"LOUD","max_entry_age":"1y","limits":{"entries_per_day":-1}}}`,
		`{"settings":{"masking":[{"pattern":"(","action":"mask"},{"builtin":"card"}]}}`, `{"name":5}`, `null`, `{"deleted":true}`} {
		ask(422, "PATCH", "platform", path, body)
	}
	for _, body := range []string{`{"role":"admin"}`, `{"tenant_id":"acme"}`, `{"id":"acme"}`, `{"settings":{"is_superuser":true,"retention_days":-1}}`, `{`, `{"name":"a","name":"b"}`} {
		ask(400, "PATCH", "managed", path, body)
	}
	ask(403, "PATCH", "managed", path, `{"suspended":true}`)
	ask(413, "PATCH", "managed", path, strings.Repeat(" ", 65<<10))
	w.exchange(ctx, request{method: "PATCH", target: path, as: "managed", header: []string{"Content-Type: text/plain"}, body: []byte(`{}`)})
	ask(200, "PATCH", "managed", path, `{"name":"Managed","settings":{"retention_days":30,"min_severity":"warn","max_entry_age":"72h","masking":[{"name":"cards","builtin":"card","action":"mask"}],"limits":{"entries_per_min":100000,"bytes_per_day":1000000000000}}}`, `If-Match: "1"`)
	ask(412, "PATCH", "managed", path, `{"name":"Managed"}`, `If-Match: "1"`)
	ask(400, "PATCH", "managed", path, `{"name":"Managed"}`, `If-Match: 1`)
	ask(200, "PATCH", "managed", path, `{"settings":{"min_severity":null,"limits":{"entries_per_min":50000}}}`)
	ask(202, "POST", "managed", single, `{"message":"kept until the tenant is gone","timestamp":"`+time.Now().UTC().Format(time.RFC3339)+`"}`)
	ask(200, "PATCH", "platform", path, `{"suspended":true}`)
	ask(401, "GET", "managed", path, "")
	ask(401, "GET", "managed", "/api/v1/tenants", "")
	ask(401, "POST", "managed", single, `{"message":"refused"}`)
	ask(200, "PATCH", "platform", path, `{"suspended":false}`)
	ask(200, "GET", "managed", path, "")

	ask(412, "DELETE", "platform", path, "", `If-Match: "1"`)
	ask(404, "DELETE", "platform", "/api/v1/tenants/nobody", "")
	ask(400, "DELETE", "platform", path+"?x=1", "")
	a := ask(202, "DELETE", "platform", path, "")
	ask(202, "DELETE", "platform", path, "")
	var job [2]struct{ Data struct{ ID string } }
	for side := range a {
		if err := json.Unmarshal(a[side].body, &job[side]); err != nil || a[side].header.Get("Location") != "/api/v1/jobs/"+job[side].Data.ID {
			w.t.Errorf("%s: %v, %q", a[side].body, err, a[side].header.Get("Location"))
		}
	}
	w.ids.add(job[0].Data.ID, job[1].Data.ID)
	ask(401, "GET", "managed", path, "")
	for as, want := range map[string]int{"": 401, "reader": 403, "acme": 404, "platform": 200} {
		r := get(as, "/api/v1/jobs/")
		a, err := w.both(ctx, r, [2]string{r.target + job[0].Data.ID, r.target + job[1].Data.ID})
		if err != nil || a[0].status != want || a[1].status != want {
			w.t.Errorf("the job as %q: %v, %d and %d, want %d", as, err, a[0].status, a[1].status, want)
			continue
		}
		w.api.check(w.t, "GET", "/api/v1/jobs/{id}", a)
	}
	ask(404, "GET", "acme", "/api/v1/jobs/x", "")
	ask(400, "GET", "acme", "/api/v1/jobs/x?x=1", "")
	ask(200, "PATCH", "platform", path, `{"deleted":false}`)
	ask(200, "GET", "managed", path, "")
	w.deleteOld(ctx, ask)
}

// deleteOld has the entries of the managed tenant deleted in both systems.
func (w *twins) deleteOld(ctx context.Context, ask func(status int, method, as, target, body string, header ...string) [2]answer) {
	w.t.Helper()
	old := single + "?before=" + time.Now().UTC().Truncate(time.Millisecond).Format(time.RFC3339Nano)
	for as, want := range map[string]int{"": 401, "reader": 403, "writer": 403, "nobody": 401, "all-reader": 403} {
		ask(want, "DELETE", as, old, "")
	}
	ask(400, "DELETE", "managed", single, "")
	for _, bad := range []string{"?days=3&before=2026-01-01", "?days=0", "?days=1&days=2", "?before=now", "?before=9999-01-01", "?days=3;x=1", "?days=3&service=billing"} {
		ask(400, "DELETE", "managed", single+bad, "")
	}
	ask(414, "DELETE", "managed", single+"?days="+strings.Repeat("1", 8200), "")
	found := func(text string, n int64) {
		w.t.Helper()
		for side := range 2 {
			service.Eventually(w.t, 60*time.Second, func() (bool, string) {
				c := service.Client{URL: w.sides[side].URL, Token: w.tokens["managed"]}
				got, err := c.Count(ctx, url.Values{"q": {text}})
				return err == nil && got == n, fmt.Sprintf("%s finds %d of %q, want %d (%v)", sideNames[side], got, text, n, err)
			})
		}
	}
	found("kept until", 1) // so that it is seen to go
	ask(202, "DELETE", "managed", single+"?before=2020-01-01", "")
	a := ask(202, "DELETE", "managed", old, "")
	ask(202, "POST", "managed", single, `{"message":"younger, though it says that it is older","timestamp":"`+time.Now().Add(-48*time.Hour).UTC().Format(time.RFC3339)+`"}`)
	for day := 1; day < 9; day++ {
		ask(202, "DELETE", "managed", fmt.Sprintf("%s?before=2020-02-%02d", single, day), "")
	}
	ask(409, "DELETE", "managed", single+"?before=2020-03-01", "")
	found("kept until", 0)
	found("younger", 1)
	var job [2]struct{ Data struct{ ID string } }
	for side := range a {
		if err := json.Unmarshal(a[side].body, &job[side]); err != nil {
			w.t.Fatal(err)
		}
	}
	shown, err := w.both(ctx, get("managed", ""), [2]string{"/api/v1/jobs/" + job[0].Data.ID, "/api/v1/jobs/" + job[1].Data.ID})
	if err != nil || shown[0].status != 200 || shown[1].status != 200 {
		w.t.Errorf("the jobs: %v, %d and %d", err, shown[0].status, shown[1].status)
	}
	w.api.check(w.t, "GET", "/api/v1/jobs/{id}", shown)
}

// until asks both systems until they answer with the status, for ten seconds.
func (w *twins) until(ctx context.Context, r request, status int) {
	w.t.Helper()
	said := ""
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		a, err := w.both(ctx, r, [2]string{r.target, r.target})
		if err == nil && a[0].status == status && a[1].status == status {
			return
		}
		said = fmt.Sprintf("%v, %d and %d", err, a[0].status, a[1].status)
	}
	w.t.Errorf("%s: %s, want %d", r, said, status)
}
