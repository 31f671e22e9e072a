package query

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxToken is where a token is cut, in characters. It is the same for what is indexed and for what is
// asked, so that a longer one is still found by all of it.
const MaxToken = 128

// inToken tells the ASCII letters (lower case) and digits.
var inToken = [utf8.RuneSelf]bool{
	'0': true, '1': true, '2': true, '3': true, '4': true, '5': true, '6': true, '7': true, '8': true, '9': true,
	'a': true, 'b': true, 'c': true, 'd': true, 'e': true, 'f': true, 'g': true, 'h': true, 'i': true, 'j': true,
	'k': true, 'l': true, 'm': true, 'n': true, 'o': true, 'p': true, 'q': true, 'r': true, 's': true, 't': true,
	'u': true, 'v': true, 'w': true, 'x': true, 'y': true, 'z': true,
}

// Tokens cuts text into what is compared: runs of Unicode letters and digits, in lower case as
// strings.ToLower makes it, in order, repeated ones too. There is no stemming, no folding of accents
// and no normalisation: a letter and its combining mark are other text than the composed letter. A
// token is cut after MaxToken characters.
func Tokens(s string) []string { return AppendTokens(nil, s) }

// AppendTokens appends the tokens of s to dst. They share s's memory, or that of one copy of it.
func AppendTokens(dst []string, s string) []string {
	s = strings.ToLower(s)
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf && !inToken[s[i]] {
			i++
			continue
		}
		start := i
		for i < len(s) && s[i] < utf8.RuneSelf && inToken[s[i]] {
			i++
		}
		if i < len(s) && s[i] >= utf8.RuneSelf {
			i = start + runEnd(s[start:])
		}
		if i == start {
			_, size := utf8.DecodeRuneInString(s[i:])
			i += size
			continue
		}
		dst = append(dst, cutToken(s[start:i]))
	}
	return dst
}

// runEnd returns where the letters and digits end that s begins with.
func runEnd(s string) int {
	for i, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsNumber(r) {
			return i
		}
	}
	return len(s)
}

func cutToken(t string) string {
	if len(t) <= MaxToken {
		return t
	}
	n := 0
	for i := range t {
		if n == MaxToken {
			return t[:i]
		}
		n++
	}
	return t
}
