package limit

import (
	"fmt"
	"strconv"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
)

// Names of the limits in their order, as a tenant's settings call them.
var Names = [4]string{"entries_per_min", "bytes_per_min", "entries_per_day", "bytes_per_day"}

var units = [2]string{"entries", "bytes"}

const day = 24 * time.Hour

// State is one limit of a tenant as it stands.
type State struct {
	Max   int64 // 0: no limit
	Left  int64
	Reset time.Duration // until all of it is there again
}

// Standing are the limits of a tenant as they stand, in the order of Names.
type Standing [4]State

func (a *account) standing(now int64) Standing {
	var s Standing
	if !a.limited() {
		return s
	}
	perDay, sent := a.perDay(), a.sent()
	for i := range units {
		if b := &a.levels[i]; b.size > 0 {
			s[i] = State{b.size, int64(max(0, b.level)), b.until(float64(b.size))}
		}
		if perDay[i] > 0 {
			s[2+i] = State{perDay[i], max(0, perDay[i]-sent[i]), tomorrow(now)}
		}
	}
	return s
}

// Policy is the value of the header RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers): the limits. It is
// empty where there are none.
func (s *Standing) Policy() string {
	var b []byte
	for i, x := range s {
		if x.Max > 0 {
			b = item(b, i)
			b = strconv.AppendInt(append(b, ";q="...), x.Max, 10)
			b = append(append(b, `;qu="`...), units[i%2]...)
			b = strconv.AppendInt(append(b, `";w=`...), int64(period(i).Seconds()), 10)
		}
	}
	return string(b)
}

// Fields is the value of the header RateLimit: what is left of each, and the seconds until all of it is back.
func (s *Standing) Fields() string {
	var b []byte
	for i, x := range s {
		if x.Max > 0 {
			b = item(b, i)
			b = strconv.AppendInt(append(b, ";r="...), x.Left, 10)
			b = strconv.AppendInt(append(b, ";t="...), int64((x.Reset+time.Second-1)/time.Second), 10)
		}
	}
	return string(b)
}

func item(b []byte, i int) []byte {
	if len(b) > 0 {
		b = append(b, ", "...)
	}
	return append(append(append(b, '"'), Names[i]...), '"')
}

// period is what a limit counts over.
func period(i int) time.Duration {
	if i < 2 {
		return time.Minute
	}
	return day
}

// tomorrow is how long the UTC day goes on.
func tomorrow(now int64) time.Duration { return day - time.Duration(now%int64(day)) }

// check refuses what one of the limits does not let in: first what will never pass, then what has to wait
// longest.
func (a *account) check(now int64, c pair) error {
	if !a.limited() {
		return nil
	}
	perDay, sent := a.perDay(), a.sent()
	for i := range c {
		if b := &a.levels[i]; b.size > 0 && c[i] > b.size {
			return never(Names[i], units[i], b.size, c[i], "minute")
		}
		if perDay[i] > 0 && c[i] > perDay[i] {
			return never(Names[2+i], units[i], perDay[i], c[i], "day")
		}
	}
	for i := range c {
		if left := perDay[i] - sent[i]; perDay[i] > 0 && c[i] > left {
			return &fault.Error{Kind: fault.Limited, Code: "quota_exceeded", RetryAfter: tomorrow(now), Detail: fmt.Sprintf(
				"the tenant may send %s %s a day (%s), counted in UTC, and %s are left; nothing of the request was stored. Send it again when the next day has begun, or have the limit raised",
				grouped(perDay[i]), units[i], Names[2+i], grouped(max(0, left)))}
		}
	}
	var (
		slowest int
		wait    time.Duration
	)
	for i := range c {
		if b := &a.levels[i]; b.size > 0 && float64(c[i]) > b.level {
			if w := b.until(float64(c[i])); w >= wait {
				slowest, wait = i, w
			}
		}
	}
	if wait == 0 {
		return nil
	}
	b := &a.levels[slowest]
	return &fault.Error{Kind: fault.Limited, Code: "rate_limited", RetryAfter: wait, Detail: fmt.Sprintf(
		"the tenant may send %s %s a minute (%s), and %s are left at the moment; nothing of the request was stored. Send it again after the seconds in Retry-After",
		grouped(b.size), units[slowest], Names[slowest], grouped(int64(max(0, b.level))))}
}

func never(name, unit string, limit, cost int64, period string) error {
	return fault.New(fault.TooLarge, "batch_over_limit", fmt.Sprintf(
		"the request has %s %s and the tenant may send %s a %s (%s): it can never pass. Send smaller requests, or have the limit raised",
		grouped(cost), unit, grouped(limit), period, name))
}

// grouped is a number for people: 1,234,567.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
