//go:build e2e

package chaos

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/tests/service"
)

// TestWithoutOpenSearchTheRecordGoesOnAndAnswers kills OpenSearch under load, then stops its process so that it holds
// every connection and says nothing. Meanwhile the record is written and answers searches, and the queue is worked
// off; afterwards the backlog drains by itself.
func TestWithoutOpenSearchTheRecordGoesOnAndAnswers(t *testing.T) {
	ours(t)
	servers := service.NewServers(t)
	s := service.Deploy(t, servers, 2)
	c := service.Client{URL: s.URL, Token: s.Token("default", "admin")}
	l := startLoad(t, s, 400) // few: an OpenSearch that was just started is slow and has to catch up
	recorded(t, servers, 800)
	answers(t, c, "index", 30*time.Second)

	scripted(t, "kill", "opensearch")
	t.Cleanup(func() { scripted(t, "up", "opensearch") })
	withoutIndex(t, servers, c)
	scripted(t, "up", "opensearch")
	answers(t, c, "index", 2*time.Minute)

	scripted(t, "pause", "opensearch")
	t.Cleanup(func() { scripted(t, "resume", "opensearch") })
	resume := time.Now().Add(30 * time.Second)
	withoutIndex(t, servers, c)
	service.Eventually(t, time.Minute, func() (bool, string) {
		answers(t, c, "record", 0)
		return time.Now().After(resume), "the clock stands still"
	})
	scripted(t, "resume", "opensearch")
	answers(t, c, "index", 2*time.Minute)

	report := l.stop() // waits until the index has caught up
	if report.FromRecord == 0 {
		t.Error("the load's own searches were never answered from the record")
	}
	compare(t, servers, report)
}

// withoutIndex checks what must be true while OpenSearch does not answer.
func withoutIndex(t *testing.T, servers *service.Servers, c service.Client) {
	t.Helper()
	backlog := count(t, servers, "backlog")
	answers(t, c, "record", 15*time.Second)
	recorded(t, servers, 800)
	answers(t, c, "record", 0)
	service.Eventually(t, time.Minute, func() (bool, string) {
		n := count(t, servers, "backlog")
		return n > backlog, fmt.Sprintf("nothing comes into the backlog: it had %d, then %d", backlog, n)
	})
	// The load sends 20 messages a second: a queue that nobody works off does not become short again.
	before := count(t, servers, "entries")
	service.Eventually(t, time.Minute, func() (bool, string) {
		visible, held, _ := depth(t, servers)
		more := count(t, servers, "entries") - before
		return visible+held <= 30 && more >= 1200, fmt.Sprintf("%d messages visible, %d in flight, %d entries recorded meanwhile", visible, held, more)
	})
	answers(t, c, "record", 0)
}

// answers waits until a search is answered from source: index or record. With a limit of 0 the first one must be.
func answers(t *testing.T, c service.Client, source string, limit time.Duration) {
	t.Helper()
	service.Eventually(t, limit, func() (bool, string) {
		asked := time.Now()
		p, err := c.Search(t.Context(), url.Values{"limit": {"10"}})
		return err == nil && p.Meta.Source == source && len(p.Data) == 10, fmt.Sprintf("a search took %s and was answered from %q with %d entries: %v; it should be from the %s",
			time.Since(asked), p.Meta.Source, len(p.Data), err, source)
	})
}

