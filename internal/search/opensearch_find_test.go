package search_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/search"
)

// TestASearchWaitsForAShardThatWasJustMade has a shard without a copy for some searches, and for ever.
func TestASearchWaitsForAShardThatWasJustMade(t *testing.T) {
	for name, c := range map[string]struct {
		missing int // searches that miss the shard
		kind    fault.Kind
	}{"for a moment": {3, 0}, "for ever": {1 << 30, fault.Unavailable}} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			asked := 0
			f.on = func(r *http.Request, _ string) (int, string) {
				if !strings.HasSuffix(r.URL.Path, "/_search") {
					return 0, ""
				}
				if asked++; asked <= c.missing {
					return http.StatusServiceUnavailable, `{"error":{"type":"search_phase_execution_exception","root_cause":[]}}`
				}
				return http.StatusOK, `{"timed_out":false,"_shards":{"failed":0},"hits":{"total":{"value":7,"relation":"eq"},"hits":[]}}`
			}
			page, err := f.open(t, search.OpenSearchConfig{}).Search(t.Context(), authtest.Tenant(t, "acme"), query.Query{Limit: 1, Total: query.TotalExact})
			if c.kind == 0 && (err != nil || page.Total != 7 || asked != c.missing+1) {
				t.Errorf("after %d searches: total %d, %v", asked, page.Total, err)
			}
			if c.kind != 0 && (fault.KindOf(err) != c.kind || asked < 3) {
				t.Errorf("after %d searches: %v", asked, err)
			}
		})
	}
}
