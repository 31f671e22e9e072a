package drain

import (
	"sync"
	"time"
)

// handover is where recorded deliveries wait for the index. It holds at most limit entries (or one
// delivery); while the index is down it takes none.
type handover struct {
	limit int
	index *link

	mu       sync.Mutex
	changed  sync.Cond
	waiting  []*delivery
	entries  int
	progress time.Time // when the index last got something done
	closed   bool
}

func newHandover(limit int, index *link) *handover {
	h := &handover{limit: limit, index: index}
	h.changed.L = &h.mu
	return h
}

// push hands a delivery over, and waits for room as long as the index is not given up. When it is
// false the delivery is still the caller's.
func (h *handover) push(d *delivery) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for !h.closed && !h.index.isDown() && len(h.waiting) > 0 && h.entries+len(d.records) > h.limit {
		h.changed.Wait()
	}
	if h.closed || h.index.isDown() {
		return false
	}
	d.ready = time.Now()
	h.waiting = append(h.waiting, d)
	h.entries += len(d.records)
	h.changed.Broadcast()
	return true
}

// wait waits for deliveries. False: the handover is closed and empty.
func (h *handover) wait() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.waiting) == 0 && !h.closed {
		h.changed.Wait()
	}
	return len(h.waiting) > 0
}

// take appends as many deliveries as are ready and limit allows to batch; a suspect comes by itself.
func (h *handover) take(batch []*delivery) []*delivery {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.waiting) == 0 {
		return batch
	}
	taken, entries := 0, 0
	for _, d := range h.waiting {
		if taken > 0 && (d.alone || h.waiting[0].alone || entries+len(d.records) > h.limit) {
			break
		}
		taken, entries = taken+1, entries+len(d.records)
	}
	batch = append(batch, h.waiting[:taken]...)
	h.waiting = append(h.waiting[:0], h.waiting[taken:]...)
	clear(h.waiting[len(h.waiting):cap(h.waiting)])
	h.entries -= entries
	h.changed.Broadcast()
	return batch
}

// late returns everything that waits if the oldest has waited for patience without the index getting
// anything done.
func (h *handover) late(now time.Time, patience time.Duration) []*delivery {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.waiting) == 0 || now.Sub(h.waiting[0].ready) < patience || now.Sub(h.progress) < patience {
		return nil
	}
	out := h.waiting
	h.waiting, h.entries = nil, 0
	return out
}

func (h *handover) progressed() {
	h.mu.Lock()
	h.progress = time.Now()
	h.mu.Unlock()
}

// wake lets push look again whether the index is down.
func (h *handover) wake() {
	h.mu.Lock()
	h.changed.Broadcast()
	h.mu.Unlock()
}

// close ends push at once and take when all is taken.
func (h *handover) close() {
	h.mu.Lock()
	h.closed = true
	h.changed.Broadcast()
	h.mu.Unlock()
}
