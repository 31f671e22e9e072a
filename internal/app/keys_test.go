package app

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// withKey is what an API key gets.
func (r running) withKey(t *testing.T, key, method, path, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-API-Key", key)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

func TestKeysAreTheSameBesideARunningServerAndInTheFiles(t *testing.T) {
	dir := t.TempDir()
	r := up(t, dir)
	post := func(key string) int {
		return r.withKey(t, key, http.MethodPost, "/api/v1/logs", `{"service":"shop","message":"m"}`)
	}
	request := KeyRequest{Name: "shop", Role: "writer", TTL: time.Hour, Filter: "service:shop", CIDRs: []string{"127.0.0.0/8"}}
	beside, err := CreateKey(t.Context(), r.settings, defaultTenant, request)
	if err != nil || beside.Role != "writer" || beside.Filter != "service:shop" || len(beside.CIDRs) != 1 || beside.ExpiresAt.IsZero() {
		t.Fatalf("beside the server: %+v %v", beside, err)
	}
	if status := post(beside.Text); status != http.StatusAccepted {
		t.Errorf("a key made beside the server: %d", status)
	}
	if status := r.withKey(t, beside.Text, http.MethodGet, "/api/v1/logs", ""); status != http.StatusForbidden {
		t.Errorf("a writer reads: %d", status)
	}
	second, err := RotateKey(t.Context(), r.settings, defaultTenant, beside.ID, time.Hour)
	if err != nil || post(second.Text) != http.StatusAccepted || post(beside.Text) != http.StatusAccepted {
		t.Errorf("rotated beside the server: %v", err)
	}
	if err := RevokeKey(t.Context(), r.settings, defaultTenant, beside.ID); err != nil || post(beside.Text) != http.StatusUnauthorized {
		t.Errorf("revoked beside the server: %v", err)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}

	inFiles, err := CreateKey(t.Context(), r.settings, defaultTenant, request)
	if err != nil {
		t.Fatal(err)
	}
	third, err := RotateKey(t.Context(), r.settings, defaultTenant, second.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := RevokeKey(t.Context(), r.settings, defaultTenant, second.ID); err != nil {
		t.Error(err)
	}
	for what, err := range map[string]error{
		"a key that is not there": RevokeKey(t.Context(), r.settings, defaultTenant, second.ID),
		"a role that is none":     errorOf(CreateKey(t.Context(), r.settings, defaultTenant, KeyRequest{Name: "n", Role: "root"})),
		"a tenant that is none":   errorOf(CreateKey(t.Context(), r.settings, "nobody", request)),
	} {
		if err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", what, err)
		}
	}
	list, err := ListKeys(t.Context(), r.settings, defaultTenant)
	if err != nil || len(list) != 2 || list[0].Text != "" {
		t.Errorf("%+v %v", list, err)
	}
	r = up(t, dir)
	for name, key := range map[string]string{"made in the files": inFiles.Text, "rotated in the files": third.Text} {
		if status := post(key); status != http.StatusAccepted {
			t.Errorf("a key %s: %d", name, status)
		}
	}
	if status := post(second.Text); status != http.StatusUnauthorized {
		t.Errorf("a key revoked in the files: %d", status)
	}
	var told []string
	for _, e := range r.find(t, "resource_type:key&audit=only&sort=timestamp", 8) {
		if text := fmt.Sprint(e); strings.Contains(text, inFiles.Text) || strings.Contains(text, third.Text) || e["user_id"] != localAdmin {
			t.Errorf("%s", text)
		}
		told = append(told, fmt.Sprint(e["action"], " ", e["resource_id"]))
	}
	if want := []string{"CREATE " + beside.ID, "CREATE " + second.ID, "UPDATE " + beside.ID, "DELETE " + beside.ID, "CREATE " + inFiles.ID, "CREATE " + third.ID, "UPDATE " + second.ID, "DELETE " + second.ID}; !slices.Equal(told, want) {
		t.Errorf("noted is %q, want %q", told, want)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

func errorOf[A any](_ A, err error) error { return err }
