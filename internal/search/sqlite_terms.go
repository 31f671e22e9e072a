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
	markText   = 0x80 // a token of the message or of a text of the metadata
	markAll    = 0x81 // alone: every entry of the tenant
	markAbsent = 0x82 // + a group of fields and what an entry lacks of them
	markEmpty  = 0x83 // + a path of the metadata where there is null or the empty string
	markMeta   = 0x84 // + a path of the metadata, one of what follows, and a value that is something
	markField  = 0x90 // + the field: a whole value, encoded

	// Behind a path, which is encoded as values are and has none of these.
	metaString  = 0xe0
	metaCut     = 0xe1 // the beginning of a string that is too long
	metaNumber  = 0xe2 // its digits
	metaLiteral = 0xe3
)

// optional are the fields that an entry may lack, in groups: an entry has one term for what it lacks of a group,
// and none where it lacks nothing, so that the index of what is there costs next to nothing. has: asks for those
// that do not lack a field; the more a group has, the more terms that are. What is often absent is together.
var optional = [...][groupSize]query.Field{
	{query.UserAgent, query.SpanID, query.EventID, query.Changes, query.SessionID},
	{query.TraceID, query.RequestID, query.ResourceType, query.ResourceID, query.IPAddress},
	{query.Service, query.Action, query.UserID, query.Message, query.Severity},
}

const groupSize = 5

// absence is what an entry lacks of a group, as a letter or digit that has a bit for each; 0 for nothing.
func absence(e *logentry.Entry, group int) byte {
	set := 0
	for i, f := range optional[group] {
		if lacks(e, f) {
			set |= 1 << i
		}
	}
	if set == 0 {
		return 0
	}
	return absences[set]
}

const absences = "0123456789abcdefghijklmnopqrstuv"

// lacks says whether an entry lacks one of the optional fields.
func lacks(e *logentry.Entry, f query.Field) bool {
	switch f {
	case query.Service:
		return e.Service == ""
	case query.Action:
		return e.Action == ""
	case query.UserID:
		return e.UserID == ""
	case query.SessionID:
		return e.SessionID == ""
	case query.ResourceType:
		return e.ResourceType == ""
	case query.ResourceID:
		return e.ResourceID == ""
	case query.UserAgent:
		return e.UserAgent == ""
	case query.RequestID:
		return e.RequestID == ""
	case query.TraceID:
		return e.TraceID == ""
	case query.SpanID:
		return e.SpanID == ""
	case query.EventID:
		return e.EventID == ""
	case query.IPAddress:
		return e.IPAddress == ""
	case query.Message:
		return e.Message == ""
	case query.Changes:
		return len(e.Changes) == 0
	case query.Severity:
		return e.Severity == 0
	}
	return false
}

// maxValue is where the value of a field is cut, in bytes. The validator's own bounds are below.
const maxValue = query.MaxChange

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

// fieldValues calls yield for the fields that are found by their whole value, but the address and the version.
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
	for _, path := range e.Changes {
		if len(path) <= query.MaxChange {
			yield(query.Changes, path)
		}
	}
}
