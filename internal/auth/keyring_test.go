package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/ocelot-log/ocelot/internal/fault"
)

// pairs are key pairs of each kind, made once.
var pairs = sync.OnceValue(func() map[string]crypto.Signer {
	must := func(k crypto.Signer, err error) crypto.Signer {
		if err != nil {
			panic(err)
		}
		return k
	}
	rsaKey := func(bits int) crypto.Signer { k, err := rsa.GenerateKey(rand.Reader, bits); return must(k, err) }
	ecKey := func(c elliptic.Curve) crypto.Signer { k, err := ecdsa.GenerateKey(c, rand.Reader); return must(k, err) }
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	return map[string]crypto.Signer{"rsa": rsaKey(2048), "rsa 2": rsaKey(2048), "small": rsaKey(1024), "p256": ecKey(elliptic.P256()),
		"p384": ecKey(elliptic.P384()), "p521": ecKey(elliptic.P521()), "p224": ecKey(elliptic.P224()), "ed": must(ed, err)}
})

func pemOf(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		der, err := x509.MarshalPKIXPublicKey(pairs()[name].Public())
		if err != nil {
			panic(err)
		}
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	return b.String()
}

// signedBy is a token with a header of its own, by the key of a name.
func signedBy(t *testing.T, name, method string, header map[string]any, claims string) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.GetSigningMethod(method), nil)
	token.Header = map[string]any{"alg": method, "typ": "at+jwt"}
	for k, v := range header {
		token.Header[k] = v
	}
	head, err := json.Marshal(token.Header)
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	sig, err := token.Method.Sign(text, pairs()[name])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func TestAPublicKeyChecksTheAlgorithmsOfItsKind(t *testing.T) {
	methods := map[string]string{"RS256": "rsa", "RS384": "rsa", "RS512": "rsa", "PS256": "rsa", "ES256": "p256", "ES384": "p384", "ES512": "p521", "EdDSA": "ed"}
	for key, takes := range map[string][]string{"rsa": {"RS256", "RS384", "RS512"}, "p256": {"ES256"}, "p384": {"ES384"}, "p521": {"ES512"}, "ed": {"EdDSA"}} {
		a := newAuthenticator(t, func(c *Config) { c.Secret, c.PublicKey, c.Pepper = Secret{}, pemOf(key), NewSecret(testSecret) })
		for method, signer := range methods {
			want := "token_invalid"
			for _, m := range takes {
				if m == method {
					want = ""
				}
			}
			if code := authenticated(t, a, signedBy(t, signer, method, nil, claimed(time.Hour, ""))); code != want {
				t.Errorf("%s with a key %s: %q, want %q", method, key, code, want)
			}
		}
		if code := authenticated(t, a, signed(plainHeader, claimed(time.Hour, ""), sha256.New)); code != "token_invalid" {
			t.Errorf("HS256 without a secret: %q", code)
		}
	}
}

func TestAPublicKeyIsNoSecret(t *testing.T) {
	text := pemOf("rsa")
	forged := func(secret string) string {
		head := base64.RawURLEncoding.EncodeToString([]byte(plainHeader)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claimed(time.Hour, "")))
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(head))
		return head + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
	for name, change := range map[string]func(*Config){
		"beside a secret":  func(c *Config) { c.PublicKey = text },
		"without a secret": func(c *Config) { c.PublicKey, c.Secret, c.Pepper = text, Secret{}, NewSecret(testSecret) },
	} {
		a := newAuthenticator(t, change)
		for _, secret := range []string{text, strings.TrimSpace(text), ""} {
			if code := authenticated(t, a, forged(secret)); code != "token_invalid" {
				t.Errorf("%s: %q", name, code)
			}
		}
		if code := authenticated(t, a, signedBy(t, "rsa", "RS256", map[string]any{"kid": "any"}, claimed(time.Hour, ""))); code != "" {
			t.Errorf("%s: the right one: %q", name, code)
		}
		if code := authenticated(t, a, signedBy(t, "rsa 2", "RS256", nil, claimed(time.Hour, ""))); code != "token_invalid" {
			t.Errorf("%s: another key's: %q", name, code)
		}
	}
}

