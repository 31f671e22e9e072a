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
	start := -1 // of the token that i is in
	for i := 0; i < len(s); {
		in, size := true, 1
		if c := s[i]; c < utf8.RuneSelf {
			in = inToken[c]
		} else {
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			in = unicode.IsLetter(r) || unicode.IsNumber(r)
		}
		if in != (start >= 0) {
			if in {
				start = i
			} else {
				dst = append(dst, cutToken(s[start:i]))
				start = -1
			}
		}
		i += size
	}
	if start >= 0 {
		dst = append(dst, cutToken(s[start:]))
	}
	return dst
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
