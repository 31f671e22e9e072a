package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
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

// Weakness says why nobody should rely on it; empty: nothing that can be seen.
func (s Secret) Weakness() string {
	const few = 8 // of 32 random digits there are more, but once in 10⁷ secrets
	switch {
	case len(s.value) < minSecretBytes:
		return fmt.Sprintf("is shorter than %d bytes", minSecretBytes)
	case different(s.value) < few:
		return "is a few characters again and again"
	}
	return ""
}

// different is how many different bytes a text has.
func different(text string) (n int) {
	var seen [256]bool
	for i := range len(text) {
		if !seen[text[i]] {
			seen[text[i]] = true
			n++
		}
	}
	return n
}

// IsSet says whether there is one.
func (s Secret) IsSet() bool { return s.value != "" }

func (s Secret) String() string               { return "***" }
func (s Secret) GoString() string             { return "***" }
func (s Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }
