package ingest

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/queue"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// acceptNow accepts a batch into a sink of its own and returns the receipt and what arrived.
func acceptNow(t *testing.T, tenant auth.Tenant, cfg Config, b Batch) (Receipt, []logentry.Record) {
	t.Helper()
	s := newSink()
	in, stop := start(t, cfg, s)
	defer stop()
	r, err := in.Accept(background, tenant, b)
	if err != nil {
		t.Fatal(err)
	}
	return r, s.records(t)
}

func TestStampsDefaults(t *testing.T) {
	tenant := authtest.Tenant(t, "one")
	received := time.Now().Add(-time.Minute)
	sent := time.Date(2001, 2, 3, 4, 5, 6, 7, time.UTC)
	r, got := acceptNow(t, tenant, Config{SchemaVersion: 3}, Batch{ReceivedAt: received, Entries: []logentry.Entry{
		{Message: "bare", TenantID: "somebody else's"},
		{Message: "told", Timestamp: sent, Severity: logentry.Error, SchemaVersion: 7, Changes: []string{"made.up"}},
		{Action: "UPDATE", BeforeState: []byte(`{"a":1,"b":2}`), AfterState: []byte(`{"a":1,"b":3}`)},
	}})
	if len(got) != 3 || len(r.IDs) != 3 || r.Duplicates != 0 {
		t.Fatalf("%d records, %+v", len(got), r)
	}
	for i, e := range got {
		if e.ID != r.IDs[i] || e.ID[6]>>4 != 7 || e.TenantID != tenant.ID() || !e.ReceivedAt.Equal(received) || e.ReceivedAt.Location() != time.UTC {
			t.Errorf("entry %d: id %v, tenant %q, received %v", i, e.ID, e.TenantID, e.ReceivedAt)
		}
	}
	if e := got[0]; !e.Timestamp.Equal(received) || e.Severity != logentry.Info || e.SchemaVersion != 3 || e.Changes != nil {
		t.Errorf("defaults: %+v", e.Entry)
	}
	if e := got[1]; !e.Timestamp.Equal(sent) || e.Severity != logentry.Error || e.SchemaVersion != 7 || e.Changes != nil {
		t.Errorf("what was sent was altered: %+v", e.Entry)
	}
	if e := got[2]; strings.Join(e.Changes, " ") != "b" {
		t.Errorf("changes: %v", e.Changes)
	}
}

func TestReceivedAtIsNeverAhead(t *testing.T) {
	tenant := authtest.Tenant(t, "one")
	for name, given := range map[string]time.Time{"none given": {}, "given in the future": time.Now().Add(time.Hour)} {
		before := time.Now()
		_, got := acceptNow(t, tenant, Config{}, Batch{ReceivedAt: given, Entries: []logentry.Entry{msg("x")}})
		if at := got[0].ReceivedAt; at.Before(before) || at.After(time.Now()) {
			t.Errorf("%s: received at %v", name, at)
		}
	}
}

func TestKeyedIDs(t *testing.T) {
	tenant, other := authtest.Tenant(t, "one"), authtest.Tenant(t, "two")
	keyed := func(text, event string) logentry.Entry { return logentry.Entry{Message: text, EventID: event} }
	ids := func(tenant auth.Tenant, at time.Time, key string, es ...logentry.Entry) []logentry.ID {
		r, _ := acceptNow(t, tenant, Config{}, Batch{ReceivedAt: at, IdempotencyKey: key, Entries: es})
		return r.IDs
	}
	day := time.Now().Add(-24 * time.Hour)
	a := ids(tenant, day, "", keyed("a", "k1"), keyed("b", "k2"), msg("c"))
	again := ids(tenant, time.Time{}, "", msg("c"), keyed("b", "k2"))
	alone := ids(tenant, time.Time{}, "request", keyed("a", "k1"))
	if a[1] != again[1] || a[0] != alone[0] || a[0][6]>>4 != 8 {
		t.Error("an event_id gave another id when it was sent again, on another day and in another batch")
	}
	if a[2] == again[0] {
		t.Error("two entries without a key have one id")
	}
	if x := ids(tenant, day, "", keyed("other content", "k1")); x[0] == a[0] {
		t.Error("other content with the same event_id has the same id")
	}
	if x := ids(other, day, "", keyed("a", "k1")); x[0] == a[0] {
		t.Error("another tenant's entry has the same id")
	}
	b := ids(tenant, day, "key", msg("x"), msg("x"), msg("y"))
	if retry := ids(tenant, time.Time{}, "key", msg("x"), msg("x"), msg("y")); retry[0] != b[0] || retry[1] != b[1] || retry[2] != b[2] {
		t.Error("a retry with the request's key gave other ids")
	}
	if b[0] == b[1] {
		t.Error("two equal entries of one request have one id")
	}
	if x := ids(tenant, day, "another", msg("x")); x[0] == b[0] {
		t.Error("another key gave the same id")
	}
	// An entry whose event_id spells the key of a request, with the same content at the same position.
	e := keyed("x", "key")
	content := logentry.AppendContent(nil, &e)
	if x := ids(tenant, day, "", e); x[0] == logentry.KeyedID(tenant.ID(), requestKey+"key", 0, content) || x[0] == logentry.KeyedID(tenant.ID(), "key", 0, content) {
		t.Error("the two kinds of key share their ids")
	}
}

