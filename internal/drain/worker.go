// Package drain is the consumer: it receives envelopes, unpacks them, records their entries, indexes
// them, and deletes the messages. Never in another order.
//
// What it promises:
//   - A message is deleted only when each of its entries is in the record (or in quarantine) and each
//     recorded one is in the index (or in the backlog, or refused by it and in quarantine). Everything
//     before is repeatable, so that a crash at any point costs a repeat and never an entry.
//   - A slow or failing index does not stop the record: entries wait in the backlog, which is worked
//     off by itself once the index is back.
//   - A store that is down stops the receiving; what is held goes back to the queue.
//   - Poison ends in quarantine with its bytes and a reason, and does not hold up its neighbours. An
//     envelope of a newer version is no poison, and a count alone condemns only at the ceiling.
//
// What it leaves to others: that ids decide what is a duplicate (store and index), and order (there is none).
//
//	poll ─▶ decode ─▶ record ─▶ handover ─▶ index ─▶ delete
//	  │                │            └──▶ backlog ──────▲
//	  ├─▶ suspects ────┘                               │
//	  └─▶ condemned ─▶ quarantine ─────────────────────┘
package drain

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ocelot-log/ocelot/internal/queue"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Worker drains a queue. It is made by New, and Run is called once.
type Worker struct {
	cfg     Config
	queue   queue.Receiver
	store   Store
	search  Index
	log     *zap.Logger
	metrics *telemetry.Metrics
	stages  map[string]prometheus.Observer

	queueLink, storeLink, indexLink *link

	budget    *budget
	levels    *Levels
	held      held
	extending sync.Mutex   // one Extend at a time, so that a release is the last word
	newerAt   atomic.Int64 // when an envelope of a newer version was last spoken of

	received   chan *delivery
	decoded    chan *delivery
	suspects   *suspects
	handover   *handover
	condemned  chan condemned
	settled    chan *delivery
	backlogged chan struct{}
}

// New makes a worker; it starts nothing.
func New(cfg Config, q queue.Receiver, st Store, ix Index, tel telemetry.Telemetry) *Worker {
	cfg = cfg.withDefaults()
	w := &Worker{
		cfg: cfg, queue: q, store: st, search: ix, log: tel.Log, metrics: tel.Metrics,
		stages:    map[string]prometheus.Observer{},
		queueLink: &link{what: "queue", log: tel.Log},
		storeLink: &link{what: "store", log: tel.Log},
		indexLink: &link{what: "index", log: tel.Log},

		levels:     NewLevels(cfg.LevelsEvery, q, st, tel),
		budget:     newBudget(cfg.BudgetBytes, tel.Metrics.InFlightBytes),
		held:       held{all: map[*delivery]struct{}{}},
		received:   make(chan *delivery),
		decoded:    make(chan *delivery, 64),
		suspects:   newSuspects(),
		condemned:  make(chan condemned, 16),
		settled:    make(chan *delivery, 256),
		backlogged: make(chan struct{}, 1),
	}
	w.handover = newHandover(cfg.IndexEntries, w.indexLink)
	for _, stage := range []string{"decode", "record", "index", "delete"} {
		w.stages[stage] = tel.Metrics.StageSeconds.WithLabelValues(stage)
	}
	return w
}

// Run drains until ctx ends. Then it receives no more, finishes what it holds within ShutdownGrace,
// releases the rest and returns nil.
func (w *Worker) Run(ctx context.Context) error {
	work, abort := context.WithCancel(context.WithoutCancel(ctx)) // work in hand outlives ctx, up to the grace
	defer abort()
	beat, stopBeat := context.WithCancel(work)
	defer stopBeat()

	var receiving, decoding, recording, indexing, waiting, deleting, beating, aside sync.WaitGroup
	start := func(g *sync.WaitGroup, n int, fn func()) {
		for range n {
			g.Go(fn)
		}
	}
	for i := range w.cfg.Pollers {
		receiving.Go(func() { w.poll(ctx, work, i == 0) })
	}
	start(&decoding, w.cfg.Decoders, func() { w.decodeReceived(ctx, work) })
	start(&decoding, 1, func() { w.isolate(ctx, work) })
	start(&recording, w.cfg.Concurrency, func() { w.recordDecoded(work) })
	start(&recording, 1, func() { w.quarantineCondemned(work) })
	start(&indexing, w.cfg.IndexConcurrency, func() { w.indexRecorded(work) })
	patience, stopPatience := context.WithCancel(work)
	defer stopPatience()
	start(&waiting, 1, func() { w.watchPatience(patience, work) })
	start(&deleting, 1, func() { w.deleteSettled(work) })
	start(&beating, 1, func() { w.heartbeat(beat) })
	start(&aside, 1, func() { w.drainBacklog(ctx, work) })
	start(&aside, 1, func() { _ = w.levels.Run(ctx) })

	<-ctx.Done()
	grace := time.AfterFunc(w.cfg.ShutdownGrace, abort)
	defer grace.Stop()
	defer context.AfterFunc(work, w.handover.close)() // nobody waits for room in it after the grace
	w.budget.close()

	// Each stage ends when those before it have, so that nothing is sent to who is gone.
	receiving.Wait()
	close(w.received)
	w.suspects.close()
	decoding.Wait()
	close(w.decoded)
	close(w.condemned)
	recording.Wait()
	w.handover.close()
	indexing.Wait()
	stopPatience()
	waiting.Wait()
	close(w.settled)
	deleting.Wait()
	aside.Wait()
	stopBeat()
	beating.Wait()
	w.release(0, w.held.list()...) // cut off by the end of the grace
	return nil
}
