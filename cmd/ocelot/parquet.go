package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/parquet-go/parquet-go"

	formats "github.com/ocelot-log/ocelot/internal/export"
)

// A row group is held in memory until it is whole. It ends with the first entry beyond one of these.
const (
	rowGroupBytes = 32 << 20 // of NDJSON
	rowGroupRows  = 122_880  // what DuckDB gives one thread to read
)

// parquetFile writes the lines of an NDJSON export as a Parquet file: a row for each entry, in their order. Texts are
// strings, times nanoseconds of UTC, changes a list, objects and paths into them JSON as it was sent, so that numbers keep
// their literals. What an entry does not have is null. Nothing can be added to it after end.
type parquetFile struct {
	w       *parquet.GenericWriter[any]
	columns []parquetColumn
	byName  map[string]int

	cells [][]byte // of the entry at hand, as JSON; nil: absent
	texts []byte   // what strings of the rows at hand point into
	rows  []parquet.Row
	held  int // bytes of the row group
	count int // rows of it
	most  int // of them; rowGroupRows
}

// parquetColumn is a column of the file.
type parquetColumn struct {
	name string
	kind parquetKind
	leaf int // which of the file's columns of values it is
}

type parquetKind uint8

const (
	parquetText parquetKind = iota
	parquetWord             // a text of which there are few
	parquetTime
	parquetInt
	parquetList
	parquetJSON
)

func parquetKindOf(name string) parquetKind {
	switch name {
	case "timestamp", "received_at":
		return parquetTime
	case "schema_version":
		return parquetInt
	case "changes":
		return parquetList
	case "severity", "service", "action", "tenant_id", "resource_type":
		return parquetWord
	}
	if slices.Contains(formats.Fields(), name) && name != "before_state" && name != "after_state" && name != "metadata" {
		return parquetText
	}
	return parquetJSON
}

func (k parquetKind) node() parquet.Node {
	var n parquet.Node
	switch k {
	case parquetWord:
		n = parquet.Encoded(parquet.String(), &parquet.RLEDictionary)
	case parquetTime:
		n = parquet.Timestamp(parquet.Nanosecond)
	case parquetInt:
		n = parquet.Int(32)
	case parquetList:
		n = parquet.List(parquet.String())
	case parquetJSON:
		n = parquet.JSON()
	default:
		n = parquet.String()
	}
	return parquet.Optional(n)
}

// inOrder is a group whose columns stand in a wanted order, not in that of their names.
type inOrder struct {
	parquet.Group
	fields []parquet.Field
}

func (g inOrder) Fields() []parquet.Field { return g.fields }

// newParquetFile begins a file of these columns; none: all fields of an entry.
func newParquetFile(w io.Writer, names []string) *parquetFile {
	if len(names) == 0 {
		names = formats.Fields()
	}
	p := &parquetFile{byName: map[string]int{}, most: rowGroupRows}
	group := parquet.Group{}
	for _, name := range names {
		if _, twice := p.byName[name]; twice {
			continue // the service refuses that
		}
		c := parquetColumn{name, parquetKindOf(name), len(p.columns)} // every column has one leaf
		p.byName[name], group[name] = c.leaf, c.kind.node()
		p.columns = append(p.columns, c)
	}
	p.cells = make([][]byte, len(p.columns))
	fields := group.Fields()
	slices.SortFunc(fields, func(a, b parquet.Field) int { return p.byName[a.Name()] - p.byName[b.Name()] })
	p.w = parquet.NewGenericWriter[any](w, parquet.NewSchema("entry", inOrder{group, fields}),
		parquet.Compression(&parquet.Zstd), parquet.CreatedBy("ocelot", version, ""))
	return p
}

// write takes whole lines, an entry each.
func (p *parquetFile) write(lines []byte) error {
	p.rows, p.texts = p.rows[:0], p.texts[:0]
	for line := range bytes.Lines(lines) {
		row, err := p.row(line)
		if err != nil {
			return fmt.Errorf("an entry can't be read: %w", err)
		}
		p.rows = append(p.rows, row)
		p.held, p.count = p.held+len(line), p.count+1
		if p.held >= rowGroupBytes || p.count >= p.most {
			if err := p.flush(); err != nil {
				return err
			}
		}
	}
	_, err := p.w.WriteRows(p.rows)
	return err
}

// flush ends a row group.
func (p *parquetFile) flush() error {
	if _, err := p.w.WriteRows(p.rows); err != nil {
		return err
	}
	p.rows, p.held, p.count = p.rows[:0], 0, 0
	return p.w.Flush()
}

// end writes the index without which it is no file.
func (p *parquetFile) end() error { return p.w.Close() }

// row makes the values of an entry. They point into line and p.texts.
func (p *parquetFile) row(line []byte) (parquet.Row, error) {
	clear(p.cells)
	d := jsontext.NewDecoder(bytes.NewBuffer(line), jsontext.AllowDuplicateNames(true))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return nil, fmt.Errorf("it is no object: %w", err)
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		at, known := p.byName[name.String()]
		v, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		if known {
			end := int(d.InputOffset())
			p.cells[at] = line[end-len(v) : end] // v itself is gone with the next token
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	row := make(parquet.Row, 0, len(p.columns)+4)
	for i := range p.columns {
		c := &p.columns[i]
		if p.cells[i] == nil {
			row = append(row, parquet.NullValue().Level(0, 0, c.leaf))
			continue
		}
		var err error
		if row, err = p.value(row, c, p.cells[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return row, nil
}

// value appends what a cell holds.
func (p *parquetFile) value(row parquet.Row, c *parquetColumn, cell []byte) (parquet.Row, error) {
	var v parquet.Value
	switch c.kind {
	case parquetJSON:
		v = parquet.ByteArrayValue(cell)
	case parquetInt:
		n, err := strconv.ParseInt(string(cell), 10, 32)
		if err != nil {
			return nil, err
		}
		v = parquet.Int32Value(int32(n))
	case parquetList:
		return p.list(row, c, cell)
	default:
		text, err := p.text(cell)
		if err != nil {
			return nil, err
		}
		if v = parquet.ByteArrayValue(text); c.kind == parquetTime {
			at, err := time.Parse(time.RFC3339Nano, string(text))
			if err != nil {
				return nil, err
			}
			if at.Before(time.Unix(0, math.MinInt64)) || at.After(time.Unix(0, math.MaxInt64)) {
				return nil, fmt.Errorf("%s is no time that 64 bits of nanoseconds can hold", text)
			}
			v = parquet.Int64Value(at.UnixNano())
		}
	}
	return append(row, v.Level(0, 1, c.leaf)), nil
}

// text is a JSON string without its quotes.
func (p *parquetFile) text(cell []byte) ([]byte, error) {
	from := len(p.texts)
	var err error
	p.texts, err = jsontext.AppendUnquote(p.texts, cell)
	return p.texts[from:len(p.texts):len(p.texts)], err
}

// list appends the texts of an array.
func (p *parquetFile) list(row parquet.Row, c *parquetColumn, cell []byte) (parquet.Row, error) {
	d := jsontext.NewDecoder(bytes.NewReader(cell))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '[' {
		return nil, fmt.Errorf("it is no array: %w", err)
	}
	n := 0
	for d.PeekKind() == '"' {
		v, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		text, err := p.text(v)
		if err != nil {
			return nil, err
		}
		row = append(row, parquet.ByteArrayValue(text).Level(min(n, 1), 2, c.leaf))
		n++
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	if n == 0 {
		row = append(row, parquet.NullValue().Level(0, 1, c.leaf))
	}
	return row, nil
}
