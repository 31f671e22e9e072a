//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ocelot-log/ocelot/pkg/client"
	"github.com/ocelot-log/ocelot/tests/service"
)

// TestTwoProcessesShowTheSameTail follows two API processes, ends their change streams on the server meanwhile, and goes on at
// one of them behind what the other has shown.
func TestTwoProcessesShowTheSameTail(t *testing.T) {
	const all = 60
	s := service.Deploy(t, service.NewServers(t), 1)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var clients []*client.Client
	urls, token := []string{s.URL, s.AddAPI()}, s.Token("default", "admin")
	for _, url := range urls {
		c, err := client.New(client.Config{URL: url, Token: token})
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	type shown struct{ messages, ids []string }
	seen, begun := make(chan shown, 2), make(chan int, 2)
	for i, c := range clients {
		go func() {
			var got shown
			known := false
			for e, err := range c.Tail(ctx, client.Query{Q: "service:both"}) {
				switch {
				case err != nil, e.Skipped > 0, e.Gap != nil:
					t.Errorf("process %d: %v, %+v", i, err, e)
				case e.Entry.Message == "hello" && known: // it was sent until both followed
					continue
				case e.Entry.Message == "hello":
					known = true
					begun <- i
					continue
				default:
					got.messages, got.ids = append(got.messages, e.Entry.Message), append(got.ids, e.ID)
				}
				if err != nil || len(got.messages) == all {
					break
				}
			}
			seen <- got
		}()
	}
	send := func(i int, messages ...string) {
		t.Helper()
		var body []byte
		for _, m := range messages {
			body = fmt.Appendf(body, `{"service":"both","message":%q}`+"\n", m)
		}
		a, err := described(t, urls[i%2], token).Do(ctx, http.MethodPost, "/api/v1/logs/bulk", body, "Content-Type: application/x-ndjson")
		if err != nil || a.Status != http.StatusAccepted {
			t.Fatal(err, a.Status, string(a.Body))
		}
	}
	for following := map[int]bool{}; len(following) < 2; {
		send(0, "hello")
		select {
		case i := <-begun:
			following[i] = true
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			t.Fatal("they do not follow")
		}
	}
	for n := 0; n < all; n += 2 {
		send(n/2, fmt.Sprint(n), fmt.Sprint(n+1))
		if n == all/2 {
			endChangeStreams(t, s.Servers)
		}
	}
	one, other := <-seen, <-seen
	if len(one.messages) != all || fmt.Sprint(one.messages) != fmt.Sprint(other.messages) {
		t.Fatalf("one process shows %v, another %v", one.messages, other.messages)
	}
	rest := one.messages[all/3:]
	for e, err := range clients[1].Tail(ctx, client.Query{Q: "service:both", After: other.ids[all/3-1]}) {
		if err != nil || e.Entry == nil || len(rest) == 0 || e.Entry.Message != rest[0] {
			t.Fatalf("%+v, %v; %v are to come", e, err, rest)
		}
		if rest = rest[1:]; len(rest) == 0 {
			break
		}
	}
}

// endChangeStreams ends the change streams of a system on the server, of which there is one for each process that is followed.
func endChangeStreams(t *testing.T, servers *service.Servers) {
	t.Helper()
	service.Eventually(t, 30*time.Second, func() (bool, string) {
		ids, err := servers.ChangeStreams(t.Context())
		if err != nil || len(ids) < 2 {
			return false, fmt.Sprintf("%d change streams, %v", len(ids), err)
		}
		b, err := bson.Marshal(bson.D{{Key: "killCursors", Value: "commits"}, {Key: "cursors", Value: ids}})
		if err == nil {
			err = servers.RunCommand(t.Context(), b)
		}
		return err == nil, fmt.Sprint(err)
	})
}
