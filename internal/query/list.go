package query

// FieldInfo is a field that a question may name.
type FieldInfo struct {
	Name  string
	Field Field
	Type  string // keyword, id, severity, time, ip, number or text
}

// types are the names of the shapes.
var types = map[shape]string{whole: "keyword", hexes: "keyword", entryID: "id", severity: "severity", instant: "time", address: "ip", number: "number", words: "text"}

// Fields are the fields that every entry may have, in the order of the filters; metadata have names of their own.
func Fields() []FieldInfo {
	all := make([]FieldInfo, len(fields))
	for i, f := range fields {
		all[i] = FieldInfo{f.name, f.field, types[f.shape]}
	}
	return all
}
