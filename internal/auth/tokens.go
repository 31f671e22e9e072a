package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"go.uber.org/zap"

	"github.com/ocelot-log/ocelot/internal/document"
	"github.com/ocelot-log/ocelot/internal/fault"
)

const (
	defaultTTL  = 12 * time.Hour
	maxSubject  = 200 // bytes
	maxTokenID  = 128
	maxTokenFor = 100    // tenants of a token
	maxTokens   = 10_000 // of a tenant that have not expired, issued here, for it and others or revoked unseen: each takes memory in every process
	tokenLooks  = 0      // a revocation comes with the poll: a token that is not listed is not revoked
	foreignMark = "x-"
)

// Tokens are the tokens that the API issued, and the end of any token that an Authenticator accepts before it expires:
// here at once, everywhere within 5 seconds. A revocation is kept until the token would have expired.
type Tokens struct {
	held     *mirror[heldToken]
	secret   Secret
	named    claimNames
	issuer   string
	audience string
	maxTTL   time.Duration
	leeway   time.Duration
	lookup   Lookup
}

// Token is an issued token as its tenants' admins see it.
type Token struct {
	ID        string // jti
	Subject   string
	Issuer    string // the subject of who asked for it
	Tenants   []string
	Roles     []string
	Filter    string // empty: all entries
	CreatedAt time.Time
	ExpiresAt time.Time
	RevokedAt time.Time // zero: it is valid
}

// tokenBody is what is kept of a token: that it was issued, that it was revoked, or both.
type tokenBody struct {
	Subject    string    `json:"subject,omitzero"`
	Issuer     string    `json:"issuer,omitzero"`
	Tenants    []string  `json:"tenants,omitzero"`
	Roles      []string  `json:"roles,omitzero"`
	Filter     string    `json:"filter,omitzero"`
	CreatedAt  time.Time `json:"created_at,omitzero"` // zero: it was not issued here
	ExpiresAt  time.Time `json:"expires_at,omitzero"`
	RevokedAt  time.Time `json:"revoked_at,omitzero"`
	RevokedBy  string    `json:"revoked_by,omitzero"`
	RevokedFor []string  `json:"revoked_for,omitzero"` // tenants whose admins revoked it, or AllTenants
}

func (b *tokenBody) token(id string) Token {
	t := Token{ID: id, Subject: b.Subject, Issuer: b.Issuer, Tenants: b.Tenants, Roles: b.Roles, Filter: b.Filter, CreatedAt: b.CreatedAt, ExpiresAt: b.ExpiresAt}
	if b.ends(b.Tenants) {
		t.RevokedAt = b.RevokedAt
	}
	return t
}

// ends says whether who revoked the token had a say over all of its tenants. Nobody can end the token of a tenant that is
// not theirs by its jti alone, and nobody learns whether it is one.
func (b *tokenBody) ends(tenants []string) bool { return endedFor(b.RevokedFor, tenants) }

func endedFor(revoked, tenants []string) bool {
	return len(revoked) > 0 && (slices.Contains(revoked, AllTenants) ||
		!slices.ContainsFunc(tenants, func(slug string) bool { return !slices.Contains(revoked, slug) }))
}

// heldToken is in memory of a token: who revoked it, and whose tokens it is one of.
type heldToken struct {
	revokedFor []string
	tenantID   string // the internal id of the one tenant that it is for; empty: of several, of all, or nobody knows
	several    string // the slug of the first of several; empty: of one, of all, or nobody knows
}

// firstOfSeveral is the tenant for which a token of several counts.
func firstOfSeveral(tenants []string) string {
	if len(tenants) < 2 || slices.Contains(tenants, AllTenants) {
		return ""
	}
	return tenants[0]
}

