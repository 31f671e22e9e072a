package drain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/queue"
	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/pkg/logentry"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errDown = fault.New(fault.Unavailable, "down", "forced")

// memQueue is a queue in memory that keeps the contract, visibility included.
type memQueue struct {
	mu       sync.Mutex
	messages map[int]*memMessage
	next     int
	changed  chan struct{}
	extends  []time.Duration // of each receipt
	onDelete func(receipts []string) []error
	onExtend func(receipts []string) []error
}

type memMessage struct {
	queue.Message
	visibleAt time.Time
}

func newMemQueue() *memQueue {
	return &memQueue{messages: map[int]*memMessage{}, changed: make(chan struct{})}
}

func (q *memQueue) send(bodies ...[]byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, b := range bodies {
		q.next++
		q.messages[q.next] = &memMessage{Message: queue.Message{ID: strconv.Itoa(q.next), Body: b, SentAt: time.Now()}, visibleAt: time.Now()}
	}
	q.wake()
}

func (q *memQueue) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

func (q *memQueue) Receive(ctx context.Context, most int, wait, visibility time.Duration) ([]queue.Message, error) {
	end := time.Now().Add(wait)
	for {
		q.mu.Lock()
		now, next := time.Now(), end
		var got []queue.Message
		for i := 1; i <= q.next && len(got) < most; i++ {
			m := q.messages[i]
			switch {
			case m == nil:
			case m.visibleAt.After(now):
				if m.visibleAt.Before(next) {
					next = m.visibleAt
				}
			default:
				m.Receives++
				m.Receipt = fmt.Sprintf("%d/%d", i, m.Receives)
				m.visibleAt = now.Add(visibility)
				got = append(got, m.Message)
			}
		}
		changed := q.changed
		q.mu.Unlock()
		if len(got) > 0 || !now.Before(end) {
			return got, nil
		}
		t := time.NewTimer(next.Sub(now))
		select {
		case <-ctx.Done():
			t.Stop()
			return nil, ctx.Err()
		case <-changed:
		case <-t.C:
		}
		t.Stop()
	}
}

func (q *memQueue) find(receipt string) (int, *memMessage) {
	for i, m := range q.messages {
		if m.Receipt == receipt {
			return i, m
		}
	}
	return 0, nil
}

func (q *memQueue) Extend(_ context.Context, receipts []string, visibility time.Duration) []error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.onExtend != nil {
		if errs := q.onExtend(receipts); errs != nil {
			return errs
		}
	}
	errs := make([]error, len(receipts))
	for i, r := range receipts {
		q.extends = append(q.extends, visibility)
		if _, m := q.find(r); m != nil {
			m.visibleAt = time.Now().Add(visibility)
		} else {
			errs[i] = fault.New(fault.NotFound, "receipt_gone", "")
		}
	}
	q.wake()
	return errs
}

func (q *memQueue) Delete(_ context.Context, receipts []string) []error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.onDelete != nil {
		if errs := q.onDelete(receipts); errs != nil {
			return errs
		}
	}
	for _, r := range receipts {
		if i, m := q.find(r); m != nil {
			delete(q.messages, i)
		}
	}
	return nil
}

func (q *memQueue) Stats(context.Context) (queue.Stats, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return queue.Stats{Visible: int64(len(q.messages)), Oldest: -1}, nil
}

// receives is how often each message was handed out; extensions how long each Extend was for.
func (q *memQueue) receives() (out []int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.messages {
		out = append(out, m.Receives)
	}
	return out
}

func (q *memQueue) extensions() []time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.extends)
}

func (q *memQueue) size() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.messages)
}

// memStore is a record in memory. A hook that returns an error (or panics) is the call's failure.
type memStore struct {
	mu           sync.Mutex
	records      map[logentry.ID]logentry.Record
	order        []logentry.ID // of the backlog
	quarantined  []store.Quarantined
	puts         [][]logentry.ID
	onPut        func([]logentry.Record) error // called without the lock
	onVerdict    func(*logentry.Record) store.Verdict
	onBacklog    func() error
	onQuarantine func() error
	onCount      func() error
}

func newMemStore() *memStore { return &memStore{records: map[logentry.ID]logentry.Record{}} }

