package ingest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/mask"
	"github.com/ocelot-log/ocelot/internal/queue"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// later is an Accept that runs beside the test.
type later struct {
	receipt Receipt
	err     error
	done    chan struct{}
}

func accept(in *Ingest, ctx context.Context, t auth.Tenant, es ...logentry.Entry) *later {
	return acceptBatch(in, ctx, t, Batch{Entries: es})
}

func acceptBatch(in *Ingest, ctx context.Context, t auth.Tenant, b Batch) *later {
	l := &later{done: make(chan struct{})}
	go func() {
		defer close(l.done)
		l.receipt, l.err = in.Accept(ctx, t, b)
	}()
	return l
}

func (l *later) answered() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

var background = context.Background()

func msg(text string) logentry.Entry { return logentry.Entry{Message: text} }

func TestAcceptIsAnsweredOnlyWhenDurable(t *testing.T) {
	tenant := authtest.Tenant(t, "one")
	synctest.Test(t, func(t *testing.T) {
		s, g := newSink(), newGate()
		s.hold = g.hold
		in, stop := start(t, Config{}, s)
		a := accept(in, background, tenant, msg("x"))
		time.Sleep(10 * time.Second) // of the bubble: everything that could happen has happened
		if a.answered() {
			t.Fatal("answered before the queue had it")
		}
		g.open(1)
		synctest.Wait()
		if !a.answered() || a.err != nil || len(a.receipt.IDs) != 1 || len(s.envelopes) != 1 {
			t.Fatalf("after the send: %v, %v, %d envelopes", a.answered(), a.err, len(s.envelopes))
		}
		stop()
	})
}

func TestALoneRequestDoesNotWait(t *testing.T) {
	tenant := authtest.Tenant(t, "one")
	synctest.Test(t, func(t *testing.T) {
		s := newSink()
		in, stop := start(t, Config{Linger: time.Hour}, s)
		for i := range 3 {
			began := time.Now()
			if _, err := in.Accept(background, tenant, Batch{Entries: []logentry.Entry{msg("x")}}); err != nil {
				t.Fatal(err)
			}
			if time.Since(began) != 0 {
				t.Errorf("request %d waited %v", i, time.Since(began))
			}
		}
		stop()
	})
}

func TestEntriesGatherBehindASend(t *testing.T) {
	tenant := authtest.Tenant(t, "one")
	synctest.Test(t, func(t *testing.T) {
		s, g := newSink(), newGate()
		s.hold = g.hold
		in, stop := start(t, Config{Linger: time.Hour}, s)
		first := accept(in, background, tenant, msg("first"))
		synctest.Wait()
		var rest []*later
		for i := range 100 {
			rest = append(rest, accept(in, background, tenant, msg(fmt.Sprint(i))))
		}
		synctest.Wait()
		if s.most != 1 {
			t.Errorf("%d sends under way", s.most)
		}
		g.open(2)
		synctest.Wait()
		for _, a := range append(rest, first) {
			if !a.answered() || a.err != nil {
				t.Fatalf("answered %v, %v", a.answered(), a.err)
			}
		}
		if len(s.envelopes) != 2 || s.envelopes[1].Count != 100 {
			t.Errorf("%d envelopes for one request and then a hundred", len(s.envelopes))
		}
		stop()
	})
}

func TestAnEnvelopeHasATraceWhenAllItsEntriesHaveIt(t *testing.T) {
	tenant := authtest.Tenant(t, "one")
	trace := func(id, span byte) string {
		return "00-" + strings.Repeat(string(id), 32) + "-" + strings.Repeat(string(span), 16) + "-01"
	}
	for name, c := range map[string]struct {
		sent []string
		want string
	}{
		"one request":                 {[]string{trace('a', '1')}, trace('a', '1')},
		"two of one trace":            {[]string{trace('a', '1'), trace('a', '2')}, trace('a', '1')},
		"two of two traces":           {[]string{trace('a', '1'), trace('b', '1')}, ""},
		"one with and one without":    {[]string{trace('a', '1'), ""}, ""},
		"one without and one with it": {[]string{"", trace('a', '1')}, ""},
		"two without":                 {[]string{"", ""}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, g := newSink(), newGate()
				var got []string
				s.hold, s.answer = g.hold, func(m queue.Outgoing) error {
					got = append(got, m.Trace)
					return nil
				}
				in, stop := start(t, Config{Linger: time.Hour}, s)
				first := accept(in, background, tenant, msg("first")) // the others gather behind it
				synctest.Wait()
				var rest []*later
				for _, tr := range c.sent {
					l := &later{done: make(chan struct{})}
					go func() {
						defer close(l.done)
						l.receipt, l.err = in.Accept(background, tenant, Batch{Entries: []logentry.Entry{msg("x")}, Trace: tr})
					}()
					rest = append(rest, l)
					synctest.Wait()
				}
				g.open(2)
				for _, l := range append(rest, first) {
					<-l.done
				}
				if len(got) != 2 || got[0] != "" || got[1] != c.want {
					t.Errorf("traces %q, want %q", got, c.want)
				}
				stop()
			})
		})
	}
}

