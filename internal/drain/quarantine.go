package drain

import (
	"context"
	"fmt"

	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/pkg/logentry"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Reasons of quarantine that are found here; those of an envelope come with the fault.
const (
	reasonRejected  = "record_rejected"
	reasonRefused   = "index_refused"
	reasonCrashLoop = "crash_loop"
)

// condemned is a delivery on its way into quarantine, and its item.
type condemned struct {
	d    *delivery
	item store.Quarantined
}

func quarantined(d *delivery, reason, detail string, body []byte) store.Quarantined {
	return store.Quarantined{TenantID: d.tenant, Reason: reason, Detail: detail, Body: body,
		Receives: d.message.Receives, SentAt: d.message.SentAt}
}

// condemn sends a whole message to quarantine, as it was received.
func (w *Worker) condemn(work context.Context, d *delivery, reason, detail string) {
	select {
	case w.condemned <- condemned{d, quarantined(d, reason, detail, d.message.Body)}:
	case <-work.Done():
	}
}

// quarantineCondemned keeps condemned messages, as many at once as are ready, and settles them.
func (w *Worker) quarantineCondemned(work context.Context) {
	for c := range w.condemned {
		ds, items := []*delivery{c.d}, []store.Quarantined{c.item}
		for more := true; more && len(ds) < 100; {
			select {
			case c, ok := <-w.condemned:
				if more = ok; ok {
					ds, items = append(ds, c.d), append(items, c.item)
				}
			default:
				more = false
			}
		}
		switch err := w.quarantine(work, items); {
		case err == nil:
			w.log.Error("messages were put into quarantine; look at them", zap.Int("messages", len(items)), zap.String("reason", items[0].Reason), traces(ds...))
			w.settle(work, ds...)
		case work.Err() == nil:
			w.failed(ds...)
		}
	}
}

// quarantine makes items durable.
func (w *Worker) quarantine(work context.Context, items []store.Quarantined) error {
	err := w.call(work, "quarantine", func(ctx context.Context) error { return w.store.Quarantine(ctx, items) })
	if err != nil {
		if work.Err() == nil && !panicked(err) {
			w.storeLink.failed(err)
		}
		return err
	}
	w.storeLink.worked()
	for i := range items {
		w.metrics.Quarantined.WithLabelValues(items[i].Reason).Inc()
	}
	return nil
}

// refuse notes records that the index can never take. That must not happen: what is accepted fits. from are
// the deliveries that they came in, where that is still known.
func (w *Worker) refuse(work context.Context, records []logentry.Record, from []*delivery) error {
	items := make([]store.Quarantined, len(records))
	for i := range records {
		items[i] = store.Quarantined{TenantID: records[i].TenantID, Reason: reasonRefused, Body: records[i].JSON,
			Detail: fmt.Sprintf("the record has entry %s, the index refuses it", records[i].ID), SentAt: records[i].ReceivedAt}
	}
	w.log.Error("the index refuses entries for good; they are in the record and in quarantine", zap.Int("entries", len(records)), traces(from...))
	if err := w.quarantine(work, items); err != nil {
		return err
	}
	count(w.metrics.IndexedEntries, "refused", len(records))
	return nil
}

func count(c *prometheus.CounterVec, label string, n int) {
	if n > 0 {
		c.WithLabelValues(label).Add(float64(n))
	}
}
