// Package document is the small things that the service keeps besides entries: keys, tokens, sessions, views,
// jobs, leases. The record store keeps them; whoever owns a kind knows what its body means.
package document

import "time"

// Kind is what a document is; each kind has a table or collection of its own.
type Kind string

// The kinds.
const (
	Key     Kind = "keys"     // API keys; the id is the key's public part
	Token   Kind = "tokens"   // tokens that were issued or revoked; the id is the jti
	Session Kind = "sessions" // of browsers; the id is the hash of the cookie
	View    Kind = "views"    // saved views
	Job     Kind = "jobs"     // long work and its progress
	Lease   Kind = "leases"   // who does what only one may do at a time
)

// Kinds are all of them.
func Kinds() []Kind { return []Kind{Key, Token, Session, View, Job, Lease} }

// Document is one of them, as the record store keeps it.
type Document struct {
	Kind      Kind
	ID        string    // unique within the kind
	TenantID  string    // internal id of the tenant that it belongs to; empty: to none
	Body      []byte    // JSON
	Version   int64     // 1 when it is created, one more with each change; made by the store
	ChangedAt time.Time // by the store's clock, UTC; made by the store
	ExpiresAt time.Time // from then on it is not found; zero: never
	Deleted   bool      // only among changes: it is gone, and has no body
}
