package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	lib "modernc.org/sqlite/lib"

	"github.com/ocelot-log/ocelot/internal/fault"
	_ "github.com/ocelot-log/ocelot/internal/sqlite/driver"
)

func TestResultCodesAreSQLites(t *testing.T) {
	for ours, theirs := range map[int]int{
		codeBusy: lib.SQLITE_BUSY, codeLocked: lib.SQLITE_LOCKED, codeReadOnly: lib.SQLITE_READONLY, codeInterrupt: lib.SQLITE_INTERRUPT,
		codeIO: lib.SQLITE_IOERR, codeCorrupt: lib.SQLITE_CORRUPT, codeFull: lib.SQLITE_FULL, codeCantOpen: lib.SQLITE_CANTOPEN, codeNotADB: lib.SQLITE_NOTADB,
		codeIOWrite: lib.SQLITE_IOERR_WRITE, codeIOSync: lib.SQLITE_IOERR_FSYNC, codeIODirSync: lib.SQLITE_IOERR_DIR_FSYNC, codeIOShmSize: lib.SQLITE_IOERR_SHMSIZE,
	} {
		if ours != theirs {
			t.Errorf("%d is %d in SQLite", ours, theirs)
		}
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var schema = []string{"CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, body BLOB)"}

func openTest(t *testing.T, path string, o Options) *DB {
	t.Helper()
	if o.Schema == nil {
		o.Schema = schema
	}
	d, err := Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d
}

// eachPlace runs a test in memory and in a file.
func eachPlace(t *testing.T, test func(t *testing.T, path string)) {
	t.Run("memory", func(t *testing.T) { test(t, ":memory:") })
	t.Run("file", func(t *testing.T) { test(t, filepath.Join(t.TempDir(), "x.db")) })
}

func insert(d *DB, id int, body []byte) error {
	return d.Write(context.Background(), func(c *Conn) error {
		_, err := c.Exec("INSERT INTO t(id, body) VALUES(?, ?)", id, body)
		return err
	})
}

func count(t *testing.T, d *DB) int {
	t.Helper()
	var n int
	if err := d.Reader().QueryRow("SELECT count(*) FROM t").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestWrite(t *testing.T) {
	boom := errors.New("boom")
	eachPlace(t, func(t *testing.T, path string) {
		d := openTest(t, path, Options{})
		if err := insert(d, 1, nil); err != nil {
			t.Fatal(err)
		}
		err := d.Write(context.Background(), func(c *Conn) error {
			if _, err := c.Exec("INSERT INTO t(id, body) VALUES(?, ?)", 2, nil); err != nil {
				return err
			}
			return boom
		})
		if !errors.Is(err, boom) {
			t.Errorf("an error of the function came back as %v", err)
		}
		if n := count(t, d); n != 1 {
			t.Errorf("%d rows after one commit and one rollback", n)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("a panic was swallowed")
				}
			}()
			_ = d.Write(context.Background(), func(c *Conn) error {
				if _, err := c.Exec("INSERT INTO t(id, body) VALUES(?, ?)", 3, nil); err != nil {
					return err
				}
				panic("boom")
			})
		}()
		if err := insert(d, 4, nil); err != nil {
			t.Errorf("write after a panic: %v", err)
		}
		if n := count(t, d); n != 2 {
			t.Errorf("%d rows, want 2: a panic rolls back", n)
		}
	})
}

func TestQueryInsideAWrite(t *testing.T) {
	eachPlace(t, func(t *testing.T, path string) {
		d := openTest(t, path, Options{})
		var ids []int
		err := d.Write(context.Background(), func(c *Conn) error {
			rows, err := c.Query("INSERT INTO t(body) VALUES(1),(2),(3) RETURNING id")
			if err != nil {
				return err
			}
			defer func() { _ = rows.Close() }()
			for rows.Next() {
				var id int
				if err := rows.Scan(&id); err != nil {
					return err
				}
				ids = append(ids, id)
			}
			return rows.Err()
		})
		if err != nil || len(ids) != 3 {
			t.Fatalf("%v, %v", ids, err)
		}
		if n := count(t, d); n != 3 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestConcurrentWritesAndReads(t *testing.T) {
	eachPlace(t, func(t *testing.T, path string) {
		d := openTest(t, path, Options{})
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				for i := range 25 {
					if err := insert(d, w*100+i, []byte("x")); err != nil {
						t.Error(err)
					}
					var n int
					if err := d.Reader().QueryRow("SELECT count(*) FROM t WHERE id = ?", w*100+i).Scan(&n); err != nil || n != 1 {
						t.Errorf("own write read back: %d, %v", n, err)
					}
				}
			})
		}
		wg.Wait()
		if n := count(t, d); n != 200 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestDurablePragmas(t *testing.T) {
	dir := t.TempDir()
	d := openTest(t, filepath.Join(dir, "good.db"), Options{})
	err := d.Write(context.Background(), func(c *Conn) error {
		for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "wal_autocheckpoint": "8000"} {
			var got string
			if err := c.conn.QueryRowContext(context.Background(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s is %s, %v; want %s", pragma, got, err, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"a rollback journal":       {"journal_mode%28WAL%29", "journal_mode%28DELETE%29"},
		"a journal in memory":      {"journal_mode%28WAL%29", "journal_mode%28MEMORY%29"},
		"no fsync":                 {"synchronous%28FULL%29", "synchronous%28OFF%29"},
		"fsync at checkpoint only": {"synchronous%28FULL%29", "synchronous%28NORMAL%29"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.db")
			good := dsn(path, 1024, 0)
			bad := strings.Replace(good, change[0], change[1], 1)
			if bad == good {
				t.Fatal("nothing was changed: " + good)
			}
			if d, err := open(path, bad, Options{Schema: schema}); fault.Of(err) == nil || fault.Of(err).Code != "storage_not_durable" {
				t.Errorf("opened: %v, %v", d, err)
			}
		})
	}
}

func TestReadersCannotWrite(t *testing.T) {
	d := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
	if _, err := d.Reader().Exec("INSERT INTO t(id) VALUES(1)"); err == nil {
		t.Error("a reader wrote")
	}
}

func TestPathsAreTakenLiterally(t *testing.T) {
	for _, name := range []string{"with space.db", "a?b#c.db", "100%25.db", "ümlaut&x=y.db"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			openTest(t, path, Options{})
			if !Exists(path) {
				t.Error("the file has another name")
			}
		})
	}
}

func TestFullDisk(t *testing.T) {
	eachPlace(t, func(t *testing.T, path string) {
		d := openTest(t, path, Options{MaxPages: 64})
		body := make([]byte, 16<<10)
		stored := 0
		var err error
		for err == nil && stored < 1000 {
			if err = insert(d, stored, body); err == nil {
				stored++
			}
		}
		f := fault.Of(err)
		if f == nil || f.Kind != fault.Full || f.Code != "storage_full" || stored == 0 {
			t.Fatalf("after %d rows: %v", stored, err)
		}
		if n := count(t, d); n != stored {
			t.Errorf("%d rows, %d acknowledged", n, stored)
		}
		err = d.Write(context.Background(), func(c *Conn) error {
			_, err := c.Exec("DELETE FROM t")
			return err
		})
		if err != nil {
			t.Errorf("delete on a full disk: %v", err)
		}
		if err := insert(d, 5000, body); err != nil {
			t.Errorf("insert after space came back: %v", err)
		}
	})
}

func TestWriteWaitsForItsTurnOnlyAsLongAsItsContext(t *testing.T) {
	eachPlace(t, func(t *testing.T, path string) {
		d := openTest(t, path, Options{})
		began, finish := make(chan struct{}), make(chan struct{})
		first := make(chan error, 1)
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			first <- d.Write(ctx, func(c *Conn) error {
				close(began)
				<-finish
				_, err := c.Exec("INSERT INTO t(id, body) VALUES(?, ?)", 1, nil)
				return err
			})
		}()
		<-began
		second := make(chan error, 1)
		go func() {
			second <- d.Write(ctx, func(*Conn) error { t.Error("ran after its context ended"); return nil })
		}()
		cancel()
		if err := <-second; fault.KindOf(err) != fault.Unavailable {
			t.Errorf("the one that waits: %v", err)
		}
		close(finish)
		if err := <-first; err != nil {
			t.Errorf("the one that had begun: %v", err)
		}
		if n := count(t, d); n != 1 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestMemoryWriteBehindOpenRowsEndsWithItsContext(t *testing.T) {
	d := openTest(t, ":memory:", Options{})
	rows, err := d.Reader().Query("SELECT 1")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	if err := d.Write(ctx, func(*Conn) error { return nil }); err == nil {
		t.Error("wrote while rows were open on the one connection")
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil { //nolint:sqlclosecheck // the write after it needs them closed
		t.Fatal(err)
	}
	if err := insert(d, 1, nil); err != nil {
		t.Errorf("after the rows were closed: %v", err)
	}
}

func TestCloseWhileBusy(t *testing.T) {
	eachPlace(t, func(t *testing.T, path string) {
		d := openTest(t, path, Options{})
		began, finish := make(chan struct{}), make(chan struct{})
		first := make(chan error, 1)
		go func() {
			first <- d.Write(context.Background(), func(c *Conn) error {
				close(began)
				<-finish
				_, err := c.Exec("INSERT INTO t(id, body) VALUES(?, ?)", 1, nil)
				return err
			})
		}()
		<-began
		waiting := make(chan error, 1)
		go func() { waiting <- insert(d, 2, nil) }()
		closed := make(chan error, 2)
		go func() { closed <- d.Close() }()
		go func() { closed <- d.Close() }()
		if f := fault.Of(<-waiting); f == nil || f.Code != "storage_closed" {
			t.Errorf("the one that waits: %v", f)
		}
		close(finish)
		if err := <-first; err != nil {
			t.Errorf("the one that had begun: %v", err)
		}
		if err := errors.Join(<-closed, <-closed); err != nil {
			t.Errorf("close: %v", err)
		}
		if f := fault.Of(insert(d, 3, nil)); f == nil || f.Code != "storage_closed" {
			t.Errorf("write after close: %v", f)
		}
		if err := d.Ping(context.Background()); err == nil {
			t.Error("ping after close")
		}
		if path == ":memory:" {
			return
		}
		if Exists(path + "-wal") {
			t.Error("the log was not folded into the file")
		}
		if n := count(t, openTest(t, path, Options{})); n != 1 {
			t.Errorf("%d rows after reopening", n)
		}
	})
}

func TestCloseWhileRowsAreOpenLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	d := openTest(t, path, Options{})
	if err := insert(d, 1, nil); err != nil {
		t.Fatal(err)
	}
	rows, err := d.Reader().Query("SELECT id FROM t")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	_ = d.Close()
	took := time.Since(start)
	_ = errors.Join(rows.Err(), rows.Close()) //nolint:sqlclosecheck // open until here is what is tested
	if n := count(t, openTest(t, path, Options{})); n != 1 {
		t.Errorf("%d rows after reopening", n)
	}
	if took > 5*time.Second {
		t.Errorf("close took %v behind open rows", took)
	}
}

func TestFault(t *testing.T) {
	keep := fault.New(fault.NotFound, "x", "")
	for name, c := range map[string]struct {
		err  error
		kind fault.Kind
		code string
	}{
		"a fault stays what it is":        {fmt.Errorf("in: %w", keep), fault.NotFound, "x"},
		"a deadline is a timeout":         {context.DeadlineExceeded, fault.Timeout, "search_timeout"},
		"a cancel is the caller's":        {context.Canceled, fault.Unavailable, "canceled"},
		"anything else is not understood": {sql.ErrNoRows, fault.Internal, "storage_failed"},
	} {
		if f := fault.Of(Fault(c.err, "test")); f.Kind != c.kind || f.Code != c.code {
			t.Errorf("%s: %v %s", name, f.Kind, f.Code)
		}
	}
	if Fault(nil, "test") != nil {
		t.Error("nil became an error")
	}
}

func TestSlowQueryIsInterruptedByItsContext(t *testing.T) {
	d := openTest(t, filepath.Join(t.TempDir(), "x.db"), Options{})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	var n int
	err := d.Reader().QueryRowContext(ctx, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x < 1000000000) SELECT count(*) FROM c").Scan(&n)
	if f := fault.Of(Fault(err, "count")); f == nil || f.Kind != fault.Timeout {
		t.Errorf("%v", err)
	}
}

func TestDamagedFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("this is no database. ", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(path, Options{Schema: schema})
	if f := fault.Of(err); f == nil || f.Code != "storage_corrupt" {
		t.Errorf("%v", err)
	}
}

func TestPlaceholders(t *testing.T) {
	if got := Placeholders(3, 2); got != "(?,?),(?,?),(?,?)" {
		t.Error(got)
	}
}
