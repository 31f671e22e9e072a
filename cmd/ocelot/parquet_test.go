package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

// tableLine is an entry with much or little in it.
func tableLine(i int) string {
	at := time.Date(2026, 1, 2, 3, 4, 5, 123456789+i, time.UTC).Format(time.RFC3339Nano)
	line := fmt.Sprintf(`{"id":"%036d","tenant_id":"acme","received_at":"2026-01-02T03:04:06Z","timestamp":"%s","severity":"INFO","service":"s%d","schema_version":1`, i, at, i%3)
	switch i % 3 {
	case 0:
		line += `,"message":"say \"hi\"\n\u00e9\ud83d\ude00 ` + strings.Repeat("x", i%50) + `","changes":["a.b","c\"d"],"before_state":{"n":1.50},"after_state":{"n":12345678901234567890},` +
			`"metadata":{"amount":1.0,"big":9007199254740993,"e":1e400,"list":[1,null,{"x":"y"}]},"index_truncated":true`
	case 1:
		line += `,"message":"` + strconv.Itoa(i) + `","changes":["` + strconv.Itoa(i) + `"],"user_id":"u","metadata":{}`
	}
	return line + "}"
}

// rowsOf reads a Parquet file: each row as JSON objects are read, without what is null.
func rowsOf(t *testing.T, file string) (rows []map[string]any, groups int, columns []string) {
	t.Helper()
	f, err := parquet.OpenFile(strings.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range f.Root().Columns() {
		columns = append(columns, c.Name())
	}
	for _, g := range f.RowGroups() {
		groups++
		reader := g.Rows()
		buf := make([]parquet.Row, 7)
		for {
			n, err := reader.ReadRows(buf)
			for _, values := range buf[:n] {
				row := map[string]any{}
				for _, v := range values {
					if name := columns[v.Column()]; !v.IsNull() {
						cell := cellOf(t, f.Root().Column(name), v)
						if _, list := row[name]; list || name == "changes" {
							list, _ := row[name].([]any)
							cell = append(list, cell)
						}
						row[name] = cell
					}
				}
				rows = append(rows, row)
			}
			if err != nil {
				break
			}
		}
		if err := reader.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return rows, groups, columns
}

// cellOf is a value as NDJSON has it, by what the file says of its column.
func cellOf(t *testing.T, c *parquet.Column, v parquet.Value) any {
	t.Helper()
	if !c.Leaf() {
		return string(v.ByteArray())
	}
	switch kind := c.Type().LogicalType().String(); kind {
	case "JSON":
		return json.RawMessage(bytes.Clone(v.ByteArray()))
	case "STRING":
		return string(v.ByteArray())
	case "TIMESTAMP(isAdjustedToUTC=true,unit=NANOS)":
		return time.Unix(0, v.Int64()).UTC().Format(time.RFC3339Nano)
	case "INT(32,true)":
		return json.Number(strconv.Itoa(int(v.Int32())))
	default:
		t.Fatalf("%s is %s", c.Name(), kind)
		return nil
	}
}

// wantRows fails where rows are not the lines, but for what is no column.
func wantRows(t *testing.T, rows []map[string]any, lines []string, columns []string) {
	t.Helper()
	if len(rows) != len(lines) {
		t.Fatalf("%d rows, want %d", len(rows), len(lines))
	}
	for i, line := range lines {
		var raw map[string]json.RawMessage
		if err := json.Unmarshal([]byte(line), &raw); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{}
		for name, text := range raw {
			if !slices.Contains(columns, name) {
				continue
			}
			var v any = text
			if text[0] != '{' && !strings.Contains(name, ".") {
				d := json.NewDecoder(bytes.NewReader(text))
				d.UseNumber()
				if err := d.Decode(&v); err != nil {
					t.Fatal(err)
				}
			}
			want[name] = v
		}
		if !reflect.DeepEqual(rows[i], want) {
			t.Fatalf("row %d is\n%v\nwant\n%v", i, rows[i], want)
		}
	}
}

func TestAParquetFileHasTheRowsOfNDJSON(t *testing.T) {
	for _, n := range []int{0, 1, 10, 35} {
		s := &exportService{n: n, packed: "zstd", line: tableLine}
		text, err := exportFrom(t, s, nil, "")
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "file")
		said, err := exportFrom(t, s, func(o *exportOptions) { o.format, o.out = "parquet", path }, "")
		if err != nil || !strings.HasPrefix(said, fmt.Sprintf("exported %d entries to %s (", n, path)) {
			t.Fatal(said, err)
		}
		file := onlyFile(t, path)
		if !strings.Contains(said, "("+grouped(int64(len(file)))+" bytes)") {
			t.Errorf("%s: it has %d bytes", said, len(file))
		}
		rows, _, columns := rowsOf(t, file)
		if len(columns) != 23 || columns[0] != "id" || columns[3] != "timestamp" || columns[22] != "metadata" {
			t.Errorf("the columns are %v", columns)
		}
		var lines []string
		for line := range strings.Lines(text) {
			lines = append(lines, line)
		}
		wantRows(t, rows, lines, columns)
	}
}

func TestAParquetFileHasTheColumnsThatAreWanted(t *testing.T) {
	line := func(i int) string {
		if i == 1 {
			return `{"message":"b"}`
		}
		return `{"metadata.order.id":"o-1","message":"a","metadata.amount":12.50,"metadata.none":null,"timestamp":"1970-01-01T00:00:00.000000001Z"}`
	}
	path := filepath.Join(t.TempDir(), "file")
	asked := "metadata.order.id,message,metadata.amount,metadata.none,timestamp"
	if _, err := exportFrom(t, &exportService{n: 2, line: line}, func(o *exportOptions) { o.format, o.out, o.columns = "parquet", path, asked }, ""); err != nil {
		t.Fatal(err)
	}
	rows, _, columns := rowsOf(t, onlyFile(t, path))
	if strings.Join(columns, ",") != asked {
		t.Errorf("the columns are %v", columns)
	}
	wantRows(t, rows, []string{line(0), line(1)}, columns)
}

func TestRowGroupsOfParquetAreBounded(t *testing.T) {
	var out bytes.Buffer
	p := newParquetFile(writerFunc(func(b []byte) error { out.Write(b); return nil }), nil)
	p.most = 10
	var lines []string
	for i := range 35 {
		lines = append(lines, tableLine(i)+"\n")
	}
	for part := range slices.Chunk(lines, 12) {
		if err := p.write([]byte(strings.Join(part, ""))); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.end(); err != nil {
		t.Fatal(err)
	}
	rows, groups, columns := rowsOf(t, out.String())
	if groups != 4 {
		t.Errorf("%d row groups", groups)
	}
	wantRows(t, rows, lines, columns)
}

func TestAParquetFileThatIsNotWholeIsNotThere(t *testing.T) {
	for name, s := range map[string]*exportService{
		"broken off in its third part": {n: 35, cut: 3, line: tableLine},
		"broken at once":               {n: 35, cut: 1, line: tableLine},
		"a column is no field":         {n: 35, line: tableLine},
		"an entry is no object":        {n: 35, line: func(int) string { return `[1]` }},
		"a time is none":               {n: 35, line: func(int) string { return `{"timestamp":"soon"}` }},
		"a time is out of range":       {n: 35, line: func(int) string { return `{"timestamp":"2300-01-01T00:00:00Z"}` }},
		"an entry is cut":              {n: 35, line: func(int) string { return `{"message":"a"` }},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			query := ""
			if strings.Contains(name, "column") {
				query = "bad"
			}
			_, err := exportFrom(t, s, func(o *exportOptions) { o.format, o.out, o.columns = "parquet", filepath.Join(dir, "file"), "" }, query)
			if err == nil {
				t.Fatal("it is whole")
			}
			if s.cut == 3 && (!strings.Contains(err.Error(), "incomplete: 20 entries had come") || !strings.Contains(err.Error(), "the same command begins again")) {
				t.Error(err)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v %v", left, err)
			}
		})
	}
	// A file of an earlier export stays until the new one is whole.
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("earlier"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := exportFrom(t, &exportService{n: 35, cut: 3, line: tableLine}, func(o *exportOptions) { o.format, o.out = "parquet", path }, "")
	if err == nil || onlyFile(t, path) != "earlier" {
		t.Error(err)
	}
	if _, err := os.Stat(path + ".part"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
