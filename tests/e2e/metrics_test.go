//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/tests/service"
)

func TestTheDeadLetterQueueAndAllLevelsAreWatchedByEveryProcess(t *testing.T) {
	servers := service.NewServers(t)
	for queue, n := range map[string]int{servers.DLQ: 2, servers.Queue: 1} {
		s := *servers
		s.Queue = queue
		for range n {
			if err := s.SendMessage(t.Context(), "OCz9:of a version to come"); err != nil {
				t.Fatal(err)
			}
		}
	}
	system := service.Deploy(t, servers, 1)
	for i, p := range []*service.Process{system.API, system.Workers[0]} {
		read := func(name string) float64 {
			v, err := service.Metric(t.Context(), system.Metrics[i], "ocelot_"+name)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		service.Eventually(t, 20*time.Second, func() (bool, string) {
			dead, all, oldest := read("dead_letter_messages"), read(`queue_messages{state="visible"}`)+read(`queue_messages{state="in_flight"}`), read("queue_oldest_seconds")
			return dead == 2 && all == 1 && oldest == -1, fmt.Sprintf("process %d: %v dead, %v in the queue, oldest %v", i, dead, all, oldest)
		})
		if n := strings.Count(p.Output(), "messages are in the dead-letter queue"); n != 1 {
			t.Errorf("process %d says %d times that there are dead letters", i, n)
		}
	}
	// What SQS does not tell: how long envelopes waited, from their own time.
	if n, err := service.Metric(t.Context(), system.Metrics[1], "ocelot_envelope_age_seconds_count"); err != nil || n < 1 {
		t.Errorf("%v ages of envelopes, %v", n, err)
	}
}

func TestARequestIsFollowedThroughTheLogsByItsTrace(t *testing.T) {
	system := service.Deploy(t, service.NewServers(t), 1, "LOG_LEVEL=debug")
	client := described(t, system.URL, system.Token("default", "writer"))
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	a, err := client.Do(t.Context(), http.MethodPost, "/api/v1/logs", []byte(`{"message":"followed"}`), "traceparent: 00-"+id+"-00f067aa0ba902b7-01")
	if err != nil || a.Status != http.StatusAccepted {
		t.Fatalf("%v, %d %s", err, a.Status, a.Body)
	}
	service.Eventually(t, 20*time.Second, func() (bool, string) {
		for line := range strings.Lines(system.Workers[0].Output()) {
			if strings.Contains(line, "a batch is in the index") && strings.Contains(line, `"trace_ids":["`+id+`"]`) {
				return true, ""
			}
		}
		return false, "the worker does not name the trace"
	})
}