func TestTwoPublicKeysWhileTheyAreExchanged(t *testing.T) {
	a := newAuthenticator(t, func(c *Config) { c.PublicKey = pemOf("rsa", "rsa 2", "p256") })
	for name, method := range map[string]string{"rsa": "RS256", "rsa 2": "RS512", "p256": "ES256"} {
		if code := authenticated(t, a, signedBy(t, name, method, nil, claimed(time.Hour, ""))); code != "" {
			t.Errorf("%s: %q", name, code)
		}
	}
}

func TestPublicKeysThatAreRefused(t *testing.T) {
	der, err := x509.MarshalPKCS8PrivateKey(pairs()["p256"])
	if err != nil {
		t.Fatal(err)
	}
	private := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	for text, says := range map[string]string{
		"/etc/key.pem": "JWT_PUBLIC_KEY_FILE", private: "private key", pemOf("small"): "1024 bits", pemOf("p224"): "P-256",
		pemOf("rsa") + "rest": "no PEM", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n": "can't be read",
		"-----BEGIN X-----\nAAAA\n-----END X-----\n": "no PUBLIC KEY",
	} {
		if err := CheckPublicKey(NewSecret(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.30q: %v", text, err)
		}
	}
}

// issuer publishes keys and counts who asks.
type issuer struct {
	mu     sync.Mutex
	status int
	body   string
	asked  atomic.Int64
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked.Add(1)
	if i.status == http.StatusFound {
		w.Header().Set("Location", "/elsewhere")
	}
	w.WriteHeader(i.status)
	_, _ = w.Write([]byte(i.body))
}

func (i *issuer) publish(status int, body string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.status, i.body = status, body
}

func setOf(t *testing.T, keys ...jose.JSONWebKey) string {
	t.Helper()
	b, err := json.Marshal(jose.JSONWebKeySet{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func public(id, name, alg string) jose.JSONWebKey {
	return jose.JSONWebKey{Key: pairs()[name].Public(), KeyID: id, Algorithm: alg, Use: "sig"}
}

// withIssuer is an Authenticator that asks an issuer for keys. Inside a bubble of synctest no socket can be waited for, so
// there the client calls the handler itself.
func withIssuer(t *testing.T, i *issuer, change ...func(*Config)) *Authenticator {
	t.Helper()
	a := newAuthenticator(t, append(change, func(c *Config) { c.JWKSURL = "http://127.0.0.1:1/keys" })...)
	a.ring.remote.client.Transport = handled{i}
	return a
}

type handled struct{ http.Handler }

func (h handled) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec.Result(), nil
}

func TestTheKeysOfAnIssuer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{}
		i.publish(200, setOf(t, public("one", "rsa", "RS256"), public("two", "p256", ""), public("three", "ed", "EdDSA"),
			jose.JSONWebKey{Key: []byte("a secret that somebody published by mistake"), KeyID: "four", Algorithm: "HS256"},
			jose.JSONWebKey{Key: pairs()["rsa 2"].Public(), KeyID: "five", Use: "enc"}, public("six", "small", "RS256"), public("seven", "p384", "ES256")))
		a := withIssuer(t, i)
		if err := a.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		type kid map[string]any
		for name, c := range map[string]struct{ token, code string }{
			"the key of its kid":                       {signedBy(t, "rsa", "RS256", kid{"kid": "one"}, claimed(time.Hour, "")), ""},
			"an EC key":                                {signedBy(t, "p256", "ES256", kid{"kid": "two"}, claimed(time.Hour, "")), ""},
			"an Ed25519 key":                           {signedBy(t, "ed", "EdDSA", kid{"kid": "three"}, claimed(time.Hour, "")), ""},
			"no kid":                                   {signedBy(t, "rsa", "RS256", nil, claimed(time.Hour, "")), ""},
			"another algorithm than its key's":         {signedBy(t, "rsa", "RS512", kid{"kid": "one"}, claimed(time.Hour, "")), "token_invalid"},
			"the kid of another key":                   {signedBy(t, "rsa", "RS256", kid{"kid": "two"}, claimed(time.Hour, "")), "token_invalid"},
			"a kid that is no text":                    {signedBy(t, "rsa", "RS256", kid{"kid": 1}, claimed(time.Hour, "")), "token_invalid"},
			"a kid that nobody has":                    {signedBy(t, "rsa", "RS256", kid{"kid": "../one"}, claimed(time.Hour, "")), "token_invalid"},
			"a key for encryption":                     {signedBy(t, "rsa 2", "RS256", kid{"kid": "five"}, claimed(time.Hour, "")), "token_invalid"},
			"a key that is too small":                  {signedBy(t, "small", "RS256", kid{"kid": "six"}, claimed(time.Hour, "")), "token_invalid"},
			"a published secret":                       {signedWith("a secret that somebody published by mistake", `{"alg":"HS256","typ":"at+jwt","kid":"four"}`, claimed(time.Hour, "")), "token_invalid"},
			"our own token":                            {signed(plainHeader, claimed(time.Hour, ""), sha256.New), ""},
			"a header that points elsewhere":           {signedBy(t, "rsa", "RS256", kid{"kid": "one", "jku": "http://127.0.0.1:1/"}, claimed(time.Hour, "")), "token_invalid"},
			"a header that brings a certificate along": {signedBy(t, "rsa", "RS256", kid{"kid": "one", "x5u": "http://127.0.0.1:1/"}, claimed(time.Hour, "")), "token_invalid"},
		} {
			if is := a.Known(Request{Header: http.Header{"Authorization": {"Bearer " + c.token}}}); is != (c.code == "") {
				t.Errorf("%s: known: %v", name, is)
			}
			if code := authenticated(t, a, c.token); code != c.code {
				t.Errorf("%s: %q, want %q", name, code, c.code)
			}
		}
		if n := i.asked.Load(); n != 1 {
			t.Errorf("asked %d times within a minute", n)
		}
	})
}

