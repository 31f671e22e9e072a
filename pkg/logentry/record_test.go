package logentry

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// fullEntry has every field set.
func fullEntry() Entry {
	return Entry{
		ID:       ID{0x01, 0x97, 0xc3, 0x5d, 0x10, 0x00, 0x70, 0x00, 0x80, 0, 0, 0, 0, 0, 0, 0xff},
		TenantID: "internal", ReceivedAt: testNow.Add(1500 * time.Microsecond), Changes: []string{"name", "owner.mail"},
		Timestamp: testNow.Add(-time.Nanosecond), Severity: Warning, Service: "billing", Action: "UPDATE",
		Message: "line\nbreak \"quoted\" \\ \u2028\u2029 \x00\x1f\x7f é😀 </script>", UserID: "u", SessionID: "s", ResourceType: "invoice",
		ResourceID: "4/711", IPAddress: "2001:db8::1", UserAgent: "curl/8", RequestID: "r", TraceID: "0123456789abcdef0123456789abcdef",
		SpanID: "0123456789abcdef", EventID: "e-1", SchemaVersion: 3,
		BeforeState: jsontext.Value(`{"name":"a"}`), AfterState: jsontext.Value(`{"name":"b","n":1.0}`),
		Metadata: jsontext.Value(`{"big":9007199254740993,"z":"\u00e9"}`),
	}
}

func TestGoldenLines(t *testing.T) {
	full, least := fullEntry(), Entry{ReceivedAt: testNow, Action: "LOGIN"}
	var have []byte
	for _, e := range []*Entry{&full, &least} {
		have = append(AppendJSON(have, e), '\n')
		have = append(AppendContent(have, e), '\n')
	}
	path := filepath.Join("testdata", "lines.golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, have, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, want) {
		t.Errorf("have\n%s\nwant\n%s", have, want)
	}
}

func TestARecordComesBackAsItWas(t *testing.T) {
	e := fullEntry()
	line := AppendJSON([]byte("kept"), &e)
	if string(line[:4]) != "kept" {
		t.Fatal("the destination was overwritten")
	}
	r, err := ParseRecord(line[4:])
	if err != nil {
		t.Fatal(err)
	}
	e.TenantID = "" // not in the line
	if !reflect.DeepEqual(r.Entry, e) || !bytes.Equal(r.JSON, line[4:]) {
		t.Errorf("have %+v\nwant %+v", r.Entry, e)
	}
}

func TestStatesOverSeveralLinesBecomeOne(t *testing.T) {
	e := fullEntry()
	e.Metadata = jsontext.Value("{\n\t\"a\" : [ 1, \" b\\n \" ]\r\n}")
	r, err := ParseRecord(AppendJSON(nil, &e))
	if want := `{"a":[1," b\n "]}`; err != nil || string(r.Metadata) != want {
		t.Errorf("have %s, %v", r.Metadata, err)
	}
}

func TestTextThatIsNotUTF8IsReplaced(t *testing.T) {
	e := Entry{ReceivedAt: testNow, Message: "a\xffb\n\xed\xa0\x80"}
	r, err := ParseRecord(AppendJSON(nil, &e))
	if want := "a\ufffdb\n\ufffd"; err != nil || r.Message != want {
		t.Errorf("have %q, %v", r.Message, err)
	}
}

func TestContentTellsEntriesApart(t *testing.T) {
	a := fullEntry()
	b := a
	b.ID, b.ReceivedAt, b.Changes, b.TenantID = ID{}, time.Time{}, nil, ""
	if !bytes.Equal(AppendContent(nil, &a), AppendContent(nil, &b)) || !sameContent(&a, &b) {
		t.Error("what the service stamps is part of the content")
	}
	v := reflect.ValueOf(&b).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		switch name {
		case "ID", "ReceivedAt", "Changes", "TenantID":
			continue
		}
		b = a
		v.Field(i).SetZero()
		if bytes.Equal(AppendContent(nil, &a), AppendContent(nil, &b)) || sameContent(&a, &b) {
			t.Errorf("%s is not part of the content", name)
		}
	}
	if have := AppendContent(nil, &Entry{}); string(have) != "{}" {
		t.Errorf("the content of nothing is %s", have)
	}
}

