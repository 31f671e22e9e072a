package ingest

import (
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
)

// keepBytes is the largest buffer that is kept for another request.
const keepBytes = 4 << 20

// request is one Accept on its way: its lines, and how far they have come.
type request struct {
	tenantID string
	trace    string
	patient  bool
	lines    []byte // NDJSON
	ends     []int  // where each line ends
	content  []byte // scratch
	done     chan struct{}

	// Under the Ingest's lock. After done: the waiter's.
	came      time.Time
	next      int // the first entry that is in no envelope
	left      int // entries that are not settled; 0: answered
	err       error
	abandoned bool // nobody waits
}

func (r *request) start(i int) int {
	if i == 0 {
		return 0
	}
	return r.ends[i-1]
}

// size of the entries from up to before to.
func (r *request) size(from, to int) int {
	if from == to {
		return 0
	}
	return r.ends[to-1] - r.start(from)
}

func (in *Ingest) request(tenantID string) *request {
	r, ok := in.requests.Get().(*request)
	if !ok {
		r = &request{done: make(chan struct{}, 1)}
	}
	r.tenantID = tenantID
	return r
}

// recycle takes back a request that nobody refers to any more.
func (in *Ingest) recycle(r *request) {
	if cap(r.lines) > keepBytes {
		return
	}
	*r = request{lines: r.lines[:0], ends: r.ends[:0], content: r.content[:0], done: r.done}
	in.requests.Put(r)
}

// admit refuses what may not come in now: size more bytes, or anything when size is 0.
func (in *Ingest) admit(size int) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.admitLocked(size)
}

func (in *Ingest) admitLocked(size int) error {
	if in.stopping {
		return errStopping()
	}
	if in.buffered > 0 && in.buffered+int64(size) > in.cfg.BufferBytes {
		return &fault.Error{Kind: fault.Limited, Code: "buffer_full", RetryAfter: time.Second,
			Detail: "more entries are waiting for the queue than the service holds; send again in a moment"}
	}
	return nil
}

// enqueue puts r into its lane and wakes a sender when there is a reason.
func (in *Ingest) enqueue(r *request) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if err := in.admitLocked(len(r.lines)); err != nil {
		return err
	}
	r.came, r.left = time.Now(), len(r.ends)
	in.buffer(len(r.lines))
	l := in.lanes[r.tenantID]
	if l == nil {
		l = &lane{tenantID: r.tenantID, ratio: in.ratio}
		in.lanes[r.tenantID] = l
	}
	l.requests = append(l.requests, r)
	l.raw += len(r.lines)
	l.patient = r.patient
	in.place(l)
	switch {
	case l.list == &in.full, !l.patient && (in.sending == 0 || in.cfg.Linger <= 0):
		in.work.Signal()
	case in.small.Front() == l.element:
		in.arm()
	}
	return nil
}

// abandon says that nobody waits for r any more, and drops what is in no envelope yet. It is false when r was
// answered already.
func (in *Ingest) abandon(r *request) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if r.left == 0 {
		return false
	}
	r.abandoned = true
	in.drop(r)
	in.answer(r)
	return true
}

// drop takes the entries of r that are in no envelope out of its lane.
func (in *Ingest) drop(r *request) {
	n := len(r.ends) - r.next
	if n == 0 {
		return
	}
	l := in.lanes[r.tenantID]
	size := r.size(r.next, len(r.ends))
	l.remove(r)
	l.raw -= size
	in.place(l)
	in.buffer(-size)
	r.next += n
	r.left -= n
}

// answer ends r when nothing of it is left.
func (in *Ingest) answer(r *request) {
	switch {
	case r.left > 0:
	case r.abandoned:
		in.recycle(r)
	default:
		r.done <- struct{}{}
	}
}

// buffer counts bytes that wait or are being sent.
func (in *Ingest) buffer(bytes int) {
	in.buffered += int64(bytes)
	in.tel.Metrics.BufferBytes.Set(float64(in.buffered))
}

// arm lets Run's clock look at the lanes.
func (in *Ingest) arm() {
	select {
	case in.armed <- struct{}{}:
	default:
	}
}
