package export

import (
	"strings"
	"time"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// bigQueryTime is a TIMESTAMP: BigQuery keeps microseconds. The nanoseconds are in the record.
const bigQueryTime = "2006-01-02T15:04:05.999999Z"

// bigQuery appends an entry as BigQuery loads it: times in microseconds, paths with _ in place of dots.
func (w *Writer) bigQuery(dst []byte, r *logentry.Record) []byte {
	dst = append(dst, '{')
	first := true
	for i := range w.columns {
		c := &w.columns[i]
		v, ok := c.value(r, w.o.Tenant)
		if !ok {
			continue
		}
		switch c.root {
		case "timestamp":
			v.text = r.Timestamp.UTC().Truncate(time.Microsecond).Format(bigQueryTime)
		case "received_at":
			v.text = r.ReceivedAt.UTC().Truncate(time.Microsecond).Format(bigQueryTime)
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(appendString(dst, bigQueryName(c.name)), ':')
		dst = v.appendJSON(dst)
	}
	return append(dst, '}')
}

// bigQueryName is a column's name of the characters that BigQuery takes.
func bigQueryName(name string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			return c
		}
		return '_'
	}, name)
}

// Schema is the schema file for `bq load --source_format=NEWLINE_DELIMITED_JSON` of a BigQuery export with these
// columns.
func Schema(asked []string) ([]byte, error) {
	columns, err := columnsOf(asked)
	if err != nil {
		return nil, err
	}
	if len(columns) == 0 {
		columns = allColumns()
	}
	b := []byte("[\n")
	seen := map[string]bool{}
	for i, c := range columns {
		kind, mode := "STRING", "NULLABLE"
		switch c.root {
		case "id", "tenant_id":
			mode = "REQUIRED"
		case "timestamp", "received_at":
			kind, mode = "TIMESTAMP", "REQUIRED"
		case "schema_version":
			kind = "INTEGER"
		case "changes":
			mode = "REPEATED"
		case "before_state", "after_state", "metadata":
			kind = "JSON"
		}
		name := bigQueryName(c.name)
		folded := strings.ToLower(name)
		if seen[folded] {
			return nil, invalid("two columns have the same name in BigQuery, where a dot becomes _: leave one out")
		}
		seen[folded] = true
		b = append(b, `  {"name": "`+name+`", "type": "`+kind+`", "mode": "`+mode+`"}`...)
		if i < len(columns)-1 {
			b = append(b, ',')
		}
		b = append(b, '\n')
	}
	return append(b, "]\n"...), nil
}
