package app

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestATenantsLifeIsTheSameBesideARunningServerAndWithout(t *testing.T) {
	dir := t.TempDir()
	r := up(t, dir)
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
		if got, err := ChangeTenant(t.Context(), r.settings, slug, TenantChange{Settings: []byte(`{"retention_days":30,"limits":{"entries_per_min":5}}`)}); err != nil || string(got.Settings) != `{"retention_days":30,"limits":{"entries_per_min":5}}` {
			t.Errorf("%s: %+v, %v", slug, got, err)
		}
		if got, err := ChangeTenant(t.Context(), r.settings, slug, TenantChange{Settings: []byte(`{"retention_days":null,"limits":null}`)}); err != nil || string(got.Settings) != `{}` {
			t.Errorf("%s: %+v, %v", slug, got, err)
		}
		_, err := ChangeTenant(t.Context(), r.settings, slug, TenantChange{Settings: []byte(`{"retention_days":-1,"limits":{"entries":5}}`)})
		if err == nil || !strings.Contains(err.Error(), "\n  /settings/retention_days: this is a whole number") || !strings.Contains(err.Error(), "\n  /settings/limits/entries: there is no such field") {
			t.Errorf("%s: %v", slug, err)
		}
		if _, err := ChangeTenant(t.Context(), r.settings, slug, TenantChange{Settings: []byte(`retention_days=1`)}); err == nil || !strings.Contains(err.Error(), "no JSON object") {
			t.Errorf("%s: %v", slug, err)
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
	r = up(t, dir)
	var told [2]string
	for i, slug := range []string{"beside", "without"} { // in the log of the operators, who alone make such changes
		for _, e := range r.find(t, "resource_type:tenant+resource_id:"+slug+"&audit=only&sort=timestamp", 5) {
			before, _ := e["before_state"].(map[string]any)
			after, _ := e["after_state"].(map[string]any)
			told[i] += fmt.Sprintf("%s %s: suspended %v → %v, deleted %t → %t\n", e["user_id"], e["action"], before["suspended"], after["suspended"], before["delete_at"] != nil, after["delete_at"] != nil)
		}
	}
	if told[0] != told[1] || strings.Count(told[0], "\n") != 5 || !strings.Contains(told[0], "local-admin UPDATE: suspended false → true, ") {
		t.Errorf("beside the server it is noted as\n%s, without one as\n%s", told[0], told[1])
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}
