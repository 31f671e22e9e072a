package app

import (
	"context"
	"errors"
	"fmt"
)

// stage is a part that lives: run blocks until its context ends, tidies up and returns nil. Without a name its errors
// speak for themselves.
type stage struct {
	name string
	run  func(context.Context) error
}

// runStages starts all stages and stops them one after the other, in their order, when ctx ends or one
// of them returns by itself: the producer of work first, then who works it off.
func runStages(ctx context.Context, stages []stage) error {
	type running struct {
		stage
		stop context.CancelFunc
		done chan struct{}
	}
	var (
		all    = make([]running, len(stages))
		errs   = make([]error, len(stages))
		failed = make(chan struct{}, len(stages))
	)
	for i, s := range stages {
		stageCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
		all[i] = running{s, stop, make(chan struct{})}
		go func() {
			defer close(all[i].done)
			err := s.run(stageCtx)
			switch {
			case err != nil && s.name == "":
				errs[i] = err
			case err != nil:
				errs[i] = fmt.Errorf("%s: %w", s.name, err)
			case stageCtx.Err() == nil:
				errs[i] = fmt.Errorf("%s: stopped by itself", s.name)
			}
			failed <- struct{}{}
		}()
	}
	select {
	case <-ctx.Done():
	case <-failed:
	}
	for _, r := range all {
		r.stop()
		<-r.done
	}
	return errors.Join(errs...)
}
