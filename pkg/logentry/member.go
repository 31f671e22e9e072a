package logentry

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// entry reads the object at b[i] into the zero entry e.
func (d *decoder) entry(i int, e *Entry) int {
	var seen, bad uint32 // fields, by bit
	var last field
	i, more := d.open(i)
	for more {
		at, name := i, ""
		f, v := d.follow.guess(d.b, i, last)
		if f == fieldUnknown {
			var end int
			if end, name = d.name(at); end < 0 {
				return -1
			}
			f, v = fieldOf(name), d.colon(end)
			d.follow[last] = f
		} else {
			v = d.space(v)
		}
		last = f
		if v < 0 || v >= len(d.b) {
			return -1
		}
		switch within := d.countKey(at); {
		case f != fieldUnknown:
			if seen&(1<<f) != 0 {
				return -1
			}
			seen |= 1 << f
		case within && !d.unique(0, 0, name):
			return -1
		}
		before := d.found
		if i = d.member(f, name, at, v, e); i < 0 || d.oversized(i) {
			return -1
		}
		if d.found != before {
			bad |= 1 << f
		}
		i, more = d.next(i, '}')
	}
	if i < 0 || d.oversized(i) || !d.settled(i) {
		return -1
	}
	if bad&(1<<fieldMessage|1<<fieldAction) == 0 && !visible(e.Message) && !visible(e.Action) {
		d.add(Problem{Pointer: pointer(d.elementPointer(), "message"), Line: d.line, Code: "required",
			Message: "an entry needs a message or an action"}, Invalid)
	}
	return i
}

// member reads the value at b[v] of the field f, whose name stands at b[at].
func (d *decoder) member(f field, name string, at, v int, e *Entry) int {
	switch f {
	case fieldUnknown:
		d.problem(at, Malformed, "unknown_field", unknownMessage(name))
		return d.skip(v)
	case fieldID, fieldReceivedAt, fieldChanges:
		d.problem(at, Malformed, "unknown_field", "the service sets this field itself; leave it out")
		return d.skip(v)
	case fieldTenantID:
		d.problem(at, Invalid, "tenant_not_settable", "the tenant follows from the credentials; leave this field out")
		return d.skip(v)
	case fieldBeforeState:
		return d.raw(f, v, &e.BeforeState)
	case fieldAfterState:
		return d.raw(f, v, &e.AfterState)
	case fieldMetadata:
		return d.raw(f, v, &e.Metadata)
	case fieldSchemaVersion:
		return d.schemaVersion(v, e)
	}
	if d.b[v] != '"' {
		code, message := "field_wrong_type", f.String()+" must be a string"
		if c := d.b[v]; c == '-' || c-'0' <= 9 {
			switch f {
			case fieldTimestamp:
				code, message = "timestamp_invalid", timestampMessage
			case fieldSeverity:
				code, message = "severity_invalid", severityMessage
			}
		}
		d.problem(v, Invalid, code, message)
		return d.skip(v)
	}
	end, value := d.name(v)
	if end < 0 {
		return -1
	}
	if value == "" && f != fieldEventID {
		return end
	}
	if code, message := d.text(f, value, e); code != "" {
		d.problem(v, Invalid, code, message)
	}
	return end
}

const (
	timestampMessage = "a timestamp is RFC 3339, such as 2026-01-31T23:59:59.123Z"
	severityMessage  = "a severity is DEBUG, INFO, WARNING, ERROR or CRITICAL"
)

// Bounds of the string fields, in bytes, wide enough for what real systems write: AWS has request ids of more
// than 128, object keys and user agents of up to 1,024.
const (
	maxText     = 512
	maxLongText = 1024 // resource_id, user_agent
)

