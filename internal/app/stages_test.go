package app

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestStagesStopInTheirOrder(t *testing.T) {
	var mu sync.Mutex
	var stopped []string
	part := func(name string) stage {
		return stage{name, func(ctx context.Context) error {
			<-ctx.Done()
			mu.Lock()
			defer mu.Unlock()
			stopped = append(stopped, name)
			return nil
		}}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := runStages(ctx, []stage{part("http"), part("ingest"), part("worker")}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"http", "ingest", "worker"}; !slices.Equal(stopped, want) {
		t.Errorf("stopped in the order %v, want %v", stopped, want)
	}
}

func TestAStageThatFailsStopsTheOthersAndIsNamed(t *testing.T) {
	broken := errors.New("broken")
	stopped := false
	err := runStages(t.Context(), []stage{
		{"http", func(ctx context.Context) error { <-ctx.Done(); stopped = true; return nil }},
		{"worker", func(context.Context) error { return broken }},
	})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "worker: ") || !stopped {
		t.Errorf("got %v, the other stopped: %t", err, stopped)
	}
}
