package httpapi

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/audit"
	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/document"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/jobs"
)

// jobsOf are the jobs of acme.
func jobsOf(t *testing.T, w *world) []document.Document {
	t.Helper()
	all, err := w.store.Documents(t.Context(), document.Job, authtest.TenantID("acme"), "", 100)
	must(t, err)
	return all
}

func TestL8ADeletionThatDoesNotSayWhatIsNone(t *testing.T) {
	w, n := auditedWorld(t)
	admin := authHeader(t, "acme", "admin")
	const at = "2026-01-01T00:00:00Z"
	for name, c := range map[string]struct {
		as     http.Header
		query  string
		status int
		code   string
	}{
		"L8 neither before nor days":       {admin, "", 400, "range_invalid"},
		"L8 an empty query":                {admin, "?", 400, "range_invalid"},
		"L8 both":                          {admin, "?before=" + at + "&days=3", 400, "range_invalid"},
		"L8 before twice":                  {admin, "?before=" + at + "&before=" + at, 400, "repeated_parameter"},
		"L8 days twice":                    {admin, "?days=3&days=4", 400, "repeated_parameter"},
		"L8 a semicolon":                   {admin, "?before=" + at + ";x=1", 400, "query_invalid"},
		"L8 a semicolon between":           {admin, "?before=" + at + ";service=billing", 400, "query_invalid"},
		"L8 a broken escape":               {admin, "?days=3&x=%zz", 400, "query_invalid"},
		"L8 half an escape":                {admin, "?days=3&%", 400, "query_invalid"},
		"L8 no UTF-8":                      {admin, "?days=3&x=%ff", 400, "query_invalid"},
		"L8 1,001 parameters":              {admin, "?days=3" + strings.Repeat("&a=1", 1_000), 400, "query_invalid"},
		"L8 10,001 parameters":             {admin, "?days=3" + strings.Repeat("&", 10_000), 414, "url_too_long"},
		"L8 a filter":                      {admin, "?days=3&service=billing", 400, "unknown_parameter"},
		"L8 a filter in the language":      {admin, "?days=3&q=service:billing", 400, "unknown_parameter"},
		"L8 a misspelt name":               {admin, "?day=3", 400, "unknown_parameter"},
		"L8 a name of other case":          {admin, "?Days=3", 400, "unknown_parameter"},
		"L8 a tenant":                      {admin, "?days=3&tenant=acme", 400, "unknown_parameter"},
		"L8 no days":                       {admin, "?days=", 400, "range_invalid"},
		"L8 zero days":                     {admin, "?days=0", 400, "range_invalid"},
		"L8 fewer":                         {admin, "?days=-1", 400, "range_invalid"},
		"L8 a plus, which is a space":      {admin, "?days=+3", 400, "range_invalid"},
		"L8 a sign":                        {admin, "?days=%2B3", 400, "range_invalid"},
		"L8 a part of a day":               {admin, "?days=1.5", 400, "range_invalid"},
		"L8 an exponent":                   {admin, "?days=1e3", 400, "range_invalid"},
		"L8 other digits":                  {admin, "?days=%D9%A1", 400, "range_invalid"},
		"L8 a leading zero":                {admin, "?days=03", 400, "range_invalid"},
		"L8 more days than there are":      {admin, "?days=36501", 400, "range_invalid"},
		"L8 a number that overflows":       {admin, "?days=99999999999999999999", 400, "range_invalid"},
		"L8 no time":                       {admin, "?before=", 400, "range_invalid"},
		"L8 what is no time":               {admin, "?before=yesterday", 400, "range_invalid"},
		"L8 a time by the clock":           {admin, "?before=now-3d", 400, "range_invalid"},
		"L8 an epoch":                      {admin, "?before=1767225600", 400, "range_invalid"},
		"L8 a plus in a time":              {admin, "?before=2026-01-01T00:00:00+01:00", 400, "range_invalid"},
		"L8 a day that there is not":       {admin, "?before=2026-02-30", 400, "range_invalid"},
		"L8 a time that lies ahead":        {admin, "?before=" + time.Now().Add(time.Minute).UTC().Format(time.RFC3339), 400, "range_invalid"},
		"L8 a year that lies ahead":        {admin, "?before=9999-01-01", 400, "range_invalid"},
		"L8 a writer":                      {authHeader(t, "acme", "writer", "reader"), "?days=3", 403, "insufficient_role"},
		"L8 an admin of another tenant":    {withTenant(authHeader(t, "zeta", "admin"), "acme"), "?days=3", 403, "tenant_forbidden"},
		"L8 an admin of a part":            {withKey(scopedAdmin(t, w)), "?days=3", 403, "outside_scope"},
		"L8 nobody":                        {http.Header{}, "?days=3", 401, "unauthenticated"},
		"L8 a platform admin for all":      {authHeader(t, "*", "admin"), "?days=3", 400, "tenant_required"},
		"L8 on a path of one entry":        {admin, "/0199c1f0-8a4e-7c3b-9f00-2f1d3c4b5a69?days=3", 405, "method_not_allowed"},
		"L8 with the parameters in a body": {admin, "", 400, "range_invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			if a := w.do(t, c.as, http.MethodDelete, "/api/v1/logs"+c.query, `{"days":3}`); a.status != c.status || a.problem().Code != c.code {
				t.Errorf("%d %s, want %d %s", a.status, a.body, c.status, c.code)
			}
		})
	}
	if all := jobsOf(t, w); len(all) != 0 {
		t.Errorf("L8 there are %d jobs: %s", len(all), all[0].Body)
	}
	for _, e := range n.events {
		if e.Action == audit.Delete && e.ResourceType == "entries" {
			t.Errorf("L8 a deletion is noted: %+v", e)
		}
	}
}

