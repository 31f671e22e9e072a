package bench

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/klauspost/compress/gzip"

	"github.com/ocelot-log/ocelot/internal/wait"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// maxLatency is what the histograms can hold, in microseconds; longer ones count as this.
const maxLatency = int64(time.Hour / time.Microsecond)

// sampleEvery is how often an acknowledged entry is picked to be searched for.
const sampleEvery = 100 * time.Millisecond

// timedOut is the error code of a request without an answer in time.
const timedOut = "timeout"

// span is a request's entries: n of them from number first.
type span struct {
	first uint64
	n     int
}

// sample is an acknowledged entry that is searched for until it is found.
type sample struct {
	number uint64
	tenant string
	acked  time.Time
	last   bool // the last one of a connection: waited for, not measured
}

// load sends the requests and keeps what became of them.
type load struct {
	cfg     Config
	gen     *Generator
	target  *url.URL
	samples chan<- sample

	start    time.Time
	interval time.Duration // between requests of the open loop; 0 in a closed one
	next     atomic.Int64
	sampled  atomic.Int64 // when the last sample was taken, nanoseconds since start

	mu        sync.Mutex
	acked     ids
	ackedAt   map[uint64]time.Time // by the first number of a request; nil where nobody follows
	unknown   []span
	refused   []span
	latency   *hdrhistogram.Histogram
	status    map[int]int64
	errors    map[string]int64
	requests  Requests
	sent      int64
	bytes     int64
	wireBytes int64
	lastAck   time.Time
	fault     string // the first one, for a person
}

func newLoad(cfg Config, gen *Generator, target *url.URL, samples chan<- sample) *load {
	l := &load{cfg: cfg, gen: gen, target: target, samples: samples,
		latency: hdrhistogram.New(1, maxLatency, 3), status: map[int]int64{}, errors: map[string]int64{}}
	if cfg.Tail {
		l.ackedAt = map[uint64]time.Time{}
	}
	if cfg.Rate > 0 {
		l.interval = time.Duration(float64(time.Second) * float64(cfg.Batch) / cfg.Rate)
	}
	return l
}

// run loads until the duration is over or ctx ends, and returns when every request has its answer.
func (l *load) run(ctx context.Context) {
	l.start = time.Now()
	var all sync.WaitGroup
	for range l.cfg.Conns {
		all.Go(func() { l.connection(ctx) })
	}
	all.Wait()
}

// due is when request number i is to be sent, ok whether it still lies within the load.
func (l *load) due(i int64) (at time.Time, ok bool) {
	if l.interval == 0 {
		now := time.Now()
		return now, now.Sub(l.start) < l.cfg.Duration
	}
	after := time.Duration(float64(i) * float64(time.Second) * float64(l.cfg.Batch) / l.cfg.Rate)
	return l.start.Add(after), after < l.cfg.Duration
}

func (l *load) connection(ctx context.Context) {
	w := &wire{target: l.target, timeout: l.cfg.Timeout}
	defer w.close()
	var body, packed bytes.Buffer
	var zip *gzip.Writer
	if l.cfg.Gzip {
		zip, _ = gzip.NewWriterLevel(&packed, gzip.BestSpeed) // fails for unknown levels only
	}
	var last sample
	for {
		i := l.next.Add(1) - 1
		due, ok := l.due(i)
		if !ok || ctx.Err() != nil {
			break
		}
		if l.interval > 0 && time.Since(l.start) >= l.cfg.Duration {
			l.unsent(due)
			continue
		}
		s := span{first: uint64(i) * uint64(l.cfg.Batch), n: l.cfg.Batch}
		tenant := l.cfg.Tenants[int(i)%len(l.cfg.Tenants)]
		l.fill(&body, s)
		payload := body.Bytes()
		if zip != nil {
			packed.Reset()
			zip.Reset(&packed)
			_, _ = zip.Write(payload) // into memory
			_ = zip.Close()
			payload = packed.Bytes()
		}
		if l.interval > 0 {
			if !sleepUntil(ctx, due) {
				break
			}
		} else {
			due = time.Now()
		}
		if l.send(ctx, w, s, tenant, due, body.Len(), payload) {
			last = sample{number: s.first + uint64(s.n) - 1, tenant: tenant, last: true}
		}
	}
	if last.last {
		l.samples <- last
	}
}

// fill writes the request's body: NDJSON, or the one entry.
func (l *load) fill(body *bytes.Buffer, s span) {
	body.Reset()
	b := l.gen.Batch(s.first, time.Now())
	out := body.AvailableBuffer()
	for k := range s.n {
		out = append(l.gen.Append(out, &b, k), '\n')
	}
	_, _ = body.Write(out) // into memory
}

