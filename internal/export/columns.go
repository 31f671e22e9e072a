package export

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// MaxColumns is how many columns an export may name.
const MaxColumns = 64

// names are the fields of an entry, in the order of an export that names none.
var names = [...]string{"id", "tenant_id", "received_at", "timestamp", "severity", "service", "action", "message", "user_id", "session_id",
	"resource_type", "resource_id", "ip_address", "user_agent", "request_id", "trace_id", "span_id", "event_id", "schema_version",
	"changes", "before_state", "after_state", "metadata"}

// Fields are the columns of an export that names none.
func Fields() []string { return names[:] }

// column is a field of an entry, or a path into one of its objects.
type column struct {
	name string
	root string   // the field
	path []string // into before_state, after_state or metadata; nil: all of it
}

// value is what stands in a column. One of them is set.
type value struct {
	text string
	raw  []byte // JSON
}

func (v value) appendJSON(dst []byte) []byte {
	if v.raw != nil {
		return append(dst, v.raw...)
	}
	return appendString(dst, v.text)
}

// appendText is the value as a cell: a JSON string without its quotes, anything else as it is.
func (v value) appendText(dst []byte) []byte {
	if v.raw == nil {
		return append(dst, v.text...)
	}
	if v.raw[0] == '"' {
		if text, err := jsontext.AppendUnquote(dst, v.raw); err == nil {
			return text
		}
	}
	if string(v.raw) == "null" {
		return dst
	}
	return append(dst, v.raw...)
}

func appendString(dst []byte, s string) []byte {
	b, err := jsontext.AppendQuote(dst, s)
	if err != nil { // not UTF-8, which no entry is
		b, _ = jsontext.AppendQuote(dst, strings.ToValidUTF8(s, "\ufffd"))
	}
	return b
}

func allColumns() []column {
	all := make([]column, len(names))
	for i, name := range names {
		all[i] = column{name: name, root: name}
	}
	return all
}

// columnsOf reads the names of columns.
func columnsOf(asked []string) ([]column, error) {
	if len(asked) > MaxColumns {
		return nil, invalid(fmt.Sprintf("an export has at most %d columns", MaxColumns))
	}
	seen := map[string]bool{}
	columns := make([]column, 0, len(asked))
	for i, name := range asked {
		root, path, nested := strings.Cut(name, ".")
		c := column{name: name, root: root}
		if nested {
			c.path = strings.Split(path, ".")
		}
		object := root == "metadata" || root == "before_state" || root == "after_state"
		switch {
		case !known(root):
			message := fmt.Sprintf("column %d is no field of an entry", i+1)
			if near := fault.Nearest(root, names[:]); near != "" {
				message += "; did you mean " + near + "?"
			} else {
				message += "; a value in the metadata has a path, as in metadata.region"
			}
			return nil, invalid(message)
		case nested && (!object || path == "" || len(path) > 128):
			return nil, invalid(fmt.Sprintf("column %d: a path follows metadata, before_state or after_state only, as in metadata.order.id", i+1))
		case seen[name]:
			return nil, invalid(fmt.Sprintf("column %d is there twice", i+1))
		}
		seen[name] = true
		columns = append(columns, c)
	}
	return columns, nil
}

func known(root string) bool {
	for _, name := range names {
		if name == root {
			return true
		}
	}
	return false
}

func invalid(message string) error {
	return &fault.Error{Kind: fault.Malformed, Code: "column_invalid", Detail: message,
		Problems: []fault.Problem{{Pointer: "columns", Code: "column_invalid", Message: message}}}
}

// value is what the entry has in the column; false where it has nothing.
func (c *column) value(r *logentry.Record, tenant string) (value, bool) {
	var text string
	switch c.root {
	case "id":
		text = r.ID.String()
	case "tenant_id":
		text = tenant
	case "received_at":
		text = r.ReceivedAt.UTC().Format(time.RFC3339Nano)
	case "timestamp":
		text = r.Timestamp.UTC().Format(time.RFC3339Nano)
	case "severity":
		text = r.Severity.String()
	case "service":
		text = r.Service
	case "action":
		text = r.Action
	case "message":
		text = r.Message
	case "user_id":
		text = r.UserID
	case "session_id":
		text = r.SessionID
	case "resource_type":
		text = r.ResourceType
	case "resource_id":
		text = r.ResourceID
	case "ip_address":
		text = r.IPAddress
	case "user_agent":
		text = r.UserAgent
	case "request_id":
		text = r.RequestID
	case "trace_id":
		text = r.TraceID
	case "span_id":
		text = r.SpanID
	case "event_id":
		text = r.EventID
	case "schema_version":
		return value{raw: strconv.AppendInt(nil, int64(r.SchemaVersion), 10)}, true
	case "changes":
		return value{raw: appendStrings(nil, r.Changes)}, len(r.Changes) > 0
	case "before_state":
		return c.within(r.BeforeState)
	case "after_state":
		return c.within(r.AfterState)
	case "metadata":
		return c.within(r.Metadata)
	}
	return value{text: text}, text != ""
}

func appendStrings(dst []byte, list []string) []byte {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, s)
	}
	return append(dst, ']')
}

// within follows the path into an object. A name with a dot in it is found as well as nested ones.
func (c *column) within(object jsontext.Value) (value, bool) {
	if len(object) == 0 {
		return value{}, false
	}
	if len(c.path) == 0 {
		return value{raw: object}, true
	}
	raw := follow(object, c.path)
	return value{raw: raw}, raw != nil
}

func follow(object jsontext.Value, path []string) []byte {
	if len(path) == 0 {
		return object
	}
	d := jsontext.NewDecoder(bytes.NewReader(object), jsontext.AllowDuplicateNames(true))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return nil
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return nil
		}
		have := name.String()
		v, err := d.ReadValue()
		if err != nil {
			return nil
		}
		for n := 1; n <= len(path); n++ {
			if have == strings.Join(path[:n], ".") {
				if found := follow(bytes.Clone(v), path[n:]); found != nil {
					return found
				}
			}
		}
	}
	return nil
}
