package auth

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/golang-jwt/jwt/v5"

	"github.com/ocelot-log/ocelot/internal/fault"
)

// maxTokenBytes bounds what is parsed at all; our own tokens have about 400.
const maxTokenBytes = 8 << 10

// accessPurpose is the typ claim of a token that calls the API.
const accessPurpose = "access"

// tokenHeader is what a token's header may say of itself. Where a key is to be found (jku, jwk, x5u) is not among it: keys
// come from the settings, and no token chooses a place. kid names one of the keys of an endpoint, and nothing else.
type tokenHeader struct {
	KeyID     jsontext.Value `json:"kid"`
	Algorithm string         `json:"alg"`
	Type      string         `json:"typ"`
	Critical  jsontext.Value `json:"crit"`
	KeyURL    jsontext.Value `json:"jku"`
	Key       jsontext.Value `json:"jwk"`
	CertURL   jsontext.Value `json:"x5u"`
}

// claims are a token's claims, read strictly: names as they are, no name twice.
type claims struct {
	Issuer    string         `json:"iss,omitzero"`
	Audience  audience       `json:"aud,omitzero"`
	Subject   string         `json:"sub,omitzero"`
	Tenants   jsontext.Value `json:"tenants,omitzero"` // read once the signature holds; see names
	Roles     jsontext.Value `json:"roles,omitzero"`
	IssuedAt  *numericDate   `json:"iat,omitzero"`
	NotBefore *numericDate   `json:"nbf,omitzero"`
	ExpiresAt *numericDate   `json:"exp,omitzero"`
	ID        string         `json:"jti,omitzero"`
	Purpose   string         `json:"typ,omitzero"`
	Use       string         `json:"token_use,omitzero"` // as Amazon Cognito says what a token is for
	Nonce     string         `json:"nonce,omitzero"`     // this and the two below are an identity token's
	AtHash    string         `json:"at_hash,omitzero"`
	CodeHash  string         `json:"c_hash,omitzero"`
	Filter    string         `json:"filter,omitzero"`
	CIDRs     []string       `json:"cidrs,omitzero"`

	keep  bool // raw is wanted
	raw   jsontext.Value
	named claimNames // of a new token
}

// claimNames are where the tenants and roles of a new token stand: under the whole name, where every reading looks first.
type claimNames struct{ tenants, roles string }

const (
	tenantsClaim = "tenants"
	rolesClaim   = "roles"
)

// check refuses names under which something else stands.
func (n claimNames) check() error {
	if cmp.Or(n.tenants, tenantsClaim) == cmp.Or(n.roles, rolesClaim) {
		return fault.New(fault.Conflict, "no_signing_secret", "no tokens are made here: JWT_TENANTS_CLAIM and JWT_ROLES_CLAIM name the same claim")
	}
	for setting, name := range map[string]string{"JWT_TENANTS_CLAIM": n.tenants, "JWT_ROLES_CLAIM": n.roles} {
		if slices.Contains([]string{"iss", "aud", "sub", "iat", "nbf", "exp", "jti", "typ", "token_use", "nonce", "at_hash", "c_hash", "filter", "cidrs"}, name) {
			return fault.New(fault.Conflict, "no_signing_secret", "no tokens are made here: "+setting+" names a claim that means something else in them")
		}
	}
	return nil
}

// UnmarshalJSON reads claims instead of the JWT library's codec, which folds case and takes the last of two.
func (c *claims) UnmarshalJSON(b []byte) error {
	type plain claims
	if err := json.Unmarshal(b, (*plain)(c)); err != nil {
		return err
	}
	if c.keep {
		c.raw = bytes.Clone(b)
	}
	return nil
}

// MarshalJSON writes claims with the same names.
func (c *claims) MarshalJSON() ([]byte, error) {
	type plain claims
	own, granted := plain(*c), map[string]jsontext.Value{cmp.Or(c.named.tenants, tenantsClaim): c.Tenants, cmp.Or(c.named.roles, rolesClaim): c.Roles}
	own.Tenants, own.Roles = nil, nil
	maps.DeleteFunc(granted, func(_ string, v jsontext.Value) bool { return v == nil })
	b, err := json.Marshal(&own)
	if err != nil || len(granted) == 0 {
		return b, err
	}
	more, err := json.Marshal(granted, json.Deterministic(true))
	if len(b) == len("{}") || err != nil {
		return more, err
	}
	return append(append(b[:len(b)-1], ','), more[1:]...), nil
}

func (c *claims) expires() time.Time { return c.ExpiresAt.Time }

// GetExpirationTime and the others below are what the JWT library checks.
func (c *claims) GetExpirationTime() (*jwt.NumericDate, error) { return c.ExpiresAt.date(), nil }

// GetIssuedAt is part of jwt.Claims.
func (c *claims) GetIssuedAt() (*jwt.NumericDate, error) { return c.IssuedAt.date(), nil }

// GetNotBefore is part of jwt.Claims.
func (c *claims) GetNotBefore() (*jwt.NumericDate, error) { return c.NotBefore.date(), nil }

