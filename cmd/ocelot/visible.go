package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// visible makes text safe for a terminal: control characters, marks that turn or hide text, and bytes that are
// not UTF-8 are written as escapes.
func visible(s string) string {
	if plainText(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += size
	}
	return b.String()
}

// visibleLines is visible for text of several lines.
func visibleLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = visible(lines[i])
	}
	return strings.Join(lines, "\n")
}

// visibleWriter makes the lines written to it visible. What has no end of line yet is held.
type visibleWriter struct {
	w    io.Writer
	held []byte
}

func (v *visibleWriter) Write(p []byte) (int, error) {
	v.held = append(v.held, p...)
	end := bytes.LastIndexByte(v.held, '\n') + 1
	var b strings.Builder
	for line := range strings.Lines(string(v.held[:end])) {
		b.WriteString(visible(strings.TrimRight(line, "\r\n")))
		b.WriteByte('\n')
	}
	v.held = append(v.held[:0], v.held[end:]...)
	if _, err := io.WriteString(v.w, b.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}

func plainText(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// fit cuts visible text to a number of columns, taking every character for one.
func fit(s string, columns int) string {
	if utf8.RuneCountInString(s) <= columns {
		return s
	}
	runes := []rune(s)
	return string(runes[:max(0, columns-1)]) + "…"
}

// grouped is n with separators between thousands.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
