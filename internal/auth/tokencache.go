package auth

import (
	"crypto/sha256"
	"sync"
	"time"
)

// maxCachedTokens bounds the memory of the cache to a few megabytes.
const maxCachedTokens = 4_096

// tokenCache remembers verified tokens by their digest until they expire, so that a busy producer's token
// is verified once. What was refused is not remembered.
type tokenCache struct {
	mu      sync.RWMutex
	entries map[[sha256.Size]byte]cachedToken
}

type cachedToken struct {
	principal Principal
	until     time.Time
}

func newTokenCache() *tokenCache {
	return &tokenCache{entries: make(map[[sha256.Size]byte]cachedToken)}
}

func (c *tokenCache) get(token string, now time.Time) (Principal, bool) {
	key := sha256.Sum256([]byte(token))
	c.mu.RLock()
	e, ok := c.entries[key]
	c.mu.RUnlock()
	if !ok || !now.Before(e.until) {
		return Principal{}, false
	}
	return e.principal, true
}

func (c *tokenCache) put(token string, p Principal, until, now time.Time) {
	key := sha256.Sum256([]byte(token))
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.entries) >= maxCachedTokens {
		for k, e := range c.entries {
			if !now.Before(e.until) {
				delete(c.entries, k)
			}
		}
		for k := range c.entries { // whichever comes first: it costs its owner one verification
			if len(c.entries) < maxCachedTokens {
				break
			}
			delete(c.entries, k)
		}
	}
	c.entries[key] = cachedToken{p, until}
}
