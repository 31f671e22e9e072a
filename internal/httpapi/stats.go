package httpapi

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ocelot-log/ocelot/internal/audit"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// statsAnswer is what is counted, as JSON. What was not asked for is not there.
type statsAnswer struct {
	Total     int64                   `json:"total"`
	Relation  string                  `json:"relation"`
	Facets    map[string][]valueCount `json:"facets,omitzero"`
	Histogram *histogram              `json:"histogram,omitzero"`
	Metrics   map[string]metric       `json:"metrics,omitzero"`
}

// summary is of numbers. What has no value, because there are no numbers or none that JSON has a form for, is null.
type summary struct {
	Count int64    `json:"count"`
	Sum   *float64 `json:"sum"`
	Min   *float64 `json:"min"`
	Max   *float64 `json:"max"`
	Avg   *float64 `json:"avg"`
	P50   *float64 `json:"p50"`
	P95   *float64 `json:"p95"`
	P99   *float64 `json:"p99"`
}

type metric struct {
	summary
	Groups []group `json:"groups,omitzero"`
}

type group struct {
	Value string `json:"value"`
	summary
}

type valueCount struct {
	Value string `json:"value"`
	Count int64  `json:"count"`
}

type histogram struct {
	Interval string   `json:"interval"`
	Buckets  []bucket `json:"buckets"`
}

type bucket struct {
	Start      time.Time        `json:"start"`
	Count      int64            `json:"count"`
	BySeverity map[string]int64 `json:"by_severity"`
}

type statsMeta struct {
	TookMS      int64    `json:"took_ms"`
	Source      string   `json:"source"`
	Approximate []string `json:"approximate,omitzero"` // facets with so many values that some counts may be low
}

// logStats counts what the filters of the URL find.
func (s *Server) logStats(k *call) error {
	started := time.Now()
	q, params, err := asked(k, started, "facets", "top", "interval", "metrics", "group_by")
	if err != nil {
		return err
	}
	r, err := statsRequest(params)
	if err != nil {
		return err
	}
	found, err := s.stats(k, q, r)
	if err != nil {
		return err
	}
	answer := statsAnswer{Total: found.Total, Relation: "eq"}
	meta := statsMeta{Source: "index"}
	if len(found.Facets) > 0 {
		answer.Facets = map[string][]valueCount{}
	}
	for _, f := range found.Facets {
		name := f.Field.String()
		answer.Facets[name] = counts(f.Values)
		if !f.Exact {
			meta.Approximate = append(meta.Approximate, name)
		}
	}
	if h := found.Histogram; h != nil {
		answer.Histogram = &histogram{Interval: intervalText(h.Interval), Buckets: buckets(h.Buckets)}
	}
	if len(found.Metrics) > 0 {
		answer.Metrics = map[string]metric{}
	}
	for _, m := range found.Metrics {
		answer.Metrics["metadata."+m.Path] = metric{summaryOf(m.Summary), groups(m.Groups, r.GroupBy)}
	}
	if err := s.audited(k, audit.Event{Action: audit.Read, ResourceType: "counts", Params: params, Took: time.Since(started), Source: "index"}); err != nil {
		return err
	}
	meta.TookMS = time.Since(started).Milliseconds()
	return replyMeta(k, http.StatusOK, answer, meta)
}

func counts(values []search.Count) []valueCount {
	out := make([]valueCount, len(values))
	for i, v := range values {
		out[i] = valueCount(v)
	}
	return out
}

func summaryOf(s search.Summary) summary {
	out := summary{Count: s.Count}
	if s.Count == 0 {
		return out
	}
	for _, v := range []struct {
		from float64
		to   **float64
	}{{s.Sum, &out.Sum}, {s.Min, &out.Min}, {s.Max, &out.Max}, {s.Avg, &out.Avg}, {s.P50, &out.P50}, {s.P95, &out.P95}, {s.P99, &out.P99}} {
		if !math.IsInf(v.from, 0) && !math.IsNaN(v.from) {
			*v.to = &v.from
		}
	}
	return out
}

// groups are there, even without one, where they were asked for.
func groups(found []search.Group, by query.Field) []group {
	if by == query.FieldNone {
		return nil
	}
	out := make([]group, len(found))
	for i, g := range found {
		out[i] = group{g.Value, summaryOf(g.Summary)}
	}
	return out
}

func buckets(found []search.Bucket) []bucket {
	out := make([]bucket, len(found))
	for i, b := range found {
		out[i] = bucket{Start: b.Start, Count: b.Count, BySeverity: map[string]int64{}}
		for n, count := range b.BySeverity {
			if count > 0 {
				out[i].BySeverity[logentry.Severity(n).String()] = count
			}
		}
	}
	return out
}

// replyMeta sends {"data":…,"meta":…}.
func replyMeta(k *call, status int, data, meta any) error {
	return replyJSON(k, status, struct {
		Data any `json:"data"`
		Meta any `json:"meta"`
	}{data, meta})
}

// ofPages are the parameters that only a list of entries has.
var ofPages = []string{"sort", "limit", "cursor", "skip", "total"}

// asked is the question of the URL's filters, and its parameters. extra are those of the route besides the filters,
// each at most once; those of a page are among the filters only where extra names them.
func asked(k *call, now time.Time, extra ...string) (query.Query, query.Params, error) {
	params, err := query.ParseRawQuery(k.Request.URL.RawQuery)
	if err != nil {
		return query.Query{}, nil, err
	}
	for _, name := range ofPages {
		if _, there := params[name]; there && !slices.Contains(extra, name) {
			return query.Query{}, nil, badParameter(name, "unknown_parameter", "there is no such parameter here")
		}
	}
	for _, name := range extra {
		if len(params[name]) > 1 {
			return query.Query{}, nil, badParameter(name, "repeated_parameter", "this parameter may be there only once")
		}
	}
	q, err := query.FromParams(params, now, extra...)
	if err != nil {
		return query.Query{}, nil, err
	}
	return scoped(k, q), params, nil
}

