package logentry

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// codecTakes is the codec's verdict on a body: every document of it is JSON without repeated names.
func codecTakes(body []byte, form Form) bool {
	if form != NDJSON {
		return jsontext.Value(body).IsValid()
	}
	for line := range bytes.Lines(body) {
		if scanSpace(line, 0) < len(line) && !jsontext.Value(line).IsValid() {
			return false
		}
	}
	return true
}

var syntaxCodes = map[string]bool{
	"json_invalid": true, "json_duplicate_key": true, "json_trailing_data": true, "json_invalid_utf8": true, "body_empty": true,
}

func FuzzDecode(f *testing.F) {
	for _, c := range hostile {
		if len(c.body) < 4096 {
			f.Add([]byte(c.body), uint8(c.form))
		}
	}
	for _, form := range []Form{Single, Bulk, NDJSON} {
		f.Add(sample(1, form), uint8(form))
	}
	f.Add(sample(3, Bulk), uint8(Bulk))
	f.Add(sample(3, NDJSON), uint8(NDJSON))
	f.Fuzz(func(t *testing.T, body []byte, n uint8) {
		form := Form(n % 3)
		sent := bytes.Clone(body)
		entries, err := Decode(body, form, Options{Now: testNow, MaxKeys: 20})
		if !bytes.Equal(sent, body) {
			t.Fatal("the body was changed")
		}
		if err != nil {
			checkRefusal(t, body, form, err)
			return
		}
		if len(entries) == 0 {
			t.Fatal("nothing was accepted")
		}
		if !codecTakes(body, form) {
			t.Fatalf("accepted what the codec refuses: %q", body)
		}
		for i := range entries {
			e := &entries[i]
			checkRoundTrip(t, e)
			again, err := Decode(AppendContent(nil, e), Single, Options{Now: testNow})
			if err != nil || !reflect.DeepEqual(again[0], *e) {
				t.Fatalf("the content of %+v decodes to %+v, %v", *e, again, err)
			}
		}
	})
}

func checkRefusal(t *testing.T, body []byte, form Form, err error) {
	t.Helper()
	e, ok := errors.AsType[*DecodeError](err)
	if !ok || len(e.Problems) == 0 || e.Class < Malformed || e.Class > TooLarge || e.Code == "" || e.Detail == "" {
		t.Fatalf("an incomplete refusal: %#v", err)
	}
	if syntaxCodes[e.Code] && e.Code != "body_empty" && codecTakes(body, form) {
		t.Fatalf("refused as %s what the codec takes: %q", e.Code, body)
	}
	for _, p := range e.Problems {
		if p.Code == "" || p.Message == "" {
			t.Fatalf("an incomplete problem: %#v", p)
		}
	}
	if !syntaxCodes[e.Code] && !e.Truncated && e.Class != TooLarge && e.Code != "json_too_deep" && !codecTakes(body, form) {
		t.Fatalf("a syntax fault was passed over: %s %q", e.Code, body)
	}
}

// checkRoundTrip writes e as a record, reads it back and wants the same.
func checkRoundTrip(t *testing.T, e *Entry) {
	t.Helper()
	var ids IDs
	e.ID, e.ReceivedAt = ids.New(testNow), testNow
	defer func() { e.ID, e.ReceivedAt = ID{}, Entry{}.ReceivedAt }()
	line := AppendJSON(nil, e)
	if bytes.IndexByte(line, '\n') >= 0 || !jsontext.Value(line).IsValid() {
		t.Fatalf("not one line of JSON: %q", line)
	}
	r, err := ParseRecord(line)
	if err != nil {
		t.Fatalf("ParseRecord(%q): %v", line, err)
	}
	if !reflect.DeepEqual(r.Entry, *e) || !bytes.Equal(r.JSON, line) {
		t.Fatalf("%+v came back as %+v", *e, r.Entry)
	}
}

func FuzzParseRecord(f *testing.F) {
	entries := stamped(f, 2)
	entries[1].Changes = []string{"a.b", "c\n"}
	entries[1].Message = "a\x00b\"\\\u2028é😀"
	for i := range entries {
		f.Add(AppendJSON(nil, &entries[i]))
	}
	f.Add([]byte(` { "metadata" : { } , "received_at":"2026-01-01T00:00:00+01:00", "later": [1,{"a":null}], "\u0069d":"00000000-0000-7000-8000-000000000000"} `))
	f.Add([]byte(`{"received_at":"0000-01-01T00:00:00+01:00","id":"00000000-0000-7000-8000-000000000000"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := ParseRecord(line)
		if err != nil {
			if !reflect.DeepEqual(r, Record{}) {
				t.Fatalf("an error with a record: %+v", r)
			}
			return
		}
		if !jsontext.Value(line).IsValid(jsontext.AllowDuplicateNames(true)) {
			t.Fatalf("read what is not JSON: %q", line)
		}
		canonical := AppendJSON(nil, &r.Entry)
		again, err := ParseRecord(canonical)
		if err != nil {
			t.Fatalf("ParseRecord(%q): %v", canonical, err)
		}
		if third := AppendJSON(nil, &again.Entry); !bytes.Equal(canonical, third) {
			t.Fatalf("%q became %q", canonical, third)
		}
	})
}
