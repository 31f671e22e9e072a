package store

import (
	"context"
	"time"
)

// Counter is a sum that processes share, and what one of them adds to it.
type Counter struct {
	Key       string
	Add       int64     // may be negative; 0 asks for the total and makes nothing
	ExpiresAt time.Time // when it may be forgotten; the latest that was given counts
}

// Counters are sums that all processes on one store share: how much a tenant has sent, how many processes
// there are. They survive a restart. A failover may take back what came last: they bound what is let in, and
// nothing of the record depends on them.
type Counters interface {
	// AddCounters adds to all counters and returns their totals in the same order; what others add at the same
	// time may be in them already. Each key stands once in a call. An error means that nothing is known of any.
	AddCounters(ctx context.Context, counters []Counter) ([]int64, error)
	// Counters returns the totals of keys in their order; 0 for one that does not exist.
	Counters(ctx context.Context, keys []string) ([]int64, error)
}

// counterPurge is how long expired counters may stay at the least: removing them is not worth a search each time.
const counterPurge = time.Minute