func newTokens(cfg Config, from documents, lookup Lookup, log *zap.Logger) *Tokens {
	return &Tokens{secret: cfg.Secret, named: claimNames{cfg.TenantsClaim, cfg.RolesClaim}, issuer: cfg.Issuer, audience: cfg.Audience, maxTTL: cfg.MaxTTL, leeway: cfg.Leeway, lookup: lookup,
		held: newMirror(document.Token, from, tokenLooks, log, func(d document.Document, _ *heldToken) (*heldToken, error) {
			var b tokenBody
			err := json.Unmarshal(d.Body, &b)
			return &heldToken{b.RevokedFor, d.TenantID, firstOfSeveral(b.Tenants)}, err
		})}
}

// tokenID is by what a token can be revoked: its jti, or a digest where the jti can't stand in a URL or there is none.
func tokenID(jti, token string) string {
	if jti == "" {
		jti = token
	}
	if len(jti) <= maxTokenID && !strings.ContainsFunc(jti, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.:", r)
	}) {
		return jti
	}
	sum := sha256.Sum256([]byte(jti))
	return foreignMark + base64.RawURLEncoding.EncodeToString(sum[:])
}

// revoked says whether a token for these tenants has been ended.
func (t *Tokens) revoked(id string, tenants []string) bool {
	h := t.held.get(id)
	return h != nil && endedFor(h.revokedFor, tenants)
}

// TokenRequest is what a new token shall say.
type TokenRequest struct {
	Subject string // empty: that of who asks
	Tenants []string
	Roles   []string
	TTL     time.Duration // 0: 12 h, or less where the asking credential ends before
	Filter  string        // a search that bounds which entries it is for; empty: all
}

// Issue makes a token, never wider than who asks: tenants, roles, filter, networks, time. It returns it with its text, which
// is kept nowhere. Kind Forbidden: insufficient_role, wider_than_issuer. Kind Invalid: something of the request is wrong. Kind Conflict,
// codes no_signing_secret: this server only checks tokens, too_many_tokens: the tenant has 10,000, or as the first of several.
func (t *Tokens) Issue(ctx context.Context, by Principal, r TokenRequest) (Token, string, error) {
	now := time.Now().Truncate(time.Second)
	if r.Subject == "" {
		r.Subject = by.Subject
	}
	tenantID, err := t.check(ctx, by, r)
	if err != nil {
		return Token{}, "", err
	}
	r.Tenants = once(r.Tenants)
	ttl := r.TTL.Truncate(time.Second)
	if r.TTL == 0 {
		ttl = min(defaultTTL, t.maxTTL)
		if !by.expires.IsZero() {
			ttl = min(ttl, by.expires.Sub(now).Truncate(time.Second))
		}
	}
	switch {
	case ttl < time.Second || ttl > t.maxTTL:
		return Token{}, "", invalidField("/ttl", "ttl_invalid", fmt.Sprintf("a token is valid for at least 1s and at most %s", t.maxTTL))
	case !by.expires.IsZero() && now.Add(ttl).After(by.expires):
		return Token{}, "", errWider("the token would outlive your own credentials; ask for a shorter ttl")
	}
	s, err := by.scope.narrowed(r.Filter)
	if err != nil {
		return Token{}, "", err
	}
	several := firstOfSeveral(r.Tenants)
	counted := func(h *heldToken) bool { return h.tenantID == tenantID && h.several == several }
	if tenantID+several != "" && t.held.count(counted, maxTokens) == maxTokens {
		return Token{}, "", fault.New(fault.Conflict, "too_many_tokens", "the tenant has 10,000 tokens that have not expired; ask for a shorter ttl, or use an API key")
	}
	b := tokenBody{Subject: r.Subject, Issuer: by.Subject, Tenants: r.Tenants, Roles: r.Roles, Filter: s.String(), CreatedAt: now.UTC(), ExpiresAt: now.Add(ttl).UTC()}
	id := rand.Text()
	text, err := sign(t.secret, t.named, &claims{Issuer: t.issuer, Audience: audienceOf(t.audience), Subject: b.Subject, Tenants: listed(b.Tenants), Roles: listed(b.Roles), ID: id,
		Purpose: accessPurpose, Filter: b.Filter, CIDRs: prefixTexts(by.from), IssuedAt: &numericDate{now}, ExpiresAt: &numericDate{b.ExpiresAt}})
	if err != nil {
		return Token{}, "", err
	}
	if len(text) > maxTokenBytes {
		return Token{}, "", fault.New(fault.Invalid, "token_too_large", "the token would be larger than the service reads; name fewer tenants or a shorter filter")
	}
	body, err := json.Marshal(b)
	if err != nil {
		return Token{}, "", err
	}
	d, err := t.held.from.CreateDocument(ctx, document.Document{Kind: document.Token, ID: id, TenantID: tenantID, Body: body, ExpiresAt: b.ExpiresAt.Add(t.leeway)})
	if err != nil {
		return Token{}, "", fault.Wrap(err, "keep a token")
	}
	t.held.put(d)
	return b.token(id), text, nil
}

