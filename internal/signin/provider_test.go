package signin

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

	"github.com/ocelot-log/ocelot/internal/auth"
)

const (
	clientID     = "ocelot"
	clientSecret = "a secret that the provider and we know"
	callback     = "http://127.0.0.1:1/api/v1/session/oidc/callback"
)

// provider is a certified provider's code as a server of its own, with one person in it.
type provider struct {
	*httptest.Server
	people *people
	// token changes what its token endpoint answers: the claims of the ID token, and how it is signed.
	token atomic.Pointer[func(claims map[string]any, sign func(jose.SignatureAlgorithm, any) string) string]
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

func (p *people) rotate(t *testing.T, id string) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	p.key.Store(&signingKey{id, private})
}

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

func newProvider(t *testing.T) *provider {
	t.Helper()
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the example logs every request to it
	p := &provider{}
	var handler http.Handler
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.serve(handler, w, r) }))
	t.Cleanup(p.Close)
	client := storage.WebClient(clientID, clientSecret, callback)
	p.people = &people{Storage: storage.NewStorageWithClients(storage.NewUserStore(p.URL), map[string]*storage.Client{clientID: client}), tenants: []string{"acme", "No Tenant", "acme"}, roles: []string{"reader", "gardener"}}
	p.people.rotate(t, "first")
	handler = exampleop.SetupServer(p.URL, p.people, nil, false)
	return p
}

// serve passes a request on, and changes the ID token in the answer where a test says so.
func (p *provider) serve(h http.Handler, w http.ResponseWriter, r *http.Request) {
	change := p.token.Load()
	if change == nil || r.URL.Path != "/oauth/token" {
		h.ServeHTTP(w, r)
		return
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	var answer map[string]any
	_ = json.Unmarshal(rec.Body.Bytes(), &answer)
	raw, _ := answer["id_token"].(string)
	token, err := jose.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256})
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

// signIn is a person in a browser: it goes where it is sent, says who it is, and comes back with the provider's answer.
func (p *provider) signIn(t *testing.T, location string) url.Values {
	t.Helper()
	browser := &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), callback) {
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
	if res.StatusCode != http.StatusFound || !strings.HasPrefix(back.String(), callback) {
		t.Fatalf("not sent back: %d %s", res.StatusCode, back)
	}
	return back.Query()
}

func (p *provider) config() Config {
	return Config{Issuer: p.URL, ClientID: clientID, ClientSecret: auth.NewSecret(clientSecret), RedirectURL: callback, RolesClaim: "access.roles", Key: [32]byte{1}}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
