package ingest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ocelot-log/ocelot/internal/mask"
	"github.com/ocelot-log/ocelot/internal/queue"
	_ "github.com/ocelot-log/ocelot/internal/sqlite/driver"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sink is a queue's sending side that keeps what it was sent. hold, when set, is called in each Send before
// anything is kept; answer gives the result of a message.
type sink struct {
	limits queue.Limits
	hold   func()
	answer func(queue.Outgoing) error

	mu        sync.Mutex
	sends     [][]queue.Envelope
	envelopes []queue.Envelope
	largest   int // body
	heaviest  int // send
	under     int // sends under way
	most      int // of them at a time
}

func newSink() *sink { return &sink{limits: queue.Limits{MaxBytes: 1 << 20, Binary: true}} }

func (s *sink) Limits() queue.Limits { return s.limits }

func (s *sink) Send(_ context.Context, messages []queue.Outgoing) []error {
	s.mu.Lock()
	s.under++
	s.most = max(s.most, s.under)
	s.mu.Unlock()
	if s.hold != nil {
		s.hold()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.under--
	var errs []error
	var kept []queue.Envelope
	weight := 0
	for i, m := range messages {
		weight += len(m.Body)
		s.heaviest = max(s.heaviest, weight)
		s.largest = max(s.largest, len(m.Body))
		if s.answer != nil {
			if err := s.answer(m); err != nil {
				if errs == nil {
					errs = make([]error, len(messages))
				}
				errs[i] = err
				continue
			}
		}
		e, err := queue.Unpack(m.Body)
		if err != nil || e.TenantID != m.Group {
			panic(fmt.Sprintf("an envelope of %q in group %q: %v", e.TenantID, m.Group, err))
		}
		kept = append(kept, e)
	}
	s.sends = append(s.sends, kept)
	s.envelopes = append(s.envelopes, kept...)
	return errs
}

// records are all entries that were kept.
func (s *sink) records(t *testing.T) []logentry.Record {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []logentry.Record
	for _, e := range s.envelopes {
		rs, err := e.Records()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rs...)
	}
	return all
}

// gate is a hold that lets as many sends pass as it is told.
type gate struct{ pass chan struct{} }

func newGate() *gate  { return &gate{make(chan struct{}, 1000)} }
func (g *gate) hold() { <-g.pass }
func (g *gate) open(n int) {
	for range n {
		g.pass <- struct{}{}
	}
}

// start runs an Ingest; the returned function stops it and waits.
func start(t testing.TB, cfg Config, q queue.Sender) (*Ingest, func()) {
	t.Helper()
	in := New(cfg, q, mask.NewSet([]byte("key")), telemetry.Discard())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- in.Run(ctx) }()
	var once sync.Once
	return in, func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("run: %v", err)
			}
		})
	}
}

// entries that look like those of real services, of about 540 bytes when stamped.
func entries(n, from int) []logentry.Entry {
	es := make([]logentry.Entry, n)
	for i := range es {
		k := uint64(from+i)*0x9e3779b97f4a7c15 ^ 0x2545f4914f6cdd1d
		es[i] = logentry.Entry{
			Timestamp: time.Date(2026, 1, 2, 3, 4, 5, int(k%1e9), time.UTC), Severity: logentry.Severity(1 + k%5),
			Service: []string{"checkout", "billing", "gateway", "identity"}[k>>8%4], Action: []string{"UPDATE", "READ", "LOGIN"}[k>>12%3],
			Message: fmt.Sprintf("order %d of customer %d paid in %d ms after %d attempts", k%1e6, k>>20%1e5, k>>40%900, k%4),
			UserID:  fmt.Sprintf("user-%d", k>>20%1e5), SessionID: fmt.Sprintf("s-%08x", uint32(k>>13)), ResourceType: "order", ResourceID: fmt.Sprint(k % 1e6),
			IPAddress: fmt.Sprintf("10.%d.%d.%d", k%7, k>>8%256, k>>16%256), UserAgent: "Mozilla/5.0 (X11; Linux x86_64) checkout/2.4",
			RequestID: fmt.Sprintf("%016x", k),
			Metadata:  fmt.Appendf(nil, `{"region":"eu-central-1","amount":%d.%02d,"path":"/api/v1/orders/%d","status":200}`, k%1000, k%100, k%1e6),
		}
	}
	return es
}
