package query_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/ocelot-log/ocelot/internal/query"
)

// TestTheExamplesOfTheDocumentationAreQueries, those of the first columns before the parameters of URLs.
func TestTheExamplesOfTheDocumentationAreQueries(t *testing.T) {
	text, err := os.ReadFile("../../docs/query.md")
	if err != nil {
		t.Fatal(err)
	}
	language, _, _ := strings.Cut(string(text), "\n## Signs")
	example := regexp.MustCompile("`([^`]+)`")
	n := 0
	for line := range strings.SplitSeq(language, "\n") {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		first, _, _ := strings.Cut(line[2:], " | ")
		for _, m := range example.FindAllStringSubmatch(first, -1) {
			n++
			if _, err := query.Parse(m[1], now); err != nil {
				t.Errorf("%s: %v", m[1], err)
			}
		}
	}
	_, block, _ := strings.Cut(language, "```\n")
	block, _, _ = strings.Cut(block, "```")
	for q := range strings.Lines(block) {
		n++
		if _, err := query.Parse(q, now); err != nil {
			t.Errorf("%s: %v", q, err)
		}
	}
	if n < 40 {
		t.Errorf("only %d examples", n)
	}
}
