//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/tests/service"
)

// TestAWalkGivesWhatWasThereOnceWhileOthersWrite walks by cursor, in each order, over entries that were there before, while
// entries come that match too and lie anywhere among them. WALK_ENTRIES is how many were there (3,000; 200000 for
// the whole of it), WALK_RATE how many come a second (1000).
func TestAWalkGivesWhatWasThereOnceWhileOthersWrite(t *testing.T) {
	n, rate := fromEnv(t, "WALK_ENTRIES", 3000), fromEnv(t, "WALK_RATE", 1000)
	orders := []string{"-timestamp", "timestamp", "-received_at", "received_at"}
	for _, c := range []struct {
		name  string
		start func() *service.System
	}{
		{"embedded", func() *service.System { return service.Start(t, t.TempDir()) }},
		{"deployed", func() *service.System { return service.Deploy(t, service.NewServers(t), 1) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "deployed" && os.Getenv("TEST_MONGODB_URI") == "" {
				t.Skip(`no servers: make services-up; eval "$(tests/services/services test-env)"`)
			}
			own := c.start()
			s := &system{described(t, own.URL, own.Token("default", "admin")), own}
			w := &walkWriter{s: s, began: time.Now().Add(-48 * time.Hour).UTC(), n: n}
			for from := 0; from < n; from += 1000 {
				w.post(t.Context(), t, "old", from, min(1000, n-from))
			}
			all := url.Values{"session_id": {"walk"}}
			service.Eventually(t, 10*time.Minute, func() (bool, string) {
				found, err := s.Count(t.Context(), all)
				return err == nil && found == int64(n), fmt.Sprintf("%d of %d, %v", found, n, err)
			})

			ctx, stop := context.WithCancel(t.Context())
			wrote := make(chan struct{})
			go func() {
				defer close(wrote)
				w.keepWriting(ctx, t, rate)
			}()
			defer func() { stop(); <-wrote }()
			for _, sort := range orders {
				before, began := w.came.Load(), time.Now()
				for w.came.Load() == before { // they come all the while
					time.Sleep(time.Millisecond)
				}
				seen := map[string]int{}
				err := s.Walk(t.Context(), url.Values{"session_id": {"walk"}, "sort": {sort}, "limit": {strconv.Itoa(min(1000, max(50, n/30)))}}, func(e map[string]any) {
					seen[e["event_id"].(string)]++
				})
				if err != nil {
					t.Fatal(err)
				}
				missing, doubled, come := 0, 0, 0
				for i := range n {
					if seen[fmt.Sprint("old-", i)] == 0 {
						missing++
					}
				}
				for id, times := range seen {
					if times > 1 {
						doubled++
					}
					if strings.HasPrefix(id, "new-") {
						come++
					}
				}
				if missing > 0 || doubled > 0 {
					t.Errorf("in the order %s %d of %d are missing, %d come more than once", sort, missing, n, doubled)
				}
				t.Logf("%s: %d entries that were there, %d of those that came, in %s, in which %d were written", sort, n-missing, come, time.Since(began).Round(time.Millisecond), w.came.Load()-before)
			}
		})
	}
}

// walkWriter writes the entries that a walk goes over.
type walkWriter struct {
	s     *system
	began time.Time
	n     int
	came  atomic.Int64 // entries that were accepted while it walks
}

// post writes entries whose times are spread over two days, each number at a place of its own.
func (w *walkWriter) post(ctx context.Context, t *testing.T, kind string, from, count int) {
	var body []byte
	for i := from; i < from+count; i++ {
		at := w.began.Add(time.Duration(i*7919%w.n) * 47 * time.Hour / time.Duration(w.n))
		body = fmt.Appendf(body, `{"timestamp":%q,"service":"walk","session_id":"walk","event_id":"%s-%d","message":"entry %d of those that are %s"}`+"\n", at.Format(time.RFC3339Nano), kind, i, i, kind)
	}
	a, err := w.s.Do(ctx, http.MethodPost, "/api/v1/logs/bulk", body, "Content-Type: application/x-ndjson")
	if ctx.Err() == nil && (err != nil || a.Status != http.StatusAccepted) {
		t.Errorf("%v, %d %s", err, a.Status, a.Body)
	}
}

func (w *walkWriter) keepWriting(ctx context.Context, t *testing.T, rate int) {
	const each = 50
	tick := time.NewTicker(time.Second * each / time.Duration(rate))
	defer tick.Stop()
	for i := 0; ; i += each {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		w.post(ctx, t, "new", i, each)
		w.came.Add(each)
	}
}

func fromEnv(t *testing.T, name string, normal int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return normal
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q; it is a number from 1 on", name, text)
	}
	return n
}
