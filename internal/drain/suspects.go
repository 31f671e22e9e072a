package drain

import (
	"math/rand/v2"
	"sync"
)

// suspects are deliveries that came often. Which one is next is left to chance: if one of them ends the
// process each time, the others get past it sooner or later.
type suspects struct {
	mu      sync.Mutex
	changed sync.Cond
	waiting []*delivery // bounded by the budget
	closed  bool
}

func newSuspects() *suspects {
	s := &suspects{}
	s.changed.L = &s.mu
	return s
}

// add adds those that came together, so that chance has a choice from the start.
func (s *suspects) add(ds []*delivery) {
	s.mu.Lock()
	s.waiting = append(s.waiting, ds...)
	s.mu.Unlock()
	s.changed.Signal()
}

// take waits for a suspect; nil when there will be none.
func (s *suspects) take() *delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.waiting) == 0 && !s.closed {
		s.changed.Wait()
	}
	n := len(s.waiting)
	if n == 0 {
		return nil
	}
	i := rand.IntN(n)
	d := s.waiting[i]
	s.waiting[i], s.waiting[n-1] = s.waiting[n-1], nil
	s.waiting = s.waiting[:n-1]
	return d
}

func (s *suspects) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.changed.Broadcast()
}
