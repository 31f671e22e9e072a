package query

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// MinPrefix is how many characters a prefix has at least.
const MinPrefix = 2

// Address returns the one spelling of an IP address: IPv4-mapped IPv6 as its IPv4, otherwise as netip
// writes it. Addresses are equal where their spellings are. ok is false for what is no address.
func Address(s string) (spelling string, ok bool) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return "", false
	}
	return a.Unmap().String(), true
}

// fieldValue is the node of a value of a field, or of a prefix of one.
func fieldValue(t target, v string, prefix, quoted bool, now time.Time) (Node, *complaint) {
	f := t.field
	switch t.textShape() {
	case scalar:
		if c := checkWhole(t, v, prefix); c != nil && !quoted {
			return nil, c
		}
		return Value{Path: t.path, Text: v, Prefix: prefix, Quoted: quoted}, nil
	case words:
		return textValue(t, v, prefix)
	case whole, hexes:
		if t.shape == hexes {
			v = strings.ToLower(v)
		}
		if c := checkWhole(t, v, prefix); c != nil {
			return nil, c
		}
		return Term{Field: f, Value: v, Prefix: prefix}, nil
	case entryID:
		return idValue(t, v, prefix)
	}
	if prefix {
		return nil, invalid("prefix_not_allowed", "this field has no prefixes: leave the * out")
	}
	if v == "" {
		return nil, missingValue(t)
	}
	switch t.shape {
	case severity:
		s, ok := logentry.ParseSeverity(v)
		if !ok {
			return nil, invalid("value_invalid", "a severity is DEBUG, INFO, WARNING, ERROR or CRITICAL")
		}
		return Term{Field: f, Value: s.String()}, nil
	case address:
		if a, ok := Address(v); ok {
			return Term{Field: f, Value: a}, nil
		}
		if n, ok := networkOf(v); ok {
			return n, nil
		}
		return nil, invalid("value_invalid", "this is no IP address and no network such as 10.0.0.0/8")
	case number:
		n, ok := parseDigits(v, 1<<53)
		if !ok {
			return nil, invalid("value_invalid", "this field is a whole number")
		}
		return Term{Field: f, Value: strconv.FormatInt(n, 10)}, nil
	default:
		m, ok := parseMoment(v, now)
		if !ok {
			return nil, invalid("value_invalid", timeForms)
		}
		to := m.at.Add(1)
		if m.day {
			to = m.at.AddDate(0, 0, 1)
		}
		return Range{Field: f, From: m.at, To: to, asked: m.asked}, nil
	}
}

func missingValue(t target) *complaint {
	if t.shape == scalar {
		return invalid("value_missing", `a value follows a field: an empty text is metadata.path:"" in q`)
	}
	return invalid("value_missing", "a value follows a field: no value is ever empty")
}

// shortPrefix also says how to ask what a * alone asks elsewhere.
func shortPrefix(t target, v string) *complaint {
	message := "a prefix has at least 2 characters before its *"
	switch {
	case v != "" || t.name == "":
	case t.field == Metadata:
		message += ": what has any value is has:metadata.path in q"
	default:
		message += ": what has any value is has:" + t.name + " in q"
	}
	return tooExpensive("prefix_too_short", message)
}

func checkWhole(t target, v string, prefix bool) *complaint {
	switch {
	case prefix && utf8.RuneCountInString(v) < MinPrefix:
		return shortPrefix(t, v)
	case v == "":
		return missingValue(t)
	}
	return nil
}

// idValue takes an id in either case, or the beginning of one.
func idValue(t target, v string, prefix bool) (Node, *complaint) {
	if c := checkWhole(t, v, prefix); c != nil {
		return nil, c
	}
	const zero = "00000000-0000-0000-0000-000000000000"
	v = strings.ToLower(v)
	full := v
	if prefix && len(v) <= len(zero) {
		full += zero[len(v):]
	}
	if _, err := logentry.ParseID(full); err != nil {
		return nil, invalid("value_invalid", "an id is 32 hex digits as 8-4-4-4-12")
	}
	return Term{Field: EntryID, Value: v, Prefix: prefix}, nil
}

// textValue is the node of text. A prefix that ends in something else than a letter or a digit is
// complete with its last token. After other tokens that narrow it down a prefix may be short.
func textValue(t target, v string, prefix bool) (Node, *complaint) {
	tokens := Tokens(v)
	if prefix && utf8.RuneCountInString(v) < MinPrefix {
		return nil, shortPrefix(t, v)
	}
	if len(tokens) == 0 {
		return nil, invalid("no_text", "text is found by its letters and digits: here are none")
	}
	if prefix {
		last, _ := utf8.DecodeLastRuneInString(v)
		prefix = unicode.IsLetter(last) || unicode.IsNumber(last)
		if prefix && len(tokens) == 1 && utf8.RuneCountInString(tokens[0]) < MinPrefix {
			return nil, shortPrefix(t, v)
		}
	}
	return Text{Field: t.field, Tokens: tokens, Prefix: prefix}, nil
}
