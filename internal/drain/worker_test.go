package drain

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/pkg/logentry"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// bubble runs fn with a rig, in a time of its own.
func bubble(t *testing.T, fn func(t *testing.T, r *rig)) {
	synctest.Test(t, func(t *testing.T) { fn(t, newRig()) })
}

// pass lets the bubble's time pass.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func stopped(t *testing.T, stop func() error) {
	t.Helper()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// settled checks that want entries are in record and index, and nothing is left anywhere.
func settled(t *testing.T, r *rig, want int) {
	t.Helper()
	if got := r.st.recorded(); got != want {
		t.Errorf("%d entries in the record, want %d", got, want)
	}
	if got := r.ix.indexed(); got != want {
		t.Errorf("%d entries in the index, want %d", got, want)
	}
	if n := r.q.size(); n != 0 {
		t.Errorf("%d messages are left", n)
	}
	if n := r.st.backlog(); n != 0 {
		t.Errorf("%d entries are left in the backlog", n)
	}
}

func TestEntriesReachRecordAndIndexAndMessagesAreDeleted(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		stop := r.start()
		start := time.Now()
		for range 30 {
			r.q.send(envelope(t, entries(20, "hello")))
		}
		synctest.Wait()
		settled(t, r, 600)
		if took := time.Since(start); took > 100*time.Millisecond {
			t.Errorf("searchable after %v", took)
		}
		stopped(t, stop)
		if got := testutil.ToFloat64(r.tel.Metrics.InFlightBytes); got != 0 {
			t.Errorf("%v bytes are still counted as in flight", got)
		}
		if got := testutil.ToFloat64(r.tel.Metrics.IndexedEntries.WithLabelValues("indexed")); got != 600 {
			t.Errorf("%v entries counted as indexed", got)
		}
	})
}

func TestADuplicateIsIndexedAsTheRecordHoldsIt(t *testing.T) {
	for name, others := range map[string]int{"alone": 0, "among others": 3} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				es := entries(1, "first")
				r.q.send(envelope(t, es))
				stop := r.start()
				synctest.Wait()
				delete(r.ix.records, es[0].ID) // as if it had died before the index
				later := slices.Clone(es)
				later[0].ReceivedAt = es[0].ReceivedAt.Add(48 * time.Hour)
				later[0].Message = "second"
				gate := make(chan struct{})
				r.st.onPut = func([]logentry.Record) error { <-gate; return nil }
				r.q.send(envelope(t, entries(1, "x")))
				synctest.Wait() // it stands at the gate, what comes now is gathered
				for range others {
					r.q.send(envelope(t, entries(2, "x")))
				}
				r.q.send(envelope(t, later))
				synctest.Wait()
				close(gate)
				synctest.Wait()
				settled(t, r, 2+2*others)
				if got := r.ix.records[es[0].ID]; got.Message != "first" || !got.ReceivedAt.Equal(es[0].ReceivedAt) {
					t.Errorf("indexed as %q, received at %v", got.Message, got.ReceivedAt)
				}
				if got := len(r.st.puts); got != 3 {
					t.Errorf("%d Puts: nothing was gathered", got)
				}
				stopped(t, stop)
			})
		})
	}
}

func TestStoreDownThenBack(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		var down atomic.Bool
		down.Store(true)
		fail := func() error {
			if down.Load() {
				return errDown
			}
			return nil
		}
		r.st.onPut = func([]logentry.Record) error { return fail() }
		r.st.onCount = fail
		stop := r.start()
		for range 40 {
			r.q.send(envelope(t, entries(10, "x")))
			pass(time.Second)
		}
		pass(time.Hour)
		if got := r.q.size(); got != 40 {
			t.Fatalf("%d of 40 messages left while nothing could be stored", got)
		}
		if most := slices.Max(r.q.receives()); most > 3 {
			t.Errorf("an outage of an hour used up %d receives of a message", most)
		}
		if slices.Contains(r.q.extensions(), 0) {
			t.Error("a message that failed was released with visibility 0")
		}
		down.Store(false)
		pass(time.Minute)
		settled(t, r, 400)
		if got := r.st.reasons(); len(got) > 0 {
			t.Errorf("quarantined: %v", got)
		}
		stopped(t, stop)
	})
}

func TestAFullStoreLosesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		var full atomic.Bool
		full.Store(true)
		r.st.onPut = func([]logentry.Record) error {
			if full.Load() {
				return fault.New(fault.Full, "storage_full", "")
			}
			return nil
		}
		for range 20 {
			r.q.send(envelope(t, entries(10, "x")))
		}
		stop := r.start()
		pass(10 * time.Minute)
		if r.q.size() != 20 || r.st.recorded() != 0 {
			t.Fatalf("%d messages, %d records", r.q.size(), r.st.recorded())
		}
		full.Store(false)
		pass(16 * time.Minute) // the longest that a failed message waits
		settled(t, r, 200)
		stopped(t, stop)
	})
}

func TestIndexDownThenBack(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		var down atomic.Bool
		down.Store(true)
		r.ix.onAdd = func([]logentry.Record) error {
			if down.Load() {
				return errDown
			}
			return nil
		}
		stop := r.start()
		for i := range 600 {
			r.q.send(envelope(t, entries(2, "x")))
			pass(time.Second)
			if n := r.q.size(); n > 1 {
				t.Fatalf("the queue grew to %d after %d s", n, i)
			}
		}
		if r.st.recorded() != 1200 || r.st.backlog() != 1200 || r.ix.indexed() != 0 {
			t.Fatalf("recorded %d, backlog %d, indexed %d", r.st.recorded(), r.st.backlog(), r.ix.indexed())
		}
		down.Store(false)
		pass(mostRetry + time.Second)
		settled(t, r, 1200)
		r.q.send(envelope(t, entries(3, "y")))
		synctest.Wait()
		settled(t, r, 1203)
		stopped(t, stop)
	})
}

func TestAHangingIndexDoesNotStopTheRecord(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.cfg = Config{IndexEntries: 100, CallTimeout: time.Hour}
		hang := make(chan struct{})
		r.ix.onAdd = func([]logentry.Record) error { <-hang; return nil }
		stop := r.start()
		for range 100 {
			r.q.send(envelope(t, entries(50, "x")))
		}
		pass(15 * time.Second) // patience, and a bit
		if got := r.st.recorded(); got != 5000 {
			t.Errorf("%d of 5000 recorded while the index hangs", got)
		}
		if got := r.q.size(); got > 2 { // what the hanging call holds
			t.Errorf("%d messages are left", got)
		}
		close(hang)
		pass(20 * time.Second)
		settled(t, r, 5000)
		stopped(t, stop)
	})
}

func TestASlowIndexIsWaitedForAsLongAsItGetsOn(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.cfg = Config{IndexEntries: 100}
		r.ix.onAdd = func([]logentry.Record) error { time.Sleep(4 * time.Second); return nil }
		for i := range 30 {
			r.q.send(envelope(t, entries(3, "x")))
			if i%2 == 0 {
				r.q.messages[i+1].Receives = 2 // alone in an Add, while the others wait
			}
		}
		stop := r.start()
		pass(3 * time.Minute)
		settled(t, r, 90)
		if got := testutil.ToFloat64(r.tel.Metrics.IndexedEntries.WithLabelValues("backlog")); got != 0 {
			t.Errorf("%v entries went to the backlog", got)
		}
		if got := len(r.ix.adds); got > 20 { // 15 alone, the others gathered meanwhile
			t.Errorf("%d Adds", got)
		}
		stopped(t, stop)
	})
}

func TestBacklogOfACrashIsWorkedOffFromTheStart(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		for _, e := range entries(300, "left") {
			r.st.records[e.ID] = logentry.Record{Entry: e}
			r.st.order = append(r.st.order, e.ID)
		}
		stop := r.start()
		synctest.Wait()
		settled(t, r, 300)
		stopped(t, stop)
	})
}

func TestOneThatBreaksAddsStaysAloneInTheBacklog(t *testing.T) {
	for name, bad := range map[string]func() error{
		"by a panic":                func() error { panic("forced") },
		"by an error of no outage":  func() error { return fmt.Errorf("forced") },
		"by being too large a call": func() error { return fault.New(fault.TooLarge, "", "") },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				r.ix.onAdd = func(rs []logentry.Record) error {
					if slices.ContainsFunc(rs, func(e logentry.Record) bool { return e.Message == "bad" }) {
						return bad()
					}
					return nil
				}
				es := entries(200, "good")
				es[77].Message = "bad"
				r.q.send(envelope(t, es), envelope(t, entries(50, "good")))
				stop := r.start()
				pass(time.Second)
				if r.st.recorded() != 250 || r.ix.indexed() != 249 || r.st.backlog() != 1 || r.q.size() != 0 {
					t.Errorf("recorded %d, indexed %d, backlog %d, messages %d", r.st.recorded(), r.ix.indexed(), r.st.backlog(), r.q.size())
				}
				stopped(t, stop)
			})
		})
	}
}

