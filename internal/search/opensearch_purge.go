package search

import (
	"context"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/internal/fault"
)

// PurgeTenant deletes some of a tenant's documents by query, of all days.
func (o *OpenSearch) PurgeTenant(ctx context.Context, tenantID string, max int) (n int64, more bool, err error) {
	return o.purge(ctx, tenantID, nil, max)
}

// PurgeOld goes by received_at, to the nanosecond, and not by the days in the names of the indices. Those of days that
// are younger are passed over by the cluster at once.
func (o *OpenSearch) PurgeOld(ctx context.Context, tenantID string, before time.Time, max int) (n int64, more bool, err error) {
	return o.purge(ctx, tenantID, object{"range": object{"received_at": object{"lt": jsontext.Value(appendMillis(nil, before))}}}, max)
}

// purge deletes some of a tenant's documents, those that narrow finds where it is not nil. Documents that others change
// or delete at the same time are left to the next step.
func (o *OpenSearch) purge(ctx context.Context, tenantID string, narrow object, max int) (n int64, more bool, err error) {
	leave, err := o.enter()
	if err != nil {
		return 0, false, err
	}
	defer leave()
	if tenantID == "" {
		return 0, false, nil
	}
	const doing = "purge a tenant"
	which := []object{{"term": object{"tenant_id": tenantID}}}
	if narrow != nil {
		which = append(which, narrow)
	}
	// What was added and not refreshed yet is not found by a query.
	a, err := o.call(ctx, request{method: "POST", path: "/" + o.cfg.Prefix + "/_refresh", query: lenient})
	if err := o.fault(doing, a, err); err != nil {
		return 0, false, err
	}
	a, err = o.call(ctx, request{method: "POST", path: "/" + o.cfg.Prefix + "/_delete_by_query",
		query: lenient + "&conflicts=proceed&wait_for_completion=true&scroll=2m&scroll_size=1000&max_docs=" + strconv.Itoa(max),
		body:  encode(object{"query": object{"bool": object{"filter": which}}})})
	if err := o.fault(doing, a, err); err != nil {
		return 0, false, err
	}
	var done struct {
		Deleted   int64 `json:"deleted"`
		Total     int64 `json:"total"`
		Conflicts int64 `json:"version_conflicts"`
		Failures  []any `json:"failures"`
	}
	if err := json.Unmarshal(a.body, &done); err != nil {
		return 0, false, fault.As(fault.Internal, "opensearch_answer", err)
	}
	if len(done.Failures) > 0 {
		return done.Deleted, true, &fault.Error{Kind: fault.Unavailable, Code: "opensearch_failed", Detail: "OpenSearch at " + o.at + " could not delete some documents; it is tried again"}
	}
	return done.Deleted, done.Total > 0, nil
}
