// Package wait is how to wait between two tries: until ctx ends at the latest, and longer each time.
package wait

import (
	"context"
	"math/rand/v2"
	"time"
)

// For waits for d. Its error is ctx's, where that ended before.
func For(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// Backoff is how long to wait before the next try, after so many before it: first, doubled each time up to most, and
// somewhere in its upper half, so that those who failed together don't come back together.
func Backoff(tries int, first, most time.Duration) time.Duration {
	d := min(first<<min(tries, 20), most)
	return d/2 + rand.N(d/2+1)
}
