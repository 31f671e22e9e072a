//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/tests/service"
)

const (
	secret      = "an-hs256-secret-of-more-than-32-bytes"
	password    = "hunter2" // must never be seen
	badSettings = 78
	failed      = 1
)

// wrong is something an operator did, and what the process has to say of it.
type wrong struct {
	name string
	env  []string
	args []string
	only string // api: the worker has no such setting
	code int
	says []string
}

// answers is a server that gives one answer to everything.
func answers(t *testing.T, status int, body string) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// openSearch is a server that calls itself a version of OpenSearch, or, with no distribution, of Elasticsearch.
func openSearch(t *testing.T, distribution, number, tagline string) string {
	return answers(t, http.StatusOK, fmt.Sprintf(`{"name":"n","version":{%s"number":%q},"tagline":%q}`, distribution, number, tagline))
}

// loneMongo starts a mongod that is no replica set and returns its address; empty where there is no mongod.
func loneMongo(t *testing.T) string {
	home := os.Getenv("SERVICES_HOME")
	if home == "" {
		home = filepath.Join(os.Getenv("HOME"), ".cache", "ocelot-services")
	}
	binary := filepath.Join(home, "bin", "mongod")
	if _, err := os.Stat(binary); err != nil {
		return ""
	}
	_, port, _ := net.SplitHostPort(closedPort(t))
	cmd := exec.Command(binary, "--dbpath", t.TempDir(), "--port", port, "--bind_ip", "127.0.0.1", "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return "127.0.0.1:" + port
}

// closedPort is an address of the loopback where nobody listens.
func closedPort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func file(t *testing.T, name, text string) string {
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWhatIsWrongWithTheSettingsIsSaidInOneLine(t *testing.T) {
	servers := service.NewServers(t)
	service.Binary(t, "api") // built before the clock of a case runs
	sane := append(servers.Env(), "JWT_SECRET="+secret, "PORT=0", "METRICS_PORT=0", "LOG_FORMAT=json")
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = busy.Close() })
	_, busyPort, _ := net.SplitHostPort(busy.Addr().String())
	denied := answers(t, http.StatusForbidden, `{"__type":"com.amazon.coral.service#AccessDeniedException","message":"User: arn:aws:iam::1:user/u is not authorized to perform: sqs:getqueueattributes"}`)
	old := openSearch(t, `"distribution":"opensearch",`, "1.3.20", "The OpenSearch Project: https://opensearch.org/")
	elastic := openSearch(t, "", "8.15.0", "You Know, for Search")
	refusing := answers(t, http.StatusUnauthorized, "Unauthorized")
	refusingWithUser := strings.Replace(refusing, "http://", "http://admin:"+password+"@", 1)
	mongo := strings.TrimPrefix(servers.MongoDB, "mongodb://")

	cases := []wrong{
		{name: "a queue that does not exist", env: []string{"SQS_QUEUE_URL=" + servers.SQS + "/000000000000/nowhere"}, code: failed,
			says: []string{"SQS_QUEUE_URL " + servers.SQS + "/000000000000/nowhere", "does not exist", "make the queue or correct the URL"}},
		{name: "a dead-letter queue that does not exist", env: []string{"SQS_DLQ_URL=" + servers.SQS + "/000000000000/nowhere"}, code: failed,
			says: []string{"SQS_DLQ_URL ", "does not exist"}},
		{name: "a queue URL that is none", env: []string{"SQS_QUEUE_URL=ocelot"}, code: badSettings, says: []string{"bad settings: SQS_QUEUE_URL: ", "begins with https://"}},
		{name: "a queue URL without a queue", env: []string{"SQS_QUEUE_URL=" + servers.SQS}, code: badSettings, says: []string{"SQS_QUEUE_URL has no queue's name at its end", "https://sqs.eu-west-1.amazonaws.com/123456789012/ocelot"}},
		{name: "an endpoint that is no SQS", env: []string{"SQS_ENDPOINT_URL=" + servers.OpenSearch}, code: failed, says: []string{"SQS_ENDPOINT_URL", servers.OpenSearch, "SQS server"}},
		{name: "no AWS credentials", env: []string{"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_EC2_METADATA_DISABLED=true", "HOME=/nonexistent", "AWS_PROFILE="}, code: failed,
			says: []string{"there are no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"}},
		{name: "AWS credentials that are not let in", env: []string{"SQS_ENDPOINT_URL=" + denied}, code: failed,
			says: []string{"SQS_QUEUE_URL " + servers.Queue, "through " + denied, "can't be read with these AWS credentials", "allow sqs:GetQueueAttributes", "user/u is not authorized"}},

		{name: "a wrong user of MongoDB", env: []string{"MONGODB_URI=mongodb://ocelot:" + password + "@" + mongo}, code: failed,
			says: []string{"MongoDB at ", "refuses the user or the password of MONGODB_URI", "authSource"}},
		{name: "a password of MongoDB with bare special characters", env: []string{"MONGODB_URI=mongodb://ocelot:" + password + "/@" + mongo}, code: badSettings,
			says: []string{"MONGODB_URI is no connection string of MongoDB", "percent-encoded"}},
		{name: "a URI of something else", env: []string{"MONGODB_URI=postgres://u:" + password + "@" + mongo}, code: badSettings, says: []string{"bad settings: MONGODB_URI: ", "begins with mongodb://"}},
		{name: "a database that can't be", env: []string{"MONGODB_DATABASE=my logs"}, code: badSettings, says: []string{"MONGODB_DATABASE is no name of a database"}},

		{name: "OpenSearch 1", env: []string{"OPENSEARCH_URL=" + old}, code: failed, says: []string{"OpenSearch at " + old + " is version 1.3.20", "upgrade it to 2.19 or newer"}},
		{name: "Elasticsearch", env: []string{"OPENSEARCH_URL=" + elastic}, code: failed, says: []string{"what answers at " + elastic + " is Elasticsearch 8.15.0", "OpenSearch 2.19 or newer is needed"}},
		{name: "a wrong user of OpenSearch", env: []string{"OPENSEARCH_URL=" + refusing, "OPENSEARCH_USERNAME=admin", "OPENSEARCH_PASSWORD=" + password}, code: failed,
			says: []string{"OpenSearch at " + refusing + " refuses the user or the password", "correct OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD"}},
		{name: "a wrong user in the URL of OpenSearch", env: []string{"OPENSEARCH_URL=" + refusingWithUser}, code: failed, says: []string{"OpenSearch at " + refusing + " refuses the user"}},
		{name: "OpenSearch that wants a user", env: []string{"OPENSEARCH_URL=" + refusing}, code: failed, says: []string{"OpenSearch at " + refusing, "OPENSEARCH_USERNAME"}},
		{name: "a URL of OpenSearch without a scheme", env: []string{"OPENSEARCH_URL=admin:" + password + "@localhost:9200"}, code: badSettings, says: []string{"bad settings: OPENSEARCH_URL: ", "begins with https:// or http://"}},
		{name: "a URL of OpenSearch with a space", env: []string{"OPENSEARCH_URL=http://admin:" + password + "@local host:9200"}, code: badSettings, says: []string{"OPENSEARCH_URL is no address of OpenSearch", "https://host:9200"}},
		{name: "TLS where there is none", env: []string{"OPENSEARCH_URL=" + strings.Replace(servers.OpenSearch, "http://", "https://", 1)}, code: badSettings, says: []string{"speaks no TLS", "OPENSEARCH_URL"}},
		{name: "a prefix that can't be", env: []string{"OPENSEARCH_INDEX_PREFIX=My_Logs"}, code: badSettings, says: []string{"OPENSEARCH_INDEX_PREFIX must be"}},

		{name: "no queue named", env: []string{"SQS_QUEUE_URL="}, code: badSettings, says: []string{"bad settings: SQS_QUEUE_URL: is not set"}},
		{name: "L10 no secret", only: "api", env: []string{"JWT_SECRET="}, code: badSettings, says: []string{"bad settings: JWT_SECRET: is not set", "openssl rand -base64 48"}},
		{name: "L10 a blank secret", only: "api", env: []string{"JWT_SECRET=        "}, code: badSettings, says: []string{"bad settings: "}},
		{name: "L10 a secret of 8 bytes", only: "api", env: []string{"JWT_SECRET=" + password + "x"}, code: badSettings, says: []string{"bad settings: jwt_secret: is shorter than 32 bytes", "openssl rand -base64 48"}},
		{name: "L10 a short secret", only: "api", env: []string{"JWT_SECRET=" + password}, code: badSettings, says: []string{"bad settings: jwt_secret: is shorter than 32 bytes", "openssl rand -base64 48"}},
		{name: "a short pepper", only: "api", env: []string{"API_KEY_PEPPER=" + password}, code: badSettings, says: []string{"bad settings: api_key_pepper: is shorter than 32 bytes", "openssl rand -base64 48"}},
		{name: "a weak key", only: "api", env: []string{"API_KEYS=0123456789abcdef," + password}, code: badSettings, says: []string{"bad settings: api_keys: key 2 has 7 characters", "openssl rand -hex 16"}},
		{name: "a path as a public key", only: "api", env: []string{"JWT_PUBLIC_KEY=/etc/key.pem"}, code: badSettings, says: []string{"bad settings: jwt_public_key: is no PEM text", "JWT_PUBLIC_KEY_FILE"}},
		{name: "keys of an issuer over plain HTTP", only: "api", env: []string{"JWKS_URL=http://id.example/keys"}, code: badSettings, says: []string{"bad settings: jwks_url: is no https:// address"}},
		{name: "an issuer alone", only: "api", env: []string{"JWT_SECRET=", "JWKS_URL=https://id.example/keys"}, code: badSettings, says: []string{"bad settings: API_KEY_PEPPER: is not set", "openssl rand -base64 48"}},
		{name: "a misspelt key", args: []string{"--config", file(t, "settings.yaml", "opensearch_ulr: http://127.0.0.1:9200\n")}, code: badSettings, says: []string{"settings.yaml", `no setting named "opensearch_ulr"`, `did you mean "opensearch_url"?`}},
		{name: "a file that is not there", args: []string{"--config", "/nonexistent/settings.yaml"}, code: badSettings, says: []string{"/nonexistent/settings.yaml: can't be read: no such file or directory"}},
		{name: "a file that is no YAML", args: []string{"--config", file(t, "settings.yaml", "log_level: info\n  - port: [\n")}, code: badSettings, says: []string{"settings.yaml: can't be read: yaml: line"}},
		{name: "a secret's file that is not there", env: []string{"MONGODB_URI=", "MONGODB_URI_FILE=/nonexistent/uri"}, code: badSettings, says: []string{"MONGODB_URI_FILE: can't be read: /nonexistent/uri: no such file"}},
		{name: "a port in use", only: "api", env: []string{"PORT=" + busyPort}, code: failed, says: []string{"PORT: another process listens on 127.0.0.1:" + busyPort}},
		{name: "a metrics port in use", env: []string{"METRICS_PORT=" + busyPort}, code: failed, says: []string{"METRICS_PORT: another process listens on 127.0.0.1:" + busyPort}},
		{name: "an address of another machine", env: []string{"METRICS_HOST=192.0.2.1"}, code: failed, says: []string{"METRICS_HOST: 192.0.2.1 is no address of this machine"}},
	}
	if lone := loneMongo(t); lone == "" {
		t.Log("no mongod to start without a replica set; make services-up")
	} else {
		cases = append(cases, wrong{name: "MongoDB without a replica set", env: []string{"MONGODB_URI=mongodb://" + lone + "/"}, code: failed,
			says: []string{"MongoDB at " + lone + " is not a replica set", "--replSet rs0", "rs.initiate()"}})
	}
	for _, c := range cases {
		for _, program := range []string{"api", "worker"} {
			if c.only != "" && c.only != program {
				continue
			}
			t.Run(c.name+" of the "+program, func(t *testing.T) {
				t.Parallel()
				code, stdout, stderr := ends(t, program, c.args, slices.Concat(sane, c.env))
				line := lastWords(t, program, stdout, stderr)
				if code != c.code {
					t.Errorf("exit code %d, want %d", code, c.code)
				}
				for _, want := range c.says {
					if !strings.Contains(line, want) {
						t.Errorf("%q is missing in: %s", want, line)
					}
				}
			})
		}
	}
}

