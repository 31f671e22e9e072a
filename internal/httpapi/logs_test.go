package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/ingest"
	"github.com/ocelot-log/ocelot/internal/mask"
	"github.com/ocelot-log/ocelot/internal/queue"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// accept is ingest as a function.
type accept func(context.Context, auth.Tenant, ingest.Batch) (ingest.Receipt, error)

func (f accept) Accept(ctx context.Context, t auth.Tenant, b ingest.Batch) (ingest.Receipt, error) {
	return f(ctx, t, b)
}

func TestAnEntryGoesToTheQueueOfItsTenant(t *testing.T) {
	w := newWorld(t)
	a := w.do(t, authHeader(t, "zeta,acme", "writer"), http.MethodPost, "/api/v1/logs", `{"message":"x"}`, "X-Tenant-ID", "zeta")
	var got struct {
		Data struct{ ID, Status string }
		Meta map[string]any
	}
	if err := json.Unmarshal(a.body, &got); err != nil || a.status != http.StatusAccepted || got.Data.Status != "queued" || got.Meta == nil {
		t.Fatalf("%d %s", a.status, a.body)
	}
	messages, err := w.queue.Receive(t.Context(), 10, 0, time.Minute)
	if err != nil || len(messages) != 1 {
		t.Fatalf("%d messages, %v", len(messages), err)
	}
	e, err := queue.Unpack(messages[0].Body)
	if err != nil || e.TenantID != authtest.TenantID("zeta") || !strings.HasPrefix(string(e.Payload), `{"id":"`+got.Data.ID+`"`) {
		t.Fatalf("%+v %v", e, err)
	}
}

func TestTheTraceOfARequestGoesWithItsEntries(t *testing.T) {
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for sent, want := range map[string]string{trace: trace, "": "", "4bf92f3577b34da6": ""} {
		w := newWorld(t)
		header := authHeader(t, "acme", "writer")
		if sent != "" {
			header.Set("traceparent", sent)
		}
		if a := w.do(t, header, http.MethodPost, "/api/v1/logs", `{"message":"m"}`); a.status != http.StatusAccepted {
			t.Fatalf("%d %s", a.status, a.body)
		}
		messages, err := w.queue.Receive(t.Context(), 10, 0, time.Minute)
		if err != nil || len(messages) != 1 || messages[0].Trace != want {
			t.Errorf("%q came as %+v, %v", sent, messages, err)
		}
	}
}

func TestABatchIsAnsweredWithItsIDsInOrder(t *testing.T) {
	var seen ingest.Batch
	var ids logentry.IDs
	w := newWorld(t, func(p *parts) {
		p.writing.Ingest = accept(func(_ context.Context, tn auth.Tenant, b ingest.Batch) (ingest.Receipt, error) {
			if tn.Slug() != "acme" {
				t.Errorf("tenant %q", tn.Slug())
			}
			seen = b
			r := ingest.Receipt{Duplicates: 1}
			for range b.Entries {
				r.IDs = append(r.IDs, ids.New(time.Now()))
			}
			return r, nil
		})
	})
	for name, c := range map[string]struct{ media, body string }{
		"an object":        {"application/json", `{"logs":[{"message":"a"},{"message":"b"}]}`},
		"an array":         {"application/json", `[{"message":"a"},{"message":"b"}]`},
		"lines":            {"application/x-ndjson", "{\"message\":\"a\"}\n{\"message\":\"b\"}\n"},
		"lines by another": {"application/ndjson; charset=utf-8", "{\"message\":\"a\"}\n{\"message\":\"b\"}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			header := authHeader(t, "acme", "writer")
			a := w.do(t, header, http.MethodPost, "/api/v1/logs/bulk", "", "Content-Type", c.media, "Idempotency-Key", "k1")
			if a.problem().Code != "body_empty" {
				t.Fatalf("without a body: %d %s", a.status, a.body)
			}
			header.Set("Content-Type", c.media)
			header.Set("Idempotency-Key", "k1")
			a = w.do(t, header, http.MethodPost, "/api/v1/logs/bulk", c.body)
			var got struct {
				Data struct {
					IDs               []string
					Count, Duplicates int
					Status            string
				}
			}
			if err := json.Unmarshal(a.body, &got); err != nil || a.status != http.StatusAccepted {
				t.Fatalf("%d %s %v", a.status, a.body, err)
			}
			if len(got.Data.IDs) != 2 || got.Data.Count != 2 || got.Data.Duplicates != 1 || got.Data.Status != "queued" || got.Data.IDs[0] >= got.Data.IDs[1] {
				t.Errorf("%s", a.body)
			}
			if len(seen.Entries) != 2 || seen.Entries[1].Message != "b" || seen.IdempotencyKey != "k1" || time.Since(seen.ReceivedAt) > time.Minute {
				t.Errorf("%+v", seen)
			}
		})
	}
}

