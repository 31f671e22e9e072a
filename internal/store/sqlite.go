package store

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/sqlite"
)

// SQLiteConfig are the settings of the embedded store.
type SQLiteConfig struct {
	WriterCacheKiB int // page cache of the writer; 0: 12,288
	ReaderCacheKiB int // page cache of each reader; 0: 1,024
	MaxPages       int // of 4 KiB; 0: no limit. Beyond it writes fail as on a full disk
}

// SQLite is the store in one SQLite file. Records lie in compressed blocks of one tenant each, so that
// removing a tenant's old blocks leaves none of its bytes behind in anybody else's; entries says in
// which block and slot an id lies, as place = seq<<6 | slot, which is the commit order too.
type SQLite struct {
	db *sqlite.DB

	turn    chan struct{} // held by the Put that commits for all that wait
	mu      sync.Mutex
	waiting []*put

	watchers watchers

	life   sync.RWMutex // read-locked by every call, locked by Close
	closed bool

	texts   texts
	owners  sync.Map // internal tenant id → num; only what is committed
	stmts   sync.Map // text → *sql.Stmt on the readers
	scratch sync.Pool
	backlog atomic.Int64
	purged  atomic.Int64 // when expired counters were last removed, in nanoseconds
}

var schema = []string{
	`CREATE TABLE IF NOT EXISTS owners(num INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE)`,
	`CREATE TABLE IF NOT EXISTS blocks(seq INTEGER PRIMARY KEY AUTOINCREMENT, tenant INTEGER NOT NULL, count INTEGER NOT NULL,
		ts_min INTEGER NOT NULL, ts_max INTEGER NOT NULL, received_min INTEGER NOT NULL, received_max INTEGER NOT NULL, body BLOB NOT NULL)`,
	`CREATE INDEX IF NOT EXISTS blocks_newest ON blocks(tenant, received_max)`,
	`CREATE INDEX IF NOT EXISTS blocks_oldest ON blocks(tenant, received_min)`,
	`CREATE TABLE IF NOT EXISTS entries(id BLOB PRIMARY KEY, tenant INTEGER NOT NULL, ts INTEGER NOT NULL, place INTEGER NOT NULL) WITHOUT ROWID`,
	`CREATE INDEX IF NOT EXISTS entries_time ON entries(tenant, ts, id, place)`,
	`CREATE TABLE IF NOT EXISTS backlog(num INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, at INTEGER NOT NULL)`,
	`CREATE TABLE IF NOT EXISTS quarantine(num INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL,
		body BLOB, receives INTEGER NOT NULL, sent_at INTEGER, at INTEGER NOT NULL)`,
	`CREATE TABLE IF NOT EXISTS counters(key TEXT PRIMARY KEY, total INTEGER NOT NULL, expires_at INTEGER NOT NULL) WITHOUT ROWID`,
	`CREATE INDEX IF NOT EXISTS counters_expiry ON counters(expires_at)`,
	`CREATE TABLE IF NOT EXISTS tenants(num INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, slug TEXT NOT NULL UNIQUE, name TEXT NOT NULL, created_at INTEGER NOT NULL)`,
	// What a tenant got later stands beside it, so that a file of an older version needs no change.
	`CREATE TABLE IF NOT EXISTS tenant_state(id TEXT PRIMARY KEY, settings TEXT NOT NULL, suspended INTEGER NOT NULL, delete_at INTEGER NOT NULL, version INTEGER NOT NULL) WITHOUT ROWID`,
	`CREATE TABLE IF NOT EXISTS documents(kind TEXT NOT NULL, id TEXT NOT NULL, tenant TEXT NOT NULL, body BLOB, version INTEGER NOT NULL,
		changed_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, UNIQUE(kind, id))`,
	`CREATE INDEX IF NOT EXISTS documents_tenant ON documents(kind, tenant, id)`,
	`CREATE INDEX IF NOT EXISTS documents_changed ON documents(kind, changed_at)`,
	`CREATE INDEX IF NOT EXISTS documents_expired ON documents(expires_at) WHERE expires_at>0`,
}

// texts are the statements of many marks.
type texts struct {
	insert, queue   [blockSlots]string // of 1 … 64 rows
	one, many, drop string             // for 1 id, 64, 64
	remove          string             // for 64
	blocks          string             // for blocksAtOnce
}

