package drain

import (
	"context"
	"fmt"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/pkg/logentry"
	"go.uber.org/zap"
)

// recordDecoded puts what is decoded, as much at once as is ready, or becomes ready until the pace
// allows the next Put, and RecordEntries allows.
func (w *Worker) recordDecoded(work context.Context) {
	b := &batch{}
	var next *delivery
	p := newPacer(w.cfg.Pace)
	defer p.stop()
	for {
		d := next
		if next = nil; d == nil {
			if d = <-w.decoded; d == nil {
				return
			}
		}
		n := 0
		for due := p.due(); d != nil; {
			b.of = append(b.of, d)
			n += len(d.records)
			select {
			case d = <-w.decoded:
			case <-due:
				due = p.now
				select {
				case d = <-w.decoded:
				default:
					d = nil
				}
			}
			if d != nil && n+len(d.records) > w.cfg.RecordEntries {
				next, d = d, nil
			}
		}
		of := b.of
		p.begin()
		if err := w.guard("record", func() error { w.record(work, b, false); return nil }); err != nil {
			w.failed(of...)
		}
		b.reset()
	}
}

// record puts a batch and passes on what is safe: to the index, or into the backlog where the index is
// down. While the store is down it only releases, unless it is a probe.
func (w *Worker) record(work context.Context, b *batch, probe bool) {
	b.of = w.live(b.of)
	if len(b.of) == 0 || work.Err() != nil {
		return
	}
	if w.storeLink.isDown() && !probe {
		w.failed(b.of...)
		return
	}
	b.fill()
	verdicts, err := w.put(work, b.records)
	switch {
	case err == nil:
		w.storeLink.worked()
		w.recorded(work, b.apply(verdicts))
	case work.Err() != nil: // cut off; what is held is released in the end
	case len(b.of) > 1 && !outage(err):
		w.recordEach(work, b.of, err)
	default:
		if probe || outage(err) || !b.of[0].alone && !panicked(err) {
			w.storeLink.failed(err)
		}
		w.failed(b.of...)
	}
}

// recordEach puts the envelopes of a batch that failed one by one, so that only the bad one waits. If
// nothing at all goes, it was not for what was in them.
func (w *Worker) recordEach(work context.Context, of []*delivery, cause error) {
	tries, good := 0, 0
	for i, d := range of {
		if tries >= hopeless && good == 0 {
			w.storeLink.failed(cause)
			w.failed(of[i:]...)
			return
		}
		tries++
		alone := &batch{of: []*delivery{d}}
		alone.fill()
		verdicts, err := w.put(work, alone.records)
		switch {
		case work.Err() != nil:
			return
		case err != nil && outage(err):
			w.storeLink.failed(err)
			w.failed(of[i:]...)
			return
		case err != nil:
			w.failed(d)
			continue
		}
		good++
		w.storeLink.worked()
		w.recorded(work, alone.apply(verdicts))
	}
	if good == 0 && !panicked(cause) {
		w.storeLink.failed(cause)
	}
}

// hopeless is after how many failures one by one, with no success, the rest is not tried.
const hopeless = 3

// put is Put in calls of RecordEntries at the most.
func (w *Worker) put(work context.Context, records []logentry.Record) ([]store.Verdict, error) {
	var all []store.Verdict
	for from := 0; from < len(records); from += w.cfg.RecordEntries {
		part := records[from:min(from+w.cfg.RecordEntries, len(records))]
		var verdicts []store.Verdict
		err := w.call(work, "record", func(ctx context.Context) (err error) {
			verdicts, err = w.store.Put(ctx, part)
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

// recorded acts on the verdicts of the store.
func (w *Worker) recorded(work context.Context, r recorded) {
	count(w.metrics.RecordedEntries, "stored", r.stored)
	count(w.metrics.RecordedEntries, "duplicate", r.duplicates)
	if len(r.again) > 0 {
		if r.stored+r.duplicates+r.rejected == 0 {
			w.storeLink.failed(fault.New(fault.Unavailable, "store_busy", "the store took nothing of a batch"))
		}
		w.failed(r.again...)
	}
	if len(r.quarantined) > 0 {
		if err := w.quarantine(work, r.quarantined); err != nil {
			w.failed(r.safe...)
			return
		}
		count(w.metrics.RecordedEntries, "rejected", r.rejected)
		w.log.Error("the record rejects entries for good; they are in quarantine, look at them", zap.Int("entries", r.rejected), traces(r.partly...))
	}
	w.debug("a batch is in the record", r.safe, zap.Int("stored", r.stored), zap.Int("duplicates", r.duplicates), zap.Int("rejected", r.rejected))
	var late []*delivery
	for _, d := range r.safe {
		switch {
		case len(d.records) == 0: // all in quarantine
			w.settle(work, d)
		case !w.handover.push(d):
			late = append(late, d)
		}
	}
	w.toBacklog(work, late)
}
