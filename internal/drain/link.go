package drain

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"go.uber.org/zap"
)

// link is whether something that the worker depends on answers. It speaks once when it stops doing so
// and once when it is back.
type link struct {
	what string
	log  *zap.Logger
	down atomic.Bool

	mu    sync.Mutex
	since time.Time
	up    chan struct{} // closed when it is back
}

func (l *link) isDown() bool { return l.down.Load() }

func (l *link) failed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down.Load() {
		return
	}
	l.since, l.up = time.Now(), make(chan struct{})
	l.down.Store(true)
	l.log.Warn("the "+l.what+" is down; nothing is lost, we try again", zap.Stringer("kind", fault.KindOf(err)), zap.Error(err))
}

func (l *link) worked() {
	if !l.down.Load() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down.CompareAndSwap(true, false) {
		close(l.up)
		l.log.Info("the "+l.what+" is back", zap.Duration("after", time.Since(l.since)))
	}
}

// wait returns when it is up or ctx ends.
func (l *link) wait(ctx context.Context) {
	l.mu.Lock()
	up, down := l.up, l.down.Load()
	l.mu.Unlock()
	if !down {
		return
	}
	select {
	case <-up:
	case <-ctx.Done():
	}
}
