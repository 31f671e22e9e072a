//go:build e2e

package chaos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ocelot-log/ocelot/internal/bench"
	"github.com/ocelot-log/ocelot/tests/service"
)

// TestKilledWorkersAndAPIsLoseNothing loads an API and two workers on real servers, kills one worker after the other
// with SIGKILL, and the API between them; at last all are asked to stop while the load is on.
func TestKilledWorkersAndAPIsLoseNothing(t *testing.T) {
	random := seeded(t)
	servers := service.NewServers(t)
	s := service.Deploy(t, servers, 2)
	l := startLoad(t, s, 800)

	held := 0 // kills that left messages behind in flight
	const kills = 9
	for n := range kills {
		recorded(t, servers, 1+random.IntN(1600))
		i := 1 + n%2
		if n%3 == 2 {
			i = 0
		}
		process := s.API
		if i > 0 {
			process = s.Workers[i-1]
		}
		process.Kill()
		if _, inFlight, _ := depth(t, servers); i > 0 && inFlight > 0 {
			held++
		}
		if err := s.RestartProcess(i); err != nil {
			t.Fatal(err)
		}
	}
	if held == 0 {
		t.Error("no worker was killed while it held messages")
	}

	recorded(t, servers, 800)
	const grace = 20*time.Second + 5*time.Second // SHUTDOWN_GRACE, and the time to give back what is not finished
	for i, process := range append([]*service.Process{s.API}, s.Workers...) {
		began := time.Now()
		if err := process.Stop(); err != nil {
			t.Errorf("process %d, asked to stop under load: %v", i, err)
		}
		took := time.Since(began)
		t.Logf("process %d stopped in %s", i, took.Round(time.Millisecond))
		if took > grace {
			t.Errorf("process %d took %s to stop; the grace is %s", i, took, grace)
		}
		if err := s.RestartProcess(i); err != nil {
			t.Fatal(err)
		}
	}
	recorded(t, servers, 800)
	report := l.stop()
	if report.Errors["connection"] == 0 {
		t.Error("the load saw nothing of the API's death")
	}
	compare(t, servers, report)
}

func seeded(t *testing.T) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// load is `ocelot bench`, running until it is stopped.
type load struct {
	t           *testing.T
	cmd         *exec.Cmd
	out, errors bytes.Buffer
}

// startLoad sends that many entries a second, 20 in a request.
func startLoad(t *testing.T, s *service.System, rate int) *load {
	t.Helper()
	l := &load{t: t, cmd: s.Command("bench", "--url", s.URL, "--token", s.Token("default", "admin"), "--rate", strconv.Itoa(rate),
		"--batch", "20", "--duration", "10m", "--timeout", "10s", "--settle", "5m", "--json")}
	l.cmd.Stdout, l.cmd.Stderr = &l.out, &l.errors
	l.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return l
}

// stop ends the load and returns what `ocelot bench` found: it waits until everything is searchable and compares.
func (l *load) stop() (report bench.Report) {
	l.t.Helper()
	_ = l.cmd.Process.Signal(syscall.SIGINT)
	failed := l.cmd.Wait()
	if err := json.Unmarshal(l.out.Bytes(), &report); err != nil {
		l.t.Fatalf("ocelot bench: %v: %v: %s", failed, err, l.errors.Bytes())
	}
	e := report.Entries
	l.t.Logf("%d acknowledged in %.0f s, %d refused, %d of unknown outcome, %d found; errors %v", e.Acknowledged, report.Duration, e.Refused, e.Unknown, e.Found, report.Errors)
	if failed != nil || !report.OK {
		l.t.Errorf("ocelot bench: %v: %s", failed, strings.Join(report.Problems, "\n"))
	}
	return report
}

// depth is how many messages are visible, in flight and in the dead-letter queue.
func depth(t *testing.T, servers *service.Servers) (visible, held, dead int) {
	t.Helper()
	v, h, d, err := servers.QueueDepth(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for n, text := range map[*int]string{&visible: v, &held: h, &dead: d} {
		if *n, err = strconv.Atoi(text); err != nil {
			t.Fatalf("the queue counts %q", text)
		}
	}
	return visible, held, dead
}

// count is how many documents a collection of the record has.
func count(t *testing.T, servers *service.Servers, collection string) int64 {
	t.Helper()
	n, err := servers.Collection(collection).CountDocuments(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// recorded waits until the record has at least more entries than now.
func recorded(t *testing.T, servers *service.Servers, more int) {
	t.Helper()
	before := count(t, servers, "entries")
	service.Eventually(t, time.Minute, func() (bool, string) {
		n := count(t, servers, "entries")
		return n >= before+int64(more), fmt.Sprintf("the record went from %d to %d entries, waited for %d more", before, n, more)
	})
}

// compare looks into the servers themselves, when the system has come to rest: record and index hold the same
// entries, each once, all that were acknowledged and none that was never sent; nothing is left elsewhere.
func compare(t *testing.T, servers *service.Servers, report bench.Report) {
	t.Helper()
	service.Eventually(t, time.Minute, func() (bool, string) {
		visible, held, _ := depth(t, servers)
		backlog := count(t, servers, "backlog")
		return visible+held == 0 && backlog == 0, fmt.Sprintf("%d messages visible, %d in flight, backlog %d", visible, held, backlog)
	})
	if _, _, dead := depth(t, servers); dead != 0 {
		t.Errorf("%d messages in the dead-letter queue", dead)
	}
	if n := count(t, servers, "quarantine"); n != 0 {
		t.Errorf("%d in quarantine", n)
	}
	record, err := servers.Recorded(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	index, err := servers.Indexed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	missing, doubled, stray := 0, 0, 0
	for id, n := range record {
		if index[id] == 0 {
			missing++
		}
		if n > 1 || index[id] > 1 {
			doubled++
		}
	}
	for id := range index {
		if record[id] == 0 {
			stray++
		}
	}
	t.Logf("the record has %d entries, the index %d", len(record), len(index))
	if missing+doubled+stray > 0 {
		t.Errorf("%d entries of the record are not in the index, %d are there more than once, %d of the index are not in the record", missing, doubled, stray)
	}
	if n, e := int64(len(record)), report.Entries; n < e.Acknowledged || n > e.Acknowledged+e.Unknown {
		t.Errorf("the record has %d entries; %d were acknowledged, %d are of unknown outcome", n, e.Acknowledged, e.Unknown)
	}
}
