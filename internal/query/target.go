package query

import (
	"strings"

	"github.com/ocelot-log/ocelot/internal/fault"
)

// target is what a value is of.
type target struct {
	name     string // empty for text without a field
	field    Field
	shape    shape
	answered bool // there is already a problem with the field: its values only need to be gone over
}

// targetNamed returns what the name of a field means, and what is wrong with it.
func targetNamed(name string) (target, *complaint) {
	if f, sh, ok := fieldNamed(name); ok {
		return target{name: name, field: f, shape: sh}, nil
	}
	return target{name: name}, fieldComplaint(name)
}

// fieldComplaint says why a name is no field that can be asked for.
func fieldComplaint(name string) *complaint {
	switch {
	case name == "changes":
		return notSupported("changes is not supported by this version: use resource_type and resource_id")
	case strings.HasPrefix(name, "metadata.") && name != "metadata.":
		return notSupported("fields of metadata are not supported by this version: search for the value as text, without a field")
	case name == "metadata" || name == "metadata.":
		return invalid("unknown_field", "metadata is no field of its own: search for the value as text, without a field")
	}
	message := "there is no field of this name: quote text that has a colon"
	if n := fault.Nearest(name, fieldNames()); n != "" {
		message = "there is no field of this name; did you mean " + n + "?"
	}
	return invalid("unknown_field", message)
}

// textShape is the shape of the values, that of text where there is no field.
func (t target) textShape() shape {
	if t.name == "" {
		return words
	}
	return t.shape
}

// comparison says why > and < are not answered.
func (t target) comparison() *complaint {
	switch {
	case t.name == "":
		return invalid("comparison_not_allowed", "a comparison follows a field and its colon: quote text that begins with > or <")
	case t.field == Severity:
		return notSupported("comparisons are not supported by this version: use min_severity, or severity:(ERROR OR CRITICAL)")
	case t.shape == instant:
		return notSupported("comparisons are not supported by this version: use start_time and end_time, which go by timestamp")
	case t.shape == number:
		return notSupported("comparisons are not supported by this version: name the numbers")
	}
	return invalid("comparison_not_allowed", "this field has no order: name its values, or quote one that begins with > or <")
}

// interval says why a range is not answered.
func (t target) interval() *complaint {
	switch {
	case t.name == "":
		return invalid("range_not_allowed", "a range follows a field and its colon: quote text that begins with a bracket")
	case t.shape == instant:
		return notSupported("ranges are not supported by this version: use start_time and end_time, which go by timestamp")
	case t.shape == number:
		return notSupported("ranges are not supported by this version: name the numbers")
	}
	return invalid("range_not_allowed", "this field has no ranges: name its values, or quote one that begins with a bracket")
}
