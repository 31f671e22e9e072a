package limit

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/internal/tenant"
)

// shelf holds counters, takes its time, and fails when it is told to.
type shelf struct {
	mu     sync.Mutex
	totals map[string]int64
	takes  time.Duration
	fails  bool
	calls  int
}

func newShelf() *shelf { return &shelf{totals: map[string]int64{}, takes: 2 * time.Millisecond} }

func (s *shelf) set(takes time.Duration, fails bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.takes, s.fails = takes, fails
}

func (s *shelf) AddCounters(ctx context.Context, counters []store.Counter) ([]int64, error) {
	s.mu.Lock()
	takes, fails := s.takes, s.fails
	s.calls++
	if !fails {
		for _, c := range counters {
			s.totals[c.Key] += c.Add
		}
	}
	s.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return nil, fault.As(fault.Unavailable, "storage_unavailable", ctx.Err())
	}
	if fails {
		return nil, fault.New(fault.Unavailable, "storage_unavailable", "")
	}
	keys := make([]string, len(counters))
	for i, c := range counters {
		keys[i] = c.Key
	}
	return s.Counters(ctx, keys)
}

func (s *shelf) Counters(_ context.Context, keys []string) ([]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	totals := make([]int64, len(keys))
	for i, key := range keys {
		totals[i] = s.totals[key]
	}
	return totals, nil
}

// process is one that runs until the test, or stop, ends it.
func process(t *testing.T, cfg Config, from counters) (tenants *Tenants, stop func()) {
	tenants = New(cfg, from, telemetry.Discard())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := tenants.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	time.Sleep(time.Second) // the first exchange is over
	return tenants, stop
}

func entries(n int64) Cost { return Cost{Entries: n, Bytes: 100 * n} }

// step is a batch that arrives some time after the one before.
type step struct {
	after time.Duration
	cost  Cost
	code  string // "": let in
	words string // in the detail
}

func TestBatchesAreLetInOrRefusedWhole(t *testing.T) {
	skipLong(t)
	perMinute, bytes := tenant.Limits{EntriesPerMin: 600}, tenant.Limits{BytesPerMin: 6_000}
	for name, c := range map[string]struct {
		limits tenant.Limits
		perMin int64
		steps  []step
	}{
		"without limits everything comes in": {tenant.Limits{}, 0, []step{{0, entries(1e6), "", ""}, {0, entries(1e6), "", ""}}},
		"what was saved up may come at once, then it drips": {perMinute, 0, []step{
			{0, entries(600), "", ""}, {0, entries(1), "rate_limited", "600 entries a minute (entries_per_min), and 0 are left"},
			{time.Second, entries(10), "", ""}, {0, entries(1), "rate_limited", ""}, {100 * time.Millisecond, entries(1), "", ""}}},
		"more than a minute is never saved up": {perMinute, 0, []step{{time.Hour, entries(600), "", ""}, {0, entries(1), "rate_limited", ""}}},
		"a refused batch takes nothing":        {perMinute, 0, []step{{0, entries(400), "", ""}, {0, entries(300), "rate_limited", "and 200 are left"}, {0, entries(200), "", ""}}},
		"a batch over the whole limit can never pass": {perMinute, 0, []step{
			{time.Hour, entries(601), "batch_over_limit", "601 entries and the tenant may send 600 a minute (entries_per_min): it can never pass"}, {0, entries(600), "", ""}}},
		"bytes have a limit of their own": {bytes, 0, []step{{0, entries(60), "", ""}, {0, entries(1), "rate_limited", "(bytes_per_min)"}, {time.Second, entries(1), "", ""}}},
		"the slower of two limits decides": {tenant.Limits{EntriesPerMin: 600, BytesPerMin: 60_000}, 0, []step{
			{0, Cost{600, 60_000}, "", ""}, {0, Cost{10, 30_000}, "rate_limited", "(bytes_per_min)"}, {time.Second, Cost{10, 1_000}, "", ""}}},
		"a day's volume comes back with the next UTC day only": {tenant.Limits{EntriesPerDay: 1_000}, 0, []step{
			{0, entries(900), "", ""}, {0, entries(200), "quota_exceeded", "1,000 entries a day (entries_per_day), counted in UTC, and 100 are left"},
			{12 * time.Hour, entries(101), "quota_exceeded", ""}, {0, entries(100), "", ""}, {0, entries(1), "quota_exceeded", ""},
			{12 * time.Hour, entries(1_000), "", ""}}},
		"a batch over the whole day can never pass": {tenant.Limits{BytesPerDay: 1_000}, 0, []step{{0, entries(11), "batch_over_limit", "1,000 a day (bytes_per_day)"}}},
		"a tenant without a limit has the service's": {tenant.Limits{BytesPerDay: 1e9}, 60, []step{
			{0, entries(60), "", ""}, {0, entries(1), "rate_limited", "60 entries a minute"}}},
		"a tenant with a limit has its own": {tenant.Limits{EntriesPerMin: 600}, 60, []step{{0, entries(600), "", ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tenants, _ := process(t, Config{PerMin: c.perMin, Alone: true}, newShelf())
				for i, s := range c.steps {
					time.Sleep(s.after)
					_, asked := tenants.Ask("a", &c.limits, s.cost)
					_, err := tenants.Admit(t.Context(), "a", &c.limits, s.cost)
					if code := codeOf(err); code != s.code || codeOf(asked) != s.code && s.after < idleAfter { // a forgotten account knows no better before its first exchange
						t.Fatalf("step %d: %q, asked before %q, want %q: %v", i, code, codeOf(asked), s.code, err)
					}
					if f := fault.Of(err); err != nil && (!strings.Contains(f.Detail, s.words) || f.Kind == fault.Limited && f.RetryAfter <= 0) {
						t.Errorf("step %d: %q after %s", i, f.Detail, f.RetryAfter)
					}
				}
			})
		})
	}
}

