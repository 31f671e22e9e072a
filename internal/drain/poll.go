package drain

import (
	"context"
	"slices"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/queue"
	"github.com/ocelot-log/ocelot/internal/wait"
	"go.uber.org/zap"
)

const (
	mostReceived = 10 // of one receive; what the queue's contract allows

	firstRetry = 200 * time.Millisecond // of queue, store and index that do not answer
	mostRetry  = 10 * time.Second
)

// poll receives until ctx ends. While the store is down only the first poller goes on, and it carefully.
func (w *Worker) poll(ctx, work context.Context, first bool) {
	tries, probes := 0, 0
	for ctx.Err() == nil {
		switch {
		case !w.storeLink.isDown():
			probes = 0
			ds, err := w.receive(ctx, mostReceived)
			if err != nil {
				_ = wait.For(ctx, wait.Backoff(tries, firstRetry, mostRetry))
				tries++
				continue
			}
			tries = 0
			w.route(ctx, work, ds)
			if len(ds) > 0 && len(ds) < mostReceived {
				_ = wait.For(ctx, w.cfg.Pace) // what comes meanwhile comes together
			}
		case first:
			if wait.For(ctx, wait.Backoff(probes, firstRetry, mostRetry)) == nil {
				w.probe(ctx, work)
			}
			probes++
		default:
			w.storeLink.wait(ctx)
		}
	}
}

// probe finds out whether the store is back: by a question that costs nothing, then by a single
// message, so that an outage does not use up the receives of many.
func (w *Worker) probe(ctx, work context.Context) {
	err := w.call(work, "probe", func(ctx context.Context) error {
		_, err := w.store.CountQuarantine(ctx)
		return err
	})
	if err != nil {
		return
	}
	ds, _ := w.receive(ctx, 1)
	for _, d := range ds {
		switch {
		case ctx.Err() != nil:
			w.release(0, d)
		case d.message.Receives >= w.cfg.CeilingReceives:
			w.crashLoop(work, d)
		default:
			w.process(work, d, true)
		}
	}
}

// receive takes room, then messages. An error is noted already.
func (w *Worker) receive(ctx context.Context, most int) ([]*delivery, error) {
	least := 1
	if w.cfg.FewCalls {
		least = most
	}
	n, each := w.budget.take(least, most)
	if n == 0 {
		return nil, nil
	}
	var messages []queue.Message
	err := w.guard("receive", func() (err error) {
		ctx, cancel := context.WithTimeout(ctx, w.cfg.Wait+w.cfg.CallTimeout)
		defer cancel()
		messages, err = w.queue.Receive(ctx, n, w.cfg.Wait, w.cfg.Visibility)
		return err
	})
	w.budget.untake(int64(n-len(messages)) * each)
	switch {
	case err == nil:
		w.queueLink.worked()
		w.metrics.Received.WithLabelValues(received(messages)).Inc()
	case ctx.Err() == nil:
		w.queueLink.failed(err)
		w.metrics.Received.WithLabelValues("error").Inc()
	}
	now := time.Now()
	ds := make([]*delivery, len(messages))
	for i, m := range messages {
		d := &delivery{message: m, since: now, due: now.Add(w.cfg.Visibility / 3), weight: each,
			alone: m.Receives >= w.cfg.IsolateReceives}
		w.held.add(d)
		ds[i] = d
		w.metrics.ReceiveCount.Observe(float64(m.Receives))
		w.metrics.EnvelopeAge.Observe(max(0, now.Sub(m.SentAt).Seconds()))
	}
	return ds, err
}

func received(messages []queue.Message) string {
	if len(messages) == 0 {
		return "empty"
	}
	return "messages"
}

// route hands received messages to who deals with them.
func (w *Worker) route(ctx, work context.Context, ds []*delivery) {
	if ctx.Err() != nil {
		w.release(0, ds...) // they never failed
		return
	}
	w.suspects.add(slices.DeleteFunc(slices.Clone(ds), func(d *delivery) bool {
		return !d.alone || d.message.Receives >= w.cfg.CeilingReceives
	}))
	for _, d := range ds {
		switch {
		case d.message.Receives >= w.cfg.CeilingReceives:
			w.crashLoop(work, d)
		case !d.alone:
			select {
			case w.received <- d:
			case <-work.Done():
			}
		}
	}
}

// decodeReceived unpacks what the pollers received.
func (w *Worker) decodeReceived(ctx, work context.Context) {
	for d := range w.received {
		switch {
		case ctx.Err() != nil:
			w.release(0, d)
		case w.unpack(work, d):
			select {
			case w.decoded <- d:
			case <-work.Done():
			}
		}
	}
}

// isolate processes one suspect after the other, beside everybody else.
func (w *Worker) isolate(ctx, work context.Context) {
	for d := w.suspects.take(); d != nil; d = w.suspects.take() {
		if ctx.Err() != nil {
			w.release(0, d)
			continue
		}
		w.process(work, d, false)
	}
}

// process unpacks and records one delivery by itself.
func (w *Worker) process(work context.Context, d *delivery, probe bool) {
	if w.unpack(work, d) {
		w.record(work, &batch{of: []*delivery{d}}, probe)
	}
}

// unpack reads the entries of a delivery. When it is false the delivery is dealt with.
func (w *Worker) unpack(work context.Context, d *delivery) bool {
	if len(w.live([]*delivery{d})) == 0 {
		return false
	}
	var e queue.Envelope
	start := time.Now()
	err := w.guard("decode", func() (err error) {
		if e, err = queue.Unpack(d.message.Body); err != nil {
			return err
		}
		d.tenant = e.TenantID
		d.records, err = e.Records()
		return err
	})
	w.stages["decode"].Observe(time.Since(start).Seconds())
	switch {
	case err == nil && len(d.records) == 0:
		w.settle(work, d)
		return false
	case err == nil:
		d.message.Body = nil // the entries have their own bytes
		w.budget.correct(d, len(e.Payload))
		return true
	case fault.Of(err).Code == codeNewerVersion:
		w.newer(d, err)
	case fault.KindOf(err) == fault.Corrupt:
		w.condemn(work, d, fault.Of(err).Code, err.Error())
	default:
		w.failed(d)
	}
	return false
}

const codeNewerVersion = "envelope_newer_version"

// newer hides an envelope that only a newer worker can read until one may have come: it is no poison.
func (w *Worker) newer(d *delivery, err error) {
	if last, now := w.newerAt.Load(), time.Now().UnixNano(); now-last >= int64(time.Minute) && w.newerAt.CompareAndSwap(last, now) {
		w.log.Warn("there are envelopes of a newer version; update this worker", zap.Error(err), traces(d))
	}
	w.release(w.cfg.NewerVersionDelay, d)
}

// crashLoop condemns what was received so often without any end to it that it must be what ends us.
// It is not unpacked any more; its tag alone says whether it only waits for a newer worker.
func (w *Worker) crashLoop(work context.Context, d *delivery) {
	const tag = 5
	if _, err := queue.Unpack(d.message.Body[:min(tag, len(d.message.Body))]); fault.Of(err).Code == codeNewerVersion {
		w.newer(d, err)
		return
	}
	w.condemn(work, d, reasonCrashLoop, "received too often without a result")
}
