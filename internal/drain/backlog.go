package drain

import (
	"context"
	"time"

	"github.com/ocelot-log/ocelot/internal/wait"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// toBacklog notes all entries of deliveries as not yet indexed, and settles them.
func (w *Worker) toBacklog(work context.Context, ds []*delivery) {
	if len(ds) == 0 || work.Err() != nil {
		return
	}
	n := 0
	for _, d := range ds {
		n += len(d.records)
	}
	ids := make([]logentry.ID, 0, n)
	for _, d := range ds {
		for i := range d.records {
			ids = append(ids, d.records[i].ID)
		}
	}
	w.settleUnless(work, w.backlog(work, ids), ds)
}

// settleUnless settles deliveries, or has them come again when err says that something is not noted.
func (w *Worker) settleUnless(work context.Context, err error, ds []*delivery) {
	switch {
	case err == nil:
		w.settle(work, ds...)
	case work.Err() == nil:
		w.failed(ds...)
	}
}

// backlog makes ids durable in the backlog and wakes who works it off.
func (w *Worker) backlog(work context.Context, ids []logentry.ID) error {
	if len(ids) == 0 {
		return nil
	}
	err := w.call(work, "backlog", func(ctx context.Context) error { return w.store.AddBacklog(ctx, ids) })
	if err != nil {
		if work.Err() == nil && !panicked(err) {
			w.storeLink.failed(err)
		}
		return err
	}
	count(w.metrics.IndexedEntries, "backlog", len(ids))
	select {
	case w.backlogged <- struct{}{}:
	default:
	}
	return nil
}

// probeEntries is how many entries are read first to see whether an index that is down is back.
const probeEntries = 256

// drainBacklog brings the backlog into the index, from the start on and whenever something was added.
func (w *Worker) drainBacklog(ctx, work context.Context) {
	tick := time.NewTicker(w.cfg.BacklogEvery)
	defer tick.Stop()
	tries := 0
	for ctx.Err() == nil {
		most := w.cfg.IndexEntries
		if tries > 0 { // growing, lest a few that can't be added hide the others for ever
			most = min(most, probeEntries<<min(tries-1, 16))
		}
		var read, dropped int
		_ = w.guard("backlog", func() error {
			read, dropped = w.backlogRound(work, most)
			return nil
		})
		switch {
		case dropped > 0:
			tries = 0
		case read == 0:
			tries = 0
			select {
			case <-ctx.Done():
			case <-w.backlogged:
			case <-tick.C:
			}
		default:
			_ = wait.For(ctx, wait.Backoff(tries, firstRetry, mostRetry))
			tries++
		}
	}
}

// backlogRound adds the oldest of the backlog and drops what the index confirmed. When the store does
// not answer, read is -1.
func (w *Worker) backlogRound(work context.Context, most int) (read, dropped int) {
	var records []logentry.Record
	err := w.call(work, "backlog", func(ctx context.Context) (err error) {
		records, err = w.store.ReadBacklog(ctx, most)
		return err
	})
	if err != nil {
		return -1, 0
	}
	a := apart{w: w, work: work}
	a.add(records)
	if len(a.done) == 0 {
		return len(records), 0
	}
	if w.call(work, "backlog", func(ctx context.Context) error { return w.store.DropBacklog(ctx, a.done) }) != nil {
		return len(records), 0
	}
	return len(records), len(a.done)
}

// apart adds records and, where a call fails as a whole for no outage, its halves, so that one that
// makes calls fail keeps only itself in the backlog.
type apart struct {
	w        *Worker
	work     context.Context
	done     []logentry.ID // indexed, or refused and in quarantine
	failures int
	stop     bool
}

// mostFailures of one round: enough to find three bad ones among 20,000.
const mostFailures = 48

func (a *apart) add(records []logentry.Record) {
	if len(records) == 0 || a.stop {
		return
	}
	verdicts, err := a.w.add(a.work, records)
	if err == nil {
		a.settle(records, a.w.sift(records, verdicts))
		return
	}
	a.failures++
	if outage(err) || a.failures > mostFailures || a.work.Err() != nil {
		a.stop = true
		return
	}
	if half := len(records) / 2; half > 0 {
		a.add(records[:half])
		a.add(records[half:])
	}
}

func (a *apart) settle(records []logentry.Record, x indexed) {
	waiting := make(map[logentry.ID]bool, len(x.later))
	for _, id := range x.later {
		waiting[id] = true
	}
	if len(x.refused) > 0 && a.w.refuse(a.work, x.refused, nil) != nil {
		for i := range x.refused {
			waiting[x.refused[i].ID] = true
		}
	}
	for i := range records {
		if !waiting[records[i].ID] {
			a.done = append(a.done, records[i].ID)
		}
	}
}
