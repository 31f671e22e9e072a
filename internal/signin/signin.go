// Package signin lets people sign in at an OpenID Connect provider: authorization code with PKCE, state and nonce.
//
// It promises that an Identity comes from an ID token that the provider signed for this client and this attempt, and
// that an attempt begun in one browser can't be finished in another. It leaves to its caller what a session is, and
// to the provider who somebody is and what they may do here.
package signin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/fault"
)

// AttemptLife is how long a person may take to sign in.
const AttemptLife = 10 * time.Minute

const (
	providerTimeout = 10 * time.Second // for one answer of the provider
	maxParameter    = 4 << 10          // bytes of a code or state
)

// Config is which provider, and who we are to it.
type Config struct {
	Issuer       string // https, or http on loopback
	ClientID     string
	ClientSecret auth.Secret // empty: a public client
	RedirectURL  string      // the callback's address as browsers know it
	TenantsClaim string      // of the ID token: tenants' ids, * for all; a dot leads into an object; default tenants
	RolesClaim   string      // writer, reader, admin; default roles
	Scopes       []string    // besides openid, where the claims ask for some
	Key          [32]byte    // seals attempts; the same in all processes
}

// Identity is who signed in, by the provider's word.
type Identity struct {
	Subject string // the issuer's name for the person
	Name    string // for people: the e-mail address where it is verified, else the subject
	Tenants []string
	Roles   []string
}

// Provider signs people in. It may be used concurrently.
type Provider struct {
	cfg    Config
	client *http.Client
	seal   *sealer
	now    func() time.Time

	mu    sync.Mutex // held while the provider is being found
	found *found
}

// found is what the provider says about itself; read once.
type found struct {
	oauth    oauth2.Config
	verifier *oidc.IDTokenVerifier
}

// New checks the settings and asks nobody.
func New(cfg Config) (*Provider, error) {
	for _, s := range []struct{ name, value string }{{"OIDC_ISSUER_URL", cfg.Issuer}, {"OIDC_REDIRECT_URL", cfg.RedirectURL}} {
		u, err := url.Parse(s.value)
		if err != nil || u.Host == "" || u.Fragment != "" || u.User != nil || u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
			return nil, fmt.Errorf("%s: write an https:// address; http:// is for this machine alone", s.name)
		}
	}
	if cfg.ClientID == "" {
		return nil, errors.New("OIDC_CLIENT_ID: is not set: the name that the provider gave to this client")
	}
	if cfg.TenantsClaim == "" {
		cfg.TenantsClaim = "tenants"
	}
	if cfg.RolesClaim == "" {
		cfg.RolesClaim = "roles"
	}
	seal, err := newSealer(cfg.Key)
	if err != nil {
		return nil, err
	}
	return &Provider{cfg: cfg, seal: seal, now: time.Now, client: &http.Client{Timeout: providerTimeout, CheckRedirect: func(*http.Request, []*http.Request) error {
		return errors.New("the provider answers with a redirect")
	}}}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Start begins an attempt: where to send the browser, and what it must bring back.
func (p *Provider) Start(ctx context.Context) (location, attempt string, err error) {
	f, err := p.find(ctx)
	if err != nil {
		return "", "", err
	}
	a := sealed{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Until: p.now().Add(AttemptLife).Unix()}
	return f.oauth.AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)), p.seal.close(a), nil
}

// Finish ends the attempt with what the provider sent the browser back with.
//
// Faults: Malformed signin_attempt_invalid (no attempt, another browser's, or one that took too long), Forbidden
// signin_refused (the provider or the person said no), Forbidden signin_no_access (nothing here is theirs),
// Forbidden signin_failed (the provider's answer does not hold), Unavailable signin_unavailable.
func (p *Provider) Finish(ctx context.Context, answer url.Values, attempt string) (Identity, error) {
	a, ok := p.seal.open(attempt)
	state := answer["state"]
	if !ok || p.now().Unix() > a.Until || len(state) != 1 || subtle.ConstantTimeCompare([]byte(state[0]), []byte(a.State)) != 1 {
		return Identity{}, fault.New(fault.Malformed, "signin_attempt_invalid", "this sign-in was not begun in this browser, or it took longer than ten minutes; begin again")
	}
	if iss, sent := answer["iss"]; sent && !slices.Equal(iss, []string{p.cfg.Issuer}) { // RFC 9207
		return Identity{}, failed(errors.New("the answer is another provider's"))
	}
	if len(answer["error"]) > 0 {
		return Identity{}, fault.New(fault.Forbidden, "signin_refused", "the provider did not sign you in; ask there why")
	}
	code := answer["code"]
	if len(code) != 1 || code[0] == "" || len(code[0]) > maxParameter {
		return Identity{}, failed(errors.New("no code came back"))
	}
	f, err := p.find(ctx)
	if err != nil {
		return Identity{}, err
	}
	ctx = oidc.ClientContext(ctx, p.client)
	token, err := f.oauth.Exchange(ctx, code[0], oauth2.VerifierOption(a.Verifier))
	if err != nil {
		if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok && refused.Response.StatusCode < http.StatusInternalServerError {
			return Identity{}, failed(fmt.Errorf("the code is refused: %s", refused.ErrorCode))
		}
		return Identity{}, unavailable(err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := f.verifier.Verify(ctx, raw)
	if err != nil {
		return Identity{}, failed(err)
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(a.Nonce)) != 1 {
		return Identity{}, failed(errors.New("the ID token is of another attempt"))
	}
	var claims map[string]any
	if err := id.Claims(&claims); err != nil {
		return Identity{}, failed(err)
	}
	if party, sent := claims["azp"]; (sent || len(id.Audience) > 1) && party != p.cfg.ClientID {
		return Identity{}, failed(errors.New("the ID token is for another client"))
	}
	return p.identity(id.Subject, claims)
}

// find reads the provider's description of itself, until that has worked once.
func (p *Provider) find(ctx context.Context) (*found, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found != nil {
		return p.found, nil
	}
	// The keys are fetched with this context later on, so that it can't end with the request.
	described, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.client), p.cfg.Issuer)
	if err != nil {
		return nil, unavailable(err)
	}
	p.found = &found{
		oauth: oauth2.Config{ClientID: p.cfg.ClientID, ClientSecret: p.cfg.ClientSecret.Reveal(), Endpoint: described.Endpoint(),
			RedirectURL: p.cfg.RedirectURL, Scopes: append([]string{oidc.ScopeOpenID}, p.cfg.Scopes...)},
		verifier: described.Verifier(&oidc.Config{ClientID: p.cfg.ClientID, Now: p.now}),
	}
	return p.found, nil
}

func failed(cause error) error {
	return &fault.Error{Kind: fault.Forbidden, Code: "signin_failed", Detail: "the provider's answer does not hold; begin again", Err: cause}
}

func unavailable(cause error) error {
	return &fault.Error{Kind: fault.Unavailable, Code: "signin_unavailable", Detail: "the provider does not answer; try again, or sign in with a token or a key",
		Err: cause, RetryAfter: 5 * time.Second}
}
