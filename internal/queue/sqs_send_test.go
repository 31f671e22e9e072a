package queue_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/queue"
)

func outgoing(bodies ...string) []queue.Outgoing {
	out := make([]queue.Outgoing, len(bodies))
	for i, b := range bodies {
		out[i] = queue.Outgoing{Body: []byte(b), Group: "tenant"}
	}
	return out
}

// kinds are those of errors; "" where there is none.
func kinds(errs []error, n int) []string {
	out := make([]string, n)
	for i, err := range errs {
		if err != nil {
			out[i] = fault.KindOf(err).String()
		}
	}
	return out
}

// bodiesOf are the bodies of all sends, in order; each call ends with "|".
func bodiesOf(f *fakeSQS) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var s strings.Builder
	for _, c := range f.calls {
		for _, e := range c.Entries {
			s.WriteString(e.MessageBody + " ")
		}
		s.WriteString(c.MessageBody + "|")
	}
	return s.String()
}

func TestSQSSendPartialFailure(t *testing.T) {
	for _, c := range []struct {
		name string
		fail func(body string, times int) string // as batchAnswer's
		want []string
		sent string
	}{
		{"when all is well there is one call", func(string, int) string { return "" }, []string{"", "", ""}, "a b c |"},
		{"what fails by the server's fault is sent again by itself", func(body string, times int) string {
			if body == "b" && times <= 2 {
				return "InternalError"
			}
			return ""
		}, []string{"", "", ""}, "a b c |b|b|"},
		{"what stays failed is unavailable after three more tries", func(body string, _ int) string {
			if body != "b" {
				return "InternalError"
			}
			return ""
		}, []string{"unavailable", "", "unavailable"}, "a b c |a c |a c |a c |"},
		{"what fails by the sender's fault is final", func(body string, _ int) string {
			if body == "c" {
				return "!InvalidMessageContents"
			}
			return ""
		}, []string{"", "", "invalid"}, "a b c |"},
		{"what the answer does not name is not sent", func(body string, times int) string {
			if body == "a" {
				return "-"
			}
			return ""
		}, []string{"unavailable", "", ""}, "a b c |a|a|a|"},
		{"what fails, then is not named, then is done, is done", func(body string, times int) string {
			if body == "a" || body == "b" {
				return []string{"InternalError", "-", ""}[times-1]
			}
			return ""
		}, []string{"", "", ""}, "a b c |a b |a b |"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			times := map[string]int{}
			f := newFake(t, func(op string, in fakeCall) *fakeAnswer {
				mu.Lock()
				defer mu.Unlock()
				switch op {
				case "SendMessageBatch":
					return batchAnswer(in, func(e fakeEntry) string {
						times[e.MessageBody]++
						return c.fail(e.MessageBody, times[e.MessageBody])
					})
				case "SendMessage":
					times[in.MessageBody]++
					switch code := c.fail(in.MessageBody, times[in.MessageBody]); code {
					case "":
					case "-":
						return ok("")
					default:
						return &fakeAnswer{status: 200, body: `{}`}
					}
				}
				return nil
			})
			q := f.open(t, queue.SQSConfig{})
			errs := q.Send(background, outgoing("a", "b", "c"))
			if got := kinds(errs, 3); !slices.Equal(got, c.want) {
				t.Errorf("results %q, want %q", got, c.want)
			}
			if errs != nil && slices.Equal(c.want, []string{"", "", ""}) {
				t.Error("the result is not nil though all went well")
			}
			if got := bodiesOf(f); got != c.sent {
				t.Errorf("sent %q, want %q", got, c.sent)
			}
		})
	}
}

func TestSQSSendLostAnswer(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(call int, never <-chan struct{}) *fakeAnswer
		want   string
		stored int // at least
	}{
		{"an answer that never comes is unavailable", func(_ int, never <-chan struct{}) *fakeAnswer { return &fakeAnswer{hold: never} }, "unavailable", 1},
		{"a connection that ends before the answer is unavailable", func(int, <-chan struct{}) *fakeAnswer { return &fakeAnswer{cut: true} }, "unavailable", 3},
		{"an empty answer is unavailable", func(int, <-chan struct{}) *fakeAnswer { return ok("") }, "unavailable", 3},
		{"an answer that is no JSON is unavailable", func(int, <-chan struct{}) *fakeAnswer { return ok("<html>") }, "unavailable", 1},
		{"a digest of another body is unavailable", func(int, <-chan struct{}) *fakeAnswer {
			return ok(`{"MessageId":"m","MD5OfMessageBody":"` + md5Of("other") + `"}`)
		}, "unavailable", 1},
		{"a lost answer and then a good one is a success", func(call int, _ <-chan struct{}) *fakeAnswer {
			if call == 1 {
				return &fakeAnswer{cut: true}
			}
			return nil
		}, "", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			calls := 0
			never := make(chan struct{})
			t.Cleanup(func() { close(never) })
			f := newFake(t, func(op string, _ fakeCall) *fakeAnswer {
				if op != "SendMessage" {
					return nil
				}
				mu.Lock()
				defer mu.Unlock()
				calls++
				return c.answer(calls, never)
			})
			q := f.open(t, queue.SQSConfig{CallTimeout: 2 * time.Second})
			if got := kinds(q.Send(background, outgoing("a")), 1); got[0] != c.want {
				t.Errorf("result %q, want %q", got[0], c.want)
			}
			if n := len(f.of("SendMessage")); n < c.stored {
				t.Errorf("the server took %d messages, want %d at least", n, c.stored)
			}
		})
	}
}