func TestTheLingerBoundsTheWait(t *testing.T) {
	tenant := authtest.Tenant(t, "one")
	synctest.Test(t, func(t *testing.T) {
		s := newSink()
		s.hold = func() { time.Sleep(100 * time.Millisecond) }
		in, stop := start(t, Config{InFlight: 2, Linger: 5 * time.Millisecond}, s)
		began := time.Now()
		a := accept(in, background, tenant, msg("a"))
		time.Sleep(time.Millisecond)
		b := accept(in, background, tenant, msg("b"))
		time.Sleep(3 * time.Millisecond)
		c := accept(in, background, tenant, msg("c"))
		<-b.done
		<-c.done
		if took := time.Since(began); took != 106*time.Millisecond {
			t.Errorf("b and c took %v, want 1 ms + 5 ms of linger + 100 ms", took)
		}
		if !a.answered() || len(s.envelopes) != 2 || s.envelopes[1].Count != 2 {
			t.Errorf("%d envelopes", len(s.envelopes))
		}
		stop()
	})
}

func TestAPatientBatchGoesWithWhatOthersSend(t *testing.T) {
	pressing, other := authtest.Tenant(t, "pressing"), authtest.Tenant(t, "other")
	for name, c := range map[string]struct {
		then func(in *Ingest) *later // 3 ms after the patient batch
		want time.Duration           // until the patient one is answered; a send takes 2 ms
	}{
		"alone it waits for 20 ms": {func(*Ingest) *later { return nil }, 22 * time.Millisecond},
		"with another's":           {func(in *Ingest) *later { return accept(in, background, other, msg("b")) }, 5 * time.Millisecond},
		"with another patient one": {func(in *Ingest) *later {
			return acceptBatch(in, background, other, Batch{Entries: []logentry.Entry{msg("b")}, Patient: true})
		}, 22 * time.Millisecond},
		"with its tenant's, who presses no more": {func(in *Ingest) *later { return accept(in, background, pressing, msg("b")) }, 5 * time.Millisecond},
		"when it fills an envelope": {func(in *Ingest) *later {
			return acceptBatch(in, background, pressing, Batch{Entries: entries(400, 0), Patient: true})
		}, 5 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSink()
				s.hold = func() { time.Sleep(2 * time.Millisecond) }
				in, stop := start(t, Config{Linger: 5 * time.Millisecond}, s)
				began := time.Now()
				first := acceptBatch(in, background, pressing, Batch{Entries: []logentry.Entry{msg("a")}, Patient: true})
				time.Sleep(3 * time.Millisecond)
				second := c.then(in)
				<-first.done
				if took := time.Since(began); took != c.want || first.err != nil {
					t.Errorf("took %v, want %v; %v", took, c.want, first.err)
				}
				if second != nil {
					if <-second.done; second.err != nil || time.Since(began) != c.want || len(s.sends) != 1 {
						t.Errorf("the other: %v after %v, in %d sends", second.err, time.Since(began), len(s.sends))
					}
				}
				stop()
			})
		})
	}
}

// TestPatientBatchesAreNotForgotten has another tenant always send more than one send takes.
func TestPatientBatchesAreNotForgotten(t *testing.T) {
	pressing := authtest.Tenant(t, "pressing")
	synctest.Test(t, func(t *testing.T) {
		s := newSink()
		s.hold = func() { time.Sleep(2 * time.Millisecond) }
		in, stop := start(t, Config{InFlight: 1, Linger: 5 * time.Millisecond}, s)
		ctx, enough := context.WithCancel(background)
		var others sync.WaitGroup
		for i := range 40 {
			other := authtest.Tenant(t, fmt.Sprintf("other%d", i))
			others.Go(func() {
				for ctx.Err() == nil {
					<-accept(in, background, other, msg("x")).done
				}
			})
		}
		time.Sleep(50 * time.Millisecond)
		began := time.Now()
		b := acceptBatch(in, background, pressing, Batch{Entries: []logentry.Entry{msg("a")}, Patient: true})
		<-b.done
		if took := time.Since(began); took > 30*time.Millisecond || b.err != nil {
			t.Errorf("a patient batch waited for %v, %v", took, b.err)
		}
		enough()
		others.Wait()
		stop()
	})
}

