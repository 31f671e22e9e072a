package query_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/query"
)

func TestNarrowKeepsBothConditions(t *testing.T) {
	a, b := query.Term{Field: query.Service, Value: "payments"}, query.Term{Field: query.Action, Value: "READ"}
	for name, c := range map[string]struct{ where, by, want query.Node }{
		"of everything it is the condition":      {nil, a, a},
		"of a star too":                          {query.All{}, a, a},
		"of a condition it is both":              {b, a, query.And{a, b}},
		"of alternatives it is none of them":     {query.Or{a, b}, a, query.And{a, query.Or{a, b}}},
		"no condition leaves the question alone": {b, nil, b},
	} {
		t.Run(name, func(t *testing.T) {
			q := query.Query{Where: c.where, Limit: 7}
			if got := q.Narrow(c.by); !reflect.DeepEqual(got.Where, c.want) || got.Limit != 7 {
				t.Errorf("got %#v, want %#v", got, c.want)
			}
			if !reflect.DeepEqual(q.Where, c.where) {
				t.Errorf("the question itself became %#v", q.Where)
			}
		})
	}
}

func TestFromParamsLeavesExtraParametersToTheirRoute(t *testing.T) {
	v := query.Params{"service": {"a"}, "facet": {"action", "user_id"}, "raw": {"1"}}
	q, err := query.FromParams(v, time.Now(), "facet", "raw")
	if err != nil || !reflect.DeepEqual(q.Where, query.Term{Field: query.Service, Value: "a"}) {
		t.Errorf("got %#v, %v", q.Where, err)
	}
	if _, err := query.FromParams(v, time.Now(), "raw"); err == nil || asFault(t, err).Code != "unknown_parameter" {
		t.Errorf("a parameter that the route does not have: %v", err)
	}
	v["sort"] = []string{"timestamp", "timestamp"}
	if _, err := query.FromParams(v, time.Now(), "facet", "raw"); err == nil || asFault(t, err).Code != "repeated_parameter" {
		t.Errorf("sort twice: %v", err)
	}
}