func TestVerdictsOfTheStore(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		var busy atomic.Bool
		busy.Store(true)
		r.st.onVerdict = func(e *logentry.Record) store.Verdict {
			switch {
			case e.Message == "rejected":
				return store.Rejected
			case e.Message == "busy" && busy.Load():
				return store.Retry
			}
			return store.Stored
		}
		mixed := entries(10, "fine")
		mixed[3].Message, mixed[9].Message = "rejected", "rejected"
		wait := entries(5, "fine")
		wait[2].Message = "busy"
		r.q.send(envelope(t, mixed), envelope(t, wait), envelope(t, entries(2, "rejected")))
		stop := r.start()
		synctest.Wait()
		if got := strings.Join(r.st.reasons(), " "); got != "record_rejected record_rejected record_rejected record_rejected" {
			t.Errorf("quarantined: %s", got)
		}
		if r.q.size() != 1 || r.ix.indexed() != 8 {
			t.Errorf("%d messages left, %d indexed", r.q.size(), r.ix.indexed())
		}
		if body := r.st.quarantined[0].Body; !bytes.Contains(body, []byte(`"message":"rejected"`)) || r.st.quarantined[0].TenantID != "t1" {
			t.Errorf("quarantined %q of %q", body, r.st.quarantined[0].TenantID)
		}
		busy.Store(false)
		pass(11 * time.Second)
		settled(t, r, 13)
		stopped(t, stop)
	})
}

func TestVerdictsOfTheIndex(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		var busy atomic.Bool
		busy.Store(true)
		r.ix.onVerdict = func(e *logentry.Record) search.Verdict {
			switch {
			case e.Message == "refused":
				return search.Refused
			case e.Message == "busy" && busy.Load():
				return search.Retry
			}
			return search.Indexed
		}
		es := entries(10, "fine")
		es[3].Message, es[4].Message = "refused", "busy"
		r.q.send(envelope(t, es))
		stop := r.start()
		synctest.Wait()
		if r.q.size() != 0 || r.st.backlog() != 1 || r.ix.indexed() != 8 || !slices.Equal(r.st.reasons(), []string{"index_refused"}) {
			t.Errorf("messages %d, backlog %d, indexed %d, quarantined %v", r.q.size(), r.st.backlog(), r.ix.indexed(), r.st.reasons())
		}
		busy.Store(false)
		pass(mostRetry)
		if r.st.backlog() != 0 || r.ix.indexed() != 9 || r.st.recorded() != 10 {
			t.Errorf("backlog %d, indexed %d, recorded %d", r.st.backlog(), r.ix.indexed(), r.st.recorded())
		}
		stopped(t, stop)
	})
}

func TestDeletesThatFailAreHarmless(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		var once sync.Once
		r.q.onDelete = func(receipts []string) (errs []error) {
			once.Do(func() { errs = slices.Repeat([]error{errDown}, len(receipts)) })
			return errs
		}
		r.q.send(envelope(t, entries(10, "x")))
		stop := r.start()
		synctest.Wait()
		if r.q.size() != 1 || testutil.ToFloat64(r.tel.Metrics.DeleteFailures) != 1 {
			t.Errorf("%d messages, %v failures", r.q.size(), testutil.ToFloat64(r.tel.Metrics.DeleteFailures))
		}
		pass(91 * time.Second)
		settled(t, r, 10)
		stopped(t, stop)
	})
}

func TestSmallEnvelopesShareAPutWhenTheyComeFasterThanThePace(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.cfg = Config{Pace: 100 * time.Millisecond, FewCalls: true}
		var deletes atomic.Int64
		r.q.onDelete = func([]string) []error { deletes.Add(1); return nil }
		r.q.send(envelope(t, entries(1, "first")))
		stop := r.start()
		synctest.Wait()
		if r.st.recorded() != 1 || r.ix.indexed() != 1 {
			t.Errorf("%d recorded, %d indexed: the first waits for nothing", r.st.recorded(), r.ix.indexed())
		}
		for range 20 {
			r.q.send(envelope(t, entries(1, "more")))
			synctest.Wait()
		}
		<-time.After(time.Second) // of the bubble's time
		synctest.Wait()
		settled(t, r, 21)
		if got := len(r.st.puts); got > 6 {
			t.Errorf("%d Puts of 21 envelopes that came one after the other at once", got)
		}
		if got := deletes.Load(); got > 6 {
			t.Errorf("%d deletes of 21 messages", got)
		}
		stopped(t, stop)
	})
}
