package logentry

import (
	"bytes"
	"slices"
	"time"
	"unicode/utf8"
)

// Form is how a body holds its entries.
type Form uint8

// Single is one entry. Bulk is {"logs":[…]} or an array. NDJSON is an entry a line; blank lines and CRLF
// are fine, and the last line may lack its newline.
const (
	Single Form = iota
	Bulk
	NDJSON
)

// Options bound what Decode takes. A zero field takes its default.
type Options struct {
	Now           time.Time     // moment of receipt; default time.Now()
	MaxFutureSkew time.Duration // how far ahead of Now a timestamp may be; default 24 h
	MaxAge        time.Duration // how far before Now a timestamp may be; 0: any time since 1970
	Reserved      string        // the service that no entry may name, because its entries are made here; empty: none

	MaxEntries      int // in one body; default 10,000
	MaxEntryBytes   int // of an entry's JSON as sent; default 256 KiB
	MaxMessageBytes int // default 64 KiB
	MaxDepth        int // objects and arrays in each other, the entry itself being 1; default 32
	MaxKeys         int // names in an entry at all depths; default 512
	MaxKeyBytes     int // of a name in states and metadata; default 128
	MaxProblems     int // listed, the rest only counted against the body; default 100
}

// DefaultOptions are the documented limits, with Now left to the moment of decoding.
func DefaultOptions() Options {
	return Options{
		MaxFutureSkew: 24 * time.Hour, MaxEntries: 10_000, MaxEntryBytes: 256 << 10, MaxMessageBytes: 64 << 10,
		MaxDepth: 32, MaxKeys: 512, MaxKeyBytes: 128, MaxProblems: 100,
	}
}

func (o Options) withDefaults() Options {
	d := DefaultOptions()
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	if o.MaxFutureSkew == 0 {
		o.MaxFutureSkew = d.MaxFutureSkew
	}
	for _, f := range []struct{ have, want *int }{
		{&o.MaxEntries, &d.MaxEntries}, {&o.MaxEntryBytes, &d.MaxEntryBytes}, {&o.MaxMessageBytes, &d.MaxMessageBytes},
		{&o.MaxDepth, &d.MaxDepth}, {&o.MaxKeys, &d.MaxKeys}, {&o.MaxKeyBytes, &d.MaxKeyBytes}, {&o.MaxProblems, &d.MaxProblems},
	} {
		if *f.have == 0 {
			*f.have = *f.want
		}
	}
	return o
}

// Decode reads the entries of a body: all of them, or none and a *DecodeError that lists every problem.
// A syntax fault, too deep nesting and too large an entry of an array end the reading; every other
// problem is collected first. Entries are as sent: nothing is stamped.
//
// The entries share one string copy of body, and their states and metadata are pieces of body itself: it
// must not be changed or used again while the entries live.
func Decode(body []byte, form Form, o Options) ([]Entry, error) {
	start := scanSpace(body, 0)
	if start == len(body) {
		return nil, refusal(Malformed, Problem{Code: "body_empty", Message: "the body is empty; send at least one entry"})
	}
	d := &decoder{Options: o.withDefaults(), b: body, s: string(body), form: form}
	d.latest = d.Now.Add(d.MaxFutureSkew)
	if d.MaxAge > 0 {
		d.earliest = d.Now.Add(-d.MaxAge)
	}
	if form == NDJSON {
		return d.lines()
	}
	if !utf8.Valid(body) {
		return nil, d.syntaxFault()
	}
	end := d.document(start)
	if end >= 0 && scanSpace(body, end) != len(body) {
		end = -1
	}
	if end < 0 && !d.stopped {
		return nil, d.syntaxFault()
	}
	return d.finish()
}

// document reads the one value of a Single or Bulk body.
func (d *decoder) document(i int) int {
	switch c := d.b[i]; {
	case d.form == Single && c == '{':
		return d.element(i)
	case d.form == Bulk && c == '[':
		return d.elements(i)
	case d.form == Bulk && c == '{':
		return d.wrapper(i)
	}
	want := "one JSON object, the entry"
	if d.form == Bulk {
		want = `{"logs":[…]} or an array of entries`
	}
	d.add(Problem{Code: "field_wrong_type", Message: "the body must be " + want}, Invalid)
	return d.beside(i)
}

