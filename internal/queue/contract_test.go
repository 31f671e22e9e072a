package queue_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/queue"
)

// backend is a queue under test and what the suite may expect of it.
type backend struct {
	open  func(t *testing.T) queue.Queue // a new, empty queue
	tick  time.Duration                  // the shortest visibility timeout that it can count
	exact bool                           // counts are exact and a message comes twice only when it must
}

func TestSQLiteContract(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		testQueue(t, backend{tick: 100 * time.Millisecond, exact: true, open: func(t *testing.T) queue.Queue { return openSQLite(t, ":memory:") }})
	})
	t.Run("file", func(t *testing.T) {
		testQueue(t, backend{tick: 100 * time.Millisecond, exact: true, open: func(t *testing.T) queue.Queue {
			return openSQLite(t, filepath.Join(t.TempDir(), "queue.db"))
		}})
	})
}

func openSQLite(t *testing.T, path string) *queue.SQLite {
	t.Helper()
	q, err := queue.NewSQLite(path, queue.SQLiteConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return q
}

// testQueue is what every backend must pass.
func testQueue(t *testing.T, b backend) {
	for _, c := range []struct {
		name string
		test func(*testing.T, backend)
	}{
		{"what is sent is received and deleted", testSendReceiveDelete},
		{"a trace travels with its message, each time", testTrace},
		{"a held message is hidden and comes back with another receipt", testVisibility},
		{"extending keeps a message hidden", testExtend},
		{"extending to nothing releases a message", testRelease},
		{"a receipt of an older delivery does nothing", testStaleReceipt},
		{"a waiting receive is woken by a send", testLongPoll},
		{"a waiting receive ends when nothing comes, or with its context", testEmptyReceive},
		{"receive gives no more than was asked for, nor than ten", testMax},
		{"bodies up to the limit pass, larger ones are refused alone", testLimits},
		{"many messages are deleted and extended in one call", testMany},
		{"receivers never share a message while it is hidden", testConcurrentReceivers},
		{"stats count what waits and what is held", testStats},
		{"a closed queue answers that it is unavailable", testClose},
	} {
		t.Run(c.name, func(t *testing.T) { t.Parallel(); c.test(t, b) })
	}
}

var background = context.Background()

const held = time.Minute // longer than any test

func send(t *testing.T, q queue.Queue, bodies ...string) {
	t.Helper()
	out := make([]queue.Outgoing, len(bodies))
	for i, b := range bodies {
		out[i] = queue.Outgoing{Body: []byte(b), Group: "tenant"}
	}
	if errs := q.Send(background, out); errs != nil {
		t.Fatal(errs)
	}
}

// receive waits until it has n messages.
func receive(t *testing.T, q queue.Queue, n int, visibility time.Duration) []queue.Message {
	t.Helper()
	var got []queue.Message
	deadline := time.Now().Add(20 * time.Second)
	for len(got) < n && time.Now().Before(deadline) {
		m, err := q.Receive(background, min(10, n-len(got)), 5*time.Second, visibility)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, m...)
	}
	if len(got) != n {
		t.Fatalf("received %d messages, want %d", len(got), n)
	}
	return got
}

// nothing waits a little and fails when a message comes.
func nothing(t *testing.T, q queue.Queue, wait time.Duration) {
	t.Helper()
	m, err := q.Receive(background, 10, wait, held)
	if err != nil {
		t.Fatal(err)
	}
	if len(m) != 0 {
		t.Fatalf("%d messages came, the first %q for the %d. time", len(m), m[0].Body, m[0].Receives)
	}
}

func receipts(ms []queue.Message) []string {
	r := make([]string, len(ms))
	for i, m := range ms {
		r[i] = m.Receipt
	}
	return r
}

