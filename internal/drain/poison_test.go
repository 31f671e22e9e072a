package drain

import (
	"bytes"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ocelot-log/ocelot/pkg/logentry"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestPoisonGoesToQuarantineAndItsNeighboursPass(t *testing.T) {
	flipped := func(b []byte) []byte { b[len(b)-9] ^= 0x40; return b }
	for name, c := range map[string]struct {
		body   func(t *testing.T) []byte
		reason string
	}{
		"nothing at all":      {func(*testing.T) []byte { return nil }, "envelope_unknown_format"},
		"something else":      {func(*testing.T) []byte { return []byte(`{"message":"hi"}`) }, "envelope_unknown_format"},
		"a flipped bit":       {func(t *testing.T) []byte { return flipped(envelope(t, entries(9, "x"))) }, "envelope_corrupt"},
		"an envelope cut off": {func(t *testing.T) []byte { b := envelope(t, entries(9, "x")); return b[:len(b)/2] }, "envelope_corrupt"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				body := c.body(t)
				r.q.send(envelope(t, entries(5, "before")), body, envelope(t, entries(5, "after")))
				stop := r.start()
				synctest.Wait()
				settled(t, r, 10)
				if got := r.st.reasons(); !slices.Equal(got, []string{c.reason}) {
					t.Fatalf("quarantined: %v", got)
				}
				item := r.st.quarantined[0]
				if !bytes.Equal(item.Body, body) || item.Receives != 1 || item.SentAt.IsZero() || item.Detail == "" {
					t.Errorf("quarantined as %+v", item)
				}
				stopped(t, stop)
			})
		})
	}
}

func TestPoisonIsNotDeletedBeforeItsQuarantineIsDurable(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		var down atomic.Bool
		down.Store(true)
		r.st.onQuarantine = func() error {
			if down.Load() {
				return errDown
			}
			return nil
		}
		r.q.send([]byte("garbage"))
		stop := r.start()
		pass(time.Minute)
		if r.q.size() != 1 {
			t.Fatal("deleted without a trace")
		}
		down.Store(false)
		pass(16 * time.Minute)
		if r.q.size() != 0 || len(r.st.reasons()) != 1 {
			t.Errorf("%d messages, quarantined %v", r.q.size(), r.st.reasons())
		}
		stopped(t, stop)
	})
}

func TestAnEnvelopeOfANewerVersionWaitsForANewerWorker(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.cfg = Config{CeilingReceives: 5}
		body := envelope(t, entries(5, "new"))
		body[3]++
		r.q.send(body, envelope(t, entries(5, "old")))
		stop := r.start()
		pass(time.Hour)
		if r.q.size() != 1 || len(r.st.reasons()) > 0 || r.st.recorded() != 5 {
			t.Errorf("%d messages, quarantined %v, %d recorded", r.q.size(), r.st.reasons(), r.st.recorded())
		}
		if got := r.q.receives()[0]; got < 55 || got > 61 {
			t.Errorf("tried %d times in an hour", got)
		}
		stopped(t, stop)
	})
}

func TestOnlyTheCeilingCondemnsByCount(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		bodies := [][]byte{envelope(t, entries(5, "99")), envelope(t, entries(5, "100"))}
		r.q.send(bodies...)
		r.q.messages[1].Receives, r.q.messages[2].Receives = 98, 99 // before this receive
		stop := r.start()
		synctest.Wait()
		settled(t, r, 5)
		if !slices.Equal(r.st.reasons(), []string{"crash_loop"}) || !bytes.Equal(r.st.quarantined[0].Body, bodies[1]) {
			t.Errorf("quarantined: %v", r.st.reasons())
		}
		stopped(t, stop)
	})
}

func TestSuspectsShareNoCall(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		gate := make(chan struct{})
		r.st.onPut = func([]logentry.Record) error { <-gate; return nil }
		for i := range 9 {
			r.q.send(envelope(t, entries(10+i, "x")))
			if i%3 == 0 {
				r.q.messages[i+1].Receives = 2
			}
		}
		stop := r.start()
		synctest.Wait()
		close(gate)
		synctest.Wait()
		settled(t, r, 126)
		for _, calls := range [][][]logentry.ID{r.st.puts, r.ix.adds} {
			var alone []int
			for _, call := range calls {
				if n := len(call); n < 20 && n%3 == 1 { // 10, 13, 16
					alone = append(alone, n)
				}
			}
			slices.Sort(alone)
			if !slices.Equal(alone, []int{10, 13, 16}) {
				t.Errorf("alone were %v", alone)
			}
		}
		stopped(t, stop)
	})
}

func TestOneEnvelopeThatBreaksPutsDoesNotDelayItsNeighbours(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		gate := make(chan struct{})
		r.st.onPut = func(rs []logentry.Record) error {
			<-gate
			if slices.ContainsFunc(rs, func(e logentry.Record) bool { return e.Message == "bad" }) {
				panic("forced")
			}
			return nil
		}
		start := time.Now()
		stop := r.start()
		r.q.send(envelope(t, entries(1, "first")))
		synctest.Wait()
		r.q.send(envelope(t, entries(5, "x")), envelope(t, entries(5, "bad")), envelope(t, entries(5, "x")))
		synctest.Wait() // all of them wait behind the first
		close(gate)
		synctest.Wait()
		if r.ix.indexed() != 11 || time.Since(start) > time.Second {
			t.Errorf("%d indexed after %v", r.ix.indexed(), time.Since(start))
		}
		if got := testutil.ToFloat64(r.tel.Metrics.Panics); got != 2 { // together, and alone
			t.Errorf("%v panics counted", got)
		}
		pass(30 * time.Hour) // 100 receives, up to 15 min apart
		if r.q.size() != 0 || strings.Join(r.st.reasons(), " ") != "crash_loop" {
			t.Errorf("%d messages, quarantined %v", r.q.size(), r.st.reasons())
		}
		stopped(t, stop)
	})
}

// TestNeighboursOfAKillerGetPastIt lets the worker die whenever it decodes one message, and starts it again.
func TestNeighboursOfAKillerGetPastIt(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.cfg = Config{Visibility: 10 * time.Second, ShutdownGrace: time.Millisecond, CeilingReceives: 30}
		var die atomic.Pointer[chan struct{}]
		dead := make(chan struct{})
		r.st.onPut = func(rs []logentry.Record) error {
			if rs[0].Message == "killer" || slices.ContainsFunc(rs, func(e logentry.Record) bool { return e.Message == "killer" }) {
				close(*die.Load())
				<-dead
			}
			return errAfter(dead)
		}
		for i := range 12 {
			message := "neighbour"
			if i == 0 {
				message = "killer"
			}
			r.q.send(envelope(t, entries(1, message)))
		}
		for range 200 {
			died := make(chan struct{})
			die.Store(&died)
			dead = make(chan struct{})
			stop := r.start()
			select {
			case <-died:
				pass(time.Millisecond)
			case <-time.After(15 * time.Second):
			}
			r.q.onExtend = func(receipts []string) []error { return make([]error, len(receipts)) } // the dead release nothing
			close(dead)
			stopped(t, stop)
			r.q.onExtend = nil
			pass(11 * time.Second)
		}
		settled(t, r, 11)
		if got := r.st.reasons(); !slices.Equal(got, []string{"crash_loop"}) {
			t.Errorf("quarantined: %v", got)
		}
	})
}

// errAfter is an error once dead is closed: a dead worker stores nothing.
func errAfter(dead chan struct{}) error {
	select {
	case <-dead:
		return errDown
	default:
		return nil
	}
}
