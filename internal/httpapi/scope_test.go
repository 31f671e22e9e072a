package httpapi

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// filtered carries a token of acme that a filter bounds.
func filtered(t *testing.T, filter string, roles ...string) http.Header {
	t.Helper()
	token, _, _, err := auth.Mint(authtest.Secret, auth.Claims{Subject: "test", Tenants: []string{"acme"}, Roles: roles, TTL: time.Hour, Filter: filter})
	must(t, err)
	return http.Header{"Authorization": {"Bearer " + token}}
}

func TestAScopedCredentialReadsWhatItIsFor(t *testing.T) {
	w := newWorld(t)
	ids := w.put(t, "acme", logentry.Entry{Service: "billing", Message: "one"}, logentry.Entry{Service: "shop", Message: "two"},
		logentry.Entry{Service: "billing", Message: "three"})
	mine := filtered(t, "service:billing", "reader")
	for query, want := range map[string]int{"": 2, "service=shop": 0, "q=service:shop+OR+service:billing": 2, "q=-service:billing": 0, "q=two": 0, "q=three": 1} {
		if f := w.search(t, mine, query); len(f.Data) != want || *f.Meta.Pagination.Total != int64(want) {
			t.Errorf("%q found %d of %d", query, len(f.Data), want)
		}
	}
	if a := w.do(t, mine, http.MethodGet, "/api/v1/logs/"+ids[0].String(), ""); a.status != http.StatusOK {
		t.Errorf("what it is for: %d %s", a.status, a.body)
	}
	outside := w.do(t, mine, http.MethodGet, "/api/v1/logs/"+ids[1].String(), "", "X-Request-ID", "r")
	absent := w.do(t, mine, http.MethodGet, "/api/v1/logs/0197fd60-0000-7000-8000-000000000000", "", "X-Request-ID", "r")
	if outside.status != http.StatusNotFound || !bytes.Equal(outside.body, absent.body) {
		t.Errorf("outside: %d %s, absent: %s", outside.status, outside.body, absent.body)
	}
}

func TestACursorStaysWithinItsScope(t *testing.T) {
	w := newWorld(t)
	w.put(t, "acme", logentry.Entry{Service: "billing", Message: "one"}, logentry.Entry{Service: "shop", Message: "two"}, logentry.Entry{Service: "billing", Message: "three"})
	next := w.search(t, filtered(t, "service:billing", "reader"), "limit=1").Meta.Pagination.Next
	if next == nil {
		t.Fatal("no cursor")
	}
	if f := w.search(t, filtered(t, "service:billing", "reader"), "limit=1&cursor="+*next); len(f.Data) != 1 || f.Data[0]["message"] != "one" {
		t.Errorf("%+v", f.Data)
	}
	a := w.do(t, filtered(t, "service:shop", "reader"), http.MethodGet, "/api/v1/logs?limit=1&cursor="+*next, "")
	if a.problem().Code != "cursor_mismatch" {
		t.Errorf("with another scope: %d %s", a.status, a.body)
	}
}

func TestAScopedCredentialWritesWhatItIsFor(t *testing.T) {
	w := newWorld(t)
	mine := filtered(t, "service:billing severity:INFO", "writer")
	for name, c := range map[string]struct {
		path, body string
		status     int
	}{
		"inside":                          {"/api/v1/logs", `{"service":"billing","message":"m","severity":"INFO"}`, http.StatusAccepted},
		"inside by a default":             {"/api/v1/logs", `{"service":"billing","message":"m"}`, http.StatusAccepted},
		"outside":                         {"/api/v1/logs", `{"service":"shop","message":"m"}`, http.StatusForbidden},
		"without what the filter asks":    {"/api/v1/logs", `{"message":"m"}`, http.StatusForbidden},
		"one of a batch is outside":       {"/api/v1/logs/bulk", `[{"service":"billing","message":"m"},{"service":"shop","message":"m"}]`, http.StatusForbidden},
		"a batch that is inside in whole": {"/api/v1/logs/bulk", `[{"service":"billing","message":"m"},{"service":"billing","message":"n"}]`, http.StatusAccepted},
	} {
		before := w.sent(t)
		a := w.do(t, mine, http.MethodPost, c.path, c.body)
		if a.status != c.status || c.status == http.StatusForbidden && (a.problem().Code != "outside_scope" || w.sent(t) != before) {
			t.Errorf("%s: %d %s, %d envelopes", name, a.status, a.body, w.sent(t)-before)
		}
	}
}
