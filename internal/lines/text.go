package lines

import (
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// MaxMessage is how many bytes of a line become the message; the service takes no longer one.
const MaxMessage = 64 << 10

// maxEncoded bounds the message as JSON, where a control character takes six bytes: an entry has a limit too.
const maxEncoded = 200 << 10

// maxAhead is how far in the future a time may lie before the service refuses it; the margin covers clocks.
const maxAhead = 23 * time.Hour

// Text says how raw lines become entries.
type Text struct {
	Service  string            // required
	Severity logentry.Severity // of lines that name none; 0 leaves it to the service
	Clock    Clock
	File     string           // into the metadata; "" for a stream without a name
	Now      func() time.Time // nil is time.Now
}

// Append appends line as an entry in JSON and an LF to dst. ok is false where nothing in the line can be
// seen, in which case nothing is appended. The message is the line as it is; the metadata names the file and line, and what
// was done to it: cut_bytes (that did not fit), zero_bytes (that stood before the text), invalid_utf8 (bytes that were replaced by U+FFFD),
// timestamp_ignored (the time found is not one that the service takes).
func (t Text) Append(dst []byte, line Line) (out []byte, ok bool) {
	message, replaced, cut := clean(line.Text)
	cut += line.Lost
	if blank(message) {
		return dst, false
	}
	at, end, timed := t.Clock.Find(message)
	ignored := timed && !t.acceptable(at)
	severity := t.Severity
	if s, found := Level(message[end:]); found {
		severity = s
	}
	dst = append(dst, '{')
	if timed && !ignored {
		dst = append(dst, `"timestamp":"`...)
		dst = append(at.AppendFormat(dst, time.RFC3339Nano), `",`...)
	}
	if severity != 0 {
		dst = append(dst, `"severity":"`...)
		dst = append(append(dst, severity.String()...), `",`...)
	}
	dst = appendMember(dst, "service", t.Service)
	dst = appendMember(append(dst, ','), "message", message)
	dst = append(dst, `,"metadata":{`...)
	if t.File != "" {
		dst = append(appendMember(dst, "file", t.File), ',')
	}
	dst = strconv.AppendInt(append(dst, `"line":`...), int64(line.Number), 10)
	if cut > 0 {
		dst = strconv.AppendInt(append(dst, `,"cut_bytes":`...), int64(cut), 10)
	}
	if line.Zeros > 0 {
		dst = strconv.AppendInt(append(dst, `,"zero_bytes":`...), int64(line.Zeros), 10)
	}
	if replaced > 0 {
		dst = strconv.AppendInt(append(dst, `,"invalid_utf8":`...), int64(replaced), 10)
	}
	if ignored {
		dst = append(dst, `,"timestamp_ignored":true`...)
	}
	return append(dst, "}}\n"...), true
}

func (t Text) acceptable(at time.Time) bool {
	now := time.Now
	if t.Now != nil {
		now = t.Now
	}
	return at.Unix() >= 0 && at.Before(now().Add(maxAhead))
}

func appendMember(dst []byte, name, value string) []byte {
	dst = append(append(append(dst, '"'), name...), `":`...)
	dst, _ = jsontext.AppendQuote(dst, value) // what is not UTF-8 (a file's name) becomes U+FFFD; that is its only error
	return dst
}

// clean makes valid UTF-8 of a line and cuts it to what a message may be: replaced counts the bytes that
// became U+FFFD, cut those at the end that did not fit.
func clean(line []byte) (message string, replaced, cut int) {
	if len(line) <= MaxMessage/3 && utf8.Valid(line) && plain(line) {
		return string(line), 0, 0
	}
	out := make([]byte, 0, min(len(line), MaxMessage))
	encoded := 0
	for i := 0; i < len(line); {
		r, size := utf8.DecodeRune(line[i:])
		width, cost := size, size
		if r == utf8.RuneError && size == 1 {
			width, cost = utf8.RuneLen(utf8.RuneError), utf8.RuneLen(utf8.RuneError)
		} else if r < 0x20 || r == '"' || r == '\\' || r == 0x7f {
			cost = 6
		}
		if len(out)+width > MaxMessage || encoded+cost > maxEncoded {
			return string(out), replaced, len(line) - i
		}
		if r == utf8.RuneError && size == 1 {
			replaced++
		}
		out = utf8.AppendRune(out, r)
		encoded += cost
		i += size
	}
	return string(out), replaced, 0
}

// plain says that JSON needs at most a tab's escape more for the line.
func plain(line []byte) bool {
	for _, b := range line {
		if b < 0x20 && b != '\t' {
			return false
		}
	}
	return true
}

// blank says that nothing in s can be seen: the service takes no such message.
func blank(s string) bool {
	const brailleBlank = 0x2800
	for _, r := range s {
		if ' ' < r && r < 0x7f {
			return false
		}
		if r > 0x7f && unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S) &&
			!unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) && r != brailleBlank {
			return false
		}
	}
	return true
}
