package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/audit"
	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/jobs"
	"github.com/ocelot-log/ocelot/internal/tenant"
)

func TestATenantIsReadAndChangedByItsAdmins(t *testing.T) {
	w := newWorld(t)
	admin := authHeader(t, "acme", "admin")
	merging := authHeader(t, "*", "admin")
	merging.Set("Content-Type", "application/merge-patch+json")
	const path = "/api/v1/tenants/acme"
	for _, c := range []struct {
		as           http.Header
		method, body string
		more         []string
		status       int
		etag, want   string // want: a piece of the body
	}{
		{admin, "GET", "", nil, 200, `"1"`, `{"id":"acme","name":"acme","created_at":"1970-01-01T00:00:00Z","settings":{},"suspended":false}`},
		{admin, "PATCH", `{}`, nil, 200, `"1"`, `"settings":{}`},
		{admin, "PATCH", `{"name":"Acme","settings":{"retention_days":30}}`, nil, 200, `"2"`, `"name":"Acme","created_at":"1970-01-01T00:00:00Z","settings":{"retention_days":30}`},
		{admin, "PATCH", `{"settings":{"limits":{"entries_per_min":5}}}`, []string{"If-Match", `"2"`}, 200, `"3"`, `"settings":{"retention_days":30,"limits":{"entries_per_min":5}}`},
		{admin, "PATCH", `{"settings":null}`, []string{"If-Match", `"2"`}, 412, "", `"code":"version_mismatch"`},
		{admin, "PATCH", `{"settings":null}`, []string{"If-Match", `W/"3"`}, 412, "", `"code":"version_mismatch"`},
		{admin, "PATCH", `{"settings":null}`, []string{"If-Match", `3`}, 400, "", `"code":"if_match_invalid"`},
		{merging, "PATCH", `{"settings":{"retention_days":null}}`, []string{"If-Match", `"1", "3"`}, 200, `"4"`, `"settings":{"limits":{"entries_per_min":5}}`},
		{admin, "PATCH", `{"settings":{"limits":{"entries_per_min":6}}}`, nil, 403, "", `only a platform admin raises a tenant's limits`},
		{admin, "PATCH", `{"settings":{"limits":null}}`, nil, 403, "", `"code":"insufficient_role"`},
		{admin, "PATCH", `{"role":"admin"}`, nil, 400, "", `"code":"unknown_field"`},
		{admin, "PATCH", `{"settings":{"retention_days":1.5}}`, nil, 422, "", `"pointer":"/settings/retention_days"`},
		{admin, "PATCH", `{"settings":{"retention_days":1,"retention_days":2}}`, nil, 400, "", `"code":"json_duplicate_key"`},
		{admin, "PATCH", `[]`, nil, 422, "", `"code":"field_wrong_type"`},
		{admin, "PATCH", `null`, nil, 422, "", `"code":"field_wrong_type"`},
		{admin, "PATCH", ``, []string{"Content-Type", "application/json"}, 400, "", `"code":"body_empty"`},
		{admin, "PATCH", `{"suspended":true}`, nil, 403, "", `"code":"insufficient_role"`},
		{admin, "PATCH", `{"deleted":false}`, nil, 403, "", `"code":"insufficient_role"`},
		{admin, "DELETE", "", nil, 403, "", `"code":"insufficient_role"`},
		{authHeader(t, "acme", "writer"), "PATCH", `{"settings":{"retention_days":1}}`, nil, 403, "", `"code":"insufficient_role"`},
		{authHeader(t, "acme", "reader"), "GET", "", nil, 403, "", `"code":"insufficient_role"`},
		{admin, "GET", "", nil, 200, `"4"`, `"name":"Acme"`},
	} {
		a := w.do(t, c.as, c.method, path, c.body, c.more...)
		if a.status != c.status || a.header.Get("ETag") != c.etag || !strings.Contains(string(a.body), c.want) {
			t.Errorf("%s %s %v: %d %s %s, want %d %s %s", c.method, c.body, c.more, a.status, a.header.Get("ETag"), a.body, c.status, c.etag, c.want)
		}
	}
	if a := w.do(t, authHeader(t, "acme", "reader"), "GET", "/api/v1/tenants", ""); strings.Contains(string(a.body), "settings") {
		t.Errorf("a reader is shown the settings: %s", a.body)
	}
}

