package drain

import (
	"context"
	"time"

	"github.com/ocelot-log/ocelot/internal/queue"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"go.uber.org/zap"
)

// Levels keeps the gauges of queue, dead-letter queue, backlog and quarantine. A worker has its own; the API
// runs one too, for that is who still tells of a full queue when all workers are gone.
type Levels struct {
	every   time.Duration
	queue   levelQueue
	store   levelStore
	log     *zap.Logger
	metrics *telemetry.Metrics
	dead    int64 // most dead letters that were spoken of since there were none
}

type levelQueue interface {
	Stats(ctx context.Context) (queue.Stats, error)
}

type levelStore interface {
	BacklogStats(ctx context.Context) (store.BacklogStats, error)
	CountQuarantine(ctx context.Context) (int64, error)
}

// levelsTimeout bounds one question.
const levelsTimeout = 30 * time.Second

// NewLevels makes what Run runs. Levels are read at once and then every so often; 0: every 15 s.
func NewLevels(every time.Duration, q levelQueue, st levelStore, tel telemetry.Telemetry) *Levels {
	or(&every, 15*time.Second)
	return &Levels{every: every, queue: q, store: st, log: tel.Log, metrics: tel.Metrics}
}

// Run keeps the gauges until ctx ends, and returns nil.
func (l *Levels) Run(ctx context.Context) error {
	t := time.NewTicker(l.every)
	defer t.Stop()
	for {
		l.read(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// read reads each level; one that can't be read keeps its last value.
func (l *Levels) read(ctx context.Context) {
	m := l.metrics
	l.ask(ctx, func(ctx context.Context) error {
		s, err := l.queue.Stats(ctx)
		if err == nil {
			m.QueueMessages.WithLabelValues("visible").Set(float64(s.Visible))
			m.QueueMessages.WithLabelValues("in_flight").Set(float64(s.InFlight))
			oldest := s.Oldest.Seconds()
			if s.Oldest < 0 {
				oldest = -1
			}
			m.QueueOldest.Set(oldest)
			m.DeadLetters.Set(float64(s.Dead))
			l.alarm(s.Dead)
		}
		return err
	})
	l.ask(ctx, func(ctx context.Context) error {
		s, err := l.store.BacklogStats(ctx)
		if err == nil {
			m.BacklogEntries.Set(float64(s.Entries))
			m.BacklogOldest.Set(s.Oldest.Seconds())
		}
		return err
	})
	l.ask(ctx, func(ctx context.Context) error {
		n, err := l.store.CountQuarantine(ctx)
		if err == nil {
			m.QuarantineSize.Set(float64(n))
		}
		return err
	})
}

func (l *Levels) ask(ctx context.Context, fn func(ctx context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, levelsTimeout)
	defer cancel()
	_ = guard("levels", l.log, l.metrics, func() error { return fn(ctx) })
}

// alarm speaks when there are dead letters, and again when there are more of them than ever since. Counts are
// approximate, so one that goes up and down says nothing new.
func (l *Levels) alarm(dead int64) {
	switch {
	case dead > l.dead:
		l.log.Warn("messages are in the dead-letter queue; their entries may be recorded nowhere else: find out why they failed, then move them back to the queue",
			zap.Int64("messages", dead), zap.Int64("before", l.dead))
		l.dead = dead
	case dead == 0 && l.dead > 0:
		l.log.Info("the dead-letter queue is empty again")
		l.dead = 0
	}
}
