package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSendStoresEveryEntryOnceWhateverHappens(t *testing.T) {
	for name, c := range map[string]struct {
		fake    *fakeService
		atLeast time.Duration // of one of the pauses
		tries   bool
	}{
		"a healthy service": {fake: &fakeService{}},
		"busy for a while": {fake: &fakeService{before: func(n int, w http.ResponseWriter) bool {
			w.Header().Set("Retry-After", "7")
			return n%3 == 1 && refuse(w, http.StatusServiceUnavailable, `{"code":"enqueue_failed"}`)
		}}, tries: true, atLeast: 7 * time.Second},
		"over a limit, without a time": {fake: &fakeService{before: func(n int, w http.ResponseWriter) bool {
			return n < 4 && refuse(w, http.StatusTooManyRequests, `{"code":"rate_limited"}`)
		}}, tries: true},
		"a full disk": {fake: &fakeService{before: func(n int, w http.ResponseWriter) bool {
			return n == 3 && refuse(w, http.StatusInsufficientStorage, `{"code":"storage_full"}`)
		}}, tries: true},
		"connections that break before anything is stored": {fake: &fakeService{before: func(n int, _ http.ResponseWriter) bool {
			if n%2 == 0 && n < 20 {
				panic(http.ErrAbortHandler)
			}
			return false
		}}, tries: true},
		"connections that break after all is stored": {fake: &fakeService{after: func(n int) bool { return n%2 == 0 && n < 20 }},
			tries: true},
		"a proxy's error page": {fake: &fakeService{before: func(n int, w http.ResponseWriter) bool {
			return n == 2 && refuse(w, http.StatusBadGateway, `<html>`)
		}}, tries: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := c.fake
			out, pauses, err := sendTo(t, f, nil, "", write(t, "a.ndjson", ndjsonOf(95)))
			if err != nil || !strings.HasPrefix(out, "sent 95 entries in 10 batches") || !strings.HasSuffix(out, ", 0 refused\n") {
				t.Fatalf("%q %v", out, err)
			}
			f.whole(95)
			if (len(pauses) > 0) != c.tries || c.tries && slices.Max(pauses) < c.atLeast {
				t.Errorf("pauses %v", pauses)
			}
		})
	}
}

func TestSendAgainAfterACrashStoresTheRest(t *testing.T) {
	file := write(t, "a.ndjson", ndjsonOf(100))
	f := &fakeService{before: func(n int, w http.ResponseWriter) bool {
		return n >= 4 && n < 100 && refuse(w, http.StatusServiceUnavailable, `{"code":"stopping"}`)
	}}
	out, _, err := sendTo(t, f, func(o *sendOptions) { o.retryFor = time.Nanosecond }, "", file)
	if err == nil || !strings.Contains(out, "sent 40 entries in 4 batches") || !strings.Contains(err.Error(), "not acknowledged: "+file+":") || !strings.Contains(err.Error(), "stores nothing twice") {
		t.Fatalf("%q %v", out, err)
	}
	f.before = nil
	if out, _, err = sendTo(t, f, nil, "", file); err != nil || out != "sent 100 entries in 10 batches, 0 refused\n" {
		t.Fatalf("%q %v", out, err)
	}
	f.whole(100)
	if out, _, err = sendTo(t, f, func(o *sendOptions) { o.run = "second" }, "", file); err != nil || len(f.stored) != 200 {
		t.Fatalf("another run: %d stored, %q %v", len(f.stored), out, err)
	}
}

