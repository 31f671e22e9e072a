package main

import (
	"io"
	"strings"
	"testing"
)

// A filter is its tenant's own text, and what it says goes to the terminal of who runs the service.
func TestAListOfKeysWritesNothingToTheTerminalThatItsTenantMadeUp(t *testing.T) {
	t.Setenv("DATA_DIR", t.TempDir())
	t.Setenv("JWT_SECRET", "a secret for tests of thirty-two bytes or more")
	ocelot := func(args ...string) string {
		t.Helper()
		cmd := newRootCmd()
		var out strings.Builder
		cmd.SetOut(&out)
		cmd.SetErr(io.Discard)
		cmd.SetArgs(args)
		if err := cmd.ExecuteContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	ocelot("tenant", "create", "acme")
	ocelot("key", "create", "k", "--tenant", "acme", "--role", "reader", "--filter", "service:\"\x1b[2J\n\u202e\"")
	list := ocelot("key", "list", "--tenant", "acme")
	if strings.ContainsAny(list, "\x1b\u202e") || strings.Count(list, "\n") != 2 || !strings.Contains(list, `service:"\x1b[2J\n\u202e"`) {
		t.Errorf("%q", list)
	}
}