// TestWithoutMongoDBOrTheQueueNothingIsLost kills MongoDB, then the queue, and starts them again, under load. While
// MongoDB is down nothing is deleted from the queue; while the queue is down entries are refused.
func TestWithoutMongoDBOrTheQueueNothingIsLost(t *testing.T) {
	ours(t)
	// The queue forgets everything when it is killed, unless it is told to keep it on disk.
	scripted(t, "down", "elasticmq")
	t.Setenv("SQS_DURABLE", "1")
	scripted(t, "up", "elasticmq")
	t.Cleanup(func() {
		scripted(t, "down", "elasticmq")
		if err := os.Unsetenv("SQS_DURABLE"); err != nil { // t.Setenv puts back what was there
			t.Error(err)
		}
		scripted(t, "up", "elasticmq")
	})
	servers := service.NewServers(t)
	s := service.Deploy(t, servers, 2)
	c := service.Client{URL: s.URL, Token: s.Token("default", "admin")}
	l := startLoad(t, s, 800)
	recorded(t, servers, 1600)

	scripted(t, "kill", "mongo")
	t.Cleanup(func() { scripted(t, "up", "mongo") })
	for _, w := range s.Workers {
		service.Eventually(t, time.Minute, func() (bool, string) {
			return strings.Contains(w.Output(), "the store is down"), "a worker does not notice that MongoDB is down"
		})
	}
	keepsAll(t, s)
	scripted(t, "up", "mongo")
	recorded(t, servers, 1600)
	service.Eventually(t, 2*time.Minute, func() (bool, string) {
		visible, held, _ := depth(t, servers)
		return visible+held <= 50, fmt.Sprintf("%d messages visible, %d in flight", visible, held)
	})

	scripted(t, "kill", "elasticmq")
	t.Cleanup(func() { scripted(t, "up", "elasticmq") })
	for range 30 {
		refuses(t, c)
	}
	answers(t, c, "index", 0)
	scripted(t, "up", "elasticmq")
	recorded(t, servers, 1600)
	report := l.stop()
	if report.Status["503"] == 0 {
		t.Errorf("the load saw no 503: %v", report.Status)
	}
	compare(t, servers, report)
}

// keepsAll checks that the queue keeps every message that was sent: it grows as fast as the API sends.
func keepsAll(t *testing.T, s *service.System) {
	t.Helper()
	total := func() int {
		visible, held, dead := depth(t, s.Servers)
		return visible + held + dead
	}
	const sending = 8 // messages that may be counted and not be there yet
	n, sent := total(), metric(t, s.Metrics[0], "ocelot_envelopes_total")
	last := n
	service.Eventually(t, time.Minute, func() (bool, string) {
		more := metric(t, s.Metrics[0], "ocelot_envelopes_total") - sent
		now := total()
		if now < last || now < n+more-sending {
			t.Fatalf("the queue went from %d to %d messages, then %d, though %d were sent and MongoDB is down", n, last, now, more)
		}
		last = now
		return more > 150, fmt.Sprintf("only %d messages were sent while MongoDB is down", more)
	})
	t.Logf("while MongoDB was down the queue went from %d to %d messages", n, last)
}

// refuses checks that an entry is refused at once while the queue is down.
func refuses(t *testing.T, c service.Client) {
	t.Helper()
	began := time.Now()
	a, err := c.Do(t.Context(), http.MethodPost, "/api/v1/logs", []byte(`{"message":"must not be taken"}`))
	if err != nil {
		t.Fatal(err)
	}
	after, _ := strconv.Atoi(a.Header.Get("Retry-After"))
	if took := time.Since(began); a.Status != http.StatusServiceUnavailable || after < 1 || took > time.Second {
		t.Errorf("with the queue down an entry was answered in %s with %d, Retry-After %q: %s", took, a.Status, a.Header.Get("Retry-After"), a.Body)
	}
}

// metric is the sum of a counter over its labels.
func metric(t *testing.T, at, name string) (sum int) {
	t.Helper()
	a, err := service.Client{URL: at}.Do(t.Context(), http.MethodGet, "/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for line := range strings.Lines(string(a.Body)) {
		if rest, ok := strings.CutPrefix(line, name); ok && (rest[0] == '{' || rest[0] == ' ') {
			n, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			sum, found = sum+int(n), true
		}
	}
	if !found {
		t.Fatalf("%s has no metric %s", at, name)
	}
	return sum
}

const script = "../services/services"

// scripted runs the script that keeps the servers.
func scripted(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command(script, args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// ours skips a test that breaks servers where those of the environment are not the script's: they are somebody's.
func ours(t *testing.T) {
	t.Helper()
	out, err := exec.Command(script, "test-env").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"TEST_SQS_ENDPOINT", "TEST_MONGODB_URI", "TEST_OPENSEARCH_URL"} {
		if v := os.Getenv(name); v == "" || !bytes.Contains(out, []byte(v)) {
			t.Skipf(`%s is no server of %s: make services-up; eval "$(tests/services/services test-env)"`, name, script)
		}
	}
}
