package drain

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"go.uber.org/zap"
)

const codePanic = "panic"

// guard runs fn and makes an error of a panic, counted and logged here.
func (w *Worker) guard(stage string, fn func() error) (err error) {
	return guard(stage, w.log, w.metrics, fn)
}

func guard(stage string, log *zap.Logger, metrics *telemetry.Metrics, fn func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			what := fmt.Sprintf("%T", r) // its text may hold what was sent to us
			if re, ok := r.(runtime.Error); ok {
				what = re.Error()
			}
			metrics.Panics.Inc()
			log.Error("a panic was caught; the batch counts as failed", zap.String("stage", stage),
				zap.String("panic", what), zap.ByteString("stack", debug.Stack()))
			err = fault.New(fault.Internal, codePanic, what)
		}
	}()
	return fn()
}

// call is guard with a deadline and with its duration noted.
func (w *Worker) call(work context.Context, stage string, fn func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(work, w.cfg.CallTimeout)
	defer cancel()
	start := time.Now()
	err := w.guard(stage, func() error { return fn(ctx) })
	if o, known := w.stages[stage]; known {
		o.Observe(time.Since(start).Seconds())
	}
	return err
}

// outage tells a dependency that can't serve anybody from a call that failed for what was in it.
func outage(err error) bool {
	switch fault.KindOf(err) {
	case fault.Unavailable, fault.Full, fault.Timeout, fault.Limited:
		return true
	}
	return false
}

// panicked tells an error that guard made.
func panicked(err error) bool { return fault.Of(err).Code == codePanic }
