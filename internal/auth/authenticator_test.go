package auth

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"hash"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/internal/tenant"
)

const testSecret = "0123456789abcdef0123456789abcdef"

// tenants is a lookup of fixed tenants.
type tenants map[string]string

func (l tenants) BySlug(_ context.Context, slug string) (*tenant.Info, error) {
	if l == nil {
		return nil, fault.New(fault.Unavailable, "tenants_unavailable", "down")
	}
	switch id := l[slug]; id {
	case "":
	case "suspended":
		return &tenant.Info{ID: id, Slug: slug, Suspended: true}, nil
	case "leaving":
		return &tenant.Info{ID: id, Slug: slug, DeleteAt: time.Now().Add(time.Hour)}, nil
	case "left":
		return &tenant.Info{ID: id, Slug: slug, DeleteAt: time.Now().Add(-time.Hour)}, nil
	default:
		return &tenant.Info{ID: id, Slug: slug}, nil
	}
	return nil, fault.New(fault.NotFound, "tenant_not_found", "none")
}

func newAuthenticator(tb testing.TB, change ...func(*Config)) *Authenticator {
	tb.Helper()
	cfg := Config{Secret: NewSecret(testSecret)}
	for _, f := range change {
		f(&cfg)
	}
	a, err := New(cfg, tenants{"acme": "aaaaaaaaaaaa", "zeta": "zzzzzzzzzzzz", "still": "suspended", "leaving": "leaving", "left": "left"}, nil, telemetry.Discard())
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// signed makes a token of any header and claims, right or wrong.
func signed(header, claims string, h func() hash.Hash) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	mac := hmac.New(h, []byte(testSecret))
	mac.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

const plainHeader = `{"alg":"HS256","typ":"at+jwt"}`

// claimed is a valid set of claims with further ones.
func claimed(expires time.Duration, more string) string {
	return fmt.Sprintf(`{"sub":"ada","tenants":["acme"],"roles":["reader"],"exp":%d%s}`, time.Now().Add(expires).Unix(), more)
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

func codeOf(err error) string {
	if err == nil {
		return ""
	}
	return fault.Of(err).Code
}

func TestTokens(t *testing.T) {
	good := signed(plainHeader, claimed(time.Hour, ""), sha256.New)
	unsigned := func(alg string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"`+alg+`","typ":"at+jwt"}`)) + "." +
			base64.RawURLEncoding.EncodeToString([]byte(claimed(time.Hour, ""))) + "."
	}
	hour := time.Now().Add(time.Hour).Unix()
	for name, c := range map[string]struct{ token, code string }{
		"a token of ours":                        {good, ""},
		"typ JWT with the purpose access":        {signed(`{"alg":"HS256","typ":"JWT"}`, claimed(time.Hour, `,"typ":"access"`), sha256.New), ""},
		"no typ with the purpose access":         {signed(`{"alg":"HS256"}`, claimed(time.Hour, `,"typ":"access"`), sha256.New), ""},
		"typ with its media type":                {signed(`{"alg":"HS256","typ":"application/AT+jwt"}`, claimed(time.Hour, ""), sha256.New), ""},
		"unsigned, none":                         {unsigned("none"), "token_invalid"},
		"unsigned, None":                         {unsigned("None"), "token_invalid"},
		"unsigned, nOnE":                         {unsigned("nOnE"), "token_invalid"},
		"HS512 with the right secret":            {signed(`{"alg":"HS512","typ":"at+jwt"}`, claimed(time.Hour, ""), sha512.New), "token_invalid"},
		"a header that points to a key":          {signed(`{"alg":"HS256","typ":"at+jwt","jku":"http://127.0.0.1:1/keys"}`, claimed(time.Hour, ""), sha256.New), "token_invalid"},
		"a header that brings its key":           {signed(`{"alg":"HS256","typ":"at+jwt","jwk":{"kty":"oct"}}`, claimed(time.Hour, ""), sha256.New), "token_invalid"},
		"a header that points to a certificate":  {signed(`{"alg":"HS256","typ":"at+jwt","x5u":"http://127.0.0.1:1/"}`, claimed(time.Hour, ""), sha256.New), "token_invalid"},
		"a key id, which chooses nothing":        {signed(`{"alg":"HS256","typ":"at+jwt","kid":"../../etc/passwd"}`, claimed(time.Hour, ""), sha256.New), ""},
		"a critical extension":                   {signed(`{"alg":"HS256","typ":"at+jwt","crit":["b64"],"b64":false}`, claimed(time.Hour, ""), sha256.New), "token_invalid"},
		"alg twice":                              {signed(`{"alg":"HS256","typ":"at+jwt","alg":"HS256"}`, claimed(time.Hour, ""), sha256.New), "token_invalid"},
		"tenants twice":                          {signed(plainHeader, claimed(time.Hour, `,"tenants":["zeta"]`), sha256.New), "token_invalid"},
		"an unknown claim twice":                 {signed(plainHeader, claimed(time.Hour, `,"x":1,"x":2`), sha256.New), "token_invalid"},
		"a claim in other case is another claim": {signed(plainHeader, claimed(time.Hour, `,"EXP":1,"Tenants":["*"]`), sha256.New), ""},
		"claims that are no object":              {signed(plainHeader, `[]`, sha256.New), "token_invalid"},
		"claims that are not JSON":               {signed(plainHeader, `{`, sha256.New), "token_invalid"},
		"a second document behind the claims":    {signed(plainHeader, claimed(time.Hour, "")+"{}", sha256.New), "token_invalid"},
		"tenants that are no names":              {signed(plainHeader, fmt.Sprintf(`{"tenants":{"acme":1},"exp":%d}`, hour), sha256.New), "token_invalid"},
		"tenants that are numbers":               {signed(plainHeader, fmt.Sprintf(`{"tenants":[1],"exp":%d}`, hour), sha256.New), "token_invalid"},
		"a tenant that is one text":              {signed(plainHeader, fmt.Sprintf(`{"tenants":"acme","roles":"reader writer","exp":%d}`, hour), sha256.New), ""},
		"a forged signature":                     {good[:len(good)-4] + "AAAA", "token_invalid"},
		"expired 31 seconds ago":                 {signed(plainHeader, claimed(-31*time.Second, ""), sha256.New), "token_expired"},
		"expired 28 seconds ago":                 {signed(plainHeader, claimed(-28*time.Second, ""), sha256.New), ""},
		"no expiry":                              {signed(plainHeader, `{"tenants":["acme"]}`, sha256.New), "token_invalid"},
		"null as expiry":                         {signed(plainHeader, `{"tenants":["acme"],"exp":null}`, sha256.New), "token_invalid"},
		"a text as expiry":                       {signed(plainHeader, `{"exp":"2999999999"}`, sha256.New), "token_invalid"},
		"an infinite expiry":                     {signed(plainHeader, `{"exp":1e400}`, sha256.New), "token_invalid"},
		"an expiry of the year 40000":            {signed(plainHeader, `{"exp":1.2e12}`, sha256.New), "token_invalid"},
		"an expiry before 1970":                  {signed(plainHeader, `{"exp":-1}`, sha256.New), "token_invalid"},
		"an expiry with a fraction":              {signed(plainHeader, fmt.Sprintf(`{"exp":%d.5}`, hour), sha256.New), ""},
		"an expiry in 366 days":                  {signed(plainHeader, claimed(366*24*time.Hour, ""), sha256.New), "token_invalid"},
		"not before an hour from now":            {signed(plainHeader, claimed(2*time.Hour, fmt.Sprintf(`,"nbf":%d`, hour)), sha256.New), "token_not_yet_valid"},
		"issued an hour from now":                {signed(plainHeader, claimed(2*time.Hour, fmt.Sprintf(`,"iat":%d`, hour)), sha256.New), "token_not_yet_valid"},
		"an identity token":                      {signed(`{"alg":"HS256","typ":"JWT"}`, claimed(time.Hour, `,"nonce":"n"`), sha256.New), "token_wrong_type"},
		"another purpose in the claims":          {signed(`{"alg":"HS256","typ":"JWT"}`, claimed(time.Hour, `,"typ":"refresh"`), sha256.New), "token_wrong_type"},
		"another purpose beside at+jwt":          {signed(plainHeader, claimed(time.Hour, `,"typ":"id"`), sha256.New), "token_wrong_type"},
		"another purpose in the header":          {signed(`{"alg":"HS256","typ":"logout+jwt"}`, claimed(time.Hour, `,"typ":"access"`), sha256.New), "token_wrong_type"},
		"an expired token of another purpose":    {signed(`{"alg":"HS256","typ":"JWT"}`, claimed(-time.Hour, ""), sha256.New), "token_wrong_type"},
		"12 KiB of dots":                         {strings.Repeat(".", 12<<10), "token_invalid"},
		"8 KiB of dots":                          {strings.Repeat(".", 8<<10), "token_invalid"},
		"an opaque key":                          {"ocelot_0123456789", "token_invalid"},
		"two parts":                              {"a.b", "token_invalid"},
		"padding":                                {good + "=", "token_invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAuthenticator(t)
			for range 2 { // the second time by way of the cache
				p, err := a.Authenticate(t.Context(), Request{Header: bearer(c.token)})
				if codeOf(err) != c.code {
					t.Fatalf("%v, want %q", err, c.code)
				}
				if err != nil && (fault.KindOf(err) != fault.Unauthenticated || p.Can(Reader)) {
					t.Errorf("%v %v", fault.KindOf(err), p)
				}
				if err == nil && p.all() {
					t.Error("it is for all tenants")
				}
			}
		})
	}
}

func TestIssuerAndAudienceAreCheckedWhereConfigured(t *testing.T) {
	a := newAuthenticator(t, func(c *Config) { c.Issuer, c.Audience = "ocelot", "logs" })
	for claims, code := range map[string]string{
		`,"iss":"ocelot","aud":"logs"`:            "",
		`,"iss":"ocelot","aud":["other","logs"]`:  "",
		`,"iss":"ocelot"`:                         "token_invalid",
		`,"aud":"logs"`:                           "token_invalid",
		`,"iss":"Ocelot","aud":"logs"`:            "token_invalid",
		`,"iss":"ocelot","aud":["other"]`:         "token_invalid",
		`,"iss":"ocelot","aud":[]`:                "token_invalid",
		`,"iss":"ocelot","aud":{"logs":true}`:     "token_invalid",
		`,"iss":["ocelot"],"aud":"logs"`:          "token_invalid",
		`,"iss":"ocelot","aud":"logs","exp":"no"`: "token_invalid",
	} {
		if _, err := a.Authenticate(t.Context(), Request{Header: bearer(signed(plainHeader, claimed(time.Hour, claims), sha256.New))}); codeOf(err) != code {
			t.Errorf("%s: %v, want %q", claims, err, code)
		}
	}
}

func TestWhereCredentialsAre(t *testing.T) {
	good := signed(plainHeader, claimed(time.Hour, ""), sha256.New)
	for name, c := range map[string]struct {
		header http.Header
		query  string
		code   string
	}{
		"nothing":                              {http.Header{}, "", "unauthenticated"},
		"the token":                            {bearer(good), "q=token", ""},
		"the scheme in other case":             {http.Header{"Authorization": {"bearer " + good}}, "", ""},
		"the scheme alone":                     {http.Header{"Authorization": {"Bearer"}}, "", "malformed_credentials"},
		"an empty header":                      {http.Header{"Authorization": {""}}, "", "malformed_credentials"},
		"two spaces":                           {http.Header{"Authorization": {"Bearer  x"}}, "", "malformed_credentials"},
		"two tokens":                           {http.Header{"Authorization": {"bearer x y"}}, "", "malformed_credentials"},
		"two credentials in one header":        {http.Header{"Authorization": {"Bearer x,Bearer y"}}, "", "malformed_credentials"},
		"another scheme":                       {http.Header{"Authorization": {"Basic YTpi"}}, "", "malformed_credentials"},
		"the token without its scheme":         {http.Header{"Authorization": {good}}, "", "malformed_credentials"},
		"two Authorization headers":            {http.Header{"Authorization": {"Bearer " + good, "Bearer " + good}}, "", "ambiguous_credentials"},
		"a token and a key":                    {http.Header{"Authorization": {"Bearer " + good}, "X-Api-Key": {"k"}}, "", "ambiguous_credentials"},
		"two keys":                             {http.Header{"X-Api-Key": {"k", "k"}}, "", "ambiguous_credentials"},
		"a key alone that is none":             {http.Header{"X-Api-Key": {"k"}}, "", "key_invalid"},
		"a token as a key":                     {http.Header{"X-Api-Key": {good}}, "", "key_invalid"},
		"an empty key":                         {http.Header{"X-Api-Key": {""}}, "", "malformed_credentials"},
		"two keys in one header":               {http.Header{"X-Api-Key": {"k,k"}}, "", "malformed_credentials"},
		"a key in the URL":                     {http.Header{}, "api_key=k", "credentials_in_url"},
		"a token in the URL beside a good one": {bearer(good), "q=x&access_token=" + good, "credentials_in_url"},
		"an escaped name in the URL":           {bearer(good), "%41ccess%5ftoken=x", "credentials_in_url"},
		"a name in other case in the URL":      {bearer(good), "Token=x", "credentials_in_url"},
		"a name behind a semicolon":            {bearer(good), "q=x;token=x", "credentials_in_url"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := newAuthenticator(t).Authenticate(t.Context(), Request{Header: c.header, RawQuery: c.query}); codeOf(err) != c.code {
				t.Errorf("%v, want %q", err, c.code)
			}
		})
	}
}

// TestACachedTokenExpires is A9 to the second, by a clock that stands still.
func TestACachedTokenExpires(t *testing.T) {
	a := newAuthenticator(t)
	now := time.Now()
	a.now = func() time.Time { return now }
	token := signed(plainHeader, claimed(time.Hour, ""), sha256.New)
	if _, err := a.Authenticate(t.Context(), Request{Header: bearer(token)}); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour + 29*time.Second)
	if _, err := a.Authenticate(t.Context(), Request{Header: bearer(token)}); err != nil {
		t.Errorf("29 s after: %v", err)
	}
	now = now.Add(2 * time.Second)
	if _, err := a.Authenticate(t.Context(), Request{Header: bearer(token)}); codeOf(err) != "token_expired" {
		t.Errorf("31 s after: %v", err)
	}
}

func TestTheCacheOfTokensIsBounded(t *testing.T) {
	c, now := newTokenCache(), time.Now()
	for i := range 3 * maxCachedTokens {
		c.put(fmt.Sprint(i), Principal{Subject: fmt.Sprint(i)}, 0, now.Add(time.Hour))
	}
	if n := len(c.entries); n > maxCachedTokens || n < maxCachedTokens/2 {
		t.Errorf("%d entries", n)
	}
	last := fmt.Sprint(3*maxCachedTokens - 1)
	if p, ok := c.get(last, 0, now); !ok || p.Subject != last {
		t.Errorf("the last one: %v %v", p, ok)
	}
}

// TestShortSecretsAreRefused is L10 for secrets that are handed in; tests/e2e has the processes.
func TestShortSecretsAreRefused(t *testing.T) {
	for _, secret := range []string{"", "12345678", testSecret[:31]} {
		if _, err := New(Config{Secret: NewSecret(secret)}, tenants{}, nil, telemetry.Discard()); err == nil || secret != "" && strings.Contains(err.Error(), secret) {
			t.Errorf("New with %d bytes: %v", len(secret), err)
		}
		if _, _, _, err := Mint(NewSecret(secret), Claims{Tenants: []string{"acme"}, Roles: []string{"reader"}, TTL: time.Hour}); err == nil {
			t.Errorf("Mint with %d bytes: no error", len(secret))
		}
	}
}

func FuzzAuthenticate(f *testing.F) {
	a := newAuthenticator(f)
	for _, seed := range []string{"Bearer " + signed(plainHeader, claimed(time.Hour, ""), sha256.New), "Bearer a.b.c", "Bearer", "Bearer ..", "Basic x",
		"Bearer " + signed(`{"alg":"none"}`, `{}`, sha256.New), "Bearer " + signed(plainHeader, `{"exp":1e400}`, sha256.New)} {
		f.Add(seed, "q=x")
	}
	known := "Bearer " + signed(plainHeader, claimed(time.Hour, ""), sha256.New)
	f.Fuzz(func(t *testing.T, header, query string) {
		p, err := a.Authenticate(t.Context(), Request{Header: http.Header{"Authorization": {header}}, RawQuery: query})
		if err == nil && !strings.EqualFold(header, known) && p.Platform() {
			t.Errorf("%q is a platform admin", header)
		}
		if err != nil && fault.KindOf(err) != fault.Unauthenticated && fault.KindOf(err) != fault.Malformed {
			t.Errorf("%q: %v", header, err)
		}
	})
}

func BenchmarkAuthenticate(b *testing.B) {
	token, _, _, err := Mint(NewSecret(testSecret), Claims{Subject: "bench", Tenants: []string{"acme"}, Roles: []string{"writer"}, TTL: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	h := bearer(token)
	b.Run("cached", func(b *testing.B) {
		a := newAuthenticator(b)
		b.ReportAllocs()
		cpu := cpuTime()
		for b.Loop() {
			p, err := a.Authenticate(b.Context(), Request{Header: h})
			if err != nil {
				b.Fatal(err)
			}
			if _, err := p.Tenant(b.Context(), nil); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/op")
	})
	b.Run("new", func(b *testing.B) {
		a := newAuthenticator(b)
		b.ReportAllocs()
		for b.Loop() {
			clear(a.tokens.entries)
			if _, err := a.Authenticate(b.Context(), Request{Header: h}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
