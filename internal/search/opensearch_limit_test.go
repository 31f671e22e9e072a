package search_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ocelot-log/ocelot/internal/search"
)

func TestTheLimitFollowsTheCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := search.NewLimiter(8)
		bulks := func(n int, took time.Duration, busy bool) (allowed int) {
			t.Helper()
			for range n {
				time.Sleep(time.Millisecond)
				began := time.Now()
				_, together, _ := l.Now()
				for range together {
					if err := l.Enter(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(took)
				for range together {
					l.Leave(began, busy)
				}
			}
			_, allowed, _ = l.Now()
			return allowed
		}
		for _, c := range []struct {
			name  string
			n     int
			took  time.Duration
			busy  bool
			least int
			most  int
		}{
			{"it begins with two", 1, time.Millisecond, false, 2, 2},
			{"good bulks raise it", 40, time.Millisecond, false, 3, 4},
			{"up to the bound", 500, time.Millisecond, false, 8, 8},
			{"eight that are refused together halve it once", 1, time.Millisecond, true, 4, 4},
			{"slow ones too", 1, 3 * time.Second, false, 2, 2},
			{"one is always allowed", 5, time.Millisecond, true, 1, 1},
			{"and it recovers", 200, time.Millisecond, false, 2, 8},
		} {
			if got := bulks(c.n, c.took, c.busy); got < c.least || got > c.most {
				t.Errorf("%s: %d are allowed, want %d … %d", c.name, got, c.least, c.most)
			}
		}
		if running, _, waiting := l.Now(); running != 0 || waiting != 0 {
			t.Errorf("%d run, %d wait", running, waiting)
		}
	})
}

func TestWhoStopsWaitingTakesNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := search.NewLimiter(1)
		if err := l.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Enter(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		entered := make(chan error)
		go func() { entered <- l.Enter(t.Context()) }()
		synctest.Wait()
		l.Leave(time.Now(), false)
		if err := <-entered; err != nil {
			t.Error(err)
		}
		if running, _, waiting := l.Now(); running != 1 || waiting != 0 {
			t.Errorf("%d run, %d wait", running, waiting)
		}
	})
}
