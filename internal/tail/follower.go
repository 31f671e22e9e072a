package tail

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/internal/wait"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// Place is where a follower is: behind an entry, or at a position of the commit order.
type Place struct {
	Position store.Position
	Behind   logentry.ID // the last one that was seen after Position; zero for none
}

// Chunk is some entries that followers get. It is shared by those who ask for the same: nobody changes it.
type Chunk struct {
	Records  []logentry.Record
	From, To store.Position // the stretch of the commit order that it is from
	Skipped  int            // how many entries before it were left out, because they were not taken in time

	bytes int
	once  [2]sync.Once
	texts [2][]byte
}

// Text is what make makes of the chunk in a form, 0 or 1. It is made once for all followers that share the chunk.
func (c *Chunk) Text(form int, make func() []byte) []byte {
	c.once[form].Do(func() { c.texts[form] = make() })
	return c.texts[form]
}

// Follower is one who follows. Its methods are for one goroutine.
type Follower struct {
	h     *Hub
	start store.Position // the end of the record when it came
	key   string
	owner string // the tenant's id
	where query.Node
	ready chan struct{}

	// Guarded by the hub's lock.
	queue   []*Chunk
	held    int // bytes in queue
	skipped int
	alone   bool // it reads by itself what it missed; changed by its own goroutine only

	behind Place          // how far it has read by itself
	goal   store.Position // up to where it reads by itself; what is in queue comes after that
}

// Follow begins to follow what matches, at the end of the record or, where from is given, at that place. key tells questions
// apart: followers of a tenant with the same key ask for the same. Close ends it.
func (h *Hub) Follow(ctx context.Context, t auth.Tenant, key string, where query.Node, from *Place) (*Follower, error) {
	f := &Follower{h: h, key: key, owner: t.ID(), where: where, ready: make(chan struct{}, 1)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.open {
		return nil, ErrStopped
	}
	if !h.placed {
		at, err := h.from.End(ctx)
		if err != nil {
			return nil, err
		}
		h.at, h.placed = at, true
	}
	f.start = h.at
	if from != nil {
		f.behind, f.goal, f.alone = *from, h.at, true
	}
	groups := h.groups[f.owner]
	if groups == nil {
		groups = map[string]*group{}
		h.groups[f.owner] = groups
	}
	g := groups[key]
	if g == nil {
		g = &group{where: where, followers: map[*Follower]struct{}{}}
		groups[key] = g
	}
	g.followers[f] = struct{}{}
	h.n++
	select {
	case h.wake <- struct{}{}:
	default:
	}
	return f, nil
}

// Start is where a follower begins who goes on from no place.
func (f *Follower) Start() Place { return Place{Position: f.start} }

// Close ends it.
func (f *Follower) Close() {
	h := f.h
	h.mu.Lock()
	defer h.mu.Unlock()
	groups := h.groups[f.owner]
	g := groups[f.key]
	if g == nil {
		return
	}
	if _, ok := g.followers[f]; !ok {
		return
	}
	h.n--
	if delete(g.followers, f); len(g.followers) == 0 {
		if delete(groups, f.key); len(groups) == 0 {
			delete(h.groups, f.owner)
		}
	}
}

// offer puts a chunk behind those that wait, or counts it out where too much waits. The hub's lock is held.
func (f *Follower) offer(c *Chunk, most int) {
	if f.skipped > 0 && len(f.queue) > 0 || f.held > 0 && f.held+c.bytes > most {
		f.skipped += len(c.Records) // until all that waits was taken, so that there is one gap and not many
		return
	}
	if f.skipped > 0 && !f.alone {
		f.queue = append(f.queue, &Chunk{Skipped: f.skipped, From: c.From, To: c.From})
		f.skipped = 0
	}
	f.queue = append(f.queue, c)
	f.held += c.bytes
	f.signal()
}

func (f *Follower) signal() {
	select {
	case f.ready <- struct{}{}:
	default:
	}
}

// Next waits for the next entries, at most for patience: then the chunk is nil. place is where to go on after them.
func (f *Follower) Next(ctx context.Context, patience time.Duration) (chunk *Chunk, place Place, err error) {
	deadline, until := time.NewTimer(patience), time.Now().Add(patience)
	defer deadline.Stop()
	for {
		if f.alone {
			chunk, over, err := f.missed(ctx, until)
			if err != nil || chunk != nil || over {
				return chunk, f.behind, err
			}
		} else if chunk := f.take(); chunk != nil {
			return chunk, Place{Position: chunk.To}, nil
		}
		if f.h.isStopped() {
			return nil, Place{}, ErrStopped
		}
		select {
		case <-ctx.Done():
			return nil, Place{}, ctx.Err()
		case <-deadline.C:
			return nil, f.idle(), nil
		case <-f.ready:
		}
	}
}

// take takes the first chunk that waits.
func (f *Follower) take() *Chunk {
	f.h.mu.Lock()
	defer f.h.mu.Unlock()
	if len(f.queue) == 0 {
		if f.skipped == 0 {
			return nil
		}
		c := &Chunk{Skipped: f.skipped, From: f.h.at, To: f.h.at}
		f.skipped = 0
		return c
	}
	c := f.queue[0]
	f.queue[0] = nil
	f.queue = f.queue[1:]
	f.held -= c.bytes
	return c
}

// idle is where one goes on to whom everything was given.
func (f *Follower) idle() Place {
	f.h.mu.Lock()
	defer f.h.mu.Unlock()
	if f.alone || len(f.queue) > 0 || f.skipped > 0 {
		return Place{}
	}
	return Place{Position: f.h.at}
}

func (h *Hub) isStopped() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.open
}