func signedWith(secret, header, claims string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func TestAnIssuerRotatesItsKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{}
		i.publish(200, setOf(t, public("one", "rsa", "RS256")))
		a := withIssuer(t, i)
		if err := a.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		old := signedBy(t, "rsa", "RS256", map[string]any{"kid": "one"}, claimed(time.Hour, ""))
		later := signedBy(t, "rsa 2", "RS256", map[string]any{"kid": "two"}, claimed(time.Hour, ""))
		if code := authenticated(t, a, old); code != "" {
			t.Fatal(code)
		}
		i.publish(200, setOf(t, public("two", "rsa 2", "RS256")))
		if code := authenticated(t, a, later); code != "token_invalid" {
			t.Errorf("within the minute: %q", code)
		}
		time.Sleep(time.Minute)
		if a.Known(Request{Header: http.Header{"Authorization": {"Bearer " + later}}}) || i.asked.Load() != 1 {
			t.Errorf("known by a key that is not here, or the issuer was asked: %d times", i.asked.Load())
		}
		if code := authenticated(t, a, later); code != "" {
			t.Errorf("a minute later: %q", code)
		}
		if code := authenticated(t, a, old); code != "token_invalid" {
			t.Errorf("a key that was withdrawn, its token cached: %q", code)
		}
		for n := range 500 {
			unknown := signedBy(t, "ed", "EdDSA", map[string]any{"kid": fmt.Sprint("x", n)}, claimed(time.Hour, ""))
			if code := authenticated(t, a, unknown); code != "token_invalid" {
				t.Fatal(code)
			}
		}
		time.Sleep(59 * time.Second)
		if n := i.asked.Load(); n != 2 {
			t.Errorf("asked %d times in two minutes", n)
		}
	})
}

