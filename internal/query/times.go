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
		// UnmarshalText is strict where Parse takes a comma or a single digit.
		if len(s) > len("2006-01-02T15:04:05.999999999+07:00") || m.at.UnmarshalText([]byte(s)) != nil {
			return moment{}, false
		}
		m.at = m.at.UTC()
	}
	if m.at.Before(firstTime) || !m.at.Before(lastTime) {
		return moment{}, false
	}
	return m, true
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
