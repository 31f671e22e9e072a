package lines

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

type sent struct {
	Timestamp, Severity, Service, Message string
	Metadata                              map[string]any
}

func entry(t *testing.T, text Text, line string) sent {
	t.Helper()
	out, ok := text.Append(nil, Line{Text: []byte(line), Number: 7})
	if !ok {
		t.Fatalf("%q was taken for blank", line)
	}
	var e sent
	if err := json.Unmarshal(out, &e); err != nil || out[len(out)-1] != '\n' || strings.Count(string(out), "\n") != 1 {
		t.Fatalf("%q: %v", out, err)
	}
	return e
}

func TestAppendMakesAnEntryOfALine(t *testing.T) {
	text := Text{Service: "web", Severity: logentry.Info, File: "web.log"}
	e := entry(t, text, "2024-05-06 07:08:09,250 - WARN  [main] disk \"a\"\tslow")
	if e.Timestamp != "2024-05-06T07:08:09.25Z" || e.Severity != "WARNING" || e.Service != "web" ||
		e.Message != "2024-05-06 07:08:09,250 - WARN  [main] disk \"a\"\tslow" || e.Metadata["file"] != "web.log" || e.Metadata["line"] != 7.0 || len(e.Metadata) != 2 {
		t.Fatalf("%+v", e)
	}
	e = entry(t, text, "  at main.go:12")
	if e.Timestamp != "" || e.Severity != "INFO" || e.Message != "  at main.go:12" {
		t.Fatalf("%+v", e)
	}
	if e = entry(t, Text{Service: "web"}, "plain"); e.Severity != "" || e.Metadata["file"] != nil {
		t.Fatalf("%+v", e)
	}
}

func TestAppendPassesOverBlankLines(t *testing.T) {
	for _, line := range []string{"", " ", "\t \v", "\u200b\ufeff", "\u00a0", "\u3164\u2800\u0301", "\x01\x7f"} {
		if out, ok := (Text{}).Append([]byte("x"), Line{Text: []byte(line)}); ok || string(out) != "x" {
			t.Errorf("%q became %q", line, out)
		}
	}
}

func TestTheServiceTakesWhatAppendMakes(t *testing.T) {
	text := Text{Service: "web", Severity: logentry.Info, File: "a\xff.log", Clock: Clock{Before: time.Now()}}
	var body []byte
	want := 0
	for _, line := range []string{"x", "\u200bé", "\xff", "\u0301a", "\x00b", "\u2028.", strings.Repeat("\x02", 1<<17) + "x",
		"x" + strings.Repeat("\x02", 1<<17), strings.Repeat("日", 1<<16), "Feb 29 11:00:00 y", "0000-01-01 00:00:00 z", "9999-12-31 23:59:59 z"} {
		if out, ok := text.Append(body, Line{Text: []byte(line), Number: 1}); ok {
			body = out
			want++
		}
	}
	entries, err := logentry.Decode(body, logentry.NDJSON, logentry.Options{})
	if err != nil || len(entries) != want || want < 10 {
		t.Fatalf("%d of %d: %v", len(entries), want, err)
	}
}

func TestAppendNotesWhatItChanged(t *testing.T) {
	now := func() time.Time { return time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC) }
	text := Text{Service: "web", Now: now}
	e := entry(t, text, "caf\xe9 and \xff\xfe")
	if e.Message != "caf\ufffd and \ufffd\ufffd" || e.Metadata["invalid_utf8"] != 3.0 {
		t.Fatalf("%+v", e)
	}
	e = entry(t, text, strings.Repeat("é", MaxMessage/2)+"more")
	if len(e.Message) != MaxMessage || e.Metadata["cut_bytes"] != 4.0 {
		t.Fatalf("%d bytes, %v", len(e.Message), e.Metadata)
	}
	e = entry(t, text, "a"+strings.Repeat("é", MaxMessage/2))
	if len(e.Message) != MaxMessage-1 || e.Metadata["cut_bytes"] != 2.0 || !utf8.ValidString(e.Message) {
		t.Fatalf("%d bytes, %v", len(e.Message), e.Metadata)
	}
	e = entry(t, text, "x"+strings.Repeat("\x01", MaxMessage-1))
	if cut, _ := e.Metadata["cut_bytes"].(float64); int(cut)+len(e.Message) != MaxMessage || len(e.Message)*6 > maxEncoded+6 {
		t.Fatalf("%d bytes, %v", len(e.Message), e.Metadata)
	}
	out, _ := text.Append(nil, Line{Text: []byte("x"), Number: 1, Zeros: 9})
	if !strings.Contains(string(out), `"zero_bytes":9`) {
		t.Fatalf("%s", out)
	}
	e = entry(t, text, "2024-06-01 00:00:00 from the future")
	if e.Timestamp != "" || e.Metadata["timestamp_ignored"] != true {
		t.Fatalf("%+v", e)
	}
	e = entry(t, text, "1969-06-01 00:00:00 before the epoch")
	if e.Timestamp != "" || e.Metadata["timestamp_ignored"] != true {
		t.Fatalf("%+v", e)
	}
}

