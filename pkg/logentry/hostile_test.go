package logentry

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// hostileCase is a body and its verdict: accepted where code is empty.
type hostileCase struct {
	name    string
	form    Form
	body    string
	class   Class
	code    string // of the whole refusal
	pointer string // of the first problem
	line    int    // of the first problem
}

func nested(depth int) string {
	return strings.Repeat(`{"a":`, depth-1) + `{}` + strings.Repeat(`}`, depth-1)
}

// inMetadata is an entry with v as a value in its metadata.
func inMetadata(v string) string { return `{"message":"x","metadata":{"v":` + v + `}}` }

func with(field, value string) string { return `{"action":"x",` + quoted(field) + `:` + value + `}` }

func quoted(s string) string { return string(appendQuoted(nil, s)) }

func keys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"k%06d":0`, i)
	}
	return "{" + b.String()[1:] + "}"
}

func batch(n int) string { return "[" + strings.Repeat(`{"action":"x"},`, n-1) + `{"action":"x"}]` }

func at(d time.Duration) string { return quoted(testNow.Add(d).Format(time.RFC3339Nano)) }

var hostile = []hostileCase{
	{"an empty body", Single, "", Malformed, "body_empty", "", 0},
	{"only white space", NDJSON, " \r\n\t\n", Malformed, "body_empty", "", 0},

	{"a duplicate name at the top", Single, `{"message":"a","message":"b"}`, Malformed, "json_duplicate_key", "/message", 1},
	{"a duplicate name nested", Single, inMetadata(`{"a":1,"a":1}`), Malformed, "json_duplicate_key", "/metadata/v/a", 1},
	{"a duplicate name spelt with an escape", Bulk, `[{"message":"x","metadata":{"a":1,"\u0061":1}}]`, Malformed, "json_duplicate_key", "/0/metadata/a", 1},
	{"a known name twice, once with an escape", Single, `{"message":"a","m\u0065ssage":"b"}`, Malformed, "json_duplicate_key", "/message", 1},
	{"an unknown name twice", Single, `{"message":"a","x":1,"x":1}`, Malformed, "json_duplicate_key", "/x", 1},
	{"a duplicate name after many others", Single, inMetadata(keys(40)[:len(keys(40))-1] + `,"k000003":1}`), Malformed, "json_duplicate_key", "/metadata/v/k000003", 1},
	{"a duplicate name beyond the names taken", Single, inMetadata(keys(600)[:len(keys(600))-1] + `,"k000599":1}`), Malformed, "json_duplicate_key", "/metadata/v/k000599", 1},
	{"logs twice", Bulk, `{"logs":[{"action":"x"}],"logs":[]}`, Malformed, "json_duplicate_key", "/logs", 1},
	{"two documents", Single, `{"message":"a"}{"message":"b"}`, Malformed, "json_trailing_data", "", 1},
	{"two documents on one line", NDJSON, "{\"message\":\"a\"}\n{\"message\":\"a\"} {\"message\":\"b\"}", Malformed, "json_trailing_data", "", 2},
	{"text after the document", Bulk, `[{"message":"a"}] x`, Malformed, "json_trailing_data", "", 1},
	{"a trailing comma", Single, `{"message":"a",}`, Malformed, "json_invalid", "", 1},
	{"a comment", Single, `{"message":"a" /* no */}`, Malformed, "json_invalid", "", 1},
	{"a body that ends too early", Single, `{"message":"a`, Malformed, "json_invalid", "/message", 1},
	{"a raw control character", Single, "{\"message\":\"a\tb\"}", Malformed, "json_invalid", "/message", 1},
	{"a gzip body without its header", Single, "\x1f\x8b\x08\x00", Malformed, "json_invalid", "", 1},
	{"a byte order mark", Single, "\ufeff{\"message\":\"a\"}", Malformed, "json_invalid", "", 1},
	{"a fault in the third line of text", Single, "{\n\"message\":\n x}", Malformed, "json_invalid", "/message", 3},
	{"a byte that is not UTF-8", Single, "{\"message\":\"\xff\"}", Malformed, "json_invalid_utf8", "/message", 1},
	{"an overlong byte sequence", Single, "{\"message\":\"\xc0\xaf\"}", Malformed, "json_invalid_utf8", "/message", 1},
	{"CESU-8", Single, "{\"message\":\"\xed\xa0\xbd\xed\xb8\x80\"}", Malformed, "json_invalid_utf8", "/message", 1},
	{"a lone surrogate", Single, `{"message":"\ud800"}`, Malformed, "json_invalid_utf8", "/message", 1},
	{"a low surrogate first", Single, `{"message":"\udc00\ud800"}`, Malformed, "json_invalid_utf8", "/message", 1},
	{"a lone surrogate in metadata", NDJSON, inMetadata(`"\udfff"`), Malformed, "json_invalid_utf8", "/metadata/v", 1},
	{"NUL in a value", Single, `{"message":"a\u0000b"}`, 0, "", "", 0},
	{"NUL in a name", Single, inMetadata(`{"a\u0000":1}`), Invalid, "key_invalid", "/metadata/v/a\x00", 0},
	{"depth 32", Single, `{"message":"x","metadata":` + nested(31) + `}`, 0, "", "", 0},
	{"depth 33", Single, `{"message":"x","metadata":` + nested(32) + `}`, Invalid, "json_too_deep", "/metadata" + strings.Repeat("/a", 31), 0},
	{"depth 10,000", Single, `{"message":"x","metadata":` + nested(9999) + `}`, Malformed, "json_too_deep", "", 0},
	{"depth 1,000,000", Bulk, `{"logs":[{"metadata":` + nested(1e6) + `}]}`, Malformed, "json_too_deep", "/logs/0", 0},
	{"4 MiB of opening brackets", Bulk, strings.Repeat("[", 4<<20), Malformed, "json_too_deep", "/0", 0},
	{"4 MiB of opening brackets in place of an entry", Single, strings.Repeat("[", 4<<20), Malformed, "json_too_deep", "", 0},
	{"an exponent no type can hold", Single, inMetadata(`1e999999999`), Invalid, "number_out_of_range", "/metadata/v", 0},
	{"a negative exponent no type can hold", Single, inMetadata(`[0,1e-309]`), Invalid, "number_out_of_range", "/metadata/v/1", 0},
	{"the largest exponents", Single, inMetadata(`[1e308,1E-308]`), 0, "", "", 0},
	{"an integer of 100,000 digits", Single, inMetadata(strings.Repeat("9", 1e5)), Invalid, "number_too_long", "/metadata/v", 0},
	{"an exponent of 33 digits", Single, inMetadata("1e" + strings.Repeat("0", 33)), Invalid, "number_too_long", "/metadata/v", 0},
	{"32 digits", Single, inMetadata("-1." + strings.Repeat("1", 31) + "e1"), 0, "", "", 0},
	{"33 digits", Single, inMetadata("-1." + strings.Repeat("1", 32)), Invalid, "number_too_long", "/metadata/v", 0},
	{"unusual literals", Single, inMetadata(`[-0,1.0,1E2,0.1000]`), 0, "", "", 0},
	{"512 names", Single, inMetadata(keys(509)), 0, "", "", 0},
	{"513 names", Single, inMetadata(keys(510)), Invalid, "too_many_keys", "/metadata/v/k000509", 0},
	{"100,000 names in one object", Single, inMetadata(keys(1e5)), TooLarge, "entry_too_large", "", 0},
	{"an array of a million", Bulk, `{"logs":[` + inMetadata("["+strings.Repeat("1,", 1e6)+"1]") + `]}`, TooLarge, "entry_too_large", "/logs/0", 0},
	{"an array of 10,001 items", Single, inMetadata("[" + strings.Repeat("1,", 10000) + "1]"), 0, "", "", 0},
	{"null for a message", Single, `{"message":null}`, Invalid, "field_wrong_type", "/message", 0},
	{"a number for a message", Single, `{"message":123}`, Invalid, "field_wrong_type", "/message", 0},
	{"an object for a message", Bulk, `{"logs":[{"action":"x"},{"message":{}}]}`, Invalid, "field_wrong_type", "/logs/1/message", 0},
	{"an array for a message", Bulk, `[{"action":"x"},{"message":[]}]`, Invalid, "field_wrong_type", "/1/message", 0},
	{"null for an optional field", Single, with("user_id", "null"), Invalid, "field_wrong_type", "/user_id", 0},
	{"null for metadata", Single, with("metadata", "null"), Invalid, "field_wrong_type", "/metadata", 0},
	{"an array for a state", Single, with("before_state", "[]"), Invalid, "field_wrong_type", "/before_state", 0},
	{"blank lines, CRLF, no last newline", NDJSON, "\n{\"message\":\"a\"}\r\n\r\n  \n{\"message\":\"b\"}", 0, "", "", 0},
	{"one bad line in 1,000", NDJSON, strings.Repeat("{\"message\":\"a\"}\n", 499) + "{\"message\":1}\n" + strings.Repeat("{\"message\":\"a\"}\n", 500), Invalid, "field_wrong_type", "/message", 500},
	{"a syntax fault in a line", NDJSON, "{\"message\":\"a\"}\n{\"message\":}\n", Malformed, "json_invalid", "/message", 2},
	{"a value over two lines", NDJSON, "{\"message\":\n\"a\"}\n", Malformed, "json_invalid", "/message", 1},
	{"a line of 1 MiB", NDJSON, "{\"message\":\"a\"}\n" + with("user_id", `"`+strings.Repeat("x", 1<<20)+`"`), TooLarge, "entry_too_large", "", 2},
	{"an array in place of a line", NDJSON, `[{"message":"a"}]`, Invalid, "field_wrong_type", "", 1},

	{"neither message nor action", Single, `{"service":"x"}`, Invalid, "required", "/message", 0},
	{"message and action empty", NDJSON, "\n" + `{"message":"","action":""}`, Invalid, "required", "/message", 2},
	{"only spaces and zero-width characters", Bulk, `[{"message":" \u200b\ufeff\u2060\u00ad","action":"\u3000\u3164\u2800\u0301"}]`, Invalid, "required", "/0/message", 0},
	{"a message in letters of no alphabet we know", Single, `{"message":"日本"}`, 0, "", "", 0},
	{"a message of 64 KiB", Single, `{"message":"` + strings.Repeat("x", 64<<10) + `"}`, 0, "", "", 0},
	{"a message of 64 KiB and a byte", Single, `{"message":"` + strings.Repeat("é", 32<<10) + `x"}`, Invalid, "too_long", "/message", 0},
	{"a timestamp 24 h ahead", Single, with("timestamp", at(24*time.Hour)), 0, "", "", 0},
	{"a timestamp 24 h and 1 s ahead", Single, with("timestamp", at(24*time.Hour+time.Second)), Invalid, "timestamp_out_of_range", "/timestamp", 0},
	{"the year 9999", Single, with("timestamp", `"9999-12-31T23:59:59Z"`), Invalid, "timestamp_out_of_range", "/timestamp", 0},
	{"a leap second", Single, with("timestamp", `"2016-12-31T23:59:60Z"`), Invalid, "timestamp_invalid", "/timestamp", 0},
	{"24:00", Single, with("timestamp", `"2020-01-01T24:00:00Z"`), Invalid, "timestamp_invalid", "/timestamp", 0},
	{"an offset that is none", Single, with("timestamp", `"2020-01-01T00:00:00+99:99"`), Invalid, "timestamp_invalid", "/timestamp", 0},
	{"a timestamp of 1998", Single, with("timestamp", `"1998-01-01T00:00:00Z"`), 0, "", "", 0},
	{"before 1970 by its offset", Single, with("timestamp", `"1970-01-01T00:30:00+01:00"`), Invalid, "timestamp_out_of_range", "/timestamp", 0},
	{"the year 0000", Single, with("timestamp", `"0000-01-01T00:00:00Z"`), Invalid, "timestamp_out_of_range", "/timestamp", 0},
	{"the year 1677", Single, with("timestamp", `"1677-01-01T00:00:00Z"`), Invalid, "timestamp_out_of_range", "/timestamp", 0},
	{"seconds since 1970", Single, with("timestamp", `1700000000`), Invalid, "timestamp_invalid", "/timestamp", 0},
	{"nanoseconds since 1970", Single, with("timestamp", `1700000000000000000`), Invalid, "timestamp_invalid", "/timestamp", 0},
	{"seconds since 1970 in a string", Single, with("timestamp", `"1700000000"`), Invalid, "timestamp_invalid", "/timestamp", 0},
	{"names that mean something elsewhere", Single, with("metadata", `{"$where":1,"$gt":2,"a.b":3,"__proto__":4,"constructor":5,"_id":6}`), 0, "", "", 0},
	{"an empty name", Single, with("metadata", `{"":1}`), Invalid, "key_invalid", "/metadata/", 0},
	{"a name of 129 bytes", Single, with("metadata", `{"`+strings.Repeat("k", 129)+`":1}`), Invalid, "key_invalid", "/metadata/" + strings.Repeat("k", 129), 0},
	{"a name of 128 bytes", Single, with("metadata", `{"`+strings.Repeat("k", 128)+`":1}`), 0, "", "", 0},
	{"one metadata name, two types", Bulk, `[` + inMetadata(`{}`) + `,` + inMetadata(`"s"`) + `]`, 0, "", "", 0},
	{"a string of 200 KiB in metadata", Single, inMetadata(`["` + strings.Repeat("x", 200<<10) + `",1,null,1]`), 0, "", "", 0},
	{"a message with a forged line", Single, `{"message":"a\r\n2026 level=error forged"}`, 0, "", "", 0},
	{"a message of markup", Single, `{"message":"<script>alert(1)</script>${jndi:ldap}{{7*7}}"}`, 0, "", "", 0},
	{"an empty event_id", Single, with("event_id", `""`), Invalid, "event_id_invalid", "/event_id", 0},
	{"an event_id of 129 bytes", Single, with("event_id", `"`+strings.Repeat("e", 129)+`"`), Invalid, "event_id_invalid", "/event_id", 0},
	{"an event_id with a control character", Single, with("event_id", `"a\u0007"`), Invalid, "event_id_invalid", "/event_id", 0},
	{"one event_id, two contents", Bulk, `{"logs":[{"message":"a","event_id":"e"},{"message":"b","event_id":"e"}]}`, Invalid, "duplicate_in_batch", "/logs/1/event_id", 0},
	{"one event_id, two contents in lines", NDJSON, "{\"message\":\"a\",\"event_id\":\"e\"}\n\n{\"message\":\"b\",\"event_id\":\"e\"}", Invalid, "duplicate_in_batch", "/event_id", 3},
	{"one event_id, one content", Bulk, `[{"message":"a","event_id":"e"},{"event_id":"e", "message":"\u0061"}]`, 0, "", "", 0},
	{"an empty batch", Bulk, `{"logs":[]}`, Invalid, "batch_empty", "/logs", 0},
	{"an empty array", Bulk, `[ ]`, Invalid, "batch_empty", "", 0},
	{"10,000 entries", Bulk, batch(10_000), 0, "", "", 0},
	{"10,001 entries", Bulk, batch(10_001), TooLarge, "batch_too_large", "", 0},
	{"10,001 lines", NDJSON, strings.Repeat("{\"action\":\"x\"}\n", 10_001), TooLarge, "batch_too_large", "", 10_001},
	{"one bad among 10,000", Bulk, `{"logs":` + strings.TrimSuffix(batch(9_999), "]") + `,{"action":1}]}`, Invalid, "field_wrong_type", "/logs/9999/action", 0},
	{"a trace_id too short", Single, with("trace_id", `"abc"`), Invalid, "trace_id_invalid", "/trace_id", 0},
	{"a trace_id of zeros", Single, with("trace_id", `"`+strings.Repeat("0", 32)+`"`), Invalid, "trace_id_invalid", "/trace_id", 0},
	{"a trace_id with a letter that is no digit", Single, with("trace_id", `"`+strings.Repeat("g", 32)+`"`), Invalid, "trace_id_invalid", "/trace_id", 0},
	{"a span_id of zeros", Single, with("span_id", `"0000000000000000"`), Invalid, "span_id_invalid", "/span_id", 0},

	{"a tenant in the body", Single, with("tenant_id", `"t"`), Invalid, "tenant_not_settable", "/tenant_id", 0},
	{"a tenant of any kind in the body", Single, with("tenant_id", `{"a":[1e999]}`), Invalid, "tenant_not_settable", "/tenant_id", 0},
	{"an id in the body", Single, with("id", `"x"`), Malformed, "unknown_field", "/id", 0},
	{"received_at in the body", Single, with("received_at", `"x"`), Malformed, "unknown_field", "/received_at", 0},
	{"changes in the body", Single, with("changes", `[]`), Malformed, "unknown_field", "/changes", 0},
	{"a name in capitals", Single, with("MESSAGE", `"x"`), Malformed, "unknown_field", "/MESSAGE", 0},
	{"an unknown name to escape in a pointer", Single, with("a/b~c", `1`), Malformed, "unknown_field", "/a~1b~0c", 0},
	{"a severity that is none", Single, with("severity", `"LOUD"`), Invalid, "severity_invalid", "/severity", 0},
	{"a severity as a number", Single, with("severity", `3`), Invalid, "severity_invalid", "/severity", 0},
	{"an address with a zone", Single, with("ip_address", `"fe80::1%eth0"`), Invalid, "ip_address_invalid", "/ip_address", 0},
	{"an address with a port", Single, with("ip_address", `"10.0.0.1:80"`), Invalid, "ip_address_invalid", "/ip_address", 0},
	{"a schema_version of zero", Single, with("schema_version", `0`), Invalid, "schema_version_invalid", "/schema_version", 0},
	{"a schema_version with a fraction", Single, with("schema_version", `1.0`), Invalid, "schema_version_invalid", "/schema_version", 0},
	{"a schema_version in a string", Single, with("schema_version", `"1"`), Invalid, "field_wrong_type", "/schema_version", 0},
	{"an action of 64 characters", Single, `{"action":"` + strings.Repeat("é", 64) + `"}`, 0, "", "", 0},
	{"an action of 65 characters", Single, `{"action":"` + strings.Repeat("é", 65) + `"}`, Invalid, "too_long", "/action", 0},
	{"a service of 513 bytes", Single, with("service", `"`+strings.Repeat("s", 513)+`"`), Invalid, "too_long", "/service", 0},
	{"a resource_id of 1,025 bytes", Single, with("resource_id", `"`+strings.Repeat("s", 1025)+`"`), Invalid, "too_long", "/resource_id", 0},
	{"a user_agent of 1,025 bytes", Single, with("user_agent", `"`+strings.Repeat("s", 1025)+`"`), Invalid, "too_long", "/user_agent", 0},
	{"a request_id of 513 bytes", Single, with("request_id", `"`+strings.Repeat("s", 513)+`"`), Invalid, "too_long", "/request_id", 0},
	{"empty optional fields", Single, `{"message":"x","user_id":"","severity":"","timestamp":"","trace_id":"","ip_address":""}`, 0, "", "", 0},
	{"an array where one entry is due", Single, batch(2), Invalid, "field_wrong_type", "", 0},
	{"a string where a batch is due", Bulk, `"x"`, Invalid, "field_wrong_type", "", 0},
	{"logs that is no array", Bulk, `{"logs":{}}`, Invalid, "field_wrong_type", "/logs", 0},
	{"a batch without logs", Bulk, `{}`, Invalid, "required", "/logs", 0},
	{"a batch with another member", Bulk, `{"logs":[{"action":"x"}],"x":{"y":[1]}}`, Malformed, "unknown_field", "/x", 0},
	{"a number in place of an entry", Bulk, `{"logs":[{"action":"x"},7]}`, Invalid, "field_wrong_type", "/logs/1", 0},
	{"an entry of 256 KiB and a byte in an array", Bulk, `[{"action":"x"},` + sized(256<<10+1) + `]`, TooLarge, "entry_too_large", "/1", 0},
	{"an entry of 256 KiB", Bulk, `[` + sized(256<<10) + `]`, 0, "", "", 0},
}

