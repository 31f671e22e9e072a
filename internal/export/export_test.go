package export_test

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/internal/export"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

var hostile = "a\rb\u2028c\u2029d\n=cmd|' /C calc'!A0"

// records are two entries: one with everything, one with as little as there may be.
func records(tb testing.TB) []logentry.Record {
	tb.Helper()
	at := time.Date(2026, 11, 2, 9, 30, 0, 123_456_789, time.UTC)
	entries := []logentry.Entry{{ID: logentry.ID{1, 15: 2}, ReceivedAt: at, Timestamp: at.Add(-time.Second), Severity: logentry.Error, Service: "billing", Action: "PAY",
		Message: hostile, UserID: "u1", IPAddress: "10.0.0.1", SchemaVersion: 3, Changes: []string{"a.b", "c"}, BeforeState: jsontext.Value(`{"a":{"b":1}}`),
		AfterState: jsontext.Value(`{"a":{"b":2},"c":null}`), Metadata: jsontext.Value(`{"amount":12.50,"order":{"id":"o-1","x.y":[1,2]},"flat.key":true,"big":9007199254740993,"none":null}`)},
		{ID: logentry.ID{3, 15: 4}, ReceivedAt: at, Timestamp: at, Severity: logentry.Info, Message: "plain", SchemaVersion: 1}}
	all := make([]logentry.Record, len(entries))
	for i := range entries {
		all[i] = logentry.Record{Entry: entries[i], JSON: logentry.AppendJSON(nil, &entries[i])}
	}
	return all
}

func write(tb testing.TB, o export.Options, all []logentry.Record) string {
	tb.Helper()
	o.Tenant = "acme"
	w, err := export.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	b := w.Begin(nil)
	for i := range all {
		if b, err = w.Entry(b, &all[i]); err != nil {
			tb.Fatal(err)
		}
	}
	if w.Count() != int64(len(all)) {
		tb.Errorf("counted %d", w.Count())
	}
	return string(w.End(b, ""))
}

// TestNDJSONHasOneEntryOnALineAndSaysThatItIsComplete is H7: line separators of Unicode and a lone CR are within.
func TestNDJSONHasOneEntryOnALineAndSaysThatItIsComplete(t *testing.T) {
	all := records(t)
	lines := strings.Split(write(t, export.Options{Format: export.NDJSON}, all), "\n")
	if len(lines) != 4 || lines[2] != `{"complete":true,"count":2}` || lines[3] != "" {
		t.Fatalf("%q", lines)
	}
	for i, r := range all {
		want := strings.Replace(string(r.JSON), `","received_at"`, `","tenant_id":"acme","received_at"`, 1)
		if lines[i] != want {
			t.Errorf("line %d is %s, want %s", i, lines[i], want)
		}
	}
}

func TestJSONIsOneArray(t *testing.T) {
	for n := range 3 {
		var got []map[string]any
		text := write(t, export.Options{Format: export.JSON}, records(t)[:n])
		if err := json.Unmarshal([]byte(text), &got); err != nil || len(got) != n {
			t.Errorf("%d entries: %v in %s", len(got), err, text)
		}
	}
}

func TestColumnsAreWrittenAsAsked(t *testing.T) {
	columns := []string{"message", "metadata.order.id", "metadata.order.x.y", "metadata.flat.key", "metadata.amount", "metadata.big", "metadata.none", "metadata.absent", "schema_version", "changes", "before_state.a", "tenant_id"}
	for format, want := range map[export.Format]string{
		export.NDJSON: `{"message":"a\rb` + "\u2028c\u2029" + `d\n=cmd|' /C calc'!A0","metadata.order.id":"o-1","metadata.order.x.y":[1,2],"metadata.flat.key":true,"metadata.amount":12.50,"metadata.big":9007199254740993,"metadata.none":null,"schema_version":3,"changes":["a.b","c"],"before_state.a":{"b":1},"tenant_id":"acme"}` + "\n" +
			`{"message":"plain","schema_version":1,"tenant_id":"acme"}` + "\n" + `{"complete":true,"count":2}` + "\n",
		export.CSV: strings.Join(columns, ",") + "\r\n" + `"a` + "\rb\u2028c\u2029d\n" + `=cmd|' /C calc'!A0",o-1,"[1,2]",true,12.50,9007199254740993,,,3,"[""a.b"",""c""]","{""b"":1}",acme` + "\r\n" +
			"plain,,,,,,,,1,,,acme\r\n",
		export.BigQuery: `{"message":"a\rb` + "\u2028c\u2029" + `d\n=cmd|' /C calc'!A0","metadata_order_id":"o-1","metadata_order_x_y":[1,2],"metadata_flat_key":true,"metadata_amount":12.50,"metadata_big":9007199254740993,"metadata_none":null,"schema_version":3,"changes":["a.b","c"],"before_state_a":{"b":1},"tenant_id":"acme"}` + "\n" +
			`{"message":"plain","schema_version":1,"tenant_id":"acme"}` + "\n",
	} {
		if got := write(t, export.Options{Format: format, Columns: columns}, records(t)); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", format, got, want)
		}
	}
}

