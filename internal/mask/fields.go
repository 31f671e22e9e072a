package mask

import (
	"net/netip"
	"slices"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// The fields of an entry that hold a string without a form of its own, and ip_address, which keeps its form. Ids
// of traces and events are no free text and are left alone.
const (
	topService = iota
	topAction
	topMessage
	topUserID
	topSessionID
	topResourceType
	topResourceID
	topUserAgent
	topRequestID
	topIPAddress
	topFields
)

// topNames are the fields' names, in the order of the constants.
var topNames = [topFields]string{"service", "action", "message", "user_id", "session_id", "resource_type", "resource_id", "user_agent",
	"request_id", "ip_address"}

// topLimits are how long the values may be, as they are checked when an entry is read: masking makes none longer.
var topLimits = [topFields]int{512, 64, 64 << 10, 512, 512, 512, 1024, 1024, 512, 64}

// roots are the members that hold JSON, in the order of Masker.roots.
var rootNames = [3]string{"before_state", "after_state", "metadata"}

func rootOf(name string) int { return slices.Index(rootNames[:], name) }
func topOf(name string) int  { return slices.Index(topNames[:], name) }

func topText(e *logentry.Entry, f int) *string {
	return [topFields]*string{&e.Service, &e.Action, &e.Message, &e.UserID, &e.SessionID, &e.ResourceType, &e.ResourceID, &e.UserAgent,
		&e.RequestID, &e.IPAddress}[f]
}

// applyFields acts upon the fields that are not JSON.
func (m *Masker) applyFields(w *walk, e *logentry.Entry) {
	for f := range topFields {
		text := topText(e, f)
		if *text == "" {
			continue
		}
		w.pointer = append(append(w.pointer[:0], '/'), topNames[f]...)
		var gone bool
		if at := m.fields[f]; at != none {
			*text, gone = m.wholeField(w, f, *text, &m.rules[at])
		} else if f == topIPAddress {
			*text, gone = m.address(w, *text)
		} else {
			*text, gone = w.text(*text, topLimits[f])
		}
		switch {
		case gone && (f == topMessage && e.Action == "" || f == topAction && e.Message == ""):
			*text = mark // an entry keeps a message or an action
		case gone:
			*text = ""
		}
	}
	w.pointer = w.pointer[:0]
}

// wholeField does what a rule says to a whole field.
func (m *Masker) wholeField(w *walk, f int, value string, r *compiled) (_ string, gone bool) {
	var changed string
	switch r.action {
	case Keep:
		return value, false
	case Drop:
		w.hit(r.kind, r.number)
		return "", true
	case Hash:
		if changed = m.hashOf(value); f == topIPAddress {
			changed = m.hashedAddress(value)
		}
	default:
		if changed = mark; f == topIPAddress {
			changed = network(value)
		}
	}
	if changed != value {
		w.hit(r.kind, r.number)
	}
	return changed, false
}

// address does what the rule for addresses says to ip_address, if there is one.
func (m *Masker) address(w *walk, value string) (_ string, gone bool) {
	for i := range m.texts {
		if t := &m.texts[i]; t.builtin == "ip" {
			return m.wholeField(w, topIPAddress, value, &compiled{number: t.number, action: t.action, kind: ByBuiltin})
		}
	}
	return value, false
}

// network is an address with its last bits cleared: a /24 of IPv4, a /48 of IPv6.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	bits := 48
	if a = a.Unmap(); a.Is4() {
		bits = 24
	}
	p, _ := a.Prefix(bits) // within the address's bits
	return p.Addr().String()
}

// documentation is 2001:db8::/32, which is nobody's: an address of it that the service is sent was made here.
var documentation = netip.MustParsePrefix("2001:db8::/32")

// hashedAddress is an address that stands for another one: 96 bits of its hash in 2001:db8::/32.
func (m *Masker) hashedAddress(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	if a = a.Unmap(); documentation.Contains(a) {
		return address
	}
	sum := m.digest(a.String())
	made := documentation.Addr().As16()
	copy(made[4:], sum[:12])
	return netip.AddrFrom16(made).String()
}
