//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/bigquery/bigquerytest"
)

func TestALoadIntoBigQueryThatWasKilledGoesOnAndHasEachEntryOnce(t *testing.T) {
	s := start(t)
	sent := 0
	more := func(n int) {
		t.Helper()
		var input bytes.Buffer
		for range n {
			fmt.Fprintf(&input, `{"service":"load","session_id":"load-walk","message":"entry %d","event_id":"l-%d","metadata":{"n":%d.50}}`+"\n", sent, sent, sent)
			sent++
		}
		if err := s.send(t, &input, "-"); err != nil {
			t.Fatal(err)
		}
		s.settles(t, url.Values{"session_id": {"load-walk"}}, int64(sent))
	}
	more(1500)
	to := bigquerytest.New(t)
	command := []string{"export", "bigquery", "session_id:load-walk", "--url", s.URL, "--token", s.Token, "--project", "p", "--dataset", "d", "--table", "t", "--endpoint", to.URL}

	for _, kind := range []string{"describe", "session", "put", "job"} { // a table that is made says in its description how far it is
		reached := make(chan struct{})
		var once sync.Once
		to.Before(func(k string) (int, bool) {
			if k == kind {
				once.Do(func() { close(reached) })
			}
			return 0, k == kind
		})
		cmd := s.own.Command(command...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-reached:
		case <-time.After(30 * time.Second):
			t.Errorf("it came to no %s", kind)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("it was to be killed at a %s: %v", kind, err)
		}
	}
	to.Before(nil)
	whole := func(says string) {
		t.Helper()
		out, err := s.own.Run(nil, command...)
		if err != nil || !strings.Contains(out, says) {
			t.Fatal(out, err)
		}
		times := map[any]int{}
		for _, row := range to.Rows("t") {
			times[row["event_id"]]++
		}
		for i := range sent {
			if times[fmt.Sprintf("l-%d", i)] != 1 {
				t.Fatalf("entry %d is there %d times", i, times[fmt.Sprintf("l-%d", i)])
			}
		}
		if len(times) != sent {
			t.Errorf("%d entries, want %d", len(times), sent)
		}
	}
	whole("it has 1,500 by now")
	whole("loaded 0 entries into p.d.t; it has 1,500 by now")
	more(20)
	whole("loaded 20 entries into p.d.t; it has 1,520 by now")
	if n := fmt.Sprint(to.Rows("t")[3]["metadata"]); !strings.HasSuffix(n, ".50]") {
		t.Errorf("a number lost its digits: %s", n)
	}
}
