//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/tests/service"
)

// TestOneProcessWithItsQueueInAFileWritesToServers runs `ocelot up` with record and index on servers, kills it with
// entries in its queue, and finds all of them in the servers afterwards.
func TestOneProcessWithItsQueueInAFileWritesToServers(t *testing.T) {
	servers := service.NewServers(t)
	env := slices.DeleteFunc(servers.Env(), func(kv string) bool { return strings.HasPrefix(kv, "SQS_") })
	s := service.Start(t, t.TempDir(), env...)
	c := described(t, s.URL, s.Token("default", "admin"))
	const batches, size = 20, 100
	for n := range batches {
		var b strings.Builder
		for i := range size {
			fmt.Fprintf(&b, `{"message":"mixed","event_id":"m-%d-%d"}`+"\n", n, i)
		}
		a, err := c.Do(t.Context(), http.MethodPost, "/api/v1/logs/bulk", []byte(b.String()), "Content-Type: application/x-ndjson")
		if err != nil || a.Status != http.StatusAccepted {
			t.Fatalf("%v, %d %s", err, a.Status, a.Body)
		}
	}
	s.Kill()
	s.Restart()
	service.Eventually(t, time.Minute, func() (bool, string) {
		recorded, err := servers.Recorded(t.Context())
		if err != nil {
			return false, err.Error()
		}
		indexed, err := servers.Indexed(t.Context())
		if err != nil {
			return false, err.Error()
		}
		return len(recorded) == batches*size && len(indexed) == batches*size, fmt.Sprintf("%d in the record, %d in the index", len(recorded), len(indexed))
	})
	page, err := described(t, s.URL, c.Token).Search(t.Context(), map[string][]string{"q": {"mixed"}, "total": {"exact"}})
	if err != nil || page.Meta.Pagination.Total != batches*size || page.Meta.Source != "index" {
		t.Errorf("%d found in the %s, %v", page.Meta.Pagination.Total, page.Meta.Source, err)
	}
}

// TestWithoutAutoMigrateNothingIsMadeUntilMigrate starts on an empty database, which is refused in words, migrates it
// twice and starts.
func TestWithoutAutoMigrateNothingIsMadeUntilMigrate(t *testing.T) {
	servers := service.NewServers(t)
	env := append(servers.Env(), "AUTO_MIGRATE=false", "METRICS_PORT=0")
	w := service.NewProcess(t, "worker", nil, env...)
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	if code, ended := w.Wait(30 * time.Second); !ended || code != 1 || !strings.Contains(w.Output(), "run ocelot migrate, or set AUTO_MIGRATE=true") {
		t.Fatalf("ended %v with %d: %s", ended, code, w.Output())
	}
	for range 2 {
		m := service.NewProcess(t, "ocelot", []string{"migrate"}, env...)
		if err := m.Start(); err != nil {
			t.Fatal(err)
		}
		if code, ended := m.Wait(time.Minute); !ended || code != 0 {
			t.Fatalf("migrate: ended %v with %d: %s", ended, code, m.Output())
		}
	}
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	service.Eventually(t, time.Minute, func() (bool, string) { return strings.Contains(w.Output(), `"msg":"ready"`), w.Output() })
	if err := w.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// TestTenantsAreMadeInTheRecordThatTheSettingsName makes a tenant by the tool while the deployed API runs, and uses it.
func TestTenantsAreMadeInTheRecordThatTheSettingsName(t *testing.T) {
	s := service.Deploy(t, service.NewServers(t), 1)
	if out, err := s.Run(nil, "tenant", "create", "acme", "--name", "Acme"); err != nil {
		t.Fatalf("%s %v", out, err)
	}
	if _, err := s.Run(nil, "tenant", "create", "acme"); err == nil || !strings.Contains(err.Error(), "acme") {
		t.Errorf("a second one of the same id: %v", err)
	}
	out, err := s.Run(nil, "tenant", "list")
	if err != nil || !strings.Contains(out, "acme") || !strings.Contains(out, "default") {
		t.Errorf("%s %v", out, err)
	}
	c := described(t, s.URL, s.Token("acme", "admin"))
	if a, err := c.Do(t.Context(), http.MethodPost, "/api/v1/logs", []byte(`{"message":"of acme"}`)); err != nil || a.Status != http.StatusAccepted {
		t.Fatalf("%v, %d %s", err, a.Status, a.Body)
	}
	service.Eventually(t, time.Minute, func() (bool, string) {
		n, err := c.Count(t.Context(), map[string][]string{"q": {"acme"}})
		return err == nil && n == 1, fmt.Sprintf("%d found, %v", n, err)
	})
}
