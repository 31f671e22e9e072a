package queue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/queue"
)

func TestSQSReceiveReads(t *testing.T) {
	f := newFake(t, func(op string, in fakeCall) *fakeAnswer {
		if op != "ReceiveMessage" {
			return nil
		}
		return ok(`{"Messages":[
			{"MessageId":"1","ReceiptHandle":"r1","Body":"one","MD5OfBody":"` + md5Of("one") + `","Attributes":{"SentTimestamp":"1763900000123","ApproximateReceiveCount":"7"}},
			{"MessageId":"2","ReceiptHandle":"r2","Body":"two","MD5OfBody":"` + md5Of("broken on the way") + `"}]}`)
	})
	before := time.Now()
	ms, err := f.open(t, queue.SQSConfig{}).Receive(background, 10, time.Second, held)
	if err != nil || len(ms) != 2 {
		t.Fatalf("%v, %v", ms, err)
	}
	if m := ms[0]; m.ID != "1" || m.Receipt != "r1" || string(m.Body) != "one" || m.Receives != 7 || !m.SentAt.Equal(time.UnixMilli(1763900000123)) {
		t.Errorf("the first: %+v", m)
	}
	// A body that was damaged is for its envelope's checksum to find; it must not hide its neighbours.
	if m := ms[1]; string(m.Body) != "two" || m.Receives != 1 || m.SentAt.Before(before.Add(-time.Second)) {
		t.Errorf("the second, without attributes: %+v", m)
	}
}

func TestSQSReceiveTriesOnce(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer *fakeAnswer
		want   fault.Kind
	}{
		{"HTTP 503", refusal(http.StatusServiceUnavailable, "ServiceUnavailable"), fault.Unavailable},
		{"a cut connection", &fakeAnswer{cut: true}, fault.Unavailable},
		{"too many messages held", refusal(http.StatusForbidden, "OverLimit"), fault.Limited},
		{"the queue was deleted", refusal(http.StatusBadRequest, "QueueDoesNotExist"), fault.Invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, func(op string, _ fakeCall) *fakeAnswer {
				if op == "ReceiveMessage" {
					return c.answer
				}
				return nil
			})
			if ms, err := f.open(t, queue.SQSConfig{}).Receive(background, 10, time.Second, held); fault.KindOf(err) != c.want || ms != nil {
				t.Errorf("%v, %v; want the kind %v", ms, err, c.want)
			}
			if n := len(f.of("ReceiveMessage")); n != 1 {
				t.Errorf("%d calls; a second one hides what the first took", n)
			}
		})
	}
}

func TestSQSReceiveCanceled(t *testing.T) {
	polling, arrives, released := make(chan struct{}), make(chan struct{}), make(chan fakeCall, 1)
	f := newFake(t, func(op string, in fakeCall) *fakeAnswer {
		switch op {
		case "ReceiveMessage":
			close(polling)
			a := ok(`{"Messages":[{"MessageId":"1","ReceiptHandle":"r1","Body":"x"}]}`)
			a.hold = arrives
			return a
		case "ChangeMessageVisibilityBatch":
			released <- in
		}
		return nil
	})
	q := f.open(t, queue.SQSConfig{})
	ctx, cancel := context.WithCancel(background)
	ended := make(chan error)
	go func() {
		_, err := q.Receive(ctx, 10, 20*time.Second, held)
		ended <- err
	}()
	<-polling
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) || fault.KindOf(err) != fault.Unavailable {
		t.Errorf("the receive ended with %v", err)
	}
	close(arrives)
	in := <-released
	if len(in.Entries) != 1 || in.Entries[0].ReceiptHandle != "r1" || in.Entries[0].VisibilityTimeout == nil || *in.Entries[0].VisibilityTimeout != 0 {
		t.Errorf("released with %+v", in)
	}
	if _, err := q.Receive(ctx, 10, 0, held); !errors.Is(err, context.Canceled) || len(f.of("ReceiveMessage")) != 1 {
		t.Errorf("a receive whose context has ended: %v, %d calls", err, len(f.of("ReceiveMessage")))
	}
}

func TestSQSReceiveHoldsEarlyAnswersBack(t *testing.T) {
	f := newFake(t, nil) // whose polls end at once
	q := f.open(t, queue.SQSConfig{})
	start := time.Now()
	nothing(t, q, 2*time.Second)
	if took, n := time.Since(start), len(f.of("ReceiveMessage")); took < time.Second || n < 2 || n > 5 {
		t.Errorf("waited %v of 2 s with %d polls, want one each half second", took, n)
	}
}

