package tenant

import (
	"crypto/rand"

	"github.com/ocelot-log/ocelot/internal/fault"
)

// ValidSlug says whether slug may name a tenant: 3 to 40 of [a-z0-9-].
func ValidSlug(slug string) bool {
	if len(slug) < 3 || len(slug) > 40 {
		return false
	}
	for i := range len(slug) {
		c := slug[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// CheckSlug is the fault of a slug that is not valid: kind Invalid, code tenant_slug_invalid.
func CheckSlug(slug string) error {
	if ValidSlug(slug) {
		return nil
	}
	return fault.New(fault.Invalid, "tenant_slug_invalid", "a tenant's id is 3 to 40 of a-z, 0-9 and -")
}

// NewID makes an internal id: 12 random characters of [a-z2-7], 60 bits.
func NewID() string {
	const alphabet = "abcdefghijklmnopqrstuvwxyz234567"
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	for i := range b {
		b[i] = alphabet[b[i]&31]
	}
	return string(b[:])
}
