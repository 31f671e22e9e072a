package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// walk asks for page after page, calls between after each, and returns how often each entry came and how many were
// said to have expired.
func (w *world) walk(t *testing.T, header http.Header, params url.Values, between func()) (seen map[any]int, expired int) {
	t.Helper()
	seen = map[any]int{}
	for {
		f := w.search(t, header, params.Encode())
		expired += f.Meta.Expired
		for _, e := range f.Data {
			seen[e["message"]]++
		}
		if f.Meta.Pagination.Next == nil {
			return seen, expired
		}
		params.Set("cursor", *f.Meta.Pagination.Next)
		between()
	}
}

// TestEntriesThatExpireDuringAWalk is G5: the index still finds what the record does not have any more.
func TestEntriesThatExpireDuringAWalk(t *testing.T) {
	w := newWorld(t)
	numbered := func(from, to int) (entries []logentry.Entry) {
		for i := from; i < to; i++ {
			entries = append(entries, logentry.Entry{Message: fmt.Sprint(i), Timestamp: time.Now().Add(-time.Duration(i) * time.Second)})
		}
		return entries
	}
	w.put(t, "acme", numbered(4, 10)...)
	time.Sleep(time.Millisecond)
	middle := time.Now()
	w.put(t, "acme", numbered(0, 4)...)
	seen, expired := w.walk(t, authHeader(t, "acme", "reader"), url.Values{"limit": {"3"}}, func() {
		_, err := w.store.PurgeOld(t.Context(), authtest.TenantID("acme"), middle, "", 1000)
		must(t, err)
	})
	if fmt.Sprint(seen) != "map[0:1 1:1 2:1 3:1]" || expired != 6 {
		t.Errorf("%v, %d expired", seen, expired)
	}
}

// TestAWalkGoesBeyondTenThousand is G6.
func TestAWalkGoesBeyondTenThousand(t *testing.T) {
	if testing.Short() {
		t.Skip("long and of one goroutine: run without -short")
	}
	w := newWorld(t)
	const n = 10_500
	entries := make([]logentry.Entry, n)
	for i := range entries {
		entries[i] = logentry.Entry{Message: fmt.Sprint(i)}
	}
	w.put(t, "acme", entries...)
	pages := 0
	seen, expired := w.walk(t, authHeader(t, "acme", "reader"), url.Values{"limit": {"1000"}}, func() { pages++ })
	if len(seen) != n || expired != 0 || pages != 10 {
		t.Errorf("%d of %d entries, %d expired, %d pages more", len(seen), n, expired, pages)
	}
	for message, times := range seen {
		if times != 1 {
			t.Errorf("%s came %d times", message, times)
		}
	}
}
