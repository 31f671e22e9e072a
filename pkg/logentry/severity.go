package logentry

import "strings"

// Severity is how bad it is. Severities compare with <.
type Severity uint8

// The five severities. The zero value is none: not sent, not yet stamped.
const (
	Debug Severity = iota + 1
	Info
	Warning
	Error
	Critical
)

var severityNames = [...]string{"", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}

// String is the canonical name, in capitals; empty for none.
func (s Severity) String() string {
	if int(s) < len(severityNames) {
		return severityNames[s]
	}
	return ""
}

// ParseSeverity reads a name or one of the usual aliases, in any case. ok is false for anything else.
func ParseSeverity(name string) (s Severity, ok bool) {
	if len(name) > 9 {
		return 0, false
	}
	switch name {
	case "INFO":
		return Info, true
	case "DEBUG":
		return Debug, true
	case "WARNING":
		return Warning, true
	case "ERROR":
		return Error, true
	case "CRITICAL":
		return Critical, true
	}
	for i := range len(name) {
		if name[i] >= 0x80 { // EqualFold-like surprises: ſ, K
			return 0, false
		}
	}
	switch strings.ToUpper(name) {
	case "DEBUG", "TRACE":
		return Debug, true
	case "INFO", "NOTICE":
		return Info, true
	case "WARNING", "WARN":
		return Warning, true
	case "ERROR", "ERR":
		return Error, true
	case "CRITICAL", "CRIT", "FATAL", "ALERT", "EMERG", "EMERGENCY", "PANIC":
		return Critical, true
	}
	return 0, false
}
