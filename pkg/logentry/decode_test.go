package logentry

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

func refused(t *testing.T, body string, form Form, o Options) *DecodeError {
	t.Helper()
	o.Now = testNow
	_, err := Decode([]byte(body), form, o)
	e, ok := errors.AsType[*DecodeError](err)
	if !ok {
		t.Fatalf("want a refusal, have %v", err)
	}
	return e
}

func TestEveryProblemIsListed(t *testing.T) {
	e := refused(t, `{"logs":[{"message":1,"level":"x"},{"action":"ok"},{"trace_id":"z","metadata":{"a":[{"":1e999}]}}],"other":1}`, Bulk, Options{})
	var have []string
	for _, p := range e.Problems {
		have = append(have, p.Pointer+" "+p.Code)
	}
	want := []string{
		"/logs/0/message field_wrong_type", "/logs/0/level unknown_field", "/logs/2/trace_id trace_id_invalid",
		"/logs/2/metadata/a/0/ key_invalid", "/logs/2/metadata/a/0/ number_out_of_range", "/logs/2/message required",
		"/other unknown_field",
	}
	if !reflect.DeepEqual(have, want) {
		t.Errorf("have %q\nwant %q", have, want)
	}
	if e.Class != Malformed || e.Code != "validation_failed" || e.Truncated {
		t.Errorf("have %v %s truncated %t", e.Class, e.Code, e.Truncated)
	}
}

func TestAListThatWasCutSaysSo(t *testing.T) {
	e := refused(t, "["+strings.Repeat(`{"message":1},`, 99)+`{"message":1}]`, Bulk, Options{})
	if len(e.Problems) != 100 || e.Truncated {
		t.Errorf("100 problems: %d listed, truncated %t", len(e.Problems), e.Truncated)
	}
	e = refused(t, "["+strings.Repeat(`{"message":1},`, 100)+`{"x":1,"action":"a"}]`, Bulk, Options{})
	if len(e.Problems) != 100 || !e.Truncated || e.Class != Malformed {
		t.Errorf("101 problems: %d listed, truncated %t, %v", len(e.Problems), e.Truncated, e.Class)
	}
}

func TestASyntaxFaultHidesWrongValues(t *testing.T) {
	e := refused(t, "{\"logs\":[{\"message\":1},\n {\"message\":\"é\" x}]}", Bulk, Options{})
	want := []Problem{{Pointer: "/logs/1", Line: 2, Column: 17, Code: "json_invalid", Message: e.Problems[0].Message}}
	if !reflect.DeepEqual(e.Problems, want) {
		t.Errorf("have %+v", e.Problems)
	}
}

func TestATooLargeEntryHidesWhatIsInIt(t *testing.T) {
	large := sized(1 << 19)
	e := refused(t, `[{"message":1},{"x":1,"y":`+large+`},{"x":1}]`, Bulk, Options{})
	if len(e.Problems) != 2 || e.Problems[1].Code != "entry_too_large" || e.Class != Invalid || !e.Truncated {
		t.Errorf("have %v, truncated %t: %+v", e.Class, e.Truncated, e.Problems)
	}
	e = refused(t, large+"\n"+`{"action":"x"}`+"\n"+large, NDJSON, Options{})
	if len(e.Problems) != 2 || e.Code != "entry_too_large" || e.Class != TooLarge || e.Problems[1].Line != 3 {
		t.Errorf("have %v %s: %+v", e.Class, e.Code, e.Problems)
	}
}

func TestAnswersNeverRepeatTheInput(t *testing.T) {
	const secret = "s3cr3t-canary"
	for _, c := range hostile {
		body := strings.ReplaceAll(c.body, `"x"`, quoted(secret))
		if _, err := Decode([]byte(body), c.form, Options{Now: testNow}); err != nil {
			e, _ := errors.AsType[*DecodeError](err)
			text := e.Error()
			for _, p := range e.Problems { // a pointer has to repeat names
				text += p.Code + p.Message
			}
			if strings.Contains(text, secret) {
				t.Errorf("%s: %s", c.name, text)
			}
		}
	}
	e := refused(t, with(strings.Repeat("é", 1<<16), "1"), Single, Options{})
	if n := len(e.Problems[0].Pointer); n > maxPointer+len("…") {
		t.Errorf("a pointer of %d bytes", n)
	}
}

