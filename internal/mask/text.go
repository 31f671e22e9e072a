package mask

import "strings"

// maxGrowth is how much longer a string inside JSON may become; one that would grow more is replaced as a whole.
const maxGrowth = 4 << 10

// finder finds the next thing of its kind in s at or after from; start is negative where there is none.
type finder func(s string, from int) (start, end int)

// finds are the places in s where t finds something.
func (t *textRule) finds(s string) (places [][2]int) {
	if t.find == nil {
		for _, at := range t.re.FindAllStringIndex(s, -1) {
			if at[0] < at[1] {
				places = append(places, [2]int{at[0], at[1]})
			}
		}
		return places
	}
	for start, end := t.find(s, 0); start >= 0; start, end = t.find(s, end) {
		places = append(places, [2]int{start, end})
	}
	return places
}

// text acts upon the string s with the rules that look into strings. Where the result would be longer than limit, a
// mark stands for all of it.
func (w *walk) text(s string, limit int) (_ string, gone bool) {
	sent := s
	for i := range w.m.texts {
		t := &w.m.texts[i]
		places := t.finds(s)
		if len(places) == 0 {
			continue
		}
		if t.action == Drop {
			w.hit(t.kind, t.number)
			return "", true
		}
		var b strings.Builder
		at, found := 0, false
		for _, place := range places {
			part := s[place[0]:place[1]]
			put := w.m.instead(t, part)
			found = found || put != part
			b.WriteString(s[at:place[0]])
			b.WriteString(put)
			at = place[1]
		}
		b.WriteString(s[at:])
		if !found {
			continue
		}
		w.hit(t.kind, t.number)
		if s = b.String(); len(s) > max(limit, len(sent)) {
			if s = mark; t.action == Hash {
				s = w.m.hashOf(sent)
			}
		}
	}
	return s, false
}

// number acts upon the literal of a number: a card number may be written as one, also with .0 behind it, as tables of
// numbers write it.
func (w *walk) number(literal string) (_ string, gone bool) {
	whole, fraction, _ := strings.Cut(literal, ".")
	if strings.Trim(fraction, "0") != "" {
		return literal, false
	}
	for i := range w.m.texts {
		t := &w.m.texts[i]
		if t.builtin != "card" {
			continue
		}
		if start, end := t.find(whole, 0); start == 0 && end == len(whole) {
			w.hit(t.kind, t.number)
			return w.m.instead(t, whole), t.action == Drop
		}
	}
	return literal, false
}

// instead is what t puts in the place of what it found.
func (m *Masker) instead(t *textRule, found string) string {
	switch {
	case t.builtin == "card" && t.action == Hash:
		return m.hashOf(digitsOf(found)) // however it was written
	case t.action == Hash:
		return m.hashOf(found)
	case t.builtin == "card":
		digits := digitsOf(found)
		return mark + digits[len(digits)-4:]
	case t.builtin == "bearer" && len(found) > len("bearer ") && strings.EqualFold(found[:len("bearer ")], "bearer "):
		return found[:len("bearer ")] + mark
	}
	return mark
}

func digitsOf(s string) string {
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		if digit(s[i]) {
			b = append(b, s[i])
		}
	}
	return string(b)
}