func TestWithoutLingerAFreeSenderTakesWhatComes(t *testing.T) {
	tenant := authtest.Tenant(t, "one")
	synctest.Test(t, func(t *testing.T) {
		s, g := newSink(), newGate()
		s.hold = g.hold
		in, stop := start(t, Config{InFlight: 3}, s)
		for i := range 3 {
			accept(in, background, tenant, msg("x"))
			synctest.Wait()
			if s.under != i+1 {
				t.Errorf("%d sends under way after %d requests", s.under, i+1)
			}
		}
		g.open(3)
		stop()
	})
}

func TestAFullEnvelopeNeedsNoLinger(t *testing.T) {
	tenant, other := authtest.Tenant(t, "one"), authtest.Tenant(t, "two")
	synctest.Test(t, func(t *testing.T) {
		s, g := newSink(), newGate()
		s.hold = g.hold
		in, stop := start(t, Config{Linger: time.Hour}, s)
		accept(in, background, other, msg("first"))
		synctest.Wait()
		small := accept(in, background, other, msg("small"))
		bulk := accept(in, background, tenant, entries(2000, 0)...)
		synctest.Wait()
		if s.under != 4 {
			t.Errorf("%d sends under way, want the first and three of the bulk's", s.under)
		}
		g.open(100)
		synctest.Wait()
		if !bulk.answered() || !small.answered() || s.most != 4 {
			t.Errorf("bulk %v, small %v, at most %d sends at a time", bulk.answered(), small.answered(), s.most)
		}
		stop()
	})
}

// TestFullEnvelopesShareASendWhenAllSendersAreBusy has many envelopes' worth wait for one sender.
func TestFullEnvelopesShareASendWhenAllSendersAreBusy(t *testing.T) {
	tenant := authtest.Tenant(t, "one")
	synctest.Test(t, func(t *testing.T) {
		s, g := newSink(), newGate()
		s.hold = g.hold
		in, stop := start(t, Config{InFlight: 1, Linger: time.Hour}, s)
		accept(in, background, tenant, msg("first"))
		synctest.Wait()
		bulk := accept(in, background, tenant, entries(10_000, 0)...)
		synctest.Wait()
		g.open(1000)
		synctest.Wait()
		if !bulk.answered() || len(s.envelopes) < 12 || len(s.sends) > len(s.envelopes)/4 {
			t.Errorf("answered %v, %d envelopes in %d sends", bulk.answered(), len(s.envelopes), len(s.sends))
		}
		for _, send := range s.sends {
			if len(send) > maxMessages {
				t.Errorf("%d messages in a send", len(send))
			}
		}
		stop()
	})
}

func TestABusyTenantDoesNotHoldUpAnother(t *testing.T) {
	busy, quiet := authtest.Tenant(t, "busy"), authtest.Tenant(t, "quiet")
	synctest.Test(t, func(t *testing.T) {
		s, g := newSink(), newGate()
		s.hold = g.hold
		in, stop := start(t, Config{InFlight: 1, Linger: 5 * time.Millisecond}, s)
		accept(in, background, busy, entries(10_000, 0)...)
		synctest.Wait()
		a := accept(in, background, quiet, msg("x"))
		time.Sleep(time.Second)
		g.open(3)
		synctest.Wait()
		if !a.answered() {
			t.Error("the quiet tenant still waits after three sends")
		}
		g.open(1000)
		stop()
	})
}

func TestManyQuietTenantsShareASend(t *testing.T) {
	var tenants []auth.Tenant
	for i := range 25 {
		tenants = append(tenants, authtest.Tenant(t, fmt.Sprintf("tenant-%d", i)))
	}
	synctest.Test(t, func(t *testing.T) {
		s, g := newSink(), newGate()
		s.hold = g.hold
		in, stop := start(t, Config{InFlight: 1, Linger: time.Hour}, s)
		accept(in, background, tenants[0], msg("first"))
		synctest.Wait()
		for _, tenant := range tenants {
			for range 3 {
				accept(in, background, tenant, msg("x"))
			}
		}
		synctest.Wait()
		g.open(1000)
		synctest.Wait()
		if len(s.envelopes) != 26 || len(s.sends) != 4 {
			t.Errorf("%d envelopes in %d sends, want 1 and 25 in 1 and 3", len(s.envelopes), len(s.sends))
		}
		for _, send := range s.sends {
			if len(send) > 10 {
				t.Errorf("%d messages in a send", len(send))
			}
		}
		stop()
	})
}