func newTexts() texts {
	marks := sqlite.Placeholders(1, blockSlots)
	t := texts{
		one:    "SELECT id, tenant, place FROM entries WHERE id=?",
		many:   "SELECT id, tenant, place FROM entries WHERE id IN " + marks,
		drop:   "DELETE FROM backlog WHERE id IN " + marks,
		remove: "DELETE FROM entries WHERE id IN " + marks,
		blocks: "SELECT b.seq, o.id, b.body FROM blocks b JOIN owners o ON o.num=b.tenant WHERE b.seq IN " + sqlite.Placeholders(1, blocksAtOnce),
	}
	for i := range blockSlots {
		t.insert[i] = "INSERT OR IGNORE INTO entries VALUES " + sqlite.Placeholders(i+1, 4)
		t.queue[i] = "INSERT OR IGNORE INTO backlog(id, at) VALUES " + sqlite.Placeholders(i+1, 2)
	}
	return t
}

// scratch is the memory that packing and unpacking reuse.
type scratch struct {
	packer
	block
}

// NewSQLite opens or makes the store at path; ":memory:" keeps it in memory.
func NewSQLite(path string, cfg SQLiteConfig) (*SQLite, error) {
	if cfg.WriterCacheKiB == 0 {
		cfg.WriterCacheKiB = 12_288
	}
	db, err := sqlite.Open(path, sqlite.Options{Schema: schema, WriterCacheKiB: cfg.WriterCacheKiB,
		ReaderCacheKiB: cfg.ReaderCacheKiB, MaxPages: cfg.MaxPages})
	if err != nil {
		return nil, fault.Wrap(err, "open the store")
	}
	s := &SQLite{db: db, turn: make(chan struct{}, 1), texts: newTexts()}
	s.scratch.New = func() any { return new(scratch) }
	var waiting int64
	if err := db.Reader().QueryRow("SELECT count(*) FROM backlog").Scan(&waiting); err != nil {
		_ = db.Close()
		return nil, sqlite.Fault(err, "open the store")
	}
	s.backlog.Store(waiting)
	return s, nil
}

// Ping says whether the file can be read.
func (s *SQLite) Ping(ctx context.Context) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.db.Ping(ctx)
}

// enter begins a call; without an error, leave ends it.
func (s *SQLite) enter() error {
	s.life.RLock()
	if s.closed {
		s.life.RUnlock()
		return fault.New(fault.Unavailable, "storage_closed", "the store is closed")
	}
	return nil
}

func (s *SQLite) leave() { s.life.RUnlock() }

// Close closes the file once running calls have ended; later calls fail with kind Unavailable.
func (s *SQLite) Close() error {
	s.life.Lock()
	defer s.life.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.stmts.Range(func(_, stmt any) bool {
		_ = stmt.(*sql.Stmt).Close()
		return true
	})
	return s.db.Close()
}

// query runs a statement of constant text on a reader. In memory there is one connection for all, so
// rows must be closed before the next call.
func (s *SQLite) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	stmt, ok := s.stmts.Load(text)
	if !ok {
		fresh, err := s.db.Reader().PrepareContext(ctx, text)
		if err != nil {
			return nil, err
		}
		if stmt, ok = s.stmts.LoadOrStore(text, fresh); ok {
			_ = fresh.Close()
		}
	}
	return stmt.(*sql.Stmt).QueryContext(ctx, args...)
}

// each runs a query and calls row for each row of it until there are no more or row fails.
func (s *SQLite) each(ctx context.Context, text string, args []any, row func(*sql.Rows) error) error {
	rows, err := s.query(ctx, text, args...)
	if err != nil {
		return err
	}
	for rows.Next() {
		if err := row(rows); err != nil {
			_ = rows.Close()
			return err
		}
	}
	if err := rows.Err(); err != nil {
		_ = rows.Close()
		return err
	}
	return rows.Close()
}

// owner returns the number that stands for a tenant in this file; ok is false where it has no entries.
func (s *SQLite) owner(ctx context.Context, tenantID string) (num int64, ok bool, err error) {
	if tenantID == "" {
		return 0, false, nil
	}
	if n, ok := s.owners.Load(tenantID); ok {
		return n.(int64), true, nil
	}
	err = s.each(ctx, "SELECT num FROM owners WHERE id=?", []any{tenantID}, func(rows *sql.Rows) error { return rows.Scan(&num) })
	if err != nil || num == 0 {
		return 0, false, err
	}
	s.owners.Store(tenantID, num)
	return num, true, nil
}

// failed turns what a read came to into a fault.
func failed(err error, doing string) error {
	if errors.Is(err, errBlock) {
		return fault.As(fault.Corrupt, "record_corrupt", fault.Wrap(err, doing))
	}
	return sqlite.Fault(err, doing)
}