func testSendReceiveDelete(t *testing.T, b backend) {
	q := b.open(t)
	body := "text with \" and \\ and äöü"
	if q.Limits().Binary {
		body = "\x00\xff\x80 any bytes \n"
	}
	before := time.Now().Add(-b.tick)
	send(t, q, body)
	m := receive(t, q, 1, b.tick)[0]
	if string(m.Body) != body || m.ID == "" || m.Receipt == "" || m.Receives != 1 {
		t.Errorf("received %q, id %q, receipt %q, receives %d", m.Body, m.ID, m.Receipt, m.Receives)
	}
	if m.SentAt.Before(before) || m.SentAt.After(time.Now().Add(b.tick)) {
		t.Errorf("sent at %v", m.SentAt)
	}
	if errs := q.Delete(background, []string{m.Receipt}); errs != nil {
		t.Fatal(errs)
	}
	nothing(t, q, 2*b.tick)
	if errs := q.Delete(background, []string{m.Receipt}); errs != nil {
		t.Errorf("deleting again: %v", errs)
	}
	if err := q.Ping(background); err != nil {
		t.Errorf("ping: %v", err)
	}
}

func testTrace(t *testing.T, b backend) {
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	q := b.open(t)
	if errs := q.Send(background, []queue.Outgoing{{Body: []byte("with"), Trace: trace}, {Body: []byte("without")}}); errs != nil {
		t.Fatal(errs)
	}
	if errs := q.Send(background, []queue.Outgoing{{Body: []byte("with"), Trace: trace}}); errs != nil { // a call of its own
		t.Fatal(errs)
	}
	for range 2 {
		ms := receive(t, q, 3, held)
		for _, m := range ms {
			if want := map[string]string{"with": trace}[string(m.Body)]; m.Trace != want {
				t.Errorf("%q has the trace %q, want %q", m.Body, m.Trace, want)
			}
		}
		if errs := q.Extend(background, receipts(ms), 0); errs != nil {
			t.Fatal(errs)
		}
	}
}

func testVisibility(t *testing.T, b backend) {
	q := b.open(t)
	send(t, q, "x")
	seen := map[string]bool{}
	var before time.Time // the claim of the delivery before was not earlier
	for n := 1; n <= 3; n++ {
		start := time.Now()
		m := receive(t, q, 1, b.tick)[0]
		if m.Receives != n || string(m.Body) != "x" || seen[m.Receipt] {
			t.Fatalf("delivery %d: receives %d, body %q, receipt seen: %v", n, m.Receives, m.Body, seen[m.Receipt])
		}
		seen[m.Receipt] = true
		if took := time.Since(before); took < b.tick {
			t.Errorf("delivery %d came after %v, hidden for %v", n, took, b.tick)
		}
		before = start
	}
}

func testExtend(t *testing.T, b backend) {
	q := b.open(t)
	send(t, q, "x")
	m := receive(t, q, 1, b.tick)[0]
	if errs := q.Extend(background, []string{m.Receipt}, held); errs != nil {
		t.Fatal(errs)
	}
	nothing(t, q, 3*b.tick)
	if errs := q.Extend(background, []string{m.Receipt}, b.tick); errs != nil {
		t.Fatal(errs)
	}
	if again := receive(t, q, 1, held)[0]; again.Receives != 2 {
		t.Errorf("receives %d", again.Receives)
	}
}

func testRelease(t *testing.T, b backend) {
	q := b.open(t)
	send(t, q, "x")
	m := receive(t, q, 1, held)[0]
	got := make(chan []queue.Message, 1)
	go func() {
		ms, err := q.Receive(background, 1, 20*time.Second, held)
		if err != nil {
			t.Error(err)
		}
		got <- ms
	}()
	if errs := q.Extend(background, []string{m.Receipt}, 0); errs != nil {
		t.Fatal(errs)
	}
	if ms := <-got; len(ms) != 1 || ms[0].Receives != 2 {
		t.Errorf("after the release: %v", ms)
	}
}

