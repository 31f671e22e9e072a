// Package sqlite opens the files of the embedded backends: one writer, several readers, durable.
//
// Every file is in WAL mode with synchronous=FULL, so that a commit is fsynced before Write returns.
// One writer connection serves all writes of a file, one after the other; readers have a pool of their
// own and never wait for the writer. ":memory:" gives one connection for both: right for unit tests,
// says nothing about locks, fsync or full disks.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/ocelot-log/ocelot/internal/fault"
	driver "modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"
)

// Options of a file.
type Options struct {
	Schema         []string // statements that make the schema; each must be harmless when it is there already
	WriterCacheKiB int      // page cache of the writer; 0: 16,384
	ReaderCacheKiB int      // page cache of each reader; 0: 4,096
	Readers        int      // connections for reading; 0: 4
	MaxPages       int      // of 4 KiB; 0: no limit. Beyond it writes fail as on a full disk
}

// DB is an open file.
type DB struct {
	path   string
	writer chan *Conn // holds the one writer while nobody uses it
	wpool  *sql.DB
	rpool  *sql.DB
}

// Conn is the writer's connection, lent to one Write at a time.
type Conn struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

// Open opens or makes the file at path and its schema.
func Open(path string, o Options) (*DB, error) {
	memory := path == ":memory:"
	d := &DB{path: path, writer: make(chan *Conn, 1)}
	var err error
	if d.wpool, err = sql.Open("sqlite", dsn(path, or(o.WriterCacheKiB, 16_384), o.MaxPages)); err != nil {
		return nil, Fault(err, "open "+path)
	}
	d.wpool.SetMaxOpenConns(1)
	d.wpool.SetMaxIdleConns(1)
	ctx := context.Background()
	conn, err := d.wpool.Conn(ctx)
	if err != nil {
		_ = d.wpool.Close()
		return nil, Fault(err, "open "+path)
	}
	w := &Conn{conn: conn, stmts: map[string]*sql.Stmt{}}
	if err := w.prepare(ctx, memory, o.Schema); err != nil {
		_ = conn.Close()
		_ = d.wpool.Close()
		return nil, Fault(err, "open "+path)
	}
	if memory { // a second connection would be another, empty database
		_ = conn.Close() // back to the pool, which keeps it
		d.rpool = d.wpool
		w.conn = nil
	} else {
		if d.rpool, err = sql.Open("sqlite", dsn(path, or(o.ReaderCacheKiB, 4_096), 0)+"&_pragma=query_only(1)"); err != nil {
			return nil, Fault(err, "open "+path)
		}
		n := or(o.Readers, 4)
		d.rpool.SetMaxOpenConns(n)
		d.rpool.SetMaxIdleConns(n)
	}
	d.writer <- w
	return d, nil
}

// prepare makes the schema and refuses a connection whose commits would not be durable.
func (c *Conn) prepare(ctx context.Context, memory bool, schema []string) error {
	var mode string
	var synchronous int
	if err := c.conn.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return err
	}
	if err := c.conn.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&synchronous); err != nil {
		return err
	}
	if !memory && (mode != "wal" || synchronous != 2) {
		return fmt.Errorf("journal_mode is %s and synchronous %d; durable commits need wal and 2 (FULL)", mode, synchronous)
	}
	for _, s := range schema {
		if _, err := c.conn.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("schema: %w", err)
		}
	}
	return nil
}

func dsn(path string, cacheKiB, maxPages int) string {
	q := url.Values{}
	q.Set("_txlock", "immediate")
	for _, p := range []string{"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(10000)", "temp_store(2)",
		fmt.Sprintf("cache_size(-%d)", cacheKiB), "wal_autocheckpoint(8000)", "journal_size_limit(67108864)"} {
		q.Add("_pragma", p)
	}
	if maxPages > 0 {
		q.Add("_pragma", fmt.Sprintf("max_page_count(%d)", maxPages))
	}
	if path == ":memory:" {
		return "file::memory:?" + q.Encode()
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}).String() + "?" + q.Encode()
}

