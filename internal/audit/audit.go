// Package audit keeps who read what and who changed what, as entries of the tenant that it is about.
//
// What it promises:
//   - Record returns nil only when the entry has a place among those that are being sent: what comes after it, a
//     page of entries or a changed setting, is noted. Where there is no place, it says so and the caller refuses.
//   - An entry that has a place is sent until the queue has confirmed it; a queue that is down is waited for.
//   - Run returns when nothing waits any more, or says in the log how many entries the stop lost.
//   - Refused attempts are noted too, but no flood of them is: at most Refusals a tenant and minute, and how many
//     were left out stands in the next one.
//
// What it does not promise: an entry that waits in memory does not survive a process that is killed. It waits for
// milliseconds while the queue answers.
//
// Everything here may be called concurrently.
package audit

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/internal/wait"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// Config is what audit can be told. Zero values take the defaults.
type Config struct {
	Places   int           // entries that may wait; default 10,000, which is about 10 MiB
	Wait     time.Duration // how long a caller waits for a place; default 250 ms
	Refusals int           // refused attempts that are noted, a tenant and minute; default 60
	Grace    time.Duration // how long the stop tries to send what waits; default 10 s
}

// taker makes the service's own entries durable.
type taker interface {
	Own(ctx context.Context, tenantID string, entries []logentry.Entry) error
}

const (
	batchEntries = 500 // sent at a time, of one tenant
	senders      = 4
	firstPause   = 100 * time.Millisecond // after a send that failed, doubled up to lastPause
	lastPause    = 5 * time.Second
)

// Recorder sends audit entries. Make it with New, and let Run run.
type Recorder struct {
	cfg    Config
	to     taker
	tel    telemetry.Telemetry
	places chan struct{} // one for each entry that waits or is being sent
	work   chan struct{} // something waits
	limit  limiter

	stopped chan struct{}

	mu       sync.Mutex
	waiting  map[string][]logentry.Entry // by tenant
	stopping bool
}

// New makes a Recorder that sends nothing until Run runs.
func New(cfg Config, to taker, tel telemetry.Telemetry) *Recorder {
	if cfg.Places <= 0 {
		cfg.Places = 10_000
	}
	if cfg.Wait <= 0 {
		cfg.Wait = 250 * time.Millisecond
	}
	if cfg.Refusals <= 0 {
		cfg.Refusals = 60
	}
	if cfg.Grace <= 0 {
		cfg.Grace = 10 * time.Second
	}
	return &Recorder{cfg: cfg, to: to, tel: tel, places: make(chan struct{}, cfg.Places), work: make(chan struct{}, 1),
		limit: limiter{most: cfg.Refusals}, waiting: map[string][]logentry.Entry{}, stopped: make(chan struct{})}
}

// Record notes an event of a tenant. Kind Unavailable, code audit_unavailable: nothing was noted, and what it is about
// must not happen.
func (r *Recorder) Record(ctx context.Context, tenantID string, e Event) error {
	select {
	case r.places <- struct{}{}:
	default:
		timer := time.NewTimer(r.cfg.Wait)
		defer timer.Stop()
		select {
		case r.places <- struct{}{}:
		case <-timer.C:
			return errNoPlace()
		case <-ctx.Done():
			return errNoPlace()
		}
	}
	return r.put(tenantID, e)
}

// Refused notes an attempt that was refused, if it is not one of a flood. The answer is a refusal in any case, so it
// waits for nothing; what finds no place is counted as lost.
func (r *Recorder) Refused(tenantID string, e Event) {
	left, ok := r.limit.admit(tenantID, time.Now())
	if !ok {
		r.tel.Metrics.AuditEntries.WithLabelValues("suppressed").Inc()
		return
	}
	e.Suppressed = left
	select {
	case r.places <- struct{}{}:
		if r.put(tenantID, e) == nil {
			return
		}
	default:
	}
	r.lost(1, errNoPlace())
}

func (r *Recorder) put(tenantID string, e Event) error {
	entry := e.entry(time.Now())
	r.mu.Lock()
	if r.stopping {
		r.mu.Unlock()
		<-r.places
		return errNoPlace()
	}
	r.waiting[tenantID] = append(r.waiting[tenantID], entry)
	r.mu.Unlock()
	r.tel.Metrics.AuditWaiting.Set(float64(len(r.places)))
	select {
	case r.work <- struct{}{}:
	default:
	}
	return nil
}

// Run sends until ctx ends, then what still waits, as long as Grace allows.
func (r *Recorder) Run(ctx context.Context) error {
	sending, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	defer context.AfterFunc(ctx, func() {
		r.stop()
		time.AfterFunc(r.cfg.Grace, giveUp)
	})()
	for !r.over() {
		batches := r.take()
		if len(batches) == 0 {
			select {
			case <-r.work:
			case <-r.stopped:
			}
			continue
		}
		free := make(chan struct{}, senders)
		var wg sync.WaitGroup
		for _, b := range batches {
			free <- struct{}{}
			wg.Go(func() {
				r.send(sending, b)
				<-free
			})
		}
		wg.Wait()
	}
	return nil
}

// stop lets nothing in any more.
func (r *Recorder) stop() {
	r.mu.Lock()
	r.stopping = true
	r.mu.Unlock()
	close(r.stopped)
}

// over tells that nothing will come and nothing waits.
func (r *Recorder) over() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stopping && len(r.waiting) == 0
}

// batch is entries of one tenant that are sent together.
type batch struct {
	tenantID string
	entries  []logentry.Entry
}

// take is all that waits.
func (r *Recorder) take() (batches []batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for tenantID, entries := range r.waiting {
		for len(entries) > 0 {
			n := min(len(entries), batchEntries)
			batches = append(batches, batch{tenantID, entries[:n:n]})
			entries = entries[n:]
		}
	}
	clear(r.waiting)
	return batches
}

// send sends a batch until it is durable. Each entry has an event_id, so that one which is sent again is the same.
func (r *Recorder) send(ctx context.Context, b batch) {
	defer func() {
		for range b.entries {
			<-r.places
		}
		r.tel.Metrics.AuditWaiting.Set(float64(len(r.places)))
	}()
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		entries := append([]logentry.Entry(nil), b.entries...) // they are stamped, and must be as they were the next time
		err := r.to.Own(ctx, b.tenantID, entries)
		switch fault.KindOf(err) {
		case fault.Unavailable, fault.Limited, fault.Full:
		default:
			if err != nil {
				r.lost(len(b.entries), err)
				return
			}
			r.tel.Metrics.AuditEntries.WithLabelValues("kept").Add(float64(len(b.entries)))
			return
		}
		if pause == firstPause {
			r.tel.Log.Warn("audit entries wait for the queue", zap.Int("entries", len(r.places)), zap.Error(err))
		}
		if wait.For(ctx, pause) != nil {
			r.lost(len(b.entries), err)
			return
		}
	}
}

func (r *Recorder) lost(n int, err error) {
	r.tel.Metrics.AuditEntries.WithLabelValues("lost").Add(float64(n))
	r.tel.Log.Error("audit entries were lost", zap.Int("entries", n), zap.Error(err))
}

func errNoPlace() error {
	return &fault.Error{Kind: fault.Unavailable, Code: "audit_unavailable", RetryAfter: time.Second,
		Detail: "what this request reads or changes can't be noted at the moment, so it was not done; try again"}
}
