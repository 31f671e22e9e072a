package logentry

import (
	"strconv"
	"time"
)

// decoder is the state of one Decode. Its readers take the index where something begins and return the
// index after it, or -1: a syntax fault, which the codec then words, or stopped.
type decoder struct {
	Options
	b      []byte // the body, or the line of an NDJSON body
	s      string // the same bytes
	form   Form
	prefix string // pointer to the array of entries
	line   int    // of NDJSON, from 1
	latest time.Time

	earliest time.Time // zero: 1970
	follow   follow

	entries    []Entry
	lineOf     []int // of each entry of NDJSON
	count      int   // elements or lines begun
	entryBytes int   // of the first entry: the guess for the rest
	rest       int   // bytes of NDJSON after the line

	// Of the element being read.
	inElement bool // not in something beside the entries
	start     int  // where it begins
	found0    int  // what was found before it
	classes0  [TooLarge + 1]bool
	keys      int
	objects   int
	spaced    bool // white space was seen since it was last cleared
	muted     bool // inside a value that is refused as a whole
	deep      bool // too deep was said
	crowded   bool // more names than taken: the codec compares them
	names     []string
	table     map[member]struct{}

	problems  []Problem
	found     int // problems, listed or not
	classes   [TooLarge + 1]bool
	truncated bool
	stopped   bool
}

// member is a name in one of the objects of an element.
type member struct {
	object int
	name   string
}

// begin resets what belongs to one element, or to a value beside them.
func (d *decoder) begin(i int, inElement bool) {
	d.inElement, d.start, d.found0, d.classes0 = inElement, i, d.found, d.classes
	d.keys, d.objects = 0, 0
	d.spaced, d.muted, d.deep, d.crowded = false, false, false, false
	d.names = d.names[:0]
	if len(d.table) > 0 {
		clear(d.table)
	}
}

// add notes a problem; the list ends at MaxProblems.
func (d *decoder) add(p Problem, class Class) {
	d.found++
	d.classes[class] = true
	if len(d.problems) >= d.MaxProblems {
		d.truncated = true
		return
	}
	d.problems = append(d.problems, p)
}

// problem notes that what begins at b[i] of the element is wrong.
func (d *decoder) problem(i int, class Class, code, message string) {
	if d.muted {
		return
	}
	p := Problem{Code: code, Message: message}
	if len(d.problems) < d.MaxProblems {
		p.Pointer, p.Line = d.pointerTo(i), d.line
	}
	d.add(p, class)
}

// elementPointer is the pointer to the element being read.
func (d *decoder) elementPointer() string {
	if d.form != Bulk || !d.inElement {
		return ""
	}
	return d.prefix + "/" + strconv.Itoa(d.count)
}

func (d *decoder) batchTooLarge() {
	d.stopped = true
	d.truncated = d.found > 0
	d.add(Problem{Pointer: d.prefix, Line: d.line, Code: "batch_too_large",
		Message: "a batch has at most " + strconv.Itoa(d.MaxEntries) + " entries; send several"}, TooLarge)
}

func (d *decoder) tooLargeMessage() string {
	return "an entry has at most " + strconv.Itoa(d.MaxEntryBytes) + " bytes of JSON"
}

// oversized stops the reading when the element has grown over its size.
func (d *decoder) oversized(i int) bool {
	if i-d.start <= d.MaxEntryBytes {
		return false
	}
	d.stopped = true
	if !d.inElement { // the value was refused before it was read
		d.truncated = true
		return true
	}
	// What was said of the inside of a too large entry is of no use.
	d.found, d.classes = d.found0, d.classes0
	d.problems = d.problems[:min(len(d.problems), d.found)]
	d.truncated = d.found > 0
	d.add(Problem{Pointer: d.elementPointer(), Line: d.line, Code: "entry_too_large", Message: d.tooLargeMessage()}, TooLarge)
	return true
}

// tooDeep ends the reading: this nesting is no entry.
func (d *decoder) tooDeep() {
	d.stopped, d.truncated = true, false
	d.problems, d.found = nil, 0
	d.classes = [TooLarge + 1]bool{}
	d.add(Problem{Pointer: d.elementPointer(), Line: d.line, Code: "json_too_deep",
		Message: "the JSON is nested more than " + strconv.Itoa(maxDepth) + " deep; an entry takes " + strconv.Itoa(d.MaxDepth)}, Malformed)
}

// refused words the problems found.
func (d *decoder) refused() *DecodeError {
	e := &DecodeError{Code: "validation_failed", Problems: d.problems, Truncated: d.truncated}
	switch {
	case d.classes[Malformed]:
		e.Class = Malformed
	case d.classes[Invalid]:
		e.Class = Invalid
	default:
		e.Class, e.Code = TooLarge, d.problems[0].Code
	}
	if d.found == 1 {
		e.Code, e.Detail = d.problems[0].Code, d.problems[0].Message
	} else {
		e.Detail = strconv.Itoa(d.found) + " problems were found; nothing was taken"
	}
	return e
}
