package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/zap"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/telemetry"
)

const (
	minSecretBytes = 32
	defaultMaxTTL  = 8_760 * time.Hour
	defaultLeeway  = 30 * time.Second
)

// Config is how credentials are checked.
type Config struct {
	Secret       Secret        // signs and checks tokens (HS256); at least 32 bytes; empty: none are signed
	PublicKey    string        // checks tokens (RS, ES, EdDSA): PEM text of one key or several; empty: none
	JWKSURL      string        // where keys that check tokens are published, instead of PublicKey; empty: nowhere
	TenantsClaim string        // name of the claim, or path to it; empty: tenants
	RolesClaim   string        // name of the claim, or path to it; empty: roles
	Issuer       string        // iss that a token must carry; empty: any
	Audience     string        // aud that a token must hold; empty: any
	MaxTTL       time.Duration // how far ahead a token may expire; 0: 8,760 h
	Leeway       time.Duration // how far clocks may differ; 0: 30 s
	Pepper       Secret        // without which the hashes of API keys are no use to a thief; at least 32 bytes; empty: derived from Secret
	Keys         []StaticKey   // that the settings give
}

// Authenticator turns the credentials of a request into a Principal, and is where credentials are made and ended. It
// may be used concurrently.
type Authenticator struct {
	ring               keyring
	tenantsAt, rolesAt claimPath
	audience           bool // one is asked for
	parser             *jwt.Parser
	maxTTL             time.Duration
	leeway             time.Duration
	now                func() time.Time
	tenants            Lookup
	tokens             *tokenCache
	keys               *Keys
	issued             *Tokens
	opened             *Sessions
	kept               documents
	log                *zap.Logger
}

// New refuses a secret or a pepper of less than 32 bytes. kept is where keys, revocations and sessions are; nil:
// nowhere, so that there are none. It reads nothing yet: call Load before the first request, and let Run run.
func New(cfg Config, tenants Lookup, kept documents, tel telemetry.Telemetry) (*Authenticator, error) {
	ring, err := newKeyring(cfg, tel.Log)
	if err != nil {
		return nil, err
	}
	if !cfg.Pepper.IsSet() {
		cfg.Pepper = cfg.Secret.derive("api keys")
	}
	if err := checkSecret("API_KEY_PEPPER", cfg.Pepper); err != nil {
		return nil, err
	}
	if tenants == nil {
		return nil, errors.New("auth: no lookup of tenants")
	}
	if cfg.MaxTTL <= 0 {
		cfg.MaxTTL = defaultMaxTTL
	}
	if cfg.Leeway <= 0 {
		cfg.Leeway = defaultLeeway
	}
	a := &Authenticator{ring: ring, audience: cfg.Audience != "", maxTTL: cfg.MaxTTL, leeway: cfg.Leeway,
		now: time.Now, tenants: tenants, tokens: newTokenCache(), kept: kept, log: tel.Log}
	a.keys = newKeys(cfg.Pepper, cfg.Keys, kept, tenants, tel.Log)
	a.issued = newTokens(cfg, kept, tenants, tel.Log)
	a.opened = newSessions(a.keys, a.issued, kept, tenants, tel.Log)
	if cfg.TenantsClaim != "tenants" {
		a.tenantsAt = claimPath(cfg.TenantsClaim)
	}
	if cfg.RolesClaim != "roles" {
		a.rolesAt = claimPath(cfg.RolesClaim)
	}
	options := []jwt.ParserOption{
		jwt.WithValidMethods(ring.methods()), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithLeeway(a.leeway), jwt.WithStrictDecoding(), jwt.WithTimeFunc(func() time.Time { return a.now() }),
	}
	if cfg.Issuer != "" {
		options = append(options, jwt.WithIssuer(cfg.Issuer))
	}
	if cfg.Audience != "" {
		options = append(options, jwt.WithAudience(cfg.Audience))
	}
	a.parser = jwt.NewParser(options...)
	return a, nil
}

