package drain

import (
	"context"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"go.uber.org/zap"
)

// heartbeat keeps hidden what we hold: each delivery is extended when a third of its visibility is over.
func (w *Worker) heartbeat(ctx context.Context) {
	timer := time.NewTimer(w.cfg.Visibility / 3) // nothing that arrives later is due earlier
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		next := w.cfg.Visibility / 3
		_ = w.guard("heartbeat", func() error {
			next = w.extendDue(ctx)
			return nil
		})
		timer.Reset(next)
	}
}

// extendDue extends what is due and returns when to look again.
func (w *Worker) extendDue(ctx context.Context) time.Duration {
	w.extending.Lock()
	defer w.extending.Unlock()
	now := time.Now() // before the call: the queue may count from any moment of it
	due, tooLong := w.held.due(now, w.cfg.MaxExtendTotal)
	for _, d := range tooLong {
		w.lose(d, "a message was held for too long; its work is given up")
	}
	if len(due) > 0 {
		receipts := make([]string, len(due))
		for i, d := range due {
			receipts[i] = d.message.Receipt
		}
		var errs []error
		err := w.call(ctx, "extend", func(ctx context.Context) error {
			errs = w.queue.Extend(ctx, receipts, w.cfg.Visibility)
			return nil
		})
		for i, d := range due {
			e := err
			if i < len(errs) {
				e = errs[i]
			}
			w.extended(d, now, e)
		}
	}
	return w.held.next(time.Now(), w.cfg.Visibility/3)
}

func (w *Worker) extended(d *delivery, now time.Time, err error) {
	switch {
	case err == nil:
		w.metrics.Extensions.WithLabelValues("ok").Inc()
		w.held.setDue(d, now.Add(w.cfg.Visibility/3))
	case fault.KindOf(err) == fault.NotFound:
		w.lose(d, "a message is no longer ours; its work is given up")
	default: // there is time for some more tries
		w.metrics.Extensions.WithLabelValues("error").Inc()
		w.held.setDue(d, time.Now().Add(w.cfg.Visibility/9))
	}
}

// lose gives up the work on a delivery: the stages drop it when they come to it, and it is not deleted.
func (w *Worker) lose(d *delivery, why string) {
	if !w.held.remove(d) { // it was settled meanwhile
		return
	}
	d.lost.Store(true)
	w.metrics.Extensions.WithLabelValues("lost").Inc()
	w.log.Debug(why, zap.Int("receives", d.message.Receives), zap.Duration("held", time.Since(d.since)), traces(d))
}

// due returns what must be extended now, and what was held for longer than most.
func (h *held) due(now time.Time, most time.Duration) (due, tooLong []*delivery) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for d := range h.all {
		switch {
		case now.Sub(d.since) > most:
			tooLong = append(tooLong, d)
		case !d.due.After(now):
			due = append(due, d)
		}
	}
	return due, tooLong
}

// next is how long nothing is due, at most most.
func (h *held) next(now time.Time, most time.Duration) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	for d := range h.all {
		most = min(most, d.due.Sub(now))
	}
	return max(most, time.Millisecond)
}

func (h *held) setDue(d *delivery, at time.Time) {
	h.mu.Lock()
	d.due = at
	h.mu.Unlock()
}
