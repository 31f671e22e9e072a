//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/tests/service"
)

// TestOldEntriesAreDeletedAndTheOthersStay deletes by the command, as people do.
func TestOldEntriesAreDeletedAndTheOthersStay(t *testing.T) {
	s := start(t)
	mark := fmt.Sprintf("olden%d", time.Now().UnixNano())
	post := func(n int, text string) {
		var lines strings.Builder
		for i := range n {
			fmt.Fprintf(&lines, `{"message":"%s %s %d"}`+"\n", mark, text, i)
		}
		a, err := s.Do(t.Context(), http.MethodPost, "/api/v1/logs/bulk", []byte(lines.String()), "Content-Type: application/x-ndjson")
		if err != nil || a.Status != http.StatusAccepted {
			t.Fatalf("%v, %d %s", err, a.Status, a.Body)
		}
	}
	post(300, "stale")
	s.settles(t, url.Values{"q": {mark}}, 300)
	time.Sleep(2 * time.Millisecond) // the time in between is told in milliseconds
	before := time.Now().UTC().Truncate(time.Millisecond)
	post(5, "fresh")
	s.settles(t, url.Values{"q": {mark}}, 305)
	out, err := s.own.Run(nil, "delete", "--url", s.URL, "--token", s.Token, "--before", before.Format(time.RFC3339Nano), "--yes")
	if err != nil || !strings.Contains(out, "is being deleted; job old-") {
		t.Fatalf("%s, %v", out, err)
	}
	service.Eventually(t, 90*time.Second, func() (bool, string) {
		n := s.count(t, url.Values{"q": {mark + " stale"}})
		return n == 0, fmt.Sprintf("%d are left", n)
	})
	if n := s.count(t, url.Values{"q": {mark}}); n != 5 {
		t.Errorf("%d are left, want the 5 younger ones", n)
	}
	// From the record too, where the entry lies that the index may have forgotten.
	a, err := s.Do(t.Context(), http.MethodGet, "/api/v1/logs/export?format=ndjson&q="+mark, nil)
	if err != nil || a.Status != http.StatusOK || strings.Count(string(a.Body), mark+" fresh") != 5 || strings.Contains(string(a.Body), mark+" stale") {
		t.Errorf("%v, %d %.500s", err, a.Status, a.Body)
	}
	// Who asked is younger than what was deleted, and stays.
	s.settles(t, url.Values{"audit": {"only"}, "action": {"DELETE"}, "resource_type": {"entries"}}, 1)
}
