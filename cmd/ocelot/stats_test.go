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

func TestStatsPrintMetricsAsATable(t *testing.T) {
	of := func(label, rest string) string {
		return label + `"count":3,"sum":1234567.5,"min":-1200,"max":1234000,"avg":411522.5,"p50":0.00012345,"p95":1.5e18,"p99":7.0004` + rest
	}
	const none = `"count":0,"sum":null,"min":null,"max":null,"avg":null,"p50":null,"p95":null,"p99":null`
	for name, c := range map[string]struct {
		metrics, by, answer string
		width               int
		want                string
	}{
		"each is printed once": {
			"metadata.b,metadata.a.c,metadata.b", "", `"metadata.b":{` + of("", "") + `},"metadata.a.c":{` + none + `}`, 100, `2 entries

metadata.b
         COUNT          SUM     MIN        MAX        AVG        P50      P95  P99
  (all)      3  1,234,567.5  -1,200  1,234,000  411,522.5  0.0001234  1.5e+18    7

metadata.a.c
         COUNT  SUM  MIN  MAX  AVG  P50  P95  P99
  (all)      0    -    -    -    -    -    -    -
`},
		"groups stand below all, safe and cut": {
			"metadata.b", "service", `"metadata.b":{` + of("", `,"groups":[{"value":"a\u001b[2Jand more",`+of("", "}]}")), 86, `2 entries

metadata.b
  SERVICE     COUNT          SUM     MIN        MAX        AVG        P50      P95  P99
  (all)           3  1,234,567.5  -1,200  1,234,000  411,522.5  0.0001234  1.5e+18    7
  a\x1b[2Ja…      3  1,234,567.5  -1,200  1,234,000  411,522.5  0.0001234  1.5e+18    7
`},
		"of no numbers there are no groups": {
			"metadata.b", "service", `"metadata.b":{` + none + `,"groups":[]}`, 90, `2 entries

metadata.b
  SERVICE  COUNT  SUM  MIN  MAX  AVG  P50  P95  P99
  (all)        0    -    -    -    -    -    -    -
`},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = io.WriteString(w, `{"data":{"total":2,"relation":"eq","metrics":{`+c.answer+`}},"meta":{"took_ms":1,"source":"index"}}`)
			}))
			defer server.Close()
			params := url.Values{"metrics": {c.metrics}}
			if c.by != "" {
				params.Set("group_by", c.by)
			}
			var out strings.Builder
			if err := stats(t.Context(), &client{URL: server.URL, Token: "x", HTTP: server.Client()}, params, c.width, &out); err != nil {
				t.Fatal(err)
			}
			if out.String() != c.want {
				t.Errorf("%s\nwant\n%s", out.String(), c.want)
			}
		})
	}
}

func TestStatsAskForWhatTheFlagsName(t *testing.T) {
	server, asked := countingService(t)
	for _, flags := range [][]string{{"--metrics", "metadata.a, metadata.b", "--group-by", "service", "--facets", "service , action", "--audit", "only"}, {}} {
		cmd := newRootCmd()
		cmd.SetOut(io.Discard)
		cmd.SetArgs(append([]string{"stats", "--url", server.URL, "--token", "x"}, flags...))
		if err := cmd.ExecuteContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := "facets=severity%2Cservice%2Caction&interval=auto&top=10"
		if len(flags) > 0 {
			want = "audit=only&facets=service%2Caction&group_by=service&interval=auto&metrics=metadata.a%2Cmetadata.b&top=10"
		}
		if asked.Encode() != want {
			t.Errorf("%v asked %v", flags, asked.Encode())
		}
	}
}

func TestStatsAsJSONDoNothingToATerminal(t *testing.T) {
	for _, c := range []struct {
		terminal, json bool
		width          int
		want           string
	}{{true, true, 0, `"\u009b2J"`}, {false, true, 0, "\"\u009b2J\""}, {false, false, 0, "\"\u009b2J\""}, {true, false, 120, "\"\u009b2J\""}} {
		var b strings.Builder
		out, width := statsOut(&b, c.terminal, c.json)
		if _, err := io.WriteString(out, "\"\u009b2J\"\n"); err != nil || b.String() != c.want+"\n" || width != c.width {
			t.Errorf("%+v: %q in %d columns, %v", c, b.String(), width, err)
		}
	}
}

func TestStatsOfNothingSaySo(t *testing.T) {
	for answer, want := range map[string]string{
		`{"total":0,"facets":{"service":[]},"histogram":{"interval":"1s","buckets":[]}}`: "0 entries; a field and its value are joined by a colon, as in service:billing\n",
		`{"total":3,"facets":{"service":[]}}`:                                            "3 entries\n\nSERVICE\n  (none)\n",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"data":`+answer+`,"meta":{}}`)
		}))
		defer server.Close()
		var out strings.Builder
		params := url.Values{"facets": {"service"}, "q": {"message:x metadata.errorCode=AccessDenied"}}
		if err := stats(t.Context(), &client{URL: server.URL, Token: "x", HTTP: server.Client()}, params, 40, &out); err != nil || out.String() != want {
			t.Errorf("%s %v", out.String(), err)
		}
	}
}

func TestEqualsAreExplainedWhereNothingIsFound(t *testing.T) {
	for query, want := range map[string]bool{"severity=ERROR": true, "x (-metadata.a.b=1)": true, "severity:ERROR": false, "a == b": false, "\"1=2\"": false} {
		if got := colonHint(0, query) != ""; got != want || colonHint(1, query) != "" {
			t.Errorf("%s: %v", query, got)
		}
	}
}
