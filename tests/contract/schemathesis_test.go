//go:build e2e

package contract

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/tests/service"
)

//go:embed requirements.txt
var requirements []byte

// schemathesis is where it and what it needs are, installed once and kept outside the checkout. It is skipped where the
// package registry is out of reach.
func schemathesis(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(requirements)
	dir := filepath.Join(cache, "ocelot", "schemathesis-"+hex.EncodeToString(sum[:6]))
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		t.Fatal(err)
	}
	fresh, err := os.MkdirTemp(filepath.Dir(dir), "installing-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(fresh)
	pip := exec.CommandContext(t.Context(), "python3", "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--target", fresh, "--requirement", "requirements.txt")
	if out, err := pip.CombinedOutput(); err != nil {
		for _, registry := range []string{"Retrying (", "HTTP error", "ConnectionError", "ProxyError", "No matching distribution"} {
			if bytes.Contains(out, []byte(registry)) {
				t.Skipf("schemathesis: SKIPPED, the package registry can't be reached from here or has not what is pinned\n%s", out)
			}
		}
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.Rename(fresh, dir); err != nil && !os.IsExist(err) {
		if _, there := os.Stat(dir); there != nil { // another run was faster
			t.Fatal(err)
		}
	}
	return dir
}

// The routes of a platform admin, and those that change the tenant that the others are about.
var platformOnly = []string{"listTenants", "createTenant", "getTenant", "patchTenant", "deleteTenant", "getJob"}

// TestRequestsMadeFromTheDescriptionFindNothingWrong lets schemathesis make requests of docs/openapi.yaml, those that
// should be taken and those that should not, with every check it has. /api/v1/logs/stream is left out: its answer has no
// end; internal/httpapi follows it.
func TestRequestsMadeFromTheDescriptionFindNothingWrong(t *testing.T) {
	installed := schemathesis(t)
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	except := []string{"--exclude-operation-id", "streamLogs"}
	for _, id := range platformOnly {
		except = append(except, "--exclude-operation-id", id)
	}
	var platform []string
	for _, id := range platformOnly {
		platform = append(platform, "--include-operation-id", id)
	}
	for name, c := range map[string]struct {
		tenant string // what the token is for
		filled bool
		args   []string
	}{
		"a service without data": {"default", false, append([]string{"--include-method", "GET", "--phases", "examples,fuzzing", "--mode", "positive"}, except...)},
		"entries":                {"default", true, append([]string{"--include-tag", "entries", "--include-tag", "events", "--exclude-operation-id", "postLogs", "--exclude-operation-id", "postEvent", "--phases", "examples,coverage,fuzzing"}, except...)},
		"other forms of entries": {"default", true, []string{"--include-operation-id", "postLogs", "--include-operation-id", "postEvent", "--phases", "examples,fuzzing"}}, // each value of an entry is tried with the form above
		"what a tenant has":      {"default", true, append([]string{"--exclude-tag", "entries", "--exclude-tag", "events"}, except...)},
		"tenants":                {"*", false, platform},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := service.Start(t, t.TempDir())
			token := s.Token(c.tenant, "admin")
			if c.filled {
				fill(t, service.Client{URL: s.URL, Token: token})
			}
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
			defer cancel()
			run := exec.CommandContext(ctx, "python3", append([]string{"-c", "from schemathesis.cli import schemathesis; schemathesis()", "--config-file", filepath.Join(here, "schemathesis.toml"),
				"run", filepath.Join(here, "../../docs/openapi.yaml"), "--url", s.URL, "--header", "Authorization: Bearer " + token, "--checks", "all", "--max-examples", "3", "--seed", "1",
				"--generation-database", "none", "--suppress-health-check", "all", "--generation-with-security-parameters", "false", "--continue-on-failure", "--request-timeout", "60", "--no-color"}, c.args...)...)
			run.Dir = t.TempDir() // it leaves what it found there
			run.Env = append(os.Environ(), "PYTHONPATH="+installed+string(os.PathListSeparator)+here, "PYTHONDONTWRITEBYTECODE=1", "SCHEMATHESIS_HOOKS=hooks")
			if c.tenant != "*" {
				run.Env = append(run.Env, "CONTRACT_TENANT="+c.tenant)
			}
			out, err := run.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for line := range strings.Lines(string(out)) {
				if strings.Contains(line, " generated, ") || strings.Contains(line, "Tested:") || strings.Contains(line, " in ") && strings.Contains(line, "==") {
					t.Log(strings.TrimSpace(line))
				}
			}
		})
	}
}

// fill makes entries, a view, a key and a token, so that there is something to find.
func fill(t *testing.T, c service.Client) {
	t.Helper()
	for _, r := range []struct{ path, body string }{
		{"/api/v1/logs/bulk", `[{"service":"billing","action":"CREATE","severity":"ERROR","message":"card declined","user_id":"ada","ip_address":"192.0.2.7","metadata":{"amount":12.50,"region":"eu","order":{"id":42}}},
			{"service":"billing","action":"UPDATE","message":"card accepted","before_state":{"a":1},"after_state":{"a":2}},{"service":"boot","message":"started","severity":"DEBUG"}]`},
		{"/api/v1/views", `{"name":"Declined","search":"q=declined","shared":true}`},
		{"/api/v1/tenants/default/keys", `{"name":"reports","role":"reader"}`},
		{"/api/v1/tokens", `{"tenants":["default"],"role":"reader","ttl":"1h"}`},
	} {
		a, err := c.Do(t.Context(), http.MethodPost, r.path, []byte(r.body))
		if err != nil || a.Status/100 != 2 {
			t.Fatalf("%s: %v, %d %s", r.path, err, a.Status, a.Body)
		}
	}
}
