package store

import "context"

// Purger removes what a tenant has, for good.
type Purger interface {
	// PurgeTenant removes up to about max records of a tenant, by its internal id, with what the backlog holds of
	// them, and then what is quarantined of it. It may be called again and again, by several at once, and after a
	// crash anywhere; records that are put meanwhile are removed by a later call. While it is at work reads of that
	// tenant may find some of its records and not others.
	PurgeTenant(ctx context.Context, tenantID string, max int) (Purged, error)
}

// Purged is what one call removed.
type Purged struct {
	Records     int64
	Quarantined int64
	More        bool // something may be left: call again
}
