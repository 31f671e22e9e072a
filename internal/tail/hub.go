// Package tail follows the record: its followers get the entries of a tenant that match what they ask for, in the
// order in which they became durable.
//
// What it promises:
//   - What a follower sees is in the record.
//   - One reader of the commit order serves all followers of a process, and none runs while there are none.
//   - A follower that goes on from a place misses nothing and sees nothing twice. One that takes too little is told how many
//     entries were left out; it never holds up the others.
//
// What it leaves to its caller: who may see what, and how places are given to strangers.
package tail

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/internal/wait"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// source is the record in commit order.
type source interface {
	Scan(ctx context.Context, after store.Position, max int) ([]logentry.Record, store.Position, error)
	ScanTo(ctx context.Context, after, to store.Position, max int) ([]logentry.Record, store.Position, error)
	End(ctx context.Context) (store.Position, error)
	Watch(ctx context.Context, ring func()) error
}

// Config is how it follows. A zero field takes its default.
type Config struct {
	Poll      time.Duration // between two looks at the record once its end was reached; default 100 ms
	Rest      time.Duration // the same, while the record tells when something comes and nothing does; default 1 s
	AtOnce    int           // records of one look; default 2,000
	HeldBytes int           // of entries that wait for a follower, but for the last look; default 1 MiB
	CatchUps  int           // followers that read what they missed at the same time; default 4
}

func (c Config) withDefaults() Config {
	if c.Poll <= 0 {
		c.Poll = 100 * time.Millisecond
	}
	if c.Rest <= 0 {
		c.Rest = time.Second
	}
	if c.AtOnce <= 0 {
		c.AtOnce = 2000
	}
	if c.HeldBytes <= 0 {
		c.HeldBytes = 1 << 20
	}
	if c.CatchUps <= 0 {
		c.CatchUps = 4
	}
	return c
}

// Hub reads the record for its followers. Make it with New.
type Hub struct {
	cfg     Config
	from    source
	log     *zap.Logger
	wake    chan struct{} // a follower came
	bell    bell
	deaf    string        // why the record last did not tell what comes, by the code; of listen
	catchUp chan struct{} // held by those who read what they missed

	mu     sync.Mutex
	groups map[string]map[string]*group // by tenant, then by what is asked for
	n      int                          // followers
	at     store.Position               // everything before it was handed out
	placed bool                         // at says something: there was a follower all the time
	open   bool                         // there is, or will be, somebody who reads
}

// group are the followers that ask for the same.
type group struct {
	where     query.Node
	followers map[*Follower]struct{}
}

// New starts nothing.
func New(cfg Config, from source, log *zap.Logger) *Hub {
	cfg = cfg.withDefaults()
	return &Hub{cfg: cfg, from: from, log: log, wake: make(chan struct{}, 1), bell: bell{rung: make(chan struct{}, 1)}, catchUp: make(chan struct{}, cfg.CatchUps),
		groups: map[string]map[string]*group{}}
}

// Open lets followers come before Run has begun.
func (h *Hub) Open() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open = true
}

// ErrStopped ends all followers when the process stops.
var ErrStopped = fault.New(fault.Unavailable, "shutting_down", "this process is stopping")

// Run reads the record while there are followers, until ctx ends; then the followers end too.
func (h *Hub) Run(ctx context.Context) error {
	h.Open()
	defer h.stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-h.wake:
		}
		h.follow(ctx)
	}
}

// follow reads the record while there are followers.
func (h *Hub) follow(ctx context.Context) {
	l := listener{h: h}
	defer l.wait()
	defer l.listens(ctx, false)
	pace := newPace(h.cfg)
	for h.anybody() && ctx.Err() == nil {
		l.listens(ctx, !pace.busy)
		began := time.Now()
		found, err := h.look(ctx)
		pace.count(found, time.Now())
		switch {
		case err != nil:
			h.log.Warn("following the record failed; trying again", zap.Error(err))
			_ = wait.For(ctx, max(time.Second, h.cfg.Poll))
		case found < h.cfg.AtOnce:
			pace.rest(ctx, &h.bell, began, found > 0)
		}
	}
}

// anybody says whether there are followers; without any, the place is forgotten.
func (h *Hub) anybody() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.placed = h.placed && h.n > 0
	return h.n > 0
}

// look hands out the next records, and says how many there were: fewer than AtOnce were all that there are.
func (h *Hub) look(ctx context.Context) (found int, err error) {
	h.mu.Lock()
	at := h.at
	h.mu.Unlock()
	records, next, err := h.from.Scan(ctx, at, h.cfg.AtOnce)
	if ctx.Err() != nil {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	h.handOut(records, at, next)
	return len(records), nil
}

// handOut gives each group what is for it.
func (h *Hub) handOut(records []logentry.Record, from, to store.Position) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = to
	of := map[string][]logentry.Record{}
	for start := 0; start < len(records); { // entries of a tenant often come together
		id, end := records[start].TenantID, start+1
		for end < len(records) && records[end].TenantID == id {
			end++
		}
		if h.groups[id] != nil {
			of[id] = append(of[id], records[start:end]...)
		}
		start = end
	}
	for id, records := range of {
		subjects := make([]query.Subject, len(records))
		for i := range records {
			subjects[i].Entry = &records[i].Entry
		}
		for _, g := range h.groups[id] {
			chunk := &Chunk{From: from, To: to}
			for i := range records {
				if subjects[i].Match(g.where) {
					chunk.Records = append(chunk.Records, records[i])
					chunk.bytes += len(records[i].JSON)
				}
			}
			if len(chunk.Records) == 0 {
				continue
			}
			for f := range g.followers {
				f.offer(chunk, h.cfg.HeldBytes)
			}
		}
	}
}

func (h *Hub) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open = false
	for _, groups := range h.groups {
		for _, g := range groups {
			for f := range g.followers {
				f.signal()
			}
		}
	}
}
