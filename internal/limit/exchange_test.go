package limit

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	_ "github.com/ocelot-log/ocelot/internal/sqlite/driver"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/internal/tenant"
)

// flood sends batches of a size from many callers to processes in turn for a time, and returns how many entries
// were let in.
func flood(t *testing.T, limits *tenant.Limits, size int64, callers int, pause, lasts time.Duration, to ...*Tenants) int64 {
	var (
		in  atomic.Int64
		wg  sync.WaitGroup
		end = time.Now().Add(lasts)
	)
	for i := range callers {
		wg.Go(func() {
			for n := i; time.Now().Before(end); n++ {
				_, err := to[n%len(to)].Admit(t.Context(), "a", limits, entries(size))
				switch codeOf(err) {
				case "":
					in.Add(size)
				case "rate_limited", "quota_exceeded":
				default:
					t.Error(err)
				}
				time.Sleep(pause + rand.N(time.Millisecond))
			}
		})
	}
	wg.Wait()
	return in.Load()
}

// TestProcessesHoldALimitTogether is K2 for processes: it floods several processes, and expects no more than a tenth over what one bucket
// gives, and not much less.
func TestProcessesHoldALimitTogether(t *testing.T) {
	const perMin, lasts = 6_000, 15 * time.Second
	for name, c := range map[string]struct {
		processes, callers int
		size               int64
		limits             tenant.Limits
		want               int64
		least              float64
	}{
		"one process":                    {1, 20, 10, tenant.Limits{EntriesPerMin: perMin}, perMin * 5 / 4, 0.97},
		"two processes, single entries":  {2, 50, 1, tenant.Limits{EntriesPerMin: perMin}, perMin * 5 / 4, 0.97},
		"two processes, batches":         {2, 50, 100, tenant.Limits{EntriesPerMin: perMin}, perMin * 5 / 4, 0.95},
		"two processes, large batches":   {2, 20, 2_000, tenant.Limits{EntriesPerMin: perMin}, perMin * 5 / 4, 0.8},
		"two processes, whole minutes":   {2, 20, 6_000, tenant.Limits{EntriesPerMin: perMin}, perMin * 5 / 4, 0.8},
		"five processes, batches":        {5, 50, 50, tenant.Limits{EntriesPerMin: perMin}, perMin * 5 / 4, 0.95},
		"two processes, bytes":           {2, 50, 10, tenant.Limits{BytesPerMin: 100 * perMin}, perMin * 5 / 4, 0.97},
		"two processes, a day's entries": {2, 50, 30, tenant.Limits{EntriesPerDay: perMin}, perMin, 0.97},
		"two processes, a day's bytes":   {2, 50, 500, tenant.Limits{BytesPerDay: 100 * perMin}, perMin, 0.9},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from := newShelf()
				var all []*Tenants
				for range c.processes {
					p, _ := process(t, Config{}, from)
					all = append(all, p)
				}
				time.Sleep(2 * epoch)
				got := flood(t, &c.limits, c.size, c.callers, 5*time.Millisecond, lasts, all...)
				t.Logf("%d let in of %d: %+.1f %%", got, c.want, 100*float64(got-c.want)/float64(c.want))
				if float64(got) > 1.1*float64(c.want) || float64(got) < c.least*float64(c.want) {
					t.Errorf("%d let in, want %d", got, c.want)
				}
			})
		})
	}
}

// TestAnotherProcessGivesNoNewMinute spends the limit at one process, then asks one that has never seen the
// tenant, or not for long.
func TestAnotherProcessGivesNoNewMinute(t *testing.T) {
	for name, before := range map[string]int64{"never seen": 0, "seen long ago": 1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from, limits := newShelf(), &tenant.Limits{EntriesPerMin: 6_000}
				one, _ := process(t, Config{}, from)
				two, _ := process(t, Config{}, from)
				if before > 0 {
					if _, err := two.Admit(t.Context(), "a", limits, entries(before)); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(10 * time.Minute)
				first := flood(t, limits, 20, 20, 5*time.Millisecond, 10*time.Second, one)
				second := flood(t, limits, 20, 20, 5*time.Millisecond, 10*time.Second, two)
				t.Logf("%d, then %d elsewhere", first, second)
				if first < 6_800 || first+second > 8_000*11/10 {
					t.Errorf("%d let in, then %d elsewhere, want 7000 and 1000", first, second)
				}
			})
		})
	}
}

