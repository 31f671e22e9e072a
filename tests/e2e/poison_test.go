//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ocelot-log/ocelot/internal/queue"
	"github.com/ocelot-log/ocelot/pkg/logentry"
	"github.com/ocelot-log/ocelot/tests/service"
)

// envelope packs one entry as the API does, each time another one.
func envelope(t *testing.T) []byte {
	p, err := queue.NewPacker(queue.Text)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	e := logentry.Entry{ID: logentry.KeyedID("poison", rand.Text(), 0, nil), ReceivedAt: now, Timestamp: now, Message: rand.Text(), SchemaVersion: 1}
	body, err := p.Pack(nil, queue.Header{TenantID: "poison", Producer: "test", Created: now, Count: 1}, append(logentry.AppendJSON(nil, &e), '\n'))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// rewritten is an envelope whose text was changed and packed again, so that only the text is wrong.
func rewritten(t *testing.T, body []byte, change func([]byte) []byte) []byte {
	frame, err := base64.StdEncoding.DecodeString(string(body[5:]))
	if err != nil {
		t.Fatal(err)
	}
	d, _ := zstd.NewReader(nil)
	defer d.Close()
	text, err := d.DecodeAll(frame, nil)
	if err != nil {
		t.Fatal(err)
	}
	e, _ := zstd.NewWriter(nil, zstd.WithEncoderCRC(true), zstd.WithWindowSize(1<<20))
	return base64.StdEncoding.AppendEncode(slices.Clone(body[:5]), e.EncodeAll(change(text), nil))
}

// poison is one message of each kind, and the reason that it has to be kept with; none: it is to stay in the queue.
func poison(t *testing.T) map[string]string {
	sum := regexp.MustCompile(`"xxh64":"[0-9a-f]{16}"`)
	count := regexp.MustCompile(`"count":1,`)
	with := func(tag string) []byte { return append([]byte(tag), envelope(t)[5:]...) }
	noise := make([]byte, 3<<18) // 1 MiB in base64
	_, _ = rand.Read(noise)
	flipped := envelope(t)
	for i := len(flipped) / 2; ; i++ {
		if flipped[i] != 'A' && flipped[i] != '=' {
			flipped[i] = 'A'
			break
		}
	}
	whole := envelope(t)
	return map[string]string{
		"words that are no envelope " + rand.Text():                  "envelope_unknown_format",
		"<xml>\t" + rand.Text() + "</xml>\r\n":                       "envelope_unknown_format",
		base64.StdEncoding.EncodeToString(noise):                     "envelope_unknown_format",
		"OCz1:" + base64.StdEncoding.EncodeToString(noise[:700_000]): "envelope_corrupt",
		"OCz1:" + rand.Text():                                        "envelope_corrupt",
		string(whole[:len(whole)/2]):                                 "envelope_corrupt",
		string(whole[:len(whole)-20]):                                "envelope_corrupt",
		string(flipped):                                              "envelope_corrupt",
		string(rewritten(t, envelope(t), func(b []byte) []byte { return sum.ReplaceAll(b, []byte(`"xxh64":"0123456789abcdef"`)) })): "envelope_corrupt",
		string(rewritten(t, envelope(t), func(b []byte) []byte { return count.ReplaceAll(b, []byte(`"count":2,`)) })):               "envelope_corrupt",
		string(with("OCz2:")): "",
		string(with("OCx1:")): "",
	}
}

// stream sends good entries one after the other, and notes when each was acknowledged and when it was recorded.
type stream struct {
	client service.Client

	mu       sync.Mutex
	accepted map[logentry.ID]time.Time
	recorded map[logentry.ID]time.Time
}

// watch notes what arrives in the record until ctx ends.
func (s *stream) watch(ctx context.Context, changes *mongo.ChangeStream) {
	for changes.Next(ctx) {
		now := time.Now()
		if _, id, ok := changes.Current.Lookup("documentKey", "_id").BinaryOK(); ok {
			s.mu.Lock()
			s.recorded[logentry.ID(id)] = now
			s.mu.Unlock()
		}
	}
}

// send sends n entries, one each 25 ms, calls beside between them, and returns how long the slowest took from its 202 into the record.
func (s *stream) send(t *testing.T, n int, beside func(i int)) (slowest time.Duration) {
	t.Helper()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	var sent []logentry.ID
	for i := range n {
		beside(i)
		a, err := s.client.Do(t.Context(), http.MethodPost, "/api/v1/logs", []byte(`{"service":"neighbour","message":"good `+strconv.Itoa(i)+`"}`))
		var reply struct{ Data struct{ ID string } }
		if err != nil || a.Status != http.StatusAccepted || json.Unmarshal(a.Body, &reply) != nil {
			t.Fatalf("%v, %d %s", err, a.Status, a.Body)
		}
		id, err := logentry.ParseID(reply.Data.ID)
		if err != nil {
			t.Fatal(err)
		}
		s.mu.Lock()
		s.accepted[id] = time.Now()
		s.mu.Unlock()
		sent = append(sent, id)
		<-tick.C
	}
	service.Eventually(t, 30*time.Second, func() (bool, string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, id := range sent {
			if _, is := s.recorded[id]; !is {
				return false, "an acknowledged entry is not in the record: " + id.String()
			}
		}
		return true, ""
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range sent {
		slowest = max(slowest, s.recorded[id].Sub(s.accepted[id]))
	}
	return slowest
}

func TestPoisonGoesToQuarantineAndHoldsNobodyUp(t *testing.T) {
	servers := service.NewServers(t)
	system := service.Deploy(t, servers, 2)
	s := &stream{client: described(t, system.URL, system.Token("default", "admin")), accepted: map[logentry.ID]time.Time{}, recorded: map[logentry.ID]time.Time{}}
	changes, err := servers.Collection("entries").Watch(t.Context(), mongo.Pipeline{bson.D{{Key: "$match", Value: bson.D{{Key: "operationType", Value: "insert"}}}}},
		options.ChangeStream().SetMaxAwaitTime(time.Second))
	if err != nil {
		t.Fatal(err)
	}
	watching, stop := context.WithCancel(t.Context())
	defer stop()
	go s.watch(watching, changes)

	const entries = 100
	s.send(t, 20, func(int) {}) // the first ones find everything cold
	alone := s.send(t, entries, func(int) {})
	put := map[string]string{}
	// A machine that is busy with something else delays entries too; poison would delay them each time.
	for try := 1; ; try++ {
		var bad []string
		for range 3 {
			kinds := poison(t)
			maps.Copy(put, kinds)
			bad = slices.AppendSeq(bad, maps.Keys(kinds))
		}
		among := s.send(t, entries, func(i int) {
			if i < 2*len(bad) && i%2 == 0 {
				if err := servers.SendMessage(t.Context(), bad[i/2]); err != nil {
					t.Fatalf("%.40q: %v", bad[i/2], err)
				}
			}
		})
		t.Logf("slowest of %d entries from 202 into the record: %s alone, %s among %d messages of poison", entries, alone, among, len(bad))
		if among <= alone+time.Second {
			break
		}
		if try == 3 {
			t.Errorf("poison held up good entries: %s, %s without it", among, alone)
			break
		}
	}

	kept, newer := map[string]string{}, 0
	for body, reason := range put {
		if reason == "" {
			newer++
		} else {
			kept[body] = reason
		}
	}
	service.Eventually(t, 30*time.Second, func() (bool, string) {
		n, err := servers.Collection("quarantine").CountDocuments(t.Context(), bson.D{})
		return n >= int64(len(kept)), fmt.Sprintf("%d of %d in quarantine, %v", n, len(kept), err)
	})
	rows, err := servers.Collection("quarantine").Find(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	var docs []struct {
		Body           []byte
		Reason, Detail string
		Receives       int
		SentAt         int64 `bson:"sent_at"`
	}
	if err := rows.All(t.Context(), &docs); err != nil {
		t.Fatal(err)
	}
	for _, d := range docs {
		want, ours := kept[string(d.Body)]
		if !ours || d.Reason != want || d.Detail == "" || d.Receives < 1 || time.Since(time.Unix(0, d.SentAt)).Abs() > 5*time.Minute {
			t.Errorf("in quarantine: %.60q with reason %q, want %q; detail %q, receives %d, sent %s", d.Body, d.Reason, want, d.Detail, d.Receives, time.Unix(0, d.SentAt))
		}
		delete(kept, string(d.Body))
	}
	for body, reason := range kept {
		t.Errorf("not in quarantine: %.60q, %s", body, reason)
	}

	// What only a newer worker can read stays in the queue, and nothing else does.
	service.Eventually(t, 30*time.Second, func() (bool, string) {
		visible, held, dead, err := servers.QueueDepth(t.Context())
		v, _ := strconv.Atoi(visible)
		h, _ := strconv.Atoi(held)
		return err == nil && v+h == newer && dead == "0", fmt.Sprintf("%s visible and %s held of %d, %s dead, %v", visible, held, newer, dead, err)
	})
	if out := system.Workers[0].Output() + system.Workers[1].Output(); !strings.Contains(out, "there are envelopes of a newer version; update this worker") {
		t.Error("no worker says that there are envelopes of a newer version")
	}

	once := map[logentry.ID]int{}
	for id := range s.accepted {
		once[id] = 1
	}
	for name, count := range map[string]func(context.Context) (map[logentry.ID]int, error){"record": servers.Recorded, "index": servers.Indexed} {
		service.Eventually(t, 30*time.Second, func() (bool, string) {
			found, err := count(t.Context())
			return maps.Equal(found, once), fmt.Sprintf("%s: %d entries of %d, %v", name, len(found), len(once), err)
		})
	}
}
