package lines

import (
	"strings"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// levelWindow is how far behind the time a level is looked for, in bytes.
const levelWindow = 80

// Level reads the level word near the beginning of the line's text behind the time: a name in capitals
// (INFO, WARN, SEVERE), or in any case where the line marks it as one: [error], <warn>, level=info, and
// "error:" at the beginning or after a bracket or colon. ok is false where there is none, so that words
// of the message are not taken for levels.
func Level(rest string) (s logentry.Severity, ok bool) {
	window := rest[:min(len(rest), levelWindow)]
	for i := 0; i < len(window); {
		if !isLetter(window[i]) {
			i++
			continue
		}
		end := i
		for end < len(rest) && isLetter(rest[end]) {
			end++
		}
		if s, ok = levelWord(rest, i, end); ok {
			return s, true
		}
		i = end
	}
	return 0, false
}

// levelWord judges the word rest[from:to].
func levelWord(rest string, from, to int) (logentry.Severity, bool) {
	word := rest[from:to]
	s, ok := logentry.ParseSeverity(word)
	if !ok && strings.EqualFold(word, "SEVERE") {
		s, ok = logentry.Error, true
	}
	if !ok {
		return 0, false
	}
	before, after := byte(' '), byte(' ')
	if from > 0 {
		before = rest[from-1]
	}
	if to < len(rest) {
		after = rest[to]
	}
	if isDigit(before) || isDigit(after) || before == '_' || after == '_' || before == '.' || after == '.' && to+1 < len(rest) && isLetter(rest[to+1]) {
		return 0, false // a piece of a name
	}
	if word == strings.ToUpper(word) {
		return s, true
	}
	switch {
	case after == ']' || after == '>', before == '=', before == '[' || before == '<':
		return s, true
	case after == ':':
		head := strings.TrimRight(rest[:from], " \t")
		return s, head == "" || strings.IndexByte(":])>-|", head[len(head)-1]) >= 0
	}
	return 0, false
}