// check refuses what is wider than who asks, and returns the internal id where the token is for one tenant.
func (t *Tokens) check(ctx context.Context, by Principal, r TokenRequest) (tenantID string, err error) {
	switch {
	case !t.secret.IsSet():
		return "", fault.New(fault.Conflict, "no_signing_secret", "this server has no JWT_SECRET: it checks tokens and issues none")
	case !by.Can(Admin):
		return "", fault.New(fault.Forbidden, "insufficient_role", "these credentials do not have the role for this")
	case !printable(r.Subject) || len(r.Subject) > maxSubject:
		return "", invalidField("/subject", "subject_invalid", "a subject has at most 200 bytes, none of them control characters")
	case len(r.Tenants) == 0 || len(r.Tenants) > maxTokenFor:
		return "", invalidField("/tenants", "tenants_invalid", "a token is for 1 to 100 tenants")
	case len(r.Roles) == 0 || slices.ContainsFunc(r.Roles, func(name string) bool { _, ok := ParseRole(name); return !ok }):
		return "", invalidField("/role", "role_invalid", "a role is writer, reader or admin")
	case !by.holds(rolesOf(r.Roles)):
		return "", errWider("the token would have a role that you do not have")
	}
	for _, slug := range r.Tenants {
		if slug == AllTenants && by.all() {
			continue
		}
		tn, err := by.Tenant(ctx, []string{slug})
		if err != nil && fault.KindOf(err) == fault.Unavailable {
			return "", err
		}
		if err != nil {
			return "", errWider("the token would be for a tenant that your credentials are not for")
		}
		tenantID = tn.ID()
	}
	if len(once(r.Tenants)) > 1 {
		tenantID = ""
	}
	return tenantID, nil
}

// once leaves out what stood before: a tenant that is named twice is not several.
func once(slugs []string) (all []string) {
	for _, slug := range slugs {
		if !slices.Contains(all, slug) {
			all = append(all, slug)
		}
	}
	return all
}

// List returns the issued tokens that have not expired and are for no other tenants than the principal's, by id.
func (t *Tokens) List(ctx context.Context, by Principal) ([]Token, error) {
	all, shows := []Token{}, shownTo(ctx, by)
	err := t.held.list(ctx, "", func(d document.Document) error {
		token, ok, err := shows(d)
		if ok {
			all = append(all, token)
		}
		return err
	})
	return all, err
}

// Issued is one of those that List lists, by its jti; ok is false where it is none of them.
func (t *Tokens) Issued(ctx context.Context, by Principal, jti string) (_ Token, ok bool, err error) {
	d, err := t.held.from.Document(ctx, document.Token, tokenID(jti, ""))
	if fault.KindOf(err) == fault.NotFound {
		return Token{}, false, nil
	}
	if err != nil {
		return Token{}, false, fault.Wrap(err, "read a token")
	}
	return shownTo(ctx, by)(d)
}

