package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

func TestWhatIsSentArrivesOnceAndUnaltered(t *testing.T) {
	f := newFake(t)
	p := clientOf(t, f.URL, func(c *Config) { c.Tenant = "acme" }).StartProducer(ProducerConfig{MaxEntries: 7, Linger: time.Hour})
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600))
	must(t, p.Send(soon(t), logentry.Entry{Timestamp: at, Service: "billing", Severity: logentry.Warning, Message: "a\nb", Metadata: []byte("{ \"n\":1.50,\n\"o\":{} }")}))
	for i := range 99 {
		must(t, p.Send(soon(t), entrySaying("m%d", i)))
	}
	must(t, p.Close(soon(t)))
	n := f.counts()
	if len(n) != 100 {
		t.Errorf("%d entries", len(n))
	}
	for m, times := range n {
		if times != 1 {
			t.Errorf("%q is kept %d times", m, times)
		}
	}
	keys := map[string]bool{}
	for _, post := range f.all() {
		if keys[post.key] || post.key == "" || len(post.entries) > 7 || post.header.Get("Authorization") != "Bearer secret" || post.header.Get("X-Tenant-ID") != "acme" {
			t.Errorf("%q, %d entries, %v", post.key, len(post.entries), post.header)
		}
		keys[post.key] = true
		for _, e := range post.entries {
			if e.Timestamp.IsZero() {
				t.Errorf("%q has no time", e.Message)
			}
			if e.Service == "billing" && (!e.Timestamp.Equal(at) || e.Severity != logentry.Warning || e.Message != "a\nb" || string(e.Metadata) != `{"n":1.50,"o":{}}`) {
				t.Errorf("it arrived as %+v", e)
			}
		}
	}
}

// What passes is tried again with the same key and bytes, also where the batch was kept and the answer lost.
func TestATryAgainHasTheSameKeyAndBytes(t *testing.T) {
	f := newFake(t)
	f.header.Set("Retry-After", "0")
	f.answer = func(n int, p post) (int, string) {
		switch n {
		case 0:
			return http.StatusServiceUnavailable, `{"code":"overloaded"}`
		case 1:
			return http.StatusTooManyRequests, `{"code":"rate_limited"}`
		case 2:
			return http.StatusBadGateway, `<html>`
		case 3:
			f.keep(p)
			panic(http.ErrAbortHandler) // the answer is lost
		}
		return 0, ""
	}
	p := clientOf(t, f.URL).StartProducer(ProducerConfig{})
	for i := range 3 {
		must(t, p.Send(soon(t), entrySaying("m%d", i)))
	}
	must(t, p.Flush(soon(t)))
	must(t, p.Close(soon(t)))
	posts := f.all()
	if len(posts) != 5 {
		t.Fatalf("%d tries", len(posts))
	}
	for _, post := range posts {
		if post.key != posts[0].key || post.body != posts[0].body {
			t.Errorf("a try with another key or other bytes: %q, %q", posts[0].key, post.key)
		}
	}
	if n := f.counts(); !reflect.DeepEqual(n, map[string]int{"m0": 1, "m1": 1, "m2": 1}) {
		t.Errorf("kept: %v", n)
	}
}

func TestRetryAfterIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, calls := time.Now(), 0
		c := &Client{retryFor: time.Hour}
		err := c.again(t.Context(), func() error {
			if calls++; calls == 1 {
				return &Problem{Status: 429, RetryAfter: 7 * time.Minute}
			}
			return nil
		})
		if took := time.Since(began); err != nil || took != 7*time.Minute {
			t.Errorf("%v after %s", err, took)
		}
		began = time.Now()
		err = c.again(t.Context(), func() error { return &Problem{Status: 429, RetryAfter: 2 * time.Hour} })
		if p, ok := errors.AsType[*Problem](err); !ok || p.Status != 429 || time.Since(began) != 0 {
			t.Errorf("longer than it may be tried: %v after %s", err, time.Since(began))
		}
		err = c.again(t.Context(), func() error { return errors.New("refused") })
		if took := time.Since(began); err == nil || took > time.Hour || took < time.Hour-maxPause {
			t.Errorf("%v after %s", err, took)
		}
	})
}