// GetIssuer is part of jwt.Claims.
func (c *claims) GetIssuer() (string, error) { return c.Issuer, nil }

// GetSubject is part of jwt.Claims.
func (c *claims) GetSubject() (string, error) { return c.Subject, nil }

// GetAudience is part of jwt.Claims.
func (c *claims) GetAudience() (jwt.ClaimStrings, error) { return jwt.ClaimStrings(c.Audience), nil }

// audience is one string or a list of them.
type audience []string

// UnmarshalJSON takes both forms.
func (a *audience) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*a = make(audience, 1)
		return json.Unmarshal(b, &(*a)[0])
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// numericDate is a moment as seconds since 1970, a finite number between the years 1970 and 9999.
type numericDate struct{ time.Time }

var errDate = errors.New("a date of a token is a number of seconds since 1970")

// UnmarshalJSON refuses everything but such a number.
func (d *numericDate) UnmarshalJSON(b []byte) error {
	var seconds float64
	if err := json.Unmarshal(b, &seconds); err != nil {
		return err
	}
	if !(seconds >= 0 && seconds < 253_402_300_800) {
		return errDate
	}
	whole, fraction := math.Modf(seconds)
	d.Time = time.Unix(int64(whole), int64(fraction*1e9))
	return nil
}

// MarshalJSON writes whole seconds.
func (d numericDate) MarshalJSON() ([]byte, error) { return json.Marshal(d.Unix()) }

func (d *numericDate) date() *jwt.NumericDate {
	if d == nil {
		return nil
	}
	return &jwt.NumericDate{Time: d.Time}
}

// verify reads a token and checks everything that makes it one that we accept. find returns the keys that may have signed it.
// With an error there are claims only where all is right but the time.
func (a *Authenticator) verify(token string, find func(*tokenHeader) (jwt.VerificationKeySet, error)) (*claims, error) {
	head, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.Strict().DecodeString(head)
	if err != nil {
		return nil, errTokenInvalid()
	}
	var h tokenHeader
	if err := json.Unmarshal(raw, &h); err != nil || h.Critical != nil || h.KeyURL != nil || h.Key != nil || h.CertURL != nil {
		return nil, errTokenInvalid()
	}
	c := &claims{keep: a.tenantsAt != "" || a.rolesAt != ""}
	_, err = a.parser.ParseWithClaims(token, c, func(*jwt.Token) (any, error) { return find(&h) })
	right := a.forAccess(&h, c)
	switch {
	case err == nil && right:
	case err == nil:
		return nil, errWrongType()
	case !errors.Is(err, jwt.ErrTokenInvalidClaims), errors.Is(err, jwt.ErrTokenRequiredClaimMissing),
		errors.Is(err, jwt.ErrTokenInvalidIssuer), errors.Is(err, jwt.ErrTokenInvalidAudience):
		return nil, errTokenInvalid()
	case !right:
		return nil, errWrongType()
	case errors.Is(err, jwt.ErrTokenExpired):
		return c, unauthenticated("token_expired", "the token has expired")
	case errors.Is(err, jwt.ErrTokenNotValidYet), errors.Is(err, jwt.ErrTokenUsedBeforeIssued):
		return c, unauthenticated("token_not_yet_valid", "the token is not valid yet; compare the clocks")
	default:
		return nil, errTokenInvalid()
	}
	if c.expires().After(a.now().Add(a.maxTTL + a.leeway)) {
		return nil, unauthenticated("token_invalid", "the token expires further ahead than this server accepts")
	}
	return c, nil
}

// forAccess says whether a token was made for calling an API: its header says at+jwt, or its typ claim says access, and
// nothing says otherwise. An identity token says neither.
//
// Issuers other than us are not all that clear. Of what a public key signed, Bearer as typ (Keycloak) and access as token_use
// (Cognito) are taken too, and a token that says nothing, where it bears no mark of an identity token and its audience is the one
// that JWT_AUDIENCE asks for: identity tokens are for clients, not for us.
func (a *Authenticator) forAccess(h *tokenHeader, c *claims) bool {
	public := h.Algorithm != hs256
	headerType := strings.TrimPrefix(strings.ToLower(h.Type), "application/")
	switch {
	case !slices.Contains([]string{"", "jwt", "at+jwt"}, headerType):
		return false
	case c.Purpose != "" && c.Purpose != accessPurpose && (c.Purpose != "Bearer" || !public):
		return false
	case c.Use != "" && c.Use != accessPurpose:
		return false
	case headerType == "at+jwt", c.Purpose != "", c.Use != "" && public:
		return true
	}
	return public && a.audience && c.Nonce == "" && c.AtHash == "" && c.CodeHash == ""
}

func errTokenInvalid() error {
	return unauthenticated("token_invalid", "the token is not one that this server accepts")
}

func errWrongType() error {
	return unauthenticated("token_wrong_type", "the token was made for another purpose than calling this API")
}
