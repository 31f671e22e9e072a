package main

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
)

// TestATokenIsAloneOnTheOutputAndItsIDBesideIt reads the id that the token itself says.
func TestATokenIsAloneOnTheOutputAndItsIDBesideIt(t *testing.T) {
	t.Setenv("JWT_SECRET", "a secret for tests of thirty-two bytes or more")
	cmd := newRootCmd()
	var out, said strings.Builder
	cmd.SetOut(&out)
	cmd.SetErr(&said)
	cmd.SetArgs([]string{"token", "--role", "reader", "--ttl", "1h"})
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(strings.TrimSuffix(out.String(), "\n"), ".")
	if len(parts) != 3 || strings.ContainsAny(strings.Join(parts, ""), " \n") {
		t.Fatalf("the output is %q", out.String())
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct{ JTI string }
	if err != nil || json.Unmarshal(body, &claims) != nil || claims.JTI == "" {
		t.Fatalf("%s, %v", body, err)
	}
	if !strings.Contains(said.String(), "DELETE /api/v1/tokens/"+claims.JTI+" ") || strings.Contains(said.String(), parts[2]) || strings.Count(said.String(), "\n") != 1 {
		t.Errorf("beside it stands %q", said.String())
	}
}
