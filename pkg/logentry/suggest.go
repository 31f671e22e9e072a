package logentry

import "strings"

// unknownMessage says that a field is not known, and which one was probably meant.
func unknownMessage(name string) string {
	if f := nearest(name); f != fieldUnknown {
		return `there is no such field; did you mean "` + f.String() + `"?`
	}
	return "there is no such field; put what is yours into metadata"
}

// nearest is the field a producer may send whose name is closest to name, if any is close.
func nearest(name string) field {
	if len(name) > 40 {
		return fieldUnknown
	}
	name = strings.ToLower(strings.Trim(name, "@_ "))
	switch name {
	case "level", "loglevel", "log_level", "lvl":
		return fieldSeverity
	case "msg", "text", "body", "log":
		return fieldMessage
	case "time", "ts", "date", "datetime", "created_at", "event_time":
		return fieldTimestamp
	case "user":
		return fieldUserID
	case "ip", "client_ip", "remote_addr":
		return fieldIPAddress
	case "app", "application", "logger":
		return fieldService
	case "before":
		return fieldBeforeState
	case "after":
		return fieldAfterState
	case "meta", "context", "extra", "attributes", "fields", "data", "labels", "tags":
		return fieldMetadata
	}
	plain := strings.NewReplacer("_", "", "-", "", " ", "").Replace(name)
	best, least := fieldUnknown, 3
	for f := fieldTimestamp; f <= fieldMetadata; f++ {
		known := strings.ReplaceAll(f.String(), "_", "")
		if n := distance(plain, known); n < least && n*3 <= len(known) {
			best, least = f, n
		}
	}
	return best
}

// distance counts the letters to insert, drop or replace between a and b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
