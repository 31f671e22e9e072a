package logentry

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/go-json-experiment/json/jsontext"
)

// AppendJSON appends the canonical JSON of a stamped entry: one object on one line, without its
// newline. It begins with `{"id":"<36 characters>","received_at":"<RFC 3339, UTC>"`; the other members follow
// in a fixed order, absent ones left out. The tenant is not in it.
func AppendJSON(dst []byte, e *Entry) []byte {
	dst = append(dst, `{"id":"`...)
	dst = e.ID.AppendText(dst)
	dst = append(dst, `","received_at":"`...)
	dst = appendTimestamp(dst, e.ReceivedAt)
	dst = append(dst, '"')
	if len(e.Changes) > 0 {
		dst = append(dst, `,"changes":[`...)
		for i, path := range e.Changes {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendQuoted(dst, path)
		}
		dst = append(dst, ']')
	}
	return append(appendMembers(dst, e), '}')
}

// AppendContent appends what the producer said, in the form of AppendJSON without id, received_at and
// changes: what a keyed id is made from and what tells two entries with one key apart.
func AppendContent(dst []byte, e *Entry) []byte {
	start := len(dst)
	dst = appendMembers(dst, e)
	if len(dst) == start {
		return append(dst, '{', '}')
	}
	dst[start] = '{' // in place of the first comma
	return append(dst, '}')
}

// appendMembers appends each member with a comma before it.
func appendMembers(dst []byte, e *Entry) []byte {
	if !e.Timestamp.IsZero() {
		dst = append(dst, `,"timestamp":"`...)
		dst = append(appendTimestamp(dst, e.Timestamp), '"')
	}
	if name := e.Severity.String(); name != "" {
		dst = append(dst, `,"severity":"`...)
		dst = append(append(dst, name...), '"')
	}
	dst = appendText(dst, `,"service":`, e.Service)
	dst = appendText(dst, `,"action":`, e.Action)
	dst = appendText(dst, `,"message":`, e.Message)
	dst = appendText(dst, `,"user_id":`, e.UserID)
	dst = appendText(dst, `,"session_id":`, e.SessionID)
	dst = appendText(dst, `,"resource_type":`, e.ResourceType)
	dst = appendText(dst, `,"resource_id":`, e.ResourceID)
	dst = appendText(dst, `,"ip_address":`, e.IPAddress)
	dst = appendText(dst, `,"user_agent":`, e.UserAgent)
	dst = appendText(dst, `,"request_id":`, e.RequestID)
	dst = appendText(dst, `,"trace_id":`, e.TraceID)
	dst = appendText(dst, `,"span_id":`, e.SpanID)
	dst = appendText(dst, `,"event_id":`, e.EventID)
	if e.SchemaVersion != 0 {
		dst = append(dst, `,"schema_version":`...)
		dst = strconv.AppendInt(dst, int64(e.SchemaVersion), 10)
	}
	dst = appendRaw(dst, `,"before_state":`, e.BeforeState)
	dst = appendRaw(dst, `,"after_state":`, e.AfterState)
	return appendRaw(dst, `,"metadata":`, e.Metadata)
}

func appendText(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return appendQuoted(append(dst, name...), value)
}

func appendRaw(dst []byte, name string, value jsontext.Value) []byte {
	if len(value) == 0 {
		return dst
	}
	dst = append(dst, name...)
	if bytes.IndexByte(value, '\n') >= 0 { // white space between tokens: it would end the line
		return appendCompact(dst, value)
	}
	return append(dst, value...)
}

// appendCompact appends valid JSON without the white space between its tokens.
func appendCompact(dst, value []byte) []byte {
	for i := 0; i < len(value); {
		switch c := value[i]; c {
		case ' ', '\t', '\r', '\n':
			i++
		case '"':
			end, _ := scanString(value, i)
			if end < 0 {
				end = len(value)
			}
			dst = append(dst, value[i:end]...)
			i = end
		default:
			dst = append(dst, c)
			i++
		}
	}
	return dst
}

// appendQuoted appends s as a JSON string with only the escapes that JSON demands. What is not UTF-8,
// which no decoder here lets in, becomes U+FFFD.
func appendQuoted(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := len(dst)
	dst = append(dst, s...)
	text := dst[start:]
	i := 0
	var any uint64
	for ; len(text)-i >= 8; i += 8 {
		w := binary.LittleEndian.Uint64(text[i:])
		if m := special(w); m != 0 {
			i += bits.TrailingZeros64(m) / 8
			return appendEscaped(dst[:start], s, i)
		}
		any |= w
	}
	for ; i < len(text); i++ {
		c := text[i]
		if c == '"' || c == '\\' || c < ' ' {
			return appendEscaped(dst[:start], s, i)
		}
		any |= uint64(c)
	}
	if any&highs != 0 && !utf8.Valid(text) {
		return appendEscaped(dst[:start], s, 0)
	}
	return append(dst, '"')
}

// appendEscaped appends s and the closing quote. The first clean bytes are known to need no escape.
func appendEscaped(dst []byte, s string, clean int) []byte {
	const hexDigits = "0123456789abcdef"
	if !utf8.ValidString(s) {
		s, clean = strings.ToValidUTF8(s, "\ufffd"), 0
	}
	from := 0
	for i := clean; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(append(dst, s[from:]...), '"')
}

var (
	errRecord      = errors.New("a record is one JSON object with an id and the moment of its receipt")
	errRecordValue = errors.New("a value of the record has the wrong shape")
	errRecordCount = errors.New("the payload holds another number of records than announced")
)

// ParseRecord reads the line that AppendJSON made, or any JSON object with the same names in another
// order. Members with other names are kept in JSON only. The record keeps line: it must not change.
// Names repeated inside states and metadata are not looked for: they can't get into a record.
func ParseRecord(line []byte) (Record, error) {
	var r Record
	var order follow
	if err := parseRecord(&r, line, shared(line), &order); err != nil {
		return Record{}, err
	}
	return r, nil
}

// shared is b as a string without a copy, which would be as large as all that a worker holds.
func shared(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// ParseRecords reads count records, one a line, each line ended by a newline (the last one may lack
// it). The records and their strings share payload: it must not change.
func ParseRecords(payload []byte, count int) ([]Record, error) {
	if count < 0 || count > len(payload) {
		return nil, errRecordCount
	}
	text := shared(payload)
	records := make([]Record, count)
	var order follow
	at := 0
	for i := range records {
		if at >= len(payload) {
			return nil, errRecordCount
		}
		end, next := len(payload), len(payload)
		if n := bytes.IndexByte(payload[at:], '\n'); n >= 0 {
			end, next = at+n, at+n+1
		}
		if err := parseRecord(&records[i], payload[at:end:end], text[at:end], &order); err != nil {
			return nil, err
		}
		at = next
	}
	if at != len(payload) {
		return nil, errRecordCount
	}
	return records, nil
}
