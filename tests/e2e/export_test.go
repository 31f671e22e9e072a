//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// between is a proxy before the service, which may be another one after each start. Its address stays.
type between struct {
	*httptest.Server
	to     atomic.Value // URL
	answer atomic.Int32 // how many answers it passed on
	broken atomic.Value // func(answer int32) func(): what is done in the middle of an answer, if anything
}

func newBetween(t *testing.T, to string) *between {
	b := &between{}
	b.to.Store(to)
	b.broken.Store(func(int32) func() { return nil })
	proxy := &httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			u, err := url.Parse(b.to.Load().(string))
			if err != nil {
				t.Error(err)
			}
			r.SetURL(u)
		},
		ModifyResponse: func(r *http.Response) error {
			if do := b.broken.Load().(func(int32) func())(b.answer.Add(1)); do != nil {
				r.Body = &brokenBody{r.Body, do, 5000}
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	b.Server = httptest.NewServer(proxy)
	t.Cleanup(b.Close)
	return b
}

// brokenBody ends after some bytes as a connection does whose other end is gone.
type brokenBody struct {
	io.ReadCloser
	do   func()
	left int
}

func (b *brokenBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		b.do()
		return 0, io.ErrUnexpectedEOF
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// TestAnExportThatWasKilledGoesOnAndHasEachEntryOnce is H5.
func TestAnExportThatWasKilledGoesOnAndHasEachEntryOnce(t *testing.T) {
	s := start(t)
	const n = 15_000
	var input bytes.Buffer
	for i := range n {
		fmt.Fprintf(&input, `{"timestamp":"2025-01-02T03:%02d:00Z","service":"export","session_id":"export-walk","message":"entry, \"%d\"","event_id":"x-%d"}`+"\n", i%60, i, i)
	}
	if err := s.send(t, &input, "--batch", "5000", "-"); err != nil {
		t.Fatal(err)
	}
	s.settles(t, url.Values{"session_id": {"export-walk"}}, n)

	path := filepath.Join(t.TempDir(), "all.ndjson")
	way := newBetween(t, s.URL)
	way.broken.Store(func(answer int32) func() {
		if answer == 2 {
			return s.own.Kill
		}
		return nil
	})
	command := []string{"export", "session_id:export-walk", "--url", way.URL, "--token", s.Token, "--out", path}
	out, err := s.own.Run(nil, command...)
	if err == nil || !strings.Contains(err.Error(), "incomplete: the first 10,000 entries are in") || !strings.Contains(err.Error(), "exit status 1") {
		t.Fatalf("an export from a service that was killed: %s %v", out, err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("a file that is not whole has its name: %v", err)
	}
	s.own.Restart()
	s.URL = s.own.URL
	way.to.Store(s.URL)
	if out, err = s.own.Run(nil, append(command, "--resume")...); err != nil || !strings.Contains(out, "exported 15,000 entries") {
		t.Fatal(out, err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for line := range bytes.Lines(text) {
		var e struct {
			EventID string `json:"event_id"`
		}
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		seen[e.EventID]++
	}
	for i := range n {
		if seen[fmt.Sprintf("x-%d", i)] != 1 {
			t.Fatalf("entry %d is there %d times", i, seen[fmt.Sprintf("x-%d", i)])
		}
	}
	if total := s.count(t, url.Values{"session_id": {"export-walk"}}); int64(len(seen)) != total {
		t.Errorf("%d exported, a search finds %d", len(seen), total)
	}

	out, err = s.own.Run(nil, "export", "session_id:export-walk message:\"entry 7\"", "--url", s.URL, "--token", s.Token, "--format", "csv", "--columns", "event_id,message")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || int64(len(rows)-1) != s.count(t, url.Values{"q": {"session_id:export-walk message:\"entry 7\""}}) || len(rows) != 2 || rows[1][1] != `entry, "7"` {
		t.Errorf("%q %v", rows, err)
	}
}

func TestATailGoesOnBehindARestart(t *testing.T) {
	s := start(t)
	way := newBetween(t, s.URL)
	cmd := s.own.Command("tail", "service:tail", "--url", way.URL, "--token", s.Token)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	next := func() string {
		select {
		case line := <-lines:
			return line
		case <-time.After(30 * time.Second):
			return "nothing"
		}
	}
	for deadline := time.Now().Add(30 * time.Second); way.answer.Load() == 0 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond) // until it is connected
	}
	send := func(message string) {
		t.Helper()
		if err := s.send(t, strings.NewReader(`{"service":"tail","message":"`+message+`"}`+"\n"+`{"service":"other","message":"no"}`+"\n"), "-"); err != nil {
			t.Fatal(err)
		}
	}
	send("before")
	if line := next(); !strings.Contains(line, `"message":"before"`) {
		t.Fatalf("%s\n%s", line, stderr.String())
	}
	s.own.Kill()
	s.own.Restart()
	s.URL = s.own.URL
	send("while it was away")
	way.to.Store(s.URL)
	for _, want := range []string{"while it was away", "after"} {
		if want == "after" {
			send(want)
		}
		if line := next(); !strings.Contains(line, `"message":"`+want+`"`) {
			t.Fatalf("%s\n%s", line, stderr.String())
		}
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for line := range lines {
		t.Errorf("printed twice: %s", line)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("an interrupted tail ends with %v: %s", err, stderr.String())
	}
}