// Who calls can tell the end of its own context from a service that is slow, and sees why there was another try.
func TestWhoseDeadlineItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		c := &Client{retryFor: time.Hour}
		err := c.again(ctx, func() error { return &Problem{Status: 503} })
		if p, ok := errors.AsType[*Problem](err); !ok || p.Status != 503 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the caller's, between two tries: %v", err)
		}
		if err := c.again(ctx, func() error { return ctx.Err() }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the caller's, in a try: %v", err)
		}
	})
	a := ask(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	c := clientOf(t, a.URL, func(c *Config) { c.Timeout, c.RetryFor = time.Millisecond, time.Nanosecond })
	if _, err := c.Get(soon(t), logentry.ID{}); err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a try's: %v", err)
	}
}

func TestABadEntryTakesNoNeighbourWithIt(t *testing.T) {
	f := newFake(t)
	f.answer = func(_ int, p post) (int, string) {
		var bad []logentry.Problem
		for i, e := range p.entries {
			if strings.HasPrefix(e.Message, "bad") && len(bad) < 2 { // the list is cut
				bad = append(bad, logentry.Problem{Pointer: "/trace_id", Line: i + 1, Code: "trace_id_invalid", Message: "no"})
			}
		}
		if bad == nil {
			return 0, ""
		}
		b, _ := json.Marshal(Problem{Code: "validation_failed", Errors: bad, Truncated: true})
		return http.StatusUnprocessableEntity, string(b)
	}
	var told reports
	p := clientOf(t, f.URL).StartProducer(ProducerConfig{OnError: told.add, Linger: time.Hour})
	for _, m := range []string{"a", "bad1", "b", "bad2", "bad3", "c"} {
		must(t, p.Send(soon(t), entrySaying("%s", m)))
	}
	err := p.Flush(soon(t))
	must(t, p.Close(soon(t)))
	if problem, ok := errors.AsType[*Problem](err); !ok || problem.Status != 422 {
		t.Errorf("Flush says %v", err)
	}
	if n := f.counts(); !reflect.DeepEqual(n, map[string]int{"a": 1, "b": 1, "c": 1}) {
		t.Errorf("kept: %v", n)
	}
	if bad := told.messages(); !reflect.DeepEqual(bad, []string{"bad1", "bad2", "bad3"}) {
		t.Errorf("reported: %q", bad)
	}
	for i, lines := range [][]int{{1, 2}, {1}} {
		problem, ok := errors.AsType[*Problem](told.errs[i])
		if !ok || problem.Truncated || len(problem.Errors) != len(lines) {
			t.Fatalf("report %d: %v", i, told.errs[i])
		}
		for j, line := range lines {
			if problem.Errors[j].Line != line {
				t.Errorf("report %d names line %d", i, problem.Errors[j].Line)
			}
		}
	}
	keys := map[string]bool{}
	for _, post := range f.all() {
		keys[post.key] = true
	}
	if len(keys) != 3 {
		t.Errorf("%d keys for three different batches", len(keys))
	}
	for _, b := range told.batches {
		if !keys[b.Key] {
			t.Errorf("reported under %q, which no batch had", b.Key)
		}
	}
}

// What is too large for a proxy or a limit of the tenant goes out smaller; only an entry that is too large alone is lost.
func TestABatchThatIsTooLargeGoesOutInHalves(t *testing.T) {
	f := newFake(t)
	f.answer = func(_ int, p post) (int, string) {
		if len(p.entries) > 2 || slices.ContainsFunc(p.entries, func(e logentry.Entry) bool { return e.Message == "large" }) {
			return http.StatusRequestEntityTooLarge, `<html>`
		}
		return 0, ""
	}
	var told reports
	p := clientOf(t, f.URL).StartProducer(ProducerConfig{OnError: told.add, Linger: time.Hour})
	for _, m := range []string{"a", "b", "large", "c", "d", "e", "f"} {
		must(t, p.Send(soon(t), entrySaying("%s", m)))
	}
	if problem, ok := errors.AsType[*Problem](p.Close(soon(t))); !ok || problem.Status != 413 {
		t.Errorf("Close says %v", problem)
	}
	if n := f.counts(); !reflect.DeepEqual(n, map[string]int{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "f": 1}) {
		t.Errorf("kept: %v", n)
	}
	if lost := told.messages(); !reflect.DeepEqual(lost, []string{"large"}) {
		t.Errorf("reported: %q", lost)
	}
}