func TestSQSSendSplits(t *testing.T) {
	f := newFake(t, nil)
	q := f.open(t, queue.SQSConfig{})
	r := rand.New(rand.NewPCG(1, 2))
	var want []string
	for range 15 {
		messages := make([]queue.Outgoing, 1+r.IntN(25))
		for i := range messages {
			size := 1 + r.IntN(100)
			if r.IntN(2) == 0 {
				size = 1 + r.IntN(q.Limits().MaxBytes)
			}
			body := fmt.Sprintf("%08d", len(want)) + strings.Repeat("x", size)
			body = body[:min(len(body), q.Limits().MaxBytes)]
			want = append(want, body[:8])
			messages[i].Body = []byte(body)
		}
		if errs := q.Send(background, messages); errs != nil {
			t.Fatal(errs)
		}
	}
	var got []string
	calls := append(f.of("SendMessage"), f.of("SendMessageBatch")...)
	for _, c := range calls {
		size := len(c.MessageBody)
		if c.Op == "SendMessage" {
			got = append(got, c.MessageBody[:8])
		}
		ids := map[string]bool{}
		for _, e := range c.Entries {
			size += len(e.MessageBody)
			ids[e.Id] = true
			got = append(got, e.MessageBody[:8])
		}
		if len(c.Entries) > 10 || len(ids) != len(c.Entries) || size > 1<<20 {
			t.Fatalf("a call with %d messages, %d ids and %d bytes", len(c.Entries), len(ids), size)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%d messages were sent, want each of %d once", len(got), len(want))
	}
}

func TestSQSSendFills(t *testing.T) {
	f := newFake(t, nil)
	q := f.open(t, queue.SQSConfig{})
	body := strings.Repeat("x", 60<<10)
	if errs := q.Send(background, outgoing(slices.Repeat([]string{body}, 20)...)); errs != nil {
		t.Fatal(errs)
	}
	if n := len(f.of("SendMessageBatch")); n != 2 {
		t.Errorf("20 messages of 60 KiB took %d calls, want 2", n)
	}
}

func TestSQSSendBatchTooLong(t *testing.T) {
	const most = 256 << 10 // what this server takes in a call, whatever a message may have
	f := newFake(t, func(op string, in fakeCall) *fakeAnswer {
		size := len(in.MessageBody)
		for _, e := range in.Entries {
			size += len(e.MessageBody)
		}
		if size > most {
			return refusal(http.StatusBadRequest, "BatchRequestTooLong")
		}
		return nil
	})
	q := f.open(t, queue.SQSConfig{})
	small, large := strings.Repeat("s", 100<<10), strings.Repeat("l", most+1)
	got := kinds(q.Send(background, outgoing(small, small, large, small, small)), 5)
	if want := []string{"", "", "too_large", "", ""}; !slices.Equal(got, want) {
		t.Errorf("results %q, want %q", got, want)
	}
}

func TestSQSSendCharacters(t *testing.T) {
	f := newFake(t, nil)
	q := f.open(t, queue.SQSConfig{})
	got := kinds(q.Send(background, outgoing("fine", "no\x00t", "neither \xff", "nor \ufffe", "tab\tand\nline")), 5)
	if want := []string{"", "invalid", "invalid", "invalid", ""}; !slices.Equal(got, want) {
		t.Errorf("results %q, want %q", got, want)
	}
	if got := bodiesOf(f); got != "fine tab\tand\nline |" {
		t.Errorf("sent %q", got)
	}
}

func TestSQSTraces(t *testing.T) {
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	f := newFake(t, func(op string, in fakeCall) *fakeAnswer {
		if op == "ReceiveMessage" {
			return ok(`{"Messages":[{"MessageId":"m","Body":"b","ReceiptHandle":"r","MessageAttributes":{"traceparent":{"DataType":"String","StringValue":"` + trace + `"}}}]}`)
		}
		return nil
	})
	q := f.open(t, queue.SQSConfig{})
	wants := func(got map[string]fakeAttribute, want string) {
		t.Helper()
		if a := got["traceparent"]; want == "" && len(got) > 0 || want != "" && (len(got) != 1 || a != fakeAttribute{"String", want}) {
			t.Errorf("attributes %v, want traceparent %q", got, want)
		}
	}
	if errs := q.Send(background, []queue.Outgoing{{Body: []byte("a"), Trace: trace}, {Body: []byte("b")}, {Body: []byte("c"), Trace: "no trace\x00"}}); errs != nil {
		t.Fatal(errs)
	}
	for i, e := range f.of("SendMessageBatch")[0].Entries {
		wants(e.MessageAttributes, []string{trace, "", ""}[i])
	}

	// Two that fit together without attributes, but not with them: names, types and values count.
	half := []byte(strings.Repeat("x", (1<<20-4<<10)/2))
	if errs := q.Send(background, []queue.Outgoing{{Body: half, Trace: trace}, {Body: half, Trace: trace}}); errs != nil {
		t.Fatal(errs)
	}
	if n := len(f.of("SendMessage")); n != 2 {
		t.Fatalf("%d calls of their own", n)
	}
	wants(f.of("SendMessage")[0].MessageAttributes, trace)
	if errs := q.Send(background, []queue.Outgoing{{Body: half}, {Body: half}}); errs != nil || len(f.of("SendMessage")) != 2 {
		t.Errorf("%v, %d calls of their own", errs, len(f.of("SendMessage")))
	}

	ms, err := q.Receive(background, 1, 0, held)
	if err != nil || len(ms) != 1 || ms[0].Trace != trace {
		t.Errorf("received %+v, %v", ms, err)
	}
	if names := f.of("ReceiveMessage")[0].MessageAttributeNames; !slices.Equal(names, []string{"traceparent"}) {
		t.Errorf("asked for the attributes %q", names)
	}
}

func TestSQSFairQueues(t *testing.T) {
	t.Run("messages carry their group, but for a name that SQS does not take", func(t *testing.T) {
		t.Parallel()
		f := newFake(t, nil)
		q := f.open(t, queue.SQSConfig{FairQueues: true})
		if errs := q.Send(background, []queue.Outgoing{{Body: []byte("a"), Group: "t-1"}, {Body: []byte("b"), Group: "t 2"}, {Body: []byte("c")}}); errs != nil {
			t.Fatal(errs)
		}
		var groups []string
		for _, e := range f.of("SendMessageBatch")[0].Entries {
			groups = append(groups, e.MessageGroupId)
		}
		if want := []string{"t-1", "", ""}; !slices.Equal(groups, want) {
			t.Errorf("groups %q, want %q", groups, want)
		}
	})
	t.Run("no groups unless they are asked for", func(t *testing.T) {
		t.Parallel()
		f := newFake(t, nil)
		if errs := f.open(t, queue.SQSConfig{}).Send(background, outgoing("a")); errs != nil {
			t.Fatal(errs)
		}
		if g := f.of("SendMessage")[0].MessageGroupId; g != "" {
			t.Errorf("group %q", g)
		}
	})
	t.Run("a server that refuses the call gets it without groups, and all later ones", func(t *testing.T) {
		t.Parallel()
		f := newFake(t, func(op string, in fakeCall) *fakeAnswer {
			if in.MessageGroupId != "" {
				return refusal(http.StatusBadRequest, "InvalidParameterValue")
			}
			return nil
		})
		q := f.open(t, queue.SQSConfig{FairQueues: true})
		for range 2 {
			if errs := q.Send(background, outgoing("a")); errs != nil {
				t.Fatal(errs)
			}
		}
		if n := len(f.of("SendMessage")); n != 3 {
			t.Errorf("%d calls, want 3", n)
		}
	})
	t.Run("a server that refuses each message gets them without groups", func(t *testing.T) {
		t.Parallel()
		f := newFake(t, func(op string, in fakeCall) *fakeAnswer {
			if op != "SendMessageBatch" {
				return nil
			}
			return batchAnswer(in, func(e fakeEntry) string {
				if e.MessageGroupId != "" {
					return "!InvalidParameterValue"
				}
				return ""
			})
		})
		if errs := f.open(t, queue.SQSConfig{FairQueues: true}).Send(background, outgoing("a", "b")); errs != nil {
			t.Fatal(errs)
		}
	})
}

func TestSQSSendWhileDown(t *testing.T) {
	var mu sync.Mutex
	down := true
	f := newFake(t, func(op string, _ fakeCall) *fakeAnswer {
		mu.Lock()
		defer mu.Unlock()
		if down && op == "SendMessage" {
			return refusal(http.StatusServiceUnavailable, "ServiceUnavailable")
		}
		return nil
	})
	q := f.open(t, queue.SQSConfig{})
	for range 3 {
		if got := kinds(q.Send(background, outgoing("a")), 1); got[0] != "unavailable" {
			t.Fatalf("while the server answers 503: %q", got[0])
		}
	}
	before := len(f.of("SendMessage"))
	err := one(q.Send(background, outgoing("a")))
	if fault.Of(err).Code != "sqs_down" || fault.KindOf(err) != fault.Unavailable || fault.Of(err).RetryAfter <= 0 {
		t.Errorf("after three failures: %v", err)
	}
	if n := len(f.of("SendMessage")); n != before {
		t.Errorf("%d calls while the circuit is open", n-before)
	}
	mu.Lock()
	down = false
	mu.Unlock()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	deadline := time.After(10 * time.Second)
	for q.Send(background, outgoing("a")) != nil {
		select {
		case <-again.C:
		case <-deadline:
			t.Fatal("the circuit does not close again")
		}
	}
}
