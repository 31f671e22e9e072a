package auth

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"go.uber.org/zap"

	"github.com/ocelot-log/ocelot/internal/document"
	"github.com/ocelot-log/ocelot/internal/fault"
)

// DefaultOverlap is how long a key and the one that replaces it both work, where nobody says otherwise.
const DefaultOverlap = 24 * time.Hour

const (
	macSize    = sha256.Size
	keyLooks   = 4     // readings a second of keys that are not known here
	maxKeys    = 1_000 // of a tenant
	maxKeyName = 200   // bytes
	maxOverlap = 90 * 24 * time.Hour
)

// Keys are the API keys: who they make of a request, and their making and end. A key that is known costs no reading
// of the store; one that was made or changed elsewhere is known within 5 seconds, one that was made here at once.
type Keys struct {
	held   *mirror[heldKey]
	fixed  map[[macSize]byte]*heldKey // of the setting API_KEYS
	macs   sync.Pool
	lookup Lookup
	log    *zap.Logger
}

func newKeys(pepper Secret, fixed []StaticKey, from documents, lookup Lookup, log *zap.Logger) *Keys {
	k := &Keys{fixed: map[[macSize]byte]*heldKey{}, lookup: lookup, log: log}
	secret := []byte(pepper.Reveal())
	k.macs.New = func() any { return hmac.New(sha256.New, secret) }
	k.held = newMirror(document.Key, from, keyLooks, log, func(d document.Document, old *heldKey) (*heldKey, error) {
		return readKey(d, old, lookup)
	})
	for i := range fixed {
		mac := k.mac(fixed[i].key.Reveal())
		k.fixed[mac] = fixed[i].held(mac, lookup)
	}
	return k
}

func (k *Keys) mac(text string) (sum [macSize]byte) {
	h, _ := k.macs.Get().(hash.Hash)
	h.Reset()
	_, _ = h.Write([]byte(text))
	h.Sum(sum[:0])
	k.macs.Put(h)
	return sum
}

// fixedKey says whose key of the settings text is, if it is one.
func (k *Keys) fixedKey(text string, client netip.Addr, now time.Time) (Principal, bool, error) {
	if len(k.fixed) == 0 || len(text) > maxTokenBytes {
		return Principal{}, false, nil
	}
	h, ok := k.fixed[k.mac(text)]
	if !ok {
		return Principal{}, false, nil
	}
	return h.principal, true, h.check(client, now)
}

// authenticate says whose key text is. An id that nobody has and a wrong secret behind a right id are the same: in
// what is computed, in what is asked, in the answer. With an error the principal may do nothing: it is whose key was
// proven where the key may not be used now, else the zero value.
func (k *Keys) authenticate(ctx context.Context, text string, client netip.Addr, now time.Time) (Principal, error) {
	if len(text) > maxTokenBytes {
		return Principal{}, errKeyInvalid()
	}
	if !looksLikeKey(text) {
		p, ok, err := k.fixedKey(text, client, now)
		if !ok {
			return Principal{}, errKeyInvalid()
		}
		return p, err
	}
	id := keyID(text)
	h, digest := k.held.get(id), sha256.Sum256([]byte(text))
	if !h.proved(&digest) {
		if id == "" || !whole(text) {
			return Principal{}, errKeyIncomplete()
		}
		sum := k.mac(text)
		if !h.is(&sum) {
			var err error
			if h, err = k.held.look(ctx, id); err != nil {
				return Principal{}, err
			}
			if !h.is(&sum) {
				return Principal{}, errKeyInvalid()
			}
		}
		proof := digest // of its own: the other one stays off the heap
		h.proof.Store(&proof)
	}
	if err := h.check(client, now); err != nil {
		owner := h.principal // whose it is stands in what is noted of the refusal
		owner.roles = 0
		return owner, err
	}
	h.use(now)
	return h.principal, nil
}

// valid says whether a key is good for more than this request: a session goes on only as long.
func (k *Keys) valid(ctx context.Context, id string, now time.Time) bool {
	for _, h := range k.fixed {
		if h.principal.KeyID == id {
			return true
		}
	}
	h := k.held.get(id)
	if h == nil { // made elsewhere a moment ago, or gone
		h, _ = k.held.look(ctx, id)
	}
	return h != nil && !h.disabled && (h.expires.IsZero() || now.Before(h.expires))
}

// KeyRequest is what a new key shall be.
type KeyRequest struct {
	Name      string
	Roles     []string  // writer, reader, admin
	ExpiresAt time.Time // zero: never
	CIDRs     []string  // where it may be used from; none: from everywhere
	Filter    string    // a search that bounds which entries it is for; empty: all
}

// Create makes a key of the tenant, never wider than who makes it, and returns it with its text, which is kept
// nowhere and shown never again. Kind Invalid: something of the request is wrong. Kind Forbidden, code
// wider_than_issuer. Kind Conflict, code too_many_keys: the tenant has 1,000.
func (k *Keys) Create(ctx context.Context, by Principal, t Tenant, r KeyRequest) (Key, string, error) {
	b, err := k.body(by, t, r)
	if err != nil {
		return Key{}, "", err
	}
	return k.create(ctx, t, b)
}

