package search

import (
	"context"
	"sync"
	"time"
)

// limiter bounds how many bulks are on their way at the same time by how the cluster takes them: one
// that was refused for load, or took long, halves the number; many good ones raise it by one.
type limiter struct {
	mu      sync.Mutex
	allowed int
	most    int
	good    int // since the last change, of those that used all that is allowed
	running int
	cut     time.Time // when it was halved last
	waiting []chan struct{}
}

const (
	firstBulks = 2
	goodBulks  = 20              // in a row raise the limit
	slowBulk   = 2 * time.Second // and longer is too long
)

func newLimiter(most int) *limiter { return &limiter{allowed: min(firstBulks, most), most: most} }

// enter waits for a place, first come first served.
func (l *limiter) enter(ctx context.Context) error {
	l.mu.Lock()
	if l.running < l.allowed && len(l.waiting) == 0 {
		l.running++
		l.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	l.waiting = append(l.waiting, turn)
	l.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, w := range l.waiting {
		if w == turn {
			l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
			return ctx.Err()
		}
	}
	l.running-- // it was given a place meanwhile
	l.admit()
	return ctx.Err()
}

// leave gives the place back of a bulk that was sent at `began`. busy: the cluster said that it is.
func (l *limiter) leave(began time.Time, busy bool) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running--
	switch {
	case busy || now.Sub(began) > slowBulk:
		l.good = 0
		if began.After(l.cut) { // those that were under way then say nothing new
			l.allowed, l.cut = max(1, l.allowed/2), now
		}
	case l.running+1 >= l.allowed: // the limit was felt
		if l.good++; l.good >= goodBulks {
			l.good, l.allowed = 0, min(l.most, l.allowed+1)
		}
	}
	l.admit()
}

func (l *limiter) admit() {
	for len(l.waiting) > 0 && l.running < l.allowed {
		close(l.waiting[0])
		l.waiting = l.waiting[1:]
		l.running++
	}
}
