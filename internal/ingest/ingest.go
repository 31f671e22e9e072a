// Package ingest is the producer's side: it stamps the entries of a request, packs them into envelopes
// together with those of other requests, and sends them to the queue.
//
// What it promises:
//   - Accept reports no error only after the queue has said that every entry of the request is durable.
//   - An error of kind Unavailable leaves it open what became of the entries: a retry with the same keys gives
//     them the same ids. After every other kind nothing of the request was sent, but for Full and TooLarge where
//     another envelope of the same request may have gone out before.
//   - A send that fails, fails the requests that had entries in it and no others.
//   - What a tenant's rules or the names of secrets say must not be kept is masked before ids are made of the
//     entries and before anything of them leaves the process.
//
// What it leaves to its caller: entries that passed validation, and not to touch them until Accept
// returns. Everything here may be called concurrently.
//
// # When an envelope goes out
//
// At most InFlight sends are under way, and entries that come meanwhile gather, each tenant's for
// itself. A tenant's entries go as soon as they fill an envelope and a sender is free ("size").
// Fewer go at once when no send is under way ("idle"): nothing else is coming, or it would be there, so a
// lone request waits for nobody. Behind a send that is under way they wait for its end, which
// makes the system idle again, but no longer than the linger when another sender is free ("linger").
// Where both full and fewer are due they take turns, so that a busy tenant does not hold up the others.
// A patient batch that fills no envelope starts no send for itself: it goes with what others send next, or after
// 20 ms ("linger").
package ingest

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/mask"
	"github.com/ocelot-log/ocelot/internal/queue"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// Config is what ingest can be told. Zero values take the defaults, but for Linger.
type Config struct {
	InFlight      int           // sends under way at most; default 4
	Linger        time.Duration // how long entries may wait for company while others are sent; 0: not at all. Usual: 5 ms
	TargetBytes   int           // of an envelope as sent; default 61,440, which with attributes fits the 64 KiB that SQS bills as one
	BufferBytes   int64         // of entries' JSON waiting or being sent, beyond it requests are refused; default 64 MiB
	SchemaVersion int           // of entries that name none; default 1
	Producer      string        // who packs, named in each envelope; default ocelot
}

// Batch is the entries of one request. Accept owns them and fills in what it stamps.
type Batch struct {
	Entries        []logentry.Entry
	IdempotencyKey string                     // of the request; may be empty
	ReceivedAt     time.Time                  // when the request came; one that is zero or ahead of the clock is now
	Allows         func(*logentry.Entry) bool // whether an entry as it will be kept may come in; nil: each may
	Trace          string                     // the request's traceparent, as telemetry.Traceparent gives it; may be empty
	Patient        bool                       // of a tenant that presses against its limits: it waits for company, so that the others need not wait for it
}

// Receipt is the answer to an accepted batch.
type Receipt struct {
	IDs        []logentry.ID // one for each entry as sent; entries that were collapsed have the same
	Duplicates int           // entries that were collapsed: same event_id, same content
	Dropped    int           // entries below the tenant's least severity: they are kept nowhere
}

// Ingest takes entries in. Make it with New, and let Run run.
type Ingest struct {
	cfg      Config
	queue    queue.Sender
	wire     queue.Wire
	maxBytes int // of a body
	masks    *mask.Set
	tel      telemetry.Telemetry
	ids      logentry.IDs
	requests sync.Pool
	armed    chan struct{} // the clock of Run has to look at the lanes

	mu       sync.Mutex
	work     sync.Cond // a sender may have something to do
	lanes    map[string]*lane
	full     list.List // lanes that fill an envelope; first come, first served
	small    list.List // lanes that do not, by when they are due
	ratio    float64   // bytes sent for each byte of JSON, lately
	buffered int64
	sending  int
	hurried  int  // small lanes that are not patient
	turn     bool // of the small lanes, when both kinds are due
	ran      bool
	stopping bool
}

// New makes an Ingest that starts nothing: requests wait until Run runs.
func New(cfg Config, q queue.Sender, masks *mask.Set, tel telemetry.Telemetry) *Ingest {
	if cfg.InFlight <= 0 {
		cfg.InFlight = 4
	}
	if cfg.TargetBytes <= 0 {
		cfg.TargetBytes = 61_440
	}
	if cfg.BufferBytes <= 0 {
		cfg.BufferBytes = 64 << 20
	}
	if cfg.SchemaVersion == 0 {
		cfg.SchemaVersion = 1
	}
	if cfg.Producer == "" {
		cfg.Producer = "ocelot"
	}
	limits := q.Limits()
	in := &Ingest{cfg: cfg, queue: q, wire: queue.WireOf(limits), maxBytes: limits.MaxBytes, masks: masks, tel: tel,
		armed: make(chan struct{}, 1), lanes: map[string]*lane{}, ratio: startRatio}
	in.cfg.TargetBytes = min(cfg.TargetBytes, in.maxBytes)
	in.work.L = &in.mu
	return in
}

