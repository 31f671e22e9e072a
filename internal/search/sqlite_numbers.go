package search

import (
	"math"

	"github.com/ocelot-log/ocelot/internal/query"
)

// FTS5 finds terms and beginnings of terms, no ranges. So a number is written in digits that sort as numbers do,
// 0 to 3, without the zeros at its end: a range is then some beginnings, few where its ends are round. With
// digits of two bits there are fewest of them; the numbers that people log have ten or so.
const (
	digitBits = 2
	digits    = 64 / digitBits
)

// appendNumber appends the digits of a number by its query.SortBits.
func appendNumber(dst []byte, bits uint64) []byte {
	for ; bits != 0; bits <<= digitBits {
		dst = append(dst, '0'+byte(bits>>(64-digitBits)))
	}
	return dst
}

// numberPiece is a beginning of digits, or with whole all the digits of one number.
type numberPiece struct {
	digits string
	whole  bool
}

// numberPieces are the pieces that together are the numbers of an interval.
func numberPieces(n query.Interval) (all []numberPiece) {
	low, high, ok := n.SortedBetween()
	if !ok {
		return nil
	}
	if math.IsInf(n.From, -1) && !n.Above {
		low = 0 // nothing sorts before it
	}
	if math.IsInf(n.To, 1) && !n.Below {
		high = math.MaxUint64
	}
	if n.Above { // what begins with the digits of the end, and goes on, is above it
		own := appendNumber(nil, query.SortBits(n.From))
		if rest := remaining(len(own)); low|rest <= high && rest != 0 {
			for d := byte('0'); d <= '3'; d++ {
				all = append(all, numberPiece{digits: string(append(own[:len(own):len(own)], d))})
			}
			if low |= rest; low == high {
				return all
			}
			low++
		}
	}
	for {
		n := digits
		for n > 0 && low&remaining(n-1) == 0 && low|remaining(n-1) <= high {
			n--
		}
		all = appendPieces(all, low, n)
		if low |= remaining(n); low >= high {
			return all
		}
		low++
	}
}

// remaining are the bits behind the first n digits.
func remaining(n int) uint64 {
	if n == 0 {
		return math.MaxUint64
	}
	return 1<<(64-digitBits*n) - 1
}

// appendPieces appends what finds all numbers with the first n digits of low, whose other digits are zeros.
func appendPieces(all []numberPiece, low uint64, n int) []numberPiece {
	own := string(appendNumber(nil, low))
	if len(own) == n && n < digits {
		return append(all, numberPiece{digits: own})
	}
	all = append(all, numberPiece{digits: own, whole: true})
	if n == digits {
		return all
	}
	begin := own
	for len(begin) < n {
		begin += "0"
	}
	return append(all, numberPiece{digits: begin})
}
