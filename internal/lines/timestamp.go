package lines

import (
	"strings"
	"time"
)

// Clock says how times without a year or a zone are read.
type Clock struct {
	Zone *time.Location // of times that name none; nil is UTC
	Year int            // of times that name none; 0 takes the newest year that is not after Before
	// Before is when the lines were written at the latest: the file's modification time, or now. It
	// only matters for times without a year; a day of tolerance is added.
	Before time.Time
}

// nameLimit is how long a file name in front of the time may be, clfLimit how far into the line the
// bracket of an access log may stand.
const (
	nameLimit = 256
	clfLimit  = 256
)

// Find reads the time at the beginning of a line: RFC 3339 and its relatives with a space, a comma or
// slashes, ctime, syslog with or without a year, 081109 203615, 17/06/09 20:10:40, and the bracketed time
// of access logs. A file name may stand in front of a full date, a syslog priority in front of any.
// It returns the time in UTC and where the rest of the line begins. Numbers alone are never taken for times.
func (c Clock) Find(line string) (at time.Time, end int, ok bool) {
	p := parser{s: line, clock: c}
	p.priority()
	start := p.i
	if p.i < len(line) && (line[p.i] == '[' || line[p.i] == '(') {
		p.i++
	}
	begin := p.i
	for _, form := range []func(*parser) bool{
		(*parser).fullDate, (*parser).compact, (*parser).shortDate, (*parser).clf, (*parser).ctime, (*parser).syslog,
	} {
		p.reset(begin)
		if form(&p) && p.boundary() && p.resolve() {
			return p.at, p.i, true
		}
	}
	if name := strings.IndexByte(line[start:min(len(line), start+nameLimit)], ' '); name > 0 && strings.ContainsAny(line[start:start+name], "./") {
		p.reset(start + name + 1)
		if p.fullDate() && p.boundary() && p.resolve() {
			return p.at, p.i, true
		}
	}
	for i := start; i < min(len(line), start+clfLimit); i++ {
		if line[i] != '[' {
			continue
		}
		p.reset(i + 1)
		if p.clf() && p.boundary() && p.resolve() {
			return p.at, p.i, true
		}
	}
	return time.Time{}, 0, false
}

// parser walks over one line; each form leaves i behind the time it read.
type parser struct {
	s     string
	i     int
	clock Clock

	year, month, day, hour, minute, second, nano int
	zone                                         *time.Location // nil: none was named
	at                                           time.Time
}

func (p *parser) reset(i int) { *p = parser{s: p.s, i: i, clock: p.clock} }

// priority passes over <34> and <165>1 of syslog.
func (p *parser) priority() {
	if !p.is('<') {
		return
	}
	n := 0
	for p.i < len(p.s) && isDigit(p.s[p.i]) {
		p.i++
		n++
	}
	if n == 0 || n > 3 || !p.is('>') {
		p.i = 0
		return
	}
	if strings.HasPrefix(p.s[p.i:], "1 ") {
		p.i += 2
	}
}

// fullDate reads 2015-07-29 17:41:44,747 and 2015-07-29T17:41:44.747+02:00, with - or / in the date.
func (p *parser) fullDate() bool {
	if !p.digits(4, &p.year) || p.i >= len(p.s) {
		return false
	}
	sep := p.s[p.i]
	return (sep == '-' || sep == '/') && p.is(sep) && p.digits(2, &p.month) && p.is(sep) && p.digits(2, &p.day) &&
		(p.is('T') || p.is('t') || p.is(' ')) && p.zonedTime()
}

// compact reads 081109 203615: two digits each of year, month, day, hour, minute, second.
func (p *parser) compact() bool {
	return p.digits(2, &p.year) && p.digits(2, &p.month) && p.digits(2, &p.day) && p.is(' ') &&
		p.digits(2, &p.hour) && p.digits(2, &p.minute) && p.digits(2, &p.second) && p.century()
}

// shortDate reads 17/06/09 20:10:40, year first.
func (p *parser) shortDate() bool {
	return p.digits(2, &p.year) && p.is('/') && p.digits(2, &p.month) && p.is('/') && p.digits(2, &p.day) && p.is(' ') &&
		p.clockTime() && p.century()
}

// clf reads 10/Oct/2000:13:55:36 -0700.
func (p *parser) clf() bool {
	return p.digits(2, &p.day) && p.is('/') && p.monthName() && p.is('/') && p.digits(4, &p.year) && p.is(':') &&
		p.zonedTime()
}

// ctime reads Sun Dec 04 04:47:44 2005, also with a fraction.
func (p *parser) ctime() bool {
	return p.weekday() && p.is(' ') && p.monthName() && p.is(' ') && p.dayPadded() && p.is(' ') &&
		p.clockTime() && p.is(' ') && p.digits(4, &p.year)
}