func TestSomebodyElsesTenantIsAsAbsentAsNone(t *testing.T) {
	w := newWorld(t)
	admin := authHeader(t, "acme", "admin")
	for _, method := range []string{"GET", "PATCH"} {
		foreign := w.do(t, admin, method, "/api/v1/tenants/zeta", `{"name":"mine"}`, "X-Request-ID", "same")
		absent := w.do(t, admin, method, "/api/v1/tenants/nobody", `{"name":"mine"}`, "X-Request-ID", "same")
		if foreign.status != 404 || string(foreign.body) != string(absent.body) {
			t.Errorf("%s: %d %s\n%d %s", method, foreign.status, foreign.body, absent.status, absent.body)
		}
	}
}

func TestASuspendedTenantsCredentialsAreRefusedUntilItIsResumed(t *testing.T) {
	w := newWorld(t)
	admin, platform := authHeader(t, "acme", "admin"), authHeader(t, "*", "admin")
	suspend := func(on bool) {
		t.Helper()
		if a := w.do(t, platform, "PATCH", "/api/v1/tenants/acme", fmt.Sprintf(`{"suspended":%v}`, on)); a.status != 200 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	use := func() (statuses string) {
		for _, r := range [][3]string{{"GET", "/api/v1/logs", ""}, {"POST", "/api/v1/logs", `{"message":"x"}`}, {"GET", "/api/v1/tenants", ""}, {"GET", "/api/v1/tenants/acme", ""}, {"GET", "/api/v1/jobs/x", ""}} {
			a := w.do(t, admin, r[0], r[1], r[2])
			statuses += fmt.Sprint(a.status, a.problem().Code, " ")
		}
		return statuses
	}
	if got := use(); got != "200 202 200 200 404not_found " {
		t.Fatalf("before: %s", got)
	}
	suspend(true)
	if got := use(); got != strings.Repeat("401tenant_disabled ", 5) {
		t.Fatalf("while it is suspended: %s", got)
	}
	suspend(false)
	if got := use(); got != "200 202 200 200 404not_found " {
		t.Fatalf("after: %s", got)
	}
}

func job(t *testing.T, a answer, status int) jobs.Job {
	t.Helper()
	var body struct{ Data jobs.Job }
	if a.status != status || json.Unmarshal(a.body, &body) != nil {
		t.Fatalf("%d %s", a.status, a.body)
	}
	return body.Data
}

func TestADeletionIsAJobThatCanBeTakenBack(t *testing.T) {
	w := newWorld(t, func(p *parts) { p.cfg.DeleteGrace = time.Hour })
	admin, platform := authHeader(t, "acme", "admin"), authHeader(t, "*", "admin")
	a := w.do(t, platform, "DELETE", "/api/v1/tenants/acme", "")
	j := job(t, a, 202)
	if at := time.Until(j.StartAt); j.State != jobs.Waiting || j.Tenant != "acme" || at < 59*time.Minute || at > time.Hour || a.header.Get("Location") != "/api/v1/jobs/"+j.ID {
		t.Fatalf("%+v %v", j, a.header)
	}
	if again := job(t, w.do(t, platform, "DELETE", "/api/v1/tenants/acme", ""), 202); again.ID != j.ID || !again.StartAt.Equal(j.StartAt) {
		t.Fatalf("again it is %+v", again)
	}
	if a := w.do(t, admin, "GET", "/api/v1/logs", ""); a.status != 401 || a.problem().Code != "tenant_disabled" {
		t.Fatalf("B10 the token of before: %d %s", a.status, a.body)
	}
	if a := w.do(t, platform, "GET", "/api/v1/tenants/acme", ""); a.status != 200 || !strings.Contains(string(a.body), `"delete_at":"`) {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for _, as := range []http.Header{authHeader(t, "zeta", "admin"), admin} {
		foreign := w.do(t, as, "GET", "/api/v1/jobs/"+j.ID, "", "X-Request-ID", "same")
		absent := w.do(t, as, "GET", "/api/v1/jobs/del-00000000000000000000", "", "X-Request-ID", "same")
		if foreign.status < 400 || string(foreign.body) != string(absent.body) {
			t.Errorf("B6 a job of another: %d %s\n%d %s", foreign.status, foreign.body, absent.status, absent.body)
		}
	}
	if a := w.do(t, platform, "PATCH", "/api/v1/tenants/acme", `{"deleted":false}`); a.status != 200 || strings.Contains(string(a.body), "delete_at") {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := w.do(t, admin, "GET", "/api/v1/logs", ""); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if j := job(t, w.do(t, admin, "GET", "/api/v1/jobs/"+j.ID, ""), 200); j.State != jobs.Cancelled {
		t.Fatalf("%+v", j)
	}
	if a := w.do(t, authHeader(t, "zeta", "admin"), "GET", "/api/v1/jobs/"+j.ID, ""); a.status != 404 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if j := job(t, w.do(t, platform, "DELETE", "/api/v1/tenants/acme", ""), 202); j.State != jobs.Waiting || !j.FinishedAt.IsZero() {
		t.Fatalf("deleted again it is %+v", j)
	}
}

func TestATenantOfTheSameSlugSeesNoJobOfTheOneBefore(t *testing.T) {
	w := newWorld(t)
	platform := authHeader(t, "*", "admin")
	j := job(t, w.do(t, platform, "DELETE", "/api/v1/tenants/acme", ""), 202)
	if a := w.do(t, platform, "GET", "/api/v1/tenants/acme", ""); a.status != 404 {
		t.Fatalf("without a grace: %d %s", a.status, a.body)
	}
	must(t, w.store.DeleteTenant(t.Context(), authtest.TenantID("acme")))
	must(t, w.store.CreateTenant(t.Context(), tenant.Info{ID: tenant.NewID(), Slug: "acme", Name: "Another"}))
	w.access.Tenants.Forget()
	if a := w.do(t, authHeader(t, "acme", "admin"), "GET", "/api/v1/jobs/"+j.ID, ""); a.status != 404 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := w.do(t, platform, "GET", "/api/v1/jobs/"+j.ID, ""); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
}

func TestATenantOfTheSameSlugIsNothingToCredentialsOfTheOneBefore(t *testing.T) {
	notes := &noted{}
	w := newWorld(t, func(p *parts) { p.writing.Audit = notes })
	both, platform := authtest.Header(t, []string{"acme", "zeta"}, "admin"), authHeader(t, "*", "admin")
	must(t, w.store.DeleteTenant(t.Context(), authtest.TenantID("zeta")))
	other := tenant.Info{ID: tenant.NewID(), Slug: "zeta", Name: "Somebody else", CreatedAt: time.Now().Add(time.Minute), Settings: tenant.Settings{RetentionDays: 77}}
	must(t, w.store.CreateTenant(t.Context(), other))
	w.access.Tenants.Forget()

	for _, path := range []string{"/api/v1/tenants", sessionPath} {
		if a := w.do(t, both, "GET", path, ""); a.status != 200 || strings.Contains(string(a.body), "zeta") || !strings.Contains(string(a.body), `"id":"acme"`) {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	for _, tenants := range []string{`["zeta"]`, `["acme","zeta"]`} {
		token := made[tokenBody](t, w.do(t, platform, "POST", tokensPath, `{"tenants":`+tenants+`,"role":"admin"}`), 201)
		if a := w.do(t, both, "GET", tokensPath, ""); a.status != 200 || strings.Contains(string(a.body), token.JTI) {
			t.Errorf("a token for %s is listed: %d %s", tenants, a.status, a.body)
		}
		made[ended](t, w.do(t, both, "DELETE", tokensPath+"/"+token.JTI, ""), 200)
		if list := made[[]tokenBody](t, w.do(t, platform, "GET", tokensPath, ""), 200); !slices.ContainsFunc(list, func(b tokenBody) bool { return b.JTI == token.JTI && b.RevokedAt.IsZero() }) {
			t.Errorf("a token for %s was ended: %+v", tenants, list)
		}
	}
	(&browser{w: w}).signIn(t, both)
	for _, e := range notes.events {
		if e.tenantID == other.ID && e.Subject == "test" && e.Action != audit.Create {
			t.Errorf("it is noted in its log: %+v", e.Event)
		}
	}
	j := job(t, w.do(t, platform, "DELETE", "/api/v1/logs?days=1", "", "X-Tenant-ID", "zeta"), 202)
	if a := w.do(t, both, "GET", "/api/v1/jobs/"+j.ID, ""); a.status != 404 {
		t.Errorf("its job: %d %s", a.status, a.body)
	}
}
