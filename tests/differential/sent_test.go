//go:build e2e

package differential

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// severityOf is what the aliases mean.
var severityOf = map[string]string{"": "INFO", "TRACE": "DEBUG", "NOTICE": "INFO", "WARN": "WARNING", "ERR": "ERROR", "CRIT": "CRITICAL", "FATAL": "CRITICAL",
	"ALERT": "CRITICAL", "EMERG": "CRITICAL", "EMERGENCY": "CRITICAL", "PANIC": "CRITICAL"}

// unaltered says in what an entry is not as it was sent: what the service adds and brings into one form is known,
// everything else stays, numbers to the letter.
func unaltered(sent string, kept []byte) string {
	want, have := members(sent), members(string(kept))
	received := have["received_at"]
	for _, name := range []string{"id", "tenant_id", "received_at", "changes", "index_truncated"} {
		delete(have, name)
	}
	for name, v := range want {
		text, is := v.(string)
		switch {
		case is && text == "":
			delete(want, name)
		case name == "trace_id" || name == "span_id":
			want[name] = strings.ToLower(text)
		}
	}
	severity, _ := want["severity"].(string)
	severity = strings.ToUpper(severity)
	if canonical, ok := severityOf[severity]; ok {
		severity = canonical
	}
	want["severity"] = severity
	if _, ok := want["schema_version"]; !ok {
		want["schema_version"] = json.Number("1")
	}
	if text, ok := want["timestamp"].(string); ok {
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return err.Error()
		}
		want["timestamp"] = at.UTC().Format(time.RFC3339Nano)
	} else {
		want["timestamp"] = received
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if !reflect.DeepEqual(want[name], have[name]) {
			return fmt.Sprintf("%s is %#v, want %#v", name, have[name], want[name])
		}
		delete(have, name)
	}
	if len(have) > 0 {
		return fmt.Sprintf("there is more than was sent: %v", have)
	}
	return ""
}

func members(text string) (m map[string]any) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		panic(err)
	}
	return m
}
