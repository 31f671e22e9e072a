//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/tests/service"
)

const strangersPerMin = 600

// TestTwoAPIsHoldALimitTogether floods two API processes from many clients with tokens of their own, and counts what
// they let in.
func TestTwoAPIsHoldALimitTogether(t *testing.T) {
	const perMin, clients, size, lasts = 6_000, 8, 25, 8 * time.Second
	s := service.Deploy(t, service.NewServers(t), 0, fmt.Sprint("TENANT_RATE_LIMIT_PER_MIN=", perMin), fmt.Sprint("RATE_LIMIT_PER_MIN=", strangersPerMin))
	urls := []string{s.URL, s.AddAPI()}
	body := []byte(strings.Repeat(`{"message":"flood"}`+"\n", size))
	var (
		in, refused atomic.Int64
		wg          sync.WaitGroup
	)
	tokens := make([]string, clients)
	for i := range tokens {
		tokens[i] = s.Token("default", "writer")
	}
	began := time.Now()
	for i := range clients {
		wg.Go(func() {
			for n := i; time.Since(began) < lasts; n++ {
				a, err := described(t, urls[n%2], tokens[i]).Do(t.Context(), http.MethodPost, "/api/v1/logs/bulk", body, "Content-Type: application/x-ndjson")
				switch {
				case err != nil:
					t.Error(err)
				case a.Status == http.StatusAccepted:
					in.Add(size)
				case a.Status != http.StatusTooManyRequests || a.Header.Get("RateLimit") == "" || a.Header.Get("Retry-After") == "":
					t.Errorf("%d %s", a.Status, a.Body)
				default:
					refused.Add(1)
				}
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	wg.Wait()
	want := perMin + perMin*time.Since(began).Minutes()
	over := 100 * (float64(in.Load()) - want) / want
	t.Logf("%d entries let in by two processes of %.0f by one bucket: %+.1f %%; %d requests refused", in.Load(), want, over, refused.Load())
	if over > 10 || over < -10 {
		t.Errorf("%+.1f %%", over)
	}
	c := described(t, "", s.Token("default", "reader"))
	for _, c.URL = range urls {
		service.Eventually(t, 10*time.Second, func() (bool, string) {
			a, err := c.Do(t.Context(), http.MethodGet, "/api/v1/usage", nil)
			if err != nil || a.Status != http.StatusOK {
				return false, fmt.Sprintf("%d %s %v", a.Status, a.Body, err)
			}
			var u struct {
				Data struct{ Days []struct{ Entries int64 } }
			}
			if err := json.Unmarshal(a.Body, &u); err != nil {
				return false, err.Error()
			}
			sum := u.Data.Days[0].Entries + u.Data.Days[1].Entries // midnight may have passed
			return sum == in.Load(), fmt.Sprintf("%s says %d, %d were let in", c.URL, sum, in.Load())
		})
	}
	t.Run("of an address", func(t *testing.T) { floodOfStrangers(t, urls) })
}

// floodOfStrangers sends wrong keys to both processes. Here one that hears late of the other is allowed for, since the
// servers share the machine; TestProcessesCountAnAddressTogether holds them to a tenth.
func floodOfStrangers(t *testing.T, urls []string) {
	const lasts = 8 * time.Second
	var (
		in, refused atomic.Int64
		wg          sync.WaitGroup
	)
	began := time.Now()
	for _, url := range urls {
		c := described(t, url, "")
		wg.Go(func() {
			for time.Since(began) < lasts || refused.Load() < 100 && time.Since(began) < time.Minute {
				a, err := c.Do(t.Context(), http.MethodGet, "/api/v1/logs", nil, "X-API-Key: ocelot_0123456789_0123456789abcdefghijklmnopqrstuv")
				switch {
				case err != nil:
					t.Error(err)
				case a.Status == http.StatusUnauthorized:
					in.Add(1)
				case a.Status != http.StatusTooManyRequests || a.Header.Get("Retry-After") == "":
					t.Errorf("%d %s", a.Status, a.Body)
				default:
					refused.Add(1)
				}
				time.Sleep(8 * time.Millisecond)
			}
		})
	}
	wg.Wait()
	one := strangersPerMin + strangersPerMin*time.Since(began).Minutes()
	t.Logf("%d let in by two processes of %.0f by one alone, %d refused", in.Load(), one, refused.Load())
	if float64(in.Load()) > 1.3*one || refused.Load() == 0 {
		t.Errorf("%d let in, %d refused", in.Load(), refused.Load())
	}
}
