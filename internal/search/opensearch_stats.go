package search

import (
	"context"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// shardValues is how many values of a facet each shard names at least. The counts are exact where a day has no
// more of them; above it OpenSearch says by how much a count may be wrong, and the facet is not Exact.
const shardValues = 5_000

// statsQuery refuses an answer that leaves a shard out. Days are added up a few at a time, so that the values of
// many of them never lie in the cluster's memory together.
const statsQuery = lenient + "&allow_partial_search_results=false&batched_reduce_size=16&filter_path=error.type,error.root_cause.type,timed_out,_shards.failed,hits.total," +
	"aggregations.*.value,aggregations.*.doc_count_error_upper_bound,aggregations.*.buckets.key,aggregations.*.buckets.doc_count," +
	"aggregations.*.buckets.severities.buckets.key,aggregations.*.buckets.severities.buckets.doc_count"

// aggregation is the answer to one of those that are asked here.
type aggregation struct {
	Value   *float64            `json:"value"` // of a minimum or a maximum: milliseconds; nil where nothing matches
	Error   int64               `json:"doc_count_error_upper_bound"`
	Others  int64               `json:"sum_other_doc_count"` // of values that are not among the buckets
	Buckets []aggregationBucket `json:"buckets"`
}

type aggregationBucket struct {
	Key        jsontext.Value `json:"key"`
	Count      int64          `json:"doc_count"`
	Severities struct {
		Buckets []struct {
			Key   int   `json:"key"`
			Count int64 `json:"doc_count"`
		} `json:"buckets"`
	} `json:"severities"`
	Numbers struct {
		Others  int64               `json:"sum_other_doc_count"`
		Buckets []aggregationBucket `json:"buckets"`
	} `json:"numbers"`
}

// key is the key as text: that of a string, or the digits of a number.
func (b aggregationBucket) key() string {
	if b.Key.Kind() != '"' {
		return string(b.Key)
	}
	s, err := jsontext.AppendUnquote(nil, b.Key)
	if err != nil {
		return ""
	}
	return string(s)
}

// Stats asks for the facets first and with them for the first and the last time; these say how wide the buckets
// of the histogram get, for which it asks then.
func (o *OpenSearch) Stats(ctx context.Context, t auth.Tenant, q query.Query, r StatsRequest) (s Stats, err error) {
	leave, err := o.enter()
	if err != nil {
		return s, err
	}
	defer leave()
	where := compileClause(q.Where)
	if t.IsZero() || where.constant == none {
		return noStats(r), nil
	}
	const doing = "count"
	question := `{"size":0,"query":` + conditions(t.ID(), where) + `,"track_total_hits":`
	f, err := o.ask(ctx, t, doing, statsQuery, []byte(question+`true,"aggs":{`+strings.Join(facetAggregations(r), ",")+`}}`))
	if err != nil {
		return s, err
	}
	if f.Hits.Total.Value == 0 {
		return noStats(r), nil
	}
	s.Total = f.Hits.Total.Value
	for i, field := range r.Facets {
		facet, err := facetOf(field, r.Top, f.Aggregations[strconv.Itoa(i)])
		if err != nil {
			return Stats{}, err
		}
		s.Facets = append(s.Facets, facet)
	}
	for _, path := range r.Metrics {
		m, err := o.metric(ctx, t, q, path, r.GroupBy, r.Top)
		if err != nil {
			return Stats{}, err
		}
		s.Metrics = append(s.Metrics, m)
	}
	if !r.Interval.wanted() {
		return s, nil
	}
	first, last := f.Aggregations["first"].Value, f.Aggregations["last"].Value
	if first == nil || last == nil {
		return Stats{}, fault.New(fault.Internal, "opensearch_answer", "entries without times")
	}
	step, err := r.Interval.choose(nanosOf(*first), nanosOf(*last))
	if err != nil {
		return Stats{}, err
	}
	f, err = o.ask(ctx, t, doing, statsQuery, []byte(question+`false,"aggs":{"times":`+timesAggregation(step)+`}}`))
	if err != nil {
		return Stats{}, err
	}
	s.Histogram, err = histogramOf(step, f.Aggregations["times"])
	return s, err
}

// nanosOf is a time in nanoseconds of what OpenSearch computes with: milliseconds in a float64.
func nanosOf(millis float64) int64 {
	return int64(math.Floor(millis)) * int64(time.Millisecond)
}

// counted is the field whose values are counted for f.
func counted(f query.Field) string {
	if f == query.IPAddress {
		return "ip_counted"
	}
	return f.String()
}

func facetAggregations(r StatsRequest) (all []string) {
	for i, f := range r.Facets {
		all = append(all, `"`+strconv.Itoa(i)+`":{"terms":{"field":"`+counted(f)+`","size":`+strconv.Itoa(r.Top)+`,"shard_size":`+strconv.Itoa(shardValues)+`}}`)
	}
	if r.Interval.wanted() {
		all = append(all, `"first":{"min":{"field":"timestamp"}},"last":{"max":{"field":"timestamp"}}`)
	}
	return all
}

func timesAggregation(step time.Duration) string {
	return `{"date_histogram":{"field":"timestamp","fixed_interval":"` + strconv.FormatInt(int64(step/time.Second), 10) + `s","min_doc_count":1},` +
		`"aggs":{"severities":{"terms":{"field":"severity","size":` + strconv.Itoa(int(logentry.Critical)+1) + `}}}}`
}

// facetOf is a facet as it was answered.
func facetOf(f query.Field, top int, a aggregation) (Facet, error) {
	out := Facet{Field: f, Exact: a.Error == 0}
	for _, b := range a.Buckets {
		value := b.key()
		switch f {
		case query.Severity:
			n, err := strconv.Atoi(value)
			if err != nil {
				return out, fault.New(fault.Internal, "opensearch_answer", "a severity that is no number")
			}
			if value = logentry.Severity(n).String(); value == "" {
				continue // a mark of our own for an entry without one
			}
		case query.IPAddress:
			if spelling, ok := query.Address(value); ok {
				value = spelling
			}
		}
		out.Values = append(out.Values, Count{value, b.Count})
	}
	out.Values = sortCounts(f, out.Values, top)
	return out, nil
}

// histogramOf is a histogram as it was answered.
func histogramOf(step time.Duration, a aggregation) (*Histogram, error) {
	h := &Histogram{Interval: step, Buckets: make([]Bucket, 0, len(a.Buckets))}
	for _, b := range a.Buckets {
		millis, err := strconv.ParseInt(b.key(), 10, 64)
		if err != nil {
			return nil, fault.New(fault.Internal, "opensearch_answer", "a bucket without its time")
		}
		out := Bucket{Start: time.UnixMilli(millis).UTC(), Count: b.Count}
		for _, s := range b.Severities.Buckets {
			if s.Key > 0 && s.Key < len(out.BySeverity) {
				out.BySeverity[s.Key] = s.Count
			}
		}
		h.Buckets = append(h.Buckets, out)
	}
	return h, nil
}
