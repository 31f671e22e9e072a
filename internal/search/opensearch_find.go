package search

import (
	"context"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
)

const (
	// lenient takes an alias without indices as one without entries.
	lenient = "ignore_unavailable=true&allow_no_indices=true&expand_wildcards=open"
	// searchQuery refuses an answer that leaves a shard out.
	searchQuery = lenient + "&allow_partial_search_results=false&filter_path=error.type,error.root_cause.type,timed_out,_shards.failed,hits.total,hits.hits.sort"
)

// found is the answer to a search.
type found struct {
	TimedOut bool `json:"timed_out"`
	Shards   struct {
		Failed int `json:"failed"`
	} `json:"_shards"`
	Hits struct {
		Total struct {
			Value    int64  `json:"value"`
			Relation string `json:"relation"`
		} `json:"total"`
		Hits []struct {
			Sort []int64 `json:"sort"` // nanoseconds, id_high, id_low
		} `json:"hits"`
	} `json:"hits"`
	Aggregations map[string]aggregation `json:"aggregations"`
}

func (o *OpenSearch) searchPath() string { return "/" + o.cfg.Prefix + "/_search" }

// Search asks all indices at once: OpenSearch skips shards whose times can't match. The index is sorted
// as the first page mostly is, so that reading it stops early.
func (o *OpenSearch) Search(ctx context.Context, t auth.Tenant, q query.Query) (query.Page, error) {
	leave, err := o.enter()
	if err != nil {
		return query.Page{}, err
	}
	defer leave()
	where := compileClause(q.Where)
	if t.IsZero() || where.constant == none {
		return empty(q), nil
	}
	f, err := o.ask(ctx, t, "search", searchQuery, searchBody(t.ID(), where, q))
	if err != nil {
		return query.Page{}, err
	}
	page := query.Page{Total: -1}
	if q.Total != query.TotalNone {
		page.Total, page.Exact = f.Hits.Total.Value, true
		if q.Total == query.TotalBounded && page.Total > query.MaxTotal {
			page.Total, page.Exact = query.MaxTotal, false
		}
	}
	hits := f.Hits.Hits
	page.More = len(hits) > q.Limit
	page.Hits = make([]query.Hit, 0, min(len(hits), q.Limit))
	for _, h := range hits[:min(len(hits), q.Limit)] {
		if len(h.Sort) != 3 {
			return query.Page{}, fault.New(fault.Internal, "opensearch_answer", "a hit without its place")
		}
		page.Hits = append(page.Hits, query.Hit{Position: query.Position{At: time.Unix(0, h.Sort[0]).UTC(), ID: idOf(h.Sort[1], h.Sort[2])}})
	}
	return page, nil
}

// ask sends a tenant's search, bounded by ctx and the call timeout: whichever ends it, the cluster stops too.
func (o *OpenSearch) ask(ctx context.Context, t auth.Tenant, doing, params string, body []byte) (found, error) {
	if err := o.silence.broken(o.at); err != nil {
		return found{}, fault.Wrap(err, doing)
	}
	left := o.cfg.CallTimeout
	if deadline, is := ctx.Deadline(); is {
		left = min(left, time.Until(deadline))
	}
	ctx, done := o.watch(ctx, left)
	defer done()
	// A tenant's searches go to the same copies of the shards, whose memory they warm.
	return o.page(ctx, request{method: "POST", path: o.searchPath(), body: body,
		query: params + "&preference=" + url.QueryEscape("t-"+t.ID()) + "&cancel_after_time_interval=" + strconv.FormatInt(max(1, left.Milliseconds()), 10) + "ms"}, doing)
}

// A shard that was just made, or that moves, is nowhere for some tens of milliseconds, and a search in that
// moment fails as a whole: every midnight with the new day's index. It is tried again for so long.
const (
	shardPatience = time.Second
	shardPause    = 50 * time.Millisecond
)

// missesShard says that a search failed because no copy of a shard was there.
func missesShard(a answer) bool {
	return a.status == http.StatusServiceUnavailable && a.failure().Type == "search_phase_execution_exception"
}

// callOnShards is call that waits a moment for a shard without a copy.
func (o *OpenSearch) callOnShards(ctx context.Context, r request) (answer, error) {
	for until := time.Now().Add(shardPatience); ; {
		a, err := o.call(ctx, r)
		if err != nil || !missesShard(a) || time.Now().After(until) {
			return a, err
		}
		select {
		case <-ctx.Done():
			return a, err
		case <-time.After(shardPause):
		}
	}
}

// page sends a search and refuses an answer that is not whole.
func (o *OpenSearch) page(ctx context.Context, r request, doing string) (f found, err error) {
	a, err := o.callOnShards(ctx, r)
	if err := o.fault(doing, a, err); err != nil {
		return f, err
	}
	switch err := json.Unmarshal(a.body, &f); {
	case err != nil:
		return f, fault.Wrap(fault.As(fault.Unavailable, "opensearch_answer", err), doing)
	case f.TimedOut:
		return f, fault.Wrap(fault.New(fault.Timeout, "search_timeout", "the search took too long"), doing)
	case f.Shards.Failed > 0:
		return f, fault.Wrap(fault.New(fault.Unavailable, "opensearch_failed", "a part of the index did not answer"), doing)
	}
	return f, nil
}

// conditions are the query of a question. The tenant is the first condition, whatever else is asked.
func conditions(tenant string, where clause) string {
	filter, not := []string{is("tenant_id", tenant).json}, []string(nil)
	switch {
	case where.constant == all:
	case where.negative:
		not = append(not, where.json)
	default:
		filter = append(filter, where.json)
	}
	return boolQuery(filter, not)
}

// searchBody is a question for entries.
func searchBody(tenant string, where clause, q query.Query) []byte {
	b := append([]byte(`{"query":`), conditions(tenant, where)...)
	field, order := "timestamp", "desc"
	if q.Sort == query.ReceivedNewestFirst || q.Sort == query.ReceivedOldestFirst {
		field = "received_at"
	}
	if q.Sort == query.OldestFirst || q.Sort == query.ReceivedOldestFirst {
		order = "asc"
	}
	b = append(b, `,"sort":[{"`+field+`":"`+order+`"},{"id_high":"`+order+`"},{"id_low":"`+order+`"}]`...)
	b = strconv.AppendInt(append(b, `,"size":`...), int64(q.Limit+1), 10) // one more tells whether there is more
	if q.Skip > 0 {
		b = strconv.AppendInt(append(b, `,"from":`...), int64(q.Skip), 10)
	}
	if q.After != nil {
		high, low := sortHalves(q.After.ID)
		b = strconv.AppendInt(append(b, `,"search_after":[`...), sortTime(q.After.At), 10)
		b = strconv.AppendInt(append(b, ','), high, 10)
		b = strconv.AppendInt(append(b, ','), low, 10)
		b = append(b, ']')
	}
	total := "false"
	switch q.Total {
	case query.TotalExact:
		total = "true"
	case query.TotalBounded:
		total = strconv.Itoa(query.MaxTotal + 1) // to know whether there are more
	}
	return append(b, `,"track_total_hits":`+total+`,"_source":false,"stored_fields":"_none_"}`...)
}

// sortTime is the place of a time among those of the index.
func sortTime(t time.Time) int64 {
	switch {
	case t.Unix() < 0:
		return -1
	case !inNanoseconds(t):
		return math.MaxInt64
	}
	return t.UnixNano()
}
