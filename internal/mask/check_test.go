package mask

import (
	"slices"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		rules []Rule
		want  []string // pointer code
	}{
		"no rules":  {nil, nil},
		"good ones": {[]Rule{field("metadata.**.a.*", Mask), pattern(`\d{3}-\d{4}`, Hash), builtin("card", Drop), builtin("secrets", Keep), field("message", Keep)}, nil},
		"all at once": {[]Rule{{Name: "a\nb"}, {Field: "message", Pattern: "x", Action: "mask"}, pattern("(", "burn")},
			[]string{"/0/name rule_name_invalid", "/0 rule_target_invalid", "/0/action action_unknown", "/1 rule_target_invalid", "/2/pattern pattern_invalid", "/2/action action_unknown"}},
		"too many":                     {make([]Rule, 65), []string{" too_many_rules"}},
		"a long pattern":               {[]Rule{pattern(strings.Repeat("a", 513), Mask)}, []string{"/0/pattern pattern_too_long"}},
		"a pattern that costs":         {[]Rule{pattern("(a{30}){30}{2}", Mask), pattern("([a-z][0-9]){600}", Mask), pattern("(x{500}){500}", Mask)}, []string{"/0/pattern pattern_invalid", "/1/pattern pattern_too_expensive", "/2/pattern pattern_too_expensive"}},
		"a pattern that matches all":   {[]Rule{pattern("a*", Mask)}, []string{"/0/pattern pattern_matches_nothing"}},
		"look-around":                  {[]Rule{pattern("(?=a)", Mask)}, []string{"/0/pattern pattern_invalid"}},
		"an unknown builtin":           {[]Rule{builtin("phone", Mask)}, []string{"/0/builtin builtin_unknown"}},
		"keep for what is not a field": {[]Rule{builtin("email", Keep), pattern("a", Keep)}, []string{"/0/action action_invalid", "/1/action action_invalid"}},
		"paths that are none": {[]Rule{field("msg", Mask), field("message.a", Mask), field("metadata.", Mask), field("metadata.**", Mask), field("metadata.a*", Mask),
			field("metadata.**.**.a", Mask), field("trace_id", Mask), field("metadata"+strings.Repeat(".a", 16), Mask)},
			[]string{"/0/field field_invalid", "/1/field field_invalid", "/2/field field_invalid", "/3/field field_invalid", "/4/field field_invalid",
				"/5/field field_invalid", "/6/field field_invalid", "/7/field field_invalid"}},
	} {
		var got []string
		for _, p := range Check(c.rules) {
			got = append(got, p.Pointer+" "+p.Code)
			if p.Message == "" {
				t.Errorf("%s: %s says nothing", name, p.Code)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q", name, got)
		}
		if _, err := New(c.rules, nil); (err == nil) != (c.want == nil) {
			t.Errorf("%s: New: %v", name, err)
		}
	}
}
