package search

import (
	"encoding/base64"
	"encoding/binary"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// documents encodes records. Its memory is used again.
type documents struct {
	tokens            []string
	texts, keys, nums []byte
}

// takes says whether the index can hold the entry: one without a tenant would belong to all, and times
// must be nanoseconds in 63 bits. The validator lets nothing else in.
func takes(e *logentry.Entry) bool {
	return e.TenantID != "" && inNanoseconds(e.Timestamp) && inNanoseconds(e.ReceivedAt)
}

func inNanoseconds(t time.Time) bool {
	return t.Unix() >= 0 && t.Unix() < math.MaxInt64/int64(time.Second)
}

// sortHalves are the halves of an id as numbers that sort as its bytes do.
func sortHalves(id logentry.ID) (high, low int64) {
	return int64(binary.BigEndian.Uint64(id[:8]) ^ 1<<63), int64(binary.BigEndian.Uint64(id[8:]) ^ 1<<63)
}

// idOf is the id of the halves.
func idOf(high, low int64) (id logentry.ID) {
	binary.BigEndian.PutUint64(id[:8], uint64(high)^1<<63)
	binary.BigEndian.PutUint64(id[8:], uint64(low)^1<<63)
	return id
}

// documentID is an entry's _id: 22 characters.
func appendDocumentID(dst []byte, id logentry.ID) []byte {
	return base64.RawURLEncoding.AppendEncode(dst, id[:])
}

// append appends the two lines of a create. index is the name of its index.
func (d *documents) append(dst []byte, index []byte, e *logentry.Entry) []byte {
	dst = append(append(dst, `{"create":{"_index":"`...), index...)
	dst = append(appendDocumentID(append(dst, `","_id":"`...), e.ID), "\"}}\n"...)

	dst = appendString(append(dst, `{"tenant_id":`...), e.TenantID)
	dst = appendMillis(append(dst, `,"timestamp":`...), e.Timestamp)
	dst = appendMillis(append(dst, `,"received_at":`...), e.ReceivedAt)
	high, low := sortHalves(e.ID)
	dst = strconv.AppendInt(append(dst, `,"id_high":`...), high, 10)
	dst = strconv.AppendInt(append(dst, `,"id_low":`...), low, 10)
	dst = strconv.AppendInt(append(dst, `,"severity":`...), int64(e.Severity), 10)
	dst = strconv.AppendInt(append(dst, `,"schema_version":`...), int64(e.SchemaVersion), 10)
	dst = appendField(dst, `,"service":`, e.Service)
	dst = appendField(dst, `,"action":`, e.Action)
	dst = appendField(dst, `,"user_id":`, e.UserID)
	dst = appendField(dst, `,"session_id":`, e.SessionID)
	dst = appendField(dst, `,"resource_type":`, e.ResourceType)
	dst = appendField(dst, `,"resource_id":`, e.ResourceID)
	dst = appendField(dst, `,"user_agent":`, e.UserAgent)
	dst = appendField(dst, `,"request_id":`, e.RequestID)
	dst = appendField(dst, `,"trace_id":`, e.TraceID)
	dst = appendField(dst, `,"span_id":`, e.SpanID)
	dst = appendField(dst, `,"event_id":`, e.EventID)
	dst = appendAddressField(dst, e.IPAddress)
	if e.Message != "" {
		n := len(dst)
		if dst = d.appendText(dst, `,"message":"`, e.Message, `"`); len(dst) == n {
			dst = append(dst, `,"message":""`...) // it is there, has: says
		}
	}
	if len(e.Changes) > 0 {
		dst = appendChanges(dst, e.Changes)
	}
	if len(e.Metadata) > 0 {
		dst = d.appendMetadata(dst, e.Metadata)
	}
	return append(dst, '}', '\n')
}

// appendMillis appends a time as a string of milliseconds with all its nanoseconds: as a number it would
// be rounded wherever somebody decodes it.
func appendMillis(dst []byte, t time.Time) []byte {
	ns := t.UnixNano()
	dst = strconv.AppendInt(append(dst, '"'), ns/1e6, 10)
	if rest := ns % 1e6; rest != 0 {
		var digits [7]byte
		strconv.AppendInt(digits[:0], 1e6+rest, 10)
		digits[0] = '.'
		dst = append(dst, digits[:]...)
	}
	return append(dst, '"')
}

// appendField appends a field unless it is empty, which is the same as absent.
func appendField(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return appendString(append(dst, name...), value)
}

// appendString appends a JSON string.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			quoted, err := jsontext.AppendQuote(dst, s)
			if err != nil { // not UTF-8
				quoted, _ = jsontext.AppendQuote(dst, strings.ToValidUTF8(s, "\ufffd"))
			}
			return quoted
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}

// address is the field and the one spelling of an IP address; no field for what is none.
func address(s string) (field, spelling string) {
	spelling, ok := query.Address(s)
	switch {
	case !ok:
		return "", ""
	case strings.IndexByte(spelling, '%') >= 0:
		return "ip_zoned", spelling
	}
	return "ip_address", spelling
}

func appendAddressField(dst []byte, s string) []byte {
	if s == "" {
		return dst
	}
	field, spelling := address(s)
	if field == "" {
		return dst
	}
	dst = append(append(append(dst, `,"`...), field...), `":`...)
	dst = appendString(dst, spelling)
	bare, _, zoned := strings.Cut(spelling, "%")
	if zoned {
		dst = append(append(append(dst, `,"ip_bare":"`...), bare...), '"') // it is in a network all the same
	}
	return append(append(append(dst, `,"ip_counted":"`...), bare...), '"')
}

// appendText appends before, the tokens of a text with spaces between them and after; nothing where
// there are none. Tokens are letters and digits: JSON has no escapes for them.
func (d *documents) appendText(dst []byte, before, text, after string) []byte {
	start := len(dst)
	dst = append(dst, before...)
	begin := len(dst)
	dst, ok := appendASCIITokens(dst, text)
	if !ok {
		d.tokens = query.AppendTokens(d.tokens[:0], text)
		dst = dst[:begin]
		for i, t := range d.tokens {
			if i > 0 {
				dst = append(dst, ' ')
			}
			dst = append(dst, t...)
		}
	}
	if len(dst) == begin {
		return dst[:start]
	}
	return append(dst, after...)
}

// folded is what becomes of an ASCII byte in a text: a letter or digit, in lower case, or 0 for the others.
var folded = func() (t [256]byte) {
	for c := '0'; c <= '9'; c++ {
		t[c] = byte(c)
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = byte(c), byte(c)
	}
	return t
}()

// appendASCIITokens appends the tokens of a text that is all ASCII, as query.Tokens cuts them, with
// spaces between them. ok is false for any other text.
func appendASCIITokens(dst []byte, text string) (out []byte, ok bool) {
	begin := len(dst)
	for i := 0; i < len(text); {
		if folded[text[i]] == 0 {
			if text[i] >= utf8.RuneSelf {
				return dst, false
			}
			i++
			continue
		}
		if len(dst) > begin {
			dst = append(dst, ' ')
		}
		from := i
		for i < len(text) && folded[text[i]] != 0 {
			if i-from < query.MaxToken {
				dst = append(dst, folded[text[i]])
			}
			i++
		}
	}
	return dst, true
}
