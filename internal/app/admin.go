package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ocelot-log/ocelot/internal/audit"
	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/config"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/internal/tenant"
)

// defaultTenant is made at the first start.
const defaultTenant = "default"

// TokenRequest is what a new token says.
type TokenRequest struct {
	Subject string
	Tenants []string
	Roles   []string
	TTL     time.Duration
	Filter  string // a search that bounds which entries it is for; empty: all
}

// Token makes a JWT with the settings' secret, or with that of the data directory. It lives no longer than the settings allow.
func Token(s config.Settings, r TokenRequest) (string, error) {
	if s.JWTMaxTTL > 0 {
		r.TTL = min(r.TTL, s.JWTMaxTTL)
	}
	token, _, _, err := MintToken(s, r)
	return token, err
}

// MintToken is Token with the id by which the token can be revoked, and when it expires.
func MintToken(s config.Settings, r TokenRequest) (token, jti string, expires time.Time, err error) {
	secret, err := secretOf(s)
	if err != nil {
		return "", "", time.Time{}, err
	}
	token, jti, expires, err = auth.Mint(secret, auth.Claims{
		Subject: r.Subject, Tenants: r.Tenants, Roles: r.Roles, TTL: r.TTL, MaxTTL: s.JWTMaxTTL, Issuer: s.JWTIssuer, Audience: s.JWTAudience,
		Filter: r.Filter, TenantsClaim: s.JWTTenantsClaim, RolesClaim: s.JWTRolesClaim,
	})
	return token, jti, expires, explain(err)
}

func secretOf(s config.Settings) (auth.Secret, error) {
	if s.JWTSecret.IsSet() {
		return s.JWTSecret, nil
	}
	secret, err := readSecret(s.DataDir)
	if errors.Is(err, os.ErrNotExist) {
		return secret, fmt.Errorf("there is no secret in %s yet: start `ocelot up` once, or set JWT_SECRET or DATA_DIR", s.DataDir)
	}
	return secret, err
}

// Address is the URL of the API that runs on the data directory.
func Address(s config.Settings) (string, error) {
	b, err := os.ReadFile(filepath.Join(s.DataDir, addressFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("no `ocelot up` runs on %s", s.DataDir)
	case err != nil: // the directory is somebody else's, for example
		return "", fmt.Errorf("whether `ocelot up` runs there can't be seen: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// LocalTransport is for requests to Address and to nothing else. Whoever may write that file has the secret too, and the way
// there does not leave the machine, so the name in the certificate, which is the one that others use, is not asked for.
func LocalTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true} //nolint:gosec // by http nothing would be checked either
	return t
}

// Tenant is a tenant as people see it.
type Tenant struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`

	Settings  json.RawMessage `json:"settings,omitempty"`
	Suspended bool            `json:"suspended"`
	DeleteAt  time.Time       `json:"delete_at,omitzero"` // to be deleted from then on
}

// CreateTenant creates a tenant: in the files when nobody owns the data directory, else through its owner.
func CreateTenant(ctx context.Context, s config.Settings, slug, name string) (Tenant, error) {
	if !tenant.ValidSlug(slug) {
		return Tenant{}, fmt.Errorf("%q is no tenant id: 3 to 40 of a-z, 0-9 and -", slug)
	}
	if name == "" {
		name = slug
	}
	var made Tenant
	err := withRecord(ctx, s, func(st store.Store) error {
		info := newTenant(slug, name)
		made = shown(info)
		if err := st.CreateTenant(ctx, info); err != nil {
			return err
		}
		return notedTenant(ctx, st, s, audit.Create, nil, info)
	}, func() error {
		return askOwner(ctx, s, http.MethodPost, "/api/v1/tenants", map[string]string{"id": slug, "name": name}, &made)
	})
	return made, explain(err)
}

// ListTenants lists the tenants, from the files or through the owner of the data directory.
func ListTenants(ctx context.Context, s config.Settings) ([]Tenant, error) {
	var list []Tenant
	err := withRecord(ctx, s, func(st store.Store) error {
		infos, err := st.ListTenants(ctx)
		for _, i := range infos {
			list = append(list, shown(i))
		}
		return err
	}, func() error {
		return askOwner(ctx, s, http.MethodGet, "/api/v1/tenants", nil, &list)
	})
	return list, explain(err)
}

func shown(i tenant.Info) Tenant {
	return Tenant{ID: i.Slug, Name: i.Name, CreatedAt: i.CreatedAt, Settings: i.Settings.AppendJSON(nil), Suspended: i.Suspended, DeleteAt: i.DeleteAt}
}

func newTenant(slug, name string) tenant.Info {
	return tenant.Info{ID: tenant.NewID(), Slug: slug, Name: name, CreatedAt: time.Now().UTC().Truncate(time.Millisecond)}
}

// ensureTenant makes a tenant where there is none of that slug.
func ensureTenant(ctx context.Context, st store.Tenants, slug, name string) error {
	err := st.CreateTenant(ctx, newTenant(slug, name))
	if fault.KindOf(err) == fault.Conflict {
		return nil
	}
	return err
}

// withRecord runs direct on the record that the settings name: on servers, or in a data directory that nobody
// owns. Where a process owns the directory it runs beside.
func withRecord(ctx context.Context, s config.Settings, direct func(store.Store) error, beside func() error) (err error) {
	if s.MongoDBURI.IsSet() {
		m, err := store.NewMongo(ctx, mongoConfig(s))
		if err != nil {
			return err
		}
		defer func() { _ = m.Close() }()
		if err := m.CheckSchema(ctx); err != nil {
			return err
		}
		return direct(m)
	}
	dir, err := ownDataDir(s.DataDir)
	if errors.Is(err, errOwned) {
		return beside()
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.release()) }()
	st, err := store.NewSQLite(dir.file(storeFile), store.SQLiteConfig{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	return direct(st)
}

// askOwner sends a request to the process that owns the data directory, as the platform's admin.
func askOwner(ctx context.Context, s config.Settings, method, path string, body, data any) error {
	url, err := Address(s)
	if err != nil {
		return fmt.Errorf("%w, though a process holds its lock: it may be starting; try again", err)
	}
	token, err := Token(s, TokenRequest{Subject: localAdmin, Tenants: []string{auth.AllTenants}, Roles: []string{"admin"}, TTL: time.Minute})
	if err != nil {
		return err
	}
	var sent bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&sent).Encode(body); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url+path, &sent)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	over := LocalTransport()
	defer over.CloseIdleConnections()
	res, err := (&http.Client{Transport: over}).Do(req)
	if err != nil {
		return fmt.Errorf("nothing answers at %s: %w", url, err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode >= 300 {
		var problem struct {
			Code, Detail string
			Errors       []fault.Problem
		}
		_ = json.NewDecoder(res.Body).Decode(&problem)
		return &fault.Error{Kind: fault.Conflict, Code: problem.Code, Detail: problem.Detail, Problems: problem.Errors}
	}
	return json.NewDecoder(res.Body).Decode(&struct{ Data any }{data})
}

// explain leaves of a fault what a person at a terminal needs.
func explain(err error) error {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Detail == "" {
		return err
	}
	text := f.Detail
	for _, p := range f.Problems {
		if p.Message == f.Detail {
			continue
		}
		text += "\n  " + p.Pointer + ": "
		if p.Column > 0 {
			text += fmt.Sprintf("column %d: ", p.Column)
		}
		text += p.Message
	}
	return errors.New(text)
}
