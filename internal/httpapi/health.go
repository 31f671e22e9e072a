package httpapi

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
)

// pinger says whether something answers.
type pinger interface {
	Ping(ctx context.Context) error
}

// healthAge is how long a verdict on the dependencies is repeated, so that asking costs nothing.
const healthAge = time.Second

// health asks the dependencies whether they answer, and keeps the last verdict. Whoever finds it old makes
// a new one while the others wait.
type health struct {
	queue, store, index pinger
	timeout             time.Duration

	mu      sync.Mutex
	at      time.Time
	verdict []string
}

// healthAll says which dependency does not answer, and nothing of why: that is in our log.
func (s *Server) healthAll(k *call) error {
	down := s.health.down(k.Request.Context())
	if len(down) == 0 {
		return replyData(k, http.StatusOK, struct {
			Status string `json:"status"`
			Queue  string `json:"queue"`
			Store  string `json:"store"`
			Index  string `json:"index"`
		}{"ok", "up", "up", "up"})
	}
	f := &fault.Error{Kind: fault.Unavailable, Code: "dependency_down", Detail: "a dependency does not answer", RetryAfter: 2 * healthAge}
	for _, name := range down {
		f.Problems = append(f.Problems, fault.Problem{Pointer: name, Code: "down", Message: "does not answer"})
	}
	return f
}

// down names the dependencies that do not answer.
func (h *health) down(ctx context.Context) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.at) < healthAge {
		return h.verdict
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.timeout)
	defer cancel()
	named := []struct {
		name string
		pinger
	}{{"queue", h.queue}, {"store", h.store}, {"index", h.index}}
	failed := make([]error, len(named))
	var wg sync.WaitGroup
	for i, d := range named {
		wg.Go(func() { failed[i] = d.Ping(ctx) })
	}
	wg.Wait()
	h.at, h.verdict = time.Now(), nil
	for i, err := range failed {
		if err != nil {
			h.verdict = append(h.verdict, named[i].name)
		}
	}
	return h.verdict
}

// healthLive says that the process answers.
func (s *Server) healthLive(k *call) error {
	return replyData(k, http.StatusOK, map[string]string{"status": "live"})
}

// healthReady says whether requests should be sent here. A dependency that is down does not change that:
// it is down for every other process too.
func (s *Server) healthReady(k *call) error {
	if s.stopping.Load() {
		return fault.New(fault.Unavailable, "shutting_down", "this process is stopping")
	}
	return replyData(k, http.StatusOK, map[string]string{"status": "ready"})
}