// sized is an entry of n bytes.
func sized(n int) string {
	const frame = `{"action":"x","metadata":{"v":""}}`
	return strings.Replace(frame, `""`, `"`+strings.Repeat("x", n-len(frame))+`"`, 1)
}

func TestHostileBodies(t *testing.T) {
	for _, c := range hostile {
		t.Run(c.name, func(t *testing.T) {
			entries, err := Decode([]byte(c.body), c.form, Options{Now: testNow})
			if c.code == "" {
				if err != nil || len(entries) == 0 {
					t.Fatalf("%d entries, %v", len(entries), err)
				}
				for i := range entries {
					checkRoundTrip(t, &entries[i])
				}
				return
			}
			e, ok := errors.AsType[*DecodeError](err)
			if !ok || entries != nil {
				t.Fatalf("want %s, have %d entries, %v", c.code, len(entries), err)
			}
			p := e.Problems[0]
			if e.Class != c.class || e.Code != c.code || p.Code != c.code || p.Pointer != c.pointer || p.Line != c.line || len(e.Problems) != 1 {
				t.Fatalf("want %v %s at %q line %d, have %v %s %+v", c.class, c.code, c.pointer, c.line, e.Class, e.Code, e.Problems)
			}
		})
	}
}

// The cost of refusing must not grow with what was sent to make it grow.
func BenchmarkHostile(b *testing.B) {
	for _, c := range hostile {
		if body := []byte(c.body); len(body) > 100_000 && c.code != "" {
			b.Run(strings.ReplaceAll(c.name, " ", "_"), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := Decode(body, c.form, Options{Now: testNow}); err == nil {
						b.Fatal("accepted")
					}
				}
			})
		}
	}
}

