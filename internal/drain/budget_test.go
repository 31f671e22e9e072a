package drain

import (
	"testing"
	"testing/synctest"

	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

func TestBudgetIsCorrectedAndGivenBackInFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(4<<20, telemetry.NewMetrics().InFlightBytes)
		n, each := b.take(1, 10)
		if n != 10 || each != firstWeight {
			t.Fatalf("%d of %d bytes", n, each)
		}
		ds := make([]*delivery, 3)
		b.untake(int64(n-len(ds)) * each)
		for i := range ds {
			ds[i] = &delivery{weight: each, records: make([]logentry.Record, 10)}
			b.correct(ds[i], 2<<20) // more than the budget allows
		}
		got := make(chan int)
		go func() {
			n, _ := b.take(1, 10)
			got <- n
		}()
		synctest.Wait()
		for range 2 {
			select {
			case <-got:
				t.Fatal("there was room for more than the budget")
			default:
			}
			b.give(ds[0])
			ds = ds[1:]
			synctest.Wait()
		}
		b.give(ds[0])
		if n := <-got; n != 1 {
			t.Errorf("room for %d of 2 MiB, want 1 until smaller ones were seen", n)
		}
		b.untake(b.usual)
		if b.used != 0 {
			t.Errorf("%d bytes are never given back", b.used)
		}
		b.close()
		if n, _ := b.take(1, 10); n != 0 {
			t.Errorf("a closed budget gave %d", n)
		}
	})
}

// TestAReceiveWaitsForRoomForMany gives back one message after the other: nobody receives for a single one.
func TestAReceiveWaitsForRoomForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(20*firstWeight, telemetry.NewMetrics().InFlightBytes)
		first, each := b.take(10, 10)
		second, _ := b.take(10, 10)
		if first != 10 || second != 10 {
			t.Fatalf("%d, %d", first, second)
		}
		got := make(chan int, 1)
		go func() {
			n, _ := b.take(10, 10)
			got <- n
		}()
		for range 9 {
			b.untake(each)
			synctest.Wait()
			if len(got) > 0 {
				t.Fatalf("a receive for %d messages", <-got)
			}
		}
		b.untake(each)
		if n := <-got; n != 10 {
			t.Errorf("room for %d of 10", n)
		}
	})
}

func TestOneEnvelopePassesWhateverItsSize(t *testing.T) {
	b := newBudget(1000, telemetry.NewMetrics().InFlightBytes)
	if n, _ := b.take(1, 10); n != 1 {
		t.Errorf("%d", n)
	}
}
