package mask

import (
	"crypto/hmac"
	"crypto/sha256"
	"sync"
)

// Set compiles the rules of each tenant once for each of its versions. It may be used concurrently.
type Set struct {
	key      []byte
	standard *Masker // of a tenant without rules
	mu       sync.RWMutex
	byTenant map[string]versioned
}

type versioned struct {
	version int64
	masker  *Masker
}

// maxCompiled bounds the compiled rules that are kept; over it all are made again.
const maxCompiled = 10_000

// NewSet makes a set without tenants. Hashes follow from key: with the same key they are the same everywhere.
func NewSet(key []byte) *Set {
	standard, err := New(nil, nil) // hashes nothing
	if err != nil {
		panic("mask: no rules are valid rules")
	}
	return &Set{key: append([]byte(nil), key...), standard: standard, byTenant: map[string]versioned{}}
}

// Of is the masker of a tenant whose rules are these in this version.
func (s *Set) Of(tenantID string, version int64, rules []Rule) (*Masker, error) {
	if len(rules) == 0 {
		return s.standard, nil
	}
	s.mu.RLock()
	v, ok := s.byTenant[tenantID]
	s.mu.RUnlock()
	if ok && v.version == version {
		return v.masker, nil
	}
	m, err := s.Compile(tenantID, rules)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.byTenant) >= maxCompiled {
		clear(s.byTenant)
	}
	s.byTenant[tenantID] = versioned{version, m}
	return m, nil
}

// Standard is the masker of a tenant without rules.
func (s *Set) Standard() *Masker { return s.standard }

// Compile makes the masker of a tenant with other rules than its own, and keeps nothing.
func (s *Set) Compile(tenantID string, rules []Rule) (*Masker, error) {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte("mask " + tenantID))
	return New(rules, mac.Sum(nil))
}
