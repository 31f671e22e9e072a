package query

import (
	"math"
	"strconv"
)

// Has says whether v is in the interval.
func (n Interval) Has(v float64) bool {
	return (v > n.From || v == n.From && !n.Above) && (v < n.To || v == n.To && !n.Below)
}

// parseNumber reads what JSON calls a number and a float64 can be near to.
func parseNumber(s string) (float64, bool) {
	if !isNumber(s) {
		return 0, false
	}
	v, err := strconv.ParseFloat(s, 64)
	return v, err == nil
}

// isNumber tells a number of JSON.
func isNumber(s string) bool {
	i := 0
	run := func() bool {
		from := i
		for i < len(s) && '0' <= s[i] && s[i] <= '9' {
			i++
		}
		return i > from
	}
	if i < len(s) && s[i] == '-' {
		i++
	}
	if i < len(s) && s[i] == '0' {
		i++
	} else if !run() {
		return false
	}
	if i < len(s) && s[i] == '.' {
		i++
		if !run() {
			return false
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		if !run() {
			return false
		}
	}
	return i == len(s)
}

// Number is the number of a literal of JSON, as the nearest float64; what is beyond all of them is infinite.
func Number(literal string) float64 {
	if len(literal) < 16 { // mostly a whole number, which needs no parser
		n, i := 0, 0
		for i < len(literal) && '0' <= literal[i] && literal[i] <= '9' {
			n = n*10 + int(literal[i]-'0')
			i++
		}
		if i == len(literal) && i > 0 {
			return float64(n)
		}
	}
	v, _ := strconv.ParseFloat(literal, 64)
	return v
}

// SortBits are the bits of a number that sort as numbers do; -0 is 0.
func SortBits(v float64) uint64 {
	if v == 0 {
		return 1 << 63
	}
	bits := math.Float64bits(v)
	if bits>>63 == 1 {
		return ^bits
	}
	return bits | 1<<63
}

// FromSortBits is the number of its bits.
func FromSortBits(bits uint64) float64 {
	if bits>>63 == 1 {
		return math.Float64frombits(bits &^ (1 << 63))
	}
	return math.Float64frombits(^bits)
}

// SortedBetween are the SortBits of the least and the greatest number in the interval; ok is false where there
// are none.
func (n Interval) SortedBetween() (least, most uint64, ok bool) {
	least, most = SortBits(n.From), SortBits(n.To)
	if n.Above {
		least++ // the next one, since they sort as numbers do; an infinite From has numbers above it or none
	}
	if n.Below {
		most--
	}
	return least, most, least <= most && n.From <= n.To && !math.IsNaN(n.From) && !math.IsNaN(n.To)
}

// form is how an end is written.
func numberForm(v float64) string {
	if math.IsInf(v, 0) {
		return "*"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}
