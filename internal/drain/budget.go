package drain

import (
	"sync"
	"unsafe"

	"github.com/ocelot-log/ocelot/pkg/logentry"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	firstWeight = 256 << 10 // assumed of a message before any was seen
	leastWeight = 4 << 10
)

// budget bounds the memory of what is held. Room is taken before messages are received, by an estimate,
// because their clock starts then; it is corrected once they are decoded.
type budget struct {
	gauge prometheus.Gauge // of what is decoded

	mu     sync.Mutex
	freed  sync.Cond
	total  int64
	used   int64
	usual  int64 // estimate of one message: follows growth at once and shrinks slowly
	closed bool
}

func newBudget(total int64, gauge prometheus.Gauge) *budget {
	b := &budget{total: total, usual: firstWeight, gauge: gauge}
	b.freed.L = &b.mu
	return b
}

// take waits for room for `least` messages, or for half of the budget where that is less, and takes as much as there
// is, for `most` at the most. It returns for how many, and the weight of each; 0 when the budget was closed. Where nothing
// else is held, one passes whatever its weight.
func (b *budget) take(least, most int) (n int, each int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	wanted := func() int64 { return max(1, min(int64(least), b.total/2/b.usual)) }
	for !b.closed && b.used > 0 && b.used+wanted()*b.usual > b.total {
		b.freed.Wait()
	}
	if b.closed {
		return 0, 0
	}
	n = int(max(1, min(int64(most), (b.total-b.used)/b.usual)))
	b.used += int64(n) * b.usual
	return n, b.usual
}

// untake gives back what was taken for messages that did not come.
func (b *budget) untake(bytes int64) {
	b.mu.Lock()
	b.used -= bytes
	b.mu.Unlock()
	b.freed.Broadcast()
}

// correct replaces the estimate of a decoded delivery by its real weight.
func (b *budget) correct(d *delivery, payload int) {
	real := int64(payload) + // the lines, which the entries share
		int64(len(d.records))*int64(unsafe.Sizeof(logentry.Record{}))
	b.mu.Lock()
	b.used += real - d.weight
	b.usual = max(leastWeight, real, b.usual-b.usual/32)
	b.mu.Unlock()
	if real < d.weight {
		b.freed.Broadcast()
	}
	d.weight, d.sized = real, true
	b.gauge.Add(float64(real))
}

// give gives back what a delivery took.
func (b *budget) give(d *delivery) {
	if d.sized {
		b.gauge.Sub(float64(d.weight))
	}
	b.untake(d.weight)
}

// close makes take return at once, now and later.
func (b *budget) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.freed.Broadcast()
}
