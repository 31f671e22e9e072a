package drain

import (
	"context"
	"fmt"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/pkg/logentry"
	"go.uber.org/zap"
)

// indexRecorded adds what the handover holds.
func (w *Worker) indexRecorded(work context.Context) {
	b := &batch{}
	p := newPacer(w.cfg.Pace)
	defer p.stop()
	for {
		if !w.handover.wait() {
			return
		}
		<-p.due()
		b.of = w.handover.take(b.of)
		if len(b.of) == 0 {
			continue // another took them
		}
		p.begin()
		of := b.of
		if err := w.guard("index", func() error { w.index(work, b); return nil }); err != nil {
			w.toBacklog(work, w.live(of))
		}
		b.reset()
	}
}

// index adds a batch; what the index does not take now goes to the backlog. Either way its
// deliveries are settled.
func (w *Worker) index(work context.Context, b *batch) {
	b.of = w.live(b.of)
	if len(b.of) == 0 || work.Err() != nil {
		return
	}
	b.fill()
	verdicts, err := w.add(work, b.records)
	if err != nil {
		if work.Err() == nil {
			w.indexFailed(err)
			w.toBacklog(work, b.of)
		}
		return
	}
	x := w.sift(b.records, verdicts)
	if len(x.refused) > 0 && w.refuse(work, x.refused, b.with(func(i int) bool { return verdicts[i] == search.Refused })) != nil {
		for i := range x.refused {
			x.later = append(x.later, x.refused[i].ID)
		}
	}
	w.debug("a batch is in the index", b.of, zap.Int("entries", len(b.records)), zap.Int("backlog", len(x.later)), zap.Int("refused", len(x.refused)))
	w.settleUnless(work, w.backlog(work, x.later), b.of)
}

// indexed is what the index's verdicts make of records.
type indexed struct {
	later   []logentry.ID
	refused []logentry.Record
}

// sift reads the verdicts, and notes what they say of the index.
func (w *Worker) sift(records []logentry.Record, verdicts []search.Verdict) (x indexed) {
	var last time.Time
	var seconds float64
	n, now := 0, time.Now()
	for i, v := range verdicts {
		switch r := &records[i]; v {
		case search.Indexed:
			n++
			if !r.ReceivedAt.Equal(last) { // most entries of a request share the moment
				last = r.ReceivedAt
				seconds = max(0, now.Sub(last).Seconds())
			}
			w.metrics.Searchable.Observe(seconds)
		case search.Refused:
			x.refused = append(x.refused, *r)
		default:
			x.later = append(x.later, r.ID)
		}
	}
	count(w.metrics.IndexedEntries, "indexed", n)
	if n > 0 || len(x.later) == 0 {
		w.indexLink.worked()
		w.handover.progressed()
	} else {
		w.indexFailed(fault.New(fault.Unavailable, "index_busy", "the index took nothing of a batch"))
	}
	return x
}

// add is Add in calls of IndexEntries at the most.
func (w *Worker) add(work context.Context, records []logentry.Record) ([]search.Verdict, error) {
	var all []search.Verdict
	for from := 0; from < len(records); from += w.cfg.IndexEntries {
		part := records[from:min(from+w.cfg.IndexEntries, len(records))]
		var verdicts []search.Verdict
		err := w.call(work, "index", func(ctx context.Context) (err error) {
			verdicts, err = w.search.Add(ctx, part)
			return err
		})
		if err == nil && len(verdicts) != len(part) {
			err = fault.New(fault.Internal, "verdicts_missing", fmt.Sprintf("%d verdicts for %d records", len(verdicts), len(part)))
		}
		if err != nil {
			return nil, err
		}
		if len(part) == len(records) {
			return verdicts, nil
		}
		all = append(all, verdicts...)
	}
	return all, nil
}

// indexFailed notes that the index is down: from now on recorded entries go to the backlog, and the
// backlog's loop finds out when it is back. A panic says nothing of the index.
func (w *Worker) indexFailed(err error) {
	if !panicked(err) {
		w.indexLink.failed(err)
		w.handover.wake()
	}
}

// watchPatience gives an index up that gets nothing done, until it does again.
func (w *Worker) watchPatience(ctx, work context.Context) {
	t := time.NewTicker(max(w.cfg.IndexPatience/8, time.Millisecond))
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			if late := w.handover.late(now, w.cfg.IndexPatience); len(late) > 0 {
				w.indexFailed(fault.New(fault.Timeout, "index_slow", "the index got nothing done for "+w.cfg.IndexPatience.String()))
				w.toBacklog(work, w.live(late))
			}
		}
	}
}