func TestSendTellsTheSameLineTwiceFromTheSameLineAgain(t *testing.T) {
	f := &fakeService{}
	line := `{"service":"test","message":"m0"}` + "\n"
	if _, _, err := sendTo(t, f, func(o *sendOptions) { o.batch = 1 }, "", write(t, "a", line+line)); err != nil || f.counts()["m0"] != 2 {
		t.Fatalf("twice in a file: %v, %v", f.counts(), err)
	}
	for range 2 {
		if _, _, err := sendTo(t, f, nil, line, "-"); err != nil {
			t.Fatal(err)
		}
	}
	if f.counts()["m0"] != 4 {
		t.Fatalf("standard input, two times: %v", f.counts())
	}
	for range 2 {
		if _, _, err := sendTo(t, f, func(o *sendOptions) { o.run = "nightly" }, line, "-"); err != nil {
			t.Fatal(err)
		}
	}
	if f.counts()["m0"] != 5 {
		t.Fatalf("standard input with a name, two times: %v", f.counts())
	}
}

func TestSendStopsAtABadLineAndSaysWhatWasSent(t *testing.T) {
	lines := strings.SplitAfter(ndjsonOf(50), "\n")
	lines[23] = `{"service":"test","mesage":"typo"}` + "\n"
	lines[26] = "{not json\n"
	file := write(t, "a.ndjson", strings.Join(lines, ""))
	f := &fakeService{}
	out, _, err := sendTo(t, f, nil, "", file)
	if err == nil || out != "sent 20 entries in 2 batches, 2 refused\n" {
		t.Fatalf("%q %v", out, err)
	}
	for _, want := range []string{file + ":24: /mesage unknown_field", file + ":27: column 2 json_invalid", "acknowledged: everything before " + file + ":21", "not acknowledged: " + file + ":21-30", "--skip-bad"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
	if f.requests != 2 {
		t.Errorf("%d requests", f.requests)
	}
}

func TestSendPassesOverBadLinesWhenAsked(t *testing.T) {
	lines := strings.SplitAfter(ndjsonOf(50), "\n")
	lines[23] = `{"service":"test","mesage":"typo"}` + "\r\n"
	lines[26] = "{not json\n"
	lines[49] = `{"service":"test","message":"m49","severity":9}`       // refused by the check
	f := &fakeService{before: func(n int, w http.ResponseWriter) bool { // and one by the service's own rules
		return n == 0 && refuse(w, http.StatusUnprocessableEntity, `{"code":"timestamp_out_of_range","detail":"too old","errors":[{"pointer":"/timestamp","line":3,"code":"timestamp_out_of_range","message":"too old"}]}`)
	}}
	skip := filepath.Join(t.TempDir(), "bad")
	out, _, err := sendTo(t, f, func(o *sendOptions) { o.skipBad, o.conns = skip, 1 }, "", write(t, "a.ndjson", strings.Join(lines, "")))
	if err == nil || out != "sent 46 entries in 5 batches, 4 refused\n" || !strings.Contains(err.Error(), skip) {
		t.Fatalf("%q %v", out, err)
	}
	bad, err := os.ReadFile(skip)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`{"service":"test","message":"m2"}`, `{"service":"test","mesage":"typo"}`, "{not json", `{"service":"test","message":"m49","severity":9}`, ""}
	got := strings.Split(string(bad), "\n")
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if n := f.counts(); len(n) != 46 || n["m2"] != 0 || n["m3"] != 1 {
		t.Errorf("%v", n)
	}
}

func TestSendStopsAtARefusalOfTheCaller(t *testing.T) {
	for status, says := range map[int]string{401: "--token", 403: "role or tenant", 404: "not one of Ocelot"} {
		f := &fakeService{before: func(_ int, w http.ResponseWriter) bool {
			body := fmt.Sprintf(`{"code":"c%d","detail":"no"}`, status)
			if status == 404 {
				body = "not here"
			}
			return refuse(w, status, body)
		}}
		skip := filepath.Join(t.TempDir(), "bad")
		_, pauses, err := sendTo(t, f, func(o *sendOptions) { o.skipBad = skip }, "", write(t, "a", ndjsonOf(30)))
		if err == nil || !strings.Contains(err.Error(), says) || len(pauses) > 0 || !strings.Contains(err.Error(), "acknowledged: nothing") {
			t.Errorf("%d: %v, %v", status, err, pauses)
		}
	}
}

