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
	principal  Principal
	until      time.Time
	generation uint64 // of the keys that it was verified with
}

func newTokenCache() *tokenCache {
	return &tokenCache{entries: make(map[[sha256.Size]byte]cachedToken)}
}

func (c *tokenCache) get(token string, generation uint64, now time.Time) (Principal, bool) {
	key := sha256.Sum256([]byte(token))
	c.mu.RLock()
	e, ok := c.entries[key]
	c.mu.RUnlock()
	if !ok || !now.Before(e.until) || e.generation != generation {
		return Principal{}, false
	}
	return e.principal, true
}

func (c *tokenCache) put(token string, p Principal, generation uint64, until time.Time) {
	key := sha256.Sum256([]byte(token))
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.entries) >= maxCachedTokens {
		for k := range c.entries { // whichever come first: it costs their owners one verification
			if len(c.entries) <= maxCachedTokens*15/16 {
				break
			}
			delete(c.entries, k)
		}
	}
	c.entries[key] = cachedToken{p, until, generation}
}
