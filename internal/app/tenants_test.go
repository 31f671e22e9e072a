package app

import (
	"strings"
	"testing"
	"time"
)

func TestATenantsLifeIsTheSameBesideARunningServerAndWithout(t *testing.T) {
	r := up(t, t.TempDir())
	for _, slug := range []string{"beside", "without"} {
		if slug == "without" {
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := CreateTenant(t.Context(), r.settings, slug, ""); err != nil {
			t.Fatal(err)
		}
		if got, err := ChangeTenant(t.Context(), r.settings, slug, TenantChange{Name: new("Acme"), Suspended: new(true)}); err != nil || got.Name != "Acme" || !got.Suspended {
			t.Errorf("%s: %+v, %v", slug, got, err)
		}
		if got, err := ChangeTenant(t.Context(), r.settings, slug, TenantChange{Suspended: new(false)}); err != nil || got.Name != "Acme" || got.Suspended {
			t.Errorf("%s: %+v, %v", slug, got, err)
		}
		job, at, err := DeleteTenant(t.Context(), r.settings, slug)
		if left := time.Until(at); err != nil || !strings.HasPrefix(job, "del-") || left < 23*time.Hour || left > 24*time.Hour {
			t.Errorf("%s: %s %s, %v", slug, job, at, err)
		}
		if got, err := ShowTenant(t.Context(), r.settings, slug); err != nil || !got.DeleteAt.Equal(at) || string(got.Settings) != "{}" {
			t.Errorf("%s: %+v, %v", slug, got, err)
		}
		if got, err := ChangeTenant(t.Context(), r.settings, slug, TenantChange{Deleted: new(false)}); err != nil || !got.DeleteAt.IsZero() {
			t.Errorf("%s: %+v, %v", slug, got, err)
		}
		for _, absent := range []string{"nobody", "../" + slug} {
			if _, err := ChangeTenant(t.Context(), r.settings, absent, TenantChange{Suspended: new(true)}); err == nil || !strings.Contains(err.Error(), "no") {
				t.Errorf("%s: %v", absent, err)
			}
		}
	}
}
