//go:build e2e

// Package e2e walks the whole system as its users do, speaking HTTP only: against `ocelot up`, or, with
// TEST_SYSTEM=deployed, against an API and two workers on real servers.
package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/tests/contract"
	"github.com/ocelot-log/ocelot/tests/service"
)

// system is what the walk walks through.
type system struct {
	service.Client
	own *service.System
}

// described is a client whose every answer must be as docs/openapi.yaml says.
func described(t *testing.T, url, token string) service.Client {
	t.Helper()
	api, err := contract.API()
	if err != nil {
		t.Fatal(err)
	}
	return service.Client{URL: url, Token: token, Check: func(method, target string, a service.Answer) {
		if err := api.Check(method, api.Route(method, target), a.Status, a.Header, a.Body); err != nil {
			t.Errorf("the description has another answer to %s %s: %v\n  %d %.1000s", method, target, err, a.Status, a.Body)
		}
	}}
}

func start(t *testing.T) *system {
	s := service.New(t)
	return &system{described(t, s.URL, s.Token("default", "admin")), s}
}

func (s *system) count(t *testing.T, params url.Values) int64 {
	t.Helper()
	n, err := s.Count(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// settles waits until a search finds want entries, and then that it stays so.
func (s *system) settles(t *testing.T, params url.Values, want int64) {
	t.Helper()
	var n int64
	service.Eventually(t, time.Minute, func() (bool, string) {
		n = s.count(t, params)
		return n >= want, fmt.Sprintf("%s: %d of %d", params.Encode(), n, want)
	})
	if n != want {
		t.Errorf("%s: found %d, want %d", params.Encode(), n, want)
	}
}

// send gives input to `ocelot send`.
func (s *system) send(t *testing.T, input io.Reader, args ...string) error {
	t.Helper()
	_, err := s.own.Run(input, append([]string{"send", "--url", s.URL, "--token", s.Token}, args...)...)
	return err
}

func TestAFirstEntryIsSentAndFoundAgain(t *testing.T) {
	s := start(t)
	mark := fmt.Sprintf("needle%d", time.Now().UnixNano())
	a, err := s.Do(t.Context(), http.MethodPost, "/api/v1/logs", []byte(`{"service":"billing","action":"CREATE","severity":"warn","message":"card declined `+mark+`","metadata":{"big":12345678901234567890,"tiny":0.1000}}`))
	if err != nil || a.Status != http.StatusAccepted {
		t.Fatalf("%v, %d %s", err, a.Status, a.Body)
	}
	var reply struct{ Data struct{ ID, Status string } }
	if err := json.Unmarshal(a.Body, &reply); err != nil || reply.Data.ID == "" || reply.Data.Status != "queued" {
		t.Fatalf("%s", a.Body)
	}
	s.settles(t, url.Values{"q": {mark}}, 1)
	a, err = s.Do(t.Context(), http.MethodGet, "/api/v1/logs/"+reply.Data.ID, nil)
	if err != nil || a.Status != http.StatusOK {
		t.Fatalf("%v, %d %s", err, a.Status, a.Body)
	}
	for _, want := range []string{`"severity":"WARNING"`, `"metadata":{"big":12345678901234567890,"tiny":0.1000}`, `"tenant_id":"default"`, reply.Data.ID} {
		if !bytes.Contains(a.Body, []byte(want)) {
			t.Errorf("%s is missing in %s", want, a.Body)
		}
	}
}

func TestTheWholeWalkOnAuditEventsAndRawLogs(t *testing.T) {
	s := start(t)
	audit := auditEvents(2000)

	// Raw logs of five systems, each with its own line ends and clock; then the audit events, killed in the middle.
	for _, log := range rawLogs() {
		path := filepath.Join(t.TempDir(), log.service+".log")
		if err := os.WriteFile(path, []byte(log.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.send(t, nil, "--text", "--service", log.service, "--year", "2025", path); err != nil {
			t.Fatal(err)
		}
		s.settles(t, url.Values{"service": {log.service}}, int64(log.lines))
		s.settles(t, url.Values{"service": {log.service}, "start_time": {log.start}, "end_time": {log.end}}, int64(log.inTime))
	}

	half := bytes.Index(audit[len(audit)/2:], []byte("\n")) + len(audit)/2 + 1
	if err := s.send(t, bytes.NewReader(audit[:half]), "-"); err != nil {
		t.Fatal(err)
	}
	s.own.Kill()
	if err := s.send(t, bytes.NewReader(audit[half:]), "--retry-for", "1s", "-"); err == nil {
		t.Error("sending to a dead service reported success")
	}
	s.own.Restart()
	s.URL = s.own.URL
	if err := s.send(t, bytes.NewReader(audit[half:]), "-"); err != nil {
		t.Fatal(err)
	}
	all := url.Values{"q": {"session_id:audit-walk"}}
	s.settles(t, all, 2000)
	if err := s.send(t, bytes.NewReader(audit), "-"); err != nil { // all of it again
		t.Fatal(err)
	}
	s.settles(t, all, 2000)

	for name, want := range map[string]struct {
		params url.Values
		n      int64
	}{
		"by text":          {url.Values{"q": {`"bucket policy changed"`}}, 200},
		"by a word alone":  {url.Values{"q": {"chainsaw"}}, 1},
		"by field":         {url.Values{"q": {"action:DeleteTrail user_id:arn*"}}, 200},
		"by URL filter":    {url.Values{"action": {"GetObject", "PutObject"}, "session_id": {"audit-walk"}}, 400},
		"by negation":      {url.Values{"q": {"session_id:audit-walk NOT severity:ERROR"}}, 1715},
		"by time":          {url.Values{"session_id": {"audit-walk"}, "start_time": {"2025-07-10T12:00:00Z"}, "end_time": {"2025-07-10T12:10:00Z"}}, 600},
		"by parentheses":   {url.Values{"q": {"session_id:audit-walk (action:ListUsers OR action:CreateUser) -severity:ERROR"}}, 344},
		"by prefix":        {url.Values{"q": {"chains*"}}, 1},
		"by a far address": {url.Values{"q": {"ip_address:10.0.0.7 session_id:audit-walk"}}, 8},
	} {
		if n := s.count(t, want.params); n != want.n {
			t.Errorf("%s: found %d, want %d", name, n, want.n)
		}
	}
	first, err := s.Search(t.Context(), url.Values{"session_id": {"audit-walk"}, "sort": {"timestamp"}, "limit": {"1"}})
	if err != nil || len(first.Data) != 1 || first.Data[0]["timestamp"] != "2025-07-10T11:40:00Z" {
		t.Errorf("oldest: %v %v", first.Data, err)
	}
	seen := map[string]bool{}
	last := ""
	if err := s.Walk(t.Context(), url.Values{"session_id": {"audit-walk"}}, func(e map[string]any) {
		seen[e["event_id"].(string)] = true
		if at := e["timestamp"].(string); last != "" && at > last {
			t.Errorf("%s after %s", at, last)
		} else {
			last = at
		}
	}); err != nil || len(seen) != 2000 {
		t.Errorf("a walk by cursor saw %d of 2000, %v", len(seen), err)
	}
}

func TestABatchWithOneBadEntryStoresNothing(t *testing.T) {
	s := start(t)
	mark := fmt.Sprintf("half%d", time.Now().UnixNano())
	body := `[{"message":"` + mark + `"},{"message":"` + mark + `","severty":"INFO"},{"message":"","timestamp":"yesterday"}]`
	a, err := s.Do(t.Context(), http.MethodPost, "/api/v1/logs/bulk", []byte(body))
	if err != nil || a.Status != http.StatusBadRequest || a.Header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("%v, %d %s", err, a.Status, a.Body)
	}
	for _, want := range []string{`"/1/severty"`, `"unknown_field"`, `"/2/timestamp"`, `"timestamp_invalid"`, `"required"`, `"request_id"`} {
		if !bytes.Contains(a.Body, []byte(want)) {
			t.Errorf("%s is missing in %s", want, a.Body)
		}
	}
	s.settles(t, url.Values{"q": {mark}}, 0)
}

func TestTheServiceStopsCleanlyAndKeepsTheDirectoryToItself(t *testing.T) {
	s := service.Start(t, t.TempDir()) // there is no directory but that of ocelot up
	if _, err := s.Run(nil, "up"); err == nil || !strings.Contains(err.Error(), "in use by process") {
		t.Errorf("a second process on the directory: %v", err)
	}
	if out, err := s.Run(nil, "tenant", "create", "acme", "--name", "Acme"); err != nil {
		t.Errorf("create a tenant beside the server: %s %v", out, err)
	}
	if err := s.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	out, err := s.Run(nil, "tenant", "list")
	if err != nil || !strings.Contains(out, "acme") || !strings.Contains(out, "default") {
		t.Errorf("list without the server: %s %v", out, err)
	}
}
