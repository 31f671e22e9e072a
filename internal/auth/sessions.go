package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"math"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"
	"go.uber.org/zap"

	"github.com/ocelot-log/ocelot/internal/document"
	"github.com/ocelot-log/ocelot/internal/fault"
)

// How long a session goes on.
const (
	SessionIdle = 8 * time.Hour  // without a request
	SessionMax  = 24 * time.Hour // with requests
)

// sessionKept is how long a session is kept behind its end, so that it is known whose cookie is still sent: a browser
// sends none by then.
const sessionKept = 24 * time.Hour

const (
	cookieBytes  = 32
	maxSessions  = 100 // of a credential, those that are kept behind their end among them
	sessionLooks = 20  // readings a second of sessions that are not known here: a browser comes at once after its sign-in, perhaps elsewhere
)

// Sessions are what browsers have instead of a credential: a random cookie that stands for one. A session may do what the
// credential may that it was made from, and ends with it. What is known costs no reading of the store.
type Sessions struct {
	held   *mirror[heldSession]
	keys   *Keys
	tokens *Tokens
	log    *zap.Logger
}

// Session is a session as its owner sees it.
type Session struct {
	ID        string // by which it can be ended; not the cookie
	Subject   string
	CreatedAt time.Time
	ExpiresAt time.Time // at the latest
}

// sessionBody is a session as it is kept, by the hash of its cookie.
type sessionBody struct {
	Subject   string    `json:"subject"`
	Owner     string    `json:"owner,omitzero"`
	Tenants   []string  `json:"tenants"`
	Roles     []string  `json:"roles"`
	Filters   []string  `json:"filters,omitzero"`
	CIDRs     []string  `json:"cidrs,omitzero"`
	TokenID   string    `json:"token,omitzero"`
	KeyID     string    `json:"key,omitzero"`
	TenantID  string    `json:"tenant_id,omitzero"` // that the credential is bound to
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
	SeenAt    time.Time `json:"seen_at"`
	EndedAt   time.Time `json:"ended_at,omitzero"` // by its owner
	IssuedAt  time.Time `json:"issued_at"`         // what it was made with; else the session
}

type heldSession struct {
	principal Principal
	seen      *atomic.Int64 // when last, in seconds since 1970
	written   int64         // the last request that the store knows
	ended     bool          // by its owner
}

// over says whether a session has ended by itself.
func (h *heldSession) over(now time.Time) bool {
	return !now.Before(h.principal.expires) || now.Unix()-h.seen.Load() >= int64(SessionIdle/time.Second)
}

func newSessions(keys *Keys, tokens *Tokens, from documents, lookup Lookup, log *zap.Logger) *Sessions {
	return &Sessions{keys: keys, tokens: tokens, log: log,
		held: newMirror(document.Session, from, sessionLooks, log, func(d document.Document, old *heldSession) (*heldSession, error) {
			return readSession(d, old, lookup)
		})}
}

func readSession(d document.Document, old *heldSession, lookup Lookup) (*heldSession, error) {
	var b sessionBody
	if err := json.Unmarshal(d.Body, &b); err != nil {
		return nil, err
	}
	s, from, err := bounds(b.Filters, b.CIDRs)
	if err != nil {
		return nil, err
	}
	h := &heldSession{seen: new(atomic.Int64), written: b.SeenAt.Unix(), ended: !b.EndedAt.IsZero()}
	if old != nil { // requests may hold the old one
		h.seen = old.seen
	}
	later(h.seen, h.written)
	h.principal = Principal{Subject: b.Subject, TokenID: b.TokenID, KeyID: b.KeyID, SessionID: d.ID, owner: b.Owner, tenants: b.Tenants, tenantID: b.TenantID,
		roles: rolesOf(b.Roles), scope: s, from: from, issued: b.IssuedAt, expires: b.ExpiresAt, lookup: lookup}
	return h, nil
}

// later keeps the later of two moments.
func later(at *atomic.Int64, seconds int64) {
	for old := at.Load(); old < seconds && !at.CompareAndSwap(old, seconds); old = at.Load() {
	}
}

// makeRoom forgets a session of the same credential where there are as many as may be, one that has ended before one that was
// used longest ago: each takes memory in every process, and whoever has one credential could make them without end.
func (s *Sessions) makeRoom(ctx context.Context, p Principal) error {
	n, oldest, used, now := 0, "", int64(math.MaxInt64), time.Now()
	s.held.each(func(id string, h *heldSession) bool {
		of := &h.principal
		if of.KeyID != p.KeyID || of.TokenID != p.TokenID || p.KeyID == "" && p.TokenID == "" && of.Subject != p.Subject {
			return true
		}
		n++
		at := h.seen.Load()
		if h.ended || h.over(now) {
			at = 0
		}
		if at < used {
			oldest, used = id, at
		}
		return true
	})
	if n < maxSessions {
		return nil
	}
	if err := s.held.from.DeleteDocument(ctx, document.Session, oldest); err != nil && fault.KindOf(err) != fault.NotFound {
		return fault.Wrap(err, "forget a session")
	}
	s.held.remove(oldest)
	return nil
}

