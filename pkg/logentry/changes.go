package logentry

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Diff lists the paths at which two states differ: names joined by dots, sorted, each once. Objects are
// compared name by name; every other value as a whole, numbers by their literal (1 and 1.0 differ),
// strings by what they mean. Where one state is absent, the names at the top of the other one. At most
// 256 paths are listed; objects nested deeper than 32 are compared as a whole. A state that is no JSON
// object has no names.
func Diff(before, after jsontext.Value) []string {
	var d differ
	switch {
	case len(before) == 0 && len(after) == 0:
		return nil
	case len(before) == 0:
		d.all(after)
	case len(after) == 0:
		d.all(before)
	default:
		d.objects("", before, after, 1)
	}
	slices.Sort(d.paths)
	return slices.Compact(d.paths) // a name with a dot may spell another path
}

const maxPaths, maxDiffDepth = 256, 32

// differ collects paths.
type differ struct{ paths []string }

func (d *differ) all(state jsontext.Value) {
	for _, m := range members(state) {
		d.add(m.name)
	}
}

func (d *differ) add(path string) {
	if len(d.paths) < maxPaths {
		d.paths = append(d.paths, path)
	}
}

// objects compares two objects whose names are below the path prefix.
func (d *differ) objects(prefix string, before, after []byte, depth int) {
	old := members(before)
	byName := make(map[string][]byte, len(old))
	for _, m := range old {
		byName[m.name] = m.value
	}
	for _, m := range members(after) {
		was, known := byName[m.name]
		delete(byName, m.name)
		switch {
		case !known:
			d.add(prefix + m.name)
		case string(was) == string(m.value):
		case was[0] == '{' && m.value[0] == '{' && depth < maxDiffDepth:
			d.objects(prefix+m.name+".", was, m.value, depth+1)
		case !sameValue(was, m.value, depth):
			d.add(prefix + m.name)
		}
		if len(d.paths) == maxPaths {
			return
		}
	}
	for _, m := range old {
		if _, gone := byName[m.name]; gone {
			d.add(prefix + m.name)
		}
	}
}

// sameValue compares two values of any kind that differ in their bytes.
func sameValue(a, b []byte, depth int) bool {
	if string(a) == string(b) {
		return true
	}
	if a[0] != b[0] || depth > maxDiffDepth {
		return false
	}
	switch a[0] {
	case '"':
		x, errX := unquote(a)
		y, errY := unquote(b)
		return errX == nil && errY == nil && x == y
	case '[':
		x, y := elements(a), elements(b)
		return slices.EqualFunc(x, y, func(p, q []byte) bool { return sameValue(p, q, depth+1) })
	case '{':
		x, y := members(a), members(b)
		byName := func(p, q stateMember) int { return strings.Compare(p.name, q.name) }
		slices.SortFunc(x, byName)
		slices.SortFunc(y, byName)
		return slices.EqualFunc(x, y, func(p, q stateMember) bool {
			return p.name == q.name && sameValue(p.value, q.value, depth+1)
		})
	}
	return false
}

type stateMember struct {
	name  string
	value []byte
}

// members are those of the object, in its order; none if it is not a JSON object.
func members(object []byte) []stateMember {
	var all []stateMember
	for i, end := range pieces(object, '{') {
		at, plain := scanString(object, i)
		var name string
		if plain {
			name = string(object[i+1 : at-1])
		} else {
			name, _ = unquote(object[i:at])
		}
		value := scanSpace(object, scanSpace(object, at)+1)
		all = append(all, stateMember{name, object[value:end]})
	}
	return all
}

func elements(array []byte) [][]byte {
	var all [][]byte
	for i, end := range pieces(array, '[') {
		all = append(all, array[i:end])
	}
	return all
}

// pieces walks over the members of the object, or the elements of the array, that begins with opening:
// where each begins and ends.
func pieces(b []byte, opening byte) func(yield func(begin, end int) bool) {
	return func(yield func(int, int) bool) {
		i := scanSpace(b, 0)
		if i >= len(b) || b[i] != opening || scanValue(b, i, 0) < 0 {
			return
		}
		i = scanSpace(b, i+1)
		for b[i] != opening+2 {
			begin := i
			if opening == '{' {
				name, _ := scanString(b, i)
				i = scanSpace(b, scanSpace(b, name)+1)
			}
			end := scanValue(b, i, 0)
			if !yield(begin, end) {
				return
			}
			if i = scanSpace(b, end); b[i] == ',' {
				i = scanSpace(b, i+1)
			}
		}
	}
}
