package telemetry

// The header of W3C Trace Context: version, trace id, parent id and flags, in lower-case hex.
//
//	00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
const traceLen = 55

// Traceparent is the header `traceparent` of a request as version 00 writes it; empty when it is not sent
// once, or is none.
func Traceparent(sent []string) string {
	if len(sent) != 1 || len(sent[0]) < traceLen {
		return ""
	}
	s := sent[0]
	switch {
	case s[:2] == "00" && len(s) == traceLen && TraceID(s) != "":
		return s
	case s[:2] != "00" && s[:2] != "ff" && hex(s[:2]) && (len(s) == traceLen || s[traceLen] == '-'): // of a version to come, which begins the same
		s = "00" + s[2:traceLen]
		if TraceID(s) != "" {
			return s
		}
	}
	return ""
}

// TraceID is the trace id in what Traceparent returned; of anything else it is empty.
func TraceID(traceparent string) string {
	const trace, parent, flags = 3, 36, 53
	s := traceparent
	if len(s) != traceLen || s[:3] != "00-" || s[parent-1] != '-' || s[flags-1] != '-' {
		return ""
	}
	if id, span := s[trace:parent-1], s[parent:flags-1]; hex(id) && hex(span) && hex(s[flags:]) && !zero(id) && !zero(span) {
		return id
	}
	return ""
}

func hex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func zero(s string) bool {
	for i := range len(s) {
		if s[i] != '0' {
			return false
		}
	}
	return true
}
