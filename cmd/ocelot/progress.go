package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progress is one line on a terminal that is written over and over; elsewhere it is nothing.
type progress struct {
	w     io.Writer
	shown bool
}

func newProgress(w io.Writer) *progress {
	if !isTerminal(w) {
		return &progress{}
	}
	return &progress{w: w}
}

// clear takes the line away, before other text is written. The caller holds the lock given to start.
func (p *progress) clear() {
	if p.w != nil && p.shown {
		_, _ = fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}

// start shows what line returns until stop is called.
func (p *progress) start(line func() string, lock sync.Locker) (stop func()) {
	if p.w == nil {
		return func() {}
	}
	done, ended := make(chan struct{}), make(chan struct{})
	begun := time.Now()
	go func() {
		defer close(ended)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				lock.Lock()
				_, _ = fmt.Fprintf(p.w, "\r\x1b[K%s  %s", line(), time.Since(begun).Round(time.Second))
				p.shown = true
				lock.Unlock()
			}
		}
	}()
	return func() {
		close(done)
		<-ended
		lock.Lock()
		p.clear()
		lock.Unlock()
	}
}