func TestSQSReceivePollsInSlices(t *testing.T) {
	var mu sync.Mutex
	polls := 0
	f := newFake(t, func(op string, in fakeCall) *fakeAnswer {
		mu.Lock()
		defer mu.Unlock()
		if op == "ReceiveMessage" {
			if polls++; polls == 3 {
				return ok(`{"Messages":[{"MessageId":"1","ReceiptHandle":"r1","Body":"x"}]}`)
			}
		}
		return nil
	})
	q := f.open(t, queue.SQSConfig{PollTime: 7 * time.Second})
	if ms, err := q.Receive(background, 4, 20*time.Second, 90*time.Second); err != nil || len(ms) != 1 {
		t.Fatalf("%v, %v", ms, err)
	}
	for _, c := range f.of("ReceiveMessage") {
		if c.WaitTimeSeconds != 7 || c.VisibilityTimeout != 90 || c.MaxNumberOfMessages != 4 {
			t.Errorf("a poll of %d s for %d messages, hidden for %d s", c.WaitTimeSeconds, c.MaxNumberOfMessages, c.VisibilityTimeout)
		}
	}
	if n := len(f.of("ReceiveMessage")); n != 3 {
		t.Errorf("%d polls, want 3", n)
	}
}

func TestSQSCloseHidesNothing(t *testing.T) {
	polling, arrives := make(chan struct{}), make(chan struct{})
	f := newFake(t, func(op string, in fakeCall) *fakeAnswer {
		if op != "ReceiveMessage" {
			return nil
		}
		close(polling)
		a := ok(`{"Messages":[{"MessageId":"1","ReceiptHandle":"r1","Body":"x"}]}`)
		a.hold = arrives
		return a
	})
	q := f.open(t, queue.SQSConfig{})
	ended, closed := make(chan error), make(chan error)
	go func() {
		_, err := q.Receive(background, 10, 20*time.Second, held)
		ended <- err
	}()
	<-polling
	go func() { closed <- q.Close() }()
	if err := <-ended; fault.Of(err).Code != "queue_closed" {
		t.Errorf("the receive ended with %v", err)
	}
	close(arrives)
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if calls := f.of("ChangeMessageVisibilityBatch"); len(calls) != 1 || calls[0].Entries[0].ReceiptHandle != "r1" {
		t.Errorf("when Close returned the message was released by %+v", calls)
	}
}

// A server that does not notice that a poll's connection has ended hides the next message for nobody.
func TestSQSReceiveCanceledOnTheServer(t *testing.T) {
	endpoint := sqsEndpoint(t)
	url := newQueue(t, endpoint)
	gone := openSQS(t, queue.SQSConfig{QueueURL: url, EndpointURL: endpoint, PollTime: 3 * time.Second})
	ctx, cancel := context.WithTimeout(background, 300*time.Millisecond)
	defer cancel()
	if _, err := gone.Receive(ctx, 10, 20*time.Second, time.Hour); err == nil {
		t.Fatal("no error")
	}
	q := openSQS(t, queue.SQSConfig{QueueURL: url, EndpointURL: endpoint})
	send(t, q, "x")
	receive(t, q, 1, held)
}

func TestSQSVerdictsOfReceipts(t *testing.T) {
	codes := map[string]string{"stale": "!ReceiptHandleIsInvalid", "expired": "!InvalidParameterValue", "prefixed": "!AWS.SimpleQueueService.MessageNotInflight",
		"broken": "InternalError", "unnamed": "-", "denied": "!AccessDenied"}
	for _, c := range []struct {
		op   string
		call func(q *queue.SQS, receipts []string) []error
		want []string // of the receipts below
	}{
		{"ChangeMessageVisibilityBatch", func(q *queue.SQS, r []string) []error { return q.Extend(background, r, held) },
			[]string{"", "not_found", "not_found", "not_found", "unavailable", "unavailable", "invalid", "", "not_found"}},
		{"DeleteMessageBatch", func(q *queue.SQS, r []string) []error { return q.Delete(background, r) },
			[]string{"", "", "", "", "unavailable", "unavailable", "invalid", "", ""}},
	} {
		t.Run(c.op, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, func(op string, in fakeCall) *fakeAnswer {
				if op != c.op {
					return nil
				}
				return batchAnswer(in, func(e fakeEntry) string { return codes[e.ReceiptHandle] })
			})
			receipts := []string{"good", "stale", "expired", "prefixed", "broken", "unnamed", "denied", "good", "stale"}
			if got := kinds(c.call(f.open(t, queue.SQSConfig{}), receipts), len(receipts)); !slices.Equal(got, c.want) {
				t.Errorf("results %q, want %q", got, c.want)
			}
			calls := f.of(c.op)
			if len(calls) != 4 || len(calls[0].Entries) != 7 || len(calls[3].Entries) != 2 {
				t.Errorf("%d calls, the first for %d receipts; each receipt should be there once, and the two that failed again", len(calls), len(calls[0].Entries))
			}
		})
	}
}

