package lines

import (
	"testing"
	"time"
)

func TestFindReadsTheTimeAtTheBeginning(t *testing.T) {
	oslo := time.FixedZone("", 2*3600)
	newYear := time.Date(2026, 1, 3, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		line  string
		clock Clock
		want  string // RFC 3339; "" is no time
		rest  string
	}{
		"RFC 3339 in UTC":                         {"2024-05-06T07:08:09Z up", Clock{}, "2024-05-06T07:08:09Z", " up"},
		"RFC 3339 with nanoseconds and zone":      {"2024-05-06T07:08:09.123456789+02:00 up", Clock{}, "2024-05-06T05:08:09.123456789Z", " up"},
		"a named zone wins over the default":      {"2024-05-06T07:08:09Z", Clock{Zone: oslo}, "2024-05-06T07:08:09Z", ""},
		"space and comma, as log4j writes":        {"2024-05-06 07:08:09,747 - INFO", Clock{}, "2024-05-06T07:08:09.747Z", " - INFO"},
		"without zone the default is taken":       {"2024-05-06 07:08:09,747", Clock{Zone: oslo}, "2024-05-06T05:08:09.747Z", ""},
		"space and point":                         {"2024-05-06 07:08:09.008 25746 INFO", Clock{}, "2024-05-06T07:08:09.008Z", " 25746 INFO"},
		"slashes, as nginx writes":                {"2024/05/06 07:08:09 [error] x", Clock{}, "2024-05-06T07:08:09Z", " [error] x"},
		"an offset behind a space":                {"2024-05-06 07:08:09 -0330 x", Clock{}, "2024-05-06T10:38:09Z", " x"},
		"more digits than nanoseconds":            {"2024-05-06 07:08:09.1234567899 x", Clock{}, "2024-05-06T07:08:09.123456789Z", " x"},
		"behind a file name":                      {"api.log.1.2024-05-06_01:02:03 2024-05-06 07:08:09.008 1 INFO", Clock{}, "2024-05-06T07:08:09.008Z", " 1 INFO"},
		"not behind any word":                     {"restarted 2024-05-06 07:08:09.008", Clock{}, "", ""},
		"in brackets":                             {"[2024-05-06 07:08:09] up", Clock{}, "2024-05-06T07:08:09Z", "] up"},
		"ctime in brackets, as Apache writes":     {"[Mon May 06 07:08:09 2024] [notice] up", Clock{}, "2024-05-06T07:08:09Z", "] [notice] up"},
		"ctime with a fraction":                   {"[Mon May 06 07:08:09.250000 2024] [core:error] x", Clock{}, "2024-05-06T07:08:09.25Z", "] [core:error] x"},
		"ctime with a padded day":                 {"Mon May  6 07:08:09 2024 up", Clock{}, "2024-05-06T07:08:09Z", " up"},
		"syslog with the year given":              {"May 14 07:08:09 box sshd[1]: x", Clock{Year: 2005}, "2005-05-14T07:08:09Z", " box sshd[1]: x"},
		"syslog with a padded day":                {"May  6 07:08:09 box x", Clock{Year: 2005}, "2005-05-06T07:08:09Z", " box x"},
		"syslog with its own year":                {"May 14 2003 07:08:09 box x", Clock{Year: 2005}, "2003-05-14T07:08:09Z", " box x"},
		"syslog of last December, read in winter": {"Dec 31 23:59:59 box x", Clock{Before: newYear}, "2025-12-31T23:59:59Z", " box x"},
		"syslog of today":                         {"Jan  3 11:00:00 box x", Clock{Before: newYear}, "2026-01-03T11:00:00Z", " box x"},
		"syslog a little ahead of the clock":      {"Jan  4 11:00:00 box x", Clock{Before: newYear}, "2026-01-04T11:00:00Z", " box x"},
		"a leap day takes the last leap year":     {"Feb 29 11:00:00 box x", Clock{Before: newYear}, "2024-02-29T11:00:00Z", " box x"},
		"a leap day in a year that has none":      {"Feb 29 11:00:00 box x", Clock{Year: 2005}, "", ""},
		"syslog with a priority":                  {"<34>May 14 07:08:09 box su: x", Clock{Year: 2005}, "2005-05-14T07:08:09Z", " box su: x"},
		"syslog of RFC 5424":                      {"<165>1 2003-10-11T22:14:15.003Z box x", Clock{}, "2003-10-11T22:14:15.003Z", " box x"},
		"six and six digits":                      {"081109 203615 148 INFO x", Clock{}, "2008-11-09T20:36:15Z", " 148 INFO x"},
		"six and six digits of the last century":  {"991231 235959 x", Clock{}, "1999-12-31T23:59:59Z", " x"},
		"a short date with slashes":               {"17/06/09 20:10:40 INFO x", Clock{}, "2017-06-09T20:10:40Z", " INFO x"},
		"an access log":                           {`192.0.2.1 - ann [10/Oct/2000:13:55:36 -0700] "GET /"`, Clock{}, "2000-10-10T20:55:36Z", `] "GET /"`},
		"an access log's time alone":              {"10/Oct/2000:13:55:36 -0700 GET", Clock{}, "2000-10-10T20:55:36Z", " GET"},
		"epoch seconds are not guessed":           {"1700000000 up", Clock{}, "", ""},
		"epoch milliseconds are not guessed":      {"1700000000123 up", Clock{}, "", ""},
		"seven digits are not six":                {"081109 2036151 x", Clock{}, "", ""},
		"month 13":                                {"2024-13-06 07:08:09 x", Clock{}, "", ""},
		"31 April":                                {"2024-04-31 07:08:09 x", Clock{}, "", ""},
		"hour 24":                                 {"2024-04-30 24:00:00 x", Clock{}, "", ""},
		"a leap second":                           {"2016-12-31 23:59:60 x", Clock{}, "", ""},
		"a date without time":                     {"2024-05-06 up", Clock{}, "", ""},
		"no time":                                 {"nothing here", Clock{}, "", ""},
		"an empty line":                           {"", Clock{}, "", ""},
		"a month's name within a word":            {"anFebMar 14 07:08:09 x", Clock{Year: 2005}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			at, end, ok := c.clock.Find(c.line)
			if c.want == "" {
				if ok {
					t.Fatalf("found %s", at)
				}
				return
			}
			if !ok || at.Format(time.RFC3339Nano) != c.want || c.line[end:] != c.rest {
				t.Fatalf("%v %s, rest %q; want %s, rest %q", ok, at.Format(time.RFC3339Nano), c.line[end:], c.want, c.rest)
			}
		})
	}
}