func codeOf(err error) string {
	if err == nil {
		return ""
	}
	return fault.Of(err).Code
}

func TestWhatIsGivenBackMayComeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := &tenant.Limits{EntriesPerMin: 600, EntriesPerDay: 600}
		tenants, _ := process(t, Config{Alone: true}, newShelf())
		for range 3 {
			if _, err := tenants.Admit(t.Context(), "a", limits, entries(600)); err != nil {
				t.Fatal(err)
			}
			tenants.GiveBack("a", entries(600))
			time.Sleep(6 * time.Second) // it is told to the store, too
		}
	})
}

func TestRetryAfterIsWhenItFits(t *testing.T) {
	skipLong(t)
	synctest.Test(t, func(t *testing.T) {
		limits := &tenant.Limits{EntriesPerMin: 600}
		tenants, _ := process(t, Config{Alone: true}, newShelf())
		if _, err := tenants.Admit(t.Context(), "a", limits, entries(600)); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			_, err := tenants.Admit(t.Context(), "a", limits, entries(300))
			time.Sleep(fault.Of(err).RetryAfter)
			if _, err = tenants.Admit(t.Context(), "a", limits, entries(300)); err != nil {
				t.Fatal(err)
			}
		}
		_, err := tenants.Admit(t.Context(), "b", &tenant.Limits{EntriesPerDay: 5}, entries(5))
		if err != nil {
			t.Fatal(err)
		}
		_, err = tenants.Admit(t.Context(), "b", &tenant.Limits{EntriesPerDay: 5}, entries(1))
		time.Sleep(fault.Of(err).RetryAfter)
		if now := time.Now().UTC(); now.Hour() != 0 || now.Minute() != 0 {
			t.Errorf("the day is said to begin at %s", now)
		}
	})
}

func TestAHigherLimitHoldsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenants, _ := process(t, Config{Alone: true}, newShelf())
		for i, c := range []struct {
			perMin, cost int64
			code         string
		}{{100, 100, ""}, {100, 1, "rate_limited"}, {300, 200, ""}, {300, 1, "rate_limited"}, {50, 1, "rate_limited"}, {0, 1000, ""}} {
			_, err := tenants.Admit(t.Context(), "a", &tenant.Limits{EntriesPerMin: c.perMin}, entries(c.cost))
			if codeOf(err) != c.code {
				t.Fatalf("step %d: %v", i, err)
			}
		}
	})
}

func TestHeadersSayWhatHoldsAndWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenants, _ := process(t, Config{Alone: true}, newShelf())
		s, err := tenants.Admit(t.Context(), "a", &tenant.Limits{EntriesPerMin: 600, BytesPerDay: 1_000_000}, entries(60))
		if err != nil {
			t.Fatal(err)
		}
		const policy = `"entries_per_min";q=600;qu="entries";w=60, "bytes_per_day";q=1000000;qu="bytes";w=86400`
		if got := s.Policy(); got != policy {
			t.Errorf("RateLimit-Policy: %s", got)
		}
		if got := s.Fields(); got != `"entries_per_min";r=540;t=6, "bytes_per_day";r=994000;t=86399` {
			t.Errorf("RateLimit: %s", got)
		}
		s, err = tenants.Admit(t.Context(), "b", &tenant.Limits{}, entries(60))
		if err != nil || s.Policy() != "" || s.Fields() != "" {
			t.Errorf("without limits: %q %q %v", s.Policy(), s.Fields(), err)
		}
	})
}

func TestARequestThatEndsTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := newShelf()
		a, _ := process(t, Config{}, from)
		process(t, Config{}, from)
		from.set(100*time.Millisecond, false)
		limits := &tenant.Limits{EntriesPerMin: 600}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, err := a.Admit(ctx, "a", limits, entries(600)); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%v", err)
		}
		time.Sleep(time.Second)
		if _, err := a.Admit(t.Context(), "a", limits, entries(600)); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkAdmit(b *testing.B) {
	tenants := New(Config{Alone: true}, newShelf(), telemetry.Discard())
	tenants.blind.Store(false)
	for name, limits := range map[string]*tenant.Limits{
		"no limits":   {},
		"four limits": {EntriesPerMin: 1 << 50, BytesPerMin: 1 << 50, EntriesPerDay: 1 << 50, BytesPerDay: 1 << 50},
	} {
		b.Run(name, func(b *testing.B) {
			tenants.account(name).exchanged = 1
			b.ReportAllocs()
			for b.Loop() {
				if _, err := tenants.Admit(b.Context(), name, limits, Cost{1, 400}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("refused", func(b *testing.B) {
		limits := &tenant.Limits{EntriesPerMin: 1}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := tenants.Ask("refused", limits, Cost{2, 400}); err == nil {
				b.Fatal("let in")
			}
		}
	})
}

func TestWhoSendsMoreIsSeen(t *testing.T) {
	tenants := New(Config{PerMin: 100}, newShelf(), telemetry.Discard())
	for name, c := range map[string]struct {
		was, is tenant.Limits
		want    bool
	}{
		"nothing changes":                  {tenant.Limits{BytesPerDay: 5}, tenant.Limits{BytesPerDay: 5}, false},
		"a limit where there was none":     {tenant.Limits{}, tenant.Limits{BytesPerDay: 5}, false},
		"a lower one":                      {tenant.Limits{EntriesPerDay: 5}, tenant.Limits{EntriesPerDay: 4}, false},
		"a higher one":                     {tenant.Limits{BytesPerMin: 5}, tenant.Limits{BytesPerMin: 6}, true},
		"none any more":                    {tenant.Limits{EntriesPerDay: 5}, tenant.Limits{}, true},
		"one lower, another one higher":    {tenant.Limits{BytesPerDay: 5, EntriesPerDay: 5}, tenant.Limits{BytesPerDay: 4, EntriesPerDay: 6}, true},
		"one above the service's":          {tenant.Limits{}, tenant.Limits{EntriesPerMin: 101}, true},
		"one below the service's":          {tenant.Limits{}, tenant.Limits{EntriesPerMin: 99}, false},
		"back to the service's, from less": {tenant.Limits{EntriesPerMin: 99}, tenant.Limits{}, true},
	} {
		if got := tenants.Loosens(&c.was, &c.is); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestATenantPressesForASecondAfterARefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenants := New(Config{PerMin: 60, Alone: true}, newShelf(), telemetry.Discard())
		admit := func(n int64) error {
			_, err := tenants.Admit(t.Context(), "one", &tenant.Limits{}, Cost{Entries: n})
			return err
		}
		pressing := func(want bool) {
			t.Helper()
			if tenants.Pressing("one") != want || tenants.Pressing("two") {
				t.Errorf("one presses: %v, two: %v; want %v and false", !want, tenants.Pressing("two"), want)
			}
		}
		pressing(false)
		if err := admit(61); fault.KindOf(err) != fault.TooLarge {
			t.Errorf("more than the limit can ever hold: %v", err)
		}
		if err := admit(60); err != nil {
			t.Errorf("what the limit holds: %v", err)
		}
		pressing(false)
		if err := admit(1); fault.KindOf(err) != fault.Limited {
			t.Errorf("more than the limit: %v", err)
		}
		pressing(true)
		time.Sleep(time.Second)
		pressing(false)
		if _, err := tenants.Ask("one", &tenant.Limits{}, Cost{Entries: 2}); fault.KindOf(err) != fault.Limited {
			t.Errorf("asked for more than the limit: %v", err)
		}
		pressing(true)
	})
}

// skipLong leaves out a test whose bubble lasts hours and days: the race detector takes ten seconds for what runs in one.
func skipLong(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("lasts long in a bubble")
	}
}