func (k *Keys) create(ctx context.Context, t Tenant, b keyBody) (Key, string, error) {
	if k.held.count(func(h *heldKey) bool { return h.principal.tenantID == t.ID() }, maxKeys) == maxKeys {
		return Key{}, "", fault.New(fault.Conflict, "too_many_keys", "a tenant has at most 1,000 keys; remove some that are not used")
	}
	for {
		id, text := newKeyText()
		sum := k.mac(text)
		b.MAC = sum[:]
		body, err := json.Marshal(b)
		if err != nil {
			return Key{}, "", err
		}
		d, err := k.held.from.CreateDocument(ctx, document.Document{Kind: document.Key, ID: id, TenantID: t.ID(), Body: body})
		switch {
		case err != nil && fault.KindOf(err) == fault.Conflict: // the id is taken: one in 2·10¹⁴ a key
			continue
		case err != nil:
			return Key{}, "", fault.Wrap(err, "keep a key")
		}
		k.held.put(d)
		return b.key(id), text, nil
	}
}

// body checks a request and makes of it what is kept.
func (k *Keys) body(by Principal, t Tenant, r KeyRequest) (keyBody, error) {
	now := time.Now().UTC().Truncate(time.Millisecond)
	b := keyBody{Tenant: t.Slug(), Name: r.Name, Roles: r.Roles, CreatedAt: now, CreatedBy: by.Subject, CIDRs: r.CIDRs}
	if !r.ExpiresAt.IsZero() {
		b.ExpiresAt = r.ExpiresAt.UTC().Truncate(time.Millisecond)
		if !b.ExpiresAt.After(now) {
			return b, invalidField("/expires_at", "expiry_invalid", "a key expires in the future")
		}
	}
	if !printable(r.Name) || r.Name == "" || len(r.Name) > maxKeyName {
		return b, invalidField("/name", "name_invalid", "a key has a name of at most 200 bytes, without control characters")
	}
	if len(r.Roles) == 0 || slices.ContainsFunc(r.Roles, func(name string) bool { _, ok := ParseRole(name); return !ok }) {
		return b, invalidField("/role", "role_invalid", "a role is writer, reader or admin")
	}
	if !by.Owns(t.Slug()) || !by.holds(rolesOf(r.Roles)) {
		return b, errWider("the key would have a role or a tenant that you do not have")
	}
	from, err := parsePrefixes(r.CIDRs)
	if err != nil {
		return b, err
	}
	if len(from) == 0 {
		b.CIDRs = prefixTexts(by.from)
	} else if !within(from, by.from) {
		return b, errWider("the key could be used from addresses that your own credentials can't")
	}
	s, err := by.scope.narrowed(r.Filter)
	b.Filters = s.filters
	return b, err
}

// List returns the keys of a tenant, by id.
func (k *Keys) List(ctx context.Context, t Tenant) ([]Key, error) {
	all := []Key{}
	err := k.held.list(ctx, t.ID(), func(d document.Document) error {
		key, err := k.shown(d)
		all = append(all, key)
		return err
	})
	return all, err
}

// Get returns one key of a tenant. Kind NotFound: it has none of this id.
func (k *Keys) Get(ctx context.Context, t Tenant, id string) (Key, error) {
	d, err := k.held.from.Document(ctx, document.Key, id)
	if err == nil && d.TenantID == t.ID() {
		return k.shown(d)
	}
	return Key{}, keyFault(err)
}

// shown is a kept key for people, with what memory knows better.
func (k *Keys) shown(d document.Document) (Key, error) {
	var b keyBody
	if err := json.Unmarshal(d.Body, &b); err != nil {
		return Key{}, fault.Wrap(err, "read the key "+d.ID)
	}
	if h := k.held.get(d.ID); h != nil {
		if used := h.used.Load(); used > 0 && used > b.LastUsedAt.Unix() {
			b.LastUsedAt = time.Unix(used, 0).UTC()
		}
	}
	return b.key(d.ID), nil
}

// Revoke ends a key of the tenant for good: here at once, everywhere within 5 seconds. Kind NotFound: it has none of
// this id. Kind Forbidden, code wider_than_issuer: the key is for entries that are not within the principal's filter.
func (k *Keys) Revoke(ctx context.Context, by Principal, t Tenant, id string) error {
	d, err := k.held.from.Document(ctx, document.Key, id)
	if err != nil || d.TenantID != t.ID() {
		return keyFault(err)
	}
	var b keyBody
	if err := json.Unmarshal(d.Body, &b); err != nil {
		return fault.Wrap(err, "read a key")
	}
	if !covers(by.scope.filters, b.Filters) {
		return errBeyondFilter()
	}
	if err := k.held.from.DeleteDocument(ctx, document.Key, id); err != nil && fault.KindOf(err) != fault.NotFound {
		return fault.Wrap(err, "remove a key")
	}
	k.held.remove(id)
	return nil
}

