package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/config"
	_ "github.com/ocelot-log/ocelot/internal/sqlite/driver"
	"go.uber.org/goleak"
)

// running is an Up in this process.
type running struct {
	settings config.Settings
	url      string
	stop     func() error
}

// up starts Up on dir with ports of its own and waits until it answers.
func up(t *testing.T, dir string, more ...string) running {
	t.Helper()
	s, err := config.Load(config.Up, "", append(more, "DATA_DIR="+dir, "PORT=0", "METRICS_PORT=0", "LOG_LEVEL=error"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	said := &pipe{ready: make(chan struct{})}
	go func() { done <- Up(ctx, s, "test", said) }()
	select {
	case <-said.ready:
	case err := <-done:
		t.Fatalf("ended while starting: %v", err)
	}
	url, err := Address(s)
	if err != nil {
		t.Fatal(err)
	}
	return running{s, url, func() error { cancel(); return <-done }}
}

// pipe says when the first words were written.
type pipe struct {
	ready chan struct{}
	text  bytes.Buffer
}

func (p *pipe) Write(b []byte) (int, error) {
	n, err := p.text.Write(b)
	if p.text.Len() == n {
		close(p.ready)
	}
	return n, err
}

func (r running) call(t *testing.T, role, method, path, body string) (int, string) {
	t.Helper()
	token, err := Token(r.settings, TokenRequest{Subject: "test", Tenants: []string{"default"}, Roles: []string{role}, TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(answer)
}

// find searches until want entries are found.
func (r running) find(t *testing.T, q string, want int) []map[string]any {
	t.Helper()
	var page struct{ Data []map[string]any }
	for end := time.Now().Add(20 * time.Second); ; {
		status, answer := r.call(t, "reader", http.MethodGet, "/api/v1/logs?q="+q, "")
		if err := json.Unmarshal([]byte(answer), &page); err != nil || status != http.StatusOK {
			t.Fatalf("%d %s", status, answer)
		}
		if len(page.Data) >= want {
			return page.Data
		}
		if time.Now().After(end) {
			t.Fatalf("%s: found %d of %d", q, len(page.Data), want)
		}
	}
}

func TestUpKeepsAndFindsAnEntryAcrossARestart(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent(), goleak.IgnoreTopFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"))
	dir := filepath.Join(t.TempDir(), "data")
	r := up(t, dir)
	status, answer := r.call(t, "writer", http.MethodPost, "/api/v1/logs", `{"message":"a needle in the hay","metadata":{"n":1.50}}`)
	if status != http.StatusAccepted {
		t.Fatalf("%d %s", status, answer)
	}
	r.find(t, "needle", 1)
	for _, name := range []string{secretFile, addressFile, queueFile, storeFile, searchFile, storeFile + "-wal", storeFile + "-shm"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 { // the directory may be one that others made, for everybody
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := Address(r.settings); err == nil {
		t.Error("the address is still there after the stop")
	}
	r = up(t, dir)
	if found := r.find(t, "needle", 1); fmt.Sprint(found[0]["metadata"]) != "map[n:1.5]" || found[0]["tenant_id"] != "default" {
		t.Errorf("found %v", found)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestAnIndexThatWasRemovedIsBuiltAgainFromTheRecord(t *testing.T) {
	dir := t.TempDir()
	r := up(t, dir)
	body := `[{"message":"kept one"},{"message":"kept two"},{"message":"kept three"}]`
	if status, answer := r.call(t, "writer", http.MethodPost, "/api/v1/logs/bulk", body); status != http.StatusAccepted {
		t.Fatalf("%d %s", status, answer)
	}
	r.find(t, "kept", 3)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	old, err := filepath.Glob(filepath.Join(dir, searchFile+"*"))
	if err != nil || len(old) == 0 {
		t.Fatal(old, err)
	}
	for _, f := range old {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	r = up(t, dir)
	r.find(t, "kept", 3)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

func TestTheDataDirectoryHasOneOwnerAndTenantsGoThroughIt(t *testing.T) {
	dir := t.TempDir()
	r := up(t, dir)
	if _, err := ownDataDir(dir); err == nil || !strings.Contains(err.Error(), "in use by process") {
		t.Errorf("a second owner: %v", err)
	}
	if _, err := CreateTenant(t.Context(), r.settings, "acme", "Acme & Sons"); err != nil {
		t.Errorf("beside the owner: %v", err)
	}
	if _, err := CreateTenant(t.Context(), r.settings, "acme", ""); err == nil || !strings.Contains(err.Error(), "acme") && !strings.Contains(err.Error(), "taken") && !strings.Contains(err.Error(), "already") {
		t.Errorf("twice: %v", err)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := CreateTenant(t.Context(), r.settings, "Not A Slug", ""); err == nil {
		t.Error("a bad slug was taken")
	}
	list, err := ListTenants(t.Context(), r.settings)
	if err != nil || len(list) != 2 || list[0].ID != "acme" || list[0].Name != "Acme & Sons" || list[1].ID != "default" {
		t.Errorf("%+v %v", list, err)
	}
}

func TestATokenNeedsASecret(t *testing.T) {
	s, err := config.Load(config.Up, "", []string{"DATA_DIR=" + t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Token(s, TokenRequest{Tenants: []string{"default"}, Roles: []string{"reader"}, TTL: time.Hour}); err == nil || !strings.Contains(err.Error(), "ocelot up") {
		t.Errorf("got %v", err)
	}
}
