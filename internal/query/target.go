package query

import (
	"strings"

	"github.com/ocelot-log/ocelot/internal/fault"
)

// target is what a value is of.
type target struct {
	name     string // empty for text without a field
	field    Field
	path     string // of metadata
	shape    shape
	answered bool // there is already a problem with the field: its values only need to be gone over
}

// targetNamed returns what the name of a field means, and what is wrong with it.
func targetNamed(name string) (target, *complaint) {
	if f, sh, ok := fieldNamed(name); ok {
		return target{name: name, field: f, shape: sh}, nil
	}
	if path, ok := strings.CutPrefix(name, metadataName); ok && path != "" {
		return target{name: name, field: Metadata, path: path, shape: scalar}, checkPath(path)
	}
	return target{name: name}, fieldComplaint(name)
}

// metadataName is what the names of the fields of metadata begin with.
const metadataName = "metadata."

func checkPath(path string) *complaint {
	if len(path) > MaxPath {
		return invalid("path_too_long", "a path of metadata has at most 128 bytes: longer ones are not indexed")
	}
	return nil
}

// fieldComplaint says why a name is no field that can be asked for.
func fieldComplaint(name string) *complaint {
	if name == "metadata" || name == metadataName {
		return invalid("unknown_field", "metadata is no field of its own: name a value in it, as in metadata.order.id")
	}
	message := "there is no field of this name: quote text that has a colon; a value in the metadata has a path, as in metadata.region"
	if n := meant(name); n != "" {
		message = "there is no field of this name; did you mean " + n + "?"
	}
	return invalid("unknown_field", message)
}

// elsewhere are the names that other systems have for a field.
var elsewhere = map[string]string{"level": "severity", "lvl": "severity", "loglevel": "severity", "log_level": "severity", "priority": "severity",
	"msg": "message", "text": "message", "body": "message", "ts": "timestamp", "date": "timestamp", "datetime": "timestamp",
	"app": "service", "application": "service", "component": "service", "svc": "service", "uid": "user_id", "username": "user_id", "actor": "user_id",
	"addr": "ip_address", "client_ip": "ip_address", "source_ip": "ip_address", "src_ip": "ip_address", "remote_addr": "ip_address",
	"ua": "user_agent", "resource": "resource_id", "before_state": "changes", "after_state": "changes"}

// meant is the field that a name that is none was likely to be, empty for none.
func meant(name string) string {
	own, _, _ := strings.Cut(strings.ToLower(name), ".")
	if n, ok := elsewhere[own]; ok {
		return n
	}
	return fault.Nearest(name, fieldNames())
}

// textShape is the shape of the values, that of text where there is no field.
func (t target) textShape() shape {
	if t.name == "" {
		return words
	}
	return t.shape
}
