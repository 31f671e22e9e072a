package query

import "strings"

// shape is what the values of a field look like.
type shape uint8

const (
	whole    shape = iota // any text, compared as a whole
	hexes                 // lower-case hex digits, compared as a whole
	entryID               // a UUID
	severity              // a severity's name or alias
	instant               // a time
	address               // an IP address
	number                // a whole number
	words                 // text
)

// fields are the fields by their names, in the order of the filters.
var fields = [...]struct {
	name  string
	field Field
	shape shape
}{
	{"service", Service, whole},
	{"action", Action, whole},
	{"severity", Severity, severity},
	{"user_id", UserID, whole},
	{"session_id", SessionID, whole},
	{"resource_type", ResourceType, whole},
	{"resource_id", ResourceID, whole},
	{"ip_address", IPAddress, address},
	{"user_agent", UserAgent, whole},
	{"request_id", RequestID, whole},
	{"trace_id", TraceID, hexes},
	{"span_id", SpanID, hexes},
	{"event_id", EventID, whole},
	{"id", EntryID, entryID},
	{"schema_version", SchemaVersion, number},
	{"timestamp", Timestamp, instant},
	{"received_at", ReceivedAt, instant},
	{"message", Message, words},
}

// String is the name of the field as a reader writes it; empty for FieldNone.
func (f Field) String() string {
	for i := range fields {
		if fields[i].field == f {
			return fields[i].name
		}
	}
	return ""
}

// fieldNamed returns the field of a name, case as written.
func fieldNamed(name string) (Field, shape, bool) {
	for i := range fields {
		if fields[i].name == name {
			return fields[i].field, fields[i].shape, true
		}
	}
	return FieldNone, words, false
}

// fieldNames are the names that a query may use.
func fieldNames() []string {
	names := make([]string, 0, len(fields)+1)
	for i := range fields {
		names = append(names, fields[i].name)
	}
	return append(names, "changes")
}

// nearest returns the name that was probably meant: one that begins with what was written, or one that
// is at most two slips of the pen away; empty for none.
func nearest(written string, names []string) string {
	written = strings.ToLower(written)
	if len(written) < 2 || len(written) > 32 {
		return ""
	}
	for _, n := range names {
		if strings.HasPrefix(n, written) {
			return n
		}
	}
	best, least := "", 3
	for _, n := range names {
		if d := slips(written, n); d < least && d < len(n)-1 {
			best, least = n, d
		}
	}
	return best
}

// slips counts the letters to insert, delete, replace or swap with their neighbour to make b of a.
func slips(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
