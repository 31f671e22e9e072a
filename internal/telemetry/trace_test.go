package telemetry

import (
	"strings"
	"testing"
)

func TestTraceparentIsReadAsW3CSays(t *testing.T) {
	const trace, good = "4bf92f3577b34da6a3ce929d0e0e4736", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for name, c := range map[string]struct {
		sent []string
		want string
	}{
		"a good one":                      {[]string{good}, good},
		"none":                            {nil, ""},
		"two":                             {[]string{good, good}, ""},
		"empty":                           {[]string{""}, ""},
		"too short":                       {[]string{good[:54]}, ""},
		"too long for its version":        {[]string{good + "-00"}, ""},
		"of a later version":              {[]string{"01" + good[2:]}, good},
		"of a later version, with more":   {[]string{"cc" + good[2:] + "-what"}, good},
		"of a later version, run on":      {[]string{"cc" + good[2:] + ".what"}, ""},
		"of the version that is none":     {[]string{"ff" + good[2:]}, ""},
		"in capitals":                     {[]string{strings.ToUpper(good)}, ""},
		"no trace":                        {[]string{"00-" + strings.Repeat("0", 32) + good[35:]}, ""},
		"no parent":                       {[]string{good[:36] + strings.Repeat("0", 16) + "-01"}, ""},
		"a letter that is no digit":       {[]string{strings.Replace(good, "4bf", "4bg", 1)}, ""},
		"flags that are none":             {[]string{good[:53] + ".1"}, ""},
		"without its dashes":              {[]string{strings.ReplaceAll(good, "-", "0")}, ""},
		"characters that are not in text": {[]string{good[:54] + "\x00"}, ""},
	} {
		got := Traceparent(c.sent)
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if id := TraceID(got); got != "" && id != trace || got == "" && id != "" {
			t.Errorf("%s: trace id %q", name, id)
		}
	}
}
