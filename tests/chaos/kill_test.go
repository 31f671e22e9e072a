//go:build e2e

// Package chaos breaks the running service on purpose and counts afterwards.
package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/tests/service"
)

// sent is one entry of the ledger. key is in its session_id; the outcome is ok after a 202, refused
// after a 4xx, and unknown after anything else: an entry of unknown outcome is there once or not at all.
type sent struct {
	key     string
	id      string // as acknowledged
	outcome string
}

type ledger struct {
	mu      sync.Mutex
	entries []sent
}

func (l *ledger) add(e []sent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, e...)
}

// TestKilledAtRandomNothingAcknowledgedIsLostOrDoubled loads the real binary, kills it with SIGKILL again and
// again, and finds every acknowledged entry once in the record and once in the index. KILLS sets how often.
func TestKilledAtRandomNothingAcknowledgedIsLostOrDoubled(t *testing.T) {
	kills := 60
	if n, err := strconv.Atoi(os.Getenv("KILLS")); err == nil {
		kills = n
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d, %d kills", seed, kills)
	random := rand.New(rand.NewPCG(seed, 1))

	s := service.Start(t, t.TempDir())
	token := s.Token("default", "admin")
	var (
		book ledger
		wg   sync.WaitGroup
		gate sync.RWMutex // held for writing while there is no service to talk to
		ctx  = t.Context()
		over = make(chan struct{})
	)
	address := func() string { gate.RLock(); defer gate.RUnlock(); return s.URL }
	for client := range 6 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := 0; ; n++ {
				select {
				case <-over:
					return
				default:
				}
				batch := makeBatch(client, n)
				book.add(batch.send(ctx, service.Client{URL: address(), Token: token}, address))
			}
		}()
	}
	for range kills {
		wait := time.NewTimer(time.Duration(50+random.IntN(600)) * time.Millisecond)
		<-wait.C
		s.Kill()
		gate.Lock()
		err := s.TryRestart()
		gate.Unlock()
		if err != nil {
			close(over)
			t.Fatal(err)
		}
	}
	close(over)
	wg.Wait()

	c := service.Client{URL: s.URL, Token: token}
	ok := map[string]string{}
	unknown, refused := 0, 0
	for _, e := range book.entries {
		switch e.outcome {
		case "ok":
			ok[e.key] = e.id
		case "unknown":
			unknown++
		default:
			refused++
		}
	}
	if len(ok) < 100*kills || refused > 0 {
		t.Errorf("%d acknowledged, %d unknown, %d refused: too little load, or good entries refused", len(ok), unknown, refused)
	}
	// The index catches up by itself; then it must hold still.
	service.Eventually(t, 2*time.Minute, func() (bool, string) {
		n, err := c.Count(ctx, nil)
		return err == nil && n >= int64(len(ok)), fmt.Sprintf("%d of %d searchable, %v", n, len(ok), err)
	})
	found := map[string]int{}
	wrong := 0
	if err := c.Walk(ctx, url.Values{"sort": {"timestamp"}}, func(e map[string]any) {
		key, _ := e["session_id"].(string)
		found[key]++
		if id, acked := ok[key]; acked && id != e["id"] {
			wrong++
		}
	}); err != nil {
		t.Fatal(err)
	}
	lost, doubled := 0, 0
	for key := range ok {
		if found[key] == 0 {
			lost++
		}
	}
	for _, n := range found {
		if n > 1 {
			doubled++
		}
	}
	gone, asked := 0, 0
	for key, id := range ok { // some of the record through the API; checkFiles looks at all of it
		if a, err := c.Do(ctx, http.MethodGet, "/api/v1/logs/"+id, nil); err != nil || a.Status != http.StatusOK || !bytes.Contains(a.Body, []byte(key)) {
			gone++
		}
		if asked++; asked == 2_000 {
			break
		}
	}
	t.Logf("%d acknowledged, %d of unknown outcome, %d found", len(ok), unknown, len(found))
	if lost > 0 || doubled > 0 || wrong > 0 || gone > 0 {
		t.Errorf("of %d acknowledged entries %d are lost in the index and %d in the record, %d under another id; %d keys are there twice", len(ok), lost, gone, wrong, doubled)
	}
	if err := s.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	checkFiles(t, s.Dir, ok, len(found))
}

// batch is one request: every third of a kind, single, bulk without keys, and bulk with event ids that is sent
// again until its outcome is known.
type batch struct {
	path  string
	body  []byte
	keys  []string
	keyed bool
}

func makeBatch(client, n int) batch {
	b := batch{path: "/api/v1/logs/bulk", keyed: n%3 == 2}
	size := 40
	if n%3 == 0 {
		b.path, size = "/api/v1/logs", 1
	}
	var entries []map[string]any
	for i := range size {
		key := fmt.Sprintf("c%d-%d-%d", client, n, i)
		e := map[string]any{"service": "chaos", "action": "CREATE", "message": "entry " + key + " of the kill test", "session_id": key,
			"metadata": map[string]any{"client": client, "n": n, "region": "eu-west-1"}}
		if b.keyed {
			e["event_id"] = key
		}
		b.keys = append(b.keys, key)
		entries = append(entries, e)
	}
	if size == 1 {
		b.body, _ = json.Marshal(entries[0])
	} else {
		b.body, _ = json.Marshal(entries)
	}
	return b
}

func (b batch) send(ctx context.Context, c service.Client, address func() string) []sent {
	out := make([]sent, len(b.keys))
	for i, k := range b.keys {
		out[i] = sent{key: k, outcome: "unknown"}
	}
	for try := 0; try == 0 || b.keyed && try < 50; try++ {
		c.URL = address()
		a, err := c.Do(ctx, http.MethodPost, b.path, b.body)
		if err != nil || a.Status >= 500 || a.Status == http.StatusTooManyRequests {
			continue
		}
		var reply struct {
			Data struct {
				ID  string   `json:"id"`
				IDs []string `json:"ids"`
			} `json:"data"`
		}
		err = json.Unmarshal(a.Body, &reply)
		for i := range out {
			switch {
			case a.Status != http.StatusAccepted:
				out[i].outcome = fmt.Sprintf("refused %d %s", a.Status, a.Body)
			case err == nil && reply.Data.ID != "":
				out[i].outcome, out[i].id = "ok", reply.Data.ID
			case err == nil && len(reply.Data.IDs) == len(out):
				out[i].outcome, out[i].id = "ok", reply.Data.IDs[i]
			}
		}
		break
	}
	return out
}
