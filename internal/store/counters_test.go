package store_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/store"
)

func TestCountersInSQLite(t *testing.T) {
	testCounters(t, func(t *testing.T) store.Store {
		return openSQLite(t, filepath.Join(t.TempDir(), "store.db"), store.SQLiteConfig{})
	})
}

func TestCountersInMongo(t *testing.T) {
	mongoURI(t)
	testCounters(t, func(t *testing.T) store.Store {
		m, _ := openMongo(t, store.MongoConfig{})
		return m
	})
}

func testCounters(t *testing.T, open func(t *testing.T) store.Store) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, s store.Store)
	}{
		{"totals come in the order of the keys, over several calls", testCounterTotals},
		{"adding nothing makes nothing", testCounterNothing},
		{"concurrent adds to new keys all count", testCounterConcurrent},
		{"what has expired is forgotten, what was prolonged is not", testCounterExpiry},
		{"a closed store says so", testCounterClosed},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

// count adds pairs of a key and a number, which live for an hour.
func count(t testing.TB, s store.Counters, want []int64, pairs ...any) {
	t.Helper()
	var all []store.Counter
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, store.Counter{Key: pairs[i].(string), Add: int64(pairs[i+1].(int)), ExpiresAt: time.Now().Add(time.Hour)})
	}
	totals, err := s.AddCounters(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(totals, want) {
		t.Fatalf("the totals are %d, want %d", totals, want)
	}
}

func testCounterTotals(t *testing.T, s store.Store) {
	count(t, s, nil)
	count(t, s, []int64{3, 40}, "a", 3, "b", 40)
	count(t, s, []int64{45, 0, 2}, "b", 5, "c", 0, "a", -1)
	count(t, s, []int64{-7}, "c", -7)
	totals, err := s.Counters(t.Context(), []string{"c", "nobody", "a", "b"})
	if err != nil || !slices.Equal(totals, []int64{-7, 0, 2, 45}) {
		t.Fatalf("%d, %v", totals, err)
	}
	if totals, err := s.Counters(t.Context(), nil); err != nil || len(totals) != 0 {
		t.Fatalf("no keys: %d, %v", totals, err)
	}
}

func testCounterNothing(t *testing.T, s store.Store) {
	count(t, s, []int64{0}, "a", 0)
	past := []store.Counter{{Key: "a", Add: 5, ExpiresAt: time.Now().Add(-time.Hour)}}
	if totals, err := s.AddCounters(t.Context(), past); err != nil || totals[0] != 5 {
		t.Fatalf("%d, %v", totals, err)
	}
	count(t, s, []int64{5}, "a", 0)
}

func testCounterConcurrent(t *testing.T, s store.Store) {
	const writers, rounds = 8, 20
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for i := range rounds {
				_, err := s.AddCounters(context.Background(), []store.Counter{
					{Key: fmt.Sprint("round ", i), Add: 1, ExpiresAt: time.Now().Add(time.Hour)}, {Key: "all", Add: 2, ExpiresAt: time.Now().Add(time.Hour)}})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	count(t, s, []int64{2 * writers * rounds, writers, writers}, "all", 0, "round 0", 0, fmt.Sprint("round ", rounds-1), 0)
}

func testCounterExpiry(t *testing.T, s store.Store) {
	add := func(c ...store.Counter) []int64 {
		t.Helper()
		totals, err := s.AddCounters(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return totals
	}
	past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	store.PurgeCountersAtOnce(s)
	add(store.Counter{Key: "gone", Add: 1, ExpiresAt: past}, store.Counter{Key: "kept", Add: 1, ExpiresAt: future})
	add(store.Counter{Key: "kept", Add: 1, ExpiresAt: past}) // the later end counts
	store.PurgeCountersAtOnce(s)
	add(store.Counter{Key: "other", Add: 1, ExpiresAt: future})
	totals, err := s.Counters(t.Context(), []string{"gone", "kept", "other"})
	if err != nil || !slices.Equal(totals, []int64{0, 2, 1}) {
		t.Fatalf("%d, %v", totals, err)
	}
}

func testCounterClosed(t *testing.T, s store.Store) {
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddCounters(t.Context(), []store.Counter{{Key: "a", Add: 1, ExpiresAt: time.Now()}}); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("add: %v", err)
	}
	if _, err := s.Counters(t.Context(), []string{"a"}); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("read: %v", err)
	}
}
