package query

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// maxSealed is the longest sealed text that is looked at.
const maxSealed = 512

// Seal signs something that a client keeps and brings back with the same question, for one purpose: who opens it for
// another, or with another binding, does not get it. Unlike a cursor's place it may have any length up to 255 bytes.
func (c *Cursors) Seal(purpose string, payload []byte, binding string) string {
	return base64.RawURLEncoding.EncodeToString(append(c.sealing(purpose, payload, binding), payload...))
}

// Open gives back what Seal was given with the same purpose and binding. Anything else is a fault of kind Malformed,
// code cursor_invalid.
func (c *Cursors) Open(purpose, sealed, binding string) ([]byte, error) {
	if len(sealed) > maxSealed {
		return nil, cursorFault(codeCursor, badCursor)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if err != nil || len(b) < sealSize || !hmac.Equal(b[:sealSize], c.sealing(purpose, b[sealSize:], binding)) {
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
