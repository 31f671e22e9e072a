package store

import (
	"bytes"
	"context"
	"math"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/sqlite"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// groupEntries is how many entries of waiting Puts share one commit, and so one fsync.
const groupEntries = 20_000

// Times that a record may have: what 64 bits of nanoseconds hold.
var (
	firstTime = time.Unix(0, math.MinInt64+1)
	lastTime  = time.Unix(0, math.MaxInt64-1)
)

// put is one call of Put.
type put struct {
	records  []logentry.Record
	chunks   []chunk
	verdicts []Verdict
	held     []located // the duplicates and where their records lie
	err      error
	done     chan struct{} // closed when it is committed, or failed
}

// chunk is what goes into one block: records of one tenant, packed as if none was held already.
type chunk struct {
	tenantID     string
	slots        []int32 // indexes into the records
	bytes        int
	ts, received span
	body         []byte
}

// span is from the earliest to the latest of some times, in Unix nanoseconds.
type span struct{ min, max int64 }

func (s *span) add(t int64) { s.min, s.max = min(s.min, t), max(s.max, t) }

// Put makes records durable: all of them in one transaction, together with those of other Puts that
// wait at the same time. Packing is done before, outside of the transaction.
func (s *SQLite) Put(ctx context.Context, records []logentry.Record) ([]Verdict, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	p := &put{records: records, verdicts: make([]Verdict, len(records)), done: make(chan struct{})}
	p.cut()
	sc := s.scratch.Get().(*scratch)
	for i := range p.chunks {
		p.chunks[i].body = bytes.Clone(sc.pack(records, p.chunks[i].slots, 0))
	}
	s.scratch.Put(sc)
	if len(p.chunks) > 0 {
		if err := s.commit(ctx, p); err != nil {
			return nil, err
		}
	}
	if len(p.held) > 0 {
		found := 0
		err := s.load(context.WithoutCancel(ctx), p.held, func(i int, r logentry.Record) {
			records[i] = r
			found++
		})
		if err == nil && found < len(p.held) {
			err = fault.New(fault.Unavailable, "storage_busy", "a record went away while it was read back")
		}
		if err != nil {
			return nil, failed(err, "read duplicates back")
		}
	}
	return p.verdicts, nil
}

// cut divides the records into chunks, in order for each tenant, and rejects what can't be kept.
func (p *put) cut() {
	open := map[string]int{}
	last := -1
	for i := range p.records {
		r := &p.records[i]
		if r.ID.IsZero() || r.TenantID == "" || len(r.JSON) == 0 || len(r.JSON) > maxRecord || !keepable(r.Timestamp) || !keepable(r.ReceivedAt) {
			p.verdicts[i] = Rejected
			continue
		}
		if last < 0 || p.chunks[last].tenantID != r.TenantID {
			at, ok := open[r.TenantID]
			if !ok {
				at = -1
			}
			last = at
		}
		if last < 0 || len(p.chunks[last].slots) == blockSlots || p.chunks[last].bytes+len(r.JSON) > blockBytes {
			p.chunks = append(p.chunks, chunk{tenantID: r.TenantID, slots: make([]int32, 0, min(blockSlots, len(p.records)-i)),
				ts: span{math.MaxInt64, math.MinInt64}, received: span{math.MaxInt64, math.MinInt64}})
			last = len(p.chunks) - 1
			open[r.TenantID] = last
		}
		c := &p.chunks[last]
		c.slots = append(c.slots, int32(i))
		c.bytes += len(r.JSON)
		c.ts.add(r.Timestamp.UnixNano())
		c.received.add(r.ReceivedAt.UnixNano())
	}
}

func keepable(t time.Time) bool { return !t.Before(firstTime) && !t.After(lastTime) }

// commit waits until p is durable. Whoever gets the turn commits for all that wait.
func (s *SQLite) commit(ctx context.Context, p *put) error {
	s.mu.Lock()
	s.waiting = append(s.waiting, p)
	s.mu.Unlock()
	for {
		select {
		case <-p.done: // before another turn
			return p.err
		default:
		}
		select {
		case <-p.done:
			return p.err
		case s.turn <- struct{}{}:
			s.lead()
			<-s.turn
		case <-ctx.Done():
			if s.withdraw(p) {
				return fault.As(fault.Unavailable, "storage_busy", ctx.Err())
			}
			<-p.done
			return p.err
		}
	}
}

// lead commits what waits, up to a bound.
func (s *SQLite) lead() {
	s.mu.Lock()
	n, entries := 0, 0
	for n < len(s.waiting) && (n == 0 || entries+len(s.waiting[n].records) <= groupEntries) {
		entries += len(s.waiting[n].records)
		n++
	}
	group := s.waiting[:n:n]
	s.waiting = s.waiting[n:]
	s.mu.Unlock()
	if n == 0 {
		return
	}
	w := writing{s: s, fresh: map[string]int64{}}
	err := s.db.Write(context.Background(), func(c *sqlite.Conn) error { return w.puts(c, group) })
	if err == nil {
		for id, num := range w.fresh {
			s.owners.Store(id, num)
		}
	}
	for _, p := range group {
		p.err = fault.Wrap(err, "put records")
		close(p.done)
	}
	if err == nil {
		s.watchers.ring()
	}
}

// withdraw takes p back; false where somebody is committing it.
func (s *SQLite) withdraw(p *put) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, other := range s.waiting {
		if other == p {
			s.waiting = append(s.waiting[:i:i], s.waiting[i+1:]...)
			return true
		}
	}
	return false
}
