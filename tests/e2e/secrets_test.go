//go:build e2e

package e2e

import (
	crand "crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/tests/service"
)

// canary is a string that stands nowhere else.
func canary(name string) string { return "cnry" + name + crand.Text() }

// sweep is what must not be seen, and where it was.
type sweep struct {
	t         *testing.T
	canaries  map[string]string // by what they are
	looked    int               // bytes
	sightings int
}

func (s *sweep) look(where, text string) {
	s.looked += len(text)
	for what, c := range s.canaries {
		if at := strings.Index(text, c); at >= 0 {
			s.sightings++
			s.t.Errorf("%s shows the %s: …%.200q", where, what, text[max(0, at-80):])
		}
	}
}

// TestNoSecretAndNoEntryIsInAnyOutput runs through what the service does, its failures above all, with strings that
// would be known again, and looks for them in logs, metrics, errors, and in the tool's words.
func TestNoSecretAndNoEntryIsInAnyOutput(t *testing.T) {
	s := &sweep{t: t, canaries: map[string]string{
		"JWT secret": canary("jwt") + canary("jwt"), "pepper": canary("pepper") + canary("pepper"), "masking secret": canary("mask") + canary("mask"),
		"key of the settings": canary("fixed"), "message": canary("message"), "user": canary("user"), "password in metadata": canary("password"),
		"value of metadata": canary("value"), "value of a bad entry": canary("bad"), "question": canary("question"), "wrong token": canary("wrong"),
		"body that is no JSON": canary("syntax"), "value of a header": canary("header"), "parameter": canary("param"), "path": canary("path"),
	}}
	c := s.canaries
	env := []string{"LOG_LEVEL=debug", "JWT_SECRET=" + c["JWT secret"], "API_KEY_PEPPER=" + c["pepper"], "MASKING_SECRET=" + c["masking secret"],
		"API_KEYS=" + c["key of the settings"] + ":default:writer"}
	var system *service.System
	if os.Getenv("TEST_SYSTEM") == "deployed" {
		system = service.Deploy(t, service.NewServers(t), 1, env...)
	} else {
		system = service.Start(t, t.TempDir(), env...)
	}
	admin := described(t, system.URL, system.Token("default", "admin"))
	platform := described(t, system.URL, system.Token("*", "admin"))
	c["admin's token"], c["platform admin's token"] = admin.Token, platform.Token

	// do sends a request; what is not a success must show none of the canaries.
	refusals := 0
	do := func(as service.Client, want int, method, path, body string, headers ...string) service.Answer {
		t.Helper()
		a, err := as.Do(t.Context(), method, path, []byte(body), headers...)
		if err != nil || a.Status != want {
			t.Fatalf("%s %.80s: %v, %d (want %d) %.500s", method, path, err, a.Status, want, a.Body)
		}
		if want >= 400 {
			refusals++
			s.look(fmt.Sprintf("%d to %s", want, method), string(a.Body))
		}
		var head strings.Builder
		_ = a.Header.Write(&head)
		s.look("the head of "+method, head.String())
		return a
	}
	made := func(a service.Answer, member string) string {
		t.Helper()
		var answer struct{ Data map[string]any }
		if err := json.Unmarshal(a.Body, &answer); err != nil {
			t.Fatal(err)
		}
		text, _ := answer.Data[member].(string)
		if text == "" {
			t.Fatalf("no %s in %s", member, a.Body)
		}
		return text
	}

	// Credentials: the answer that makes one is the only one that shows it.
	key := do(admin, 201, "POST", "/api/v1/tenants/default/keys", `{"name":"reports","role":"writer"}`)
	c["API key"] = made(key, "key")
	c["issued token"] = made(do(admin, 201, "POST", "/api/v1/tokens", `{"tenants":["default"],"role":"reader","ttl":"1h","subject":"ann"}`), "token")
	session, err := admin.Do(t.Context(), "POST", "/api/v1/session", nil)
	if err != nil || session.Status != 201 {
		t.Fatalf("%v %d %s", err, session.Status, session.Body)
	}
	cookie, _, _ := strings.Cut(session.Header.Get("Set-Cookie"), ";")
	_, c["cookie"], _ = strings.Cut(cookie, "=")
	writer, reader, nobody := described(t, system.URL, c["API key"]), described(t, system.URL, c["issued token"]), described(t, system.URL, "")
	s.look("the list of keys", string(do(admin, 200, "GET", "/api/v1/tenants/default/keys", "").Body))
	s.look("the list of tokens", string(do(admin, 200, "GET", "/api/v1/tokens", "").Body))

	// Entries, good and bad.
	good := fmt.Sprintf(`{"message":"%s","user_id":"%s","event_id":"1","metadata":{"db_password":"%s","note":"%s"}}`, c["message"], c["user"], c["password in metadata"], c["value of metadata"])
	id := made(do(writer, 202, "POST", "/api/v1/logs", good), "id")
	do(described(t, system.URL, c["key of the settings"]), 202, "POST", "/api/v1/logs", good)
	forged := `{"message":"line\r\n{\"level\":\"error\",\"msg\":\"` + c["message"] + `\"}\u001b[2J"}`
	do(writer, 202, "POST", "/api/v1/logs", forged)
	for _, bad := range []string{`{"message":"m","severity":"%s"}`, `{"message":"m","timestamp":"%s"}`, `{"message":"m","ip_address":"%s"}`, `{"message":"m","trace_id":"%s"}`,
		`{"message":{"x":"%s"}}`, `{"message":"m","tenant_id":"%s"}`, `{"service":"%s"}`} {
		do(writer, 422, "POST", "/api/v1/logs", fmt.Sprintf(bad, c["value of a bad entry"]))
	}
	do(writer, 400, "POST", "/api/v1/logs", `{"message":"`+c["body that is no JSON"])
	do(writer, 400, "POST", "/api/v1/logs", `{"message":"m","unknown":"`+c["value of a bad entry"]+`"}`) // the name would be in the pointer
	do(writer, 415, "POST", "/api/v1/logs", good, "Content-Type: text/"+c["value of a header"])
	do(writer, 400, "POST", "/api/v1/logs", good, "Idempotency-Key: "+c["value of a header"]+" x")

	// Questions, good and bad, and those who may not ask.
	service.Eventually(t, time.Minute, func() (bool, string) {
		n, err := reader.Count(t.Context(), url.Values{"search": {c["message"]}})
		return err == nil && n >= 1, fmt.Sprint(n, err)
	})
	page := do(reader, 200, "GET", "/api/v1/logs?limit=1000", "").Body
	if !strings.Contains(string(page), c["message"]) || !strings.Contains(string(page), c["value of metadata"]) || strings.Contains(string(page), c["password in metadata"]) {
		t.Errorf("a search shows what was sent, without the password: %.500s", page)
	}
	do(reader, 200, "GET", "/api/v1/logs/"+id, "")
	do(reader, 400, "GET", "/api/v1/logs?q=("+c["question"], "")
	do(reader, 400, "GET", "/api/v1/logs?q="+c["question"]+":x", "")
	do(reader, 400, "GET", "/api/v1/logs?cursor="+c["question"], "")
	do(reader, 400, "GET", "/api/v1/logs?"+c["parameter"]+"=%%%", "")
	do(reader, 400, "GET", "/api/v1/logs/"+c["path"], "")
	do(nobody, 404, "GET", "/"+c["path"], "")
	do(nobody, 404, "GET", "/api/v1/"+c["path"]+"?token="+c["wrong token"], "")
	do(nobody, 401, "GET", "/api/v1/logs?api_key="+c["wrong token"], "")
	do(nobody, 401, "GET", "/api/v1/logs", "", "Authorization: Bearer "+c["wrong token"])
	do(nobody, 401, "GET", "/api/v1/logs", "", "Authorization: Bearer "+admin.Token+"x")
	do(nobody, 401, "GET", "/api/v1/logs", "", "X-API-Key: "+c["API key"]+"x")
	do(nobody, 200, "GET", "/api/v1/session", "", "Cookie: "+cookie)
	do(nobody, 401, "GET", "/api/v1/session", "", "Cookie: "+cookie+"x")
	do(reader, 403, "POST", "/api/v1/logs", good)
	do(reader, 403, "GET", "/api/v1/logs", "", "X-Tenant-ID: zeta")
	do(admin, 422, "POST", "/api/v1/tenants/default/masking/test", fmt.Sprintf(`{"rules":[{"pattern":"(%s"}],"entries":[%s]}`, c["value of a bad entry"], good))
	do(platform, 422, "POST", "/api/v1/tenants", `{"id":"`+c["value of a bad entry"]+`"}`)
	do(admin, 200, "DELETE", "/api/v1/tenants/default/keys/"+made(key, "id"), "")

	// Who read and who changed is there, without a secret. What was asked is part of it.
	var told string
	service.Eventually(t, time.Minute, func() (bool, string) {
		told = string(do(admin, 200, "GET", "/api/v1/logs?audit=only&limit=1000", "").Body)
		return strings.Contains(told, `"READ"`) && strings.Contains(told, `"REFUSE"`) && strings.Contains(told, `"DELETE"`), told
	})
	asked := maps.Clone(c)
	for _, what := range []string{"message"} { // it was the question
		delete(asked, what)
	}
	(&sweep{t: t, canaries: asked}).look("what was noted", told)

	// L10: the tool with its help and its settings, and the processes' own words.
	for _, args := range [][]string{{"config", "check"}, {"--help"}, {"token", "--help"}} {
		out, _ := system.Command(args...).CombinedOutput()
		s.look(strings.Join(args, " "), string(out))
	}
	metrics := system.Metrics
	for _, m := range regexp.MustCompile(`"metrics":"(http://[^"]+)"`).FindAllStringSubmatch(system.API.Output(), -1) {
		metrics = append(metrics, m[1])
	}
	for _, at := range metrics {
		res, err := http.Get(at + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || !strings.Contains(string(b), "ocelot_") {
			t.Fatalf("metrics of %s: %v %.100s", at, err, b)
		}
		s.look("the metrics", string(b))
	}
	if err := system.Stop(); err != nil {
		t.Error(err)
	}
	lines := 0
	for _, p := range append([]*service.Process{system.API}, system.Workers...) {
		out := p.Output()
		s.look("the output of a process", out)
		for line := range strings.Lines(out) {
			lines++
			if strings.HasPrefix(line, "{") && !json.Valid([]byte(line)) || strings.Contains(line, "\x1b") {
				t.Errorf("a line that is not one: %q", line)
			}
		}
	}
	if lines < 20 || refusals < 25 || s.looked < 50_000 {
		t.Errorf("only %d lines of output, %d refusals, %d bytes looked at", lines, refusals, s.looked)
	}
	t.Logf("%d canaries, %d sightings; %d refusals, %d lines of output, %d bytes: %s", len(c), s.sightings, refusals, lines, s.looked, slices.Sorted(maps.Keys(c)))
}