// missed reads on by itself from where the follower was, up to what the hub has handed out since it came. Nil: that is
// reached, or until is over, so that others have their turn.
func (f *Follower) missed(ctx context.Context, until time.Time) (chunk *Chunk, over bool, err error) {
	turn := time.NewTimer(time.Until(until))
	defer turn.Stop()
	select {
	case f.h.catchUp <- struct{}{}:
		defer func() { <-f.h.catchUp }()
	case <-turn.C:
		return nil, true, nil
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
	for tries := 0; f.behind.Position.Compare(f.goal) > 0; tries++ {
		// Another process had read further than this one has: in a moment it will have.
		if tries == maxAhead {
			return nil, false, ErrPlaceUnknown
		}
		if err := wait.For(ctx, f.h.cfg.Poll); err != nil {
			return nil, false, err
		}
		f.again()
	}
	for f.behind.Position.Compare(f.goal) < 0 || !f.behind.Behind.IsZero() {
		records, next, err := f.h.from.ScanTo(ctx, f.behind.Position, f.goal, f.h.cfg.AtOnce)
		if err != nil {
			return nil, false, err
		}
		chunk := &Chunk{From: f.behind.Position, To: next}
		records = f.unseen(records)
		for _, r := range records {
			if r.TenantID == f.owner && query.Match(f.where, &r.Entry) {
				chunk.Records = append(chunk.Records, r)
			}
		}
		if next == f.behind.Position {
			next = f.goal // nothing lies between
		}
		f.behind = Place{Position: next}
		if len(chunk.Records) > 0 {
			return chunk, false, nil
		}
		if !time.Now().Before(until) {
			return nil, true, nil
		}
	}
	if f.again() {
		f.signal()
	}
	return nil, false, nil
}

// maxAhead is how many looks a place may lie before what this process has read.
const maxAhead = 50

// ErrPlaceUnknown means that the record does not reach up to a place: it is another one than it was.
var ErrPlaceUnknown = errors.New("the place lies beyond the end of the record")

// again gives up what could not wait during the reading, and moves the goal. It is false where nothing was given up:
// then the queue goes on where the reading ended.
func (f *Follower) again() bool {
	f.h.mu.Lock()
	defer f.h.mu.Unlock()
	f.alone = f.skipped > 0 || f.behind.Position.Compare(f.goal) > 0
	if f.alone {
		f.queue, f.held, f.skipped = nil, 0, 0
		f.goal = f.h.at
	}
	return f.alone
}

// unseen leaves out the entries up to the one that was seen last. Where that one is gone, all are shown: twice is
// better than not at all.
func (f *Follower) unseen(records []logentry.Record) []logentry.Record {
	if f.behind.Behind.IsZero() {
		return records
	}
	for i := range records {
		if records[i].ID == f.behind.Behind {
			return records[i+1:]
		}
	}
	return records
}
