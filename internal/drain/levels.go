package drain

import (
	"context"
	"time"
)

// watchLevels keeps the gauges of queue, backlog and quarantine.
func (w *Worker) watchLevels(ctx context.Context) {
	t := time.NewTicker(w.cfg.LevelsEvery)
	defer t.Stop()
	for {
		w.levels(ctx)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// levels reads each level; one that can't be read keeps its last value.
func (w *Worker) levels(ctx context.Context) {
	m := w.metrics
	_ = w.call(ctx, "levels", func(ctx context.Context) error {
		s, err := w.queue.Stats(ctx)
		if err == nil {
			m.QueueMessages.WithLabelValues("visible").Set(float64(s.Visible))
			m.QueueMessages.WithLabelValues("in_flight").Set(float64(s.InFlight))
			oldest := s.Oldest.Seconds()
			if s.Oldest < 0 {
				oldest = -1
			}
			m.QueueOldest.Set(oldest)
		}
		return err
	})
	_ = w.call(ctx, "levels", func(ctx context.Context) error {
		s, err := w.store.BacklogStats(ctx)
		if err == nil {
			m.BacklogEntries.Set(float64(s.Entries))
			m.BacklogOldest.Set(s.Oldest.Seconds())
		}
		return err
	})
	_ = w.call(ctx, "levels", func(ctx context.Context) error {
		n, err := w.store.CountQuarantine(ctx)
		if err == nil {
			m.QuarantineSize.Set(float64(n))
		}
		return err
	})
}
