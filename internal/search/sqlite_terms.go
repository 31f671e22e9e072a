package search

import (
	"encoding/hex"
	"net/netip"
	"strconv"

	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// A term is <number of the tenant, base 36> <mark> <what is looked for>. The number is made of 0–9 a–z and
// every mark is above them, so no term of a tenant is a term, or the beginning of one, of another tenant:
// isolation does not depend on a condition that a query could forget. FTS5's ascii tokenizer takes
// 0–9 a–z and every byte from 0x80 on as they are, so that what stands in quotes in a MATCH comes out of it
// as exactly these bytes.
const (
	markText  = 0x80 // a token of the message or of a text of the metadata
	markAll   = 0x81 // alone: every entry of the tenant
	markField = 0x90 // + the field: a whole value, encoded
)

// maxValue is where the value of a field is cut, in bytes. The validator's own bounds are below.
const maxValue = 1024

// appendTenant appends the beginning of all terms of a tenant.
func appendTenant(dst []byte, num int64) []byte { return strconv.AppendInt(dst, num, 36) }

// escape stands before a byte from 0x80 on, in the value of a field.
const escape = 0xff

// encoded is what becomes of a byte below 0x80 in the value of a field: 0–9 a–z stay, the others, which the
// tokenizer would cut at or fold, are numbered from 0x80 on.
var encoded = func() (t [0x80]byte) {
	next := byte(0x80)
	for c := range t {
		if '0' <= c && c <= '9' || 'a' <= c && c <= 'z' {
			t[c] = byte(c)
			continue
		}
		t[c] = next
		next++
	}
	return t
}()

// appendValue appends the encoded value of a field. Different values differ, and the beginning of a value
// is encoded as the beginning of what the value is.
func appendValue(dst []byte, value string) []byte {
	for i := range len(value) {
		if c := value[i]; c < 0x80 {
			dst = append(dst, encoded[c])
		} else {
			dst = append(dst, escape, c)
		}
	}
	return dst
}

// appendAddress appends the 32 hex digits of an address, IPv4 in its IPv6 form, so that a network is the
// beginning of its addresses; a zone follows. ok is false for what is no address.
func appendAddress(dst []byte, s string) (out []byte, ok bool) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return dst, false
	}
	a = a.Unmap()
	b := a.As16()
	dst = hex.AppendEncode(dst, b[:])
	return appendValue(dst, a.Zone()), true
}

// fieldValues calls yield for the fields that are found by their whole value, but the address.
func fieldValues(e *logentry.Entry, yield func(f query.Field, value string)) {
	for _, v := range [...]struct {
		f query.Field
		s string
	}{
		{query.Service, e.Service}, {query.Action, e.Action}, {query.UserID, e.UserID}, {query.SessionID, e.SessionID},
		{query.ResourceType, e.ResourceType}, {query.ResourceID, e.ResourceID}, {query.UserAgent, e.UserAgent},
		{query.RequestID, e.RequestID}, {query.TraceID, e.TraceID}, {query.SpanID, e.SpanID}, {query.EventID, e.EventID},
		{query.Severity, e.Severity.String()},
	} {
		if v.s != "" {
			yield(v.f, v.s)
		}
	}
	yield(query.SchemaVersion, strconv.Itoa(e.SchemaVersion))
}