func testStaleReceipt(t *testing.T, b backend) {
	q := b.open(t)
	send(t, q, "x", "y")
	old := receive(t, q, 2, b.tick)
	now := receive(t, q, 2, held)
	errs := q.Extend(background, []string{old[0].Receipt, now[0].Receipt, old[1].Receipt}, held)
	if len(errs) != 3 || fault.KindOf(errs[0]) != fault.NotFound || errs[1] != nil || fault.KindOf(errs[2]) != fault.NotFound {
		t.Errorf("extend with old and new receipts: %v", errs)
	}
	if errs := q.Delete(background, receipts(old)); errs != nil {
		t.Errorf("delete with old receipts: %v", errs)
	}
	if errs := q.Extend(background, receipts(now), 0); errs != nil {
		t.Errorf("the messages are gone: %v", errs)
	}
	last := receive(t, q, 2, held)
	if errs := q.Delete(background, receipts(last)); errs != nil {
		t.Fatal(errs)
	}
	if errs := q.Extend(background, receipts(last), held); len(errs) != 2 || fault.KindOf(errs[0]) != fault.NotFound || fault.KindOf(errs[1]) != fault.NotFound {
		t.Errorf("extend after delete: %v", errs)
	}
}

func testLongPoll(t *testing.T, b backend) {
	q := b.open(t)
	type result struct {
		messages []queue.Message
		err      error
	}
	got := make(chan result, 1)
	start := time.Now()
	go func() {
		m, err := q.Receive(background, 10, 20*time.Second, held)
		got <- result{m, err}
	}()
	nothing(t, q, b.tick/10) // the other one is waiting by now, most likely
	send(t, q, "x")
	if r := <-got; r.err != nil || len(r.messages) != 1 {
		t.Fatalf("%v, %v", r.messages, r.err)
	}
	if took := time.Since(start); took > 15*time.Second {
		t.Errorf("took %v: not woken", took)
	}
}

func testEmptyReceive(t *testing.T, b backend) {
	q := b.open(t)
	nothing(t, q, 0)
	start := time.Now()
	nothing(t, q, b.tick)
	if took := time.Since(start); took < b.tick/2 {
		t.Errorf("waited %v of %v", took, b.tick)
	}
	ctx, cancel := context.WithTimeout(background, b.tick)
	defer cancel()
	if m, err := q.Receive(ctx, 10, 20*time.Second, held); err == nil || len(m) > 0 {
		t.Errorf("with a context that ends: %v, %v", m, err)
	}
	if took := time.Since(start); took > 15*time.Second {
		t.Errorf("took %v", took)
	}
}

func testMax(t *testing.T, b backend) {
	q := b.open(t)
	for range 3 {
		send(t, q, strings.Split(strings.Repeat("x", 5), "")...)
	}
	m, err := q.Receive(background, 2, time.Second, held)
	if err != nil || len(m) < 1 || len(m) > 2 {
		t.Errorf("asked for 2: %d, %v", len(m), err)
	}
	m, err = q.Receive(background, 100, time.Second, held)
	if err != nil || len(m) < 1 || len(m) > 10 {
		t.Errorf("asked for 100: %d, %v", len(m), err)
	}
}

func testLimits(t *testing.T, b backend) {
	q := b.open(t)
	most := bytes.Repeat([]byte{'m'}, q.Limits().MaxBytes)
	if errs := q.Send(background, []queue.Outgoing{{Body: most}}); errs != nil {
		t.Fatalf("body of %d bytes: %v", len(most), errs)
	}
	errs := q.Send(background, []queue.Outgoing{{Body: []byte("before")}, {Body: append(most, 'm')}, {Body: []byte("after")}})
	if len(errs) != 3 || errs[0] != nil || fault.KindOf(errs[1]) != fault.TooLarge || errs[2] != nil {
		t.Fatalf("one of three is too large: %v", errs)
	}
	if errs := q.Send(background, []queue.Outgoing{{}}); len(errs) != 1 || errs[0] == nil {
		t.Errorf("an empty body: %v", errs)
	}
	sizes := map[int]int{}
	for _, m := range receive(t, q, 3, held) {
		sizes[len(m.Body)]++
	}
	if sizes[q.Limits().MaxBytes] != 1 || sizes[6] != 1 || sizes[5] != 1 {
		t.Errorf("sizes received: %v", sizes)
	}
	nothing(t, q, 0)
}

