package query

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
	scalar                // what a value of metadata can be
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
	{"changes", Changes, whole},
	{"timestamp", Timestamp, instant},
	{"received_at", ReceivedAt, instant},
	{"message", Message, words},
}

// String is the name of the field as a reader writes it, without a path; empty for FieldNone.
func (f Field) String() string {
	if f == Metadata {
		return "metadata"
	}
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
	names := make([]string, 0, len(fields))
	for i := range fields {
		names = append(names, fields[i].name)
	}
	return names
}