func TestEveryProblemOfABatchIsNamed(t *testing.T) {
	w := newWorld(t)
	a := w.do(t, authHeader(t, "acme", "writer"), http.MethodPost, "/api/v1/logs/bulk", `[{"message":"x"},{"message":"y","severty":"INFO"},{"message":"","timestamp":"yesterday"}]`)
	p := a.problem()
	if a.status != http.StatusBadRequest || p.Code != "validation_failed" || len(p.Errors) != 3 || p.Errors[0].Pointer != "/1/severty" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if n := testutil.ToFloat64(w.tel.Metrics.RefusedEntries.WithLabelValues("validation_failed")); n != 1 {
		t.Errorf("%v refusals counted", n)
	}
}

func TestWhatIngestRefuses(t *testing.T) {
	var err error
	w := newWorld(t, func(p *parts) {
		p.writing.Ingest = accept(func(context.Context, auth.Tenant, ingest.Batch) (ingest.Receipt, error) { return ingest.Receipt{}, err })
	})
	header := authHeader(t, "acme", "writer")
	secret := errors.New("dial tcp 10.0.0.7:443: secret-driver-text")
	for name, c := range map[string]struct {
		err        error
		status     int
		code       string
		retryAfter bool
	}{
		"no space":                    {&fault.Error{Kind: fault.Full, Code: "storage_full", Err: secret}, 507, "storage_full", false},
		"too much waiting":            {&fault.Error{Kind: fault.Limited, Code: "buffer_full", Err: secret}, 429, "buffer_full", true},
		"the queue is down":           {&fault.Error{Kind: fault.Unavailable, Code: "enqueue_failed", RetryAfter: 3 * time.Second, Err: secret}, 503, "enqueue_failed", true},
		"an error of no kind":         {secret, 500, "internal", false},
		"damage":                      {&fault.Error{Kind: fault.Corrupt, Code: "x", Detail: secret.Error()}, 500, "corrupt", false},
		"a fault without a code":      {&fault.Error{Kind: fault.Conflict}, 409, "conflict", false},
		"a kind that does not exist":  {&fault.Error{Kind: 200, Code: "odd"}, 500, "odd", false},
		"a detail that is not UTF-8 ": {&fault.Error{Kind: fault.Invalid, Code: "x", Detail: "\xff"}, 500, "internal", false},
	} {
		t.Run(name, func(t *testing.T) {
			err = c.err
			a := w.do(t, header, http.MethodPost, "/api/v1/logs", `{"message":"x"}`)
			if a.status != c.status || a.problem().Code != c.code || (a.header.Get("Retry-After") != "") != c.retryAfter {
				t.Errorf("%d %v %s", a.status, a.header, a.body)
			}
			if strings.Contains(string(a.body), "secret") {
				t.Errorf("the cause is shown: %s", a.body)
			}
		})
	}
}

func TestAQueueThatNeverAnswersIsNotWaitedForWithoutEnd(t *testing.T) {
	stuck := make(chan struct{})
	w := newWorld(t, func(p *parts) {
		in := ingest.New(ingest.Config{}, silent{stuck: stuck}, mask.NewSet(nil), telemetry.Discard())
		live(t, in.Run)
		p.cfg.AcceptTimeout, p.writing.Ingest = 20*time.Millisecond, in
	})
	t.Cleanup(func() { close(stuck) })
	a := w.do(t, authHeader(t, "acme", "writer"), http.MethodPost, "/api/v1/logs", `{"message":"x"}`)
	if a.status != http.StatusServiceUnavailable || a.problem().Code != "unknown_outcome" || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// silent is a queue whose sends return once it is not stuck any more.
type silent struct {
	nowhere
	stuck chan struct{}
}

func (s silent) Send(context.Context, []queue.Outgoing) []error {
	<-s.stuck
	return nil
}

func TestAPanicIsCountedAndAnswered(t *testing.T) {
	w := newWorld(t, func(p *parts) {
		p.writing.Ingest = accept(func(context.Context, auth.Tenant, ingest.Batch) (ingest.Receipt, error) { panic("secret") })
	})
	a := w.do(t, authHeader(t, "acme", "writer"), http.MethodPost, "/api/v1/logs", `{"message":"x"}`)
	if a.status != http.StatusInternalServerError || a.problem().Code != "internal" || a.problem().RequestID == "" || strings.Contains(string(a.body), "secret") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if n := testutil.ToFloat64(w.tel.Metrics.Panics); n != 1 {
		t.Errorf("%v panics counted", n)
	}
	if n := testutil.ToFloat64(w.tel.Metrics.Requests.WithLabelValues("/api/v1/logs", "POST", "500")); n != 1 {
		t.Errorf("%v requests counted", n)
	}
}

func TestBodiesTogetherAreBounded(t *testing.T) {
	taken, release := make(chan struct{}), make(chan struct{})
	w := newWorld(t, func(p *parts) {
		p.cfg.InFlightBytes = 64 << 10
		p.writing.Ingest = accept(func(context.Context, auth.Tenant, ingest.Batch) (ingest.Receipt, error) {
			taken <- struct{}{}
			<-release
			return ingest.Receipt{IDs: make([]logentry.ID, 1)}, nil
		})
	})
	header := authHeader(t, "acme", "writer")
	body := `{"message":"` + strings.Repeat("x", 40<<10) + `"}`
	done := make(chan answer)
	go func() { done <- w.do(t, header, http.MethodPost, "/api/v1/logs", body) }()
	<-taken
	a := w.do(t, header, http.MethodPost, "/api/v1/logs", body)
	if a.status != http.StatusServiceUnavailable || a.problem().Code != "overloaded" || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.status, a.body)
	}
	close(release)
	if a := <-done; a.status != http.StatusAccepted {
		t.Errorf("%d %s", a.status, a.body)
	}
	if left := w.budget.left.Load(); left != 64<<10 {
		t.Errorf("%d bytes left of 65,536", left)
	}
	big := w.do(t, header, http.MethodPost, "/api/v1/logs", `{"message":"x"}`+strings.Repeat(" ", 80<<10))
	if big.problem().Code != "overloaded" || w.budget.left.Load() != 64<<10 {
		t.Errorf("%s, %d left", big.body, w.budget.left.Load())
	}
}

