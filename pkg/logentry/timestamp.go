package logentry

import "time"

// parseTimestamp reads RFC 3339 exactly: capital T, Z or ±hh:mm, no or 1–9 digits of a fraction, no
// leap second, no 24:00. The result is in UTC.
func parseTimestamp(s string) (t time.Time, ok bool) {
	const least = len("2006-01-02T15:04:05Z")
	if len(s) < least || s[4] != '-' || s[7] != '-' || s[10] != 'T' || s[13] != ':' || s[16] != ':' {
		return t, false
	}
	century, year := digits2(s, 0), digits2(s, 2)
	month, day := digits2(s, 5), digits2(s, 8)
	hour, minute, second := digits2(s, 11), digits2(s, 14), digits2(s, 17)
	if century|year|month|day|hour|minute|second < 0 {
		return t, false
	}
	year += century * 100
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return t, false
	}
	rest := s[19:]
	nanos := 0
	if rest[0] == '.' {
		n := 1
		for n < len(rest) && rest[n]-'0' <= 9 {
			nanos = nanos*10 + int(rest[n]-'0')
			if n++; n > 10 {
				return t, false
			}
		}
		if n == 1 {
			return t, false
		}
		for i := n; i < 10; i++ {
			nanos *= 10
		}
		rest = rest[n:]
	}
	offset := 0
	switch {
	case rest == "Z":
	case len(rest) == 6 && (rest[0] == '+' || rest[0] == '-') && rest[3] == ':':
		hours, minutes := digits2(rest, 1), digits2(rest, 4)
		if hours|minutes < 0 || hours > 23 || minutes > 59 {
			return t, false
		}
		offset = hours*3600 + minutes*60
		if rest[0] == '-' {
			offset = -offset
		}
	default:
		return t, false
	}
	seconds := unixDays(year, month, day)*86400 + int64(hour*3600+minute*60+second-offset)
	return time.Unix(seconds, int64(nanos)).UTC(), true
}

// digits2 is the number in two digits at s[i], negative if they are not digits.
func digits2(s string, i int) int {
	a, b := s[i]-'0', s[i+1]-'0'
	if a > 9 || b > 9 {
		return -1
	}
	return int(a)*10 + int(b)
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// unixDays counts the days from 1970-01-01 in the Gregorian calendar, with years that begin in March so
// that the leap day is the last one.
func unixDays(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := year / 400
	if year < 0 {
		era = -1
	}
	inEra := year - era*400
	inYear := (153*(month-3)+2)/5 + day - 1
	return int64(era)*146097 + int64(inEra*365+inEra/4-inEra/100+inYear) - 719468
}

// appendTimestamp appends t in UTC as time.RFC3339Nano does, in half of its time.
func appendTimestamp(dst []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return t.AppendFormat(dst, time.RFC3339Nano)
	}
	hour, minute, second := t.Clock()
	dst = appendDigits2(dst, year/100)
	dst = append(appendDigits2(dst, year%100), '-')
	dst = append(appendDigits2(dst, int(month)), '-')
	dst = append(appendDigits2(dst, day), 'T')
	dst = append(appendDigits2(dst, hour), ':')
	dst = append(appendDigits2(dst, minute), ':')
	dst = appendDigits2(dst, second)
	if nanos := t.Nanosecond(); nanos != 0 {
		fraction := [10]byte{0: '.'}
		digits := 0
		for i := 9; i > 0; i-- {
			if digits == 0 && nanos%10 != 0 {
				digits = i
			}
			fraction[i] = byte('0' + nanos%10)
			nanos /= 10
		}
		dst = append(dst, fraction[:digits+1]...)
	}
	return append(dst, 'Z')
}

func appendDigits2(dst []byte, n int) []byte {
	return append(dst, byte('0'+n/10), byte('0'+n%10))
}
