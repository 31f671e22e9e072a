package drain

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ocelot-log/ocelot/internal/queue"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/internal/wait"
	"github.com/ocelot-log/ocelot/pkg/logentry"
	"go.uber.org/zap"
)

// delivery is a message that we hold, and what became of it.
type delivery struct {
	message queue.Message
	tenant  string
	records []logentry.Record
	alone   bool      // has come often: shares no call with others
	since   time.Time // when it was received
	due     time.Time // when it must be extended; guarded by held.mu
	ready   time.Time // when it was handed to the index; guarded by handover.mu
	weight  int64     // what it takes of the budget
	sized   bool      // weight is no estimate any more
	lost    atomic.Bool
	ended   atomic.Bool
}

// mostTraces of one log line.
const mostTraces = 20

// traces are the trace ids of deliveries, for the log: who follows a request finds its envelope by them.
func traces(ds ...*delivery) zap.Field {
	var ids []string
	for _, d := range ds {
		if id := telemetry.TraceID(d.message.Trace); id != "" && len(ids) < mostTraces && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return zap.Skip()
	}
	return zap.Strings("trace_ids", ids)
}

// debug says what became of deliveries.
func (w *Worker) debug(what string, ds []*delivery, more ...zap.Field) {
	if line := w.log.Check(zap.DebugLevel, what); line != nil {
		line.Write(append(more, zap.Int("messages", len(ds)), traces(ds...))...)
	}
}

// held is all deliveries that must be extended, and at the end of the worker released.
type held struct {
	mu  sync.Mutex
	all map[*delivery]struct{}
}

func (h *held) add(d *delivery) {
	h.mu.Lock()
	h.all[d] = struct{}{}
	h.mu.Unlock()
}

func (h *held) remove(d *delivery) (was bool) {
	h.mu.Lock()
	_, was = h.all[d]
	delete(h.all, d)
	h.mu.Unlock()
	return was
}

// list returns what is held now.
func (h *held) list() []*delivery {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]*delivery, 0, len(h.all))
	for d := range h.all {
		out = append(out, d)
	}
	return out
}

// end gives back what a delivery took. It is true once.
func (w *Worker) end(d *delivery) bool {
	if !d.ended.CompareAndSwap(false, true) {
		return false
	}
	w.held.remove(d)
	w.budget.give(d)
	return true
}

// live ends the deliveries that are no longer ours and returns the others, in the same slice.
func (w *Worker) live(ds []*delivery) []*delivery {
	kept := ds[:0]
	for _, d := range ds {
		if d.lost.Load() {
			w.end(d)
			continue
		}
		if !d.ended.Load() {
			kept = append(kept, d)
		}
	}
	return kept
}

// release gives deliveries back to the queue, to be seen again after visibility.
func (w *Worker) release(visibility time.Duration, ds ...*delivery) {
	receipts := make([]string, 0, len(ds))
	w.extending.Lock() // an extension that is on its way would hide them for longer
	defer w.extending.Unlock()
	for _, d := range w.live(ds) {
		if w.end(d) {
			receipts = append(receipts, d.message.Receipt)
		}
	}
	if len(receipts) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), min(w.cfg.CallTimeout, releaseTimeout)) // also when the worker is stopping
	defer cancel()
	_ = w.guard("release", func() error {
		w.queue.Extend(ctx, receipts, visibility) // what stays hidden comes back when its timeout ends
		return nil
	})
}

const releaseTimeout = 5 * time.Second

// failed releases deliveries that could not be processed: each waits longer the more often it came.
func (w *Worker) failed(ds ...*delivery) {
	byDelay := map[time.Duration][]*delivery{}
	for _, d := range ds {
		delay := retryDelay(d.message.Receives)
		byDelay[delay] = append(byDelay[delay], d)
	}
	for delay, ds := range byDelay {
		w.debug("messages failed and will come again", ds, zap.Duration("after", delay))
		w.release(delay, ds...)
	}
}

// retryDelay is 5 s · 2^receives, at most 15 min. It is never 0: a message that fails at once would
// go round and round and use up its receives.
func retryDelay(receives int) time.Duration {
	return min(15*time.Minute, 5*time.Second<<min(max(receives, 1), 16))
}

// settle passes on deliveries whose entries are all safe, to be deleted.
func (w *Worker) settle(work context.Context, ds ...*delivery) {
	for _, d := range ds {
		select {
		case w.settled <- d:
		case <-work.Done(): // still held, thus released in the end
		}
	}
}

// deleteSettled deletes what is settled, as many at once as are ready.
func (w *Worker) deleteSettled(work context.Context) {
	var batch []*delivery
	var receipts []string
	for d := range w.settled {
		batch = append(batch[:0], d)
		if w.cfg.FewCalls {
			_ = wait.For(work, w.cfg.Pace) // what came together is settled one after the other
		}
		for more := true; more && len(batch) < 1000; {
			select {
			case d, ok := <-w.settled:
				if more = ok; ok {
					batch = append(batch, d)
				}
			default:
				more = false
			}
		}
		if work.Err() != nil {
			continue
		}
		receipts = receipts[:0]
		batch = w.live(batch)
		for _, d := range batch {
			receipts = append(receipts, d.message.Receipt)
			w.held.remove(d) // nothing to extend any more
		}
		if len(receipts) > 0 {
			w.delete(work, receipts)
		}
		for _, d := range batch {
			w.end(d)
		}
		clear(batch[:cap(batch)])
	}
}

func (w *Worker) delete(work context.Context, receipts []string) {
	failures, last := 0, error(nil)
	err := w.call(work, "delete", func(ctx context.Context) error {
		for _, err := range w.queue.Delete(ctx, receipts) {
			if err != nil {
				failures, last = failures+1, err
			}
		}
		return nil
	})
	if err != nil {
		failures, last = len(receipts), err
	}
	if failures > 0 {
		w.metrics.DeleteFailures.Add(float64(failures))
		w.log.Debug("messages were not deleted and will come again", zap.Int("messages", failures), zap.Error(last))
	}
}