func TestLevelFindsTheWordThatIsMeant(t *testing.T) {
	for line, want := range map[string]string{
		" - INFO  [main] x":                          "INFO",
		" 25746 WARNING nova.api x":                  "WARNING",
		" 148 WARN dfs.DataNode: x":                  "WARNING",
		"] [notice] workers up":                      "INFO",
		"] [error] child in error state":             "ERROR",
		"] [core:crit] x":                            "CRITICAL",
		" box sshd[1]: error: Received disconnect":   "ERROR",
		" box sshd[1]: fatal: Read from socket":      "CRITICAL",
		" level=debug msg=x":                         "DEBUG",
		" <warn> x":                                  "WARNING",
		"error: cannot open":                         "ERROR",
		" SEVERE: x":                                 "ERROR",
		" FATAL x":                                   "CRITICAL",
		" box app: an error occurred":                "",
		" box app: no error: all fine":               "",
		" box kernel: ERROR_CODE=0":                  "",
		" com.example.error.Handler started":         "",
		" INFORMATION x":                             "",
		" " + strings.Repeat("x ", 50) + "ERROR far": "",
		"": "",
	} {
		s, ok := Level(line)
		if ok != (want != "") || s.String() != want {
			t.Errorf("%q: %q, want %q", line, s, want)
		}
	}
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("2024-05-06 07:08:09,250 - WARN x\r\n[Mon May 06 07:08:09 2024] [error] y\rJan  3 11:00:00 z\n"), uint16(40))
	f.Add([]byte("\xff\xfe\r\r\n\x00\u200b\n<34>Feb 29 11:00:00 b\n<9999>"), uint16(3))
	f.Add([]byte(`1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "GET" <1`), uint16(0))
	f.Add([]byte("a.b 2024-05-06 07:08:09.008 +\n081109 203615\n17/06/09 20:10:40"), uint16(1000))
	f.Fuzz(func(t *testing.T, in []byte, limit uint16) {
		text := Text{Service: "fuzz", File: "f", Clock: Clock{Before: time.Unix(1_700_000_000, 0)}}
		whole, lost := all(t, strings.NewReader(string(in)), AnyEnding, int(limit))
		total := 0
		for i, line := range whole {
			total += len(line) + lost[i]
			if strings.ContainsAny(line, "\r\n") || len(line) > int(limit) {
				t.Fatalf("%q is not a line", line)
			}
			out, ok := text.Append(nil, Line{Text: []byte(line), Number: i + 1, Lost: lost[i]})
			if !ok {
				continue
			}
			var e sent
			if err := json.Unmarshal(out, &e); err != nil {
				t.Fatalf("%q: %v", out, err)
			}
			if _, err := logentry.Decode(out, logentry.NDJSON, logentry.Options{}); err != nil {
				t.Fatalf("%q: %v", out, err)
			}
			if len(e.Message) > MaxMessage || utf8.ValidString(line) && !strings.HasPrefix(line, e.Message) {
				t.Fatalf("%q became %q", line, e.Message)
			}
			if e.Timestamp != "" {
				if _, err := time.Parse(time.RFC3339Nano, e.Timestamp); err != nil {
					t.Fatal(err)
				}
			}
		}
		endings := strings.Count(string(in), "\r") + strings.Count(string(in), "\n")
		if total != len(in)-endings {
			t.Fatalf("%d of %d bytes are in lines", total, len(in)-endings)
		}
	})
}