func (s *memStore) Put(_ context.Context, records []logentry.Record) ([]store.Verdict, error) {
	if s.onPut != nil {
		if err := s.onPut(records); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.puts = append(s.puts, idsOf(records))
	verdicts := make([]store.Verdict, len(records))
	for i := range records {
		r := &records[i]
		if s.onVerdict != nil {
			if verdicts[i] = s.onVerdict(r); verdicts[i] != store.Stored {
				continue
			}
		}
		if had, ok := s.records[r.ID]; ok {
			*r, verdicts[i] = had, store.Duplicate
			continue
		}
		s.records[r.ID], verdicts[i] = *r, store.Stored
	}
	return verdicts, nil
}

func (s *memStore) AddBacklog(_ context.Context, ids []logentry.ID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.onBacklog != nil {
		if err := s.onBacklog(); err != nil {
			return err
		}
	}
	for _, id := range ids {
		if !slices.Contains(s.order, id) {
			s.order = append(s.order, id)
		}
	}
	return nil
}

func (s *memStore) ReadBacklog(_ context.Context, most int) (out []logentry.Record, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.order[:min(most, len(s.order))] {
		out = append(out, s.records[id])
	}
	return out, nil
}

func (s *memStore) DropBacklog(_ context.Context, ids []logentry.ID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.order = slices.DeleteFunc(s.order, func(id logentry.ID) bool { return slices.Contains(ids, id) })
	return nil
}

func (s *memStore) BacklogStats(context.Context) (store.BacklogStats, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return store.BacklogStats{Entries: int64(len(s.order))}, nil
}

func (s *memStore) Quarantine(_ context.Context, items []store.Quarantined) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.onQuarantine != nil {
		if err := s.onQuarantine(); err != nil {
			return err
		}
	}
	s.quarantined = append(s.quarantined, items...)
	return nil
}

func (s *memStore) CountQuarantine(context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.onCount != nil {
		if err := s.onCount(); err != nil {
			return 0, err
		}
	}
	return int64(len(s.quarantined)), nil
}

func (s *memStore) backlog() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.order)
}

func (s *memStore) recorded() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.records)
}

func (s *memStore) reasons() (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.quarantined {
		out = append(out, q.Reason)
	}
	slices.Sort(out)
	return out
}

// memIndex is an index in memory.
type memIndex struct {
	mu        sync.Mutex
	records   map[logentry.ID]logentry.Record
	adds      [][]logentry.ID
	onAdd     func([]logentry.Record) error // called without the lock
	onVerdict func(*logentry.Record) search.Verdict
}

func newMemIndex() *memIndex { return &memIndex{records: map[logentry.ID]logentry.Record{}} }

func (x *memIndex) Add(_ context.Context, records []logentry.Record) ([]search.Verdict, error) {
	if x.onAdd != nil {
		if err := x.onAdd(records); err != nil {
			return nil, err
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.adds = append(x.adds, idsOf(records))
	verdicts := make([]search.Verdict, len(records))
	for i := range records {
		verdicts[i] = search.Indexed
		if x.onVerdict != nil {
			verdicts[i] = x.onVerdict(&records[i])
		}
		if verdicts[i] == search.Indexed {
			x.records[records[i].ID] = records[i]
		}
	}
	return verdicts, nil
}

func (x *memIndex) indexed() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.records)
}

func idsOf(records []logentry.Record) []logentry.ID {
	ids := make([]logentry.ID, len(records))
	for i := range records {
		ids[i] = records[i].ID
	}
	return ids
}

var ids logentry.IDs

// entries makes n entries; message goes into each.
func entries(n int, message string) []logentry.Entry {
	out := make([]logentry.Entry, n)
	now := time.Now().UTC()
	for i := range out {
		out[i] = logentry.Entry{ID: ids.New(now), TenantID: "t1", ReceivedAt: now, Timestamp: now, Severity: logentry.Info,
			Service: "billing", Action: "invoice.paid", Message: message, SchemaVersion: 1}
	}
	return out
}

// envelope packs entries.
func envelope(t testing.TB, entries []logentry.Entry) []byte {
	t.Helper()
	p, err := queue.NewPacker(queue.Binary)
	if err != nil {
		t.Fatal(err)
	}
	var lines []byte
	for i := range entries {
		lines = append(logentry.AppendJSON(lines, &entries[i]), '\n')
	}
	body, err := p.Pack(nil, queue.Header{TenantID: entries[0].TenantID, Producer: "test", Created: time.Now(), Count: len(entries)}, lines)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// rig is a worker with its doubles.
type rig struct {
	q   *memQueue
	st  *memStore
	ix  *memIndex
	tel telemetry.Telemetry
	cfg Config
}

func newRig() *rig {
	return &rig{q: newMemQueue(), st: newMemStore(), ix: newMemIndex(), tel: telemetry.Discard()}
}

// start runs a worker; stop ends it as a signal would and returns what Run returned.
func (r *rig) start() (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	if r.cfg.Pace == 0 {
		r.cfg.Pace = -1 // time stands still while the tests look
	}
	w := New(r.cfg, r.q, r.st, r.ix, r.tel)
	go func() { done <- w.Run(ctx) }()
	return func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(time.Hour): // of the bubble's time
			return errors.New("Run did not return")
		}
	}
}
