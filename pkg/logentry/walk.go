package logentry

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// open enters the object or array at b[i]: the index of its first member, or after its end.
func (d *decoder) open(i int) (_ int, more bool) {
	closing := d.b[i] + 2 // both in ASCII
	if i = d.space(i + 1); i >= len(d.b) {
		return -1, false
	}
	if d.b[i] == closing {
		return i + 1, false
	}
	return i, true
}

// next goes on after a member that ended at b[i]: to the following one, or after the end.
func (d *decoder) next(i int, closing byte) (_ int, more bool) {
	if i = d.space(i); i >= len(d.b) {
		return -1, false
	}
	switch d.b[i] {
	case ',':
		return d.space(i + 1), true
	case closing:
		return i + 1, false
	}
	return -1, false
}

// space goes to the next byte that is not white space.
func (d *decoder) space(i int) int {
	if i < len(d.b) && d.b[i] <= ' ' {
		d.spaced = true
		return scanSpace(d.b, i)
	}
	return i
}

// name reads the name at b[i].
func (d *decoder) name(i int) (end int, name string) {
	end, plain := scanString(d.b, i)
	if end < 0 {
		return -1, ""
	}
	if plain {
		return end, d.s[i+1 : end-1]
	}
	name, err := unquote(d.b[i:end])
	if err != nil {
		return -1, ""
	}
	return end, name
}

// colon goes over the colon after a name to the value, or gives -1.
func (d *decoder) colon(i int) int {
	if i = d.space(i); i >= len(d.b) || d.b[i] != ':' {
		return -1
	}
	return d.space(i + 1)
}

// unique adds a name of an object whose names begin at base, and is false if it is there already.
func (d *decoder) unique(base, object int, name string) bool {
	const few = 16 // up to here comparing costs less than a table
	names := d.names[base:]
	if len(names) <= few {
		for _, other := range names {
			if other == name {
				return false
			}
		}
		d.names = append(d.names, name)
		return true
	}
	if d.table == nil {
		d.table = map[member]struct{}{}
	}
	if len(names) == few+1 {
		for _, other := range names {
			d.table[member{object, other}] = struct{}{}
		}
		d.names = append(d.names, "") // the last one that is added
	}
	if _, known := d.table[member{object, name}]; known {
		return false
	}
	d.table[member{object, name}] = struct{}{}
	return true
}

// skip reads a value that is refused as a whole, saying nothing of what is in it.
func (d *decoder) skip(i int) int {
	muted := d.muted
	d.muted = true
	end := d.value(i, 1)
	d.muted = muted
	return end
}

// value reads any value inside depth others and checks what is in it.
func (d *decoder) value(i, depth int) int {
	if i >= len(d.b) {
		return -1
	}
	switch d.b[i] {
	case '"':
		end, _ := scanString(d.b, i)
		return end
	case '{':
		return d.object(i, depth+1)
	case '[':
		return d.array(i, depth+1)
	case 't', 'f', 'n':
		return scanLiteral(d.b, i)
	}
	return d.number(i)
}

// enter checks the depth of the object or array at b[i].
func (d *decoder) enter(i, depth int) bool {
	if depth <= d.MaxDepth {
		return true
	}
	if depth > maxDepth {
		d.tooDeep()
		return false
	}
	if !d.deep && !d.muted {
		d.deep = true
		d.problem(i, Invalid, "json_too_deep", "an entry is nested at most "+strconv.Itoa(d.MaxDepth)+" deep")
	}
	return true
}

func (d *decoder) array(i, depth int) int {
	if !d.enter(i, depth) {
		return -1
	}
	i, more := d.open(i)
	for more {
		if i = d.value(i, depth); i < 0 || d.oversized(i) {
			return -1
		}
		i, more = d.next(i, ']')
	}
	return i
}

func (d *decoder) object(i, depth int) int {
	if !d.enter(i, depth) {
		return -1
	}
	d.objects++
	object, base := d.objects, len(d.names)
	i, more := d.open(i)
	for more {
		end, name := d.name(i)
		if end < 0 || d.countKey(i) && !d.unique(base, object, name) {
			return -1
		}
		if d.badKey(name) {
			d.problem(i, Invalid, "key_invalid", "a name has 1 to "+strconv.Itoa(d.MaxKeyBytes)+" bytes and no control characters")
		}
		at := d.colon(end)
		if at < 0 {
			return -1
		}
		if i = d.value(at, depth); i < 0 || d.oversized(i) {
			return -1
		}
		i, more = d.next(i, '}')
	}
	d.names = d.names[:base]
	return i
}

// countKey counts the name at b[i]; it is false from the first one too many on.
func (d *decoder) countKey(i int) bool {
	if d.keys++; d.keys <= d.MaxKeys {
		return true
	}
	if !d.crowded {
		d.crowded = true
		d.problem(i, Invalid, "too_many_keys", "an entry has at most "+strconv.Itoa(d.MaxKeys)+" names at all depths")
	}
	return false
}

// settled tells that the names of a crowded element ending at end are unique after all.
func (d *decoder) settled(end int) bool {
	return !d.crowded || jsontext.Value(d.b[d.start:end]).IsValid()
}

func (d *decoder) badKey(name string) bool {
	if name == "" || len(name) > d.MaxKeyBytes {
		return true
	}
	for i := range len(name) {
		if name[i] < ' ' {
			return true
		}
	}
	return false
}

// number reads the number at b[i]: a literal that any reader can hold.
func (d *decoder) number(i int) int {
	const maxDigits, maxExponent = 32, 308
	end := scanNumber(d.b, i)
	if end < 0 || d.muted {
		return end
	}
	literal := d.s[i:end]
	e := strings.IndexAny(literal, "eE")
	if e < 0 && len(literal) <= maxDigits {
		return end
	}
	mantissa, exponent := literal, ""
	if e >= 0 {
		mantissa, exponent = literal[:e], strings.TrimLeft(literal[e+1:], "+-")
	}
	digits := len(mantissa) - strings.Count(mantissa, "-") - strings.Count(mantissa, ".")
	switch {
	case digits > maxDigits || len(exponent) > maxDigits:
		d.problem(i, Invalid, "number_too_long", "a number has at most 32 digits; send a longer one as a string")
	case exponent != "":
		if n, err := strconv.Atoi(exponent); err != nil || n > maxExponent {
			d.problem(i, Invalid, "number_out_of_range", "a number's exponent is from -308 to 308; send others as a string")
		}
	}
	return end
}