func TestAFailedEnvelopeFailsItsRequestsOnly(t *testing.T) {
	good, bad := authtest.Tenant(t, "good"), authtest.Tenant(t, "bad")
	for name, c := range map[string]struct {
		err   error
		kind  fault.Kind
		code  string
		retry time.Duration
	}{
		"a queue that is down":            {fault.New(fault.Unavailable, "down", ""), fault.Unavailable, "enqueue_failed", time.Second},
		"an error that nobody knows":      {errors.New("boom"), fault.Unavailable, "enqueue_failed", time.Second},
		"a disk that is full":             {fault.New(fault.Full, "storage_full", ""), fault.Full, "storage_full", 0},
		"a queue that takes smaller ones": {fault.New(fault.TooLarge, "message_too_large", ""), fault.TooLarge, "entry_too_large", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, g := newSink(), newGate()
				s.hold = g.hold
				s.answer = func(m queue.Outgoing) error {
					if m.Group == bad.ID() {
						return c.err
					}
					return nil
				}
				in, stop := start(t, Config{InFlight: 1, Linger: time.Hour}, s)
				accept(in, background, good, msg("first"))
				synctest.Wait()
				a, b1, b2 := accept(in, background, good, msg("a")), accept(in, background, bad, msg("b")), accept(in, background, bad, msg("c"))
				synctest.Wait()
				g.open(2)
				synctest.Wait()
				if !a.answered() || a.err != nil {
					t.Errorf("the good one: %v, %v", a.answered(), a.err)
				}
				for _, b := range []*later{b1, b2} {
					if !b.answered() {
						t.Fatal("a waiter was lost")
					}
					if f := fault.Of(b.err); f == nil || f.Kind != c.kind || f.Code != c.code || f.RetryAfter != c.retry || !errors.Is(b.err, c.err) {
						t.Errorf("the bad one: %v", b.err)
					}
				}
				stop()
				if in.buffered != 0 {
					t.Errorf("%d bytes are still counted", in.buffered)
				}
			})
		})
	}
}

func TestARequestThatFailedInPartFailsAndSendsNoMore(t *testing.T) {
	tenant := authtest.Tenant(t, "one")
	synctest.Test(t, func(t *testing.T) {
		s, g := newSink(), newGate()
		s.hold = g.hold
		n := 0
		s.answer = func(queue.Outgoing) error {
			if n++; n == 2 {
				return errors.New("boom")
			}
			return nil
		}
		in, stop := start(t, Config{InFlight: 1, Linger: time.Hour}, s)
		big := accept(in, background, tenant, entries(10_000, 0)...) // more than a send takes
		synctest.Wait()
		after := accept(in, background, tenant, msg("after"))
		synctest.Wait()
		g.open(1)
		synctest.Wait()
		if !big.answered() || fault.KindOf(big.err) != fault.Unavailable {
			t.Fatalf("the large one: %v, %v", big.answered(), big.err)
		}
		g.open(1)
		synctest.Wait()
		if !after.answered() || after.err != nil || len(s.envelopes) != maxMessages || s.envelopes[maxMessages-1].Count != 1 {
			t.Errorf("the one behind it: %v, %v, %d envelopes", after.answered(), after.err, len(s.envelopes))
		}
		stop()
		if in.buffered != 0 {
			t.Errorf("%d bytes are still counted", in.buffered)
		}
	})
}

func TestAContextThatEndsLeavesTheOutcomeOpen(t *testing.T) {
	tenant := authtest.Tenant(t, "one")
	synctest.Test(t, func(t *testing.T) {
		s, g := newSink(), newGate()
		s.hold = g.hold
		in, stop := start(t, Config{InFlight: 1, Linger: time.Hour}, s)
		ctx, cancel := context.WithCancel(background)
		sent := accept(in, ctx, tenant, msg("sent"))
		synctest.Wait()
		waiting, other := accept(in, ctx, tenant, msg("waiting")), accept(in, background, tenant, msg("other"))
		synctest.Wait()
		cancel()
		synctest.Wait()
		for _, a := range []*later{sent, waiting} {
			if f := fault.Of(a.err); !a.answered() || f == nil || f.Kind != fault.Unavailable || f.Code != "unknown_outcome" || !errors.Is(a.err, context.Canceled) {
				t.Errorf("%v, %v", a.answered(), a.err)
			}
		}
		g.open(2)
		synctest.Wait()
		if !other.answered() || other.err != nil {
			t.Errorf("the other: %v, %v", other.answered(), other.err)
		}
		var texts []string
		for _, r := range s.records(t) {
			texts = append(texts, r.Message)
		}
		if strings.Join(texts, " ") != "sent other" {
			t.Errorf("sent: %v; what nobody waits for need not be sent", texts)
		}
		stop()
		if in.buffered != 0 {
			t.Errorf("%d bytes are still counted", in.buffered)
		}
	})
}

