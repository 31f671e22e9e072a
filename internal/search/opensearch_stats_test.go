package search_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/search"
)

// TestWhatIsAskedForCounts holds the questions to what a cluster is to be asked: no entries, no part of the shards,
// an end in time, the tenant first.
func TestWhatIsAskedForCounts(t *testing.T) {
	f := newFake(t)
	var asked []string
	var params []string
	f.on = func(r *http.Request, body string) (int, string) {
		if !strings.HasSuffix(r.URL.Path, "/_search") {
			return 0, ""
		}
		asked, params = append(asked, body), append(params, r.URL.RawQuery)
		return http.StatusOK, `{"timed_out":false,"_shards":{"failed":0},"hits":{"total":{"value":7,"relation":"eq"}},"aggregations":{"0":{"doc_count_error_upper_bound":2,"buckets":[{"key":"billing","doc_count":5}]},` +
			`"first":{"value":1700000000000},"last":{"value":1700000001000},"times":{"buckets":[{"key":1700000000000,"doc_count":7,"severities":{"buckets":[{"key":4,"doc_count":6}]}}]}}}`
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	s, err := f.open(t, search.OpenSearchConfig{}).Stats(ctx, authtest.Tenant(t, "acme"), query.Query{Where: query.Term{Field: query.Action, Value: `x"}`}},
		search.StatsRequest{Facets: []query.Field{query.Service}, Top: 3, Interval: search.Interval{Auto: true}})
	if err != nil || s.Total != 7 || len(s.Facets) != 1 || s.Facets[0].Exact || s.Facets[0].Values[0] != (search.Count{Value: "billing", Count: 5}) ||
		s.Histogram.Interval != time.Second || s.Histogram.Buckets[0].BySeverity[4] != 6 {
		t.Errorf("%+v %+v, %v", s, s.Histogram, err)
	}
	filter := `{"size":0,"query":{"bool":{"filter":[{"term":{"tenant_id":"` + authtest.TenantID("acme") + `"}},{"term":{"action":"x\"}"}}]}},`
	want := []string{
		filter + `"track_total_hits":true,"aggs":{"0":{"terms":{"field":"service","size":3,"shard_size":5000}},"first":{"min":{"field":"timestamp"}},"last":{"max":{"field":"timestamp"}}}}`,
		filter + `"track_total_hits":false,"aggs":{"times":{"date_histogram":{"field":"timestamp","fixed_interval":"1s","min_doc_count":1},"aggs":{"severities":{"terms":{"field":"severity","size":6}}}}}}`,
	}
	for i := range want {
		if i >= len(asked) || asked[i] != want[i] {
			t.Errorf("asked %q\nwant  %q", asked, want[i])
		}
	}
	for _, p := range params {
		for _, part := range []string{"allow_partial_search_results=false", "cancel_after_time_interval=2", "preference=t-"} {
			if !strings.Contains(p, part) {
				t.Errorf("%s is not in %s", part, p)
			}
		}
	}
}

// TestACountThatFails has the cluster answer no counts.
func TestACountThatFails(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		kind   fault.Kind
		code   string
	}{
		"a shard is missing":    {200, `{"timed_out":false,"_shards":{"failed":1},"hits":{"total":{"value":7}}}`, fault.Unavailable, "opensearch_failed"},
		"it was out of time":    {200, `{"timed_out":true,"_shards":{"failed":0},"hits":{"total":{"value":7}}}`, fault.Timeout, "search_timeout"},
		"it was cancelled":      {500, `{"error":{"type":"search_phase_execution_exception","root_cause":[{"type":"task_cancelled_exception"}]}}`, fault.Timeout, "search_timeout"},
		"there are no times":    {200, `{"timed_out":false,"_shards":{"failed":0},"hits":{"total":{"value":7}}}`, fault.Internal, "opensearch_answer"},
		"what is no JSON comes": {200, `<html>`, fault.Unavailable, "opensearch_answer"},
	} {
		f := newFake(t)
		f.on = func(r *http.Request, _ string) (int, string) {
			if strings.HasSuffix(r.URL.Path, "/_search") {
				return c.status, c.body
			}
			return 0, ""
		}
		_, err := f.open(t, search.OpenSearchConfig{}).Stats(t.Context(), authtest.Tenant(t, "acme"), query.Query{}, search.StatsRequest{Interval: search.Interval{Auto: true}})
		if got := fault.Of(err); got == nil || got.Kind != c.kind || got.Code != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}
