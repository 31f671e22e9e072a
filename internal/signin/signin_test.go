package signin

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/signin/signintest"
)

func codeOf(err error) string {
	if err == nil {
		return ""
	}
	return fault.Of(err).Code
}

func configOf(p *signintest.Provider) Config {
	return Config{Issuer: p.URL, ClientID: signintest.ClientID, ClientSecret: auth.NewSecret(signintest.ClientSecret), RedirectURL: signintest.Callback, RolesClaim: "access.roles", Key: [32]byte{1}}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAPersonSignsInAtTheProvider(t *testing.T) {
	p := signintest.New(t)
	us, err := New(configOf(p))
	must(t, err)
	for _, key := range []string{"first", "second"} { // its keys change in between
		location, attempt, err := us.Start(t.Context())
		must(t, err)
		sent, err := url.Parse(location)
		must(t, err)
		if q := sent.Query(); q.Get("code_challenge_method") != "S256" || q.Get("response_type") != "code" || len(q.Get("state")) < 26 || len(q.Get("nonce")) < 26 || strings.Contains(attempt, q.Get("state")) {
			t.Errorf("%s", location)
		}
		p.Rotate(t, key)
		id, err := us.Finish(t.Context(), p.SignIn(t, location), attempt)
		if err != nil || id.Subject != "id1" || !slices.Equal(id.Tenants, []string{"acme"}) || !slices.Equal(id.Roles, []string{"reader"}) {
			t.Fatalf("with the key %s: %+v %v", key, id, err)
		}
	}
}

func TestAnAnswerIsGoodOnceInTheBrowserThatAsked(t *testing.T) {
	p := signintest.New(t)
	us, err := New(configOf(p))
	must(t, err)
	begin := func() (answer url.Values, attempt string) {
		location, attempt, err := us.Start(t.Context())
		must(t, err)
		return p.SignIn(t, location), attempt
	}
	answer, attempt := begin()
	_, other := begin()
	inside, ok := us.seal.open(attempt)
	if !ok {
		t.Fatal("an attempt can't be read")
	}
	with := func(change func(*sealed)) string { a := inside; change(&a); return us.seal.close(a) }
	without := func(name string, values ...string) url.Values {
		v := maps.Clone(answer)
		v[name] = values
		return v
	}
	stranger := configOf(p)
	stranger.Key = [32]byte{2}
	theirs, err := New(stranger)
	must(t, err)
	for name, c := range map[string]struct {
		answer  url.Values
		attempt string
		code    string
	}{
		"no attempt":                       {answer, "", "signin_attempt_invalid"},
		"another browser's attempt":        {answer, other, "signin_attempt_invalid"},
		"an attempt that somebody made up": {answer, theirs.seal.close(inside), "signin_attempt_invalid"},
		"a spoilt attempt":                 {answer, attempt[:8] + other[8:12] + attempt[12:], "signin_attempt_invalid"},
		"a long attempt":                   {answer, strings.Repeat("A", 1<<16), "signin_attempt_invalid"},
		"an attempt that took too long":    {answer, with(func(a *sealed) { a.Until = time.Now().Add(-time.Second).Unix() }), "signin_attempt_invalid"},
		"another state":                    {without("state", "x"), attempt, "signin_attempt_invalid"},
		"no state":                         {without("state"), attempt, "signin_attempt_invalid"},
		"two states":                       {without("state", inside.State, inside.State), attempt, "signin_attempt_invalid"},
		"the answer of another provider":   {without("iss", "https://evil.example"), attempt, "signin_failed"},
		"no code":                          {without("code"), attempt, "signin_failed"},
		"two codes":                        {without("code", "a", "b"), attempt, "signin_failed"},
		"a code that somebody made up":     {without("code", "nonsense"), attempt, "signin_failed"},
		"the person says no":               {url.Values{"state": {inside.State}, "error": {"access_denied"}}, attempt, "signin_refused"},
		"another verifier than was hashed": {answer, with(func(a *sealed) { a.Verifier = strings.Repeat("v", 43) }), "signin_failed"},
	} {
		id, err := us.Finish(t.Context(), c.answer, c.attempt)
		if codeOf(err) != c.code || id.Subject != "" {
			t.Errorf("%s: %+v %v", name, id, err)
		}
	}
	answer, attempt = begin()
	if _, err := us.Finish(t.Context(), answer, attempt); err != nil {
		t.Fatal(err)
	}
	if id, err := us.Finish(t.Context(), answer, attempt); codeOf(err) != "signin_failed" {
		t.Errorf("the code again: %+v %v", id, err)
	}
	answer, attempt = begin()
	a, _ := us.seal.open(attempt)
	a.Nonce = "another"
	if id, err := us.Finish(t.Context(), answer, us.seal.close(a)); codeOf(err) != "signin_failed" {
		t.Errorf("the nonce of another attempt: %+v %v", id, err)
	}
}

func TestAnIDTokenThatDoesNotHoldIsRefused(t *testing.T) {
	p := signintest.New(t)
	us, err := New(configOf(p))
	must(t, err)
	type signer = func(jose.SignatureAlgorithm, any) string
	as := func(change func(map[string]any)) func(map[string]any, signer) string {
		return func(claims map[string]any, sign signer) string {
			change(claims)
			return sign(jose.RS256, p.Key())
		}
	}
	other := signintest.New(t)
	for name, c := range map[string]struct {
		token func(map[string]any, signer) string
		code  string
	}{
		"as it was":                   {as(func(map[string]any) {}), ""},
		"another issuer":              {as(func(c map[string]any) { c["iss"] = other.URL }), "signin_failed"},
		"another audience":            {as(func(c map[string]any) { c["aud"] = "somebody" }), "signin_failed"},
		"ours among the audiences":    {as(func(c map[string]any) { c["aud"] = []string{"somebody", signintest.ClientID}; delete(c, "azp") }), "signin_failed"},
		"for another party":           {as(func(c map[string]any) { c["azp"] = "somebody" }), "signin_failed"},
		"expired":                     {as(func(c map[string]any) { c["exp"] = time.Now().Add(-time.Minute).Unix() }), "signin_failed"},
		"without a nonce":             {as(func(c map[string]any) { delete(c, "nonce") }), "signin_failed"},
		"another nonce":               {as(func(c map[string]any) { c["nonce"] = "another" }), "signin_failed"},
		"without a subject":           {as(func(c map[string]any) { delete(c, "sub") }), "signin_no_access"},
		"without tenants":             {as(func(c map[string]any) { delete(c, "tenants") }), "signin_no_access"},
		"without roles of ours":       {as(func(c map[string]any) { c["access"] = map[string]any{"roles": []string{"gardener"}} }), "signin_no_access"},
		"tenants that are no list":    {as(func(c map[string]any) { c["tenants"] = map[string]any{"acme": true} }), "signin_no_access"},
		"one tenant alone":            {as(func(c map[string]any) { c["tenants"] = "acme" }), ""},
		"signed by another":           {func(_ map[string]any, sign signer) string { return sign(jose.RS256, other.Key()) }, "signin_failed"},
		"signed by what we both know": {func(_ map[string]any, sign signer) string { return sign(jose.HS256, []byte(signintest.ClientSecret)) }, "signin_failed"},
		"A11 a token for an API": {as(func(c map[string]any) {
			delete(c, "nonce")
			c["aud"], c["client_id"], c["scope"] = "https://logs.example", signintest.ClientID, "openid"
		}), "signin_failed"},
		"A11 a token for an API that names us too": {as(func(c map[string]any) {
			delete(c, "nonce")
			c["aud"], c["scope"] = []string{"https://logs.example", signintest.ClientID}, "openid"
		}), "signin_failed"},
		"no token": {func(map[string]any, signer) string { return "" }, "signin_failed"},
		"not signed": {func(_ map[string]any, sign signer) string {
			parts := strings.Split(sign(jose.RS256, p.Key()), ".")
			return "eyJhbGciOiJub25lIn0." + parts[1] + "."
		}, "signin_failed"},
	} {
		p.Token.Store(&c.token)
		location, attempt, err := us.Start(t.Context())
		must(t, err)
		id, err := us.Finish(t.Context(), p.SignIn(t, location), attempt)
		if codeOf(err) != c.code || (err == nil) != slices.Equal(id.Tenants, []string{"acme"}) {
			t.Errorf("%s: %+v %v", name, id, err)
		}
	}
}

func TestAProviderThatIsDownIsAskedAgain(t *testing.T) {
	p := signintest.New(t)
	us, err := New(configOf(p))
	must(t, err)
	down := true
	us.client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		if down {
			return nil, errors.New("down")
		}
		return http.DefaultTransport.RoundTrip(r)
	})
	if _, _, err := us.Start(t.Context()); codeOf(err) != "signin_unavailable" {
		t.Errorf("before it was found: %v", err)
	}
	down = false
	location, attempt, err := us.Start(t.Context())
	must(t, err)
	answer := p.SignIn(t, location)
	down = true
	if _, err := us.Finish(t.Context(), answer, attempt); codeOf(err) != "signin_unavailable" {
		t.Errorf("behind the code: %v", err)
	}
	down = false
	if _, err := us.Finish(t.Context(), answer, attempt); err != nil {
		t.Errorf("up again: %v", err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestSettingsThatCannotBeRightAreRefused(t *testing.T) {
	good := Config{Issuer: "https://id.example.com", ClientID: "ocelot", RedirectURL: "https://logs.example.com/api/v1/session/oidc/callback"}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"OIDC_ISSUER_URL":   func(c *Config) { c.Issuer = "http://id.example.com" },
		"OIDC_REDIRECT_URL": func(c *Config) { c.RedirectURL = "/callback" },
		"OIDC_CLIENT_ID":    func(c *Config) { c.ClientID = "" },
	} {
		c := good
		change(&c)
		if _, err := New(c); err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
