package store

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

func tiny(b byte) []logentry.Record {
	at := time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)
	e := logentry.Entry{ID: logentry.ID{15: b}, TenantID: "t", ReceivedAt: at, Timestamp: at, Message: "x"}
	return []logentry.Record{{Entry: e, JSON: logentry.AppendJSON(nil, &e)}}
}

func TestPutThatIsGivenUpInTheQueueStoresNothing(t *testing.T) {
	s, err := NewSQLite(":memory:", SQLiteConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	s.turn <- struct{}{} // somebody else commits
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Put(ctx, tiny(1)); fault.KindOf(err) != fault.Unavailable {
		t.Fatalf("error is %v, want unavailable", err)
	}

	type answer struct {
		verdicts []Verdict
		err      error
	}
	answers := make(chan answer)
	for i := range byte(3) {
		go func() {
			verdicts, err := s.Put(context.Background(), tiny(2+i/2)) // 2, 2 and 3
			answers <- answer{verdicts, err}
		}()
	}
	for waiting := 0; waiting < 3; runtime.Gosched() {
		s.mu.Lock()
		waiting = len(s.waiting)
		s.mu.Unlock()
	}
	<-s.turn
	got := map[Verdict]int{}
	for range 3 {
		a := <-answers
		if a.err != nil {
			t.Fatal(a.err)
		}
		got[a.verdicts[0]]++
	}
	if got[Stored] != 2 || got[Duplicate] != 1 {
		t.Fatalf("verdicts are %v, want two stored and one duplicate", got)
	}
	records, _, err := s.Scan(t.Context(), "", 10)
	if err != nil || len(records) != 2 {
		t.Fatalf("%d records are held, %v; want the two that were not given up", len(records), err)
	}
}
