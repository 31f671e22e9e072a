package drain

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ocelot-log/ocelot/internal/queue"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// deadLetters answers with one count after the other, and then with the last one.
type deadLetters struct{ counts []int64 }

func (q *deadLetters) Stats(context.Context) (queue.Stats, error) {
	n := q.counts[0]
	if len(q.counts) > 1 {
		q.counts = q.counts[1:]
	}
	if n < -1 {
		return queue.Stats{}, errors.New("no answer")
	}
	return queue.Stats{Visible: 5, InFlight: 2, Dead: n, Oldest: -1}, nil
}

func TestDeadLettersAreAnAlarmOnceAndAgainWhenTheyGrow(t *testing.T) {
	const noAnswer = -2
	synctest.Test(t, func(t *testing.T) {
		core, lines := observer.New(zapcore.DebugLevel)
		tel := telemetry.Telemetry{Log: zap.New(core), Metrics: telemetry.NewMetrics()}
		q := &deadLetters{counts: []int64{-1, 0, 3, 3, noAnswer, -1, 2, 3, 4, 0, 0, 1}}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- NewLevels(time.Second, q, nullStore{}, tel).Run(ctx) }()
		var said []int64
		for range 14 {
			synctest.Wait()
			for _, e := range lines.TakeAll() {
				switch e.Level {
				case zapcore.WarnLevel:
					said = append(said, e.ContextMap()["messages"].(int64))
				default:
					said = append(said, 0)
				}
			}
			time.Sleep(time.Second)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if want := []int64{3, 4, 0, 1}; !slices.Equal(said, want) {
			t.Errorf("said %v, want %v", said, want)
		}
		m := tel.Metrics
		if dead, visible := testutil.ToFloat64(m.DeadLetters), testutil.ToFloat64(m.QueueMessages.WithLabelValues("visible")); dead != 1 || visible != 5 {
			t.Errorf("%v dead letters, %v visible", dead, visible)
		}
	})
}
