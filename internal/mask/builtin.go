package mask

import (
	"net/netip"
	"strings"
)

// builtins are what can be found in strings without a pattern of one's own.
var builtins = map[string]finder{
	"email":   findEmail,
	"card":    findCard,
	"bearer":  findBearer,
	"aws_key": findAWSKey,
	"ip":      findIP,
}

func digit(c byte) bool    { return c-'0' <= 9 }
func letter(c byte) bool   { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func alphanum(c byte) bool { return digit(c) || letter(c) }

// findEmail finds local@domain: a local part of what is usual in ASCII, or of letters beyond it, a domain with a dot.
func findEmail(s string, from int) (start, end int) {
	local := func(c byte) bool { return alphanum(c) || c >= 0x80 || strings.IndexByte("._%+-", c) >= 0 }
	domain := func(c byte) bool { return alphanum(c) || c >= 0x80 || c == '-' || c == '.' }
	for at := from; ; at++ {
		n := strings.IndexByte(s[at:], '@')
		if n < 0 {
			return -1, -1
		}
		at += n
		start, end = at, at+1
		for start > from && local(s[start-1]) {
			start--
		}
		for end < len(s) && domain(s[end]) {
			end++
		}
		for end > at+1 && !alphanum(s[end-1]) && s[end-1] < 0x80 {
			end--
		}
		if start < at && strings.IndexByte(s[at+1:end], '.') > 0 {
			return start, end
		}
	}
}

// findCard finds the number of a card: 13 to 19 digits that begin with 2 to 6 and satisfy Luhn, together or parted by
// single spaces or dashes, with no digit next to them.
func findCard(s string, from int) (start, end int) {
	for i := from; i < len(s); i++ {
		if s[i] < '2' || s[i] > '6' || i > 0 && digit(s[i-1]) {
			continue
		}
		if end = cardAt(s, i); end > 0 {
			return i, end
		}
	}
	return -1, -1
}

// cardAt is the end of the longest card number that begins at s[i]; 0 for none.
func cardAt(s string, i int) (end int) {
	const least, most = 13, 19
	var digits [most]byte
	n := 0
	for ; i < len(s); i++ {
		switch {
		case digit(s[i]) && n == most:
			return end
		case digit(s[i]):
			digits[n] = s[i] - '0'
			if n++; n >= least && (i+1 == len(s) || !digit(s[i+1])) && luhn(digits[:n]) {
				end = i + 1
			}
		case s[i] != ' ' && s[i] != '-' || !digit(s[i-1]):
			return end
		}
	}
	return end
}

func luhn(digits []byte) bool {
	sum := 0
	for i := range digits {
		d := int(digits[len(digits)-1-i])
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// findBearer finds "bearer" and a token of at least eight characters, a JWT wherever it stands, and API keys of this
// service, which begin with ocl_.
func findBearer(s string, from int) (start, end int) {
	for i := from; i < len(s); i++ {
		switch {
		case s[i]|0x20 == 'b' && hasWord(s, i, "bearer "):
			begin := i + len("bearer ")
			if end = tokenEnd(s, begin); end-begin >= 8 {
				return i, end
			}
		case s[i] == 'e' && strings.HasPrefix(s[i:], "eyJ") && (i == 0 || !tokenByte(s[i-1])):
			if end = tokenEnd(s, i); strings.Count(s[i:end], ".") == 2 && end-i >= 20 {
				return i, end
			}
		case s[i] == 'o' && strings.HasPrefix(s[i:], "ocl_") && (i == 0 || !tokenByte(s[i-1])):
			if end = tokenEnd(s, i); end-i >= 40 {
				return i, end
			}
		}
	}
	return -1, -1
}

// hasWord tells that the word, of lower-case letters and a space, begins at s[i] in any case and inside no other.
func hasWord(s string, i int, word string) bool {
	return len(s)-i >= len(word) && strings.EqualFold(s[i:i+len(word)], word) && (i == 0 || !alphanum(s[i-1]))
}

func tokenByte(c byte) bool { return alphanum(c) || strings.IndexByte("-._~+/=", c) >= 0 }

func tokenEnd(s string, i int) int {
	for i < len(s) && tokenByte(s[i]) {
		i++
	}
	return i
}

// findAWSKey finds ids of AWS access keys, which are AKIA or ASIA and 16 capitals and digits, and secret keys: 40
// characters of base64 with a capital, a small letter and a digit, so that no hash in hex is taken for one.
func findAWSKey(s string, from int) (start, end int) {
	base64 := func(c byte) bool { return alphanum(c) || c == '/' || c == '+' }
	for i := from; i < len(s); i++ {
		if !base64(s[i]) {
			continue
		}
		if end = i; i == 0 || !alphanum(s[i-1]) {
			for end < len(s) && alphanum(s[end]) {
				end++
			}
			if end-i == 20 && (s[i:i+4] == "AKIA" || s[i:i+4] == "ASIA") && strings.ToUpper(s[i:end]) == s[i:end] {
				return i, end
			}
		}
		if i > 0 && base64(s[i-1]) {
			continue
		}
		for end < len(s) && base64(s[end]) && end-i <= 40 {
			end++
		}
		if end-i == 40 && mixed(s[i:end]) {
			return i, end
		}
	}
	return -1, -1
}

func mixed(s string) bool {
	var capital, small, number bool
	for i := range len(s) {
		switch c := s[i]; {
		case digit(c):
			number = true
		case c >= 'A' && c <= 'Z':
			capital = true
		case c >= 'a' && c <= 'z':
			small = true
		}
	}
	return capital && small && number
}

// findIP finds addresses of both families, IPv4 also with a port behind it.
func findIP(s string, from int) (start, end int) {
	part := func(c byte) bool { return digit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' || c == ':' || c == '.' }
	for i := from; i < len(s); {
		if !part(s[i]) {
			i++
			continue
		}
		start = i
		for i < len(s) && part(s[i]) {
			i++
		}
		end = i
		if start > 0 && alphanum(s[start-1]) && alphanum(s[start]) || end < len(s) && alphanum(s[end]) { // part of a word
			continue
		}
		if from, to, ok := addressIn(s, start, end); ok {
			return from, to
		}
	}
	return -1, -1
}

// addressIn finds an address in s[start:end], of hex digits, colons and dots.
func addressIn(s string, start, end int) (from, to int, ok bool) {
	for end > start && (s[end-1] == '.' || s[end-1] == ':' && (end-2 < start || s[end-2] != ':')) {
		end--
	}
	const shortest = 3 // ::1
	if end-start < shortest || end-start > 45+6 {
		return 0, 0, false
	}
	if address(s[start:end]) {
		return start, end, true
	}
	for piece := start; piece < end; {
		stop := piece
		for stop < end && s[stop] != ':' {
			stop++
		}
		if address(s[piece:stop]) {
			return piece, stop, true
		}
		piece = stop + 1
	}
	return 0, 0, false
}

// address tells that s is one; words like face::bad are none.
func address(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil && strings.ContainsAny(s, "0123456789")
}