// wrapper reads {"logs":[…]} at b[i].
func (d *decoder) wrapper(i int) int {
	var names []string
	i, more := d.open(i)
	for more {
		end, name := d.name(i)
		if end < 0 || slices.Contains(names, name) {
			return -1
		}
		names = append(names, name)
		at := d.colon(end)
		switch {
		case at < 0 || at >= len(d.b):
			return -1
		case name != "logs":
			d.add(Problem{Pointer: pointer("", name), Code: "unknown_field",
				Message: `the only member of a bulk body is "logs"`}, Malformed)
			if len(names) > 16 { // a body made of names only must not cost their comparison
				d.stopped, d.truncated = true, true
				return -1
			}
			i = d.beside(at)
		case d.b[at] != '[':
			d.add(Problem{Pointer: "/logs", Code: "field_wrong_type", Message: "logs must be an array of entries"}, Invalid)
			i = d.beside(at)
		default:
			d.prefix = "/logs"
			i = d.elements(at)
		}
		if i < 0 {
			return -1
		}
		i, more = d.next(i, '}')
	}
	if i >= 0 && !slices.Contains(names, "logs") {
		d.add(Problem{Pointer: "/logs", Code: "required", Message: `send the entries as {"logs":[…]} or as an array`}, Invalid)
	}
	return i
}

// beside skips a value that is in no entry.
func (d *decoder) beside(i int) int {
	d.begin(i, false)
	end := d.skip(i)
	if end < 0 || d.oversized(end) || !d.settled(end) {
		return -1
	}
	return end
}

// elements reads the array of entries at b[i].
func (d *decoder) elements(i int) int {
	i, more := d.open(i)
	if i >= 0 && !more {
		d.add(Problem{Pointer: d.prefix, Code: "batch_empty", Message: "the batch is empty; send at least one entry"}, Invalid)
	}
	for more {
		if d.count == d.MaxEntries {
			d.batchTooLarge()
			return -1
		}
		if i = d.element(i); i < 0 {
			return -1
		}
		d.count++
		i, more = d.next(i, ']')
	}
	return i
}

// element reads one entry, or what stands in its place.
func (d *decoder) element(i int) int {
	if i >= len(d.b) {
		return -1
	}
	d.begin(i, true)
	e := d.newEntry(i)
	if d.b[i] != '{' {
		d.problem(i, Invalid, "field_wrong_type", "an entry must be a JSON object")
		if i = d.skip(i); i < 0 || d.oversized(i) || !d.settled(i) {
			return -1
		}
		return i
	}
	end := d.entry(i, e)
	if d.found != d.found0 {
		e.EventID = "" // not to be compared with others
	}
	if d.entryBytes == 0 {
		d.entryBytes = end - i + 1
	}
	return end
}

// newEntry makes room for the entry at b[i], and with the second one for as many as the body probably
// holds.
func (d *decoder) newEntry(i int) *Entry {
	if len(d.entries) == cap(d.entries) {
		room := 1
		if d.entryBytes > 0 {
			room = max(1, min((len(d.b)-i+d.rest)/d.entryBytes+2, d.MaxEntries-len(d.entries)))
		}
		d.entries = append(make([]Entry, 0, len(d.entries)+room), d.entries...)
	}
	d.entries = d.entries[:len(d.entries)+1]
	return &d.entries[len(d.entries)-1]
}

// lines reads an NDJSON body.
func (d *decoder) lines() ([]Entry, error) {
	all := d.b
	text := d.s
	for at := 0; at < len(all); {
		end, next := len(all), len(all)
		if n := bytes.IndexByte(all[at:], '\n'); n >= 0 {
			end, next = at+n, at+n+1
		}
		d.line++
		d.b, d.s = all[at:end:end], text[at:end]
		at = next
		i := scanSpace(d.b, 0)
		if i == len(d.b) {
			continue
		}
		if d.count == d.MaxEntries {
			d.batchTooLarge()
			return d.finish()
		}
		d.count++
		d.lineOf = append(d.lineOf, d.line)
		if len(d.b)-i > d.MaxEntryBytes && len(bytes.TrimRight(d.b[i:], " \t\r")) > d.MaxEntryBytes {
			d.add(Problem{Line: d.line, Code: "entry_too_large", Message: d.tooLargeMessage()}, TooLarge)
			d.newEntry(i)
			continue
		}
		d.rest = len(all) - at
		end = -1
		if utf8.Valid(d.b) {
			end = d.element(i)
		}
		if d.stopped {
			return d.finish()
		}
		if end < 0 || scanSpace(d.b, end) != len(d.b) {
			return nil, d.syntaxFault()
		}
	}
	return d.finish()
}

// finish is the verdict once everything is read, or reading was stopped by a problem in the list.
func (d *decoder) finish() ([]Entry, error) {
	if !d.stopped {
		d.compareEventIDs()
	}
	if d.found == 0 {
		return d.entries, nil
	}
	return nil, d.refused()
}
