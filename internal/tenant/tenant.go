// Package tenant is whose entries they are: tenants, their settings, and a cache of them for the hot path.
package tenant

import "time"

// Info is a tenant as the record store keeps it.
type Info struct {
	ID        string    // internal, random, never reused: 12 characters of [a-z2-7]
	Slug      string    // public, [a-z0-9-]{3,40}, chosen at creation, never changed
	Name      string    // for people; the slug where none was given
	CreatedAt time.Time // UTC
}
