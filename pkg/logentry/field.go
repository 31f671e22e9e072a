package logentry

// field is one member of an entry's JSON, in the canonical order.
type field uint8

const (
	fieldUnknown field = iota
	fieldID
	fieldReceivedAt
	fieldChanges
	fieldTimestamp
	fieldSeverity
	fieldService
	fieldAction
	fieldMessage
	fieldUserID
	fieldSessionID
	fieldResourceType
	fieldResourceID
	fieldIPAddress
	fieldUserAgent
	fieldRequestID
	fieldTraceID
	fieldSpanID
	fieldEventID
	fieldSchemaVersion
	fieldBeforeState
	fieldAfterState
	fieldMetadata
	fieldTenantID // never written; a producer that sends it is told why
	fieldCount
)

// fieldNames is the one list of the names on the wire.
var fieldNames = [fieldCount]string{
	"", "id", "received_at", "changes", "timestamp", "severity", "service", "action", "message",
	"user_id", "session_id", "resource_type", "resource_id", "ip_address", "user_agent", "request_id",
	"trace_id", "span_id", "event_id", "schema_version", "before_state", "after_state", "metadata",
	"tenant_id",
}

func (f field) String() string { return fieldNames[f] }

// fieldOf finds a name; a switch, because it runs for every member of every entry.
func fieldOf(name string) field {
	switch name {
	case "id":
		return fieldID
	case "received_at":
		return fieldReceivedAt
	case "changes":
		return fieldChanges
	case "timestamp":
		return fieldTimestamp
	case "severity":
		return fieldSeverity
	case "service":
		return fieldService
	case "action":
		return fieldAction
	case "message":
		return fieldMessage
	case "user_id":
		return fieldUserID
	case "session_id":
		return fieldSessionID
	case "resource_type":
		return fieldResourceType
	case "resource_id":
		return fieldResourceID
	case "ip_address":
		return fieldIPAddress
	case "user_agent":
		return fieldUserAgent
	case "request_id":
		return fieldRequestID
	case "trace_id":
		return fieldTraceID
	case "span_id":
		return fieldSpanID
	case "event_id":
		return fieldEventID
	case "schema_version":
		return fieldSchemaVersion
	case "before_state":
		return fieldBeforeState
	case "after_state":
		return fieldAfterState
	case "metadata":
		return fieldMetadata
	case "tenant_id":
		return fieldTenantID
	}
	return fieldUnknown
}

// follow remembers which field came after which. Producers and AppendJSON keep to an order, so that a
// guess and one comparison take the place of finding a name.
type follow [fieldCount]field

// guess gives the field whose name probably stands at b[i], after the field last, and the index after
// its colon; fieldUnknown if it does not stand there just so.
func (o *follow) guess(b []byte, i int, last field) (f field, after int) {
	f = o[last]
	name := fieldNames[f]
	after = i + len(name) + len(`"":`)
	if f == fieldUnknown || after > len(b) || b[i] != '"' || b[after-2] != '"' || b[after-1] != ':' || string(b[i+1:after-2]) != name {
		return fieldUnknown, i
	}
	return f, after
}

// text is the string of e that f names; nil where f is not a plain string.
func (e *Entry) text(f field) *string {
	switch f {
	case fieldService:
		return &e.Service
	case fieldAction:
		return &e.Action
	case fieldMessage:
		return &e.Message
	case fieldUserID:
		return &e.UserID
	case fieldSessionID:
		return &e.SessionID
	case fieldResourceType:
		return &e.ResourceType
	case fieldResourceID:
		return &e.ResourceID
	case fieldIPAddress:
		return &e.IPAddress
	case fieldUserAgent:
		return &e.UserAgent
	case fieldRequestID:
		return &e.RequestID
	case fieldTraceID:
		return &e.TraceID
	case fieldSpanID:
		return &e.SpanID
	case fieldEventID:
		return &e.EventID
	}
	return nil
}