func TestWhatIsSentIsKept(t *testing.T) {
	body := []byte(`{"message":"a\u0000b\u00e9\ud83d\ude00","trace_id":"0123456789ABCDEF0123456789abcdef","severity":"warn",` +
		`"timestamp":"2026-01-02T03:04:05.123456789+02:00","metadata": { "n" : [ -0 , 1.0, 1E2, 0.1000, 9007199254740993 ] , "s" : " \u0041 " } ,"user_id":""}`)
	entries, err := Decode(body, Single, Options{Now: testNow})
	if err != nil {
		t.Fatal(err)
	}
	e := entries[0]
	if e.Message != "a\x00bé😀" || e.TraceID != "0123456789abcdef0123456789abcdef" || e.Severity != Warning {
		t.Errorf("have %+v", e)
	}
	if want := time.Date(2026, 1, 2, 1, 4, 5, 123456789, time.UTC); e.Timestamp != want {
		t.Errorf("timestamp %v, want %v", e.Timestamp, want)
	}
	if want := `{"n":[-0,1.0,1E2,0.1000,9007199254740993],"s":" \u0041 "}`; string(e.Metadata) != want {
		t.Errorf("metadata %s, want %s", e.Metadata, want)
	}
}

func TestCompactMetadataIsNotCopied(t *testing.T) {
	body := sample(1, Single)
	entries, err := Decode(body, Single, Options{Now: testNow})
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(body, []byte(`{"region"`))
	if &entries[0].Metadata[0] != &body[at] {
		t.Error("the metadata is a copy")
	}
}
