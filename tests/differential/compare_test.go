//go:build e2e

package differential

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// report collects the differences: it shows the first ones and counts all.
type report struct {
	t  *testing.T
	mu sync.Mutex
	n  int
}

const shown = 20

// differs notes that the systems, asked the same, do not say the same.
func (r *report) differs(asked fmt.Stringer, a [2]answer, format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n++
	if r.n > shown {
		r.t.Fail()
		return
	}
	r.t.Errorf("%s\n  %.1200s\n  embedded: %d %s %.700s\n  deployed: %d %s %.700s", fmt.Sprintf(format, args...), asked,
		a[0].status, show(a[0].header), a[0].body, a[1].status, show(a[1].header), a[1].body)
}

func (r *report) summary() {
	if r.n > shown {
		r.t.Errorf("%d differences; the first %d are shown", r.n, shown)
	}
}

func show(h map[string][]string) string {
	var b strings.Builder
	for _, name := range []string{"Content-Type", "Retry-After", "Www-Authenticate", "Allow"} {
		if v, ok := h[name]; ok {
			fmt.Fprintf(&b, "%s: %s ", name, strings.Join(v, ", "))
		}
	}
	return strings.TrimSpace(b.String())
}

// own are the headers whose values are each system's own; that they are there is compared. net/http gives a length
// to small bodies only, and entries of one time are of any size.
var own = []string{"Date", "X-Request-Id", "Retry-After", "Set-Cookie", "Location", "Content-Disposition"}

// sameHead compares status and headers.
func sameHead(a [2]answer) string {
	if a[0].status != a[1].status {
		return "the status differs"
	}
	names := func(h map[string][]string) []string {
		all := slices.Sorted(maps.Keys(h))
		return slices.DeleteFunc(all, func(name string) bool { return name == "Content-Length" })
	}
	if !slices.Equal(names(a[0].header), names(a[1].header)) {
		return fmt.Sprintf("the headers differ: %q and %q", names(a[0].header), names(a[1].header))
	}
	for name, v := range a[0].header {
		if name != "Content-Length" && !slices.Contains(own, name) && !slices.Equal(v, a[1].header[name]) {
			return fmt.Sprintf("the header %s differs: %q and %q", name, v, a[1].header[name])
		}
	}
	return ""
}

// sameProblem compares two refusals byte by byte, but for the request's id.
func sameProblem(a [2]answer) bool {
	var text [2][]byte
	for side := range a {
		text[side] = a[side].body
		if id := a[side].header.Get("X-Request-Id"); id != "" {
			text[side] = bytes.ReplaceAll(text[side], []byte(id), []byte("ID"))
		}
	}
	return bytes.Equal(text[0], text[1])
}

// pairs are the ids of the embedded system with those of the deployed one. An id is made from the tenant's
// internal id, which is another one in each installation, or of the clock: the ids differ, but what is the same
// entry in one system must be the same entry in the other.
type pairs struct {
	mu    sync.Mutex
	to    [2]map[string]string // from an id of one side to the other's
	label map[string]int       // of an id of the embedded system
}

func newPairs() *pairs {
	return &pairs{to: [2]map[string]string{{}, {}}, label: map[string]int{}}
}

// add notes that both systems gave these ids to one entry, false where they did not do so before.
func (p *pairs) add(a, b string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	had, seen := p.to[0][a]
	back, seenBack := p.to[1][b]
	if seen || seenBack {
		return had == b && back == a
	}
	p.to[0][a], p.to[1][b] = b, a
	p.label[a] = len(p.label)
	return len(a) == 36 && len(b) == 36 && a[14] == b[14] // the version says what the id was made from
}

// labelOf is the number of the entry with an id on a side; -1 for none that was answered.
func (p *pairs) labelOf(side int, id string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if side == 1 {
		id = p.to[1][id]
	}
	if n, ok := p.label[id]; ok {
		return n
	}
	return -1
}

var uuids = regexp.MustCompile(`(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// deployed is a target with the ids of the embedded system replaced by those of the deployed one.
func (p *pairs) deployed(target string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return uuids.ReplaceAllStringFunc(target, func(id string) string {
		if other, ok := p.to[0][strings.ToLower(id)]; ok {
			return other
		}
		return id
	})
}

// targets are a target as each system is asked.
func (p *pairs) targets(target string) [2]string { return [2]string{target, p.deployed(target)} }

// place is where an entry stands in a result.
type place struct {
	label int
	at    string // the time that it is sorted by; what came without one has the same: receipt is each system's own
	sort  string // what the system sorted by, to check its own order
}

// sameOrder compares two results. Entries of one time are in the order of their ids, which are each system's own:
// such a run is compared as a set. Of a run that is cut at an end only the length can be compared.
func sameOrder(a, b []place, cutBefore, cutAfter bool) string {
	if len(a) != len(b) {
		return fmt.Sprintf("%d entries and %d", len(a), len(b))
	}
	for i := 0; i < len(a); {
		end := i
		for end < len(a) && a[end].at == a[i].at {
			end++
		}
		labels := func(of []place) (out []int) {
			for _, p := range of[i:end] {
				if p.at != a[i].at {
					return nil
				}
				out = append(out, p.label)
			}
			slices.Sort(out)
			return out
		}
		x, y := labels(a), labels(b)
		switch {
		case y == nil:
			return fmt.Sprintf("from %d on the times differ: %s and %s", i, a[i].at, b[i].at)
		case i == 0 && cutBefore || end == len(a) && cutAfter:
		case !slices.Equal(x, y):
			return fmt.Sprintf("at %s: entries %v and %v", a[i].at, x, y)
		}
		i = end
	}
	return ""
}

// inOrder says whether a result is sorted by what each system sorts by itself.
func inOrder(of []place, newestFirst bool) bool {
	for i := 1; i < len(of); i++ {
		if before, after := of[i-1].sort, of[i].sort; newestFirst && before <= after || !newestFirst && before >= after {
			return false
		}
	}
	return true
}

// sortKey is a time and an id as text that sorts as they do.
func sortKey(ns int64, id string) string {
	b, _ := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
	return fmt.Sprintf("%020d", ns) + string(b)
}
