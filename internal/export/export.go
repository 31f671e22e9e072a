// Package export writes entries in the formats that people download: NDJSON, JSON, CSV and what BigQuery loads.
//
// What it promises:
//   - A writer holds nothing of the entries before: what it appends for one entry is whole.
//   - Numbers keep their literals, states and metadata their bytes.
//   - NDJSON, JSON and BigQuery have one entry on one line, whatever its texts hold.
//   - CSV is RFC 4180, and a cell that a spreadsheet would take for a formula begins with an apostrophe unless the
//     caller asked for raw cells.
//
// What it leaves to its caller: where the entries come from, in what order, and where the bytes go.
package export

import (
	"strconv"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// Format is how an export is written.
type Format string

// The formats.
const (
	NDJSON   Format = "ndjson"   // an entry a line; the last line is {"complete":true,"count":N}
	JSON     Format = "json"     // one array
	CSV      Format = "csv"      // a header and a line for each entry
	BigQuery Format = "bigquery" // NDJSON as BigQuery loads it with Schema
)

// Formats are all of them.
func Formats() []Format { return []Format{NDJSON, JSON, CSV, BigQuery} }

// ContentType is the media type of the format.
func (f Format) ContentType() string {
	switch f {
	case JSON:
		return "application/json"
	case CSV:
		return "text/csv; charset=utf-8; header=present"
	}
	return "application/x-ndjson"
}

// Extension is the end of a file's name, without its dot.
func (f Format) Extension() string {
	if f == BigQuery {
		return "ndjson"
	}
	return string(f)
}

// Options say what is written.
type Options struct {
	Format  Format
	Columns []string // as CheckColumns takes them; none: all
	Raw     bool     // CSV: formulas stay as they are
	Tenant  string   // the tenant's public name
}

// Writer appends entries one after the other. Make it with New.
type Writer struct {
	o       Options
	columns []column
	count   int64
	cell    []byte
}

// New refuses columns that there are not: kind Malformed, code column_invalid.
func New(o Options) (*Writer, error) {
	columns, err := columnsOf(o.Columns)
	if err != nil {
		return nil, err
	}
	if o.Format == BigQuery {
		if _, err := Schema(o.Columns); err != nil {
			return nil, err
		}
	}
	if len(columns) == 0 && (o.Format == CSV || o.Format == BigQuery) {
		columns = allColumns()
	}
	return &Writer{o: o, columns: columns}, nil
}

// Begin appends what comes before the first entry.
func (w *Writer) Begin(dst []byte) []byte {
	switch w.o.Format {
	case CSV:
		for i, c := range w.columns {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendCell(dst, []byte(c.name), w.o.Raw)
		}
		return append(dst, '\r', '\n')
	case JSON:
		return append(dst, '[')
	}
	return dst
}

// Entry appends one entry.
func (w *Writer) Entry(dst []byte, r *logentry.Record) ([]byte, error) {
	w.count++
	var err error
	switch w.o.Format {
	case CSV:
		return w.row(dst, r), nil
	case JSON:
		if w.count > 1 {
			dst = append(dst, ',')
		}
		dst = append(dst, '\n')
		return w.object(dst, r)
	case BigQuery:
		dst = w.bigQuery(dst, r)
	default:
		dst, err = w.object(dst, r)
	}
	return append(dst, '\n'), err
}

// End appends what comes after the last entry. Where there are more entries than were wanted, next is where to go on.
func (w *Writer) End(dst []byte, next string) []byte {
	switch w.o.Format {
	case JSON:
		return append(dst, "\n]\n"...)
	case NDJSON:
		dst = append(dst, `{"complete":true,"count":`...)
		dst = strconv.AppendInt(dst, w.count, 10)
		if next != "" {
			dst = append(append(append(dst, `,"next_cursor":"`...), next...), '"')
		}
		return append(dst, "}\n"...)
	}
	return dst
}

// Mark appends a line that says where to go on after the entries so far. Only NDJSON has room for it.
func (w *Writer) Mark(dst []byte, cursor string) []byte {
	dst = append(dst, `{"cursor":"`...)
	dst = append(dst, cursor...)
	dst = append(dst, `","count":`...)
	return append(strconv.AppendInt(dst, w.count, 10), "}\n"...)
}

// Count is how many entries there were.
func (w *Writer) Count() int64 { return w.count }

// object appends an entry as a JSON object: as the API answers it, or of the columns that were asked for.
func (w *Writer) object(dst []byte, r *logentry.Record) ([]byte, error) {
	if len(w.columns) == 0 {
		return AppendRecord(dst, r, w.o.Tenant)
	}
	dst = append(dst, '{')
	first := true
	for _, c := range w.columns {
		v, ok := c.value(r, w.o.Tenant)
		if !ok {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(appendString(dst, c.name), ':')
		dst = v.appendJSON(dst)
	}
	return append(dst, '}'), nil
}
