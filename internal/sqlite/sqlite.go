// Package sqlite opens the files of the embedded backends: one writer, several readers, durable.
//
// Every file is in WAL mode with synchronous=FULL, so that a commit is fsynced before Write returns.
// One writer connection serves all writes of a file, one after the other; readers have a pool of their
// own and never wait for the writer. ":memory:" gives one connection for both: right for unit tests,
// says nothing about locks, fsync or full disks. The program imports sqlite/driver too.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"

	"github.com/ocelot-log/ocelot/internal/fault"
)

// Options of a file.
type Options struct {
	Schema         []string // statements that make the schema; each must be harmless when it is there already
	WriterCacheKiB int      // page cache of the writer; 0: 2,048. The driver's allocator rounds up: it takes twice as much memory
	ReaderCacheKiB int      // page cache of each reader; 0: 1,024. The same
	Readers        int      // connections for reading; 0: 4
	MaxPages       int      // of 4 KiB; 0: no limit. Beyond it writes fail as on a full disk
	PageSize       int      // bytes, of a file that is made; 0: 4,096. Larger ones save system calls where much is appended
}

// DB is an open file.
type DB struct {
	path   string
	writer chan *Conn // holds the one writer while nobody uses it
	wpool  *sql.DB
	rpool  *sql.DB
	broken error // an fsync that failed; written by the writer's holder only

	closed    chan struct{}
	closeOnce sync.Once
	closeErr  error
}

// Conn is the writer's connection, lent to one Write at a time.
type Conn struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

// Open opens or makes the file at path, readable for its owner only, and its schema. It refuses a file whose commits would not be durable.
func Open(path string, o Options) (*DB, error) {
	if err := private(path); err != nil {
		return nil, Fault(err, "open "+path)
	}
	pageSize := or(o.PageSize, defaultPageSize)
	if pageSize != defaultPageSize && path != ":memory:" {
		if err := setPageSize(path, pageSize); err != nil {
			return nil, Fault(err, "open "+path)
		}
		o.Schema = append([]string{fmt.Sprintf("PRAGMA wal_autocheckpoint = %d", logPages*defaultPageSize/pageSize)}, o.Schema...)
		o.MaxPages = o.MaxPages * defaultPageSize / pageSize
	}
	d, err := open(path, dsn(path, or(o.WriterCacheKiB, 2_048), o.MaxPages), o)
	return d, Fault(err, "open "+path)
}

// private makes the file where there is none: SQLite would make it for everybody to read. The files beside it get the
// mode that it has.
func private(path string) error {
	if path == ":memory:" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

const (
	defaultPageSize = 4096
	logPages        = 8000 // of the default size: how long the log gets before it is folded into the file
)

// setPageSize makes the file if it is not there: the size of its pages is fixed from the moment it is in WAL
// mode, and the driver sets that mode before a page size that is among a connection's pragmas.
func setPageSize(path string, size int) error {
	if info, err := os.Stat(path); err == nil && info.Size() > 0 {
		return nil
	}
	db, err := sql.Open("sqlite", fileURI(path))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	_, err = db.Exec(fmt.Sprintf("PRAGMA page_size = %d; PRAGMA journal_mode = WAL", size))
	return errors.Join(err, db.Close())
}

func open(path, writerDSN string, o Options) (d *DB, err error) {
	d = &DB{path: path, writer: make(chan *Conn, 1), closed: make(chan struct{})}
	pool, err := sql.Open("sqlite", writerDSN)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = pool.Close()
		}
	}()
	d.wpool = pool
	d.wpool.SetMaxOpenConns(1)
	d.wpool.SetMaxIdleConns(1)
	ctx := context.Background()
	conn, err := d.wpool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	memory := path == ":memory:"
	w := &Conn{conn: conn, stmts: map[string]*sql.Stmt{}}
	if err := w.prepare(ctx, memory, o.Schema); err != nil {
		_ = conn.Close()
		return nil, err
	}
	if memory { // a second connection would be another, empty database
		_ = conn.Close() // back to the pool, which keeps it
		d.rpool = d.wpool
		w.conn = nil
	} else {
		if d.rpool, err = sql.Open("sqlite", dsn(path, or(o.ReaderCacheKiB, 1_024), 0)+"&_pragma=query_only(1)"); err != nil {
			_ = conn.Close()
			return nil, err
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
		return fault.New(fault.Internal, "storage_not_durable",
			fmt.Sprintf("journal_mode is %s and synchronous %d; durable commits need wal and 2 (FULL)", mode, synchronous))
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
		fmt.Sprintf("cache_size(-%d)", cacheKiB), fmt.Sprintf("wal_autocheckpoint(%d)", logPages), "journal_size_limit(67108864)"} {
		q.Add("_pragma", p)
	}
	if maxPages > 0 {
		q.Add("_pragma", fmt.Sprintf("max_page_count(%d)", maxPages))
	}
	if path == ":memory:" {
		return "file::memory:?" + q.Encode()
	}
	return fileURI(path) + "?" + q.Encode()
}

