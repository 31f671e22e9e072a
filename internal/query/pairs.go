package query

import (
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Kind is what a scalar of the metadata is.
type Kind uint8

const (
	PairString  Kind = iota // a string
	PairCut                 // the beginning of one that is too long
	PairNumber              // a number
	PairLiteral             // true, false or null
)

// Pair is a scalar of the metadata with its dotted path. An element of an array has the path of the array.
type Pair struct {
	Path string
	Kind Kind
	Text string // of a string what it means, otherwise the literal

	number int // of the scalars of the document, from 1
}

// Pairs calls yield for the scalars of metadata within the bounds, in the order of the document, until yield
// returns false. It says whether something lies beyond the bounds; a value that was cut counts. meta is JSON
// that was checked before; in anything else it stops where it makes no sense.
func Pairs(meta jsontext.Value, yield func(p Pair) bool) (truncated bool) {
	w := walker{s: string(meta), yield: yield}
	w.value("", 0, 0)
	return w.truncated
}

// Present says whether the pair is something: not null and no empty string.
func (p Pair) Present() bool {
	return p.Kind == PairCut || p.Kind == PairNumber || p.Text != "" && (p.Kind == PairString || p.Text != "null")
}

// Within says whether the pair lies at a path or below it.
func (p Pair) Within(path string) bool {
	return strings.HasPrefix(p.Path, path) && (len(p.Path) == len(path) || p.Path[len(path)] == '.')
}

// equals says whether the pair is what v asks for.
func (p Pair) equals(v *Value, number float64, numeric bool) bool {
	if p.Path != v.Path {
		return false
	}
	switch p.Kind {
	case PairString:
		return p.Text == v.Text || v.Prefix && strings.HasPrefix(p.Text, v.Text)
	case PairCut:
		return v.Prefix && strings.HasPrefix(p.Text, v.Text)
	case PairNumber:
		return numeric && Number(p.Text) == number
	default:
		return p.Text == v.Text && !v.Prefix && !v.Quoted
	}
}

// AsNumber is the number that v matches besides strings.
func (v Value) AsNumber() (number float64, ok bool) {
	if v.Quoted || v.Prefix {
		return 0, false
	}
	return parseNumber(v.Text)
}

// AsLiteral says whether v matches true, false or null besides strings.
func (v Value) AsLiteral() bool {
	return !v.Quoted && !v.Prefix && (v.Text == "true" || v.Text == "false" || v.Text == "null")
}

// Truncated says whether an entry has more metadata than can be found: the index_truncated of its answer.
func Truncated(meta jsontext.Value) bool {
	return len(meta) > 0 && Pairs(meta, func(Pair) bool { return true })
}