// Start opens a session of the principal and returns its cookie's value, which is kept nowhere. Of the 100 that a credential
// may have at once the one that was used longest ago makes room. Kind Conflict, code session_exists: the principal comes from a session.
func (s *Sessions) Start(ctx context.Context, p Principal) (cookie string, _ Session, err error) {
	if p.SessionID != "" {
		return "", Session{}, fault.New(fault.Conflict, "session_exists", "a session makes no session; send the token or key itself")
	}
	if err := s.makeRoom(ctx, p); err != nil {
		return "", Session{}, err
	}
	value := make([]byte, cookieBytes)
	_, _ = rand.Read(value) // never fails
	cookie = base64.RawURLEncoding.EncodeToString(value)
	now := time.Now().UTC().Truncate(time.Millisecond)
	b := sessionBody{Subject: p.Subject, Owner: p.owner, Tenants: p.tenants, Roles: p.roles.Names(), Filters: p.scope.filters, CIDRs: prefixTexts(p.from),
		TokenID: p.TokenID, KeyID: p.KeyID, TenantID: p.tenantID, CreatedAt: now, ExpiresAt: now.Add(SessionMax), SeenAt: now, IssuedAt: p.issued}
	if b.IssuedAt.IsZero() {
		b.IssuedAt = now
	}
	if !p.expires.IsZero() && p.expires.Before(b.ExpiresAt) {
		b.ExpiresAt = p.expires.UTC()
	}
	body, err := json.Marshal(b)
	if err != nil {
		return "", Session{}, err
	}
	d := document.Document{Kind: document.Session, ID: sessionID(cookie), Body: body, ExpiresAt: b.ExpiresAt.Add(sessionKept)}
	if len(p.tenants) == 1 && !p.all() { // so that it goes with its tenant
		if tn, err := p.Tenant(ctx, nil); err == nil {
			d.TenantID = tn.ID()
		}
	}
	if d, err = s.held.from.CreateDocument(ctx, d); err != nil {
		return "", Session{}, fault.Wrap(err, "keep a session")
	}
	s.held.put(d)
	return cookie, b.session(d.ID), nil
}

// StartFor opens a session of somebody whom a provider of identities vouches for. Roles and tenants that are none of ours
// grant nothing.
func (s *Sessions) StartFor(ctx context.Context, subject string, tenants, roles []string) (cookie string, _ Session, err error) {
	return s.Start(ctx, Principal{Subject: subject, tenants: tenants, roles: rolesOf(roles), lookup: s.keys.lookup})
}

func (b *sessionBody) session(id string) Session {
	return Session{ID: id, Subject: b.Subject, CreatedAt: b.CreatedAt, ExpiresAt: b.ExpiresAt}
}

// sessionID is the hash of a cookie; empty: it can be none of ours.
func sessionID(cookie string) string {
	value, err := base64.RawURLEncoding.Strict().DecodeString(cookie)
	if err != nil || len(value) != cookieBytes {
		return ""
	}
	sum := sha256.Sum256(value)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Principal says whose session the cookie is. Kind Unauthenticated: session_invalid (there is none, or it was ended),
// session_expired, and token_revoked, key_disabled or the like in the words of what it was made from. Kind Forbidden: ip_not_allowed.
// Kind Unavailable: credentials_unavailable, of a session that is not known here while the store can't be asked.
//
// With an error the principal may do nothing: it is whose session it was, for a day behind its end, or is and may not be
// used from there, else the zero value.
func (s *Sessions) Principal(ctx context.Context, cookie string, client netip.Addr) (Principal, error) {
	id := sessionID(cookie)
	if id == "" {
		return Principal{}, errSessionInvalid()
	}
	h := s.held.get(id)
	if h == nil {
		var err error
		if h, err = s.held.look(ctx, id); err != nil {
			return Principal{}, err
		}
		if h == nil {
			return Principal{}, errSessionInvalid()
		}
	}
	now := time.Now()
	p := h.principal
	owner := p
	owner.roles = 0
	switch {
	case h.ended:
		return owner, errSessionInvalid()
	case h.over(now):
		return owner, unauthenticated("session_expired", "the session has ended; sign in again")
	case p.TokenID != "" && s.tokens.revoked(p.TokenID, p.tenants) || p.KeyID != "" && !s.keys.valid(ctx, p.KeyID, now):
		return owner, errSessionInvalid()
	}
	if err := p.cameFrom(client); err != nil {
		return owner, err
	}
	later(h.seen, now.Unix())
	return p, nil
}

func errSessionInvalid() error {
	return unauthenticated("session_invalid", "there is no such session, or what it was made from has ended; sign in again")
}

// End ends the principal's session: here at once, everywhere within 5 seconds. Without one it does nothing.
func (s *Sessions) End(ctx context.Context, p Principal) error {
	if p.SessionID == "" {
		return nil
	}
	_, err := s.held.change(ctx, p.SessionID, func(d *document.Document) error {
		var b sessionBody
		if err := json.Unmarshal(d.Body, &b); err != nil {
			return err
		}
		b.EndedAt = time.Now().UTC().Truncate(time.Millisecond)
		var err error
		d.Body, err = json.Marshal(b)
		return err
	})
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return fault.Wrap(err, "end a session")
	}
	return nil
}

// writeUses tells the store which sessions go on, each at most once a minute.
func (s *Sessions) writeUses(ctx context.Context) {
	err := writeUses(ctx, s.held, func(h *heldSession) (used, written int64) { return h.seen.Load(), h.written }, func(b *sessionBody) *time.Time { return &b.SeenAt })
	if err != nil {
		s.log.Warn("which sessions go on can't be written; it is tried again", zap.Error(err))
	}
}
