package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/wait"
)

// tailOf follows a service that answers the connections in turn, and stops at the end of the last one.
func tailOf(t *testing.T, connections ...http.HandlerFunc) (out string, notes []string, after []string, err error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/logs/stream" || r.URL.RawQuery != "q=x" || r.Header.Get("Authorization") != "Bearer x" {
			t.Errorf("%s %v", r.URL, r.Header)
		}
		after = append(after, r.Header.Get("Last-Event-ID"))
		if n++; n > len(connections) {
			cancel()
			return
		}
		connections[n-1](w, r)
	}))
	defer server.Close()
	var b strings.Builder
	f := &following{c: &client{URL: server.URL, Token: "x", HTTP: server.Client()}, params: url.Values{"q": {"x"}}, out: &ndjson{bufio.NewWriter(&b)},
		note: func(s string) { notes = append(notes, s) }, wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
	err = f.run(ctx)
	return b.String(), notes, after, err
}

// says answers with events and ends.
func says(events string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, events)
	}
}

func entryEvent(n int) string {
	return fmt.Sprintf("event: entry\nid: i%d\ndata: {\"id\":\"%d\"}\n\n", n, n)
}

func TestTailGoesOnBehindTheLastEntry(t *testing.T) {
	out, notes, after, err := tailOf(t,
		says(": alive\nid: start\n\n"+entryEvent(1)+entryEvent(2)+"event: entry\nid: i3\ndata: {\"id\""), // broken in the middle of the third
		func(w http.ResponseWriter, _ *http.Request) { refuse(w, 503, `{"code":"overloaded","detail":"busy"}`) },
		says(entryEvent(3)+": alive\n\n: alive\nid: i4\n\n"))
	if err != nil {
		t.Fatal("to be stopped is no error:", err)
	}
	if out != "{\"id\":\"1\"}\n{\"id\":\"2\"}\n{\"id\":\"3\"}\n" {
		t.Errorf("%q", out)
	}
	if got := strings.Join(after, " "); got != " i2 i2 i4" {
		t.Errorf("it went on behind %q", got)
	}
	if len(notes) != 3 || !strings.Contains(notes[0], "busy; trying again") || notes[1] != "connected again" || !strings.Contains(notes[2], "trying again") {
		t.Errorf("%q", notes)
	}
}

func TestTailSaysWhatIsMissing(t *testing.T) {
	out, notes, _, err := tailOf(t, says("id: a\n\nevent: skipped\ndata: {\"count\":1234}\n\n"+entryEvent(1)+
		"event: gap\ndata: {\"from\":\"2026-01-02T03:04:05.6Z\",\"to\":\"2026-01-02T04:00:00Z\"}\n\n"))
	if err != nil || out != "{\"id\":\"1\"}\n" || len(notes) != 2 {
		t.Fatalf("%v %q %q", err, out, notes)
	}
	if !strings.HasPrefix(notes[0], "1,234 entries were skipped") || !strings.Contains(notes[1], "from 2026-01-02T03:04:05Z to 2026-01-02T04:00:00Z may be missing") {
		t.Errorf("%q", notes)
	}
	_, notes, after, err := tailOf(t, says(entryEvent(1)),
		func(w http.ResponseWriter, _ *http.Request) {
			refuse(w, 400, `{"code":"cursor_invalid","detail":"no"}`)
		}, says(""))
	if err != nil || len(notes) == 0 || !strings.HasPrefix(strings.Join(notes, "|"), "what came while there was no connection") || after[1] != "i1" || after[2] != "" {
		t.Errorf("a place that the service forgot: %v %q %q", err, notes, after)
	}
}

func TestTailEndsWhereTryingAgainIsNoUse(t *testing.T) {
	for name, c := range map[string]struct {
		connections []http.HandlerFunc
		says        string
	}{
		"the token has ended": {[]http.HandlerFunc{says(entryEvent(1)), func(w http.ResponseWriter, _ *http.Request) {
			refuse(w, 401, `{"code":"token_expired","detail":"over"}`)
		}}, "token_expired"},
		"it is busy before anything came": {
			[]http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) { refuse(w, 503, `{"code":"overloaded"}`) }}, "overloaded"},
		"it is no stream":  {[]http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }}, "is the URL right?"},
		"it has no end":    {[]http.HandlerFunc{says("data: " + strings.Repeat("x", maxEvent+100_000))}, "larger than an entry can be"},
		"it is no entry":   {[]http.HandlerFunc{says("event: entry\ndata: {\n\n")}, "unexpected end of JSON input"},
		"counts are words": {[]http.HandlerFunc{says("event: skipped\ndata: {\"count\":\"x\"}\n\n")}, "can't be read"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, _, err := tailOf(t, c.connections...); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Error(err)
			}
		})
	}
}

// TestTailShowsAnEntryWhenItComes reads each entry before the next one is sent.
func TestTailShowsAnEntryWhenItComes(t *testing.T) {
	seen := make(chan struct{})
	read, written := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			_, _ = io.WriteString(w, entryEvent(i))
			w.(http.Flusher).Flush()
			select {
			case <-seen:
			case <-r.Context().Done():
			}
		}
		<-r.Context().Done()
	}))
	defer server.Close()
	ended := make(chan error, 1)
	go func() {
		f := &following{c: &client{URL: server.URL, Token: "x", HTTP: server.Client()}, out: &ndjson{bufio.NewWriter(written)}, note: func(string) {}, wait: wait.For}
		ended <- f.run(ctx)
	}()
	lines := bufio.NewScanner(read)
	for i := range 3 {
		if !lines.Scan() || lines.Text() != fmt.Sprintf(`{"id":"%d"}`, i) {
			t.Fatalf("%q %v", lines.Text(), lines.Err())
		}
		seen <- struct{}{}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error("interrupted is no error:", err)
	}
}