// syslog reads Jun 14 15:16:01 and Jun 14 2005 15:16:01.
func (p *parser) syslog() bool {
	if !p.monthName() || !p.is(' ') || !p.dayPadded() || !p.is(' ') {
		return false
	}
	back := p.i
	if !p.digits(4, &p.year) || !p.is(' ') {
		p.i, p.year = back, 0
	}
	return p.zonedTime()
}

func (p *parser) is(b byte) bool {
	if p.i < len(p.s) && p.s[p.i] == b {
		p.i++
		return true
	}
	return false
}

func (p *parser) digits(n int, into *int) bool {
	if len(p.s)-p.i < n {
		return false
	}
	v := 0
	for _, b := range []byte(p.s[p.i : p.i+n]) {
		if !isDigit(b) {
			return false
		}
		v = v*10 + int(b-'0')
	}
	p.i += n
	*into = v
	return true
}

func (p *parser) clockTime() bool {
	if !p.digits(2, &p.hour) || !p.is(':') || !p.digits(2, &p.minute) || !p.is(':') || !p.digits(2, &p.second) {
		return false
	}
	if p.i+1 < len(p.s) && (p.s[p.i] == '.' || p.s[p.i] == ',') && isDigit(p.s[p.i+1]) {
		p.i++
		unit := 100_000_000
		for p.i < len(p.s) && isDigit(p.s[p.i]) {
			p.nano += int(p.s[p.i]-'0') * unit // beyond nanoseconds the unit is 0
			unit /= 10
			p.i++
		}
	}
	return true
}

// zonedTime is clockTime and the zone behind it, where there is one.
func (p *parser) zonedTime() bool {
	if !p.clockTime() {
		return false
	}
	p.zoneSuffix()
	return true
}

// zoneSuffix reads Z, UTC, GMT, +02:00 or +0200, also after a space.
func (p *parser) zoneSuffix() {
	back := p.i
	p.is(' ')
	for _, name := range []string{"Z", "z", "UTC", "GMT"} {
		if strings.HasPrefix(p.s[p.i:], name) {
			p.i += len(name)
			if p.boundary() {
				p.zone = time.UTC
				return
			}
			p.i -= len(name)
		}
	}
	if east := p.is('+'); east || p.is('-') {
		var h, m int
		hours := p.digits(2, &h)
		p.is(':')
		if hours && p.digits(2, &m) && h <= 14 && m < 60 && p.boundary() {
			seconds := (h*60 + m) * 60
			if !east {
				seconds = -seconds
			}
			p.zone = time.FixedZone("", seconds)
			return
		}
	}
	p.i = back
}

const monthNames = "JanFebMarAprMayJunJulAugSepOctNovDec"

func (p *parser) monthName() bool {
	if len(p.s)-p.i < 3 {
		return false
	}
	at := strings.Index(monthNames, p.s[p.i:p.i+3])
	if at < 0 || at%3 != 0 {
		return false
	}
	p.month = at/3 + 1
	p.i += 3
	return true
}

func (p *parser) weekday() bool {
	if len(p.s)-p.i < 3 {
		return false
	}
	at := strings.Index("MonTueWedThuFriSatSun", p.s[p.i:p.i+3])
	if at < 0 || at%3 != 0 {
		return false
	}
	p.i += 3
	return true
}

// dayPadded reads 04, " 4" and 4.
func (p *parser) dayPadded() bool {
	p.is(' ')
	return p.digits(2, &p.day) || p.digits(1, &p.day)
}

// century completes a year of two digits as POSIX does: 69 … 99 are 19xx.
func (p *parser) century() bool {
	if p.year >= 69 {
		p.year += 1900
	} else {
		p.year += 2000
	}
	return true
}

// boundary is false where a word or number goes on.
func (p *parser) boundary() bool {
	if p.i >= len(p.s) {
		return true
	}
	b := p.s[p.i]
	return !isDigit(b) && !isLetter(b) && b != '_'
}

// resolve makes the time; false where there is no such moment.
func (p *parser) resolve() bool {
	if p.hour > 23 || p.minute > 59 || p.second > 59 {
		return false
	}
	zone := p.zone
	if zone == nil {
		zone = p.clock.Zone
	}
	if zone == nil {
		zone = time.UTC
	}
	year := p.year
	if year == 0 {
		year = p.clock.Year
	}
	if year != 0 {
		return p.make(year, zone)
	}
	latest := p.clock.Before.Add(24 * time.Hour)
	for year = latest.In(zone).Year(); year > latest.Year()-9; year-- { // 8 years always hold a 29 February
		if p.make(year, zone) && !p.at.After(latest) {
			return true
		}
	}
	return false
}

func (p *parser) make(year int, zone *time.Location) bool {
	day := time.Date(year, time.Month(p.month), p.day, 0, 0, 0, 0, time.UTC)
	if year < 1 || int(day.Month()) != p.month || day.Day() != p.day {
		return false
	}
	p.at = time.Date(year, time.Month(p.month), p.day, p.hour, p.minute, p.second, p.nano, zone).UTC()
	return true
}

func isDigit(b byte) bool  { return '0' <= b && b <= '9' }
func isLetter(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' }
