package queue

import (
	"context"
	"slices"
	"sync"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/sqlite"
)

// maxGroup bounds how many writes share a transaction, and so how long each of them waits.
const maxGroup = 64

// write is one change of the file that waits for its turn.
type write struct {
	run     func(c *sqlite.Conn) error // may be called again after a rollback
	settled func()                     // called once it is durable, before anybody is answered; in commit order
	err     error
	turn    chan bool // true: lead the next group; false: it is done, see err
}

// committer joins writes that come at the same time in one transaction with one fsync. The first to
// come leads: it commits everything that waits, answers, and hands the lead to the next that came
// meanwhile. So it has no goroutine of its own.
type committer struct {
	db *sqlite.DB

	mu      sync.Mutex
	waiting []*write // while somebody leads, the leader or the next one is the first
	led     bool
}

// do runs w.run in a transaction, maybe with others, and returns when it is durable. When ctx ends before the
// transaction has begun nothing was done; what has begun is finished.
func (c *committer) do(ctx context.Context, w *write) error {
	w.turn = make(chan bool, 1)
	c.mu.Lock()
	c.waiting = append(c.waiting, w)
	lead := !c.led
	c.led = true
	c.mu.Unlock()
	if !lead {
		select {
		case lead = <-w.turn:
		case <-ctx.Done():
			if c.withdraw(w) {
				return fault.As(fault.Unavailable, "canceled", ctx.Err())
			}
			lead = <-w.turn
		}
	}
	if lead {
		c.lead()
	}
	return w.err
}

// withdraw takes w out unless it leads or its group has begun.
func (c *committer) withdraw(w *write) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := slices.Index(c.waiting, w)
	if at <= 0 {
		return false
	}
	c.waiting = slices.Delete(c.waiting, at, at+1)
	return true
}

// lead commits one group, its own write among them.
func (c *committer) lead() {
	var group []*write
	err := c.db.Write(context.Background(), func(conn *sqlite.Conn) error {
		c.mu.Lock()
		n := min(len(c.waiting), maxGroup)
		group = slices.Clone(c.waiting[:n])
		c.waiting = slices.Delete(c.waiting, 0, n)
		c.mu.Unlock()
		for _, w := range group {
			if err := w.run(conn); err != nil {
				return err
			}
		}
		return nil
	})
	c.mu.Lock()
	if group == nil { // no transaction began: closed or broken, for all the same
		group, c.waiting = c.waiting, nil
	}
	c.mu.Unlock()
	for _, w := range group {
		if w.err = err; err != nil && len(group) > 1 { // each by itself: a full disk still takes deletes
			w.err = c.db.Write(context.Background(), w.run)
		}
		if w.err == nil && w.settled != nil {
			w.settled()
		}
	}
	c.mu.Lock()
	if c.led = len(c.waiting) > 0; c.led {
		c.waiting[0].turn <- true
	}
	c.mu.Unlock()
	for _, w := range group {
		w.turn <- false
	}
}
