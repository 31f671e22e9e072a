package ingest

import (
	"context"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/queue"
	"github.com/ocelot-log/ocelot/internal/telemetry"
)

// sendTimeout bounds one send; after it the outcome is unknown.
const sendTimeout = 30 * time.Second

// sender packs and sends, one send at a time.
type sender struct {
	in        *Ingest
	packer    *queue.Packer
	parcels   []parcel
	envelopes []envelope
	bodies    []byte
	parts     [][]byte
	messages  []queue.Outgoing
}

// envelope is a parcel as packed.
type envelope struct {
	parcel
	from, to int // in the sender's bodies
	err      error
}

// run sends until Run stops and nothing is left.
func (s *sender) run(ctx context.Context) {
	in := s.in
	in.mu.Lock()
	defer in.mu.Unlock()
	for {
		var flush string
		s.parcels, flush = in.take(s.parcels, time.Now())
		if flush == "" {
			if in.stopping {
				return
			}
			in.work.Wait()
			continue
		}
		in.sending++
		if in.full.Len() > 0 {
			in.work.Signal()
		}
		if in.small.Len() > 0 {
			in.arm()
		}
		in.mu.Unlock()
		s.pack()
		s.send(ctx)
		s.report(flush)
		in.mu.Lock()
		in.sending--
		s.settle()
	}
}

// pack turns the parcels into envelopes.
func (s *sender) pack() {
	s.envelopes, s.bodies = s.envelopes[:0], s.bodies[:0]
	for _, p := range s.parcels {
		s.packOne(p)
	}
}

// packOne packs p, in two halves if one body would be larger than the queue takes.
func (s *sender) packOne(p parcel) {
	s.parts = s.parts[:0]
	for _, c := range p.pieces {
		s.parts = append(s.parts, c.r.lines[c.r.start(c.from):c.r.ends[c.to-1]])
	}
	from := len(s.bodies)
	bodies, err := s.packer.Pack(s.bodies, s.in.header(p.tenantID, time.Now(), p.count), s.parts...)
	switch {
	case err == nil && len(bodies)-from <= s.in.maxBytes:
		s.bodies = bodies
		s.envelopes = append(s.envelopes, envelope{parcel: p, from: from, to: len(bodies)})
	case err == nil && p.count > 1:
		one, two := p.halves()
		s.packOne(one)
		s.packOne(two)
	default:
		if err == nil {
			err = errTooLarge()
		}
		s.envelopes = append(s.envelopes, envelope{parcel: p, err: err})
	}
}

// halves cuts p in two parcels of as many entries.
func (p parcel) halves() (one, two parcel) {
	one.tenantID, two.tenantID = p.tenantID, p.tenantID
	for _, c := range p.pieces {
		mid := min(c.to, c.from+p.count/2-one.count)
		if mid > c.from {
			one.add(piece{c.r, c.from, mid})
		}
		if mid < c.to {
			two.add(piece{c.r, mid, c.to})
		}
	}
	return one, two
}

func (p *parcel) add(c piece) {
	p.pieces = append(p.pieces, c)
	p.count += c.to - c.from
	p.raw += c.r.size(c.from, c.to)
}

// trace is the traceparent of a parcel whose entries are all of one trace. Where requests of several traces, or
// of none, share it, it is empty: whoever followed it would find the entries of others.
func (p *parcel) trace() string {
	first := p.pieces[0].r.trace
	for _, c := range p.pieces[1:] {
		if t := c.r.trace; t != first && (t == "" || telemetry.TraceID(t) != telemetry.TraceID(first)) {
			return ""
		}
	}
	return first
}

// send hands the envelopes to the queue, in as few sends as its limits allow, and notes their errors.
func (s *sender) send(ctx context.Context) {
	for at := 0; at < len(s.envelopes); {
		s.messages = s.messages[:0]
		first, size := at, 0
		for ; at < len(s.envelopes) && len(s.messages) < maxMessages; at++ {
			e := &s.envelopes[at]
			if e.err != nil {
				if len(s.messages) > 0 {
					break
				}
				first++
				continue
			}
			if size += e.to - e.from; size > s.in.maxBytes && len(s.messages) > 0 {
				break
			}
			s.messages = append(s.messages, queue.Outgoing{Body: s.bodies[e.from:e.to], Group: e.tenantID, Trace: e.trace()})
		}
		if len(s.messages) == 0 {
			return
		}
		began := time.Now()
		bounded, cancel := context.WithTimeout(ctx, sendTimeout)
		errs := s.in.queue.Send(bounded, s.messages)
		cancel()
		s.in.tel.Metrics.SendSeconds.Observe(time.Since(began).Seconds())
		for i, err := range errs {
			if err != nil {
				s.envelopes[first+i].err = s.failed(err)
			}
		}
	}
}

// failed is what a waiter is told of a send that failed.
func (s *sender) failed(err error) error {
	kind := fault.KindOf(err)
	s.in.tel.Metrics.SendFailures.WithLabelValues(kind.String()).Inc()
	switch kind {
	case fault.Full:
		return &fault.Error{Kind: fault.Full, Code: "storage_full", Detail: "there is no space left for entries; nothing of the envelope was stored", Err: err}
	case fault.TooLarge:
		return &fault.Error{Kind: fault.TooLarge, Code: "entry_too_large", Detail: "the queue refused an envelope for its size", Err: err}
	default:
		return &fault.Error{Kind: fault.Unavailable, Code: "enqueue_failed", RetryAfter: time.Second, Err: err,
			Detail: "the queue did not confirm the entries; send the request again with the same keys"}
	}
}

func (s *sender) report(flush string) {
	m := s.in.tel.Metrics
	for i := range s.envelopes {
		if e := &s.envelopes[i]; e.err == nil {
			m.Envelopes.WithLabelValues(flush).Inc()
			m.EnvelopeEntries.Observe(float64(e.count))
			m.EnvelopeBytes.Observe(float64(e.to - e.from))
		}
	}
}

// settle gives each request the outcome of its entries. A request that failed sends no more.
func (s *sender) settle() {
	in := s.in
	for i := range s.envelopes {
		e := &s.envelopes[i]
		if e.err == nil {
			in.learn(&e.parcel, e.to-e.from)
		}
		in.buffer(-e.raw)
		for _, c := range e.pieces {
			r := c.r
			r.left -= c.to - c.from
			if e.err != nil && r.err == nil {
				r.err = e.err
				in.drop(r)
			}
			in.answer(r)
		}
	}
	clear(s.envelopes)
	clear(s.messages)
	for i := range s.parcels {
		clear(s.parcels[i].pieces)
	}
}
