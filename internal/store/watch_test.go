package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/store"
)

// watched is a Watch that is running.
type watched struct {
	rings chan struct{}
	ended chan error
	stop  func()
}

// watch begins to watch, and returns once the store says that it does.
func watch(t *testing.T, s store.Records) *watched {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	w := &watched{rings: make(chan struct{}, 1), ended: make(chan error, 1), stop: stop}
	t.Cleanup(stop)
	go func() {
		w.ended <- s.Watch(ctx, func() {
			select {
			case w.rings <- struct{}{}:
			default:
			}
		})
	}()
	w.rang(t, "it begins")
	return w
}

func (w *watched) rang(t *testing.T, why string) {
	t.Helper()
	select {
	case <-w.rings:
	case err := <-w.ended:
		t.Fatalf("it watches no more when %s: %v", why, err)
	case <-time.After(30 * time.Second):
		t.Fatalf("nobody rings when %s", why)
	}
}

// end ends it, which is no failure of the store.
func (w *watched) end(t *testing.T) {
	t.Helper()
	w.stop()
	select {
	case err := <-w.ended:
		if kind := fault.KindOf(err); kind != fault.Unavailable {
			t.Errorf("it ends with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it goes on")
	}
}

func testWatch(t *testing.T, s store.Store) {
	m := newMaker(77)
	one, other := watch(t, s), watch(t, s)
	for range 3 {
		put(t, s, m.records("acme", 5))
		one.rang(t, "something is put")
		other.rang(t, "something is put")
	}
	one.end(t)
	put(t, s, m.records("zeta", 1))
	other.rang(t, "another has left")
	other.end(t)
	put(t, s, m.records("acme", 1)) // with nobody there
}
