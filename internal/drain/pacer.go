package drain

import "time"

// pacer keeps the beginnings of calls apart. It belongs to one goroutine.
type pacer struct {
	every time.Duration
	begun time.Time
	timer *time.Timer
	now   chan time.Time // closed: a time that has come
}

func newPacer(every time.Duration) *pacer {
	p := &pacer{every: every, now: make(chan time.Time)}
	close(p.now)
	return p
}

// due is readable once the next call may begin: at once where the last one began long enough ago.
func (p *pacer) due() <-chan time.Time {
	left := p.every - time.Since(p.begun)
	if p.begun.IsZero() || left <= 0 {
		return p.now
	}
	if p.timer == nil {
		p.timer = time.NewTimer(left)
	} else {
		p.timer.Reset(left)
	}
	return p.timer.C
}

// begin notes that a call begins.
func (p *pacer) begin() { p.begun = time.Now() }

func (p *pacer) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}