func TestUnknownFieldsSuggestTheNearestName(t *testing.T) {
	for sent, want := range map[string]string{
		"mesage": "message", "MESSAGE": "message", "msg": "message", "level": "severity", "userId": "user_id", "user-id": "user_id",
		"@timestamp": "timestamp", "traceid": "trace_id", "metdata": "metadata", "ip": "ip_address", "sevice": "service",
		"shoe_size": "", "x": "", "ids": "", "recieved_at": "",
	} {
		have := nearest(sent)
		if have.String() != want {
			t.Errorf("%s: suggested %q, want %q", sent, have, want)
		}
	}
}

func TestProblemsHaveTheNamesOfTheAnswer(t *testing.T) {
	have, err := json.Marshal(Problem{Pointer: "/a", Line: 1, Column: 2, Code: "c", Message: "m"})
	if want := `{"pointer":"/a","line":1,"column":2,"code":"c","message":"m"}`; err != nil || string(have) != want {
		t.Errorf("have %s, %v", have, err)
	}
}

// Bodies that are almost right: the scanner and the codec must agree on each.
func TestTheScannerAgreesWithTheCodec(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	pieces := []string{`"`, `\`, `\u0041`, `\ud83d\ude00`, `\ud83d`, `{`, `}`, `[`, `]`, `,`, `:`, "\x00", "\x1f", "\x7f", " ", "\t", "\r", "é",
		"\xff", "\u2028", `null`, `true`, `1e5`, `-0`, `01`, `0.`, `.5`, `1e+`, `"a":1,`, `"a":{"a":1},`, `"message":"b",`, `"\u0061":2,`}
	for i := range 20_000 {
		form := Form(i % 3)
		body := sample(1+i%2*int(form&1), form)
		if i%5 == 0 {
			body = []byte(`{"message":"a","metadata":{"a":1,"b":{"a":[true,{"c":""}]}}}`)
			form = Single
		}
		for range 1 + rng.IntN(3) {
			at := rng.IntN(len(body))
			end := min(len(body), at+rng.IntN(3)*rng.IntN(12))
			body = append(append(bytes.Clone(body[:at]), pieces[rng.IntN(len(pieces))]...), body[end:]...)
			if len(body) == 0 {
				break
			}
		}
		entries, err := Decode(body, form, Options{Now: testNow})
		if err != nil {
			checkRefusal(t, body, form, err)
			continue
		}
		if !codecTakes(body, form) {
			t.Fatalf("accepted what the codec refuses: %q", body)
		}
		for j := range entries {
			checkRoundTrip(t, &entries[j])
		}
	}
}

func TestTimestampsAreReadAsTimeDoes(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for range 20_000 {
		// Any moment from year 0 to 9999, any precision, any offset.
		moment := time.Unix(rng.Int64N(315_569_433_600)-62_167_219_200, rng.Int64N(1e9)).Truncate(time.Duration([]int64{1, 1000, 1e6, 1e9}[rng.IntN(4)]))
		zone := time.FixedZone("", (rng.IntN(2*1439)-1439)*60)
		text := moment.In(zone).Format(time.RFC3339Nano)
		want, err := time.Parse(time.RFC3339Nano, text)
		if err != nil { // moved out of the four digits by its zone
			continue
		}
		have, ok := parseTimestamp(text)
		if !ok || have != want.UTC() {
			t.Fatalf("%s: %v %t, want %v", text, have, ok, want.UTC())
		}
		if back := string(appendTimestamp(nil, have)); back != have.Format(time.RFC3339Nano) {
			t.Fatalf("%v is written as %s", have, back)
		}
	}
}

func TestTimestampsThatAreNone(t *testing.T) {
	for _, text := range []string{
		"", "2026", "2026-01-01", "2026-01-01T00:00:00", "2026-01-01t00:00:00Z", "2026-01-01T00:00:00z", "2026-01-01 00:00:00Z",
		"2026-01-01T00:00:00.Z", "2026-01-01T00:00:00,5Z", "2026-01-01T00:00:00.1234567890Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
		"2026-01-00T00:00:00Z", "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-01-01T00:60:00Z",
		"2026-01-01T00:00:00+0100", "2026-01-01T00:00:00+01", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+01:60", "+026-01-01T00:00:00Z",
		"2026-1-01T00:00:00Z0", "2026-01-01T00:00:00Z ", "２026-01-01T00:00:00Z", "2026-01-01T00:00:00−01:00",
	} {
		if have, ok := parseTimestamp(text); ok {
			t.Errorf("%q was read as %v", text, have)
		}
	}
}
