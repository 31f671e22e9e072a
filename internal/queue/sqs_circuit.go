package queue

import (
	"fmt"
	"sync"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
)

const (
	circuitFailures = 3           // in a row open the circuit
	circuitPause    = time.Second // between the tries while it is open
)

// circuit answers at once while the queue is down, so that nobody waits for a timeout to be refused.
// While it is open one call a second is let through to try.
type circuit struct {
	mu       sync.Mutex
	failures int
	next     time.Time // no call before, while open
}

// enter is an Unavailable fault while the circuit is open.
func (c *circuit) enter() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failures < circuitFailures {
		return nil
	}
	now := time.Now()
	if now.Before(c.next) {
		return &fault.Error{Kind: fault.Unavailable, Code: "sqs_down", RetryAfter: circuitPause,
			Detail: fmt.Sprintf("the queue did not answer the last %d times; it is tried once a second", c.failures)}
	}
	c.next = now.Add(circuitPause)
	return nil
}

func (c *circuit) leave(failed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !failed {
		c.failures = 0
		return
	}
	c.failures++
	c.next = time.Now().Add(circuitPause)
}