func TestTheBufferIsBounded(t *testing.T) {
	tenant := authtest.Tenant(t, "one")
	synctest.Test(t, func(t *testing.T) {
		s, g := newSink(), newGate()
		s.hold = g.hold
		in, stop := start(t, Config{BufferBytes: 100_000, Linger: time.Hour}, s)
		over := accept(in, background, tenant, entries(1000, 0)...) // larger than the buffer, which is empty
		synctest.Wait()
		if over.answered() {
			t.Fatalf("a request into the empty buffer: %v", over.err)
		}
		_, err := in.Accept(background, tenant, Batch{Entries: []logentry.Entry{msg("x")}})
		if f := fault.Of(err); f == nil || f.Kind != fault.Limited || f.Code != "buffer_full" || f.RetryAfter <= 0 {
			t.Errorf("into the full buffer: %v", err)
		}
		g.open(1000)
		synctest.Wait()
		if !over.answered() || over.err != nil {
			t.Errorf("%v, %v", over.answered(), over.err)
		}
		if _, err := in.Accept(background, tenant, Batch{Entries: []logentry.Entry{msg("x")}}); err != nil {
			t.Errorf("after it was sent: %v", err)
		}
		stop()
	})
}

func TestRunEndsByAnsweringEverybody(t *testing.T) {
	one, two := authtest.Tenant(t, "one"), authtest.Tenant(t, "two")
	synctest.Test(t, func(t *testing.T) {
		s, g := newSink(), newGate()
		s.hold = g.hold
		in := New(Config{InFlight: 2, Linger: time.Hour}, s, mask.NewSet(nil), telemetry.Discard())
		early := accept(in, background, one, msg("before Run"))
		synctest.Wait()
		ctx, cancel := context.WithCancel(background)
		ended := make(chan error, 1)
		go func() { ended <- in.Run(ctx) }()
		synctest.Wait()
		waiting := []*later{early, accept(in, background, one, msg("b")), accept(in, background, two, entries(3000, 0)...)}
		synctest.Wait()
		cancel()
		synctest.Wait()
		late, err := in.Accept(background, one, Batch{Entries: []logentry.Entry{msg("late")}})
		if f := fault.Of(err); f == nil || f.Kind != fault.Unavailable || f.Code != "shutting_down" || f.RetryAfter <= 0 {
			t.Errorf("after the end: %v, %v", late, err)
		}
		select {
		case err := <-ended:
			t.Fatalf("Run ended before its sends: %v", err)
		default:
		}
		g.open(1000)
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		synctest.Wait()
		for i, a := range waiting {
			if !a.answered() || a.err != nil {
				t.Errorf("request %d: %v, %v", i, a.answered(), a.err)
			}
		}
		if n := len(s.records(t)); n != 3002 {
			t.Errorf("%d entries sent", n)
		}
		if err := in.Run(background); err == nil {
			t.Error("it ran twice")
		}
	})
}

func TestEveryEntryArrivesOnce(t *testing.T) {
	q, err := queue.NewSQLite(":memory:", queue.SQLiteConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = q.Close() }()
	in, stop := start(t, Config{Linger: time.Millisecond, TargetBytes: 4000}, q)
	defer stop()
	var mu sync.Mutex
	want := map[logentry.ID]string{}
	var wg sync.WaitGroup
	for w := range 8 {
		tenant := authtest.Tenant(t, fmt.Sprintf("tenant-%d", w%3))
		wg.Go(func() {
			for i := range 20 {
				r, err := in.Accept(background, tenant, Batch{Entries: entries(1+(w*i*7)%90, w*1000+i)})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for _, id := range r.IDs {
					want[id] = tenant.ID()
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for {
		ms, err := q.Receive(background, 10, 0, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if len(ms) == 0 {
			break
		}
		for _, m := range ms {
			e, err := queue.Unpack(m.Body)
			if err != nil {
				t.Fatal(err)
			}
			rs, err := e.Records()
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rs {
				if want[r.ID] != r.TenantID {
					t.Fatalf("entry %v of tenant %q is in an envelope of %q", r.ID, want[r.ID], r.TenantID)
				}
				delete(want, r.ID)
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("%d acknowledged entries are not in the queue", len(want))
	}
}
