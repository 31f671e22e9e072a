package logentry

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxPointer bounds how many bytes of a body's own names an answer repeats.
const maxPointer = 1 << 10

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// pointer is the JSON pointer to name below parent. One that would be too long ends in an ellipsis.
func pointer(parent, name string) string {
	if strings.ContainsAny(name, "~/") {
		name = pointerEscapes.Replace(name)
	}
	return shorten(parent + "/" + name)
}

func shorten(p string) string {
	if len(p) <= maxPointer {
		return p
	}
	end := maxPointer
	for end > 0 && !utf8.RuneStart(p[end]) {
		end--
	}
	return p[:end] + "…"
}

// pointerTo is the pointer to the value at b[at], or to the member whose name begins there. It reads
// the element again up to there, which costs only those who send something wrong.
func (d *decoder) pointerTo(at int) string {
	type level struct {
		object, named bool // named: its current name was read, a value follows
		name          string
		index         int
	}
	var levels []level
	for i := d.start; i <= at; {
		var top *level
		if len(levels) > 0 {
			top = &levels[len(levels)-1]
		}
		switch c := d.b[i]; c {
		case '"':
			end, name := d.name(i)
			if top != nil && top.object && !top.named {
				top.name, top.named = name, true
			}
			if end < 0 {
				end = at
			}
			i = max(end, i+1)
		case '{', '[':
			if i < at {
				levels = append(levels, level{object: c == '{'})
			}
			i++
		case '}', ']':
			levels = levels[:len(levels)-1]
			i++
		case ',':
			top.named = false
			top.index++
			i++
		default:
			i++
		}
	}
	p := d.elementPointer()
	for _, l := range levels {
		if l.object {
			p = pointer(p, l.name)
		} else {
			p = shorten(p + "/" + strconv.Itoa(l.index))
		}
	}
	return p
}