// ends runs a program until it ends by itself.
func ends(t *testing.T, program string, args, env []string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, service.Binary(t, program), args...)
	cmd.Env = append(os.Environ(), env...)
	var out, words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &words
	exit, ended := errors.AsType[*exec.ExitError](cmd.Run())
	if ctx.Err() != nil || !ended {
		t.Fatalf("%s did not fail by itself: %s", program, &words)
	}
	return exit.ExitCode(), out.String(), words.String()
}

// lastWords is the one line that is left when the log is taken away: it comes last, and is fit to be read.
func lastWords(t *testing.T, program, stdout, stderr string) string {
	t.Helper()
	if stdout != "" {
		t.Errorf("on standard output: %s", stdout)
	}
	for _, never := range []string{password, "goroutine ", ".go:", "panic", "operation error", "api error", "%!"} {
		if strings.Contains(stderr, never) {
			t.Errorf("%q is in: %s", never, stderr)
		}
	}
	lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
	last := lines[len(lines)-1]
	for _, l := range lines[:len(lines)-1] {
		if !strings.HasPrefix(l, "{") {
			t.Errorf("more than one line: %s", stderr)
		}
	}
	if !strings.HasPrefix(last, program+": ") || len(last) > 400 {
		t.Errorf("the last line is: %s", last)
	}
	return last
}

