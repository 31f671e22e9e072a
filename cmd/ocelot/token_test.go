package main

import (
	"encoding/base64"
	"encoding/json"
	"io"
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

func TestATokenIsOneThatTheServiceOfTheseSettingsTakes(t *testing.T) {
	t.Setenv("JWT_SECRET", "a secret for tests of thirty-two bytes or more")
	t.Setenv("JWT_TENANTS_CLAIM", "orgs")
	t.Setenv("JWT_MAX_TTL", "30m")
	cmd := newRootCmd()
	var out strings.Builder
	cmd.SetOut(&out)
	cmd.SetErr(io.Discard)
	cmd.SetArgs([]string{"token", "--tenant", "acme", "--filter", "service:billing"})
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	body, err := base64.RawURLEncoding.DecodeString(strings.Split(out.String(), ".")[1])
	var claims struct {
		Orgs, Tenants []string
		Filter        string
		Iat, Exp      int64
	}
	if err != nil || json.Unmarshal(body, &claims) != nil {
		t.Fatalf("%s, %v", body, err)
	}
	if len(claims.Orgs) != 1 || claims.Orgs[0] != "acme" || claims.Tenants != nil || claims.Filter != "service:billing" || claims.Exp-claims.Iat != 30*60 {
		t.Errorf("%s", body)
	}
}
