package drain

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ocelot-log/ocelot/internal/queue"
	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// life ends at a point: from then on nothing that the worker does has an effect, as if it were killed.
type life struct {
	point string // "before put", "after put" …
	left  int    // how often the point is passed before

	mu   sync.Mutex
	over bool
	died chan struct{}
}

func (l *life) dead(point string) bool {
	if point == l.point {
		time.Sleep(time.Millisecond) // everybody else does all they can before the end
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over && point == l.point {
		if l.left--; l.left < 0 {
			l.over = true
			close(l.died)
		}
	}
	return l.over
}

// step does fn, unless the life is over before it; its result is lost if it is over after it.
func (l *life) step(what string, fn func() error) error {
	if l.dead("before " + what) {
		return errDown
	}
	err := fn()
	if l.dead("after " + what) {
		return errDown
	}
	return err
}

type mortalQueue struct {
	queue.Receiver
	*life
}

func (q mortalQueue) Receive(ctx context.Context, most int, wait, visibility time.Duration) (out []queue.Message, err error) {
	err = q.step("receive", func() (err error) { out, err = q.Receiver.Receive(ctx, most, wait, visibility); return err })
	return out, err
}

func (q mortalQueue) Extend(ctx context.Context, receipts []string, visibility time.Duration) (errs []error) {
	_ = q.step("extend", func() error { errs = q.Receiver.Extend(ctx, receipts, visibility); return nil })
	return errs
}

func (q mortalQueue) Delete(ctx context.Context, receipts []string) (errs []error) {
	_ = q.step("delete", func() error { errs = q.Receiver.Delete(ctx, receipts); return nil })
	return errs
}

type mortalStore struct {
	Store
	*life
}

func (s mortalStore) Put(ctx context.Context, records []logentry.Record) (v []store.Verdict, err error) {
	err = s.step("put", func() (err error) { v, err = s.Store.Put(ctx, records); return err })
	return v, err
}

func (s mortalStore) AddBacklog(ctx context.Context, ids []logentry.ID) error {
	return s.step("backlog", func() error { return s.Store.AddBacklog(ctx, ids) })
}

func (s mortalStore) DropBacklog(ctx context.Context, ids []logentry.ID) error {
	return s.step("drop", func() error { return s.Store.DropBacklog(ctx, ids) })
}

func (s mortalStore) Quarantine(ctx context.Context, items []store.Quarantined) error {
	return s.step("quarantine", func() error { return s.Store.Quarantine(ctx, items) })
}

type mortalIndex struct {
	Index
	*life
}

func (x mortalIndex) Add(ctx context.Context, records []logentry.Record) (v []search.Verdict, err error) {
	err = x.step("add", func() (err error) { v, err = x.Index.Add(ctx, records); return err })
	return v, err
}

// TestAWorkerThatDiesAnywhereLosesAndDoublesNothing kills a worker at each of its steps, on the
// embedded queue and store, and lets another one finish.
func TestAWorkerThatDiesAnywhereLosesAndDoublesNothing(t *testing.T) {
	for _, c := range []struct {
		point     string
		left      int
		indexDown bool // until the worker is dead
	}{
		{point: "after receive"},
		{point: "before put"},
		{point: "after put"},
		{point: "after put", left: 1},
		{point: "before add"},
		{point: "after add"},
		{point: "before delete"},
		{point: "after delete"},
		{point: "before backlog", indexDown: true},
		{point: "after backlog", indexDown: true},
		{point: "before delete", indexDown: true},
		{point: "before drop"},
		{point: "after drop"},
		{point: "before quarantine"},
		{point: "after quarantine"},
	} {
		name := c.point
		if c.indexDown {
			name += ", the index is down"
		}
		if c.left > 0 {
			name += ", later"
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, err := queue.NewSQLite(":memory:", queue.SQLiteConfig{})
				if err != nil {
					t.Fatal(err)
				}
				defer q.Close()
				st, err := store.NewSQLite(":memory:", store.SQLiteConfig{})
				if err != nil {
					t.Fatal(err)
				}
				defer st.Close()
				dieAndFinish(t, q, st, c.point, c.left, c.indexDown)
			})
		})
	}
}

func dieAndFinish(t *testing.T, q *queue.SQLite, st *store.SQLite, point string, left int, indexDown bool) {
	ctx := t.Context()
	ix := newMemIndex()
	cfg := Config{RecordEntries: 60, IndexEntries: 60, ShutdownGrace: time.Millisecond, Pace: -1}
	if err := errorsOf(q.Send(ctx, []queue.Outgoing{{Body: []byte("poison")}})); err != nil {
		t.Fatal(err)
	}
	sent := map[logentry.ID]bool{}
	for range 20 {
		es := entries(20, "x")
		if err := errorsOf(q.Send(ctx, []queue.Outgoing{{Body: envelope(t, es)}})); err != nil {
			t.Fatal(err)
		}
		for i := range es {
			sent[es[i].ID] = true
		}
	}
	leftover := entries(30, "recorded by a worker before") // so that there is a backlog from the start
	records := make([]logentry.Record, len(leftover))
	for i, e := range leftover {
		records[i] = logentry.Record{Entry: e, JSON: logentry.AppendJSON(nil, &e)}
		sent[e.ID] = true
	}
	if _, err := st.Put(ctx, records); err != nil {
		t.Fatal(err)
	}
	if err := st.AddBacklog(ctx, idsOf(records)); err != nil {
		t.Fatal(err)
	}

	l := &life{point: point, left: left, died: make(chan struct{})}
	if indexDown {
		ix.onAdd = func([]logentry.Record) error { return errDown }
	}
	mortal, kill := context.WithCancel(ctx)
	dead := make(chan error)
	go func() {
		dead <- New(cfg, mortalQueue{q, l}, mortalStore{st, l}, mortalIndex{ix, l}, telemetry.Discard()).Run(mortal)
	}()
	select {
	case <-l.died:
	case <-time.After(time.Hour):
		t.Fatal("the point was never reached")
	}
	kill()
	if err := <-dead; err != nil {
		t.Log("died with", err)
	}
	ix.onAdd = nil

	next, stop := context.WithCancel(ctx)
	done := make(chan error)
	go func() { done <- New(cfg, q, st, ix, telemetry.Discard()).Run(next) }()
	pass(20 * time.Minute)
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}

	got, _, err := st.Scan(ctx, "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(sent) || ix.indexed() != len(sent) {
		t.Errorf("%d in the record, %d in the index, want %d", len(got), ix.indexed(), len(sent))
	}
	for _, r := range got {
		if _, indexed := ix.records[r.ID]; !sent[r.ID] || !indexed {
			t.Errorf("entry %s: sent %v, indexed %v", r.ID, sent[r.ID], indexed)
		}
	}
	if s, err := q.Stats(ctx); err != nil || s.Visible+s.InFlight != 0 {
		t.Errorf("messages left: %+v, %v", s, err)
	}
	if s, err := st.BacklogStats(ctx); err != nil || s.Entries != 0 {
		t.Errorf("backlog left: %+v, %v", s, err)
	}
	if items, err := st.ListQuarantine(ctx, 10); err != nil || len(items) == 0 || string(items[0].Body) != "poison" {
		t.Errorf("quarantine: %d items, %v", len(items), err)
	}
}

func errorsOf(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