func TestARefusedBatchIsReportedWhole(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		code   string
	}{
		"forbidden":                   {403, `{"code":"insufficient_role","detail":"it needs the role writer","request_id":"r1"}`, "insufficient_role"},
		"a problem that has no place": {400, `{"code":"idempotency_key_invalid","errors":[{"pointer":"","code":"x","message":"y"}]}`, "idempotency_key_invalid"},
		"a line that there is not":    {422, `{"code":"v","errors":[{"line":3,"code":"x","message":"y"}]}`, "v"},
		"another success":             {200, `{}`, ""},
		"a redirect":                  {307, ``, ""},
		"a page":                      {404, `<html>secret</html>`, ""},
	} {
		f := newFake(t)
		f.header.Set("Location", f.URL+"/elsewhere")
		f.answer = func(int, post) (int, string) { return c.status, c.body }
		var told reports
		p := clientOf(t, f.URL).StartProducer(ProducerConfig{OnError: told.add, Linger: time.Hour})
		must(t, p.Send(soon(t), entrySaying("a")))
		must(t, p.Send(soon(t), entrySaying("b")))
		err := p.Close(soon(t))
		problem, ok := errors.AsType[*Problem](err)
		if !ok || problem.Status != c.status || problem.Code != c.code || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
		if lost := told.messages(); !reflect.DeepEqual(lost, []string{"a", "b"}) || len(f.all()) != 1 {
			t.Errorf("%s: reported %q after %d tries", name, lost, len(f.all()))
		}
	}
}

func TestAReceiptForAnotherNumberIsNone(t *testing.T) {
	f := newFake(t)
	f.answer = func(int, post) (int, string) { return 202, `{"data":{"ids":["x"]}}` }
	p := clientOf(t, f.URL).StartProducer(ProducerConfig{Linger: time.Hour})
	must(t, p.Send(soon(t), entrySaying("a")))
	must(t, p.Send(soon(t), entrySaying("b")))
	if problem, ok := errors.AsType[*Problem](p.Close(soon(t))); !ok || problem.Code != "answer_invalid" {
		t.Errorf("have %v", problem)
	}
}

func TestAFullBufferMakesSendWait(t *testing.T) {
	f := newFake(t)
	let := make(chan struct{})
	f.answer = func(int, post) (int, string) { <-let; return 0, "" }
	p := clientOf(t, f.URL).StartProducer(ProducerConfig{MaxEntries: 1, Buffer: 1000})
	taken := 0
	for ; taken < 1000; taken++ {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		err := p.Send(ctx, entrySaying("%s %d", strings.Repeat("x", 100), taken))
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			break
		}
		must(t, err)
	}
	if taken < 4 || taken > 9 {
		t.Errorf("%d entries of more than 100 bytes were taken into 1000", taken)
	}
	waiting := make(chan error, 1)
	go func() { waiting <- p.Send(soon(t), entrySaying("waited")) }()
	close(let)
	if err := <-waiting; err != nil {
		t.Errorf("there is room again: %v", err)
	}
	must(t, p.Close(soon(t)))
	if n := f.counts(); len(n) != taken+1 || n["waited"] != 1 {
		t.Errorf("%d kept of %d taken", len(n), taken+1)
	}
}

func TestAFullBufferDoesNotLinger(t *testing.T) {
	f := newFake(t)
	p := clientOf(t, f.URL).StartProducer(ProducerConfig{Linger: time.Hour, Buffer: 300})
	for i := range 20 {
		must(t, p.Send(soon(t), entrySaying("m%d", i)))
	}
	must(t, p.Close(soon(t)))
	if n := f.counts(); len(n) != 20 {
		t.Errorf("%d kept", len(n))
	}
}