// badParameter is the fault of one parameter.
func badParameter(name, code, message string) error {
	return &fault.Error{Kind: fault.Malformed, Code: code, Detail: name + ": " + message, Problems: []fault.Problem{{Pointer: name, Code: code, Message: message}}}
}

const defaultTop = 10

// statsRequest reads what is to be counted.
func statsRequest(params query.Params) (r search.StatsRequest, err error) {
	r.Top = defaultTop
	if v, ok := first(params, "top"); ok {
		if r.Top, err = number("top", v, 1, search.MaxTop); err != nil {
			return r, err
		}
	}
	if v, ok := first(params, "facets"); ok {
		for name := range strings.SplitSeq(v, ",") {
			f, err := facetNamed("facets", name)
			if err != nil {
				return r, err
			}
			if !slices.Contains(r.Facets, f) {
				r.Facets = append(r.Facets, f)
			}
		}
	}
	if v, ok := first(params, "interval"); ok {
		if r.Interval, err = interval(v); err != nil {
			return r, err
		}
	}
	return r, metrics(params, &r)
}

// metrics reads which numbers are to be summed up, and by what.
func metrics(params query.Params, r *search.StatsRequest) error {
	v, ok := first(params, "metrics")
	if by, grouped := first(params, "group_by"); grouped {
		if !ok {
			return badParameter("group_by", "metric_invalid", "metrics are what is grouped: name some")
		}
		var err error
		if r.GroupBy, err = facetNamed("group_by", by); err != nil {
			return err
		}
	}
	if !ok {
		return nil
	}
	for name := range strings.SplitSeq(v, ",") {
		path, isMetadata := strings.CutPrefix(name, "metadata.")
		if err := search.CheckMetric(path); err != nil || !isMetadata {
			return badParameter("metrics", "metric_invalid", "a metric is metadata. and a path such as order.amount: at most 60 letters, digits and underscores; dots and signs take two")
		}
		if !slices.Contains(r.Metrics, path) {
			r.Metrics = append(r.Metrics, path)
		}
	}
	if len(r.Metrics) > search.MaxMetrics {
		return badParameter("metrics", "metric_invalid", fmt.Sprintf("at most %d metrics at once", search.MaxMetrics))
	}
	return nil
}

func first(params query.Params, name string) (string, bool) {
	if v := params[name]; len(v) > 0 {
		return v[0], true
	}
	return "", false
}

// number reads a whole number between two bounds.
func number(name, v string, least, most int) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < least || n > most || strconv.Itoa(n) != v {
		return 0, badParameter(name, name+"_invalid", fmt.Sprintf("this is a whole number from %d to %d", least, most))
	}
	return n, nil
}

// facetNamed is the field of a name, if its values may be counted. What tells tenants apart is no such field: there
// is one tenant in every answer.
func facetNamed(parameter, name string) (query.Field, error) {
	names := make([]string, len(search.FacetFields))
	for i, f := range search.FacetFields {
		if names[i] = f.String(); names[i] == name {
			return f, nil
		}
	}
	slices.Sort(names)
	message := "the fields whose values are counted are " + strings.Join(names, ", ")
	if near := fault.Nearest(name, names); near != "" {
		message += "; did you mean " + near + "?"
	}
	return query.FieldNone, badParameter(parameter, "field_not_allowed", message)
}

// units are those of an interval, the longest first.
var units = []struct {
	letter string
	length time.Duration
}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}}

const longestInterval = 365 * 24 * time.Hour

// interval reads auto, off, or a whole number and its unit.
func interval(v string) (search.Interval, error) {
	switch v {
	case "off":
		return search.Interval{}, nil
	case "auto":
		return search.Interval{Auto: true}, nil
	}
	for _, u := range units {
		digits, ok := strings.CutSuffix(v, u.letter)
		if n, err := strconv.Atoi(digits); ok && err == nil && n > 0 && n <= int(longestInterval/u.length) && strconv.Itoa(n) == digits {
			return search.Interval{Every: time.Duration(n) * u.length}, nil
		}
	}
	return search.Interval{}, badParameter("interval", "interval_invalid", "an interval is auto, off, or a whole number with s, m, h or d, such as 30s, 5m, 1h or 1d, up to 365d")
}

// intervalText writes an interval as it is asked for.
func intervalText(d time.Duration) string {
	for _, u := range units {
		if d%u.length == 0 {
			return strconv.FormatInt(int64(d/u.length), 10) + u.letter
		}
	}
	return d.String()
}

// stats asks the index within the time of a search.
func (s *Server) stats(k *call, q query.Query, r search.StatsRequest) (search.Stats, error) {
	ctx, cancel := context.WithTimeout(k.Request.Context(), s.cfg.SearchTimeout)
	defer cancel()
	found, err := s.reading.Index.Stats(ctx, k.tenant, q, r)
	return found, inTime(ctx, err, "count")
}

// inTime makes an error of a search that was out of time say so.
func inTime(ctx context.Context, err error, doing string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &fault.Error{Kind: fault.Timeout, Code: "search_timeout", Err: err,
			Detail: "the search took too long; narrow the time or use fewer and longer terms"}
	}
	return fault.Wrap(err, doing)
}
