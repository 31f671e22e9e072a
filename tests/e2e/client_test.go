//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/pkg/client"
	"github.com/ocelot-log/ocelot/pkg/logentry"
	"github.com/ocelot-log/ocelot/tests/service"
)

// TestTheGoClientLosesAndDoublesNothingWhenTheServiceIsKilled sends with pkg/client while the service is killed and comes
// back, follows the tail all the while, and reads everything again.
func TestTheGoClientLosesAndDoublesNothingWhenTheServiceIsKilled(t *testing.T) {
	const all, killAt = 5000, 2000
	s := service.Start(t, t.TempDir(), "PORT="+stablePort(t))
	c, err := client.New(client.Config{URL: s.URL, Token: s.Token("default", "admin")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()

	following, tailed := make(chan struct{}), make(chan map[string]int, 1)
	go func() { tailed <- follow(ctx, t, c, all, following) }()
	send := func(p *client.Producer, text string, n int) error {
		return p.Send(ctx, logentry.Entry{Service: "client", Message: text, Metadata: []byte(fmt.Sprintf(`{"n":%d}`, n))})
	}
	small := client.ProducerConfig{MaxEntries: 50, Buffer: 32 << 10, Linger: 10 * time.Millisecond, // a buffer that Send has to wait for
		OnError: func(b client.Batch, err error) { t.Errorf("%d entries were given up: %v", len(b.Entries), err) }}
	p := c.StartProducer(small)
	await(t, p, send, following)

	reached, sent := make(chan struct{}), make(chan error, 1)
	go func() {
		for n := range all {
			if n == killAt {
				close(reached)
			}
			if err := send(p, "entry "+strconv.Itoa(n), n); err != nil {
				sent <- err
				return
			}
		}
		sent <- p.Close(ctx)
	}()
	<-reached
	s.Kill()
	s.Restart()
	if err := <-sent; err != nil {
		t.Fatal(err)
	}

	q := client.Query{Q: "service:client entry"}
	var found map[string]int
	service.Eventually(t, time.Minute, func() (bool, string) {
		found = map[string]int{}
		for e, err := range c.Search(ctx, q) {
			if err != nil {
				return false, err.Error()
			}
			found[e.Message]++
		}
		return len(found) >= all, fmt.Sprintf("%d of %d entries are found", len(found), all)
	})
	once(t, "a search finds", found, all)
	once(t, "the tail gave", <-tailed, all)
}

// TestTheGoClientSaysWhichEntriesAreRefused sends bad entries between good ones.
func TestTheGoClientSaysWhichEntriesAreRefused(t *testing.T) {
	s := service.Start(t, t.TempDir())
	c, err := client.New(client.Config{URL: s.URL, Token: s.Token("default", "admin")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	reported := map[string]string{}
	p := c.StartProducer(client.ProducerConfig{Linger: time.Hour, OnError: func(b client.Batch, err error) {
		problem, ok := errors.AsType[*client.Problem](err)
		if !ok {
			t.Errorf("%d entries: %v", len(b.Entries), err)
			return
		}
		for _, e := range problem.Errors {
			reported[b.Entries[e.Line-1].Message] = e.Code
		}
	}})
	for _, e := range []logentry.Entry{{Message: "good 1"}, {Message: "bad 1", TraceID: "x"}, {Message: "good 2"}, {Message: "bad 2", IPAddress: "here"},
		{Message: "good 3"}, {Message: "bad 3", Metadata: []byte(`[1]`)}} {
		e.Service = "partly"
		if err := p.Send(ctx, e); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(ctx); err == nil {
		t.Error("Close says nothing of what was refused")
	}
	if len(reported) != 3 || reported["bad 1"] != "trace_id_invalid" || reported["bad 2"] == "" || reported["bad 3"] == "" {
		t.Errorf("reported: %v", reported)
	}
	service.Eventually(t, time.Minute, func() (bool, string) {
		found := 0
		for e, err := range c.Search(ctx, client.Query{Q: "service:partly", Page: 2}) {
			if err != nil {
				return false, err.Error()
			}
			if same, err := c.Get(ctx, e.ID); err != nil || same.Message != e.Message || e.Service != "partly" {
				t.Errorf("found %+v, got %+v, %v", e, same, err)
			}
			found++
		}
		return found == 3, fmt.Sprintf("%d entries are found", found)
	})
}

// follow counts the messages that a tail gives, until it has all. The first of any kind closes following.
func follow(ctx context.Context, t *testing.T, c *client.Client, all int, following chan struct{}) map[string]int {
	given, began := map[string]int{}, false
	for e, err := range c.Tail(ctx, client.Query{Q: "service:client"}) {
		switch {
		case err != nil:
			if ctx.Err() == nil { // otherwise the test is over
				t.Errorf("the tail ended with %d entries: %v", len(given), err)
			}
			return given
		case e.Entry == nil:
			t.Errorf("the tail left something out: %+v", e)
		case e.Entry.Message == "are you there":
			if !began {
				began = true
				close(following)
			}
		default:
			given[e.Entry.Message]++
		}
		if len(given) == all {
			return given
		}
	}
	return given
}

// await sends until the tail shows something.
func await(t *testing.T, p *client.Producer, send func(*client.Producer, string, int) error, following chan struct{}) {
	t.Helper()
	service.Eventually(t, 20*time.Second, func() (bool, string) {
		select {
		case <-following:
			return true, ""
		default:
			return false, fmt.Sprint("the tail shows nothing; sending said ", send(p, "are you there", -1))
		}
	})
}

func once(t *testing.T, what string, have map[string]int, all int) {
	t.Helper()
	if len(have) != all {
		t.Errorf("%s %d entries of %d", what, len(have), all)
	}
	for n := range all {
		if times := have["entry "+strconv.Itoa(n)]; times != 1 {
			t.Errorf("%s entry %d %d times", what, n, times)
		}
	}
}

// stablePort is a port of the loopback that stays free while the service is down: the system gives it to no connection.
func stablePort(t *testing.T) string {
	for range 1000 {
		port := strconv.Itoa(20_000 + rand.IntN(10_000))
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no port of the loopback is free")
	return ""
}