// TestARestartGivesNoNewDay spends a day's volume, and half of a minute's, and asks a process that was started
// after that.
func TestARestartGivesNoNewDay(t *testing.T) {
	for name, alone := range map[string]bool{"alone": true, "among others": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from, day, minute := newShelf(), &tenant.Limits{EntriesPerDay: 1_000}, &tenant.Limits{EntriesPerMin: 1_000}
				one, stop := process(t, Config{Alone: alone}, from)
				for id, limits := range map[string]*tenant.Limits{"day": day, "minute": minute} {
					if _, err := one.Admit(t.Context(), id, limits, entries(900)); err != nil {
						t.Fatal(err)
					}
				}
				stop()
				two, _ := process(t, Config{Alone: alone}, from)
				for id, limits := range map[string]*tenant.Limits{"day": day, "minute": minute} {
					if _, err := two.Admit(t.Context(), id, limits, entries(200)); err == nil {
						t.Errorf("%s: 1100 let in", id)
					}
				}
				if _, err := two.Admit(t.Context(), "day", day, entries(100)); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestATenantWithinItsLimitIsNeverRefused sends what the limit gives, in batches of all sizes, to two processes in
// turn and at random.
func TestATenantWithinItsLimitIsNeverRefused(t *testing.T) {
	for name, c := range map[string]struct {
		size  int64
		pause time.Duration
	}{
		"single entries": {1, 12 * time.Millisecond}, "batches": {100, 1200 * time.Millisecond}, "a batch in three seconds": {250, 3 * time.Second},
		"half a minute at once": {3_000, 36 * time.Second}, "nearly a minute at once": {5_000, 66 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from, limits := newShelf(), &tenant.Limits{EntriesPerMin: 6_000}
				one, _ := process(t, Config{}, from)
				two, _ := process(t, Config{}, from)
				refused := 0
				const rounds = 200
				for i := range rounds {
					to := one
					if i%2 == 0 || rand.IntN(3) == 0 {
						to = two
					}
					began := time.Now()
					if _, err := to.Admit(t.Context(), "a", limits, entries(c.size)); err != nil {
						refused++
						t.Log(err)
					}
					if took := time.Since(began); took > 50*time.Millisecond {
						t.Errorf("it took %s", took)
					}
					time.Sleep(c.pause)
				}
				if refused > 0 {
					t.Errorf("%d of %d refused", refused, rounds)
				}
			})
		})
	}
}

// TestWithoutTheStoreEachProcessGoesByItself is K3 for writes.
func TestWithoutTheStoreEachProcessGoesByItself(t *testing.T) {
	for name, takes := range map[string]time.Duration{"it fails": time.Millisecond, "it is silent": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from, limits := newShelf(), &tenant.Limits{EntriesPerMin: 6_000}
				one, _ := process(t, Config{}, from)
				two, _ := process(t, Config{}, from)
				from.set(takes, true)
				began := time.Now()
				for _, p := range []*Tenants{one, two} {
					if _, err := p.Admit(t.Context(), "a", limits, entries(6_000)); err != nil {
						t.Fatal(err)
					}
					if _, err := p.Admit(t.Context(), "a", limits, entries(6_000)); codeOf(err) != "rate_limited" {
						t.Errorf("the limit does not hold for one alone: %v", err)
					}
				}
				if took := time.Since(began); took > 2*patience+100*time.Millisecond {
					t.Errorf("it took %s", took)
				}
				from.set(time.Millisecond, false)
				time.Sleep(70 * time.Second)
				got := flood(t, limits, 50, 20, 5*time.Millisecond, 30*time.Second, one, two)
				if got > 9_900 {
					t.Errorf("%d let in after the store came back", got)
				}
			})
		})
	}
}

func TestIdleAccountsAreForgottenAndNothingIsAskedForThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from := newShelf()
		p, _ := process(t, Config{Alone: true}, from)
		for _, id := range []string{"a", "b", "c"} {
			if _, err := p.Admit(t.Context(), id, &tenant.Limits{EntriesPerDay: 100}, entries(1)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		calls := from.calls
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		if p.known.RLock(); len(p.accounts) > 0 {
			t.Errorf("%d accounts are left", len(p.accounts))
		}
		p.known.RUnlock()
		if from.calls > calls {
			t.Errorf("%d calls for nothing", from.calls-calls)
		}
		if got := from.totals[key('d', time.Now().Unix()/86_400, 0, "a")]; got != 1 {
			t.Errorf("the day's total is %d", got)
		}
	})
}

// TestProcessesOnOneFile is the same on a real store, in real time, for a second.
func TestProcessesOnOneFile(t *testing.T) {
	st, err := store.NewSQLite(filepath.Join(t.TempDir(), "store.db"), store.SQLiteConfig{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var (
		wg  sync.WaitGroup
		all []*Tenants
	)
	for range 2 {
		p := New(Config{}, st, telemetry.Discard())
		all = append(all, p)
		wg.Go(func() {
			if err := p.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	for deadline := time.Now().Add(10 * time.Second); all[0].blind.Load() || all[1].blind.Load(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no exchange")
		}
	}
	began := time.Now()
	got := flood(t, &tenant.Limits{EntriesPerMin: 6_000}, 50, 10, time.Millisecond, time.Second, all...)
	if want := 6_000 + 100*time.Since(began).Seconds(); float64(got) > 1.1*want || float64(got) < 0.9*want {
		t.Errorf("%d let in, want %.0f", got, want)
	}
	cancel()
	wg.Wait()
	total, err := st.Counters(t.Context(), []string{key('d', began.Unix()/86_400, 0, "a")})
	if err != nil || total[0] != got {
		t.Errorf("the store says %d, %d were let in: %v", total, got, err)
	}
	if err := st.Close(); err != nil {
		t.Error(err)
	}
}
