package app

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// allowed says which packages of ours each package may import; docs/design.md draws it. telemetry,
// fault and wait may be imported by every package of internal, logentry by every package.
var allowed = map[string][]string{
	"pkg/logentry":           {},
	"internal/fault":         {},
	"internal/wait":          {},
	"internal/telemetry":     {},
	"internal/sqlite":        {},
	"internal/sqlite/driver": {},
	"internal/document":      {},
	"internal/mask":          {},
	"internal/tenant":        {"internal/document", "internal/mask"},
	"internal/query":         {},
	"internal/auth":          {"internal/document", "internal/query", "internal/tenant"},
	"internal/auth/authtest": {"internal/auth", "internal/tenant"},
	"internal/queue":         {"internal/sqlite"},
	"internal/store":         {"internal/auth", "internal/document", "internal/query", "internal/sqlite", "internal/tenant"},
	"internal/search":        {"internal/auth", "internal/query", "internal/sqlite"},
	"internal/audit":         {"internal/store"},
	"internal/ingest":        {"internal/auth", "internal/mask", "internal/queue", "internal/tenant"},
	"internal/limit":         {"internal/store", "internal/tenant"},
	"internal/drain":         {"internal/queue", "internal/search", "internal/store"},
	"internal/httpapi":       {"docs", "internal/audit", "internal/auth", "internal/document", "internal/export", "internal/ingest", "internal/jobs", "internal/limit", "internal/mask", "internal/query", "internal/search", "internal/signin", "internal/store", "internal/tail", "internal/tenant"},
	"internal/jobs":          {"internal/audit", "internal/document", "internal/store", "internal/tenant"},
	"internal/export":        {"internal/query"},
	"internal/tail":          {"internal/auth", "internal/query", "internal/store"},
	"internal/config":        {"internal/auth"},
	"internal/signin":        {"internal/auth", "internal/tenant"},
	"internal/lines":         {},
	"internal/bench":         {},
	"docs":                   {},

	"internal/signin/signintest": {}, // a line of its own keeps the others where they are
	"pkg/client":                 {},

	"internal/bigquery":              {},
	"internal/bigquery/bigquerytest": {},
}

func TestImportsPointDownOnly(t *testing.T) {
	const module = "github.com/ocelot-log/ocelot/"
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		from := strings.TrimPrefix(words[0], module)
		if from == "internal/app" || strings.HasPrefix(from, "cmd/") || strings.HasPrefix(from, "tests/") {
			continue
		}
		may, known := allowed[from]
		if !known {
			t.Errorf("%s is not in the picture: a new package must earn a word there", from)
		}
		for _, imported := range words[1:] {
			to, ours := strings.CutPrefix(imported, module)
			everywhere := to == "pkg/logentry" || strings.HasPrefix(from, "internal/") && (to == "internal/fault" || to == "internal/telemetry" || to == "internal/wait")
			if ours && !everywhere && !slices.Contains(may, to) {
				t.Errorf("%s imports %s; the arrows of docs/design.md do not allow it", from, to)
			}
		}
		seen++
	}
	if seen < 10 {
		t.Errorf("only %d packages seen", seen)
	}
}

func TestServersAreBuiltWithoutWhatOnlyTheCommandNeeds(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "../../cmd/api", "../../cmd/worker").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"github.com/parquet-go/", "golang.org/x/oauth2/google", "internal/bigquery", "internal/sqlite/driver"} {
		if strings.Contains(string(out), name) {
			t.Errorf("api or worker is built with %s", name)
		}
	}
	if !strings.Contains(string(out), "internal/httpapi") {
		t.Error("nothing is seen")
	}
}
