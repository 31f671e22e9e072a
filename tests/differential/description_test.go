//go:build e2e

package differential

import (
	"fmt"
	"sync"
	"testing"

	"github.com/ocelot-log/ocelot/tests/contract"
)

// description is the description of the API that the service itself answers.
type description struct {
	*contract.Description

	mu     sync.Mutex
	failed map[string]bool
}

func readDescription(t *testing.T, text []byte) *description {
	t.Helper()
	d, err := contract.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	return &description{Description: d, failed: map[string]bool{}}
}

// check validates what both systems answered on a route; on none it must be a problem.
func (d *description) check(t *testing.T, method, route string, a [2]answer) {
	for side := range a {
		err := d.Check(method, route, a[side].status, a[side].header, a[side].body)
		if err == nil {
			continue
		}
		d.mu.Lock()
		what := fmt.Sprint(method, route, a[side].status, sideNames[side])
		again := d.failed[what]
		d.failed[what] = true
		d.mu.Unlock()
		if again {
			t.Fail() // said once of each kind
			continue
		}
		t.Errorf("the description has another answer to %s %s than %s: %v\n  %d %.1000s", method, route, sideNames[side], err, a[side].status, a[side].body)
	}
}
