package drain

import (
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/pkg/logentry"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestHeldMessagesAreExtendedAtAThirdOfTheirVisibility(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.cfg = Config{CallTimeout: time.Hour}
		r.st.onPut = func([]logentry.Record) error { time.Sleep(3*90*time.Second + time.Second); return nil }
		r.q.send(envelope(t, entries(5, "slow")))
		stop := r.start()
		pass(4 * time.Minute)
		if got := r.q.receives()[0]; got != 1 {
			t.Errorf("received %d times while it was held", got)
		}
		if got := len(r.q.extensions()); got != 8 { // each 30 s
			t.Errorf("%d extensions in 240 s", got)
		}
		pass(time.Minute)
		settled(t, r, 5)
		if len(r.st.puts) != 1 {
			t.Errorf("%d puts", len(r.st.puts))
		}
		stopped(t, stop)
	})
}

func TestAnExtensionThatFailsIsTriedAgainInTime(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.cfg = Config{CallTimeout: time.Hour}
		var calls atomic.Int64
		r.q.onExtend = func(receipts []string) []error {
			if calls.Add(1) <= 3 {
				return slices.Repeat([]error{errDown}, len(receipts))
			}
			return nil
		}
		r.st.onPut = func([]logentry.Record) error { time.Sleep(2 * time.Minute); return nil }
		r.q.send(envelope(t, entries(5, "slow")))
		stop := r.start()
		pass(3 * time.Minute)
		settled(t, r, 5)
		if len(r.st.puts) != 1 {
			t.Errorf("%d puts: the message came back", len(r.st.puts))
		}
		stopped(t, stop)
	})
}

func TestALostMessageIsNotDeleted(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.cfg = Config{CallTimeout: time.Hour}
		r.q.onExtend = func(receipts []string) []error {
			return slices.Repeat([]error{error(fault.New(fault.NotFound, "receipt_gone", ""))}, len(receipts))
		}
		var deleted atomic.Int64
		r.q.onDelete = func(receipts []string) []error { deleted.Add(int64(len(receipts))); return nil }
		gate := make(chan struct{})
		r.st.onPut = func([]logentry.Record) error { <-gate; return nil }
		r.q.send(envelope(t, entries(5, "x")))
		stop := r.start()
		pass(40 * time.Second)
		if got := testutil.ToFloat64(r.tel.Metrics.Extensions.WithLabelValues("lost")); got != 1 {
			t.Errorf("%v lost", got)
		}
		close(gate)
		synctest.Wait()
		if deleted.Load() != 0 || r.q.size() != 1 {
			t.Errorf("%d deletes, %d messages", deleted.Load(), r.q.size())
		}
		pass(time.Minute) // it comes again, as a duplicate
		settled(t, r, 5)
		stopped(t, stop)
		if got := testutil.ToFloat64(r.tel.Metrics.InFlightBytes); got != 0 {
			t.Errorf("%v bytes are still counted as in flight", got)
		}
	})
}

func TestWorkThatTakesTooLongIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.cfg = Config{CallTimeout: 24 * time.Hour, MaxExtendTotal: 5 * time.Minute, Concurrency: 2}
		var puts atomic.Int64
		gate := make(chan struct{})
		r.st.onPut = func([]logentry.Record) error {
			if puts.Add(1) == 1 {
				<-gate
			}
			return nil
		}
		r.q.send(envelope(t, entries(5, "stuck once")))
		stop := r.start()
		pass(7 * time.Minute)
		settled(t, r, 5) // by its second delivery
		close(gate)
		synctest.Wait()
		settled(t, r, 5)
		stopped(t, stop)
	})
}

func TestStopFinishesWhatIsHeld(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.st.onPut = func([]logentry.Record) error { time.Sleep(3 * time.Second); return nil }
		r.ix.onAdd = func([]logentry.Record) error { time.Sleep(3 * time.Second); return nil }
		r.q.send(envelope(t, entries(5, "x")))
		stop := r.start()
		pass(time.Second)
		start := time.Now()
		stopped(t, stop)
		settled(t, r, 5)
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("stopped after %v", took)
		}
	})
}

func TestStopReleasesWhatItCanNotFinish(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.cfg = Config{RecordEntries: 5, CallTimeout: time.Hour}
		r.st.onPut = func([]logentry.Record) error { time.Sleep(15 * time.Second); return nil }
		for range 200 {
			r.q.send(envelope(t, entries(5, "x")))
		}
		stop := r.start()
		pass(time.Second)
		start := time.Now()
		stopped(t, stop)
		if took := time.Since(start); took > 30*time.Second { // grace, and the call that does not listen
			t.Errorf("stopped after %v", took)
		}
		now := time.Now()
		for id, m := range r.q.messages {
			if m.visibleAt.After(now) {
				t.Errorf("message %d stays hidden for %v", id, m.visibleAt.Sub(now))
			}
		}
		if r.q.size() < 190 {
			t.Errorf("%d messages left: this test tests nothing", r.q.size())
		}
		r.st.onPut = nil
		stop = r.start()
		synctest.Wait()
		settled(t, r, 1000)
		stopped(t, stop)
	})
}

func TestTheBudgetBoundsWhatIsHeld(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.cfg = Config{BudgetBytes: 1 << 20}
		gate := make(chan struct{})
		r.st.onPut = func([]logentry.Record) error { <-gate; return nil }
		for range 100 {
			r.q.send(envelope(t, entries(500, "x"))) // about 500 kB each once decoded
		}
		stop := r.start()
		pass(time.Minute)
		held := 0
		for _, n := range r.q.receives() {
			held += min(n, 1)
		}
		if held < 1 || held > 6 { // the first receive goes by an estimate
			t.Errorf("%d messages held", held)
		}
		close(gate)
		synctest.Wait()
		settled(t, r, 50_000)
		stopped(t, stop)
	})
}

func TestWaitingWorkerNeedsNoSecondLook(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		stop := r.start()
		pass(time.Hour)
		r.q.send(envelope(t, entries(1, "x")))
		synctest.Wait()
		settled(t, r, 1)
		stopped(t, stop)
		if got := testutil.ToFloat64(r.tel.Metrics.Received.WithLabelValues("empty")); got < 350 || got > 365 {
			t.Errorf("%v empty receives in an hour of two pollers that wait for 20 s", got)
		}
	})
}

func TestLevelsAreReadFromTheStart(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.st.quarantined = append(r.st.quarantined, quarantined(&delivery{}, "crash_loop", "", nil))
		stop := r.start()
		synctest.Wait()
		if got := testutil.ToFloat64(r.tel.Metrics.QuarantineSize); got != 1 {
			t.Errorf("%v items in quarantine", got)
		}
		if got := testutil.ToFloat64(r.tel.Metrics.QueueOldest); got != -1 {
			t.Errorf("the oldest is %v s old", got)
		}
		stopped(t, stop)
	})
}
