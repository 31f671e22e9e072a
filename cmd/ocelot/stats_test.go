package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

const counted = `{"data":{"total":1234,"relation":"eq","facets":{"severity":[{"value":"INFO","count":1230},{"value":"ERROR","count":4}],"service":[{"value":"a\u001b[2J","count":7}]},` +
	`"histogram":{"interval":"1h","buckets":[{"start":"2026-01-31T10:00:00Z","count":1000,"by_severity":{"INFO":1000}},{"start":"2026-01-31T12:00:00Z","count":234,"by_severity":{"INFO":234}}]}},"meta":{"took_ms":1,"source":"index","approximate":["service"]}}`

func countingService(t *testing.T) (*client, *url.Values) {
	t.Helper()
	var asked url.Values
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked = r.URL.Query(); r.URL.Path != "/api/v1/logs/stats" || asked.Get("facets") == "tenant" {
			refuse(w, 400, `{"code":"field_not_allowed","detail":"facets: the fields whose values are counted are action","errors":[]}`)
			return
		}
		_, _ = io.WriteString(w, counted)
	}))
	t.Cleanup(server.Close)
	return &client{URL: server.URL, Token: "x", Tenant: "acme", HTTP: server.Client()}, &asked
}

func TestStatsPrintBarsThatAreSafe(t *testing.T) {
	server, asked := countingService(t)
	var out strings.Builder
	if err := stats(t.Context(), server, url.Values{"facets": {"severity,service,severity"}, "q": {"x"}}, 40, &out); err != nil {
		t.Fatal(err)
	}
	want := `1,234 entries

SEVERITY
  INFO  1,230 ██████████████████████████
  ERROR     4 █

SERVICE (so many values that some counts may be low)
  a\x1b[2J 7 ███████████████████████████

TIME (UTC), each 1h; those without entries are left out
  2026-01-31 10:00:00 1,000 ████████████
  2026-01-31 12:00:00   234 ██
`
	if out.String() != want {
		t.Errorf("%s\nwant\n%s", out.String(), want)
	}
	if asked.Get("q") != "x" {
		t.Errorf("%v", *asked)
	}
}

func TestStatsPrintTheAnswerElsewhere(t *testing.T) {
	server, _ := countingService(t)
	var out strings.Builder
	if err := stats(t.Context(), server, url.Values{}, 0, &out); err != nil || out.String() != counted+"\n" {
		t.Errorf("%s, %v", out.String(), err)
	}
	if err := stats(t.Context(), server, url.Values{"facets": {"tenant"}}, 0, &out); err == nil || !strings.Contains(err.Error(), "the fields whose values are counted") {
		t.Errorf("%v", err)
	}
}
