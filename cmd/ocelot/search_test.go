package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/ocelot-log/ocelot/internal/fault"
)

// pages is a service with n entries.
func pages(t *testing.T, n int) (*client, *[]url.Values) {
	t.Helper()
	var asked []url.Values
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		asked = append(asked, q)
		if q.Get("q") == "bad" {
			refuse(w, 400, `{"code":"query_invalid","detail":"no field named servce at column 1","errors":[{"pointer":"q","column":1,"code":"unknown_field","message":"did you mean service?"}]}`)
			return
		}
		if r.Header.Get("Authorization") != "Bearer x" || r.Header.Get("X-Tenant-ID") != "acme" {
			t.Errorf("%v", r.Header)
		}
		from, _ := strconv.Atoi(q.Get("cursor"))
		limit, err := strconv.Atoi(q.Get("limit"))
		if err != nil || limit < 1 || limit > 1000 {
			t.Errorf("limit %s", q.Get("limit"))
		}
		var items []string
		for i := from; i < min(from+limit, n); i++ {
			items = append(items, fmt.Sprintf(`{"id":"%d", "timestamp":"2026-01-02T03:04:05.678Z","severity":"ERROR","service":"web","message":"line\n\u001b[2J%d"}`, i, i))
		}
		next := "null"
		if from+limit < n {
			next = fmt.Sprintf(`"%d"`, from+limit)
		}
		fmt.Fprintf(w, `{"data":[%s],"meta":{"pagination":{"total":%d,"relation":"eq","next_cursor":%s},"took_ms":1}}`, strings.Join(items, ","), n, next)
	}))
	t.Cleanup(server.Close)
	return &client{URL: server.URL, Token: "x", Tenant: "acme", HTTP: server.Client()}, &asked
}

func TestSearchPrintsAsManyAsAsked(t *testing.T) {
	for _, c := range []struct{ limit, want, requests int }{{50, 50, 1}, {1, 1, 1}, {1500, 1500, 2}, {0, 2345, 3}, {5000, 2345, 3}} {
		server, asked := pages(t, 2345)
		var out, stderr strings.Builder
		if err := search(t.Context(), server, url.Values{"q": {"x"}}, c.limit, &ndjson{bufio.NewWriter(&out)}, &stderr); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(out.String(), "\n"); got != c.want || len(*asked) != c.requests {
			t.Errorf("limit %d: %d lines, %d requests", c.limit, got, len(*asked))
		}
		if !strings.HasPrefix(out.String(), `{"id":"0","timestamp":`) || stderr.String() != "" {
			t.Errorf("%.80s %s", out.String(), stderr.String())
		}
	}
}

func TestSearchPrintsATableThatIsSafe(t *testing.T) {
	server, _ := pages(t, 1)
	var out strings.Builder
	if err := search(t.Context(), server, url.Values{}, 50, newTable(&out, 90, true), &out); err != nil {
		t.Fatal(err)
	}
	want := "TIME (UTC)              SEVERITY SERVICE          MESSAGE\n" +
		"2026-01-02 03:04:05.678 \x1b[31mERROR   \x1b[0m web              line\\n\\x1b[2J0\n"
	if out.String() != want {
		t.Errorf("%q\nwant %q", out.String(), want)
	}
}

func TestATableFitsTheTerminal(t *testing.T) {
	entry := func(more string) json.RawMessage {
		return json.RawMessage(`{"timestamp":"2026-01-02T03:04:05.678Z","severity":"CRITICAL","service":"` + strings.Repeat("s", 40) + `","message":"` + strings.Repeat("m", 200) + `"` + more + `}`)
	}
	for _, width := range []int{80, 90, 98, 120, 200} {
		var out strings.Builder
		table := newTable(&out, width, false)
		if err := errors.Join(table.entry(entry(`,"action":"PAY","user_id":"u1"`)), table.end()); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(out.String(), "\n")
		if n := utf8.RuneCountInString(lines[1]); n != width || !strings.Contains(lines[0], "ACTION") || !strings.Contains(lines[1], "PAY") {
			t.Errorf("%d columns in %d:\n%s", n, width, out.String())
		}
	}
	var out strings.Builder
	table := newTable(&out, 80, false)
	for _, page := range [][]json.RawMessage{{entry("")}, {entry("")}, {entry(""), entry(`,"user_id":"u1"`)}} {
		table.page(page)
		for _, e := range page {
			if err := table.entry(e); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := table.end(); err != nil {
		t.Fatal(err)
	}
	row := "2026-01-02 03:04:05.678 CRITICAL sssssssssssssss… " + strings.Repeat("m", 29) + "…\n"
	short := "2026-01-02 03:04:05 CRITICAL sssssssss… %-8s " + strings.Repeat("m", 30) + "…\n"
	want := "TIME (UTC)              SEVERITY SERVICE          MESSAGE\n" + row + row +
		"TIME (UTC)          SEVERITY SERVICE    USER     MESSAGE\n" + fmt.Sprintf(short, "") + fmt.Sprintf(short, "u1")
	if out.String() != want {
		t.Errorf("%s\nwant\n%s", out.String(), want)
	}
}

func TestSearchSaysWhatIsWrongWithAQuery(t *testing.T) {
	server, _ := pages(t, 1)
	err := search(t.Context(), server, url.Values{"q": {"bad"}}, 50, &ndjson{bufio.NewWriter(&strings.Builder{})}, &strings.Builder{})
	if err == nil || !strings.Contains(err.Error(), "no field named servce") || !strings.Contains(err.Error(), "did you mean service? (column 1)") {
		t.Fatal(err)
	}
}

func TestAProblemIsSaidOnce(t *testing.T) {
	problem := func(pointer, message string) fault.Problem {
		return fault.Problem{Pointer: pointer, Code: "c", Message: message}
	}
	for name, c := range map[string]struct {
		detail   string
		problems []fault.Problem
		want     string
	}{
		"the detail is the problem":           {"no", []fault.Problem{problem("q", "no")}, "400 c: no"},
		"the detail names the parameter too":  {"top: no", []fault.Problem{problem("top", "no")}, "400 c: top: no"},
		"of two that say the same both stand": {"start_time: no; and 1 more", []fault.Problem{problem("start_time", "no"), problem("end_time", "no")}, "400 c: start_time: no; and 1 more\n  end_time c: no"},
	} {
		err := queryError(&refusal{Status: 400, Code: "c", Detail: c.detail, Errors: c.problems})
		if err.Error() != c.want {
			t.Errorf("%s: %q, want %q", name, err, c.want)
		}
	}
}

func TestSearchFlagsBecomeParameters(t *testing.T) {
	now := time.Date(2026, 1, 10, 12, 0, 0, 0, time.UTC)
	for since, want := range map[string]string{"15m": "2026-01-10T11:45:00Z", "2d": "2026-01-08T12:00:00Z", "1w": "2026-01-03T12:00:00Z"} {
		p, err := searchOptions{since: since, sort: "timestamp", end: "2026-01-11T00:00:00Z", audit: "only"}.params("a b", now)
		if err != nil || p.Get("audit") != "only" || p.Get("start_time") != want || p.Get("q") != "a b" || p.Get("sort") != "timestamp" || p.Get("end_time") != "2026-01-11T00:00:00Z" {
			t.Errorf("%s: %v %v", since, p, err)
		}
	}
	for _, o := range []searchOptions{{since: "yesterday"}, {since: "-2h"}, {since: "1h", start: "x"}, {limit: -1}, {since: "d"}, {audit: "yes"}} {
		if _, err := o.params("", now); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}
