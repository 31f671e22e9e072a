package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadTakesDefaultsFileAndEnvironmentInThatOrder(t *testing.T) {
	path := write(t, "ocelot.yaml", "port: 7000\ningest_linger: 9ms\nlog_level: warn\n")
	s, err := Load(Up, path, []string{"PORT=7001", "LOG_LEVEL="})
	if err != nil {
		t.Fatal(err)
	}
	if s.Port != 7001 || s.IngestLinger != 9*time.Millisecond || s.LogLevel != "warn" || s.MetricsPort != 9090 {
		t.Errorf("got port %d, linger %s, level %s, metrics port %d", s.Port, s.IngestLinger, s.LogLevel, s.MetricsPort)
	}
}

func TestLoadReportsEveryProblemAtOnce(t *testing.T) {
	path := write(t, "ocelot.yaml", "prot: 7000\nport: many\nlog_level: loud\nhost: [a, b]\n")
	_, err := Load(Up, path, []string{"WORKER_POLL_WAIT=1h", "JWT_SECRET=short", "INGEST_IN_FLIGHT=1.5"})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`no setting named "prot"; did you mean "port"?`, `port: "many" is no whole number`,
		`log_level: "loud" is not one of debug, info, warn, error`, "host: must be a single value",
		"WORKER_POLL_WAIT: 1h0m0s is not between 1s and 20s", "jwt_secret: is shorter than 32 bytes", `INGEST_IN_FLIGHT: "1.5" is no whole number`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%s", want, err)
		}
	}
	if strings.Contains(err.Error(), "short;") {
		t.Error("a secret is shown")
	}
}

func TestSecretsThatAnybodyGuessesAreRefused(t *testing.T) {
	for _, name := range []string{"JWT_SECRET", "API_KEY_PEPPER", "MASKING_SECRET"} {
		for value, want := range map[string]string{
			"changeme":                            "is shorter than 32 bytes; make one with",
			"                                   ": "", // as if it were not set, or refused; never taken
			strings.Repeat("x", 64):               "is a few characters again and again; make one with",
			strings.Repeat("changeme", 4):         "is a few characters again and again; make one with",
			"3f0c9ad27be14568d1f7a2c9e0b35d84":    "-",
		} {
			s, err := Load(Up, "", []string{name + "=" + value})
			switch {
			case want == "-" && err != nil, want != "-" && want != "" && (err == nil || !strings.Contains(err.Error(), strings.ToLower(name)+": "+want)):
				t.Errorf("%s of %d bytes: %v", name, len(value), err)
			case want == "" && err == nil && (s.JWTSecret.IsSet() || s.APIKeyPepper.IsSet() || s.MaskingSecret.IsSet()):
				t.Errorf("%s: blanks are taken", name)
			case err != nil && strings.Contains(err.Error(), value):
				t.Errorf("%s: it is shown: %v", name, err)
			}
		}
	}
}

func TestOneProblemIsOneLineAndSeveralAreALineEach(t *testing.T) {
	_, err := Load(API, "", []string{"JWT_SECRET=short"})
	if err == nil || err.Error() != "bad settings: jwt_secret: is shorter than 32 bytes; make one with: openssl rand -base64 48" {
		t.Errorf("one: %v", err)
	}
	_, err = Load(API, "", []string{"JWT_SECRET=short", "PORT=x"})
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("two: %v", err)
	}
}

func TestAnAddressThatIsNoneIsRefusedWithoutBeingRepeated(t *testing.T) {
	for _, set := range []string{"SQS_QUEUE_URL=ocelot", "SQS_ENDPOINT_URL=localhost:9324", "OPENSEARCH_URL=admin:hunter2@localhost:9200", "OPENSEARCH_URL=http://",
		"MONGODB_URI=admin:hunter2@localhost", "MONGODB_URI=http://u:hunter2@localhost"} {
		_, err := Load(Worker, "", []string{set})
		if name, _, _ := strings.Cut(set, "="); err == nil || !strings.Contains(err.Error(), name+": is no address of a server; it begins with ") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", set, err)
		}
	}
}

func TestLoadReadsSecretsFromAFile(t *testing.T) {
	secret := strings.Repeat("k1l2m3n4o5", 4)
	path := write(t, "secret", secret+"\n")
	s, err := Load(Up, "", []string{"JWT_SECRET_FILE=" + path})
	if err != nil || s.JWTSecret.Reveal() != secret {
		t.Errorf("err %v, right secret: %t", err, s.JWTSecret.Reveal() == secret)
	}
	if _, err := Load(Up, "", []string{"JWT_SECRET_FILE=" + path, "JWT_SECRET=" + secret}); err == nil || !strings.Contains(err.Error(), "keep one") {
		t.Errorf("both: %v", err)
	}
	if _, err := Load(Up, "", []string{"JWT_SECRET_FILE=/does/not/exist"}); err == nil || !strings.Contains(err.Error(), "JWT_SECRET_FILE") {
		t.Errorf("absent: %v", err)
	}
}

// TestEffectiveSettingsNeverShowASecretAndLoadAgain is L10 for what `config check` prints.
func TestEffectiveSettingsNeverShowASecretAndLoadAgain(t *testing.T) {
	secret := strings.Repeat("s3cr3t of mine", 4)
	s, err := Load(Up, "", []string{"JWT_SECRET=" + secret, "PORT=1234", "JWT_ISSUER=me: \"you\""})
	if err != nil {
		t.Fatal(err)
	}
	text := s.Effective(Up)
	if strings.Contains(text, secret) || !strings.Contains(text, `jwt_secret: "***"`) {
		t.Error("the secret is not hidden")
	}
	again, err := Load(Up, write(t, "all.yaml", strings.Replace(text, `jwt_secret: "***"`, "jwt_secret: "+secret, 1)), nil)
	if err != nil || again != s {
		t.Errorf("effective settings load as %+v, %v", again, err)
	}
}

func TestTheExampleFilesAreThoseInConfigs(t *testing.T) {
	for _, process := range []Process{Up, API, Worker} {
		path := filepath.Join("..", "..", "configs", string(process)+".yaml")
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(path, []byte(Example(process)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != Example(process) {
			t.Errorf("%s is not what the settings say (err %v); run: UPDATE=1 go test ./internal/config", path, err)
		}
		lines := []string{}
		for l := range strings.Lines(strings.ReplaceAll(string(got), "\n# ", "\n")) {
			if key, _, ok := strings.Cut(l, ": "); ok && !strings.Contains(key, " ") {
				lines = append(lines, l)
			}
		}
		s, err := Load(process, write(t, "defaults.yaml", strings.Join(lines, "")), nil)
		defaults, _ := Load(process, "", nil)
		if err != nil || s != defaults {
			t.Errorf("the values in %s are not the defaults: %v", path, err)
		}
	}
}

func TestEachProcessHasItsOwnKeysAndDefaults(t *testing.T) {
	api, worker := Example(API), Example(Worker)
	if strings.Contains(worker, "jwt_secret") || strings.Contains(api, "worker_") || strings.Contains(api, "data_dir:") {
		t.Error("a key stands in the file of a process that has no use for it")
	}
	s, err := Load(Worker, "", []string{"MONGO_URI=mongodb://u:p@127.0.0.1/?replicaSet=rs0"})
	if err != nil || s.MetricsPort != 9091 || s.MongoDBURI.Reveal() != "mongodb://u:p@127.0.0.1/?replicaSet=rs0" {
		t.Errorf("metrics port %d, alias taken: %t, %v", s.MetricsPort, s.MongoDBURI.IsSet(), err)
	}
}
