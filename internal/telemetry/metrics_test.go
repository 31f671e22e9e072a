package telemetry

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestEveryMetricIsDocumentedAndNoOther(t *testing.T) {
	doc, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, name := range regexp.MustCompile(`\bocelot_[a-z_]+`).FindAllString(string(doc), -1) {
		documented[strings.TrimSuffix(name, "_bucket")] = true
	}
	delete(documented, "ocelot_build_info") // the listener adds it
	descriptions := make(chan *prometheus.Desc)
	go func() {
		NewMetrics().Registry.Describe(descriptions)
		close(descriptions)
	}()
	names := regexp.MustCompile(`fqName: "([a-z_]+)"`)
	for d := range descriptions {
		name := names.FindStringSubmatch(d.String())[1]
		if !documented[name] {
			t.Errorf("docs/metrics.md does not tell of %s", name)
		}
		delete(documented, name)
	}
	for name := range documented {
		t.Errorf("docs/metrics.md tells of %s, which is not there", name)
	}
}
