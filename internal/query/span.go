package query

import (
	"math"
	"net/netip"
	"time"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// span is a comparison or a range as it was written. An end is nil where it is open.
type span struct {
	from, to     *string
	above, below bool // the ends themselves are not meant
	ranged       bool // written between brackets
}

func (s span) form() string {
	end := func(e *string) string {
		if e == nil {
			return "*"
		}
		return *e
	}
	open, closed := "[", "]"
	if s.above {
		open = "{"
	}
	if s.below {
		closed = "}"
	}
	return open + end(s.from) + " TO " + end(s.to) + closed
}

// spanValue is the node of a comparison or a range of a target.
func spanValue(t target, s span, now time.Time) (Node, *complaint) {
	switch {
	case t.name == "" && s.ranged:
		return nil, tooExpensive("range_not_allowed", "a range follows a field and its colon: quote text that begins with a bracket")
	case t.name == "":
		return nil, invalid("comparison_not_allowed", "a comparison follows a field and its colon: quote text that begins with > or <")
	case t.shape == instant:
		return timeSpan(t.field, s, now)
	case t.shape == number:
		return numberSpan(t, s, "this field is a whole number", func(v string) (float64, bool) {
			n, ok := parseDigits(v, 1<<53)
			return float64(n), ok
		})
	case t.shape == scalar:
		return numberSpan(t, s, "comparisons and ranges of metadata are of numbers, such as 42, -1.5 or 2e3", parseNumber)
	case t.shape == severity && !s.ranged:
		return numberSpan(t, s, "a severity is DEBUG, INFO, WARNING, ERROR or CRITICAL", func(v string) (float64, bool) {
			sev, ok := logentry.ParseSeverity(v)
			return float64(sev), ok
		})
	case t.shape == severity:
		return nil, invalid("range_not_allowed", "severities have no ranges: write severity:>=WARNING")
	case s.ranged:
		return nil, tooExpensive("range_not_allowed", "this field has no ranges: name its values, or quote one that begins with a bracket")
	}
	return nil, invalid("comparison_not_allowed", "this field has no order: name its values, or quote one that begins with > or <")
}

func inverted() *complaint {
	return invalid("range_inverted", "this range ends before it begins")
}

func numberSpan(t target, s span, what string, parse func(string) (float64, bool)) (Node, *complaint) {
	n := Interval{Field: t.field, Path: t.path, From: math.Inf(-1), To: math.Inf(1), Above: s.above, Below: s.below}
	for _, end := range []struct {
		text *string
		to   *float64
	}{{s.from, &n.From}, {s.to, &n.To}} {
		if end.text == nil {
			continue
		}
		v, ok := parse(*end.text)
		if !ok {
			return nil, invalid("value_invalid", what)
		}
		*end.to = v + 0 // -0 is 0
	}
	if n.From > n.To {
		return nil, inverted()
	}
	return n, nil
}

// timeSpan makes the ends those of a Range. A date is its first instant, at either end.
func timeSpan(f Field, s span, now time.Time) (Node, *complaint) {
	r := Range{Field: f}
	var from, to moment
	for _, end := range []struct {
		text *string
		at   *moment
	}{{s.from, &from}, {s.to, &to}} {
		if end.text == nil {
			continue
		}
		m, ok := parseMoment(*end.text, now)
		if !ok {
			return nil, invalid("value_invalid", timeForms)
		}
		*end.at = m
	}
	if s.from != nil {
		if r.From = from.at; s.above {
			r.From = r.From.Add(1)
		}
	}
	if s.to != nil {
		if r.To = to.at; !s.below {
			r.To = r.To.Add(1)
		}
	}
	if s.from != nil && s.to != nil && from.at.After(to.at) {
		return nil, inverted()
	}
	if s.from != nil && s.to != nil && r.From.After(r.To) {
		r.To = r.From // nothing lies between an instant and itself
	}
	if from.asked != "" || to.asked != "" {
		r.asked = s.form()
	}
	return r, nil
}

// networkOf reads CIDR.
func networkOf(s string) (Network, bool) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return Network{}, false
	}
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return Network{Prefix: p.Masked()}, true
}

// Bits are the first bits of the addresses in their IPv6 form.
func (n Network) Bits() (first [16]byte, bits int) {
	bits = n.Prefix.Bits()
	if n.Prefix.Addr().Is4() {
		bits += 96
	}
	return n.Prefix.Addr().As16(), bits
}