func TestEqualEventsOfABatchAreCollapsed(t *testing.T) {
	tenant := authtest.Tenant(t, "one")
	e := logentry.Entry{Message: "a", EventID: "k"}
	r, got := acceptNow(t, tenant, Config{}, Batch{Entries: []logentry.Entry{e, msg("b"), e, e, msg("b")}})
	if r.Duplicates != 2 || len(r.IDs) != 5 || r.IDs[0] != r.IDs[2] || r.IDs[0] != r.IDs[3] || r.IDs[1] == r.IDs[4] || len(got) != 3 {
		t.Errorf("%+v, %d entries sent", r, len(got))
	}
}

func TestAcceptRefuses(t *testing.T) {
	tenant := authtest.Tenant(t, "one")
	random := make([]byte, 40_000)
	_, _ = rand.Read(random)
	noise := hex.EncodeToString(random) // 80,000 characters that shrink to half
	for name, c := range map[string]struct {
		tenant  auth.Tenant
		entries []logentry.Entry
		code    string
	}{
		"no tenant":                       {auth.Tenant{}, []logentry.Entry{msg("x")}, "tenant_missing"},
		"no entries":                      {tenant, nil, "batch_empty"},
		"an entry that does not shrink":   {tenant, []logentry.Entry{msg("x"), msg(noise)}, "entry_too_large"},
		"(a large entry that does is ok)": {tenant, []logentry.Entry{msg(strings.Repeat("x", 80_000))}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSink()
			s.limits.MaxBytes, s.limits.Binary = 30_000, false
			in, stop := start(t, Config{}, s)
			defer stop()
			_, err := in.Accept(background, c.tenant, Batch{Entries: c.entries})
			if c.code == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if f := fault.Of(err); f == nil || f.Code != c.code {
				t.Errorf("%v", err)
			}
			if len(s.sends) > 0 {
				t.Error("a part of it was sent")
			}
		})
	}
}

// Whatever the sizes of entries and the limits of the queue: no body is over its limit, no send over ten
// messages, each waiter is answered, and what was acknowledged is there once.
func TestEveryMessageIsLegal(t *testing.T) {
	tenants := []auth.Tenant{authtest.Tenant(t, "one"), authtest.Tenant(t, "two"), authtest.Tenant(t, "three")}
	var noise []string
	for _, n := range []int{10, 500, 1500} {
		b := make([]byte, n)
		_, _ = rand.Read(b)
		noise = append(noise, hex.EncodeToString(b))
	}
	for _, limit := range []int{5_000, 20_000, 1 << 20} {
		for _, binary := range []bool{false, true} {
			t.Run(fmt.Sprintf("limit %d, binary %v", limit, binary), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newSink()
					s.limits = queue.Limits{MaxBytes: limit, Binary: binary}
					var n, m atomic.Int64
					s.hold = func() { time.Sleep(time.Duration(n.Add(1)%7) * time.Millisecond) }
					s.answer = func(queue.Outgoing) error {
						if m.Add(1)%5 == 0 {
							return errors.New("boom")
						}
						return nil
					}
					in, stop := start(t, Config{Linger: 2 * time.Millisecond}, s)
					var all []*later
					var sizes []int
					for i := range 60 {
						es := entries(1+i*i%70, i*100)
						for j := range es {
							es[j].Message += noise[(i+j)%3]
						}
						all, sizes = append(all, accept(in, background, tenants[i%3], es...)), append(sizes, len(es))
						if i%4 == 0 {
							time.Sleep(time.Millisecond)
						}
					}
					for _, a := range all {
						<-a.done
					}
					stop()
					times := map[logentry.ID]int{}
					for _, r := range s.records(t) {
						times[r.ID]++
					}
					ok := 0
					for i, a := range all {
						if a.err != nil {
							continue
						}
						ok++
						if len(a.receipt.IDs) != sizes[i] {
							t.Errorf("%d ids for %d entries", len(a.receipt.IDs), sizes[i])
						}
						for _, id := range a.receipt.IDs {
							if times[id] != 1 {
								t.Errorf("an acknowledged entry was sent %d times", times[id])
							}
						}
					}
					if s.largest > limit || s.heaviest > limit || s.most > 4 || in.buffered != 0 || ok == 0 || ok == len(all) {
						t.Errorf("largest body %d, heaviest send %d, %d sends at a time, %d bytes left, %d of %d acknowledged", s.largest, s.heaviest, s.most, in.buffered, ok, len(all))
					}
					for _, send := range s.sends {
						if len(send) > 10 {
							t.Errorf("%d messages in a send", len(send))
						}
					}
				})
			})
		}
	}
}

// Under load in bulks of 500 a million entries of this kind take at most 2,350 envelopes on the text wire.
func TestEnvelopesAreFilled(t *testing.T) {
	tenant := authtest.Tenant(t, "one")
	synctest.Test(t, func(t *testing.T) {
		s := newSink()
		s.limits.Binary = false
		s.hold = func() { time.Sleep(10 * time.Millisecond) }
		in, stop := start(t, Config{Linger: 5 * time.Millisecond}, s)
		const clients, bulks = 8, 12
		done := make(chan error, clients)
		for c := range clients {
			go func() {
				for b := range bulks {
					if _, err := in.Accept(background, tenant, Batch{Entries: entries(500, (c*bulks+b)*500)}); err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
		}
		for range clients {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		stop()
		raw, sum := 0, 0
		for _, e := range s.envelopes {
			raw += len(e.Payload)
			sum += e.Count
		}
		perMillion := len(s.envelopes) * 1_000_000 / sum
		t.Logf("%d envelopes for %d entries of %d bytes (%d per million), largest body %d", len(s.envelopes), sum, raw/sum, perMillion, s.largest)
		if perMillion > 2350 {
			t.Errorf("%d envelopes per million entries", perMillion)
		}
		if s.largest > 65_536 {
			t.Errorf("a body of %d bytes counts as two", s.largest)
		}
	})
}
