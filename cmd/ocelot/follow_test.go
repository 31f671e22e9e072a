package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// arrivals tells of each request to a fake service.
func arrivals(f *fakeService) <-chan struct{} {
	arrived := make(chan struct{}, 100)
	f.before = func(int, http.ResponseWriter) bool {
		arrived <- struct{}{}
		return false
	}
	return arrived
}

func TestFollowSendsWhatIsAppendedAndWhatIsLeftAtTheEnd(t *testing.T) {
	f := &fakeService{t: t}
	arrived := arrivals(f)
	server := httptest.NewServer(f)
	defer server.Close()
	path := filepath.Join(t.TempDir(), "app.log")
	add := func(text string) {
		file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	arrives := func(what string) {
		t.Helper()
		select {
		case <-arrived:
		case <-time.After(30 * time.Second):
			t.Fatalf("%s did not arrive", what)
		}
	}
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	done := make(chan error, 1)
	var out strings.Builder
	go func() {
		o := sendOptions{text: true, service: "app", batch: 3, conns: 2, zone: "UTC", follow: true}
		done <- send(ctx, o, &client{URL: server.URL, Token: "x", HTTP: server.Client()}, []string{path}, nil, &out, os.Stderr)
	}()
	add("m0\nm1\nm2\n")
	arrives("a full batch")
	add("m3\n")
	arrives("a part of a batch, a second later")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	add("m4\nm5\nm6\nm7")
	arrives("the new file")
	interrupt()
	if err := <-done; err != nil || !strings.HasPrefix(out.String(), "sent 8 entries in 4 batches") {
		t.Fatalf("%q %v", out.String(), err)
	}
	f.whole(8)
}

func TestFollowEndsWhenTheServiceRefuses(t *testing.T) {
	f := &fakeService{before: func(_ int, w http.ResponseWriter) bool {
		return refuse(w, 401, `{"code":"token_expired","detail":"x"}`)
	}}
	_, _, err := sendTo(t, f, func(o *sendOptions) { o.follow = true }, "", write(t, "a.ndjson", ndjsonOf(30)))
	if err == nil || !strings.Contains(err.Error(), "token_expired") {
		t.Fatal(err)
	}
}

func TestProgressCountsInThousands(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000"} {
		if got := grouped(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

func TestVisibleTextCannotChangeATerminal(t *testing.T) {
	for in, want := range map[string]string{
		"plain":             "plain",
		"blåbær 日本":         "blåbær 日本",
		"\x1b[31mred\x07":   `\x1b[31mred\x07`,
		"a\tb\nc\rd":        `a\tb\nc\rd`,
		"\u202etxt.exe":     `\u202etxt.exe`,
		"\u009b31m\u200b":   `\u009b31m\u200b`,
		"bad\xff":           `bad\xff`,
		"\U000e0041 hidden": `\ue0041 hidden`,
	} {
		if got := visible(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := fit("abcdef", 4); got != "abc…" || pad("ab", 4) != "ab  " || len([]rune(pad("äöüäöü", 3))) != 3 {
		t.Error(got)
	}
	if got := fmt.Sprint(visibleLines("a\x1b\nb")); got != "a\\x1b\nb" {
		t.Error(got)
	}
}
