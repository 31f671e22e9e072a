package auth

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Load reads everything that requests are checked with. Before it nothing that is kept is known. Kind Unavailable: the store
// or the endpoint of the keys does not answer.
func (a *Authenticator) Load(ctx context.Context) error {
	if a.ring.remote != nil {
		if err := a.ring.remote.refresh(ctx); err != nil {
			return err
		}
	}
	if a.kept == nil {
		return nil
	}
	return errors.Join(a.keys.held.load(ctx), a.issued.held.load(ctx), a.opened.held.load(ctx))
}

// Run keeps what Load has read up to date until ctx ends, writes down what was used, and returns nil.
func (a *Authenticator) Run(ctx context.Context) error {
	var running sync.WaitGroup
	if a.ring.remote != nil {
		running.Go(func() { a.ring.remote.run(ctx) })
	}
	if a.kept == nil {
		running.Wait()
		<-ctx.Done()
		return nil
	}
	running.Go(func() { every(ctx, pollEvery, a.poll(a.keys.held.poll, a.issued.held.poll, a.opened.held.poll)) })
	running.Go(func() {
		every(ctx, useEvery/4, func(ctx context.Context) { a.keys.writeUses(ctx); a.opened.writeUses(ctx) })
	})
	running.Wait()
	return nil
}

// poll is a reading that says when it begins to fail and when it works again.
func (a *Authenticator) poll(polls ...func(context.Context) error) func(context.Context) {
	failing := false
	return func(ctx context.Context) {
		reading, cancel := context.WithTimeout(ctx, pollTimeout)
		defer cancel()
		var err error
		for _, p := range polls {
			err = errors.Join(err, p(reading))
		}
		switch {
		case ctx.Err() != nil:
		case err != nil && !failing:
			failing = true
			a.log.Warn("changes of keys, tokens and sessions can't be read: what was known holds until they can", zap.Error(err))
		case err == nil && failing:
			failing = false
			a.log.Info("changes of keys, tokens and sessions are read again")
		}
	}
}

func every(ctx context.Context, pause time.Duration, do func(context.Context)) {
	t := time.NewTicker(pause)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			do(ctx)
		}
	}
}
