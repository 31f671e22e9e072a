// Package logentry is the entry: one log record or audit event, its ids and severities, how it is read
// from JSON, checked, and written in the one form that the queue, the record and the API share.
//
// Reading is strict: duplicate names, trailing data, invalid UTF-8, unknown or case-folded names are
// errors, and every problem of a request is reported at once with a JSON pointer. Nothing that was
// sent is altered: number literals, string escapes inside metadata and states, and the order of their
// members are kept; only white space between tokens goes.
package logentry

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// OwnService is the service of the entries that the service itself makes: who read what, and who changed what.
const OwnService = "ocelot"

// Entry is one log record. Strings decoded together may share one backing array, so keeping one string
// of a large request for long keeps the request's memory: clone it.
type Entry struct {
	// Stamped by the service.
	ID         ID
	TenantID   string    // internal id of the tenant, never the slug; not part of the JSON form
	ReceivedAt time.Time // UTC; index name and retention follow it
	Changes    []string  // paths that differ between BeforeState and AfterState, sorted; dotted

	// Sent by the producer. An empty string is the same as an absent field.
	Timestamp     time.Time // UTC, nanoseconds; zero until stamped when the producer sent none
	Severity      Severity
	Service       string
	Action        string
	Message       string
	UserID        string
	SessionID     string
	ResourceType  string
	ResourceID    string
	IPAddress     string // as sent, valid
	UserAgent     string
	RequestID     string
	TraceID       string // 32 lower-case hex digits
	SpanID        string // 16 lower-case hex digits
	EventID       string // the producer's dedup key
	SchemaVersion int    // 0 until stamped
	BeforeState   jsontext.Value
	AfterState    jsontext.Value
	Metadata      jsontext.Value // JSON objects without white space, otherwise as sent; nil when absent
}

// Record is an entry together with its JSON as the record keeps it: what AppendJSON made when the
// entry was accepted. A field that a newer version of the service added is in JSON only.
type Record struct {
	Entry
	JSON []byte
}
