package app

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/ocelot-log/ocelot/internal/config"
)

// foreign are variables of the files for Docker that are no settings of ours.
var foreign = []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", // read by the AWS SDK
	"OPENSEARCH_JAVA_OPTS", "API_PORT", "PROMETHEUS_PORT"} // read by docker-compose.yml

func rootFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// isSetting says whether a process reads a variable.
func isSetting(p config.Process, variable string) bool {
	fields := reflect.TypeFor[config.Settings]()
	for i := range fields.NumField() {
		tag := fields.Field(i).Tag
		of := strings.Fields(tag.Get("for"))
		if name := strings.ToUpper(tag.Get("key")); (variable == name || variable == tag.Get("alias")) && (len(of) == 0 || slices.Contains(of, string(p))) {
			return true
		}
	}
	return false
}

// example are the variables of .env.example.
func example(t *testing.T) map[string]string {
	t.Helper()
	env := map[string]string{}
	for line := range strings.Lines(rootFile(t, ".env.example")) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if _, twice := env[name]; !ok || twice {
			t.Errorf("in .env.example: %s", line)
		}
		env[name] = value
	}
	return env
}

type composed struct {
	Services map[string]struct {
		Environment map[string]string `yaml:"environment"`
		Ports       []string          `yaml:"ports"`
		Volumes     []string          `yaml:"volumes"`
		ReadOnly    bool              `yaml:"read_only"`
		DependsOn   map[string]any    `yaml:"depends_on"`
		Build       struct {
			Dockerfile string `yaml:"dockerfile"`
		} `yaml:"build"`
	} `yaml:"services"`
}

func TestComposeGivesEachProcessSettingsThatItKnows(t *testing.T) {
	text, env := rootFile(t, "docker-compose.yml"), example(t)
	var c composed
	if err := yaml.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	for name := range env {
		if !isSetting(config.API, name) && !isSetting(config.Worker, name) && !slices.Contains(foreign, name) {
			t.Errorf("%s in .env.example is no setting", name)
		}
	}
	reference := regexp.MustCompile(`\$\{([A-Z_]+)`)
	for _, m := range reference.FindAllStringSubmatch(text, -1) {
		if _, is := env[m[1]]; !is {
			t.Errorf("docker-compose.yml uses %s, which .env.example does not tell of", m[1])
		}
	}
	env["JWT_SECRET"] = strings.Repeat("0123456789abcdef", 2) // the one that has no default
	for _, p := range []config.Process{config.API, config.Worker} {
		service := c.Services[string(p)]
		if len(service.Environment) == 0 || !service.ReadOnly || len(service.DependsOn) != 3 || service.Build.Dockerfile != "Dockerfile."+string(p) {
			t.Fatalf("%s: %+v", p, service)
		}
		var set []string
		for name, value := range service.Environment {
			if !isSetting(p, name) && !slices.Contains(foreign, name) {
				t.Errorf("docker-compose.yml gives %s to %s, which has no such setting", name, p)
			}
			if m := reference.FindStringSubmatch(value); m != nil {
				value = env[m[1]]
			}
			set = append(set, name+"="+value)
		}
		s, err := config.Load(p, "", set)
		if err != nil {
			t.Error(err)
		}
		if err := checkBackends(p, s); err != nil {
			t.Error(err)
		}
	}
	for name, service := range c.Services {
		for _, port := range service.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s of docker-compose.yml listens on every address of the machine: %s", name, port)
			}
		}
		for _, volume := range service.Volumes {
			if from, _, _ := strings.Cut(volume, ":"); strings.HasPrefix(from, ".") {
				if _, err := os.Stat(filepath.Join("..", "..", from)); err != nil {
					t.Errorf("%s of docker-compose.yml: %v", name, err)
				}
			}
		}
	}
	queues := rootFile(t, "tests/services/elasticmq.conf")
	for _, setting := range []string{"SQS_QUEUE_URL", "SQS_DLQ_URL"} {
		queue, ok := strings.CutPrefix(env[setting], env["SQS_ENDPOINT_URL"]+"/000000000000/")
		if !ok || !regexp.MustCompile(`(?m)^\s*`+regexp.QuoteMeta(queue)+` \{`).MatchString(queues) {
			t.Errorf("%s=%s is no queue of elasticmq.conf", setting, env[setting])
		}
	}
}

func TestTheImagesFitTheirSettings(t *testing.T) {
	for _, p := range []config.Process{config.API, config.Worker} {
		s, err := config.Load(p, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		file := rootFile(t, "Dockerfile."+string(p))
		_, last, _ := strings.Cut(file, "\nFROM scratch\n")
		exposed := fmt.Sprintf("\nEXPOSE %d\n", s.MetricsPort)
		if p == config.API {
			exposed = fmt.Sprintf("\nEXPOSE %d %d\n", s.Port, s.MetricsPort)
		}
		for _, want := range []string{exposed, "\nUSER 65532:65532\n", "/etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/\n", "METRICS_HOST=0.0.0.0",
			fmt.Sprintf("COPY configs/%s.yaml /etc/ocelot/%[1]s.yaml\n", p),
			fmt.Sprintf(`CMD ["/ocelot-%s", "--config", "/etc/ocelot/%[1]s.yaml", "health"]`, p),
			fmt.Sprintf("ENTRYPOINT [\"/ocelot-%s\"]\nCMD [\"--config\", \"/etc/ocelot/%[1]s.yaml\"]\n", p)} {
			if !strings.Contains(last, want) {
				t.Errorf("Dockerfile.%s lacks %q", p, want)
			}
		}
		for _, line := range regexp.MustCompile(`(?m)^ENV (.*)$`).FindAllStringSubmatch(file, -1) {
			for _, pair := range strings.Fields(line[1]) {
				if name, _, _ := strings.Cut(pair, "="); !isSetting(p, name) {
					t.Errorf("Dockerfile.%s sets %s, which is no setting of %[1]s", p, name)
				}
			}
		}
		scraped := fmt.Sprintf("names: [%s], type: A, port: %d}", p, s.MetricsPort)
		if !strings.Contains(rootFile(t, "configs/prometheus.yml"), scraped) {
			t.Errorf("prometheus.yml lacks %q", scraped)
		}
	}
	if ignored := strings.Split(rootFile(t, ".dockerignore"), "\n"); !slices.Contains(ignored, ".env") {
		t.Error("the secrets in .env would be copied into the images' build")
	}
}
