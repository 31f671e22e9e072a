package main

import (
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// exportService gives n entries in every format, as the service does.
type exportService struct {
	t      *testing.T
	n      int
	packed string                                        // how it is compressed
	spoil  func(request int, body string, h http.Header) // before it is sent
	cut    int                                           // the request that breaks off in the middle, from 1 on
	line   func(i int) string                            // an entry of NDJSON; nil: a small one

	requests int
	asked    []url.Values
}

func (s *exportService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s.requests++
	s.asked = append(s.asked, q)
	switch {
	case q.Get("q") == "bad":
		refuse(w, 400, `{"code":"query_invalid","detail":"no field named servce"}`)
		return
	case q.Get("format") == "bigquery-schema":
		_, _ = io.WriteString(w, "[\n]\n")
		return
	case r.URL.Path != "/api/v1/logs/export" || r.Header.Get("Accept-Encoding") != "zstd, gzip" || r.Header.Get("Authorization") != "Bearer x":
		s.t.Errorf("%s %v", r.URL.Path, r.Header)
	}
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil {
		s.t.Error(err)
	}
	from, _ := strconv.Atoi(q.Get("cursor"))
	body, rows, next := exportBody(q.Get("format"), from, min(from+limit, s.n), s.n, s.line)
	h := w.Header()
	h.Set("Trailer", "X-Export-Rows, X-Export-Sha256, X-Export-Next-Cursor")
	if s.packed != "" {
		h.Set("Content-Encoding", s.packed)
	}
	if s.requests == s.cut {
		_, _ = w.Write(pack(s.t, s.packed, body[:len(body)/2]))
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(pack(s.t, s.packed, body))
	hash := sha256.Sum256([]byte(body))
	h.Set("X-Export-Rows", strconv.Itoa(rows))
	h.Set("X-Export-SHA256", hex.EncodeToString(hash[:]))
	if next != "" {
		h.Set("X-Export-Next-Cursor", next)
	}
	if s.spoil != nil {
		s.spoil(s.requests, body, h)
	}
}

// exportBody is entries from … to-1 of all of them.
func exportBody(format string, from, to, all int, line func(int) string) (body string, rows int, next string) {
	var b strings.Builder
	if to < all {
		next = strconv.Itoa(to)
	}
	switch format {
	case "csv":
		b.WriteString("id,message\r\n")
	case "json":
		b.WriteString("[")
	}
	for i := from; i < to; i++ {
		switch format {
		case "csv":
			fmt.Fprintf(&b, "%d,\"two\nlines, \x1b[2J%d\"\r\n", i, i)
		case "json":
			if i > from {
				b.WriteString(",")
			}
			fmt.Fprintf(&b, "\n{\"id\":\"%d\",\"message\":\"]\"}", i)
		default:
			if line != nil {
				b.WriteString(line(i) + "\n")
				continue
			}
			fmt.Fprintf(&b, `{"id":"%d","message":"{\"complete\":true}"}`+"\n", i)
		}
	}
	switch format {
	case "json":
		b.WriteString(jsonEnd)
	case "ndjson":
		more := ""
		if next != "" {
			more = `,"next_cursor":"` + next + `"`
		}
		fmt.Fprintf(&b, `{"complete":true,"count":%d%s}`+"\n", to-from, more)
	}
	return b.String(), to - from, next
}

func pack(t *testing.T, how, text string) []byte {
	var b strings.Builder
	var w io.WriteCloser
	switch how {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "zstd":
		var err error
		if w, err = zstd.NewWriter(&b); err != nil {
			t.Fatal(err)
		}
	default:
		return []byte(text)
	}
	_, err := io.WriteString(w, text)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return []byte(b.String())
}

// exportFrom runs export against s, ten entries a part. change may be nil.
func exportFrom(t *testing.T, s *exportService, change func(*exportOptions), query string) (out string, err error) {
	t.Helper()
	s.t = t
	server := httptest.NewServer(s)
	defer server.Close()
	o := exportOptions{format: "ndjson", part: 10}
	if change != nil {
		change(&o)
	}
	params, err := o.asked(query, time.Now())
	if err != nil {
		return "", err
	}
	var stdout, stderr strings.Builder
	err = export(t.Context(), o, &client{URL: server.URL, Token: "x", HTTP: server.Client()}, params, &stdout, &stderr)
	return stdout.String(), err
}

// idsOf are the ids of an export, in its order.
func idsOf(t *testing.T, format, text string) (ids []string) {
	t.Helper()
	var err error
	switch format {
	case "csv":
		var rows [][]string
		rows, err = csv.NewReader(strings.NewReader(text)).ReadAll()
		for i, row := range rows {
			if i == 0 && row[0] != "id" {
				t.Errorf("the header is %q", row)
			} else if i > 0 {
				ids = append(ids, row[0])
			}
		}
	case "json":
		var entries []struct{ ID string }
		err = json.Unmarshal([]byte(text), &entries)
		for _, e := range entries {
			ids = append(ids, e.ID)
		}
	default:
		for line := range strings.Lines(text) {
			var e struct{ ID string }
			if err = json.Unmarshal([]byte(line), &e); err != nil || e.ID == "" {
				t.Fatalf("%q is no entry: %v", line, err)
			}
			ids = append(ids, e.ID)
		}
	}
	if err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return ids
}

// wantIDs fails where ids are not 0 … n-1.
func wantIDs(t *testing.T, ids []string, n int) {
	t.Helper()
	if len(ids) != n {
		t.Fatalf("%d entries, want %d: %v", len(ids), n, ids)
	}
	for i, id := range ids {
		if id != strconv.Itoa(i) {
			t.Fatalf("entry %d is %s", i, id)
		}
	}
}

func TestExportsOfSeveralPartsAreOne(t *testing.T) {
	for _, format := range []string{"ndjson", "csv", "json", "bigquery"} {
		for i, n := range []int{0, 1, 10, 11, 35} {
			packed := []string{"", "gzip", "zstd"}[i%3]
			t.Run(fmt.Sprintf("%d entries as %s, %s", n, format, packed), func(t *testing.T) {
				out, err := exportFrom(t, &exportService{n: n, packed: packed}, func(o *exportOptions) { o.format = format }, "x")
				if err != nil {
					t.Fatal(err)
				}
				wantIDs(t, idsOf(t, format, out), n)
				path := filepath.Join(t.TempDir(), "file")
				said, err := exportFrom(t, &exportService{n: n, packed: packed}, func(o *exportOptions) { o.format, o.out = format, path }, "x")
				if err != nil || said != fmt.Sprintf("exported %d entries to %s (%s bytes)\n", n, path, grouped(int64(len(out)))) {
					t.Fatal(said, err)
				}
				if text := onlyFile(t, path); text != out {
					t.Errorf("the file is %q\nstandard output was %q", text, out)
				}
			})
		}
	}
}

// onlyFile is the text of a file that is alone in its directory.
func onlyFile(t *testing.T, path string) string {
	t.Helper()
	names, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(names) != 1 {
		t.Errorf("%v %v", names, err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAnInterruptedExportGoesOnAndHasEachEntryOnce(t *testing.T) {
	for _, format := range []string{"ndjson", "csv", "json", "bigquery"} {
		t.Run(format, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			s := &exportService{n: 35, packed: "zstd", cut: 3}
			to := func(o *exportOptions) { o.format, o.out, o.since = format, path, "2h" }
			_, err := exportFrom(t, s, to, "x")
			if err == nil || !strings.Contains(err.Error(), "incomplete: the first 20 entries are in "+path+".part") || !strings.Contains(err.Error(), "--resume") {
				t.Fatal(err)
			}
			if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("there is a file already: %v", err)
			}
			if _, err := exportFrom(t, s, to, "x"); err == nil || !strings.Contains(err.Error(), "go on with --resume, or remove it") {
				t.Errorf("what was kept was thrown away: %v", err)
			}
			again := func(o *exportOptions) { to(o); o.resume = true }
			if _, err := exportFrom(t, s, again, "y"); err == nil || !strings.Contains(err.Error(), "of another question") {
				t.Errorf("another query goes on: %v", err)
			}
			s.cut = 4
			if _, err := exportFrom(t, s, again, "x"); err == nil || !strings.Contains(err.Error(), "the first 20 entries are in") {
				t.Errorf("broken a second time: %v", err)
			}
			if said, err := exportFrom(t, s, again, "x"); err != nil || !strings.Contains(said, "exported 35 entries") {
				t.Fatal(said, err)
			}
			wantIDs(t, idsOf(t, format, onlyFile(t, path)), 35)
			for _, q := range s.asked {
				if q.Get("start_time") != s.asked[0].Get("start_time") {
					t.Errorf("--since means another time after a break: %s, %s", q.Get("start_time"), s.asked[0].Get("start_time"))
				}
			}
		})
	}
}

func TestAStateOfAPartThatIsGoneSaysNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	s := &exportService{n: 35, cut: 3}
	to := func(o *exportOptions) { o.out, o.resume = path, true }
	if _, err := exportFrom(t, s, to, ""); err == nil {
		t.Fatal("it was cut")
	}
	if err := os.Remove(path + ".part"); err != nil {
		t.Fatal(err)
	}
	s.cut = 4
	if _, err := exportFrom(t, s, to, ""); err == nil || !strings.Contains(err.Error(), "nothing is kept") || s.asked[3].Get("cursor") != "" {
		t.Errorf("it does not begin again: %v", err)
	}
	if names, err := os.ReadDir(filepath.Dir(path)); err != nil || len(names) > 0 {
		t.Errorf("left behind: %v %v", names, err)
	}
	s.cut = 6
	if _, err := exportFrom(t, s, to, ""); err == nil {
		t.Fatal("it was cut")
	}
	if err := os.Truncate(path+".part", 5); err != nil {
		t.Fatal(err)
	}
	if _, err := exportFrom(t, s, to, ""); err == nil || !strings.Contains(err.Error(), "shorter than it was") {
		t.Errorf("a part that somebody shortened: %v", err)
	}
}

func TestAnExportThatIsNotWholeIsAnError(t *testing.T) {
	for name, c := range map[string]struct {
		service exportService
		format  string
		query   string
		says    string
	}{
		"no trailers": {exportService{spoil: func(_ int, _ string, h http.Header) { h.Del("X-Export-Sha256") }}, "csv", "", "keep trailers"},
		"other bytes": {exportService{spoil: func(_ int, _ string, h http.Header) { h.Set("X-Export-Sha256", strings.Repeat("0", 64)) }}, "csv", "", "its SHA-256 is another one"},
		"other rows":  {exportService{spoil: func(_ int, _ string, h http.Header) { h.Set("X-Export-Rows", "4") }}, "ndjson", "", "does not end as a whole export does"},
		"rows that are no number": {
			exportService{spoil: func(_ int, _ string, h http.Header) { h.Set("X-Export-Rows", "many") }}, "csv", "", "not a number"},
		"broken at once":     {exportService{cut: 1}, "json", "", "the transfer broke off"},
		"a query is refused": {exportService{}, "json", "bad", "no field named servce"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c.service.n = 5
			_, err := exportFrom(t, &c.service, func(o *exportOptions) { o.format, o.out = c.format, filepath.Join(dir, "file") }, c.query)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatal(err)
			}
			if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
				t.Errorf("left behind: %v %v", names, err)
			}
			if out, err := exportFrom(t, &c.service, func(o *exportOptions) { o.format = c.format }, c.query); c.service.cut == 0 && err == nil {
				t.Errorf("on standard output it is whole: %s", out)
			}
		})
	}
}