// SetDisabled makes a key of the tenant useless for a while, or useful again. Faults as of Revoke.
func (k *Keys) SetDisabled(ctx context.Context, by Principal, t Tenant, id string, disabled bool) (Key, error) {
	return k.edit(ctx, t, id, func(b *keyBody) error {
		if !covers(by.scope.filters, b.Filters) {
			return errBeyondFilter()
		}
		b.Disabled = disabled
		return nil
	})
}

// Rotate makes a new key from one of the tenant: the same name, roles, networks and filter, the same owner of what is
// kept for it, and as long a life. The old one works on until the overlap is over (0: DefaultOverlap), unless it ends before. Kind NotFound: there is none of this id.
func (k *Keys) Rotate(ctx context.Context, by Principal, t Tenant, id string, overlap time.Duration) (Key, string, error) {
	if overlap == 0 {
		overlap = DefaultOverlap
	}
	if overlap < 0 || overlap > maxOverlap {
		return Key{}, "", invalidField("/overlap", "overlap_invalid", "both keys work for at most 90 days")
	}
	d, err := k.held.from.Document(ctx, document.Key, id)
	if err != nil || d.TenantID != t.ID() {
		return Key{}, "", keyFault(err)
	}
	var old keyBody
	if err := json.Unmarshal(d.Body, &old); err != nil {
		return Key{}, "", fault.Wrap(err, "read a key")
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	if old.ReplacedBy != "" || old.Disabled || !old.ExpiresAt.IsZero() && !now.Before(old.ExpiresAt) {
		return Key{}, "", fault.New(fault.Conflict, "key_not_rotatable", "this key was replaced, is disabled or has expired; make a new one")
	}
	from, err := parsePrefixes(old.CIDRs)
	if err != nil {
		return Key{}, "", err
	}
	if !by.Owns(t.Slug()) || !by.holds(rolesOf(old.Roles)) || !within(from, by.from) || !covers(by.scope.filters, old.Filters) {
		return Key{}, "", errWider("the key is wider than your own credentials")
	}
	b := old
	b.CreatedAt, b.CreatedBy, b.LastUsedAt, b.Replaces, b.First = now, by.Subject, time.Time{}, id, cmp.Or(old.First, id)
	if !old.ExpiresAt.IsZero() {
		b.ExpiresAt = now.Add(old.ExpiresAt.Sub(old.CreatedAt))
	}
	made, text, err := k.create(ctx, t, b)
	if err != nil {
		return Key{}, "", err
	}
	_, err = k.edit(ctx, t, id, func(b *keyBody) error {
		if end := now.Add(overlap); b.ExpiresAt.IsZero() || end.Before(b.ExpiresAt) {
			b.ExpiresAt = end
		}
		b.ReplacedBy = made.ID
		return nil
	})
	return made, text, err
}

// covers says whether everything that has all the filters of inner has those of outer.
func covers(outer, inner []string) bool {
	return !slices.ContainsFunc(outer, func(f string) bool { return !slices.Contains(inner, f) })
}

func (k *Keys) edit(ctx context.Context, t Tenant, id string, change func(*keyBody) error) (Key, error) {
	d, err := k.held.change(ctx, id, func(d *document.Document) error {
		if d.TenantID != t.ID() {
			return keyFault(nil)
		}
		var b keyBody
		if err := json.Unmarshal(d.Body, &b); err != nil {
			return err
		}
		if err := change(&b); err != nil {
			return err
		}
		var err error
		d.Body, err = json.Marshal(b)
		return err
	})
	if err != nil {
		return Key{}, keyFault(err)
	}
	return k.shown(d)
}

// writeUses tells the store which keys were used since it last heard, each at most once a minute.
func (k *Keys) writeUses(ctx context.Context) {
	err := writeUses(ctx, k.held, func(h *heldKey) (used, written int64) { return h.used.Load(), h.written }, func(b *keyBody) *time.Time { return &b.LastUsedAt })
	if err != nil {
		k.log.Warn("when keys were last used can't be written; it is tried again", zap.Error(err))
	}
}

// keyFault hides whether a key is another tenant's or nobody's.
func keyFault(err error) error {
	switch {
	case err == nil || fault.KindOf(err) == fault.NotFound:
		return fault.New(fault.NotFound, "not_found", "there is no such key")
	case fault.KindOf(err) == fault.Forbidden:
		return err
	}
	return fault.Wrap(err, "change a key")
}

func errBeyondFilter() error {
	return errWider("the key is for entries that your own credentials are not for")
}

func errWider(detail string) error { return fault.New(fault.Forbidden, "wider_than_issuer", detail) }

func invalidField(pointer, code, message string) error {
	return &fault.Error{Kind: fault.Invalid, Code: code, Detail: message, Problems: []fault.Problem{{Pointer: pointer, Code: code, Message: message}}}
}

func printable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 })
}
