package store_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/pkg/logentry"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// cutter passes connections on to MongoDB. While it is armed, and as often as it is to, it ends one after
// a random number of bytes in either direction: commands arrive in part, or wholly but without their answer.
type cutter struct {
	to    string
	armed atomic.Bool
	left  atomic.Int64 // cuts to come
	mu    sync.Mutex
	rnd   *rand.Rand
}

func (c *cutter) budget(most int64) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rnd.Int64N(most)
}

// listen takes connections until the test ends.
func (c *cutter) listen(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", c.to)
			if err != nil {
				_ = in.Close()
				continue
			}
			end := func() { _ = in.Close(); _ = out.Close() }
			go c.pass(out, in, 400_000, end)
			go c.pass(in, out, 40_000, end)
		}
	}()
	return l.Addr().String()
}

func (c *cutter) pass(to io.Writer, from io.Reader, most int64, end func()) {
	defer end()
	buf := make([]byte, 16<<10)
	left := int64(-1)
	for {
		n, err := from.Read(buf)
		if c.armed.Load() && left < 0 {
			left = c.budget(most)
		}
		if c.armed.Load() {
			if left -= int64(n); left < 0 && c.left.Add(-1) >= 0 {
				_, _ = to.Write(buf[:max(0, int64(n)+left)])
				return
			}
		}
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

func TestMongoStoresEachRecordOnceOverConnectionsThatBreak(t *testing.T) {
	uri := mongoURI(t)
	_, db := openMongo(t, store.MongoConfig{})
	c := &cutter{to: strings.SplitN(strings.TrimPrefix(uri, "mongodb://"), "/", 2)[0], rnd: rand.New(rand.NewPCG(3, 9))}
	m, err := store.NewMongo(t.Context(), store.MongoConfig{URI: auth.NewSecret("mongodb://" + c.listen(t) + "/?directConnection=true"), Database: db.Name(),
		CallTimeout: 10 * time.Second, BatchEntries: 50})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	tn := authtest.Tenant(t, "acme")
	const cuts = 15
	c.left.Store(cuts)
	c.armed.Store(true)
	const writers, batches = 4, 10
	all := make([][]logentry.Record, writers)
	var stored, failed atomic.Int64
	var wg sync.WaitGroup
	for w := range writers {
		maker := newMaker(uint64(60 + w))
		wg.Go(func() {
			for range batches {
				batch := maker.records(tn.ID(), 120)
				all[w] = append(all[w], batch...)
				for rest := slices.Clone(batch); len(rest) > 0; {
					verdicts, err := m.Put(context.Background(), rest)
					if err != nil {
						failed.Add(1)
						continue
					}
					var again []logentry.Record
					for i, v := range verdicts {
						switch v {
						case store.Stored:
							stored.Add(1)
						case store.Retry:
							again = append(again, rest[i])
						case store.Rejected:
							t.Errorf("record %d is rejected", i)
						}
					}
					rest = again
				}
			}
		})
	}
	wg.Wait()
	c.armed.Store(false)
	want := slices.Concat(all...)
	t.Logf("%d Puts failed, %d of %d records known as new", failed.Load(), stored.Load(), len(want))
	if c.left.Load() > cuts/2 {
		t.Fatalf("%d cuts were left: too few to say anything", c.left.Load())
	}
	if stored.Load() > int64(len(want)) {
		t.Fatalf("%d records were new, %d were put", stored.Load(), len(want))
	}
	got, err := m.GetMany(t.Context(), tn, idsOf(want))
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d records of %d are held, %v", len(got), len(want), err)
	}
	for i := range got {
		same(t, got[i], want[i])
	}
	// Those whose answers were lost look as if they were under way for some minutes.
	long := bson.Timestamp{T: uint32(time.Now().Add(-time.Hour).Unix())}
	if _, err := db.Collection("commits").UpdateMany(t.Context(), bson.D{{Key: "open", Value: true}}, bson.D{{Key: "$set", Value: bson.D{{Key: "at", Value: long}}}}); err != nil {
		t.Fatal(err)
	}
	seen := map[logentry.ID]bool{}
	for _, r := range scanAll(t, m, 333) {
		if seen[r.ID] {
			t.Fatalf("the scan sees %s twice", r.ID)
		}
		seen[r.ID] = true
	}
	if len(seen) != len(want) {
		t.Fatalf("the scan sees %d records of %d", len(seen), len(want))
	}
}
