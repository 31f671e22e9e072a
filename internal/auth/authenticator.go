package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/ocelot-log/ocelot/internal/fault"
)

const (
	minSecretBytes = 32
	defaultMaxTTL  = 8_760 * time.Hour
	defaultLeeway  = 30 * time.Second
)

// Config is how credentials are checked.
type Config struct {
	Secret   Secret        // signs and checks tokens (HS256); at least 32 bytes
	Issuer   string        // iss that a token must carry; empty: any
	Audience string        // aud that a token must hold; empty: any
	MaxTTL   time.Duration // how far ahead a token may expire; 0: 8,760 h
	Leeway   time.Duration // how far clocks may differ; 0: 30 s
}

// Authenticator turns the credentials of a request into a Principal. It may be used concurrently.
type Authenticator struct {
	secret  []byte
	parser  *jwt.Parser
	maxTTL  time.Duration
	leeway  time.Duration
	now     func() time.Time
	tenants Lookup
	tokens  *tokenCache
}

// New refuses a secret of less than 32 bytes.
func New(cfg Config, tenants Lookup) (*Authenticator, error) {
	if err := checkSecret(cfg.Secret); err != nil {
		return nil, err
	}
	if tenants == nil {
		return nil, errors.New("auth: no lookup of tenants")
	}
	a := &Authenticator{secret: []byte(cfg.Secret.Reveal()), maxTTL: cfg.MaxTTL, leeway: cfg.Leeway,
		now: time.Now, tenants: tenants, tokens: newTokenCache()}
	if a.maxTTL <= 0 {
		a.maxTTL = defaultMaxTTL
	}
	if a.leeway <= 0 {
		a.leeway = defaultLeeway
	}
	options := []jwt.ParserOption{
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
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

func checkSecret(s Secret) error {
	if n := len(s.Reveal()); n < minSecretBytes {
		return fmt.Errorf("JWT_SECRET has %d bytes; it must have at least %d, from a random source", n, minSecretBytes)
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
// token_invalid, token_expired, token_not_yet_valid, token_wrong_type. Kind Malformed:
// ambiguous_credentials.
func (a *Authenticator) Authenticate(_ context.Context, r Request) (Principal, error) {
	token, err := credentials(r.Header, r.RawQuery)
	if err != nil {
		return Principal{}, err
	}
	if len(token) > maxTokenBytes {
		return Principal{}, errTokenInvalid()
	}
	now := a.now()
	if p, ok := a.tokens.get(token, now); ok {
		return p, nil
	}
	c, err := a.verify(token)
	if err != nil {
		return Principal{}, err
	}
	scope, err := newScope([]string{c.Filter})
	if err != nil {
		return Principal{}, errTokenInvalid() // nothing is a safer meaning of it
	}
	p := Principal{Subject: c.Subject, TokenID: c.ID, tenants: c.Tenants, roles: c.roles(), scope: scope, lookup: a.tenants}
	a.tokens.put(token, p, c.expires().Add(a.leeway), now)
	return p, nil
}

func unauthenticated(code, detail string) error {
	return fault.New(fault.Unauthenticated, code, detail)
}