func TestTheIssuerIsDown(t *testing.T) {
	good := func(t *testing.T) string { return setOf(t, public("one", "rsa", "RS256")) }
	for name, c := range map[string]struct {
		status int
		body   string
	}{
		"an error":              {500, ""},
		"a redirect":            {302, ""},
		"no set":                {200, "<html>"},
		"an empty set":          {200, `{"keys":[]}`},
		"a set of nothing good": {200, `{"keys":[{"kty":"oct","k":"AAAA"}]}`},
		"more than is read":     {200, `{"keys":[],"x":"` + strings.Repeat("a", maxJWKS) + `"}`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := &issuer{}
				i.publish(c.status, c.body)
				a := withIssuer(t, i)
				if err := a.Load(t.Context()); fault.KindOf(err) != fault.Unavailable {
					t.Errorf("at the start: %v", err)
				}
				i.publish(200, good(t))
				if err := a.Load(t.Context()); err != nil {
					t.Fatal(err)
				}
				i.publish(c.status, c.body)
				time.Sleep(time.Hour)
				if err := a.ring.remote.refresh(t.Context()); err == nil {
					t.Error("it was read")
				}
				if code := authenticated(t, a, signedBy(t, "rsa", "RS256", map[string]any{"kid": "one"}, claimed(time.Hour, ""))); code != "" {
					t.Errorf("the key that was known: %q", code)
				}
			})
		})
	}
}

func TestTokensOfOtherIssuers(t *testing.T) {
	for name, c := range map[string]struct {
		typ, claims, code, without string // without: the code where no audience is asked for
	}{
		"at+jwt":                          {"at+jwt", `,"aud":"logs"`, "", ""},
		"Keycloak's access token":         {"JWT", `,"aud":"logs","typ":"Bearer"`, "", ""},
		"Keycloak's identity token":       {"JWT", `,"aud":"logs","typ":"ID"`, "token_wrong_type", "token_wrong_type"},
		"Keycloak's refresh token":        {"JWT", `,"aud":"logs","typ":"Refresh"`, "token_wrong_type", "token_wrong_type"},
		"Cognito's access token":          {"JWT", `,"aud":"logs","token_use":"access"`, "", ""},
		"Cognito's identity token":        {"JWT", `,"aud":"logs","token_use":"id"`, "token_wrong_type", "token_wrong_type"},
		"a token that says nothing":       {"JWT", `,"aud":"logs"`, "", "token_wrong_type"},
		"an identity token with a nonce":  {"JWT", `,"aud":"logs","nonce":"n"`, "token_wrong_type", "token_wrong_type"},
		"an identity token by its hash":   {"JWT", `,"aud":"logs","at_hash":"n"`, "token_wrong_type", "token_wrong_type"},
		"an identity token of its client": {"JWT", `,"aud":"client"`, "token_invalid", "token_wrong_type"},
		"a logout token":                  {"logout+jwt", `,"aud":"logs"`, "token_wrong_type", "token_wrong_type"},
	} {
		asking := newAuthenticator(t, func(cfg *Config) { cfg.PublicKey, cfg.Audience = pemOf("p256"), "logs" })
		open := newAuthenticator(t, func(cfg *Config) { cfg.PublicKey = pemOf("p256") })
		token := signedBy(t, "p256", "ES256", map[string]any{"typ": c.typ}, claimed(time.Hour, c.claims))
		if code := authenticated(t, asking, token); code != c.code {
			t.Errorf("%s: %q, want %q", name, code, c.code)
		}
		if code := authenticated(t, open, token); code != c.without {
			t.Errorf("%s, no audience asked for: %q, want %q", name, code, c.without)
		}
	}
	bearerOfOurs := signed(`{"alg":"HS256","typ":"JWT"}`, claimed(time.Hour, `,"typ":"Bearer"`), sha256.New)
	if code := authenticated(t, newAuthenticator(t), bearerOfOurs); code != "token_wrong_type" {
		t.Errorf("by the secret: %q", code)
	}
}

