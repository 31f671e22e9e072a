package tail_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/query"
	_ "github.com/ocelot-log/ocelot/internal/sqlite/driver"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/internal/tail"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage is a record, a hub that follows it, and who writes.
type stage struct {
	t   testing.TB
	st  *store.SQLite
	hub *tail.Hub
	ids logentry.IDs
	n   int
}

func newStage(t testing.TB, cfg tail.Config) *stage {
	st, err := store.NewSQLite(filepath.Join(t.TempDir(), "store.db"), store.SQLiteConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	if cfg.Poll == 0 {
		cfg.Poll = 5 * time.Millisecond
	}
	s := &stage{t: t, st: st, hub: tail.New(cfg, st, zap.NewNop())}
	run(t, s.hub)
	return s
}

// run runs a hub until the test ends.
func run(t testing.TB, h *tail.Hub) {
	h.Open()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// put records n entries of a tenant; every third one is of the service billing. Their messages are numbers.
func (s *stage) put(slug string, n int) {
	s.t.Helper()
	now := time.Now().UTC()
	records := make([]logentry.Record, n)
	for i := range records {
		e := logentry.Entry{ID: s.ids.New(now), TenantID: authtest.TenantID(slug), ReceivedAt: now, Timestamp: now, SchemaVersion: 1, Severity: logentry.Info,
			Message: fmt.Sprint(s.n), Service: []string{"billing", "shop", "shop"}[s.n%3]}
		s.n++
		records[i] = logentry.Record{Entry: e, JSON: logentry.AppendJSON(nil, &e)}
	}
	if _, err := s.st.Put(context.Background(), records); err != nil {
		s.t.Error(err)
	}
}

func (s *stage) follow(slug string, where query.Node, from *tail.Place) *tail.Follower {
	s.t.Helper()
	f, err := s.hub.Follow(s.t.Context(), authtest.Tenant(s.t, slug), query.String(where), where, from)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(f.Close)
	return f
}

// seen takes n entries, and says where to go on after each.
func (s *stage) seen(f *tail.Follower, n int) (messages []string, places []tail.Place, skipped int) {
	s.t.Helper()
	for len(messages)+skipped < n {
		c, place, err := f.Next(s.t.Context(), 10*time.Second)
		if err != nil || c == nil {
			s.t.Fatalf("after %d of %d entries: %v", len(messages), n, err)
		}
		skipped += c.Skipped
		for i, r := range c.Records {
			messages = append(messages, r.Message)
			if i == len(c.Records)-1 {
				places = append(places, place)
			} else {
				places = append(places, tail.Place{Position: c.From, Behind: r.ID})
			}
		}
	}
	return messages, places, skipped
}

func numbers(from, to, step int) (want []string) {
	for i := from; i < to; i += step {
		want = append(want, fmt.Sprint(i))
	}
	return want
}

func TestAFollowerSeesWhatComesAndMatches(t *testing.T) {
	s := newStage(t, tail.Config{AtOnce: 7})
	s.put("acme", 10)
	all, billing := s.follow("acme", nil, nil), s.follow("acme", query.Term{Field: query.Service, Value: "billing"}, nil)
	other := s.follow("zeta", nil, nil)
	for range 4 {
		s.put("acme", 5)
	}
	if got, _, _ := s.seen(all, 20); fmt.Sprint(got) != fmt.Sprint(numbers(10, 30, 1)) {
		t.Errorf("all: %v", got)
	}
	if got, _, _ := s.seen(billing, 6); fmt.Sprint(got) != fmt.Sprint(numbers(12, 30, 3)) {
		t.Errorf("billing: %v", got)
	}
	if c, place, err := other.Next(t.Context(), 50*time.Millisecond); c != nil || err != nil || place.Position == "" {
		t.Errorf("another tenant sees %+v, %v, %v", c, place, err)
	}
}

func TestAFollowerGoesOnAfterEachEntry(t *testing.T) {
	s := newStage(t, tail.Config{AtOnce: 6})
	f := s.follow("acme", nil, nil)
	for range 8 {
		s.put("acme", 3)
		s.put("zeta", 2)
	}
	got, places, _ := s.seen(f, 24)
	for i, place := range places {
		again := s.follow("acme", nil, &place)
		s.put("acme", 1)
		rest, _, skipped := s.seen(again, 24-i-1+i+1)
		if want := append(append([]string{}, got[i+1:]...), rest[24-i-1:]...); skipped > 0 || fmt.Sprint(rest) != fmt.Sprint(want) {
			t.Fatalf("after entry %d come %v, want %v", i, rest, want)
		}
		again.Close()
	}
}

func TestManyGoOnWhileOthersWrite(t *testing.T) {
	s := newStage(t, tail.Config{AtOnce: 50, HeldBytes: 4000}) // less than comes while they read what they missed
	first := s.follow("acme", nil, nil)
	s.put("acme", 1)
	_, places, _ := s.seen(first, 1)
	s.put("acme", 2000)
	const total = 6000
	var wg sync.WaitGroup
	for range 20 {
		f := s.follow("acme", nil, &places[0])
		wg.Go(func() {
			next, last := 1, 0
			for next < total {
				c, _, err := f.Next(context.Background(), 20*time.Second)
				if err != nil || c == nil {
					t.Errorf("after %d: %v", next, err)
					return
				}
				next += c.Skipped
				for _, r := range c.Records {
					if r.Message != fmt.Sprint(next) {
						t.Errorf("entry %s comes after %d", r.Message, last)
						return
					}
					last = next
					next++
				}
			}
		})
	}
	for s.n < total {
		s.put("acme", 10)
	}
	wg.Wait()
}

func TestWhoTakesTooLittleIsToldAndHoldsUpNobody(t *testing.T) {
	s := newStage(t, tail.Config{HeldBytes: 2000, AtOnce: 100})
	slow, quick := s.follow("acme", nil, nil), s.follow("acme", nil, nil)
	for range 30 {
		s.put("acme", 10)
		if got, _, skipped := s.seen(quick, 10); len(got) != 10 || skipped != 0 {
			t.Fatalf("the quick one gets %v and misses %d", got, skipped)
		}
	}
	got, _, skipped := s.seen(slow, 300)
	if skipped == 0 || len(got) == 0 || len(got)+skipped != 300 || fmt.Sprint(got) != fmt.Sprint(numbers(0, len(got), 1)) {
		t.Errorf("the slow one gets %d and is told of %d", len(got), skipped)
	}
	s.put("acme", 5)
	if got, _, skipped := s.seen(slow, 5); skipped != 0 || fmt.Sprint(got) != fmt.Sprint(numbers(300, 305, 1)) {
		t.Errorf("then it gets %v and misses %d", got, skipped)
	}
}

func TestWhoReadsALongWayBackSaysNowAndThenHowFarItIs(t *testing.T) {
	s := newStage(t, tail.Config{AtOnce: 10, CatchUps: 1})
	first := s.follow("acme", nil, nil)
	s.put("acme", 1)
	_, places, _ := s.seen(first, 1)
	s.put("zeta", 500)
	s.put("acme", 1)
	s.seen(first, 1)
	long := s.follow("acme", nil, &places[0])
	c, at, err := long.Next(t.Context(), time.Nanosecond) // nothing is found in that time
	for steps := 0; err == nil && c == nil; steps++ {
		if at.Position == "" || steps > 1000 {
			t.Fatalf("after %d looks it is at %q", steps, at.Position)
		}
		c, at, err = long.Next(t.Context(), time.Millisecond)
	}
	if err != nil || len(c.Records) != 1 || c.Records[0].Message != "501" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestAPlaceOfAnotherRecordIsNotWaitedForForEver(t *testing.T) {
	s := newStage(t, tail.Config{Poll: time.Millisecond})
	s.put("acme", 10)
	f := s.follow("acme", nil, &tail.Place{Position: "9999999"})
	if _, _, err := f.Next(t.Context(), 10*time.Second); !errors.Is(err, tail.ErrPlaceUnknown) {
		t.Error(err)
	}
}

func TestWithoutFollowersNobodyReads(t *testing.T) {
	s := newStage(t, tail.Config{})
	for range 3 {
		f := s.follow("acme", nil, nil)
		s.put("acme", 2)
		s.seen(f, 2)
		f.Close()
		f.Close()
		s.put("acme", 3) // seen by nobody
		time.Sleep(20 * time.Millisecond)
	}
	f := s.follow("acme", nil, nil)
	s.put("acme", 1)
	if got, _, _ := s.seen(f, 1); got[0] != "15" {
		t.Errorf("a new follower begins with %v", got)
	}
}

func TestAStopEndsFollowers(t *testing.T) {
	st, err := store.NewSQLite(":memory:", store.SQLiteConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = st.Close() }()
	h := tail.New(tail.Config{}, st, zap.NewNop())
	if _, err := h.Follow(t.Context(), authtest.Tenant(t, "acme"), "", nil, nil); !errors.Is(err, tail.ErrStopped) {
		t.Errorf("before anybody reads: %v", err)
	}
	h.Open()
	f, err := h.Follow(t.Context(), authtest.Tenant(t, "acme"), "", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	time.AfterFunc(30*time.Millisecond, stop)
	ended := make(chan error)
	go func() { ended <- h.Run(ctx) }()
	if _, _, err := f.Next(t.Context(), 10*time.Second); !errors.Is(err, tail.ErrStopped) {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := h.Follow(t.Context(), authtest.Tenant(t, "acme"), "", nil, nil); !errors.Is(err, tail.ErrStopped) {
		t.Errorf("after the stop: %v", err)
	}
}

// deaf is a record that can't be watched, or that never rings, or that stops to.
type deaf struct {
	*store.SQLite
	watch func(ctx context.Context, ring func()) error
}

func (d deaf) Watch(ctx context.Context, ring func()) error { return d.watch(ctx, ring) }

func TestARecordThatDoesNotRingIsFollowedAllTheSame(t *testing.T) {
	for name, watch := range map[string]func(ctx context.Context, ring func()) error{
		"it can't be watched": func(context.Context, func()) error { return errors.New("no") },
		"it never rings":      func(ctx context.Context, _ func()) error { <-ctx.Done(); return nil },
		"it rings once":       func(ctx context.Context, ring func()) error { ring(); <-ctx.Done(); return nil },
		"it rings and ends":   func(_ context.Context, ring func()) error { ring(); return errors.New("lost") },
		"it rings all the time": func(ctx context.Context, ring func()) error {
			for ctx.Err() == nil {
				ring()
				time.Sleep(time.Millisecond)
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, tail.Config{Rest: 20 * time.Millisecond, AtOnce: 7})
			s.hub = tail.New(tail.Config{Poll: 5 * time.Millisecond, Rest: 20 * time.Millisecond, AtOnce: 7}, deaf{s.st, watch}, zap.NewNop())
			run(t, s.hub)
			f := s.follow("acme", nil, nil)
			for range 20 {
				s.put("acme", 3)
				time.Sleep(3 * time.Millisecond)
			}
			if got, _, skipped := s.seen(f, 60); skipped != 0 || fmt.Sprint(got) != fmt.Sprint(numbers(0, 60, 1)) {
				t.Errorf("%v, %d skipped", got, skipped)
			}
		})
	}
}

func TestARecordThatRingsIsLookedAtAtOnceAndOtherwiseSeldom(t *testing.T) {
	s := newStage(t, tail.Config{})
	counted := &counting{SQLite: s.st}
	s.hub = tail.New(tail.Config{Rest: time.Hour}, counted, zap.NewNop())
	run(t, s.hub)
	f := s.follow("acme", nil, nil)
	for counted.looked() { // until nobody looks any more, but once an hour
		time.Sleep(10 * time.Millisecond)
	}
	s.put("acme", 1)
	s.seen(f, 1) // within seconds: by the bell
}

func TestARecordFromWhichMuchComesIsNotListenedTo(t *testing.T) {
	s := newStage(t, tail.Config{})
	listens := make(chan bool, 100)
	s.hub = tail.New(tail.Config{}, deaf{s.st, func(ctx context.Context, ring func()) error {
		listens <- true
		ring()
		<-ctx.Done()
		listens <- false
		return nil
	}}, zap.NewNop())
	run(t, s.hub)
	f := s.follow("acme", nil, nil)
	if !<-listens {
		t.Fatal("nobody listens")
	}
	for ended := false; !ended; {
		s.put("acme", 1000)
		s.seen(f, 1000)
		select {
		case <-listens:
			ended = true
		default:
		}
	}
}

// counting is a record that remembers when it was last looked at.
type counting struct {
	*store.SQLite
	last atomic.Int64
}

func (c *counting) Scan(ctx context.Context, after store.Position, most int) ([]logentry.Record, store.Position, error) {
	c.last.Store(time.Now().UnixNano())
	return c.SQLite.Scan(ctx, after, most)
}

func (c *counting) looked() bool {
	return time.Since(time.Unix(0, c.last.Load())) < 500*time.Millisecond
}

// BenchmarkFollowers hands 5,000 entries to 1,000 followers, with one question and with one each.
func BenchmarkFollowers(b *testing.B) {
	for name, where := range map[string]func(i int) query.Node{
		"one question": func(int) query.Node { return query.Term{Field: query.Service, Value: "billing"} },
		"one each":     func(i int) query.Node { return query.Term{Field: query.UserID, Value: fmt.Sprint(i)} },
		"a word each":  func(i int) query.Node { return query.Text{Tokens: []string{fmt.Sprint(1_000_000 + i)}} },
	} {
		b.Run(name, func(b *testing.B) {
			s := newStage(b, tail.Config{HeldBytes: 64 << 20})
			probe := s.follow("acme", nil, nil)
			for i := range 1000 {
				s.follow("acme", where(i), nil)
			}
			for b.Loop() {
				s.put("acme", 5000)
				s.seen(probe, 5000)
			}
			b.ReportMetric(5000*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}
