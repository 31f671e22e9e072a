package search

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
)

// silence tells a cluster that does not answer at all from a search that takes long: a host that hangs, or
// a network that swallows everything, refuses nothing. Who searches can ask the record then, while there is time.
type silence struct {
	until atomic.Int64 // nanoseconds of the clock; before it nobody asks
}

const (
	silencePatience = 4                      // a search waits for this part of its time before the cluster is asked whether it is there, and as long for an answer to that
	leastPatience   = 200 * time.Millisecond // less says nothing of the cluster
	silenceLasts    = 2 * time.Second
)

var errSilent = errors.New("it does not even say who it is")

// broken is the fault of a cluster that was found silent just now.
func (s *silence) broken(at string) error {
	if time.Now().UnixNano() >= s.until.Load() {
		return nil
	}
	return &fault.Error{Kind: fault.Unavailable, Code: "opensearch_unreachable", Detail: "OpenSearch at " + at + " does not answer", RetryAfter: silenceLasts, Err: errSilent}
}

// watch ends the context it returns, with errSilent as the cause, when nothing is heard of the cluster in
// half of the time that is left.
func (o *OpenSearch) watch(ctx context.Context, left time.Duration) (watched context.Context, done func()) {
	patience := left / silencePatience
	if patience < leastPatience {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	t := time.AfterFunc(patience, func() {
		probe, end := context.WithTimeout(ctx, patience)
		defer end()
		if _, err := o.call(probe, request{method: "GET", path: "/", query: "filter_path=version.number"}); err != nil && ctx.Err() == nil {
			o.silence.until.Store(time.Now().Add(silenceLasts).UnixNano())
			cancel(errSilent)
		}
	})
	return ctx, func() { t.Stop(); cancel(nil) }
}
