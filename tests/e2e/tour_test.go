//go:build e2e

package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/tests/service"
)

// TestTheTourOfAccessIsTrue runs the commands of docs/tour-access.md, all in one shell, and compares what each block
// prints with what the page says.
func TestTheTourOfAccessIsTrue(t *testing.T) {
	s := service.Start(t, t.TempDir())
	runTour(t, s, "tour-access.md")
}

// block is commands of a page and what they print; … stands for anything within a line.
type block struct{ commands, prints string }

func runTour(t *testing.T, s *service.System, page string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	blocks := blocksOf(string(text))
	if len(blocks) < 5 {
		t.Fatalf("%s has only %d blocks of commands", page, len(blocks))
	}
	const mark = "=== end of a block ==="
	script := "set -euo pipefail\n"
	for _, b := range blocks {
		script += b.commands + "\necho '" + mark + "'\n"
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "-c", script)
	shell.Env = append(os.Environ(), "URL="+s.URL, "DATA_DIR="+s.Dir, "PATH="+filepath.Dir(service.Binary(t, "ocelot"))+":"+os.Getenv("PATH"))
	var problems strings.Builder
	shell.Stderr = &problems
	out, err := shell.Output()
	printed := strings.Split(string(out), mark+"\n")
	for i, b := range blocks[:min(len(blocks), len(printed))] {
		if !matches(b.prints, printed[i]) {
			t.Errorf("this prints\n%s\nand not what the page says:\n%s\n\n%s", printed[i], b.prints, b.commands)
			break
		}
	}
	if err != nil {
		t.Fatalf("%v in block %d: %s", err, len(printed), problems.String())
	}
	t.Logf("%d blocks", len(blocks))
}

// blocksOf are the fenced blocks of a page: sh, each with the text that follows it at once.
func blocksOf(page string) (all []block) {
	kind := ""
	for line := range strings.Lines(page) {
		switch name, fence := strings.CutPrefix(strings.TrimSpace(line), "```"); {
		case fence && kind == "":
			if kind = name; kind == "sh" {
				all = append(all, block{})
			}
		case fence:
			kind = ""
		case kind == "sh":
			all[len(all)-1].commands += line
		case kind == "text":
			all[len(all)-1].prints += line
		}
	}
	return all
}

// matches compares line by line.
func matches(want, have string) bool {
	wanted, got := strings.Split(strings.TrimSpace(want), "\n"), strings.Split(strings.TrimSpace(have), "\n")
	if len(wanted) != len(got) {
		return false
	}
	for i, w := range wanted {
		rest := strings.TrimRight(got[i], " ")
		parts := strings.Split(w, "…")
		for j, part := range parts {
			at := strings.Index(rest, part)
			if at < 0 || j == 0 && at != 0 || j == len(parts)-1 && j > 0 && !strings.HasSuffix(rest, part) || len(parts) == 1 && rest != part {
				return false
			}
			rest = rest[at+len(part):]
		}
	}
	return true
}