func TestExportFlagsAreChecked(t *testing.T) {
	o := exportOptions{format: "csv", columns: "id,message", raw: true}
	o.start = "2026-01-02T00:00:00Z"
	p, err := o.asked("x", time.Now())
	if err != nil || p.Encode() != "columns=id%2Cmessage&format=csv&q=x&raw=1&start_time=2026-01-02T00%3A00%3A00Z" {
		t.Errorf("%s %v", p.Encode(), err)
	}
	for _, o := range []exportOptions{{format: "xml"}, {format: "json", raw: true}, {format: "json", resume: true}, {format: "bigquery-schema", resume: true, out: "x"},
		{format: "bigquery-schema", searchOptions: searchOptions{limit: 1}}, {format: "bigquery-schema", searchOptions: searchOptions{audit: "only"}},
		{format: "csv", searchOptions: searchOptions{audit: "all"}}, {format: "csv", searchOptions: searchOptions{limit: -1}},
		{format: "parquet"}, {format: "parquet", out: "x", resume: true}, {format: "parquet", out: "x", raw: true}} {
		if _, err := o.asked("", time.Now()); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	if _, err := exportFrom(t, &exportService{n: 1}, func(o *exportOptions) { o.out = "/dev/null" }, ""); err == nil || !strings.Contains(err.Error(), "is no file") {
		t.Error(err)
	}
	path := filepath.Join(t.TempDir(), "schema.json")
	said, err := exportFrom(t, &exportService{}, func(o *exportOptions) { o.format, o.out = "bigquery-schema", path }, "")
	if err != nil || said != "exported the schema to "+path+" (4 bytes)\n" || onlyFile(t, path) != "[\n]\n" {
		t.Error(said, err)
	}
}

func TestAnExportHasAsManyEntriesAsAreWanted(t *testing.T) {
	for _, format := range []string{"ndjson", "csv", "json", "bigquery"} {
		for limit, want := range map[int]int{1: 1, 10: 10, 11: 11, 25: 25, 35: 35, 36: 35, 0: 35} {
			s := &exportService{n: 35}
			path := filepath.Join(t.TempDir(), "file")
			said, err := exportFrom(t, s, func(o *exportOptions) { o.format, o.out, o.limit, o.audit = format, path, limit, "include" }, "")
			if err != nil || !strings.HasPrefix(said, fmt.Sprintf("exported %d entries", want)) {
				t.Fatal(said, err)
			}
			wantIDs(t, idsOf(t, format, onlyFile(t, path)), want)
			if s.asked[0].Get("audit") != "include" || len(s.asked) != (want+9)/10 {
				t.Errorf("it asked %v", s.asked)
			}
		}
	}
}

func TestAnExportWithALimitThatWasInterruptedGoesOnToIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	s := &exportService{n: 35, cut: 3}
	to := func(o *exportOptions) { o.out, o.limit = path, 25 }
	if _, err := exportFrom(t, s, to, ""); err == nil || !strings.Contains(err.Error(), "the first 20 entries are in") {
		t.Fatal(err)
	}
	if _, err := exportFrom(t, s, func(o *exportOptions) { to(o); o.limit, o.resume = 30, true }, ""); err == nil || !strings.Contains(err.Error(), "of another question") {
		t.Errorf("with another limit: %v", err)
	}
	if said, err := exportFrom(t, s, func(o *exportOptions) { to(o); o.resume = true }, ""); err != nil || !strings.Contains(said, "exported 25 entries") {
		t.Fatal(said, err)
	}
	wantIDs(t, idsOf(t, "ndjson", onlyFile(t, path)), 25)
}

