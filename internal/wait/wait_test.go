package wait

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestWaitingEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if err := For(t.Context(), time.Hour); err != nil || time.Since(began) != time.Hour {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began = time.Now()
		if err := For(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Minute {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		for _, d := range []time.Duration{0, -time.Second} {
			if err := For(ctx, d); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("no time, and ctx has ended: %v", err)
			}
			if err := For(t.Context(), d); err != nil {
				t.Errorf("no time: %v", err)
			}
		}
	})
}

func TestBackoff(t *testing.T) {
	const first, most = 100 * time.Millisecond, time.Second
	for tries, whole := range map[int]time.Duration{0: first, 1: 2 * first, 3: 8 * first, 4: most, 21: most, 1 << 40: most} {
		for range 100 {
			if d := Backoff(tries, first, most); d < whole/2 || d > whole {
				t.Errorf("after %d tries %s", tries, d)
			}
		}
	}
}
