//go:build e2e

package chaos

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/tests/service"
)

// TestAFullDiskAnswers507AndLosesNothing lets the files grow to a limit: what was acknowledged stays, what does not
// fit is refused in words, reads go on, and everything is found once there is room again.
func TestAFullDiskAnswers507AndLosesNothing(t *testing.T) {
	s := service.Start(t, t.TempDir())
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	s.API.FileLimit = 6 << 20
	s.Restart()
	c := service.Client{URL: s.URL, Token: s.Token("default", "admin")}
	acknowledged, unknown := map[string]bool{}, 0
	var refusal service.Answer
	for n := 0; n < 2000 && refusal.Status == 0; n++ {
		body, keys := incompressible(n, 100)
		a, err := c.Do(t.Context(), http.MethodPost, "/api/v1/logs/bulk", body)
		switch {
		case err != nil:
			t.Fatal(err)
		case a.Status == http.StatusAccepted:
			for _, k := range keys {
				acknowledged[k] = true
			}
		default:
			refusal = a
			unknown += len(keys)
		}
	}
	if refusal.Status != http.StatusInsufficientStorage || !bytes.Contains(refusal.Body, []byte(`"code":"storage_full"`)) {
		t.Fatalf("after %d entries: %d %s", len(acknowledged), refusal.Status, refusal.Body)
	}
	if a, err := c.Do(t.Context(), http.MethodGet, "/api/v1/logs?limit=1", nil); err != nil || a.Status != http.StatusOK {
		t.Errorf("reading on a full disk: %v %d %s", err, a.Status, a.Body)
	}
	s.Kill()
	s.API.FileLimit = 0 // room again
	s.Restart()
	c.URL = s.URL
	service.Eventually(t, time.Minute, func() (bool, string) {
		n, err := c.Count(t.Context(), nil)
		return err == nil && n >= int64(len(acknowledged)), fmt.Sprintf("%d of %d found, %v", n, len(acknowledged), err)
	})
	found := map[string]int{}
	if err := c.Walk(t.Context(), nil, func(e map[string]any) { found[e["session_id"].(string)]++ }); err != nil {
		t.Fatal(err)
	}
	for key := range acknowledged {
		if found[key] != 1 {
			t.Errorf("%s is there %d times", key, found[key])
		}
	}
	if len(found) > len(acknowledged)+unknown {
		t.Errorf("%d found, %d acknowledged and %d unknown", len(found), len(acknowledged), unknown)
	}
	t.Logf("%d acknowledged before the disk was full, all found after", len(acknowledged))
}

// incompressible makes a batch that fills the disk fast, and the keys of its entries.
func incompressible(n, size int) (body []byte, keys []string) {
	var b strings.Builder
	b.WriteByte('[')
	x := uint64(n)*2654435761 + 1
	for i := range size {
		if i > 0 {
			b.WriteByte(',')
		}
		key := fmt.Sprintf("full-%d-%d", n, i)
		keys = append(keys, key)
		fmt.Fprintf(&b, `{"session_id":%q,"message":"`, key)
		for range 40 {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
			fmt.Fprintf(&b, "%016x", x)
		}
		b.WriteString(`"}`)
	}
	b.WriteByte(']')
	return []byte(b.String()), keys
}
