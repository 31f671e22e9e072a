package search

import (
	"context"
	"sync"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// line is where Adds wait while one is at work. Whoever finds nobody at work leads: it takes what waits,
// its own included, and writes it in one transaction, because a transaction costs about as much for few
// entries as for many.
type line struct {
	mu      sync.Mutex
	waiting []*addition
	lead    chan struct{} // holds one token while nobody leads
}

// addition is an Add that waits.
type addition struct {
	records  []logentry.Record
	verdicts []Verdict
	err      error
	done     chan struct{}

	items []item   // in their order, where the terms were made ahead
	ahead *builder // their terms; otherwise nil
}

// maxTogether is how many records go into one transaction, unless one Add alone has more.
const maxTogether = 20_000

func newLine() *line {
	l := &line{lead: make(chan struct{}, 1)}
	l.lead <- struct{}{}
	return l
}

// run queues a, leads if it must, and returns when a is done. ctx ends the wait only while nobody has
// begun with a.
func (l *line) run(ctx context.Context, a *addition, work func([]*addition)) {
	l.mu.Lock()
	l.waiting = append(l.waiting, a)
	l.mu.Unlock()
	for {
		select {
		case <-a.done:
			return
		case <-l.lead:
			l.serve(work)
		case <-ctx.Done():
			if l.leave(a) {
				a.err = fault.As(fault.Unavailable, "storage_busy", ctx.Err())
				return
			}
			<-a.done
			return
		}
	}
}

// serve settles the Adds at the front; whatever happens, somebody can lead after it.
func (l *line) serve(work func([]*addition)) {
	defer func() { l.lead <- struct{}{} }()
	group := l.take()
	if len(group) == 0 {
		return
	}
	defer func() {
		for _, a := range group {
			close(a.done)
		}
	}()
	work(group)
}

// take removes the first Adds that fit together.
func (l *line) take() []*addition {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, records := 0, 0
	for n < len(l.waiting) && (n == 0 || l.waiting[0].ahead == nil && l.waiting[n].ahead == nil && records+len(l.waiting[n].records) <= maxTogether) {
		records += len(l.waiting[n].records)
		n++
	}
	group := append([]*addition(nil), l.waiting[:n]...)
	l.waiting = append(l.waiting[:0], l.waiting[n:]...)
	return group
}

// leave removes a if nobody has begun with it.
func (l *line) leave(a *addition) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, w := range l.waiting {
		if w == a {
			l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
			return true
		}
	}
	return false
}
