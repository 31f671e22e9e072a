package search

import (
	"context"
	"math"
	"strconv"
	"strings"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
)

const hexBits = 4 // of a digit

// metricsQuery picks of an answer what metrics are made of.
var metricsQuery = statsQuery + ",aggregations.*.sum_other_doc_count,aggregations.*.buckets.numbers.sum_other_doc_count,aggregations.*.buckets.numbers.buckets.key,aggregations.*.buckets.numbers.buckets.doc_count"

// metric asks for each different number at a path and how many entries have it, as terms of meta_num; of the
// entries that have none nothing is asked.
func (o *OpenSearch) metric(ctx context.Context, t auth.Tenant, q query.Query, path string, group query.Field, top int) (Metric, error) {
	m := Metric{Path: path}
	const doing = "count"
	where := compileClause(query.And{q.Where, query.Interval{Field: query.Metadata, Path: path, From: math.Inf(-1), To: math.Inf(1)}})
	if where.constant == none {
		return m, nil
	}
	numbers := `{"terms":{"field":"meta_num","include":` + quoted(numberPattern(path)) + `,"size":` + strconv.Itoa(MaxNumbers+1) + `,"shard_size":` + strconv.Itoa(MaxNumbers+1) + `,"order":{"_key":"asc"}}}`
	question := `{"size":0,"query":` + conditions(t.ID(), where) + `,"track_total_hits":false,"aggs":{`
	f, err := o.ask(ctx, t, doing, metricsQuery, []byte(question+`"numbers":`+numbers+`}}`))
	if err != nil {
		return m, err
	}
	counts, err := numbersOf(path, f.Aggregations["numbers"])
	if err != nil {
		return m, err
	}
	m.Summary = summarize(counts)
	if group == query.FieldNone || m.Count == 0 {
		return m, nil
	}
	f, err = o.ask(ctx, t, doing, metricsQuery, []byte(question+`"groups":{"terms":{"field":"`+counted(group)+`","size":`+strconv.Itoa(top)+
		`,"shard_size":`+strconv.Itoa(shardValues)+`,"collect_mode":"breadth_first"},"aggs":{"numbers":`+numbers+`}}}}`))
	if err != nil {
		return m, err
	}
	total := 0
	of := map[string]Summary{}
	for i := range f.Aggregations["groups"].Buckets {
		b := &f.Aggregations["groups"].Buckets[i]
		counts, err := numbersOf(path, aggregation{Others: b.Numbers.Others, Buckets: b.Numbers.Buckets})
		if err != nil {
			return m, err
		}
		if total += len(counts); total > MaxNumbers {
			return m, errNumbers(path)
		}
		one, err := facetOf(group, 1, aggregation{Buckets: []aggregationBucket{*b}})
		if err != nil {
			return m, err
		}
		if len(one.Values) == 1 {
			of[one.Values[0].Value] = summarize(counts)
		}
	}
	values, err := facetOf(group, top, f.Aggregations["groups"])
	for _, v := range values.Values {
		m.Groups = append(m.Groups, Group{v.Value, of[v.Value]})
	}
	return m, err
}

// numbersOf are the numbers of terms, in ascending order.
func numbersOf(path string, a aggregation) ([]numberCount, error) {
	if len(a.Buckets) > MaxNumbers || a.Others > 0 {
		return nil, errNumbers(path)
	}
	out := make([]numberCount, 0, len(a.Buckets))
	for _, b := range a.Buckets {
		key := b.key()
		v, ok := numberOf([]byte(key[strings.LastIndexByte(key, signNumber)+1:]), hexBits)
		if !ok {
			return nil, fault.New(fault.Internal, "opensearch_answer", "a number that is none")
		}
		out = append(out, numberCount{v, b.Count})
	}
	return out, nil
}
