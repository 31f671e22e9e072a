package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// command is a command with the flags that the root gives to all.
func command() *cobra.Command {
	cmd := &cobra.Command{}
	cmd.Flags().String("config", "", "")
	return cmd
}

func TestTheServiceIsFoundByFlagsThenEnvironmentThenDirectory(t *testing.T) {
	const local = "http://127.0.0.1:4711"
	dir := t.TempDir()
	for name, text := range map[string]string{"address": local + "\n", "secret": strings.Repeat("s", 48) + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	unreadable := t.TempDir()
	if err := os.Mkdir(filepath.Join(unreadable, "address"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		env    map[string]string
		target target
		url    string
		token  string // "made" is one of our own
		says   string
	}{
		"flags win over the environment": {
			map[string]string{"OCELOT_URL": "http://env", "OCELOT_TOKEN": "env"}, target{url: "http://flag/", token: "flag"}, "http://flag", "flag", ""},
		"the environment wins over the directory": {
			map[string]string{"OCELOT_URL": "http://env", "OCELOT_TOKEN": "env", "DATA_DIR": dir}, target{}, "http://env", "env", ""},
		"the directory of the flag": {nil, target{dataDir: dir}, local, "made", ""},
		"the directory of the environment": {
			map[string]string{"DATA_DIR": dir}, target{}, local, "made", ""},
		"a token for the local service":       {nil, target{dataDir: dir, token: "flag"}, local, "flag", ""},
		"the local service by its URL":        {nil, target{dataDir: dir, url: local}, local, "made", ""},
		"no token of ours for other services": {nil, target{dataDir: dir, url: "http://elsewhere"}, "", "", "no token for http://elsewhere"},
		"nothing runs":                        {nil, target{dataDir: t.TempDir()}, "", "", "start `ocelot up`"},
		"a directory that can't be read":      {nil, target{dataDir: unreadable}, "", "", "can't be seen: read " + unreadable},
		"a URL that is none":                  {nil, target{url: "localhost:8080", token: "x"}, "", "", "not the URL"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, key := range []string{"OCELOT_URL", "OCELOT_TOKEN", "DATA_DIR", "JWT_SECRET"} {
				t.Setenv(key, c.env[key])
				if c.env[key] == "" {
					if err := os.Unsetenv(key); err != nil {
						t.Fatal(err)
					}
				}
			}
			got, err := clientFromEnv(command(), c.target, false)
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Fatal(err)
				}
				return
			}
			if err != nil || got.URL != c.url {
				t.Fatalf("%+v %v", got, err)
			}
			token, err := got.bearer()
			if made := strings.Count(token, ".") == 2; err != nil || made != (c.token == "made") || !made && token != c.token {
				t.Errorf("token %q %v", token, err)
			}
		})
	}
}

func TestTokensOfOurOwnAreRenewed(t *testing.T) {
	made := 0
	c := &client{mint: func() (string, error) { made++; return strings.Repeat("x", made), nil }}
	for range 3 {
		if token, err := c.bearer(); err != nil || token != "x" {
			t.Fatalf("%q %v", token, err)
		}
	}
	c.fresh = time.Now().Add(-time.Second)
	if token, err := c.bearer(); err != nil || token != "xx" {
		t.Fatalf("%q %v", token, err)
	}
}

func TestRefusalsAreRead(t *testing.T) {
	reply := func(status int, retryAfter, body string) (*refusal, bool) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", retryAfter)
			refuse(w, status, body)
		}))
		defer server.Close()
		_, err := (&client{URL: server.URL, Token: "x", HTTP: server.Client()}).do(t.Context(), http.MethodGet, "/", nil, nil)
		return errors.AsType[*refusal](err)
	}
	r, ok := reply(429, "12", `{"code":"rate_limited","detail":"slow down"}`)
	if !ok || r.RetryAfter != 12*time.Second || r.Code != "rate_limited" || !r.passing() {
		t.Errorf("%+v", r)
	}
	at := time.Now().Add(time.Hour)
	if r, ok = reply(503, at.UTC().Format(http.TimeFormat), `{"code":"enqueue_failed"}`); !ok || r.RetryAfter < 59*time.Minute || r.RetryAfter > time.Hour {
		t.Errorf("%+v", r)
	}
	if r, ok = reply(422, "-5", "<html>\x1b"); !ok || r.RetryAfter != 0 || r.passing() || !strings.Contains(r.Error(), "is the URL right?") {
		t.Errorf("%+v", r)
	}
	if r, ok = reply(400, "", `{"code":"x","detail":"\u001b[2J"}`); !ok || strings.Contains(r.Error(), "\x1b") {
		t.Errorf("%q", r)
	}
}
