package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/ocelot-log/ocelot/internal/audit"
	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/config"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/internal/tenant"
)

// localAdmin is who the commands of this machine are to the service, and in its records.
const localAdmin = "local-admin"

// Key is an API key as people see it. Text is there once, when it is made.
type Key struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	Role       string    `json:"role"`
	Text       string    `json:"key,omitzero"`
	CreatedAt  time.Time `json:"created_at"`
	ExpiresAt  time.Time `json:"expires_at,omitzero"`
	LastUsedAt time.Time `json:"last_used_at,omitzero"`
	Disabled   bool      `json:"disabled"`
	CIDRs      []string  `json:"cidrs,omitempty"`
	Filter     string    `json:"filter,omitzero"`
}

// KeyRequest is what a new key shall be.
type KeyRequest struct {
	Name   string
	Role   string
	TTL    time.Duration // 0: it never expires
	CIDRs  []string
	Filter string
}

// CreateKey makes an API key of a tenant, in the record or through the owner of the data directory.
func CreateKey(ctx context.Context, s config.Settings, slug string, r KeyRequest) (made Key, err error) {
	var expires *time.Time
	if r.TTL != 0 {
		at := time.Now().Add(r.TTL).UTC().Truncate(time.Second)
		expires = &at
	}
	err = withKeys(ctx, s, slug, func(st store.Store, keys *auth.Keys, by auth.Principal, t auth.Tenant) error {
		request := auth.KeyRequest{Name: r.Name, Roles: []string{r.Role}, CIDRs: r.CIDRs, Filter: r.Filter}
		if expires != nil {
			request.ExpiresAt = *expires
		}
		k, text, err := keys.Create(ctx, by, t, request)
		if err != nil {
			return err
		}
		made = shownKey(k, text)
		return noted(ctx, st, t.ID(), audit.Create, "key", k.ID, nil, shownKey(k, ""))
	}, func() error {
		body := struct {
			Name      string     `json:"name"`
			Role      string     `json:"role"`
			ExpiresAt *time.Time `json:"expires_at,omitempty"`
			CIDRs     []string   `json:"cidrs,omitempty"`
			Filter    string     `json:"filter,omitempty"`
		}{r.Name, r.Role, expires, r.CIDRs, r.Filter}
		return askOwner(ctx, s, http.MethodPost, keysPath(slug), body, &made)
	})
	return made, explain(err)
}

// ListKeys lists the API keys of a tenant.
func ListKeys(ctx context.Context, s config.Settings, slug string) (list []Key, err error) {
	err = withKeys(ctx, s, slug, func(_ store.Store, keys *auth.Keys, _ auth.Principal, t auth.Tenant) error {
		all, err := keys.List(ctx, t)
		for _, k := range all {
			list = append(list, shownKey(k, ""))
		}
		return err
	}, func() error {
		return askOwner(ctx, s, http.MethodGet, keysPath(slug), nil, &list)
	})
	return list, explain(err)
}

// RevokeKey ends an API key of a tenant for good.
func RevokeKey(ctx context.Context, s config.Settings, slug, id string) error {
	return explain(withKeys(ctx, s, slug, func(st store.Store, keys *auth.Keys, by auth.Principal, t auth.Tenant) error {
		was, err := keys.Get(ctx, t, id)
		if err == nil {
			err = keys.Revoke(ctx, by, t, id)
		}
		if err != nil {
			return err
		}
		return noted(ctx, st, t.ID(), audit.Delete, "key", id, shownKey(was, ""), nil)
	}, func() error {
		var ended any
		return askOwner(ctx, s, http.MethodDelete, keysPath(slug, id), nil, &ended)
	}))
}

// RotateKey makes the key that replaces one of a tenant; both work until the overlap is over, 24 h where it is 0.
func RotateKey(ctx context.Context, s config.Settings, slug, id string, overlap time.Duration) (made Key, err error) {
	err = withKeys(ctx, s, slug, func(st store.Store, keys *auth.Keys, by auth.Principal, t auth.Tenant) error {
		was, err := keys.Get(ctx, t, id)
		if err != nil {
			return err
		}
		k, text, err := keys.Rotate(ctx, by, t, id, overlap)
		if err != nil {
			return err
		}
		made = shownKey(k, text)
		if err := noted(ctx, st, t.ID(), audit.Create, "key", k.ID, nil, shownKey(k, "")); err != nil {
			return err
		}
		is, err := keys.Get(ctx, t, id)
		if err != nil {
			return err
		}
		return noted(ctx, st, t.ID(), audit.Update, "key", id, shownKey(was, ""), shownKey(is, ""))
	}, func() error {
		body := struct {
			Overlap string `json:"overlap,omitempty"`
		}{}
		if overlap != 0 {
			body.Overlap = overlap.String()
		}
		return askOwner(ctx, s, http.MethodPost, keysPath(slug, id, "rotate"), body, &made)
	})
	return made, explain(err)
}

func keysPath(slug string, more ...string) string {
	path := "/api/v1/tenants/" + url.PathEscape(slug) + "/keys"
	for _, m := range more {
		path += "/" + url.PathEscape(m)
	}
	return path
}

func shownKey(k auth.Key, text string) Key {
	shown := Key{ID: k.ID, Name: k.Name, Text: text, CreatedAt: k.CreatedAt, ExpiresAt: k.ExpiresAt, LastUsedAt: k.LastUsedAt, Disabled: k.Disabled, CIDRs: k.CIDRs, Filter: k.Filter}
	if len(k.Roles) > 0 {
		shown.Role = k.Roles[0]
	}
	return shown
}

// withKeys runs direct with the keys of the record and a tenant, or beside; see withRecord. The keys are made with what the
// API processes share, so that they accept them.
func withKeys(ctx context.Context, s config.Settings, slug string, direct func(store.Store, *auth.Keys, auth.Principal, auth.Tenant) error, beside func() error) error {
	if !tenant.ValidSlug(slug) {
		return fmt.Errorf("%q is no tenant id: 3 to 40 of a-z, 0-9 and -", slug)
	}
	return withRecord(ctx, s, func(st store.Store) error {
		secret, err := secretOf(s)
		if err != nil && !s.APIKeyPepper.IsSet() {
			return err
		}
		if !secret.IsSet() {
			secret = s.APIKeyPepper
		}
		authn, err := auth.New(auth.Config{Secret: secret, Pepper: s.APIKeyPepper}, tenant.NewCache(st), st, telemetry.Discard())
		if err != nil {
			return err
		}
		if err := authn.Load(ctx); err != nil {
			return err
		}
		by := authn.SignedIn(localAdmin, []string{auth.AllTenants}, []string{auth.Admin.String()})
		t, err := by.Tenant(ctx, []string{slug})
		if err != nil && fault.KindOf(err) == fault.Forbidden {
			return errors.New("there is no tenant " + slug + "; make it with: ocelot tenant create " + slug)
		}
		if err != nil {
			return err
		}
		return direct(st, authn.Keys(), by, t)
	}, beside)
}