// Write runs fn in one transaction and returns when it is durable. Writes of a file run one after the
// other; ctx bounds only the wait for the turn: what has begun is finished. An error rolls back.
func (d *DB) Write(ctx context.Context, fn func(c *Conn) error) error {
	var w *Conn
	select {
	case w = <-d.writer:
	case <-ctx.Done():
		return fault.As(fault.Unavailable, "storage_busy", ctx.Err())
	}
	defer func() { d.writer <- w }()
	ctx = context.WithoutCancel(ctx)
	if d.rpool == d.wpool { // in memory: the one connection is shared with the readers
		conn, err := d.wpool.Conn(ctx)
		if err != nil {
			return Fault(err, "write "+d.path)
		}
		w.conn = conn
		defer func() { w.forget(); _ = conn.Close(); w.conn = nil }()
	}
	if _, err := w.Exec("BEGIN IMMEDIATE"); err != nil {
		return Fault(err, "write "+d.path)
	}
	err := fn(w)
	if err == nil {
		if _, err = w.Exec("COMMIT"); err == nil {
			return nil
		}
	}
	_, _ = w.conn.ExecContext(ctx, "ROLLBACK") // SQLite may have rolled back by itself
	return Fault(err, "write "+d.path)
}

// Stmt returns query prepared on the writer's connection; it is kept, so pass constant texts.
func (c *Conn) Stmt(query string) (*sql.Stmt, error) {
	if s, ok := c.stmts[query]; ok {
		return s, nil
	}
	s, err := c.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	c.stmts[query] = s
	return s, nil
}

// Exec runs a statement of constant text, prepared once.
func (c *Conn) Exec(query string, args ...any) (sql.Result, error) {
	s, err := c.Stmt(query)
	if err != nil {
		return nil, err
	}
	return s.Exec(args...)
}

// Query runs a statement of constant text, prepared once. Close the rows before the next call.
func (c *Conn) Query(query string, args ...any) (*sql.Rows, error) {
	s, err := c.Stmt(query)
	if err != nil {
		return nil, err
	}
	return s.Query(args...)
}

func (c *Conn) forget() {
	for _, s := range c.stmts {
		_ = s.Close()
	}
	clear(c.stmts)
}

// Reader is the pool for reading. In memory a Write waits until rows are closed.
func (d *DB) Reader() *sql.DB { return d.rpool }

// Ping says whether the file can be read.
func (d *DB) Ping(ctx context.Context) error {
	var one int
	return Fault(d.rpool.QueryRowContext(ctx, "SELECT 1").Scan(&one), "ping "+d.path)
}

// Close waits for a running Write, folds the log into the file and closes both pools.
func (d *DB) Close() error {
	w := <-d.writer
	w.forget()
	var errs []error
	if d.rpool != d.wpool {
		errs = append(errs, d.rpool.Close())
		_, err := w.conn.ExecContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)")
		errs = append(errs, err, w.conn.Close())
	}
	errs = append(errs, d.wpool.Close())
	return Fault(errors.Join(errs...), "close "+d.path)
}

// Fault says what an error of SQLite means to whoever must act. nil stays nil, a fault stays what it is.
func Fault(err error, doing string) error {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return fault.Wrap(f, doing)
	}
	e := &fault.Error{Kind: fault.Internal, Code: "storage_failed", Err: fmt.Errorf("%s: %w", doing, err)}
	if s, ok := errors.AsType[*driver.Error](err); ok {
		switch code := s.Code(); {
		case code&0xff == lib.SQLITE_FULL || code == lib.SQLITE_IOERR_WRITE || code == lib.SQLITE_IOERR_SHMSIZE:
			e.Kind, e.Code, e.Detail = fault.Full, "storage_full", "the data directory has no space left; nothing was stored. Free some space and send again."
		case code&0xff == lib.SQLITE_BUSY || code&0xff == lib.SQLITE_LOCKED:
			e.Kind, e.Code = fault.Unavailable, "storage_busy"
		case code&0xff == lib.SQLITE_INTERRUPT:
			e.Kind, e.Code = fault.Timeout, "search_timeout"
		case code&0xff == lib.SQLITE_IOERR:
			e.Kind, e.Code = fault.Unavailable, "storage_failed"
		}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		e.Kind, e.Code = fault.Timeout, "search_timeout"
	} else if errors.Is(err, context.Canceled) {
		e.Kind, e.Code = fault.Unavailable, "canceled"
	}
	return e
}

// Placeholders returns n groups "(?,?)" of width marks each, for a statement of many rows.
func Placeholders(n, width int) string {
	group := "(" + strings.TrimSuffix(strings.Repeat("?,", width), ",") + ")"
	return strings.TrimSuffix(strings.Repeat(group+",", n), ",")
}

// Exists says whether there is a file at path.
func Exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func or(v, otherwise int) int {
	if v == 0 {
		return otherwise
	}
	return v
}
