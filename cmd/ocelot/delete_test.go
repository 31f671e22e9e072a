package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestDeleteIsMeantAndWaitsUntilItIsDone also looks at what is sent.
func TestDeleteIsMeantAndWaitsUntilItIsDone(t *testing.T) {
	var sent []string
	looks := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = append(sent, r.Method+" "+r.URL.String()+" "+r.Header.Get("X-Tenant-ID"))
		state := "running"
		if r.Method == http.MethodGet {
			if looks++; looks == 2 {
				state = "done"
			}
		}
		_, _ = fmt.Fprintf(w, `{"data":{"id":"old-1","state":%q,"before":"2026-01-01T00:00:00Z","removed":{"records":%d,"index":3}},"meta":{}}`, state, 10*looks)
	}))
	t.Cleanup(server.Close)
	run := func(args ...string) (out, said string, err error) {
		cmd := newDeleteCmd()
		var o, e strings.Builder
		cmd.SetOut(&o)
		cmd.SetErr(&e)
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		cmd.SetArgs(append([]string{"--url", server.URL, "--token", "x", "--tenant", "acme"}, args...))
		err = cmd.ExecuteContext(t.Context())
		return o.String(), e.String(), err
	}
	for name, args := range map[string][]string{"no range": {"--yes"}, "two ranges": {"--yes", "--days", "3", "--before", "2026-01-01"}, "not meant": {"--days", "3"}} {
		if _, _, err := run(args...); err == nil || len(sent) != 0 {
			t.Errorf("%s: %v, %q was sent", name, err, sent)
		}
	}
	out, said, err := run("--before", "2026-01-01T00:00:00Z", "--yes", "--wait")
	if err != nil || out != "what was received before 2026-01-01T00:00:00Z is being deleted; job old-1\ndeleted 20 entries\n" || !strings.Contains(said, "running: 10 entries so far, 3 of them out of the index") {
		t.Errorf("%q, %q, %v", out, said, err)
	}
	if want := "DELETE /api/v1/logs?before=2026-01-01T00%3A00%3A00Z acme|GET /api/v1/jobs/old-1 acme|GET /api/v1/jobs/old-1 acme"; strings.Join(sent, "|") != want {
		t.Errorf("%q, want %q", sent, want)
	}
}