// shownTo reads an issued token where the principal may see it.
func shownTo(ctx context.Context, by Principal) func(d document.Document) (Token, bool, error) {
	own, served := map[string]bool{"": true}, map[string]bool{}
	if !by.all() {
		for _, slug := range by.tenants {
			if tn, err := by.Tenant(ctx, []string{slug}); err == nil {
				own[tn.ID()], served[slug] = true, true
			}
		}
	}
	return func(d document.Document) (Token, bool, error) {
		var b tokenBody
		if err := json.Unmarshal(d.Body, &b); err != nil {
			return Token{}, false, fault.Wrap(err, "read the token "+d.ID)
		}
		foreign := !by.all() && slices.ContainsFunc(b.Tenants, func(slug string) bool { return !served[slug] })
		return b.token(d.ID), !b.CreatedAt.IsZero() && !foreign && (by.all() || own[d.TenantID]), nil
	}
}

// Revoke ends a token, by its jti: one that was issued here, by `ocelot token` or by somebody else. It ends tokens for the
// principal's tenants only, and is the same for a jti that nobody has: Tokens can't know them all. Kind Forbidden, code
// insufficient_role: it takes an admin, or the token itself. Kind Conflict, code too_many_revocations: the tenant has revoked
// 10,000 that were not issued here.
func (t *Tokens) Revoke(ctx context.Context, by Principal, jti string) error {
	if jti == "" {
		return fault.New(fault.NotFound, "not_found", "there is no such token")
	}
	id := tokenID(jti, "")
	if !by.Can(Admin) && by.TokenID != id {
		return fault.New(fault.Forbidden, "insufficient_role", "these credentials do not have the role for this")
	}
	tenants := by.tenants // all of them where it is the token itself
	if by.TokenID != id {
		var err error
		if tenants, err = by.ends(ctx); err != nil {
			return err
		}
	}
	revoke := func(b *tokenBody) {
		if b.RevokedAt.IsZero() || !b.ends(b.Tenants) {
			b.RevokedAt, b.RevokedBy = time.Now().UTC().Truncate(time.Millisecond), by.Subject
		}
		for _, slug := range tenants {
			if !slices.Contains(b.RevokedFor, slug) {
				b.RevokedFor = append(b.RevokedFor, slug)
			}
		}
	}
	for range 2 { // somebody may make it in between
		_, err := t.held.change(ctx, id, func(d *document.Document) error {
			var b tokenBody
			if err := json.Unmarshal(d.Body, &b); err != nil {
				return err
			}
			revoke(&b)
			var err error
			d.Body, err = json.Marshal(b)
			return err
		})
		if err == nil {
			return nil
		}
		if fault.KindOf(err) != fault.NotFound {
			return fault.Wrap(err, "revoke a token")
		}
		if !by.all() && by.TokenID != id && t.held.count(func(h *heldToken) bool {
			return h.tenantID == "" && slices.ContainsFunc(tenants, func(slug string) bool { return slices.Contains(h.revokedFor, slug) })
		}, maxTokens) == maxTokens {
			return fault.New(fault.Conflict, "too_many_revocations", "the tenant has revoked 10,000 tokens that were not issued here and may not have expired; whoever runs the service can revoke more")
		}
		var b tokenBody
		revoke(&b)
		body, err := json.Marshal(b)
		if err != nil {
			return err
		}
		d, err := t.held.from.CreateDocument(ctx, document.Document{Kind: document.Token, ID: id, Body: body, ExpiresAt: time.Now().Add(t.maxTTL + 2*t.leeway)})
		if err == nil {
			t.held.put(d)
			return nil
		}
		if fault.KindOf(err) != fault.Conflict {
			return fault.Wrap(err, "revoke a token")
		}
	}
	return fault.New(fault.Unavailable, "token_busy", "the token is being changed; try again")
}

func audienceOf(a string) audience {
	if a == "" {
		return nil
	}
	return audience{a}
}