func TestSQSReceiptsTenAtATime(t *testing.T) {
	f := newFake(t, nil)
	q := f.open(t, queue.SQSConfig{})
	var receipts []string
	for i := range 25 {
		receipts = append(receipts, fmt.Sprint("r", i))
	}
	if errs := q.Delete(background, receipts); errs != nil {
		t.Fatal(errs)
	}
	var got []string
	for _, c := range f.of("DeleteMessageBatch") {
		if len(c.Entries) > 10 {
			t.Errorf("%d receipts in a call", len(c.Entries))
		}
		for _, e := range c.Entries {
			got = append(got, e.ReceiptHandle)
		}
	}
	if !slices.Equal(got, receipts) {
		t.Errorf("deleted %q", got)
	}
	if errs := q.Delete(background, nil); errs != nil || len(f.of("DeleteMessageBatch")) != 3 {
		t.Errorf("deleting nothing: %v, %d calls", errs, len(f.of("DeleteMessageBatch")))
	}
}

func TestSQSWholeSeconds(t *testing.T) {
	f := newFake(t, nil)
	q := f.open(t, queue.SQSConfig{})
	for visibility, want := range map[time.Duration]int{0: 0, time.Millisecond: 1, time.Second: 1, 1500 * time.Millisecond: 2, 24 * time.Hour: 12 * 3600, -time.Hour: 0} {
		if errs := q.Extend(background, []string{visibility.String()}, visibility); errs != nil {
			t.Fatal(errs)
		}
		calls := f.of("ChangeMessageVisibilityBatch")
		if got := calls[len(calls)-1].Entries[0].VisibilityTimeout; got == nil || *got != want {
			t.Errorf("%v is told as %v s, want %d", visibility, got, want)
		}
	}
}

// Answers this large break when the SDK closes the request's body while net/http still holds it.
func TestSQSLargeAnswers(t *testing.T) {
	body := strings.Repeat("x", 60<<10)
	one := fmt.Sprintf(`,{"MessageId":"1","ReceiptHandle":"r","Body":%q}`, body)
	answer := `{"Messages":[` + strings.Repeat(one, 10)[1:] + `]}`
	f := newFake(t, func(op string, _ fakeCall) *fakeAnswer {
		if op == "ReceiveMessage" {
			return ok(answer)
		}
		return nil
	})
	q := f.open(t, queue.SQSConfig{})
	for n := range 100 {
		if ms, err := q.Receive(background, 10, 0, held); err != nil || len(ms) != 10 {
			t.Fatalf("receive %d: %d messages, %v", n, len(ms), err)
		}
	}
}

func TestSQSLargeAnswersOfTheServer(t *testing.T) {
	endpoint := sqsEndpoint(t)
	q := openSQS(t, queue.SQSConfig{QueueURL: newQueue(t, endpoint), EndpointURL: endpoint})
	body := bytes.Repeat([]byte("A1b2/+9="), 60<<10/8)
	const total = 300
	var wg sync.WaitGroup
	wg.Go(func() {
		for range total / 10 {
			if errs := q.Send(background, slices.Repeat([]queue.Outgoing{{Body: body}}, 10)); errs != nil {
				t.Error(errs)
			}
		}
	})
	for got := 0; got < total && !t.Failed(); {
		ms, err := q.Receive(background, 10, time.Second, held)
		if err != nil {
			t.Errorf("after %d messages: %v", got, err)
			break
		}
		for _, m := range ms {
			if !bytes.Equal(m.Body, body) || m.Receives != 1 {
				t.Fatalf("a body of %d bytes, received %d times", len(m.Body), m.Receives)
			}
		}
		got += len(ms)
		if errs := q.Delete(background, receipts(ms)); errs != nil {
			t.Fatal(errs)
		}
	}
	wg.Wait()
}
