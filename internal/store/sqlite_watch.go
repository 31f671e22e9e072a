package store

import (
	"context"
	"sync"
)

// watchers are those who are told that something was Put in this process, which is the only one that Puts.
type watchers struct {
	mu    sync.Mutex
	rings map[*func()]struct{}
}

func (w *watchers) ring() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for ring := range w.rings {
		(*ring)()
	}
}

// Watch rings behind each commit of Puts. It does not hold up Close.
func (s *SQLite) Watch(ctx context.Context, ring func()) error {
	if err := s.enter(); err != nil {
		return err
	}
	s.leave()
	w := &s.watchers
	w.mu.Lock()
	if w.rings == nil {
		w.rings = map[*func()]struct{}{}
	}
	w.rings[&ring] = struct{}{}
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.rings, &ring)
	}()
	ring()
	<-ctx.Done()
	return failed(ctx.Err(), "watch the record")
}
