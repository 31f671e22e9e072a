package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// ProducerConfig bounds what a Producer holds and how it sends. A zero field takes its default.
type ProducerConfig struct {
	MaxEntries int           // in a batch; default 500, at most 10,000
	MaxBytes   int           // of JSON in a batch; default 1 MiB, at most 2 MiB
	Linger     time.Duration // how long an entry waits for others to share its batch; default 200 ms, negative not at all
	Buffer     int           // bytes of JSON that are held, under way included, before Send waits; default 16 MiB
	Senders    int           // batches under way at the same time; default 2

	// OnError hears of entries that are not in the service and will not be sent again: refused, given up after RetryFor,
	// left when the context of Close ended, or not taken by a Handler. The error is a *Problem where the service said why,
	// and its Errors then count the entries of this batch from Line 1. It is called by one goroutine at a time; while it
	// runs it holds up a sender, and it must not call Send, Flush or Close; logging through a Handler is allowed.
	// Nil: Flush and Close alone tell.
	OnError func(Batch, error)
}

// What Send and a Handler answer instead of taking an entry.
var (
	ErrClosed = errors.New("client: the producer is closed")
	ErrFull   = errors.New("client: the producer's buffer is full")
)

// Producer sends entries in batches. It may be used by any number of goroutines; Close ends its own.
type Producer struct {
	c   *Client
	cfg ProducerConfig

	life    context.Context // of what is under way
	abandon context.CancelFunc
	senders sync.WaitGroup
	telling sync.Mutex // one OnError at a time
	dropped atomic.Uint64

	mu        sync.Mutex
	open      *batch    // takes entries; nil: none
	due       time.Time // when open goes out even if it is not full
	ready     []*batch
	unsettled map[*batch]struct{}
	held      int // bytes of JSON
	closed    bool
	work      chan struct{} // closed, and made anew, when senders should look again
	room      chan struct{} // the same for those who wait for room
}

// StartProducer starts a producer and its senders, which live until Close.
func (c *Client) StartProducer(cfg ProducerConfig) *Producer {
	orElse := func(have *int, otherwise, most int) {
		if *have <= 0 {
			*have = otherwise
		}
		*have = min(*have, most)
	}
	orElse(&cfg.MaxEntries, 500, 10_000)
	orElse(&cfg.MaxBytes, 1<<20, 2<<20)
	orElse(&cfg.Buffer, 16<<20, 1<<40)
	orElse(&cfg.Senders, 2, 64)
	if cfg.Linger == 0 {
		cfg.Linger = 200 * time.Millisecond
	}
	p := &Producer{c: c, cfg: cfg, unsettled: map[*batch]struct{}{}, work: make(chan struct{}), room: make(chan struct{})}
	p.life, p.abandon = context.WithCancel(context.Background())
	for range cfg.Senders {
		p.senders.Go(p.send)
	}
	return p
}

// Send takes an entry, and waits while the buffer is full until there is room or ctx ends. Once it returns nil the
// entry is the producer's: ctx ending later changes nothing. While there is room, ctx is not looked at. An entry without
// a timestamp gets the moment of the call. The entry's states and metadata must not be changed afterwards. What only the
// service can judge is told by OnError; an error here says that the entry was not taken: its JSON is invalid or too
// large, ErrClosed, or that of ctx.
func (p *Producer) Send(ctx context.Context, e logentry.Entry) error {
	line, err := encode(&e)
	if err != nil {
		return err
	}
	for {
		room, err := p.put(e, line)
		if room == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("client: waiting for room in the buffer: %w", ctx.Err())
		case <-room:
		}
	}
}

// encode makes the line of an entry.
func encode(e *logentry.Entry) ([]byte, error) {
	if e.Timestamp.IsZero() {
		e.Timestamp = time.Now()
	}
	e.Timestamp = e.Timestamp.UTC().Round(0)
	if !valid(e.BeforeState) || !valid(e.AfterState) || !valid(e.Metadata) { // it would be the end of the whole batch's syntax
		return nil, errors.New("client: before_state, after_state and metadata are JSON objects, and one of them is not valid JSON")
	}
	line := append(logentry.AppendContent(nil, e), '\n')
	if most := logentry.DefaultOptions().MaxEntryBytes; len(line)-1 > most {
		return nil, fmt.Errorf("client: an entry of %d bytes of JSON; the service takes %d", len(line)-1, most)
	}
	return line, nil
}

// valid says whether JSON is such as the service reads, or absent: UTF-8, no name twice in an object.
func valid(json []byte) bool {
	e := logentry.Entry{Metadata: json}
	return len(json) == 0 || e.Metadata.IsValid()
}

