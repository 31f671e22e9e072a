package audit

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// sink keeps what it is sent, unless answer says that it fails.
type sink struct {
	mu     sync.Mutex
	kept   map[string][]logentry.Entry
	calls  int
	answer func(call int) error
}

func (s *sink) Own(_ context.Context, tenantID string, entries []logentry.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.answer != nil {
		if err := s.answer(s.calls); err != nil {
			return err
		}
	}
	if s.kept == nil {
		s.kept = map[string][]logentry.Entry{}
	}
	s.kept[tenantID] = append(s.kept[tenantID], entries...)
	return nil
}

func down(int) error { return fault.New(fault.Unavailable, "enqueue_failed", "") }

// run runs a Recorder in a bubble; stop ends it and waits.
func run(t *testing.T, cfg Config, s *sink) (r *Recorder, tel telemetry.Telemetry, stop func()) {
	t.Helper()
	tel = telemetry.Discard()
	r = New(cfg, s, tel)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	return r, tel, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func results(tel telemetry.Telemetry) (kept, suppressed, lost float64) {
	of := func(result string) float64 {
		return testutil.ToFloat64(tel.Metrics.AuditEntries.WithLabelValues(result))
	}
	return of("kept"), of("suppressed"), of("lost")
}

func TestRecorder(t *testing.T) {
	read := Event{Action: Read, ResourceType: "entries"}
	for name, test := range map[string]func(t *testing.T){
		"what has a place is sent to its tenant": func(t *testing.T) {
			s := &sink{}
			r, tel, stop := run(t, Config{}, s)
			for range 1_200 {
				if err := r.Record(t.Context(), "a", read); err != nil {
					t.Fatal(err)
				}
			}
			if err := r.Record(t.Context(), "b", read); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if kept, _, _ := results(tel); len(s.kept["a"]) != 1_200 || len(s.kept["b"]) != 1 || kept != 1_201 || testutil.ToFloat64(tel.Metrics.AuditWaiting) != 0 {
				t.Errorf("%d, %d, %v", len(s.kept["a"]), len(s.kept["b"]), kept)
			}
			stop()
		},
		"a queue that is down is waited for, and the entry is the same": func(t *testing.T) {
			var ids []string
			s := &sink{}
			s.answer = func(call int) error {
				if call < 4 {
					return down(call)
				}
				return nil
			}
			r, tel, stop := run(t, Config{}, s)
			if err := r.Record(t.Context(), "a", read); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			for _, e := range s.kept["a"] {
				ids = append(ids, e.EventID)
			}
			if _, _, lost := results(tel); len(ids) != 1 || len(ids[0]) < 20 || lost != 0 {
				t.Errorf("%q, %v lost", ids, lost)
			}
			stop()
		},
		"without a place the caller is told after a moment": func(t *testing.T) {
			s := &sink{answer: down}
			r, _, stop := run(t, Config{Places: 3}, s)
			for range 3 {
				if err := r.Record(t.Context(), "a", read); err != nil {
					t.Fatal(err)
				}
			}
			began := time.Now()
			err := r.Record(t.Context(), "a", read)
			if fault.Of(err).Code != "audit_unavailable" || fault.KindOf(err) != fault.Unavailable || time.Since(began) != 250*time.Millisecond {
				t.Errorf("%v after %v", err, time.Since(began))
			}
			s.mu.Lock()
			s.answer = nil
			s.mu.Unlock()
			time.Sleep(time.Minute)
			if err := r.Record(t.Context(), "a", read); err != nil {
				t.Errorf("once there is room: %v", err)
			}
			stop()
			if len(s.kept["a"]) != 4 {
				t.Errorf("%d kept", len(s.kept["a"]))
			}
		},
		"the stop sends what waits": func(t *testing.T) {
			s := &sink{}
			s.answer = func(call int) error {
				if call < 3 {
					return down(call)
				}
				return nil
			}
			r, _, stop := run(t, Config{}, s)
			for range 700 {
				if err := r.Record(t.Context(), "a", read); err != nil {
					t.Fatal(err)
				}
			}
			stop()
			if len(s.kept["a"]) != 700 {
				t.Errorf("%d kept", len(s.kept["a"]))
			}
			if err := r.Record(t.Context(), "a", read); fault.Of(err).Code != "audit_unavailable" {
				t.Errorf("after the stop: %v", err)
			}
		},
		"a stop that can't send says how many are lost": func(t *testing.T) {
			s := &sink{answer: down}
			r, tel, stop := run(t, Config{}, s)
			for range 7 {
				if err := r.Record(t.Context(), "a", read); err != nil {
					t.Fatal(err)
				}
			}
			began := time.Now()
			stop()
			if _, _, lost := results(tel); lost != 7 || time.Since(began) > 11*time.Second {
				t.Errorf("%v lost after %v", lost, time.Since(began))
			}
		},
		"what can't ever be sent is lost, and the rest goes on": func(t *testing.T) {
			s := &sink{}
			s.answer = func(call int) error {
				if call == 1 {
					return errors.New("broken")
				}
				return nil
			}
			r, tel, stop := run(t, Config{}, s)
			_ = r.Record(t.Context(), "a", read)
			synctest.Wait()
			_ = r.Record(t.Context(), "a", read)
			stop()
			if kept, _, lost := results(tel); kept != 1 || lost != 1 {
				t.Errorf("%v kept, %v lost", kept, lost)
			}
		},
		"of a flood of refusals some are noted, and how many were not": func(t *testing.T) {
			s := &sink{}
			r, tel, stop := run(t, Config{Refusals: 10}, s)
			refused := Event{Action: Refuse, Code: "insufficient_role"}
			for range 1_000 {
				r.Refused("a", refused)
			}
			r.Refused("b", refused)
			time.Sleep(3 * time.Minute)
			r.Refused("a", refused)
			stop()
			a := s.kept["a"]
			if _, suppressed, _ := results(tel); len(a) != 11 || len(s.kept["b"]) != 1 || suppressed != 990 || !strings.Contains(string(a[10].Metadata), `"suppressed":990`) {
				t.Errorf("%d noted, %v not: %s", len(a), suppressed, a[len(a)-1].Metadata)
			}
		},
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
	}
}

// TestWhatIsNotedIsAnEntry holds every entry to what is asked of producers, whatever the caller sent.
func TestWhatIsNotedIsAnEntry(t *testing.T) {
	long := strings.Repeat("é\xff", 3000)
	for name, c := range map[string]struct {
		event Event
		want  string // pieces of its JSON, by |
	}{
		"a search": {Event{Who: Who{Subject: "ann", Credential: "token:j1", Address: netip.MustParseAddr("::ffff:10.0.0.1"), UserAgent: "curl", RequestID: "r", Route: "GET /api/v1/logs"},
			Action: Read, ResourceType: "entries", Params: map[string][]string{"q": {`a "b"`}, "service": {"a", "!b"}, "cursor": {"xyz"}}, Count: 3, Took: 5 * time.Millisecond, Source: "index"},
			`"service":"ocelot"|"action":"READ"|"message":"read 3 entries"|"user_id":"ann"|"ip_address":"10.0.0.1"|"metadata":{"route":"GET /api/v1/logs","credential_id":"token:j1","params":{"page":"a later one","q":"a \"b\"","service":["a","!b"]},"count":3,"took_ms":5,"source":"index"}`},
		"an entry that was read": {Event{Who: Who{Credential: "key:abc"}, Action: Read, ResourceType: "entry", ResourceID: "id", Count: 1}, `"message":"read entry id"|"user_id":"key:abc"`},
		"a change": {Event{Action: Update, ResourceType: "tenant", ResourceID: "acme", Before: map[string]any{"name": "a"}, After: map[string]any{"name": "b", "n": 1}},
			`"before_state":{"name":"a"},"after_state":{"n":1,"name":"b"}|"message":"update tenant acme"`},
		"a refusal":          {Event{Action: Refuse, Severity: logentry.Warning, Code: "insufficient_role", Suppressed: 4}, `"severity":"WARNING"|"message":"refused: insufficient_role"|"code":"insufficient_role","suppressed":4`},
		"what is too long":   {Event{Who: Who{Subject: long, Credential: long, UserAgent: long}, Action: Read, ResourceID: long, Params: map[string][]string{"q": {long}}, Message: long}, `"action":"READ"`},
		"nothing but a zone": {Event{Who: Who{Address: netip.MustParseAddr("fe80::1%eth0")}, Action: Login}, `"ip_address":"fe80::1"|"message":"login"`},
		"no object":          {Event{Action: Create, After: []string{"a"}}, `"message":"create"`},
	} {
		e := c.event.entry(time.Now())
		line := logentry.AppendJSON(nil, &e)
		for piece := range strings.SplitSeq(c.want, "|") {
			if !strings.Contains(string(line), piece) {
				t.Errorf("%s: no %s in %s", name, piece, line)
			}
		}
		if _, err := logentry.Decode(sendable(line), logentry.Single, logentry.Options{}); err != nil {
			t.Errorf("%s: no entry: %v in %s", name, err, line)
		}
	}
}

// sendable takes out of an entry what only the service may set.
func sendable(line []byte) []byte {
	s := string(line)
	if _, rest, ok := strings.Cut(s, `"timestamp"`); ok {
		s = `{"timestamp"` + rest
	}
	return []byte(s)
}
