package query

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// maxSealed is the longest sealed text that is looked at.
const maxSealed = 512

// Seal signs and hides something that a client keeps and brings back with the same question, for one purpose: who opens it for
// another, or with another binding, does not get it. The client can't read it: a place in the record tells of what others recorded.
// The same has the same text. Unlike a cursor's place it may have any length up to 255 bytes.
func (c *Cursors) Seal(purpose string, payload []byte, binding string) string {
	b := append(c.sealing(purpose, payload, binding), payload...)
	c.hide(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// hide changes what is behind the signature to what nobody can read, and back: the signature, which is another one for every payload, is
// what the key's stream begins with.
func (c *Cursors) hide(b []byte) {
	mac := hmac.New(sha256.New, c.key)
	mac.Write([]byte("hide\x00"))
	block, err := aes.NewCipher(mac.Sum(nil))
	if err != nil {
		panic(err) // a key of 32 bytes is one
	}
	cipher.NewCTR(block, b[:sealSize]).XORKeyStream(b[sealSize:], b[sealSize:])
}

// Open gives back what Seal was given with the same purpose and binding. Anything else is a fault of kind Malformed,
// code cursor_invalid.
func (c *Cursors) Open(purpose, sealed, binding string) ([]byte, error) {
	if len(sealed) > maxSealed {
		return nil, cursorFault(codeCursor, badCursor)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if err != nil || len(b) < sealSize {
		return nil, cursorFault(codeCursor, badCursor)
	}
	if c.hide(b); !hmac.Equal(b[:sealSize], c.sealing(purpose, b[sealSize:], binding)) {
		return nil, cursorFault(codeCursor, badCursor)
	}
	return b[sealSize:], nil
}

const sealSize = 16

// sealing is over lengths too, so that nothing can move between the parts.
func (c *Cursors) sealing(purpose string, payload []byte, binding string) []byte {
	mac := hmac.New(sha256.New, c.key)
	mac.Write([]byte("seal\x00" + purpose + "\x00"))
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(payload)))
	mac.Write(n[:])
	mac.Write(payload)
	mac.Write([]byte(binding))
	return mac.Sum(nil)[:sealSize]
}
