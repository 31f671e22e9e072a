package tail

import (
	"context"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/wait"
)

// What the record tells is when to look, never what there is: a look finds that. So nothing depends on it, and where it
// is not told, or where so much comes that every look finds something, the record is looked at all the time:
// docs/decisions/live-tail.md has the numbers.
const (
	afterRing  = 20 * time.Millisecond // what rings is on its way: records that come together are found together
	awake      = time.Second           // how long after the last word the looks stay close
	tryAgain   = time.Second           // to listen to a record that could not be listened to
	tryAgainAt = time.Minute           // the same at the most
	busyRate   = 500                   // entries a second from which on nobody listens; below half of it they do again
	calmFor    = 5                     // seconds of that
)

// bell is how the record tells that something comes.
type bell struct {
	rung  chan struct{}
	heard atomic.Bool // somebody would ring
}

func (b *bell) ring() {
	b.heard.Store(true)
	select {
	case b.rung <- struct{}{}:
	default:
	}
}

// listener is who listens, or listened last.
type listener struct {
	h     *Hub
	end   context.CancelFunc // nil: nobody listens
	ended chan struct{}      // of who listened last
}

// listens begins or ends to listen.
func (l *listener) listens(ctx context.Context, want bool) {
	switch {
	case want && l.end == nil:
		l.wait()
		ctx, l.end = context.WithCancel(ctx)
		ended := make(chan struct{})
		l.ended = ended
		go func() {
			defer close(ended)
			l.h.listen(ctx)
		}()
	case !want && l.end != nil:
		l.end()
		l.end = nil
	}
}

func (l *listener) wait() {
	if l.ended != nil {
		<-l.ended
	}
}

// listen lets the record ring until ctx ends. Why it does not is said once: a right that is missing stays so for long.
func (h *Hub) listen(ctx context.Context) {
	for pause := tryAgain; ; pause = min(2*pause, tryAgainAt) {
		began := time.Now()
		err := h.from.Watch(ctx, h.bell.ring)
		if h.bell.heard.Swap(false) {
			h.deaf = ""
		}
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > tryAgainAt {
			pause = tryAgain
		}
		if code := fault.Of(err).Code; code != h.deaf {
			h.deaf = code
			h.log.Info("the record does not tell what comes; looking for it all the time", zap.Error(err))
		}
		if wait.For(ctx, pause) != nil {
			return
		}
	}
}

// pace is when to look, and whether to listen.
type pace struct {
	cfg   Config
	found time.Time // when something was last found
	word  time.Time // when something was last found, or rang
	step  time.Duration

	counting time.Time // since when
	counted  int       // entries since then
	calm     int       // seconds in a row in which little came
	busy     bool      // too much comes for somebody to listen
}

func newPace(cfg Config) *pace { return &pace{cfg: cfg, step: cfg.Poll, counting: time.Now()} }

// count counts what a look found.
func (p *pace) count(n int, now time.Time) {
	p.counted += n
	took := now.Sub(p.counting)
	if took < time.Second {
		return
	}
	switch rate := float64(p.counted) / took.Seconds(); {
	case rate >= busyRate:
		p.busy, p.calm = true, 0
	case rate >= busyRate/2:
		p.calm = 0
	default:
		if p.calm++; p.calm >= calmFor {
			p.busy = false
		}
	}
	p.counting, p.counted = now, 0
}

// rest waits until it is time for the next look, where the last one, which began then, has reached the end. Looks begin
// Poll after each other, but one that took long is followed by some rest too.
func (p *pace) rest(ctx context.Context, b *bell, began time.Time, found bool) {
	now := time.Now()
	if found {
		p.found, p.word, p.step = began, now, p.cfg.Poll
	}
	d := max(p.step-now.Sub(began), p.step/4)
	if b.heard.Load() && now.Sub(p.word) > awake && p.step >= p.cfg.Poll {
		d = p.cfg.Rest
	}
	p.step = min(2*p.step, p.cfg.Poll)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-b.rung:
		// What rings may not be whole yet: then the next looks follow closely. Those who are handed something get the next
		// not before a whole Poll is over.
		p.word = time.Now()
		p.step = min(afterRing, p.cfg.Poll)
		_ = wait.For(ctx, max(p.step, p.cfg.Poll-time.Since(p.found)))
	}
}
