package auth

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/ocelot-log/ocelot/internal/tenant"
)

// minStaticLength is as long as 16 random hex digits: nobody can guess offline, and each guess is a request.
const minStaticLength = 16

// StaticKey is a key that the settings give, not the API: it can't be listed, changed or revoked without a restart.
type StaticKey struct {
	key    Secret
	tenant string
	roles  []string
}

// ParseStaticKeys reads API_KEYS: keys between commas, each `key:tenant:role` or the key alone, which reads and writes
// for the tenant default. Roles are joined by +. An error names a key by its place only.
func ParseStaticKeys(setting Secret) ([]StaticKey, error) {
	var all []StaticKey
	if !setting.IsSet() {
		return nil, nil
	}
	for i, one := range strings.Split(setting.Reveal(), ",") {
		parts := strings.Split(strings.TrimSpace(one), ":")
		k := StaticKey{tenant: "default", roles: []string{"writer", "reader"}}
		switch len(parts) {
		case 1:
		case 3:
			k.tenant, k.roles = parts[1], strings.Split(parts[2], "+")
		default:
			return nil, fmt.Errorf("key %d is neither key:tenant:role nor a key alone; a key holds no : and no comma", i+1)
		}
		k.key = NewSecret(parts[0])
		switch {
		case len(parts[0]) < minStaticLength:
			return nil, fmt.Errorf("key %d has %d characters; it must have at least %d, from a random source: openssl rand -hex 16", i+1, len(parts[0]), minStaticLength)
		case different(parts[0]) < 5:
			return nil, fmt.Errorf("key %d is a few characters again and again; it must come from a random source: openssl rand -hex 16", i+1)
		case strings.ContainsFunc(parts[0], func(r rune) bool { return r <= ' ' || r > '~' }):
			return nil, fmt.Errorf("key %d holds something else than visible ASCII characters, which no header can carry", i+1)
		case looksLikeKey(parts[0]):
			return nil, fmt.Errorf("key %d begins with %s, as the keys that the API makes do; choose another", i+1, keyPrefix)
		case !tenant.ValidSlug(k.tenant):
			return nil, fmt.Errorf("the tenant of key %d is none: 3 to 40 of a-z, 0-9 and -", i+1)
		case slices.ContainsFunc(k.roles, func(name string) bool { _, ok := ParseRole(name); return !ok }):
			return nil, fmt.Errorf("the role of key %d is none: writer, reader or admin, several joined by +", i+1)
		case slices.ContainsFunc(all, func(o StaticKey) bool { return o.key == k.key }):
			return nil, fmt.Errorf("key %d stands there before", i+1)
		}
		all = append(all, k)
	}
	return all, nil
}

// held is the key as a request meets it. Its id is a piece of its MAC, which nobody makes without the pepper.
func (k *StaticKey) held(mac [macSize]byte, lookup Lookup) *heldKey {
	id := fmt.Sprintf("setting-%x", mac[:6])
	return &heldKey{used: new(atomic.Int64), principal: Principal{Subject: "key:" + id, KeyID: id, tenants: []string{k.tenant}, roles: rolesOf(k.roles), lookup: lookup}}
}