func TestEachOfSeveralWrongSettingsHasALine(t *testing.T) {
	code, _, stderr := ends(t, "api", nil, []string{"SQS_QUEUE_URL=", "MONGODB_URI=mysql://x", "JWT_SECRET=short", "OPENSEARCH_URL=x", "PORT=http"})
	if lines := strings.Split(strings.TrimSpace(stderr), "\n"); code != badSettings || len(lines) != 5 || lines[0] != "api: bad settings:" {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

func TestServersThatDoNotAnswerAreWaitedFor(t *testing.T) {
	servers := service.NewServers(t)
	sane := append(servers.Env(), "JWT_SECRET="+secret, "PORT=0", "METRICS_PORT=0", "LOG_FORMAT=json")
	at := closedPort(t)
	starting := answers(t, http.StatusServiceUnavailable, "OpenSearch Security not initialized.")
	for _, c := range []struct {
		name, env string
		says      []string
	}{
		{"queue", "SQS_ENDPOINT_URL=http://" + at, []string{"waiting for the queue", "through http://" + at, "does not answer"}},
		{"record", "MONGODB_URI=mongodb://u:" + password + "@" + at + "/?replicaSet=rs0", []string{"waiting for the record", "no primary of MongoDB answers at " + at, "MONGODB_URI"}},
		{"index", "OPENSEARCH_URL=http://u:" + password + "@" + at, []string{"waiting for the index", "no OpenSearch answers at http://" + at, "OPENSEARCH_URL"}},
		{"api's keys of an issuer", "JWKS_URL=http://" + at + "/keys", []string{"waiting for the credentials", "the keys of JWKS_URL can't be read", at}},
		{"index that starts", "OPENSEARCH_URL=" + starting, []string{"waiting for the index", "OpenSearch at " + starting + " is not ready"}},
	} {
		for _, program := range []string{"api", "worker"} {
			if program == "worker" && strings.HasPrefix(c.name, "api's") {
				continue
			}
			t.Run(c.name+" of the "+program, func(t *testing.T) {
				t.Parallel()
				listener := closedPort(t)
				_, port, _ := net.SplitHostPort(listener)
				p := service.NewProcess(t, program, nil, append(slices.Clone(sane), c.env, "METRICS_PORT="+port)...)
				if err := p.Start(); err != nil {
					t.Fatal(err)
				}
				service.Eventually(t, 30*time.Second, func() (bool, string) {
					for _, want := range c.says {
						if !strings.Contains(p.Output(), want) {
							return false, want
						}
					}
					return true, ""
				})
				if code, ended := p.Wait(300 * time.Millisecond); ended {
					t.Errorf("it did not wait but exited with %d", code)
				}
				for path, want := range map[string]int{"/health/live": http.StatusOK, "/health/ready": http.StatusServiceUnavailable} {
					if a, err := (service.Client{URL: "http://" + listener}).Do(t.Context(), http.MethodGet, path, nil); err != nil || a.Status != want {
						t.Errorf("%s while it waits: %v, %d %s", path, err, a.Status, a.Body)
					}
				}
				if strings.Contains(p.Output(), password) {
					t.Errorf("a password is shown: %s", p.Output())
				}
				stopped := time.Now()
				if err := p.Stop(); err != nil || time.Since(stopped) > 10*time.Second {
					t.Errorf("stop while it waits: %v after %s", err, time.Since(stopped))
				}
			})
		}
	}
}
