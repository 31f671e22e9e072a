package query

import (
	"strconv"
	"strings"
	"time"
)

// moment is a time as a reader wrote it.
type moment struct {
	at    time.Time // UTC
	day   bool      // a date: at is its first instant
	asked string    // as written where it goes by the clock
}

// The times that can be asked for: those that fit into nanoseconds since 1970, in whole years.
var (
	firstTime = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
	lastTime  = time.Date(2262, 1, 1, 0, 0, 0, 0, time.UTC)
)

const timeForms = "a time is RFC 3339 (a + in a URL is %2B), a date such as 2026-11-01, now, or now-15m (s m h d w), from 1970 to 2261"

// parseMoment reads RFC 3339, a date in UTC, now, or now minus a whole number of s m h d w.
func parseMoment(s string, now time.Time) (moment, bool) {
	m := moment{}
	switch {
	case s == "now":
		m.at, m.asked = now.UTC().Round(0), s
	case strings.HasPrefix(s, "now-"):
		back, ok := parseBack(s[len("now-"):])
		if !ok {
			return moment{}, false
		}
		m.at, m.asked = now.UTC().Round(0).Add(-back), s
	case len(s) == len(time.DateOnly):
		at, err := time.Parse(time.DateOnly, s)
		if err != nil {
			return moment{}, false
		}
		m.at, m.day = at, true
	default:
		at, ok := parseRFC3339(s)
		if !ok {
			return moment{}, false
		}
		m.at = at
	}
	if m.at.Before(firstTime) || !m.at.Before(lastTime) {
		return moment{}, false
	}
	return m, true
}

// ParseInstant reads RFC 3339 or a date in UTC, from 1970 to 2261: nothing that goes by the clock.
func ParseInstant(s string) (time.Time, bool) {
	m, ok := parseMoment(s, time.Time{})
	return m.at, ok && m.asked == ""
}

// parseRFC3339 is strict where time.Parse takes a comma, an hour of one digit, an offset of 99:99 or
// digits below a nanosecond.
func parseRFC3339(s string) (time.Time, bool) {
	const seconds = "2006-01-02T15:04:05"
	if len(s) <= len(seconds) || s[len("2006-01-02T15")] != ':' || strings.Contains(s, ",") {
		return time.Time{}, false
	}
	zone := len("Z")
	if s[len(s)-1] != 'Z' {
		zone = len("+07:00")
		if hour, minute := s[len(s)-5:len(s)-3], s[len(s)-2:]; hour > "23" || minute > "59" {
			return time.Time{}, false
		}
	}
	if len(s) > len(seconds)+len(".999999999")+zone {
		return time.Time{}, false
	}
	at, err := time.Parse(time.RFC3339Nano, s)
	return at.UTC(), err == nil
}

// parseBack reads a whole number and its unit. The number is bounded so that nothing overflows.
func parseBack(s string) (time.Duration, bool) {
	if len(s) < 2 || len(s) > 11 {
		return 0, false
	}
	var unit time.Duration
	switch s[len(s)-1] {
	case 's':
		unit = time.Second
	case 'm':
		unit = time.Minute
	case 'h':
		unit = time.Hour
	case 'd':
		unit = 24 * time.Hour
	case 'w':
		unit = 7 * 24 * time.Hour
	default:
		return 0, false
	}
	n, ok := parseDigits(s[:len(s)-1], int64(lastTime.Sub(firstTime)/unit))
	return time.Duration(n) * unit, ok
}

// parseDigits reads ASCII digits up to a greatest value, no sign and no space.
func parseDigits(s string, most int64) (int64, bool) {
	if s == "" || len(s) > 18 {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n <= most
}

// form is one spelling for each time that can be asked for.
func (m moment) form() string {
	if m.asked != "" {
		return m.asked
	}
	return rangeEnd(m.at)
}