func TestRetryAfterIsSpread(t *testing.T) {
	for range 1000 {
		if s := retryAfter(10 * time.Second); len(s) > 2 || s < "10" && len(s) == 2 || len(s) == 1 && s < "5" || len(s) == 2 && s > "15" {
			t.Fatalf("10 s became %s", s)
		}
		if s := retryAfter(0); s != "1" && s != "2" {
			t.Fatalf("nothing became %s", s)
		}
	}
}

// gate is a queue that takes no ping.
type gate struct{ err error }

func (g *gate) Ping(ctx context.Context) error {
	if errors.Is(g.err, context.DeadlineExceeded) {
		<-ctx.Done()
	}
	return g.err
}

func TestHealth(t *testing.T) {
	g := &gate{}
	h := &health{queue: g, store: pinged{}, index: pinged{}, timeout: time.Second}
	synctest.Test(t, func(t *testing.T) {
		for _, step := range []struct {
			name string
			err  error
			wait time.Duration
			down string
		}{
			{"all answer", nil, 0, ""},
			{"a verdict is repeated for a second", errors.New("down"), 0, ""},
			{"then it is made again", errors.New("down"), healthAge, "queue"},
			{"one that does not answer in time is down", context.DeadlineExceeded, healthAge, "queue"},
			{"it comes back", nil, healthAge, ""},
		} {
			time.Sleep(step.wait)
			g.err = step.err
			if down := strings.Join(h.down(t.Context()), " "); down != step.down {
				t.Errorf("%s: %q", step.name, down)
			}
		}
	})
}

func TestTheWorkersListenerSaysWhatIsDown(t *testing.T) {
	g := &gate{err: errors.New("secret address")}
	h := WorkerHandler(telemetry.Discard(), "v1", g, pinged{}, pinged{})
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"/health/live":  {http.StatusOK, `"status":"live"`},
		"/health/ready": {http.StatusOK, `"status":"ready"`},
		"/health":       {http.StatusServiceUnavailable, "queue"},
		"/metrics":      {http.StatusOK, "ocelot_backlog_entries"},
		"/api/v1/logs":  {http.StatusNotFound, ""},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if w.Code != want.status || !strings.Contains(w.Body.String(), want.text) || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// pinged answers and does nothing else.
type pinged struct {
	records
	index
}

func (pinged) Ping(context.Context) error { return nil }

func TestHealthRoutes(t *testing.T) {
	w := newWorld(t, func(p *parts) { p.reading.Index = broken{errors.New("secret address")} })
	a := w.do(t, http.Header{}, http.MethodGet, "/health", "")
	p := a.problem()
	if a.status != http.StatusServiceUnavailable || p.Code != "dependency_down" || len(p.Errors) != 1 || p.Errors[0].Pointer != "index" || strings.Contains(string(a.body), "secret") {
		t.Errorf("%d %s", a.status, a.body)
	}
	for _, path := range []string{"/health/live", "/health/ready"} {
		if a := w.do(t, http.Header{}, http.MethodGet, path, ""); a.status != http.StatusOK {
			t.Errorf("%s with the index down: %d %s", path, a.status, a.body)
		}
	}
	w.stopping.Store(true)
	if a := w.do(t, http.Header{}, http.MethodGet, "/health/ready", ""); a.status != http.StatusServiceUnavailable || a.problem().Code != "shutting_down" {
		t.Errorf("ready while stopping: %d %s", a.status, a.body)
	}
	if a := w.do(t, http.Header{}, http.MethodGet, "/health/live", ""); a.status != http.StatusOK {
		t.Errorf("live while stopping: %d", a.status)
	}
	if a := newWorld(t).do(t, http.Header{}, http.MethodGet, "/health", ""); a.status != http.StatusOK {
		t.Errorf("with everything up: %d %s", a.status, a.body)
	}
}