// TestAReadOnlyFileSystemIsNamedByTheFileThatCouldNotBeWritten runs itself again where a folder is read-only and nobody
// else sees that: in a namespace of its own.
func TestAReadOnlyFileSystemIsNamedByTheFileThatCouldNotBeWritten(t *testing.T) {
	if dir := os.Getenv("TEST_READ_ONLY"); dir != "" {
		path := filepath.Join(dir, "export")
		if _, err := openPart(path, false, nil, ""); err == nil || !strings.Contains(err.Error(), "open "+path+".part: read-only") {
			t.Error(err)
		}
		return
	}
	dir := t.TempDir()
	alone := []string{"--user", "--map-root-user", "--mount", "sh", "-c", `mount -t tmpfs -o ro tmpfs "$0" && exec "$@"`, dir}
	if out, err := exec.Command("unshare", append(alone, "true")...).CombinedOutput(); err != nil {
		t.Skipf("no namespace in which a folder could be read-only: %v %s", err, out)
	}
	again := exec.Command("unshare", append(alone, os.Args[0], "-test.run=^"+t.Name()+"$")...)
	again.Env = append(os.Environ(), "TEST_READ_ONLY="+dir)
	if out, err := again.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestSpacesInAListAreNotPartOfItsNames(t *testing.T) {
	o := exportOptions{format: "csv", columns: "id, metadata.a b ,message"}
	if p, err := o.asked("", time.Now()); err != nil || p.Get("columns") != "id,metadata.a b,message" {
		t.Error(p, err)
	}
	if got := columnsAsked(o.columns); !slices.Equal(got, []string{"id", "metadata.a b", "message"}) {
		t.Errorf("%q", got)
	}
}

func TestLinesOnATerminalAreVisible(t *testing.T) {
	var b strings.Builder
	w := &visibleWriter{w: &b}
	for _, part := range []string{"a\x1b[2J", "b\u202e\r", "\nhalf \xc3", "\xa9\n", "rest"} {
		if n, err := io.WriteString(w, part); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	if want := `a\x1b[2Jb\u202e` + "\nhalf é\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}