// send posts one request and counts what came of it; true where it was acknowledged.
func (l *load) send(ctx context.Context, w *wire, s span, tenant string, due time.Time, size int, payload []byte) bool {
	token, err := l.cfg.Token()
	if err != nil {
		l.failed(s, "token", err.Error(), false, due, 0)
		_ = wait.For(ctx, time.Second)
		return false
	}
	path, kind := "/api/v1/logs/bulk", "application/x-ndjson"
	if l.cfg.Batch == 1 {
		path, kind = "/api/v1/logs", "application/json"
	}
	a, reached, err := w.post(ctx, path, func(h []byte) []byte {
		h = append(append(append(h, "Authorization: Bearer "...), token...), "\r\nContent-Type: "...)
		h = append(append(h, kind...), "\r\n"...)
		if tenant != "" {
			h = append(append(append(h, "X-Tenant-ID: "...), tenant...), "\r\n"...)
		}
		if l.cfg.Gzip {
			h = append(h, "Content-Encoding: gzip\r\n"...)
		}
		return h
	}, payload)
	if err != nil {
		code := "connection"
		if isTimeout(err) {
			code = timedOut
		}
		l.failed(s, code, err.Error(), reached, due, len(payload))
		if l.interval == 0 {
			_ = wait.For(ctx, 50*time.Millisecond)
		}
		return false
	}
	if a.status != http.StatusAccepted {
		l.answered(a.status)
		c := code(a.body)
		if c == "" {
			c = "status_" + strconv.Itoa(a.status)
		}
		detail := strings.ToValidUTF8(string(a.body[:min(len(a.body), 300)]), "\ufffd")
		l.failed(s, c, strconv.Itoa(a.status)+" "+detail, a.status >= 500 || a.status == http.StatusRequestTimeout, due, len(payload))
		if l.interval == 0 && (a.status == http.StatusTooManyRequests || a.status >= 500) {
			_ = wait.For(ctx, min(max(a.retryAfter, 50*time.Millisecond), 5*time.Second))
		}
		return false
	}
	l.acknowledged(s, a, due, size, len(payload), tenant)
	return true
}

func (l *load) acknowledged(s span, a answer, due time.Time, size, wireSize int, tenant string) {
	now := time.Now()
	l.mu.Lock()
	n := eachID(a.body, func(id logentry.ID) { l.acked.add(id) })
	if n != s.n {
		l.errors["ids_do_not_match"]++
		l.note("a request of " + strconv.Itoa(s.n) + " entries was answered with " + strconv.Itoa(n) + " ids")
	}
	_ = l.latency.RecordValue(clamp(now.Sub(due)))
	l.status[a.status]++
	l.requests.Sent++
	l.sent += int64(s.n)
	l.bytes += int64(size)
	l.wireBytes += int64(wireSize)
	if now.After(l.lastAck) {
		l.lastAck = now
	}
	if l.ackedAt != nil {
		l.ackedAt[s.first] = now
	}
	l.mu.Unlock()

	since, before := int64(now.Sub(l.start)), l.sampled.Load()
	if since-before >= int64(sampleEvery) && l.sampled.CompareAndSwap(before, since) {
		select {
		case l.samples <- sample{number: s.first + mix(s.first)%uint64(s.n), tenant: tenant, acked: now}:
		default: // the prober is far behind: it measures what it has
		}
	}
}

// failed counts a request that was not acknowledged; possible says that its entries may be stored all the same.
func (l *load) failed(s span, code, detail string, possible bool, due time.Time, wireSize int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errors[code]++
	l.note(code + ": " + detail)
	l.requests.Sent++
	l.sent += int64(s.n)
	l.wireBytes += int64(wireSize)
	if code == timedOut {
		_ = l.latency.RecordValue(clamp(time.Since(due)))
	}
	if possible {
		l.unknown = append(l.unknown, s)
	} else {
		l.refused = append(l.refused, s)
	}
}

func (l *load) answered(status int) {
	l.mu.Lock()
	l.status[status]++
	l.mu.Unlock()
}

// unsent counts a request that had to wait until the load was over, with the time that it had waited.
func (l *load) unsent(due time.Time) {
	l.mu.Lock()
	l.requests.Unsent++
	_ = l.latency.RecordValue(clamp(time.Since(due)))
	l.mu.Unlock()
}

// note keeps the first fault.
func (l *load) note(what string) {
	if l.fault == "" {
		l.fault = what
	}
}

func clamp(d time.Duration) int64 { return min(max(d.Microseconds(), 1), maxLatency) }

func sleepUntil(ctx context.Context, at time.Time) bool { return wait.For(ctx, time.Until(at)) == nil }
