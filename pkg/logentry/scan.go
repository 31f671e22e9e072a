package logentry

import (
	"encoding/binary"
	"math/bits"
)

// The scanner reads JSON text that is known to be valid UTF-8. It takes exactly what the codec takes
// (a fuzz target holds it to that), except that names of nested objects may repeat: who needs them
// unique looks at them himself.

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special marks the bytes of w that end a run inside a JSON string: quote, backslash, control
// characters. Only the lowest mark is exact.
func special(w uint64) uint64 {
	quote := w ^ '"'*ones
	slash := w ^ '\\'*ones
	return ((quote-ones)&^quote | (slash-ones)&^slash | (w-' '*ones)&^w) & highs
}

// scanString returns the index after the string that opens at b[i], or -1 if there is none. plain tells
// that it has no escapes, so that its value is the bytes between the quotes.
func scanString(b []byte, i int) (end int, plain bool) {
	if i >= len(b) || b[i] != '"' {
		return -1, false
	}
	plain = true
	for i++; ; {
		for len(b)-i >= 8 {
			if m := special(binary.LittleEndian.Uint64(b[i:])); m != 0 {
				i += bits.TrailingZeros64(m) / 8
				break
			}
			i += 8
		}
		if i >= len(b) {
			return -1, false
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1, plain
		case c == '\\':
			plain = false
			if i = scanEscape(b, i); i < 0 {
				return -1, false
			}
		case c < ' ':
			return -1, false
		default:
			i++ // in the last bytes, too few for a word
		}
	}
}

// scanEscape returns the index after the escape that begins at b[i], or -1. A surrogate must come in a
// pair.
func scanEscape(b []byte, i int) int {
	if i+1 >= len(b) {
		return -1
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
	default:
		return -1
	}
	switch u := hex4(b, i+2); {
	case u < 0, u >= 0xdc00 && u < 0xe000:
		return -1
	case u < 0xd800 || u >= 0xe000:
		return i + 6
	}
	if i+7 >= len(b) || b[i+6] != '\\' || b[i+7] != 'u' {
		return -1
	}
	if low := hex4(b, i+8); low < 0xdc00 || low >= 0xe000 {
		return -1
	}
	return i + 12
}

func hex4(b []byte, i int) int {
	if len(b)-i < 4 {
		return -1
	}
	u := 0
	for _, c := range b[i : i+4] {
		switch {
		case c-'0' <= 9:
			u = u<<4 | int(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			u = u<<4 | int(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return u
}

// scanNumber returns the index after the number at b[i], or -1.
func scanNumber(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	switch {
	case i >= len(b) || b[i]-'0' > 9:
		return -1
	case b[i] == '0':
		i++
	default:
		i = scanDigits(b, i)
	}
	if i < len(b) && b[i] == '.' {
		j := scanDigits(b, i+1)
		if j == i+1 {
			return -1
		}
		i = j
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		j := scanDigits(b, i)
		if j == i {
			return -1
		}
		i = j
	}
	return i
}

func scanDigits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

// scanLiteral returns the index after true, false or null at b[i], or -1.
func scanLiteral(b []byte, i int) int {
	for _, word := range [...]string{"true", "false", "null"} {
		if len(b)-i >= len(word) && string(b[i:i+len(word)]) == word {
			return i + len(word)
		}
	}
	return -1
}

// scanSpace returns the index of the first byte at or after i that is not white space.
func scanSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// maxDepth is where nesting is no longer a wrong value but an attack: reading stops.
const maxDepth = 1000

// scanValue returns the index after the value at b[i], or -1. Names may repeat.
func scanValue(b []byte, i, depth int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"':
		end, _ := scanString(b, i)
		return end
	case '{', '[':
		if depth >= maxDepth {
			return -1
		}
		return scanComposite(b, i, depth+1)
	case 't', 'f', 'n':
		return scanLiteral(b, i)
	}
	return scanNumber(b, i)
}

// scanComposite is scanValue for the object or array at b[i].
func scanComposite(b []byte, i, depth int) int {
	object := b[i] == '{'
	closing := b[i] + 2 // both in ASCII
	if i = scanSpace(b, i+1); i < len(b) && b[i] == closing {
		return i + 1
	}
	for {
		if object {
			end, _ := scanString(b, i)
			if end < 0 {
				return -1
			}
			if i = scanSpace(b, end); i >= len(b) || b[i] != ':' {
				return -1
			}
			i = scanSpace(b, i+1)
		}
		end := scanValue(b, i, depth)
		if end < 0 {
			return -1
		}
		i = scanSpace(b, end)
		switch {
		case i >= len(b):
			return -1
		case b[i] == closing:
			return i + 1
		case b[i] != ',':
			return -1
		}
		i = scanSpace(b, i+1)
	}
}