func TestSendSaysWhenNothingAnswers(t *testing.T) {
	o := sendOptions{batch: 10, conns: 1, retryFor: time.Nanosecond}
	var out, notes strings.Builder
	err := send(t.Context(), o, &client{URL: "http://127.0.0.1:1", Token: "x", HTTP: http.DefaultClient}, []string{"-"}, strings.NewReader(ndjsonOf(1)), &out, &notes)
	if err == nil || !strings.Contains(err.Error(), "nothing answers at http://127.0.0.1:1: is `ocelot up` running?") {
		t.Fatal(err)
	}
}

func TestSendCutsBatchesByBytesToo(t *testing.T) {
	var b strings.Builder
	for i := range 60 {
		fmt.Fprintf(&b, `{"service":"test","message":"m%d","metadata":{"x":"%s"}}`+"\n", i, strings.Repeat("x", 100<<10))
	}
	f := &fakeService{}
	out, _, err := sendTo(t, f, func(o *sendOptions) { o.batch = 500 }, "", write(t, "a", b.String()))
	if err != nil || !strings.HasPrefix(out, "sent 60 entries in 3 batches") {
		t.Fatalf("%q %v", out, err)
	}
	f.whole(60)
}

func TestSendMakesEntriesOfRawLines(t *testing.T) {
	f := &fakeService{}
	file := write(t, "web.log", "2024-05-06 07:08:09 INFO m0\r\n\r\nJan  3 11:00:00 box m1\rm2\n \nm3")
	out, _, err := sendTo(t, f, func(o *sendOptions) { o.text, o.service = true, "raw-{file}" }, "", file)
	if err != nil || !strings.HasPrefix(out, "sent 4 entries in 1 batches") {
		t.Fatalf("%q %v", out, err)
	}
	if want := []string{"2024-05-06 07:08:09 INFO m0", "Jan  3 11:00:00 box m1", "m2", "m3"}; !slices.Equal(f.order, want) {
		t.Errorf("%q", f.order)
	}
}

func TestSendChecksItsFlagsAndFilesBeforeItSends(t *testing.T) {
	good := write(t, "a", ndjsonOf(3))
	for name, c := range map[string]struct {
		change func(*sendOptions)
		files  []string
		says   string
	}{
		"text without a service":                 {func(o *sendOptions) { o.text = true }, []string{good}, "--service"},
		"a service without text":                 {func(o *sendOptions) { o.service = "x" }, []string{good}, "--text"},
		"a severity that is none":                {func(o *sendOptions) { o.text, o.service, o.severity = true, "x", "loud" }, []string{good}, "loud"},
		"a zone that is none":                    {func(o *sendOptions) { o.text, o.service, o.zone = true, "x", "Mars/Base" }, []string{good}, "--tz"},
		"a batch too large":                      {func(o *sendOptions) { o.batch = 10_001 }, []string{good}, "10,000"},
		"following standard input":               {func(o *sendOptions) { o.follow = true }, []string{"-"}, "--follow"},
		"a file that is named twice":             {nil, []string{good, good}, "twice"},
		"a file that is not there":               {nil, []string{good, good + "x"}, "no such file"},
		"a directory":                            {nil, []string{good, filepath.Dir(good)}, "is a directory"},
		"refused lines into a file that is sent": {func(o *sendOptions) { o.skipBad = good }, []string{good}, "one of the files"},
	} {
		f := &fakeService{}
		if _, _, err := sendTo(t, f, c.change, "", c.files...); err == nil || !strings.Contains(err.Error(), c.says) || f.requests > 0 {
			t.Errorf("%s: %v, %d requests", name, err, f.requests)
		}
	}
	if text, err := os.ReadFile(good); err != nil || string(text) != ndjsonOf(3) {
		t.Errorf("%q %v", text, err)
	}
}