func TestCloseThatMayNotWaitReportsTheRest(t *testing.T) {
	f := newFake(t)
	f.answer = func(int, post) (int, string) { return 503, `{"code":"unavailable"}` }
	var told reports
	p := clientOf(t, f.URL, func(c *Config) { c.RetryFor = -1 }).StartProducer(ProducerConfig{MaxEntries: 2, Buffer: 400, OnError: told.add})
	sent := 0
	waiting := make(chan error, 1)
	for ; sent < 6; sent++ {
		must(t, p.Send(soon(t), entrySaying("m%d", sent)))
	}
	go func() { waiting <- p.Send(t.Context(), entrySaying("%s", strings.Repeat("x", 400))) }()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := p.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close says %v", err)
	}
	if err := <-waiting; !errors.Is(err, ErrClosed) {
		t.Errorf("who waited for room is told %v", err)
	}
	if lost := told.messages(); len(lost) != sent {
		t.Errorf("%d of %d are reported", len(lost), sent)
	}
	if err := p.Send(t.Context(), entrySaying("late")); !errors.Is(err, ErrClosed) {
		t.Errorf("a late entry: %v", err)
	}
	must(t, p.Close(soon(t))) // again is nothing
}

func TestALoneEntryGoesOutAfterItsLinger(t *testing.T) {
	f := newFake(t)
	came := make(chan struct{})
	f.answer = func(int, post) (int, string) { close(came); return 0, "" }
	p := clientOf(t, f.URL).StartProducer(ProducerConfig{Linger: 10 * time.Millisecond})
	must(t, p.Send(soon(t), entrySaying("alone")))
	select {
	case <-came:
	case <-soon(t).Done():
		t.Error("it never went out")
	}
	must(t, p.Close(soon(t)))
}

func TestSendRefusesWhatBreaksABatch(t *testing.T) {
	f := newFake(t)
	p := clientOf(t, f.URL).StartProducer(ProducerConfig{})
	for name, e := range map[string]logentry.Entry{
		"no JSON":         {Message: "m", Metadata: []byte("{\n")},
		"two values":      {Message: "m", BeforeState: []byte(`{}{}`)},
		"a name twice":    {Message: "m", AfterState: []byte(`{"a":1,"a":2}`)},
		"no UTF-8":        {Message: "m", Metadata: []byte("{\"a\":\"\xff\"}")},
		"half a megabyte": {Message: strings.Repeat("x", 1<<19)},
	} {
		if err := p.Send(soon(t), e); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	must(t, p.Close(soon(t)))
	if n := len(f.all()); n != 0 {
		t.Errorf("%d batches", n)
	}
}

func TestSettingsThatAreWrong(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no URL":                   {Token: "t"},
		"no scheme":                {URL: "localhost:8080", Token: "t"},
		"another scheme":           {URL: "ftp://x", Token: "t"},
		"credentials in the URL":   {URL: "http://secret:secret@x", Token: "t"},
		"a query":                  {URL: "http://x?a=secret", Token: "t"},
		"the beginning of a query": {URL: "http://x?", Token: "t"},
		"a token of a file":        {URL: "http://x", Token: "secret\n"},
		"a key in two lines":       {URL: "http://x", APIKey: "secret\nsecret"},
		"a tenant with a space":    {URL: "http://x", Token: "t", Tenant: " secret"},
		"no credentials":           {URL: "http://x"},
		"two kinds of credentials": {URL: "http://x", Token: "secret", APIKey: "secret"},
	} {
		if _, err := New(cfg); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAClientDoesNotPrintItsCredentials(t *testing.T) {
	c := clientOf(t, "http://x/")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if have := fmt.Sprintf(verb, c); have != "ocelot at http://x" {
			t.Errorf("%s prints %s", verb, have)
		}
	}
}

func TestRetryAfterHasTwoForms(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{"": 0, "3": 3 * time.Second, "-3": 0, "x": 0, "Sat, 28 Nov 2026 12:00:09 GMT": 9 * time.Second,
		"Sat, 28 Nov 2026 11:00:00 GMT": 0} {
		if have := retryAfter(value, now); have != want {
			t.Errorf("%q is %s, want %s", value, have, want)
		}
	}
}