func fileURI(path string) string {
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}).String()
}

// Write runs fn in one transaction and returns when it is durable. Writes of a file run one after the
// other; ctx bounds only the wait for the turn: what has begun is finished. An error or a panic of fn
// rolls back. Kind Full: no space, nothing was written; reads, and often deletes, still work.
// After a failed fsync the file refuses all writes until it is opened anew: what such a failure
// left on the disk can't be known from here.
func (d *DB) Write(ctx context.Context, fn func(c *Conn) error) error {
	w, err := d.turn(ctx)
	if err != nil {
		return err
	}
	defer func() { d.writer <- w }()
	if d.broken != nil {
		return d.broken
	}
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
	committed := false
	defer func() {
		if !committed { // SQLite may have rolled back by itself
			_, _ = w.conn.ExecContext(context.Background(), "ROLLBACK")
		}
	}()
	if err = fn(w); err == nil {
		_, err = w.Exec("COMMIT")
		committed = err == nil
	}
	if err = Fault(err, "write "+d.path); err != nil && failedSync(err) {
		d.broken = &fault.Error{Kind: fault.Unavailable, Code: "storage_broken", Err: err,
			Detail: "the disk failed to keep a write; restart the service once the disk is well"}
	}
	return err
}

// turn takes the writer. Whoever gets it puts it back.
func (d *DB) turn(ctx context.Context) (*Conn, error) {
	closed := fault.New(fault.Unavailable, "storage_closed", "the storage is closed")
	select {
	case <-d.closed:
		return nil, closed
	default:
	}
	select {
	case w := <-d.writer:
		return w, nil
	case <-ctx.Done():
		return nil, fault.As(fault.Unavailable, "storage_busy", ctx.Err())
	case <-d.closed:
		return nil, closed
	}
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
	s, err := c.Stmt(query) //nolint:sqlclosecheck // kept for the next call; forget closes it
	if err != nil {
		return nil, err
	}
	return s.Exec(args...)
}

// Query runs a statement of constant text, prepared once. Close the rows before the next call.
func (c *Conn) Query(query string, args ...any) (*sql.Rows, error) {
	s, err := c.Stmt(query) //nolint:sqlclosecheck // kept for the next call; forget closes it
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

// Close waits for a running Write, refuses those that still wait for their turn, folds the log into the
// file and closes both pools; reads that are running end first. Closing again returns the same.
func (d *DB) Close() error {
	d.closeOnce.Do(func() {
		close(d.closed)
		w := <-d.writer
		w.forget()
		var errs []error
		if d.rpool != d.wpool {
			errs = append(errs, d.rpool.Close())
			// Rows that somebody forgot keep a part of the log from being folded: the next Open does it.
			_, err := w.conn.ExecContext(context.Background(), "PRAGMA busy_timeout(250); PRAGMA wal_checkpoint(TRUNCATE)")
			errs = append(errs, err, w.conn.Close())
		}
		errs = append(errs, d.wpool.Close())
		d.closeErr = Fault(errors.Join(errs...), "close "+d.path)
	})
	return d.closeErr
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