func testMany(t *testing.T, b backend) {
	q := b.open(t)
	for i := range 13 {
		var bodies []string
		for j := range 9 {
			bodies = append(bodies, fmt.Sprintf("%d.%d", i, j))
		}
		send(t, q, bodies...)
	}
	ms := receive(t, q, 117, held)
	seen := map[string]bool{}
	for _, m := range ms {
		seen[string(m.Body)] = true
	}
	if len(seen) != 117 {
		t.Errorf("%d different bodies", len(seen))
	}
	if errs := q.Extend(background, receipts(ms), held); errs != nil {
		t.Errorf("extend: %v", errs)
	}
	if errs := q.Delete(background, receipts(ms[:62])); errs != nil {
		t.Errorf("delete: %v", errs)
	}
	if errs := q.Extend(background, receipts(ms[62:]), 0); errs != nil {
		t.Errorf("release: %v", errs)
	}
	for _, m := range receive(t, q, 55, held) {
		delete(seen, string(m.Body))
	}
	if len(seen) != 62 {
		t.Errorf("%d bodies did not come again, want the 62 that were deleted", len(seen))
	}
}

func testConcurrentReceivers(t *testing.T, b backend) {
	q := b.open(t)
	const senders, each = 4, 50
	var mu sync.Mutex
	times := map[string]int{}
	ctx, cancel := context.WithTimeout(background, 60*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for i := range each {
				if errs := q.Send(background, []queue.Outgoing{{Body: fmt.Appendf(nil, "%d-%d", s, i)}}); errs != nil {
					t.Error(errs)
				}
			}
		})
	}
	for range 6 {
		wg.Go(func() {
			for ctx.Err() == nil {
				ms, err := q.Receive(ctx, 3, b.tick, held)
				if err != nil {
					if ctx.Err() == nil {
						t.Error(err)
					}
					return
				}
				mu.Lock()
				for _, m := range ms {
					times[string(m.Body)]++
				}
				if len(times) == senders*each {
					cancel()
				}
				mu.Unlock()
				if errs := q.Delete(background, receipts(ms)); errs != nil {
					t.Error(errs)
				}
			}
		})
	}
	wg.Wait()
	if len(times) != senders*each {
		t.Errorf("%d different messages of %d", len(times), senders*each)
	}
	for body, n := range times {
		if n != 1 && b.exact {
			t.Errorf("%s came %d times", body, n)
		}
	}
}

func testStats(t *testing.T, b backend) {
	q := b.open(t)
	send(t, q, "a", "b", "c")
	receive(t, q, 1, held)
	s, err := q.Stats(background)
	if err != nil {
		t.Fatal(err)
	}
	if b.exact && (s.Visible != 2 || s.InFlight != 1 || s.Oldest < 0 || s.Oldest > time.Minute) {
		t.Errorf("%+v", s)
	}
}

func testClose(t *testing.T, b backend) {
	q := b.open(t)
	send(t, q, "x")
	m := receive(t, q, 1, held)[0]
	ended := make(chan error, 1)
	go func() {
		_, err := q.Receive(background, 1, 20*time.Second, held)
		ended <- err
	}()
	start := time.Now()
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; fault.KindOf(err) != fault.Unavailable || time.Since(start) > 15*time.Second {
		t.Errorf("the waiting receive ended with %v after %v", err, time.Since(start))
	}
	_, receiveErr := q.Receive(background, 1, 0, held)
	_, statsErr := q.Stats(background)
	for call, err := range map[string]error{
		"Send": one(q.Send(background, []queue.Outgoing{{Body: []byte("y")}})), "Receive": receiveErr, "Stats": statsErr,
		"Extend": one(q.Extend(background, []string{m.Receipt}, held)), "Delete": one(q.Delete(background, []string{m.Receipt})),
		"Ping": q.Ping(background),
	} {
		if err == nil || fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%s after Close: %v", call, err)
		}
	}
	if err := q.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
}

func one(errs []error) error {
	if len(errs) != 1 {
		return nil
	}
	return errs[0]
}
