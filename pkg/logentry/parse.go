package logentry

import (
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// parseRecord reads line, of which text is the same bytes, into the zero record r. order is of the
// lines before.
func parseRecord(r *Record, line []byte, text string, order *follow) error {
	if !utf8.Valid(line) {
		return errRecord
	}
	r.JSON = line
	i := scanSpace(line, 0)
	if i >= len(line) || line[i] != '{' {
		return errRecord
	}
	i = scanSpace(line, i+1)
	var seen uint32
	var last field
	for more := i < len(line) && line[i] != '}'; more; {
		f, after := order.guess(line, i, last)
		if f == fieldUnknown {
			end, plain := scanString(line, i)
			if end < 0 {
				return errRecord
			}
			name := text[i+1 : end-1]
			if !plain {
				var err error
				if name, err = unquote(line[i:end]); err != nil {
					return errRecord
				}
			}
			f = fieldOf(name)
			order[last] = f
			if after = scanSpace(line, end); after >= len(line) || line[after] != ':' {
				return errRecord
			}
			after++
		}
		last = f
		i = scanSpace(line, after)
		if f != fieldUnknown {
			if seen&(1<<f) != 0 {
				return errRecord
			}
			seen |= 1 << f
		}
		if i = r.parseValue(f, line, text, i); i < 0 {
			return errRecordValue
		}
		i = scanSpace(line, i)
		switch {
		case i >= len(line):
			return errRecord
		case line[i] == ',':
			i = scanSpace(line, i+1)
		case line[i] == '}':
			more = false
		default:
			return errRecord
		}
	}
	if i >= len(line) || scanSpace(line, i+1) != len(line) {
		return errRecord
	}
	const stamped = 1<<fieldID | 1<<fieldReceivedAt
	if seen&stamped != stamped {
		return errRecord
	}
	return nil
}

// parseValue reads the value of f at line[i] and returns the index after it, or -1.
func (r *Record) parseValue(f field, line []byte, text string, i int) int {
	switch f {
	case fieldUnknown, fieldTenantID:
		return scanValue(line, i, 1)
	case fieldBeforeState, fieldAfterState, fieldMetadata:
		if i >= len(line) || line[i] != '{' {
			return -1
		}
		end := scanValue(line, i, 1)
		if end < 0 {
			return -1
		}
		value := jsontext.Value(line[i:end:end])
		switch f {
		case fieldBeforeState:
			r.BeforeState = value
		case fieldAfterState:
			r.AfterState = value
		default:
			r.Metadata = value
		}
		return end
	case fieldSchemaVersion:
		end := scanNumber(line, i)
		if end < 0 {
			return -1
		}
		n, err := strconv.Atoi(text[i:end])
		if err != nil {
			return -1
		}
		r.SchemaVersion = n
		return end
	case fieldChanges:
		return r.parseChanges(line, text, i)
	}
	end, plain := scanString(line, i)
	if end < 0 {
		return -1
	}
	value := text[i+1 : end-1]
	if !plain {
		var err error
		if value, err = unquote(line[i:end]); err != nil {
			return -1
		}
	}
	if p := r.text(f); p != nil {
		*p = value
		return end
	}
	var ok bool
	switch f {
	case fieldID:
		var err error
		r.ID, err = ParseID(value)
		ok = err == nil
	case fieldReceivedAt:
		r.ReceivedAt, ok = parseMoment(value)
	case fieldTimestamp:
		r.Timestamp, ok = parseMoment(value)
	case fieldSeverity:
		r.Severity, ok = ParseSeverity(value)
	}
	if !ok {
		return -1
	}
	return end
}

// parseMoment is parseTimestamp for what AppendJSON can write again: in UTC too the year has four digits.
func parseMoment(value string) (t time.Time, ok bool) {
	const year0, year10000 = -62_167_219_200, 253_402_300_800
	t, ok = parseTimestamp(value)
	return t, ok && t.Unix() >= year0 && t.Unix() < year10000
}

func (r *Record) parseChanges(line []byte, text string, i int) int {
	if i >= len(line) || line[i] != '[' {
		return -1
	}
	if i = scanSpace(line, i+1); i < len(line) && line[i] == ']' {
		return i + 1
	}
	for {
		end, plain := scanString(line, i)
		if end < 0 {
			return -1
		}
		path := text[i+1 : end-1]
		if !plain {
			var err error
			if path, err = unquote(line[i:end]); err != nil {
				return -1
			}
		}
		r.Changes = append(r.Changes, path)
		if i = scanSpace(line, end); i >= len(line) {
			return -1
		}
		switch line[i] {
		case ',':
			i = scanSpace(line, i+1)
		case ']':
			return i + 1
		default:
			return -1
		}
	}
}

// unquote is the value of a JSON string with escapes.
func unquote(quoted []byte) (string, error) {
	b, err := jsontext.AppendUnquote(nil, quoted)
	return string(b), err
}
