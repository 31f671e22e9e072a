package mask

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// walk goes through one entry. Of a JSON object it copies nothing until the first value is acted upon.
type walk struct {
	m       *Masker
	report  Report
	hits    Hits
	pointer []byte // of the value at hand; kept only for report
	states  []state

	src  []byte
	str  string // src, once a piece of it was wanted
	out  []byte
	from int // what is before it in src is in out, or gone
}

func (w *walk) hit(k Kind, rule int) {
	w.hits[k]++
	if w.report != nil {
		w.report(rule, string(w.pointer))
	}
}

// root acts upon one of the three JSON members.
func (w *walk) root(n int, src jsontext.Value) jsontext.Value {
	if len(src) == 0 {
		return src
	}
	if w.report != nil {
		w.pointer = append(append(w.pointer[:0], '/'), rootNames[n]...)
	}
	rule := w.m.whole[n]
	if w.drops(rule) {
		w.hit(w.m.rules[rule].kind, w.m.rules[rule].number)
		return nil
	}
	w.src, w.str, w.out, w.from = src, "", nil, 0
	w.states = append(w.states[:0], w.m.roots[n]...)
	w.value(0, rule, 0, len(w.states))
	if w.from == 0 && w.out == nil {
		return src
	}
	return append(w.out, src[w.from:]...)
}

func (w *walk) drops(rule int) bool { return rule != none && w.m.rules[rule].action == Drop }

// value acts upon the value at src[i], for which rule speaks, and returns where it ends. lo and hi bound the states
// for what is in it. gone says that the caller has to take it out.
func (w *walk) value(i, rule, lo, hi int) (end int, gone bool) {
	switch c := w.src[i]; c {
	case '{':
		return w.members(i, rule, lo, hi), false
	case '[':
		return w.elements(i, rule, lo, hi), false
	case '"':
		end = stringEnd(w.src, i)
		if rule == none && len(w.m.texts) == 0 {
			return end, false
		}
		return end, w.leaf(i, end, rule, w.unquoted(i, end))
	case 't', 'n':
		return i + len("true"), false
	case 'f':
		return i + len("false"), false
	}
	end = scalarEnd(w.src, i)
	if rule == none && len(w.m.texts) == 0 {
		return end, false
	}
	return end, w.leaf(i, end, rule, w.piece(i, end))
}

// members acts upon what is in the object at src[i].
func (w *walk) members(i, rule, lo, hi int) int {
	i++
	for w.src[i] != '}' {
		start := i
		nameEnd := stringEnd(w.src, i)
		of, from, to := rule, 0, 0
		bottom := len(w.states)
		if hi > lo {
			var named int
			from, to, named = w.step(lo, hi, w.unquoted(i, nameEnd))
			of = min(of, named)
		}
		if w.m.names < of && w.secret(i, nameEnd) {
			of = w.m.names
		}
		depth := len(w.pointer)
		if w.report != nil {
			w.pointer = append(append(w.pointer, '/'), escapePointer(w.unquoted(i, nameEnd))...)
		}
		var end int
		gone := w.drops(of)
		if gone {
			end = valueEnd(w.src, nameEnd+1)
			w.hit(w.m.rules[of].kind, w.m.rules[of].number)
		} else {
			end, gone = w.value(nameEnd+1, of, from, to)
		}
		w.pointer = w.pointer[:depth]
		w.states = w.states[:bottom]
		i = w.after(start, end, gone)
	}
	return i + 1
}

// elements acts upon what is in the array at src[i]. A path goes through it as if it were not there.
func (w *walk) elements(i, rule, lo, hi int) int {
	i++
	for n := 0; w.src[i] != ']'; n++ {
		start, depth := i, len(w.pointer)
		if w.report != nil {
			w.pointer = strconv.AppendInt(append(w.pointer, '/'), int64(n), 10)
		}
		end, gone := w.value(i, rule, lo, hi)
		w.pointer = w.pointer[:depth]
		i = w.after(start, end, gone)
	}
	return i + 1
}

// after goes on behind the member or element at src[start:end], which is taken out when it is gone.
func (w *walk) after(start, end int, gone bool) int {
	next := end
	if w.src[end] == ',' {
		next++
	}
	if gone {
		w.out = append(w.room(), w.src[w.from:start]...)
		w.from = next
		if n := len(w.out); next == end && w.out[n-1] == ',' { // it was the last one, and others are before it
			w.out = w.out[:n-1]
		}
	}
	return next
}

// room is out with space for what will come at most, if nothing grows.
func (w *walk) room() []byte {
	if w.out == nil {
		w.out = make([]byte, 0, len(w.src)+len(w.src)/4)
	}
	return w.out
}

func (w *walk) secret(i, end int) bool {
	raw := w.src[i+1 : end-1]
	if bytes.IndexByte(raw, '\\') >= 0 {
		return secretName(w.unquoted(i, end))
	}
	return secretName(raw)
}

// leaf acts upon the string or number at src[i:end], whose text is value.
func (w *walk) leaf(i, end, rule int, value string) (gone bool) {
	var changed string
	if rule != none {
		r := &w.m.rules[rule]
		switch {
		case r.action == Keep || value == "":
			return false
		case r.action == Hash:
			changed = w.m.hashOf(value)
		default:
			changed = mark
		}
		if changed != value {
			w.hit(r.kind, r.number)
		}
	} else if w.src[i] == '"' {
		changed, gone = w.text(value, len(value)+maxGrowth)
	} else {
		changed, gone = w.number(value)
	}
	if gone || changed == value {
		return gone
	}
	w.out = append(w.room(), w.src[w.from:i]...)
	w.out, _ = jsontext.AppendQuote(w.out, changed) // of valid UTF-8
	w.from = end
	return false
}

// stringEnd is the index after the string that begins at b[i].
func stringEnd(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// valueEnd is the index after the value that begins at b[i].
func valueEnd(b []byte, i int) int {
	switch b[i] {
	case '"':
		return stringEnd(b, i)
	case '{', '[':
	default:
		return scalarEnd(b, i)
	}
	for depth := 0; ; {
		switch b[i] {
		case '"':
			i = stringEnd(b, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if i++; depth == 0 {
			return i
		}
	}
}

// scalarEnd is the index after the number or literal that begins at b[i].
func scalarEnd(b []byte, i int) int {
	for b[i] != ',' && b[i] != '}' && b[i] != ']' {
		i++
	}
	return i
}

// unquoted is the text of the JSON string at src[i:end]: where it has no escapes, the bytes themselves.
func (w *walk) unquoted(i, end int) string {
	if bytes.IndexByte(w.src[i:end], '\\') < 0 {
		return w.piece(i+1, end-1)
	}
	text, _ := jsontext.AppendUnquote(nil, w.src[i:end]) // of a string that was read before
	return string(text)
}

// piece is src[i:end] as a string; all pieces share one copy.
func (w *walk) piece(i, end int) string {
	if w.str == "" {
		w.str = string(w.src)
	}
	return w.str[i:end]
}

func escapePointer(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}
