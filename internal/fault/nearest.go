package fault

import "strings"

// Nearest returns the name that was probably meant: one that begins with what was written, or one that
// is at most two slips of the pen away; empty for none.
func Nearest(written string, names []string) string {
	written = strings.ToLower(written)
	if len(written) < 2 || len(written) > 32 {
		return ""
	}
	for _, n := range names {
		if strings.HasPrefix(n, written) {
			return n
		}
	}
	best, least := "", 3
	for _, n := range names {
		if d := slips(written, n); d < least && d < len(n)-1 {
			best, least = n, d
		}
	}
	return best
}

// slips counts the letters to insert, delete, replace or swap with their neighbour to make b of a.
func slips(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
