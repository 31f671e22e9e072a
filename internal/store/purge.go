package store

import (
	"context"
	"time"
)

// Purger removes what a tenant has, for good.
type Purger interface {
	// PurgeTenant removes up to about max records of a tenant, by its internal id, with what the backlog holds of
	// them, and then what is quarantined of it. It may be called again and again, by several at once, and after a
	// crash anywhere; records that are put meanwhile are removed by a later call. While it is at work reads of that
	// tenant may find some of its records and not others.
	PurgeTenant(ctx context.Context, tenantID string, max int) (Purged, error)
	// PurgeOld removes records of a tenant that were received before a time, with what the backlog holds of them, and
	// nothing younger. It looks at about max records, from a place on: none to begin with, then Next of the call before. It
	// may be called by several at once and after a crash anywhere; what is put meanwhile may be left to another walk.
	PurgeOld(ctx context.Context, tenantID string, before time.Time, from string, max int) (Purged, error)
}

// Purged is what one call removed.
type Purged struct {
	Records     int64
	Quarantined int64
	More        bool   // something may be left: call again
	Left        int64  // records that could not be removed yet: walk again later
	Next        string // of PurgeOld: where to go on
}