func withTenant(h http.Header, slug string) http.Header {
	h.Set("X-Tenant-Id", slug)
	return h
}

// scopedAdmin is the key of an admin of a part of acme.
func scopedAdmin(t *testing.T, w *world) string {
	t.Helper()
	return made[keyBody](t, w.do(t, authHeader(t, "acme", "admin"), http.MethodPost, keysOfAcme, `{"name":"part","role":"admin","filter":"service:billing"}`), http.StatusCreated).Key
}

func TestADeletionOfOldEntriesIsAJobAndNoted(t *testing.T) {
	w, n := auditedWorld(t)
	admin := authHeader(t, "acme", "admin")
	a := w.do(t, admin, http.MethodDelete, "/api/v1/logs?before=2026-01-01T01:00:00.0015%2B01:00", "")
	j := job(t, a, 202)
	at := time.Date(2026, 1, 1, 0, 0, 0, int(time.Millisecond), time.UTC)
	if j.Type != jobs.OldEntries || j.State != jobs.Waiting || j.Tenant != "acme" || !j.Before.Equal(at) || j.By != "test" || a.header.Get("Location") != "/api/v1/jobs/"+j.ID {
		t.Fatalf("%+v %v", j, a.header)
	}
	if again := job(t, w.do(t, admin, http.MethodDelete, "/api/v1/logs?before=2026-01-01T00:00:00.001Z", ""), 202); again.ID != j.ID || !again.CreatedAt.Equal(j.CreatedAt) {
		t.Errorf("sent again it is %+v", again)
	}
	if shown := job(t, w.do(t, admin, http.MethodGet, "/api/v1/jobs/"+j.ID, ""), 200); shown.ID != j.ID || !shown.Before.Equal(at) {
		t.Errorf("%+v", shown)
	}
	other := authHeader(t, "zeta", "admin")
	foreign := w.do(t, other, http.MethodGet, "/api/v1/jobs/"+j.ID, "", "X-Request-ID", "same")
	absent := w.do(t, other, http.MethodGet, "/api/v1/jobs/old-00000000000000000000", "", "X-Request-ID", "same")
	if foreign.status != 404 || string(foreign.body) != string(absent.body) {
		t.Errorf("B6 a job of another: %d %s\n%d %s", foreign.status, foreign.body, absent.status, absent.body)
	}
	if len(n.events) != 2 {
		t.Fatalf("%d events: %+v", len(n.events), n.events)
	}
	e := n.events[0]
	after, _ := e.After.(map[string]any)
	if e.tenantID != authtest.TenantID("acme") || e.Action != audit.Delete || e.ResourceType != "entries" || e.ResourceID != j.ID || e.Subject != "test" || e.Route != "DELETE /api/v1/logs" || after["before"] != at {
		t.Errorf("%+v", e)
	}
	days := job(t, w.do(t, admin, http.MethodDelete, "/api/v1/logs?days=30", ""), 202)
	if age := time.Since(days.Before); age < 30*24*time.Hour || age > 30*24*time.Hour+time.Minute {
		t.Errorf("30 days ago is %v", days.Before)
	}
	date := job(t, w.do(t, withTenant(authHeader(t, "*", "admin"), "acme"), http.MethodDelete, "/api/v1/logs?before=2025-12-01", ""), 202)
	if !date.Before.Equal(time.Date(2025, 12, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("%v", date.Before)
	}
}

func TestADeletionThatCantBeNotedIsNone(t *testing.T) {
	w, n := auditedWorld(t)
	n.err = fault.New(fault.Unavailable, "audit_unavailable", "try again")
	if a := w.do(t, authHeader(t, "acme", "admin"), http.MethodDelete, "/api/v1/logs?days=30", ""); a.status != 503 || a.problem().Code != "audit_unavailable" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if all := jobsOf(t, w); len(all) != 0 {
		t.Errorf("there are %d jobs", len(all))
	}
}
