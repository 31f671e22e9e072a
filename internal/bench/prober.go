package bench

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/ocelot-log/ocelot/internal/wait"
)

// prober searches for sampled entries until it finds them. It asks for the oldest ones first, many at once, and
// waits four times as long as the last search took, so that it never takes more than a fifth of a core
// of the service, nor asks more than a hundred times a second.
type prober struct {
	reader  reader
	gen     *Generator
	samples <-chan sample

	latency *hdrhistogram.Histogram // of run alone until it has returned
	errors  atomic.Int64
	waiting atomic.Int64 // samples that were not found yet
}

func newProber(cfg Config, gen *Generator, samples <-chan sample) *prober {
	return &prober{reader: reader{cfg: cfg}, gen: gen, samples: samples, latency: hdrhistogram.New(1, maxLatency, 3)}
}

// run probes until ctx ends.
func (p *prober) run(ctx context.Context) {
	var pending []sample
	for {
		if len(pending) == 0 {
			select {
			case <-ctx.Done():
				return
			case s := <-p.samples:
				pending = append(pending, s)
			}
		}
		for more := true; more; {
			select {
			case s := <-p.samples:
				pending = append(pending, s)
			default:
				more = false
			}
		}
		p.waiting.Store(int64(len(pending)))
		begun := time.Now()
		left, err := p.round(ctx, pending)
		pause := max(10*time.Millisecond, 4*time.Since(begun))
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			p.errors.Add(1)
			pause = max(pause, 500*time.Millisecond)
		}
		pending = left
		p.waiting.Store(int64(len(pending) + len(p.samples)))
		if wait.For(ctx, pause) != nil {
			return
		}
	}
}

// round asks once for the oldest samples of one tenant, and returns those that are still to be found. The
// ones that were asked for and not found go behind the others, so that one lost entry does not hold up all.
func (p *prober) round(ctx context.Context, pending []sample) ([]sample, error) {
	tenant := pending[0].tenant
	var asked, others []sample
	var requestIDs []string
	for _, s := range pending {
		if s.tenant == tenant && len(asked) < probeAtOnce {
			asked = append(asked, s)
			requestIDs = append(requestIDs, p.gen.RequestID(s.number))
		} else {
			others = append(others, s)
		}
	}
	found, err := p.reader.found(ctx, tenant, requestIDs)
	if err != nil {
		return pending, err
	}
	now := time.Now()
	var missing []sample
	for i, s := range asked {
		switch {
		case !found[requestIDs[i]]:
			missing = append(missing, s)
		case !s.last:
			_ = p.latency.RecordValue(clamp(now.Sub(s.acked)))
		}
	}
	if len(missing) == len(asked) {
		return append(others, missing...), nil
	}
	return append(missing, others...), nil
}
