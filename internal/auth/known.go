package auth

import (
	"crypto/sha256"
	"time"
)

// Known says whether the credentials of a request are somebody's, by what this process has: neither the store nor an
// issuer of tokens is asked. They may be refused all the same.
func (a *Authenticator) Known(r Request) bool {
	c, err := credentials(r.Header, r.RawQuery)
	if err != nil || len(c.text) > maxTokenBytes {
		return false
	}
	if _, ok, _ := a.keys.fixedKey(c.text, r.Client, a.now()); ok {
		return true
	}
	if !c.key {
		if _, ok := a.tokens.get(c.text, a.ring.generation(), a.now()); ok {
			return true
		}
		_, err := a.verify(c.text, a.ring.held)
		return err == nil
	}
	id := keyID(c.text)
	h := a.keys.held.get(id)
	if digest := sha256.Sum256([]byte(c.text)); h.proved(&digest) {
		return true
	}
	if id == "" || !whole(c.text) {
		return false
	}
	sum := a.keys.mac(c.text)
	return h.is(&sum)
}

// Known says the same of a session's cookie. One of a session that is over is nobody's any more.
func (s *Sessions) Known(cookie string) bool {
	id := sessionID(cookie)
	if id == "" {
		return false
	}
	h := s.held.get(id)
	return h != nil && !h.ended && !h.over(time.Now())
}
