// Package signintest is an OpenID Connect provider for tests: a certified one's own code, as a server with one person in it.
package signintest

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// What the provider knows of us.
const (
	ClientID     = "ocelot"
	ClientSecret = "a secret that the provider and we know"
	Callback     = "http://127.0.0.1:1/api/v1/session/oidc/callback"
)

// Sign signs the claims of a token as they are now.
type Sign = func(jose.SignatureAlgorithm, any) string

// Provider is the server.
type Provider struct {
	*httptest.Server
	people *people
	// Token changes the ID token that the server answers: its claims, and how it is signed.
	Token atomic.Pointer[func(claims map[string]any, sign Sign) string]
}

// people is the provider's storage, with tenants and roles in the claims and a key that can be changed.
type people struct {
	*storage.Storage
	tenants, roles []string
	key            atomic.Pointer[signingKey]
}

type signingKey struct {
	id      string
	private *rsa.PrivateKey
}

func (k *signingKey) ID() string                                  { return k.id }
func (k *signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k *signingKey) Algorithm() jose.SignatureAlgorithm          { return jose.RS256 }
func (k *signingKey) Use() string                                 { return "sig" }

type privateKey struct{ *signingKey }

func (k privateKey) Key() any { return k.private }

type publicKey struct{ *signingKey }

func (k publicKey) Key() any { return &k.private.PublicKey }

// Rotate gives the provider another key, and nobody the old one.
func (p *Provider) Rotate(t *testing.T, id string) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	p.people.key.Store(&signingKey{id, private})
}

// Key is what the provider signs with.
func (p *Provider) Key() *rsa.PrivateKey { return p.people.key.Load().private }

func (p *people) SigningKey(context.Context) (op.SigningKey, error) {
	return privateKey{p.key.Load()}, nil
}

func (p *people) KeySet(context.Context) ([]op.Key, error) {
	return []op.Key{publicKey{p.key.Load()}}, nil
}

func (p *people) SetUserinfoFromScopes(ctx context.Context, info *oidc.UserInfo, user, client string, scopes []string) error {
	if p.tenants != nil {
		info.AppendClaims("tenants", p.tenants)
	}
	info.AppendClaims("access", map[string]any{"roles": p.roles})
	return p.Storage.SetUserinfoFromScopes(ctx, info, user, client, scopes)
}

// New starts a provider. Its person has the tenant acme and the role reader in the claims `tenants` and `access.roles`, among
// some that are none.
func New(t *testing.T) *Provider {
	t.Helper()
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the example logs every request to it
	p := &Provider{}
	var handler http.Handler
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.serve(handler, w, r) }))
	t.Cleanup(p.Close)
	client := storage.WebClient(ClientID, ClientSecret, Callback)
	p.people = &people{Storage: storage.NewStorageWithClients(storage.NewUserStore(p.URL), map[string]*storage.Client{ClientID: client}), tenants: []string{"acme", "No Tenant", "acme"}, roles: []string{"reader", "gardener"}}
	p.Rotate(t, "first")
	handler = exampleop.SetupServer(p.URL, p.people, nil, false)
	return p
}

// serve passes a request on, and changes the ID token in the answer where a test says so.
func (p *Provider) serve(h http.Handler, w http.ResponseWriter, r *http.Request) {
	change := p.Token.Load()
	if change == nil || r.URL.Path != "/oauth/token" {
		h.ServeHTTP(w, r)
		return
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	var answer map[string]any
	_ = json.Unmarshal(rec.Body.Bytes(), &answer)
	raw, _ := answer["id_token"].(string)
	token, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.RS256})
	if err == nil {
		var claims map[string]any
		_ = json.Unmarshal(token.UnsafePayloadWithoutVerification(), &claims)
		answer["id_token"] = (*change)(claims, func(alg jose.SignatureAlgorithm, key any) string {
			signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", p.people.key.Load().id))
			if err != nil {
				return err.Error()
			}
			payload, _ := json.Marshal(claims)
			signed, err := signer.Sign(payload)
			if err != nil {
				return err.Error()
			}
			text, _ := signed.CompactSerialize()
			return text
		})
	}
	body, _ := json.Marshal(answer)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(rec.Code)
	_, _ = io.Copy(w, bytes.NewReader(body))
}

// SignIn is a person in a browser: it goes where it is sent, says who it is, and comes back with the provider's answer.
func (p *Provider) SignIn(t *testing.T, location string) url.Values {
	t.Helper()
	browser := &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), Callback) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	defer browser.CloseIdleConnections()
	page, err := browser.Get(location)
	must(t, err)
	_ = page.Body.Close()
	id := page.Request.URL.Query().Get("authRequestID")
	if page.StatusCode != http.StatusOK || id == "" {
		t.Fatalf("no page to sign in at: %d %s", page.StatusCode, page.Request.URL)
	}
	res, err := browser.PostForm(p.URL+"/login/username", url.Values{"id": {id}, "username": {"test-user@127.0.0.1"}, "password": {"verysecure"}})
	must(t, err)
	_ = res.Body.Close()
	back, err := url.Parse(res.Header.Get("Location"))
	must(t, err)
	if res.StatusCode != http.StatusFound || !strings.HasPrefix(back.String(), Callback) {
		t.Fatalf("not sent back: %d %s", res.StatusCode, back)
	}
	return back.Query()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