func TestBigQueryLoadsWhatItsSchemaSays(t *testing.T) {
	text, err := export.Schema(nil)
	if err != nil {
		t.Fatal(err)
	}
	var schema []struct{ Name, Type, Mode string }
	if err := json.Unmarshal(text, &schema); err != nil || len(schema) != 23 {
		t.Fatalf("%v: %s", err, text)
	}
	for line := range strings.Lines(write(t, export.Options{Format: export.BigQuery}, records(t))) {
		row := map[string]any{}
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		for _, f := range schema {
			v, there := row[f.Name]
			delete(row, f.Name)
			kind := fmt.Sprintf("%T", v)
			switch {
			case !there && f.Mode != "REQUIRED":
			case f.Type == "TIMESTAMP":
				if at, err := time.Parse("2006-01-02T15:04:05.999999Z", fmt.Sprint(v)); err != nil || at.Nanosecond()%1000 != 0 {
					t.Errorf("%s is %v", f.Name, v)
				}
			case f.Type == "STRING" && f.Mode == "REPEATED" && kind == "[]interface {}", f.Type == "STRING" && kind == "string",
				f.Type == "INTEGER" && kind == "float64", f.Type == "JSON" && kind == "map[string]interface {}":
			default:
				t.Errorf("%s is %s: %v, the schema says %s %s", f.Name, kind, v, f.Mode, f.Type)
			}
		}
		if len(row) > 0 {
			t.Errorf("the schema does not have %v", row)
		}
	}
}

