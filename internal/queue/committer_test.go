package queue

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/sqlite"
)

// busyCommitter is a committer whose file is written by somebody else until release.
func busyCommitter(t *testing.T) (c *committer, release func()) {
	t.Helper()
	db, err := sqlite.Open(":memory:", sqlite.Options{Schema: []string{"CREATE TABLE t(id INTEGER PRIMARY KEY)"}})
	if err != nil {
		t.Fatal(err)
	}
	began, finish, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		_ = db.Write(context.Background(), func(*sqlite.Conn) error { close(began); <-finish; return nil })
	}()
	<-began
	var once sync.Once
	release = func() { once.Do(func() { close(finish) }); <-ended }
	t.Cleanup(func() { release(); _ = db.Close() })
	return &committer{db: db}, release
}

// await waits until n writes wait in c.
func (c *committer) await(n int) {
	for {
		c.mu.Lock()
		have := len(c.waiting)
		c.mu.Unlock()
		if have == n {
			return
		}
		runtime.Gosched()
	}
}

func TestWritesThatWaitShareATransaction(t *testing.T) {
	c, release := busyCommitter(t)
	var wg sync.WaitGroup
	var order, settled []int
	for i := range 20 {
		wg.Go(func() {
			err := c.do(context.Background(), &write{
				run: func(conn *sqlite.Conn) error {
					c.mu.Lock()
					if len(c.waiting) > 0 {
						t.Errorf("%d writes were left for another transaction", len(c.waiting))
					}
					c.mu.Unlock()
					order = append(order, i)
					_, err := conn.Exec("INSERT INTO t(id) VALUES(?)", i)
					return err
				},
				settled: func() { settled = append(settled, i) },
			})
			if err != nil {
				t.Error(err)
			}
		})
		c.await(i + 1)
	}
	release()
	wg.Wait()
	for i := range 20 {
		if order[i] != i || settled[i] != i {
			t.Fatalf("run in the order %v, settled in %v", order, settled)
		}
	}
}

func TestAWriteThatFailsDoesNotFailItsNeighbours(t *testing.T) {
	c, release := busyCommitter(t)
	boom := errors.New("boom")
	errs := make([]error, 3)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			errs[i] = c.do(context.Background(), &write{run: func(conn *sqlite.Conn) error {
				if i == 1 {
					return boom
				}
				_, err := conn.Exec("INSERT INTO t(id) VALUES(?)", i)
				return err
			}})
		})
		c.await(i + 1)
	}
	release()
	wg.Wait()
	if errs[0] != nil || !errors.Is(errs[1], boom) || errs[2] != nil {
		t.Errorf("%v", errs)
	}
	var n int
	if err := c.db.Reader().QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil || n != 2 {
		t.Errorf("%d rows, %v", n, err)
	}
}

func TestAWriteIsWithdrawnWithItsContext(t *testing.T) {
	c, release := busyCommitter(t)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	ran := make([]bool, 3)
	for i, ctx := range []context.Context{context.Background(), ctx, context.Background()} {
		wg.Go(func() {
			err := c.do(ctx, &write{run: func(*sqlite.Conn) error { ran[i] = true; return nil }})
			if (err != nil) != (i == 1) {
				t.Errorf("write %d: %v", i, err)
			}
		})
		c.await(i + 1)
	}
	cancel()
	c.await(2)
	release()
	wg.Wait()
	if !ran[0] || ran[1] || !ran[2] {
		t.Errorf("ran: %v", ran)
	}
}

func TestWritesOfAClosedFileAllEnd(t *testing.T) {
	c, release := busyCommitter(t)
	var wg sync.WaitGroup
	for i := range 5 {
		wg.Go(func() {
			err := c.do(context.Background(), &write{run: func(*sqlite.Conn) error { return nil }})
			if f := fault.Of(err); f == nil || f.Code != "storage_closed" {
				t.Errorf("%v", err)
			}
		})
		c.await(i + 1)
	}
	wg.Go(func() { _ = c.db.Close() })
	c.await(0)
	release()
	wg.Wait()
}
