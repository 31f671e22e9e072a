package logentry

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

func TestDiff(t *testing.T) {
	for _, c := range []struct {
		name, before, after string
		want                []string
	}{
		{"equal states", `{"a":1}`, `{"a":1}`, nil},
		{"no states", ``, ``, nil},
		{"only after: the names at its top", ``, `{"b":{"c":1},"a":1}`, []string{"a", "b"}},
		{"only before: the names at its top", `{"b":{"c":1},"a":1}`, ``, []string{"a", "b"}},
		{"a changed value", `{"a":1,"b":2}`, `{"a":1,"b":3}`, []string{"b"}},
		{"added and removed", `{"a":1}`, `{"b":1}`, []string{"a", "b"}},
		{"nested objects are walked", `{"a":{"b":{"c":1,"d":2}}}`, `{"a":{"b":{"c":2,"d":2}}}`, []string{"a.b.c"}},
		{"order of names does not count", `{"a":1,"b":{"c":1,"d":2}}`, `{"b":{"d":2,"c":1},"a":1}`, nil},
		{"white space does not count", `{"a":[1,2]}`, `{ "a" : [ 1 , 2 ] }`, nil},
		{"numbers go by their literal", `{"a":1}`, `{"a":1.0}`, []string{"a"}},
		{"strings go by what they mean", `{"\u0061":"\u0062"}`, `{"a":"b"}`, nil},
		{"arrays are one value", `{"a":[1,2,3]}`, `{"a":[1,2,4]}`, []string{"a"}},
		{"order inside an array's objects does not count", `{"a":[{"x":1,"y":2}]}`, `{"a":[{"y":2,"x":1}]}`, nil},
		{"another type", `{"a":{"b":1}}`, `{"a":[1]}`, []string{"a"}},
		{"null is not absent", `{"a":null}`, `{}`, []string{"a"}},
		{"an empty object against a full one", `{"a":{}}`, `{"a":{"b":1}}`, []string{"a.b"}},
		{"one path spelt twice is listed once", `{"a.b":1,"a":{"b":1}}`, `{"a.b":2,"a":{"b":2}}`, []string{"a.b"}},
		{"no objects", `[1]`, `"x"`, nil},
		{"no JSON", `{"a":`, `{"b":1}`, []string{"b"}},
	} {
		have := Diff(jsontext.Value(c.before), jsontext.Value(c.after))
		if !reflect.DeepEqual(have, c.want) && len(have)+len(c.want) > 0 {
			t.Errorf("%s: have %q, want %q", c.name, have, c.want)
		}
	}
}

func TestDiffIsBounded(t *testing.T) {
	if have := Diff(nil, jsontext.Value(keys(1000))); len(have) != 256 {
		t.Errorf("%d paths", len(have))
	}
	deep := func(n int) jsontext.Value {
		return jsontext.Value(strings.Repeat(`{"a":`, 100) + fmt.Sprint(n) + strings.Repeat(`}`, 100))
	}
	if have := Diff(deep(1), deep(2)); len(have) != 1 || strings.Count(have[0], "a") != 32 {
		t.Errorf("have %q", have)
	}
}