// text sets the string field f of e, or says what is wrong with it.
func (d *decoder) text(f field, value string, e *Entry) (code, message string) {
	limit := maxText
	switch f {
	case fieldTimestamp:
		t, ok := parseTimestamp(value)
		switch {
		case !ok:
			return "timestamp_invalid", timestampMessage
		case t.Unix() < 0:
			return "timestamp_out_of_range", "a timestamp is not before 1970"
		case t.Before(d.earliest):
			return "timestamp_out_of_range", "a timestamp is at most " + d.MaxAge.String() + " before the receipt, as the tenant's max_entry_age says"
		case t.After(d.latest):
			return "timestamp_out_of_range", "a timestamp is at most " + d.MaxFutureSkew.String() + " ahead of the receipt"
		}
		e.Timestamp = t
		return "", ""
	case fieldSeverity:
		s, ok := ParseSeverity(value)
		if !ok {
			return "severity_invalid", severityMessage
		}
		e.Severity = s
		return "", ""
	case fieldIPAddress:
		if a, err := netip.ParseAddr(value); err != nil || a.Zone() != "" {
			return "ip_address_invalid", "an ip_address is an IPv4 or IPv6 address without a zone or port"
		}
	case fieldTraceID, fieldSpanID:
		var ok bool
		if f == fieldTraceID {
			value, ok = hexID(value, 32)
			code, message = "trace_id_invalid", "a trace_id is 32 hex digits, not all zero"
		} else {
			value, ok = hexID(value, 16)
			code, message = "span_id_invalid", "a span_id is 16 hex digits, not all zero"
		}
		if !ok {
			return code, message
		}
	case fieldEventID:
		if value == "" || len(value) > 128 || !printable(value) {
			return "event_id_invalid", "an event_id has 1 to 128 bytes of printable characters"
		}
	case fieldService:
		if d.Reserved != "" && value == d.Reserved {
			return "service_reserved", "entries of the service " + d.Reserved + " are made by this service itself; choose another name"
		}
	case fieldAction:
		if len(value) > 64 && utf8.RuneCountInString(value) > 64 {
			return "too_long", "action has at most 64 characters"
		}
		limit = len(value)
	case fieldMessage:
		limit = d.MaxMessageBytes
	case fieldResourceID, fieldUserAgent:
		limit = maxLongText
	}
	if len(value) > limit {
		return "too_long", f.String() + " has at most " + strconv.Itoa(limit) + " bytes"
	}
	*e.text(f) = value
	return "", ""
}

// raw reads the object at b[v] as it is, without the white space between its tokens.
func (d *decoder) raw(f field, v int, to *jsontext.Value) int {
	if d.b[v] != '{' {
		d.problem(v, Invalid, "field_wrong_type", f.String()+" must be a JSON object")
		return d.skip(v)
	}
	d.spaced = false
	end := d.object(v, 2)
	if end < 0 {
		return -1
	}
	*to = jsontext.Value(d.b[v:end:end])
	if d.spaced {
		*to = appendCompact(make([]byte, 0, end-v), *to)
	}
	return end
}

func (d *decoder) schemaVersion(v int, e *Entry) int {
	if c := d.b[v]; c != '-' && c-'0' > 9 {
		d.problem(v, Invalid, "field_wrong_type", "schema_version must be a number")
		return d.skip(v)
	}
	before := d.found
	end := d.number(v)
	if end < 0 || d.found != before {
		return end
	}
	n, err := strconv.ParseInt(d.s[v:end], 10, 32)
	if err != nil || n < 1 {
		d.problem(v, Invalid, "schema_version_invalid", "a schema_version is a whole number from 1 to 2147483647")
		return end
	}
	e.SchemaVersion = int(n)
	return end
}

// visible tells that s has a character that can be seen. Marks count with the letter below them only.
func visible(s string) bool {
	const brailleBlank = 0x2800
	for _, r := range s {
		if r > ' ' && r < 0x7f {
			return true
		}
		if r > 0x7f && unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S) &&
			!unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) && r != brailleBlank {
			return true
		}
	}
	return false
}

func printable(s string) bool {
	for _, r := range s {
		if (r < ' ' || r > '~') && !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// hexID is s in lower case if it has n hex digits that are not all zero.
func hexID(s string, n int) (_ string, ok bool) {
	if len(s) != n {
		return "", false
	}
	var all byte
	for i := range n {
		all |= hexClasses[s[i]]
	}
	if all&hexUpper != 0 {
		s = strings.ToLower(s)
	}
	return s, all&(hexNot|hexNonzero) == hexNonzero
}

const (
	hexNonzero = 1 << iota
	hexUpper
	hexNot
)

// hexClasses saves a branch that no predictor can guess for each digit of an id.
var hexClasses = func() (classes [256]byte) {
	for c := range classes {
		switch {
		case c == '0':
		case c >= '1' && c <= '9', c >= 'a' && c <= 'f':
			classes[c] = hexNonzero
		case c >= 'A' && c <= 'F':
			classes[c] = hexNonzero | hexUpper
		default:
			classes[c] = hexNot
		}
	}
	return classes
}()
