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
	top := func() *level { return &levels[len(levels)-1] }
	i := d.start
	for i < at {
		switch c := d.b[i]; c {
		case '{', '[':
			levels = append(levels, level{object: c == '{'})
		case '}', ']':
			levels = levels[:len(levels)-1]
		case ',':
			top().named = false
			top().index++
		case '"':
			end, name := d.name(i)
			if top().object && !top().named {
				top().name, top().named = name, true
			}
			i = end
			continue
		}
		i++
	}
	if len(levels) > 0 && top().object && !top().named {
		_, top().name = d.name(i)
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