func TestTheNamesOfClaims(t *testing.T) {
	for name, c := range map[string]struct{ tenantsAt, rolesAt, claims, want string }{
		"the usual ones":             {"tenants", "roles", `"tenants":["acme","zeta"],"roles":["reader"]`, "acme,zeta reader"},
		"none are set":               {"", "", `"tenants":["acme"],"roles":["reader"]`, "acme reader"},
		"other names":                {"orgs", "groups", `"orgs":["acme"],"groups":["admin"],"tenants":["*"],"roles":{"not":"ours"}`, "acme admin"},
		"a path":                     {"tenants", "realm_access.roles", `"tenants":["acme"],"realm_access":{"roles":["writer","offline_access"]}`, "acme writer"},
		"a path of three":            {"a.b.c", "roles", `"a":{"b":{"c":["acme"]}},"roles":["reader"]`, "acme reader"},
		"a name with dots":           {"https://ocelot.example/tenants", "https://ocelot.example/roles", `"https://ocelot.example/tenants":["acme"],"https://ocelot.example/roles":["reader"]`, "acme reader"},
		"texts":                      {"org", "scope", `"org":"acme","scope":"openid reader writer"`, "acme writer,reader"},
		"nothing there":              {"orgs", "groups", `"tenants":["acme"],"roles":["admin"]`, " "},
		"null":                       {"orgs", "groups", `"orgs":null,"groups":null`, " "},
		"a path that leads nowhere":  {"tenants", "realm_access.roles", `"tenants":["acme"],"realm_access":{}`, "acme "},
		"a path into a text":         {"tenants", "realm_access.roles", `"tenants":["acme"],"realm_access":"roles"`, "token_invalid"},
		"a number":                   {"orgs", "roles", `"orgs":7,"roles":["reader"]`, "token_invalid"},
		"a list of something else":   {"orgs", "roles", `"orgs":["acme",7],"roles":["reader"]`, "token_invalid"},
		"a role that nobody knows":   {"tenants", "roles", `"tenants":["acme"],"roles":["root"]`, "acme "},
		"twice below the path's end": {"tenants", "realm_access.roles", `"tenants":["acme"],"realm_access":{"roles":["reader"],"roles":["admin"]}`, "token_invalid"},
	} {
		a := newAuthenticator(t, func(cfg *Config) { cfg.TenantsClaim, cfg.RolesClaim = c.tenantsAt, c.rolesAt })
		token := signed(plainHeader, fmt.Sprintf(`{"sub":"ada",%s,"exp":%d}`, c.claims, time.Now().Add(time.Hour).Unix()), sha256.New)
		p, err := a.Authenticate(t.Context(), Request{Header: bearer(token)})
		got := strings.Join(p.Tenants(), ",") + " " + strings.Join(p.Roles(), ",")
		if err != nil {
			got = codeOf(err)
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestOurOwnTokensFollowTheNamesOfClaims(t *testing.T) {
	for _, c := range []struct {
		tenantsAt, rolesAt string
		refused            bool
	}{
		{"", "", false}, {"tenants", "roles", false}, {"orgs", "groups", false}, {"tenants", "realm_access.roles", false}, {"roles", "tenants", false},
		{"https://ocelot.example/tenants", "https://ocelot.example/roles", false},
		{"sub", "roles", true}, {"tenants", "filter", true}, {"grants", "grants", true}, {"roles", "", true}, {"", "tenants", true},
	} {
		a := newShelf().process(t, func(cfg *Config) { cfg.TenantsClaim, cfg.RolesClaim = c.tenantsAt, c.rolesAt })
		minted, _, _, err := Mint(NewSecret(testSecret), Claims{Subject: "ada", Tenants: []string{"acme"}, Roles: []string{"reader"}, TTL: time.Hour, TenantsClaim: c.tenantsAt, RolesClaim: c.rolesAt})
		_, issued, err2 := a.Tokens().Issue(t.Context(), adminOf("acme"), TokenRequest{Tenants: []string{"acme"}, Roles: []string{"reader"}})
		if c.refused {
			if codeOf(err) != "no_signing_secret" || codeOf(err2) != "no_signing_secret" {
				t.Errorf("%s %s: %v, %v", c.tenantsAt, c.rolesAt, err, err2)
			}
			continue
		}
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		for _, token := range []string{minted, issued} {
			p, err := a.Authenticate(t.Context(), Request{Header: bearer(token)})
			if err != nil || p.Subject != "ada" || strings.Join(p.Tenants(), " ") != "acme" || strings.Join(p.Roles(), " ") != "reader" || p.TokenID == "" {
				t.Errorf("%s %s: %+v %v", c.tenantsAt, c.rolesAt, p, err)
			}
		}
	}
}

// A listener that nobody may call: whatever a token says about where keys are is not followed.
func TestNoTokenMakesUsCallAnybody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var calls atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			calls.Add(1)
			_ = c.Close()
		}
	}()
	url := "http://" + l.Addr().String() + "/keys"
	i := &issuer{}
	i.publish(200, setOf(t, public("one", "rsa", "RS256")))
	published := withIssuer(t, i)
	if err := published.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, a := range []*Authenticator{newAuthenticator(t), newAuthenticator(t, func(c *Config) { c.PublicKey = pemOf("rsa") }), published} {
		for _, header := range []map[string]any{{"jku": url}, {"x5u": url}, {"kid": url}, {"jwk": map[string]any{"kty": "RSA", "x5u": url}}, {"jku": url, "kid": "one"}, {"iss": url}} {
			for _, token := range []string{
				signedBy(t, "p256", "ES256", header, claimed(time.Hour, "")), signedBy(t, "rsa", "RS256", header, claimed(time.Hour, fmt.Sprintf(`,"iss":%q`, url))),
			} {
				_ = authenticated(t, a, token)
			}
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	<-done
	if n := calls.Load(); n != 0 {
		t.Errorf("called %d times", n)
	}
}

// TestTokensOfDotsCostLittle is A8.
func TestTokensOfDotsCostLittle(t *testing.T) {
	a := newAuthenticator(t)
	for _, text := range []string{strings.Repeat(".", 12<<10), strings.Repeat(".", maxTokenBytes), strings.Repeat("a.", maxTokenBytes/2), "ocl_" + strings.Repeat(".", 12<<10)} {
		r := Request{Header: bearer(text)}
		var before, after runtime.MemStats
		const times = 100
		runtime.ReadMemStats(&before)
		for range times {
			if _, err := a.Authenticate(t.Context(), r); err == nil {
				t.Fatal("accepted")
			}
		}
		runtime.ReadMemStats(&after)
		if each := (after.TotalAlloc - before.TotalAlloc) / times; each > 64<<10 {
			t.Errorf("%d bytes of %.4q allocate %d", len(text), text, each)
		}
	}
}

func TestSettingsThatAreNoWayToKeys(t *testing.T) {
	for url, good := range map[string]bool{"https://id.example/keys": true, "http://127.0.0.1:8080/keys": true, "http://localhost/keys": true, "http://id.example/keys": false,
		"https://joe:hunter2@id.example/": false, "ftp://id.example/": false, "https://": false, "keys": false} {
		_, err := New(Config{Secret: NewSecret(testSecret), JWKSURL: url}, tenants{}, nil, discard)
		if (err == nil) != good || err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", url, err)
		}
	}
	if _, err := New(Config{PublicKey: pemOf("rsa")}, tenants{}, nil, discard); err == nil {
		t.Error("neither a secret nor a pepper")
	}
	if _, err := New(Config{Secret: NewSecret(testSecret), PublicKey: pemOf("rsa"), JWKSURL: "https://id.example/"}, tenants{}, nil, discard); err == nil {
		t.Error("keys from two places")
	}
	if _, err := New(Config{Secret: NewSecret(testSecret), Pepper: NewSecret("short")}, tenants{}, nil, discard); err == nil || !strings.Contains(err.Error(), "API_KEY_PEPPER") {
		t.Error(err)
	}
}
