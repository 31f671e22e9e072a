package authtest_test

import (
	"testing"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
)

func TestTenantsAreTheSameInEachRun(t *testing.T) {
	a, b := authtest.Tenant(t, "acme"), authtest.Tenant(t, "zeta")
	if a.Slug() != "acme" || a.ID() != "qivthlmhyfek" || len(b.ID()) != 12 || a.ID() == b.ID() {
		t.Errorf("got %q %q and %q %q", a.Slug(), a.ID(), b.Slug(), b.ID())
	}
}
