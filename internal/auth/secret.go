package auth

import (
	"crypto/hmac"
	"crypto/sha256"
)

// Secret is a value that never shows itself: every way of printing it gives ***.
type Secret struct{ value string }

// NewSecret hides value.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal is the value, for the one call that needs it.
func (s Secret) Reveal() string { return s.value }

// derive makes a secret of its own for one purpose, so that all processes with one secret agree.
func (s Secret) derive(purpose string) Secret {
	if !s.IsSet() {
		return Secret{}
	}
	mac := hmac.New(sha256.New, []byte(s.value))
	mac.Write([]byte("ocelot " + purpose))
	return Secret{string(mac.Sum(nil))}
}

// IsSet says whether there is one.
func (s Secret) IsSet() bool { return s.value != "" }

func (s Secret) String() string               { return "***" }
func (s Secret) GoString() string             { return "***" }
func (s Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }
