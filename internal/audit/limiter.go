package audit

import (
	"sync"
	"time"
)

// limiter lets as many through in a minute as it may, for each tenant.
type limiter struct {
	most int

	mu     sync.Mutex
	minute int64
	seen   map[string]*minute
}

// minute is what came of one tenant in the minute at hand.
type minute struct {
	admitted int
	left     int // since one was admitted the last time
}

// admit says whether one more may pass, and how many before it did not.
func (l *limiter) admit(tenantID string, now time.Time) (left int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at := now.Unix() / 60; at != l.minute || l.seen == nil {
		old := l.seen
		l.minute, l.seen = at, map[string]*minute{}
		for id, m := range old { // what was left out is told by the next one, however late it comes
			if m.left > 0 {
				l.seen[id] = &minute{left: m.left}
			}
		}
	}
	m := l.seen[tenantID]
	if m == nil {
		m = &minute{}
		l.seen[tenantID] = m
	}
	if m.admitted >= l.most {
		m.left++
		return 0, false
	}
	left = m.left
	m.admitted, m.left = m.admitted+1, 0
	return left, true
}