// Accept stamps the entries of a batch and returns when all of them are durable. Kinds of its errors:
// Unavailable (enqueue_failed, shutting_down, unknown_outcome when ctx ended first), Full
// (storage_full), Limited (buffer_full), TooLarge (entry_too_large), Forbidden (outside_scope).
func (in *Ingest) Accept(ctx context.Context, t auth.Tenant, b Batch) (Receipt, error) {
	receipt, err := in.accept(ctx, t, b)
	if err != nil {
		in.tel.Metrics.RefusedEntries.WithLabelValues(fault.Of(err).Code).Inc()
		return Receipt{}, err
	}
	return receipt, nil
}

// Own takes entries of the service itself about a tenant, such as those that say who read. They keep what they say
// of a tenant's rules: nothing but the values of secret names is masked, and each severity is kept. Each has an
// event_id, so that they may be sent again. Errors are those of Accept.
func (in *Ingest) Own(ctx context.Context, tenantID string, entries []logentry.Entry) error {
	_, err := in.hand(ctx, tenantID, Batch{Entries: entries}, keeping{masker: in.masks.Standard()})
	return err
}

// keeping is what of a tenant's entries is kept.
type keeping struct {
	masker      *mask.Masker
	minSeverity logentry.Severity
}

func (in *Ingest) accept(ctx context.Context, t auth.Tenant, b Batch) (Receipt, error) {
	switch {
	case t.IsZero():
		return Receipt{}, fault.New(fault.Internal, "tenant_missing", "a batch belongs to a tenant")
	case len(b.Entries) == 0:
		return Receipt{}, fault.New(fault.Invalid, "batch_empty", "a batch has at least one entry")
	}
	chosen := t.Settings()
	masker, err := in.masks.Of(t.ID(), t.Version(), chosen.Masking)
	if err != nil { // they were checked when they were stored: by a newer version, which knows more
		return Receipt{}, fault.As(fault.Internal, "masking_unreadable", err)
	}
	return in.hand(ctx, t.ID(), b, keeping{masker, chosen.MinSeverity})
}

func (in *Ingest) hand(ctx context.Context, tenantID string, b Batch, k keeping) (Receipt, error) {
	if err := in.admit(0); err != nil { // before the work, not only after it
		return Receipt{}, err
	}
	r := in.request(tenantID)
	r.trace, r.patient = b.Trace, b.Patient
	receipt, err := in.stamp(r, b, k)
	if err == nil {
		err = in.checkSizes(r)
	}
	if err != nil {
		in.recycle(r)
		return Receipt{}, err
	}
	if receipt.Dropped > 0 {
		in.tel.Metrics.BelowSeverity.Add(float64(receipt.Dropped))
	}
	entries, bytes := len(r.ends), len(r.lines)
	if entries == 0 {
		in.recycle(r)
		return receipt, nil
	}
	if err := in.enqueue(r); err != nil {
		in.recycle(r)
		return Receipt{}, err
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		if in.abandon(r) { // whoever settles the last of it recycles it
			return Receipt{}, &fault.Error{Kind: fault.Unavailable, Code: "unknown_outcome", RetryAfter: time.Second, Err: ctx.Err(),
				Detail: "the request ended before its entries were known to be durable; send it again with the same keys"}
		}
		<-r.done
	}
	err = r.err
	in.recycle(r)
	if err != nil {
		return Receipt{}, err
	}
	in.tel.Metrics.AcceptedEntries.Add(float64(entries))
	in.tel.Metrics.AcceptedBytes.Add(float64(bytes))
	return receipt, nil
}

// Run sends until ctx ends; then it refuses new requests, sends what was accepted, answers everybody and
// returns nil. It may run once.
func (in *Ingest) Run(ctx context.Context) error {
	in.mu.Lock()
	if in.ran {
		in.mu.Unlock()
		return errors.New("ingest ran before")
	}
	in.ran = true
	in.mu.Unlock()
	senders := make([]*sender, in.cfg.InFlight)
	for i := range senders {
		p, err := queue.NewPacker(in.wire)
		if err != nil {
			in.stop()
			return fault.Wrap(err, "ingest")
		}
		senders[i] = &sender{in: in, packer: p}
	}
	var wg sync.WaitGroup
	for _, s := range senders {
		wg.Go(func() { s.run(context.WithoutCancel(ctx)) })
	}
	in.keepTime(ctx)
	in.stop()
	wg.Wait()
	return nil
}

// keepTime wakes a sender whenever entries have waited long enough.
func (in *Ingest) keepTime(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-in.armed:
		case <-timer.C:
		}
		in.mu.Lock()
		if first := in.small.Front(); first != nil {
			wait := time.Until(laneOf(first).due)
			if wait <= 0 {
				in.work.Signal() // if all are busy, the first that is not will look
			} else {
				timer.Reset(wait)
			}
		}
		in.mu.Unlock()
	}
}

func (in *Ingest) stop() {
	in.mu.Lock()
	in.stopping = true
	in.mu.Unlock()
	in.work.Broadcast()
}

func errStopping() error {
	return &fault.Error{Kind: fault.Unavailable, Code: "shutting_down", Detail: "the service is stopping; send again in a moment", RetryAfter: 2 * time.Second}
}