func checkSecret(setting string, s Secret) error {
	if n := len(s.Reveal()); n < minSecretBytes {
		return fmt.Errorf("%s has %d bytes; it must have at least %d, from a random source", setting, n, minSecretBytes)
	}
	return nil
}

// Request is what a request says about who is calling.
type Request struct {
	Header   http.Header
	RawQuery string     // the URL's query as sent: credentials have no place there, because URLs are logged
	Client   netip.Addr // where it comes from, behind the proxies that are trusted; the zero value is nowhere, which no list of addresses holds
}

// Authenticate says who is calling.
//
// Faults of kind Unauthenticated: unauthenticated, malformed_credentials, credentials_in_url,
// token_invalid, token_expired, token_not_yet_valid, token_wrong_type, token_revoked, key_invalid, key_expired, key_disabled. Kind
// Malformed: ambiguous_credentials. Kind Forbidden: ip_not_allowed. Kind Unavailable: credentials_unavailable, of
// credentials that are not known here while the store can't be asked.
//
// With an error the principal may do nothing: it is whose key or token was proven where it may not be used now or from
// there, else the zero value.
func (a *Authenticator) Authenticate(ctx context.Context, r Request) (Principal, error) {
	c, err := credentials(r.Header, r.RawQuery)
	if err != nil {
		return Principal{}, err
	}
	now := a.now()
	if c.key {
		return a.keys.authenticate(ctx, c.text, r.Client, now)
	}
	if p, ok, err := a.keys.fixedKey(c.text, r.Client, now); ok {
		return p, err
	}
	p, err := a.token(ctx, c.text, now)
	if err == nil {
		err = p.cameFrom(r.Client)
	}
	if err != nil {
		p.roles = 0
	}
	return p, err
}

// token says whose token text is.
func (a *Authenticator) token(ctx context.Context, token string, now time.Time) (Principal, error) {
	if len(token) > maxTokenBytes {
		return Principal{}, errTokenInvalid()
	}
	generation := a.ring.generation()
	if p, ok := a.tokens.get(token, generation, now); ok {
		return p, a.ended(p)
	}
	c, err := a.verify(token, func(h *tokenHeader) (jwt.VerificationKeySet, error) { return a.ring.find(ctx, h) })
	if c == nil {
		return Principal{}, err
	}
	outside := err
	tenants, roles, err := a.grants(c)
	if err != nil {
		return Principal{}, errTokenInvalid()
	}
	scope, from, err := bounds([]string{c.Filter}, c.CIDRs)
	if err != nil {
		return Principal{}, errTokenInvalid() // nothing is a safer meaning of it
	}
	p := Principal{Subject: c.Subject, TokenID: tokenID(c.ID, token), tenants: tenants, roles: rolesOf(roles), scope: scope, from: from,
		expires: c.expires().Add(a.leeway), lookup: a.tenants}
	if c.IssuedAt != nil {
		p.issued = c.IssuedAt.Time
	}
	if outside != nil {
		return p, outside
	}
	a.tokens.put(token, p, generation, p.expires)
	return p, a.ended(p)
}

// ended says whether a token that is valid by itself has been revoked. Kind Unauthenticated, code token_revoked.
func (a *Authenticator) ended(p Principal) error {
	if a.issued.revoked(p.TokenID, p.tenants) {
		return unauthenticated("token_revoked", "the token has been revoked")
	}
	return nil
}

// Tokens are the tokens that are issued, and revocations of all.
func (a *Authenticator) Tokens() *Tokens { return a.issued }

// Sessions are those of browsers.
func (a *Authenticator) Sessions() *Sessions { return a.opened }

// SignedIn is who signed in at a provider that the settings name, by the provider's word.
func (a *Authenticator) SignedIn(subject string, tenants, roles []string) Principal {
	return Principal{Subject: subject, tenants: tenants, roles: rolesOf(roles), lookup: a.tenants}
}

// Keys are the API keys.
func (a *Authenticator) Keys() *Keys { return a.keys }

func unauthenticated(code, detail string) error {
	return fault.New(fault.Unauthenticated, code, detail)
}