func TestColumnsThatAreRefused(t *testing.T) {
	many := make([]string, export.MaxColumns+1)
	for i := range many {
		many[i] = fmt.Sprintf("metadata.c%d", i)
	}
	for name, c := range map[string]struct {
		columns []string
		says    string
	}{
		"one that there is not":              {[]string{"id", "mesage"}, "column 2 is no field of an entry; did you mean message?"},
		"a name of the metadata alone":       {[]string{"errorCode"}, "column 1 is no field of an entry; a value in the metadata has a path"},
		"none":                               {[]string{""}, "column 1 is no field"},
		"a path into a text":                 {[]string{"message.x"}, "column 1: a path follows"},
		"a path without an end":              {[]string{"metadata."}, "column 1: a path follows"},
		"one twice":                          {[]string{"id", "id"}, "column 2 is there twice"},
		"too many":                           {many, "at most 64 columns"},
		"two that are the same in BigQuery":  {[]string{"metadata.a.b", "metadata.a_b"}, "same name in BigQuery"},
		"two that differ in case only there": {[]string{"metadata.A", "metadata.a"}, "same name in BigQuery"},
	} {
		_, err := export.New(export.Options{Format: export.BigQuery, Columns: c.columns})
		f := fault.Of(err)
		if f == nil || f.Kind != fault.Malformed || f.Code != "column_invalid" || !strings.Contains(f.Detail, c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFormulasAreNeutralised is H1.
func TestFormulasAreNeutralised(t *testing.T) {
	for cell, want := range map[string]string{
		"=1+1": `"'=1+1"`, "+1": `"'+1"`, "-1": `"'-1"`, "@SUM(A1)": `"'@SUM(A1)"`, "\t=1": "\"'\t=1\"", "\r=1": "\"'\r=1\"", "\n=1": "\"'\n=1\"",
		"＝1": `"'＝1"`, "＋1": `"'＋1"`, "－1": `"'－1"`, "＠x": `"'＠x"`, "\ufeff=1": "\"'\ufeff=1\"", "\ufeff\ufeff＝1": "\"'\ufeff\ufeff＝1\"",
		"a=1": "a=1", "a,=1": `"a,=1"`, "a;=1": `"a;=1"`, "a\t=1": "\"a\t=1\"", "a|=1": `"a|=1"`, `a"=1`: `"a""=1"`, `"=1`: `"""=1"`, "2026-11-02": "2026-11-02", "'=1": "'=1", "": "",
	} {
		e := logentry.Entry{Message: cell}
		for raw, wanted := range map[bool]string{false: want, true: strings.Replace(want, `"'`, `"`, 1)} {
			got := write(t, export.Options{Format: export.CSV, Columns: []string{"message"}, Raw: raw}, []logentry.Record{{Entry: e}})
			got = strings.TrimSuffix(strings.TrimPrefix(got, "message\r\n"), "\r\n")
			if raw && got == cell { // a cell that needs no quotes without its apostrophe
				continue
			}
			if got != wanted {
				t.Errorf("%q, raw %t: %q, want %q", cell, raw, got, wanted)
			}
		}
	}
}

var errCSV = errors.New("no CSV")

// parse reads RFC 4180, strictly; encoding/csv would make \n of \r\n inside of quotes.
func parse(s string) (rows [][]string, err error) {
	for len(s) > 0 {
		var row []string
		for more := true; more; {
			var cell strings.Builder
			if rest, quoted := strings.CutPrefix(s, `"`); quoted {
				for {
					text, after, ok := strings.Cut(rest, `"`)
					if !ok {
						return nil, errCSV
					}
					cell.WriteString(text)
					if rest, ok = strings.CutPrefix(after, `"`); !ok {
						s = after
						break
					}
					cell.WriteByte('"')
				}
			} else {
				end := strings.IndexAny(s, ",\"\r\n")
				if end < 0 {
					return nil, errCSV
				}
				cell.WriteString(s[:end])
				s = s[end:]
			}
			row = append(row, cell.String())
			if s, more = strings.CutPrefix(s, ","); more {
				continue
			}
			var ok bool
			if s, ok = strings.CutPrefix(s, "\r\n"); !ok {
				return nil, errCSV
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// FuzzCSV is H2: what is written is read back.
func FuzzCSV(f *testing.F) {
	for _, s := range []string{"", "=1", `a"b`, "a\r\nb", "\x00", "＝1", "\ufeff@", `","`, "\r", "'", hostile} {
		f.Add(s, "u", false)
		f.Add("m", s, true)
	}
	f.Fuzz(func(t *testing.T, message, user string, raw bool) {
		message, user = strings.ToValidUTF8(message, ""), strings.ToValidUTF8(user, "")
		e := logentry.Entry{Message: message, UserID: user}
		text := write(t, export.Options{Format: export.CSV, Columns: []string{"message", "user_id"}, Raw: raw}, []logentry.Record{{Entry: e}, {Entry: e}})
		rows, err := parse(text)
		if err != nil || len(rows) != 3 {
			t.Fatalf("%q is read as %q, %v", text, rows, err)
		}
		want := []string{message, user}
		for i := range want {
			if !raw && strings.ContainsAny(strings.TrimLeft(want[i], "\ufeff")+" ", "=+-@\t\r\n＝＋－＠") {
				if first := []rune(strings.TrimLeft(want[i], "\ufeff") + " ")[0]; strings.ContainsRune("=+-@\t\r\n＝＋－＠", first) {
					want[i] = "'" + want[i]
				}
			}
		}
		if !slices.Equal(rows[1], want) || !slices.Equal(rows[2], want) {
			t.Fatalf("%q is read as %q, want %q", text, rows, want)
		}
		if !strings.Contains(message+user, "\r") && message != "" {
			other, err := csv.NewReader(strings.NewReader(text)).ReadAll()
			if err != nil || !reflect.DeepEqual(other, rows) {
				t.Fatalf("another reader reads %q as %q, %v", text, other, err)
			}
		}
	})
}
