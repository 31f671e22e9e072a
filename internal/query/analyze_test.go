package query_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

func texts(meta string) (pairs []string, truncated bool) {
	truncated = query.MetadataTexts(jsontext.Value(meta), func(path, value string) bool {
		pairs = append(pairs, path+"="+value)
		return true
	})
	return pairs, truncated
}

// numbered is an object with n members made by member.
func numbered(n int, member string) string {
	var parts []string
	for i := range n {
		parts = append(parts, fmt.Sprintf(member, i))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func TestMetadataTexts(t *testing.T) {
	x := func(n int) string { return strings.Repeat("x", n) }
	for name, c := range map[string]struct {
		meta      string
		want      []string
		truncated bool
	}{
		"absent":                                  {"", nil, false},
		"empty":                                   {"{}", nil, false},
		"flat, in the order of the document":      {`{"b":"1","a":"2"}`, []string{"b=1", "a=2"}, false},
		"what is no string is no text":            {`{"n":1.5e3,"t":true,"f":false,"z":null,"s":"x"}`, []string{"s=x"}, false},
		"an empty string is a value":              {`{"s":""}`, []string{"s="}, false},
		"nested names are joined":                 {`{"a":{"b":{"c":"x"}},"d":"y"}`, []string{"a.b.c=x", "d=y"}, false},
		"elements of arrays have the array's":     {`{"a":["x",1,["y",{"b":"z"}],{}],"c":[]}`, []string{"a=x", "a=y", "a.b=z"}, false},
		"escapes are undone":                      {`{"k\u0065y":"a\"\\\/\b\f\n\r\té\ud83d\ude00"}`, []string{"key=a\"\\/\b\f\n\r\té😀"}, false},
		"white space is no harm":                  {" { \"a\" : [ \"x\" , 1 , \"y\" ] , \"b\" : \"z\"\n}", []string{"a=x", "a=y", "b=z"}, false},
		"five names are found":                    {`{"a":{"b":{"c":{"d":{"e":"x"}}}}}`, []string{"a.b.c.d.e=x"}, false},
		"six are not":                             {`{"a":{"b":{"c":{"d":{"e":{"f":"x"}}}}},"g":"y"}`, []string{"g=y"}, true},
		"a number under six names counts too":     {`{"a":{"b":{"c":{"d":{"e":{"f":1}}}}},"g":"y"}`, []string{"g=y"}, true},
		"a path of 128 bytes":                     {`{"` + x(126) + `":{"y":"z"}}`, []string{x(126) + ".y=z"}, false},
		"a path of 129 bytes":                     {`{"` + x(127) + `":{"y":"z"},"a":"b"}`, []string{"a=b"}, true},
		"a value of 256 bytes":                    {`{"a":"` + x(256) + `"}`, []string{"a=" + x(256)}, false},
		"a longer one is cut":                     {`{"a":"` + x(257) + `","b":"c"}`, []string{"a=" + x(256), "b=c"}, true},
		"a longer one is cut between characters":  {`{"a":"` + x(255) + `é"}`, []string{"a=" + x(255)}, true},
		"one with escapes as well":                {`{"a":"\n` + x(254) + `\u00e9"}`, []string{"a=\n" + x(254)}, true},
		"escapes count as what they mean":         {`{"a":"` + strings.Repeat(`\n`, 256) + `"}`, []string{"a=" + strings.Repeat("\n", 256)}, false},
		"64 pairs":                                {numbered(64, `"k%d":1`), nil, false},
		"what comes after 64 pairs is not found":  {numbered(64, `"k%d":1`)[:len(numbered(64, `"k%d":1`))-1] + `,"z":"x"}`, nil, true},
		"what is too deep is none of the 64":      {`{"a":{"b":{"c":{"d":{"e":` + numbered(70, `"k%d":"x"`) + `}}}},"g":"y"}`, []string{"g=y"}, true},
		"nor is what has too long a path":         {`{"` + x(126) + `":` + numbered(70, `"k%d":1`) + `,"g":"y"}`, []string{"g=y"}, true},
		"an unfinished document stops":            {`{"a":"x","b":"y`, []string{"a=x"}, false},
		"a document that makes no sense stops":    {`{"a":"x"]`, []string{"a=x"}, false},
		"so does one that ends with an escape":    {`{"a":"x\`, nil, false},
		"deep arrays stop before they are a harm": {strings.Repeat("[", 1_000_000), nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, truncated := texts(c.meta)
			if !reflect.DeepEqual(got, c.want) || truncated != c.truncated {
				t.Errorf("got %q, %v, want %q, %v", got, truncated, c.want, c.truncated)
			}
		})
	}
}

func TestTextsAreTheMessageAndTheMetadata(t *testing.T) {
	e := &logentry.Entry{Message: "m", Service: "s", Metadata: jsontext.Value(`{"a":"x","b":["y"]}`)}
	var got []string
	query.Texts(e, func(f query.Field, text string) bool {
		got = append(got, fmt.Sprintf("%v %s", f == query.Message, text))
		return text != "x"
	})
	if want := []string{"true m", "false x"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// FuzzMetadataTexts compares with encoding/json: the same strings, as far as the bounds let them.
func FuzzMetadataTexts(f *testing.F) {
	for _, s := range []string{`{"a":{"b":["x",1,null,{"c":"\ud83d\ude00"}]}}`, `{"a":"x`, `[[[`, numbered(70, `"k%d":"v%[1]d"`)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, meta string) {
		got, truncated := texts(meta)
		for _, p := range got {
			if utf8.ValidString(meta) && !utf8.ValidString(p) {
				t.Errorf("%q is no UTF-8", p)
			}
		}
		var v any
		if truncated || !utf8.ValidString(meta) || !jsontext.Value(meta).IsValid() || json.Unmarshal([]byte(meta), &v) != nil {
			return
		}
		if want := countStrings(v); want != len(got) {
			t.Errorf("%d strings, want %d", len(got), want)
		}
	})
}

func countStrings(v any) (n int) {
	switch v := v.(type) {
	case string:
		return 1
	case []any:
		for _, e := range v {
			n += countStrings(e)
		}
	case map[string]any:
		for _, e := range v {
			n += countStrings(e)
		}
	}
	return n
}

func BenchmarkMetadataTexts(b *testing.B) {
	for name, meta := range map[string]jsontext.Value{
		"flat":   jsontext.Value(`{"region":"eu-central-1","plan":"enterprise","latency_ms":183,"trace":"4bf92f3577b34da6"}`),
		"nested": jsontext.Value(`{"http":{"method":"POST","status":502,"headers":{"host":"api.example.com"}},"tags":["a","b"]}`),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				query.MetadataTexts(meta, func(_, _ string) bool { return true })
			}
		})
	}
}