// put adds an entry to the open batch, or returns what is closed when there may be room for it.
func (p *Producer) put(e logentry.Entry, line []byte) (room <-chan struct{}, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	if p.held > 0 && p.held+len(line) > p.cfg.Buffer {
		p.seal() // what lingers would keep the room that is waited for
		return p.room, nil
	}
	if p.open != nil && len(p.open.lines)+len(line) > p.cfg.MaxBytes {
		p.seal()
	}
	if p.open == nil {
		p.open = newBatch()
		p.unsettled[p.open] = struct{}{}
		p.due = time.Now().Add(p.cfg.Linger)
		wake(&p.work)
	}
	p.held += len(line)
	p.open.add(e, line)
	if len(p.open.entries) >= p.cfg.MaxEntries {
		p.seal()
	}
	return nil, nil
}

// seal ends the open batch. p.mu is held.
func (p *Producer) seal() {
	if p.open == nil {
		return
	}
	p.ready, p.open = append(p.ready, p.open), nil
	wake(&p.work)
}

func wake(c *chan struct{}) {
	close(*c)
	*c = make(chan struct{})
}

// send is the life of a sender.
func (p *Producer) send() {
	for {
		b := p.next()
		if b == nil {
			return
		}
		size := len(b.lines)
		p.c.deliver(p.life, b, func(key string, some *batch, err error) {
			b.errs = append(b.errs, err)
			p.tell(Batch{Key: key, Entries: some.entries}, err)
		})
		p.mu.Lock()
		delete(p.unsettled, b)
		p.held -= size
		wake(&p.room)
		p.mu.Unlock()
		close(b.done)
	}
}

func (p *Producer) tell(b Batch, err error) {
	if p.cfg.OnError == nil {
		return
	}
	p.telling.Lock()
	defer p.telling.Unlock()
	p.cfg.OnError(b, err)
}

// drop reports an entry that a Handler could not hand over. Who logs must not wait for OnError, which may log itself.
func (p *Producer) drop(e logentry.Entry, err error) {
	p.dropped.Add(1)
	if p.cfg.OnError == nil || !p.telling.TryLock() {
		return
	}
	defer p.telling.Unlock()
	p.cfg.OnError(Batch{Entries: []logentry.Entry{e}}, err)
}

// Dropped is how many entries Handlers could not hand over. OnError hears of each that comes while it is not running.
func (p *Producer) Dropped() uint64 { return p.dropped.Load() }

// next waits for a batch to send; nil when the producer is closed and empty.
func (p *Producer) next() *batch {
	for {
		b, look, linger, ended := p.take()
		if b != nil || ended {
			return b
		}
		if linger < 0 {
			<-look
			continue
		}
		timer := time.NewTimer(linger)
		select {
		case <-look:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// take is a batch that should go out now, or when to look again; a linger below 0 is only by the channel.
func (p *Producer) take() (b *batch, look <-chan struct{}, linger time.Duration, ended bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	linger = -1
	if p.open != nil {
		if linger = max(0, time.Until(p.due)); linger == 0 || p.closed {
			p.seal()
		}
	}
	if len(p.ready) > 0 {
		b = p.ready[0]
		p.ready = p.ready[1:]
		return b, nil, 0, false
	}
	return nil, p.work, linger, p.closed
}

// Flush sends what the producer holds without lingering, and waits until each entry that it took before is
// acknowledged or reported, or until ctx ends; then they are still under way. Its error joins ctx's and those that
// were reported of these entries.
func (p *Producer) Flush(ctx context.Context) error {
	p.mu.Lock()
	p.seal()
	before := make([]*batch, 0, len(p.unsettled))
	for b := range p.unsettled {
		before = append(before, b)
	}
	p.mu.Unlock()
	var errs []error
	for _, b := range before {
		select {
		case <-b.done:
			errs = append(errs, b.errs...)
		case <-ctx.Done():
			return errors.Join(append(errs, fmt.Errorf("client: flushing: %w", ctx.Err()))...)
		}
	}
	return errors.Join(errs...)
}

// Close takes no more entries, also from those who wait for room, and sends what is held. When ctx ends before, the
// rest is given up and reported. When Close returns, the producer's goroutines have ended. Its error is that of Flush.
func (p *Producer) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	wake(&p.work)
	wake(&p.room)
	p.mu.Unlock()
	err := p.Flush(ctx)
	p.abandon()
	p.senders.Wait()
	return err
}
