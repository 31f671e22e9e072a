package auth

import (
	"crypto/rand"
	"hash/crc32"
	"strings"
)

// An API key is ocl_<public>_<secret><checksum>: 8, 32 and 6 of base62. The public part is its id. The checksum is the
// CRC-32 of what stands before it: it tells a typo or half a key at once, and lets a scanner find keys that leaked.
const (
	keyPrefix   = "ocl_"
	publicSize  = 8
	secretSize  = 32
	sumSize     = 6
	keySize     = len(keyPrefix) + publicSize + 1 + secretSize + sumSize
	base62      = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	bytesOfRand = 248 // the multiple of 62 below 256: a byte from there on would favour the first digits
)

// newKeyText makes a key. Its id is the public part.
func newKeyText() (id, text string) {
	id = random62(publicSize)
	text = keyPrefix + id + "_" + random62(secretSize)
	return id, text + checksum62(text)
}

// looksLikeKey tells a key of this form, whole or not, from a token.
func looksLikeKey(text string) bool { return strings.HasPrefix(text, keyPrefix) }

// keyID is where the public part of a key is; empty: this is none.
func keyID(text string) string {
	if len(text) != keySize || !looksLikeKey(text) || text[len(keyPrefix)+publicSize] != '_' {
		return ""
	}
	return text[len(keyPrefix) : len(keyPrefix)+publicSize]
}

// whole says whether a key that has an id is one that was made and copied without a fault.
func whole(text string) bool {
	return is62(keyID(text)) && is62(text[len(keyPrefix)+publicSize+1:]) && checksum62(text[:keySize-sumSize]) == text[keySize-sumSize:]
}

func is62(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

func checksum62(text string) string {
	sum := crc32.ChecksumIEEE([]byte(text))
	var b [sumSize]byte
	for i := sumSize - 1; i >= 0; i-- {
		b[i] = base62[sum%62]
		sum /= 62
	}
	return string(b[:])
}

func random62(n int) string {
	out := make([]byte, 0, n)
	var b [64]byte
	for len(out) < n {
		_, _ = rand.Read(b[:]) // never fails
		for _, c := range b {
			if c < bytesOfRand && len(out) < n {
				out = append(out, base62[c%62])
			}
		}
	}
	return string(out)
}
