package auth

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/ocelot-log/ocelot/internal/document"
	"github.com/ocelot-log/ocelot/internal/fault"
)

// Key is an API key as its tenant's admins see it: everything but the key.
type Key struct {
	ID         string // the public part of the key
	Name       string // for people
	Roles      []string
	CreatedAt  time.Time
	CreatedBy  string    // the subject of who made it
	ExpiresAt  time.Time // zero: never
	LastUsedAt time.Time // zero: never; up to a minute or two behind
	Disabled   bool
	CIDRs      []string // where it may be used from; none: from everywhere
	Filter     string   // a search that bounds which entries it is for; empty: all
	Replaces   string   // the id of the key that this one was made for, if any
	ReplacedBy string   // the id of the key that was made for this one, if any
}

// keyBody is a key as it is kept. Nothing of it, MAC included, gives the key away.
type keyBody struct {
	MAC        []byte    `json:"mac"`
	Tenant     string    `json:"tenant"` // slug
	Name       string    `json:"name"`
	Roles      []string  `json:"roles"`
	CreatedAt  time.Time `json:"created_at"`
	CreatedBy  string    `json:"created_by"`
	ExpiresAt  time.Time `json:"expires_at,omitzero"`
	LastUsedAt time.Time `json:"last_used_at,omitzero"`
	Disabled   bool      `json:"disabled,omitzero"`
	CIDRs      []string  `json:"cidrs,omitzero"`
	Filters    []string  `json:"filters,omitzero"`
	Replaces   string    `json:"replaces,omitzero"`
	ReplacedBy string    `json:"replaced_by,omitzero"`
	First      string    `json:"first,omitzero"` // of the chain of keys that each replace the one before; empty: this one
}

func (b *keyBody) key(id string) Key {
	return Key{ID: id, Name: b.Name, Roles: b.Roles, CreatedAt: b.CreatedAt, CreatedBy: b.CreatedBy, ExpiresAt: b.ExpiresAt, LastUsedAt: b.LastUsedAt,
		Disabled: b.Disabled, CIDRs: b.CIDRs, Filter: joinFilters(b.Filters), Replaces: b.Replaces, ReplacedBy: b.ReplacedBy}
}

// heldKey is a key in memory, with the principal that it makes.
type heldKey struct {
	mac       [macSize]byte
	proof     atomic.Pointer[[sha256.Size]byte] // the digest of the key's text once the MAC was seen to fit: cheaper to compare
	principal Principal
	expires   time.Time
	disabled  bool
	used      *atomic.Int64 // when last, in seconds since 1970
	written   int64         // the last use that the store knows
}

// readKey makes the principal of a kept key once, not for each request.
func readKey(d document.Document, old *heldKey, lookup Lookup) (*heldKey, error) {
	var b keyBody
	if err := json.Unmarshal(d.Body, &b); err != nil {
		return nil, err
	}
	h := &heldKey{expires: b.ExpiresAt, disabled: b.Disabled, used: new(atomic.Int64)}
	if copy(h.mac[:], b.MAC) != macSize {
		return nil, fmt.Errorf("the key %s has no hash", d.ID)
	}
	if !b.LastUsedAt.IsZero() {
		h.written = b.LastUsedAt.Unix()
	}
	if old != nil { // requests may hold the old one
		h.used = old.used
	}
	s, from, err := bounds(b.Filters, b.CIDRs)
	if err != nil {
		return nil, err
	}
	h.principal = Principal{Subject: "key:" + d.ID, KeyID: d.ID, owner: "key:" + cmp.Or(b.First, d.ID), tenants: []string{b.Tenant}, tenantID: d.TenantID,
		roles: rolesOf(b.Roles), scope: s, from: from, expires: b.ExpiresAt, lookup: lookup}
	return h, nil
}

// is compares a MAC, in the same time whether there is a key or not.
func (h *heldKey) is(sum *[macSize]byte) bool {
	var nobody [macSize]byte
	mac := &nobody
	if h != nil {
		mac = &h.mac
	}
	return subtle.ConstantTimeCompare(mac[:], sum[:]) == 1 && h != nil
}

// proved says whether this very text was seen to be the key.
func (h *heldKey) proved(digest *[sha256.Size]byte) bool {
	var nothing [sha256.Size]byte
	proof := &nothing
	if h != nil {
		if p := h.proof.Load(); p != nil {
			proof = p
		}
	}
	return subtle.ConstantTimeCompare(proof[:], digest[:]) == 1 && h != nil
}

// check says why a key that is the right one is refused all the same.
func (h *heldKey) check(client netip.Addr, now time.Time) error {
	switch {
	case !h.expires.IsZero() && !now.Before(h.expires):
		return unauthenticated("key_expired", "the API key has expired; ask an admin of your tenant for a new one")
	case h.disabled:
		return unauthenticated("key_disabled", "the API key is disabled; ask an admin of your tenant")
	}
	return h.principal.cameFrom(client)
}

func (h *heldKey) use(now time.Time) {
	if s := now.Unix(); h.used.Load() < s {
		h.used.Store(s)
	}
}

func errKeyInvalid() error {
	return unauthenticated("key_invalid", "the API key is not one that this server accepts")
}

func errKeyIncomplete() error {
	return unauthenticated("key_invalid", "this is no whole API key: its checksum does not fit; copy it again, from ocl_ to the end")
}

// maxCIDRs bounds what each request of a key is compared with.
const maxCIDRs = 64

// parsePrefixes reads addresses and networks. Kind Invalid, code cidr_invalid.
func parsePrefixes(texts []string) ([]netip.Prefix, error) {
	if len(texts) > maxCIDRs {
		return nil, fault.New(fault.Invalid, "too_many_cidrs", fmt.Sprintf("a key has at most %d networks", maxCIDRs))
	}
	var all []netip.Prefix
	for i, text := range texts {
		p, err := netip.ParsePrefix(text)
		if a, alone := netip.ParseAddr(text); alone == nil && a.Zone() == "" {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil || p.Addr().Is4In6() {
			return nil, &fault.Error{Kind: fault.Invalid, Code: "cidr_invalid", Detail: "a network is written as 10.0.0.0/8 or 2001:db8::/32, an address without /",
				Problems: []fault.Problem{{Pointer: fmt.Sprintf("/cidrs/%d", i), Code: "cidr_invalid", Message: "this is no network and no address"}}}
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

// within says whether every address of the inner networks is in one of the outer.
func within(inner, outer []netip.Prefix) bool {
	if len(outer) == 0 {
		return true
	}
	return len(inner) > 0 && !slices.ContainsFunc(inner, func(in netip.Prefix) bool {
		return !slices.ContainsFunc(outer, func(out netip.Prefix) bool { return out.Bits() <= in.Bits() && out.Contains(in.Addr()) })
	})
}

func prefixTexts(all []netip.Prefix) []string {
	var texts []string
	for _, p := range all {
		texts = append(texts, p.String())
	}
	return texts
}