const stamp = `"id":"0197c35d-1000-7000-8000-0000000000ff","received_at":"2026-07-01T12:00:00Z"`

func TestLinesThatAreNoRecord(t *testing.T) {
	for name, line := range map[string]string{
		"nothing": ``, "an array": `[]`, "no id": `{"received_at":"2026-07-01T12:00:00Z"}`, "an empty object": `{}`,
		"no received_at": `{"id":"0197c35d-1000-7000-8000-0000000000ff"}`, "an id that is none": `{"id":"x","received_at":"2026-07-01T12:00:00Z"}`,
		"a number for an id": `{"id":1}`, "cut": `{` + stamp, "cut in a string": `{` + stamp + `,"message":"a`,
		"trailing data": `{` + stamp + `}x`, "two lines": "{" + stamp + "}\n{" + stamp + "}", "a name twice": `{` + stamp + `,"action":"a","action":"b"}`,
		"null for a string": `{` + stamp + `,"action":null}`, "a list for metadata": `{` + stamp + `,"metadata":[]}`,
		"a severity that is none": `{` + stamp + `,"severity":"LOUD"}`, "a fraction for schema_version": `{` + stamp + `,"schema_version":1.5}`,
		"not UTF-8": "{" + stamp + ",\"action\":\"\xff\"}", "half a surrogate": `{` + stamp + `,"action":"\ud800"}`,
		"a moment before year 0": `{"id":"0197c35d-1000-7000-8000-0000000000ff","received_at":"0000-01-01T00:00:00+01:00"}`,
		"changes with a number":  `{` + stamp + `,"changes":[1]}`, "changes cut": `{` + stamp + `,"changes":["a"`, "a trailing comma": `{` + stamp + `,}`,
		"an unknown member cut": `{` + stamp + `,"later":{"a":[1,}}`, "a broken literal": `{` + stamp + `,"later":tru}`,
	} {
		if r, err := ParseRecord([]byte(line)); err == nil {
			t.Errorf("%s was read as %+v", name, r)
		}
	}
}

func TestMembersOfANewerVersionStayInTheLine(t *testing.T) {
	line := []byte(` {"later":{"a":[1,{"b":null}]}, "action" : "a", "tenant_id":"x",` + stamp + ` ,"\u006dessage":"m", "changes":[ ]} `)
	r, err := ParseRecord(line)
	if err != nil || r.Action != "a" || r.Message != "m" || r.TenantID != "" || r.Changes != nil || !bytes.Equal(r.JSON, line) {
		t.Errorf("have %+v, %v", r, err)
	}
}

func TestPayloads(t *testing.T) {
	one := "{" + stamp + `,"action":"a"}`
	for name, c := range map[string]struct {
		payload string
		count   int
		ok      bool
	}{
		"none":                     {"", 0, true},
		"one":                      {one + "\n", 1, true},
		"the last without newline": {one + "\n" + one, 2, true},
		"more than announced":      {one + "\n" + one + "\n", 1, false},
		"fewer than announced":     {one + "\n", 2, false},
		"an empty line":            {one + "\n\n", 2, false},
		"a count beyond reason":    {one, 1 << 40, false},
		"a negative count":         {"", -1, false},
		"a bad line":               {one + "\n{}\n", 2, false},
	} {
		records, err := ParseRecords([]byte(c.payload), c.count)
		if (err == nil) != c.ok || err == nil && len(records) != c.count {
			t.Errorf("%s: %d records, %v", name, len(records), err)
		}
		for _, r := range records {
			if r.Action != "a" || string(r.JSON) != one {
				t.Errorf("%s: %+v", name, r)
			}
		}
	}
}
