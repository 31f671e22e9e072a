package queue_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/queue"
	"github.com/ocelot-log/ocelot/internal/sqlite"
	_ "github.com/ocelot-log/ocelot/internal/sqlite/driver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSQLiteOpensAFileFromBeforeThereWereTraces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	db, err := sqlite.Open(path, sqlite.Options{Schema: []string{
		`CREATE TABLE q(id INTEGER PRIMARY KEY AUTOINCREMENT, sent_at INTEGER NOT NULL, visible_at INTEGER NOT NULL, receives INTEGER NOT NULL DEFAULT 0, receipt INTEGER)`,
		`CREATE TABLE q_body(id INTEGER PRIMARY KEY, body BLOB NOT NULL)`,
		`INSERT INTO q(id, sent_at, visible_at) VALUES (7, 1, 1)`,
		`INSERT INTO q_body(id, body) VALUES (7, 'old')`,
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // what was added once is not added again
		q, err := queue.NewSQLite(path, queue.SQLiteConfig{})
		if err != nil {
			t.Fatal(err)
		}
		if m := receive(t, q, 1, held)[0]; string(m.Body) != "old" || m.Trace != "" {
			t.Errorf("received %q with trace %q", m.Body, m.Trace)
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSQLiteKeepsMessagesAndReleasesThoseThatWereHeld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	q := openSQLite(t, path)
	send(t, q, "held", "deleted", "waiting")
	ms := receive(t, q, 3, held)
	for _, m := range ms {
		var errs []error
		switch string(m.Body) {
		case "deleted":
			errs = q.Delete(background, []string{m.Receipt})
		case "waiting":
			errs = q.Extend(background, []string{m.Receipt}, 0)
		}
		if errs != nil {
			t.Fatal(errs)
		}
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	q = openSQLite(t, path)
	again := map[string]int{}
	for _, m := range receive(t, q, 2, held) {
		again[string(m.Body)] = m.Receives
	}
	if len(again) != 2 || again["held"] != 2 || again["waiting"] != 2 {
		t.Errorf("after reopening: %v", again)
	}
	if errs := q.Delete(background, receipts(ms)); errs != nil {
		t.Error(errs)
	}
	if s, err := q.Stats(background); err != nil || s.InFlight != 2 {
		t.Errorf("receipts of the time before still work: %+v, %v", s, err)
	}
}

func TestSQLiteUsesTheSpaceOfDeletedMessagesAgain(t *testing.T) {
	if testing.Short() { // as with the race detector
		t.Skip("long and of one goroutine: run without -short")
	}
	path := filepath.Join(t.TempDir(), "queue.db")
	q := openSQLite(t, path)
	body := bytes.Repeat([]byte("x"), 900_000)
	size := func() int64 {
		var n int64
		for _, name := range []string{path, path + "-wal"} {
			if s, err := os.Stat(name); err == nil {
				n += s.Size()
			}
		}
		return n
	}
	round := func() {
		if errs := q.Send(background, []queue.Outgoing{{Body: body}, {Body: body}, {Body: body}}); errs != nil {
			t.Fatal(errs)
		}
		if errs := q.Delete(background, receipts(receive(t, q, 3, held))); errs != nil {
			t.Fatal(errs)
		}
	}
	for range 20 { // the log reaches its full size, 32 MiB, on the way
		round()
	}
	before := size()
	for range 20 {
		round()
	}
	if after := size(); after > before+before/10 {
		t.Errorf("the files grew from %d to %d bytes while the queue was empty each round", before, after)
	}
}

func TestSQLiteOnAFullDisk(t *testing.T) {
	q, err := queue.NewSQLite(filepath.Join(t.TempDir(), "queue.db"), queue.SQLiteConfig{MaxPages: 300})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = q.Close() }()
	body := bytes.Repeat([]byte("x"), 50_000)
	stored, full := 0, 0
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range 4 {
		wg.Go(func() {
			for range 15 {
				err := one(q.Send(background, []queue.Outgoing{{Body: body}}))
				mu.Lock()
				switch {
				case err == nil:
					stored++
				case fault.KindOf(err) == fault.Full && fault.Of(err).Code == "storage_full":
					full++
				default:
					t.Errorf("send: %v", err)
				}
				mu.Unlock()
				if err != nil {
					if _, err := q.Stats(background); err != nil {
						t.Errorf("stats: %v", err)
					}
				}
			}
		})
	}
	wg.Wait()
	if stored == 0 || full == 0 || stored+full != 60 {
		t.Fatalf("stored %d, full %d", stored, full)
	}
	ms := receive(t, q, stored, held)
	if errs := q.Delete(background, receipts(ms)); errs != nil {
		t.Fatalf("delete on a full disk: %v", errs)
	}
	send(t, q, string(body))
	if got := receive(t, q, 1, held); !bytes.Equal(got[0].Body, body) {
		t.Error("the message after space came back is another one")
	}
}

func BenchmarkSQLite(b *testing.B) {
	for _, size := range []int{1 << 10, 60 << 10} {
		b.Run(fmt.Sprintf("send, receive and delete %d KiB", size>>10), func(b *testing.B) {
			q, err := queue.NewSQLite(filepath.Join(b.TempDir(), "queue.db"), queue.SQLiteConfig{})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = q.Close() }()
			body := bytes.Repeat([]byte{0xf0, 1, 2, 3}, size/4)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			var wg sync.WaitGroup
			b.ResetTimer()
			wg.Go(func() {
				for got := 0; got < b.N; {
					ms, err := q.Receive(background, 10, time.Second, held)
					if err != nil {
						b.Error(err)
						return
					}
					if errs := q.Delete(background, receipts(ms)); errs != nil {
						b.Error(errs)
					}
					got += len(ms)
				}
			})
			b.SetParallelism(4)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if errs := q.Send(background, []queue.Outgoing{{Body: body}}); errs != nil {
						b.Error(errs)
					}
				}
			})
			wg.Wait()
		})
	}
}
