package search

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/sqlite"
)

// SQLiteConfig is how much the embedded index may use. The zero value is right for most.
type SQLiteConfig struct {
	WriterCacheKiB int // page cache of the writer; 0: 8,192. It mostly appends, so more gains little
	ReaderCacheKiB int // page cache of each reader; 0: 1,024
	Readers        int // searches at the same time, others wait; 0: 4
	MaxPages       int // of 4 KiB; 0: no limit. Beyond it Add fails as on a full disk
}

// SQLite is the index in one file, found by FTS5. It makes entries searchable before Add returns.
type SQLite struct {
	db       *sqlite.DB
	memory   bool
	maxSlots int64 // in a bucket

	life   sync.RWMutex // read-held by every call, taken by Close
	closed bool

	spill   atomic.Int64 // how many buckets behind its own a row may be
	arrival arrivalWay

	tenantsMu sync.RWMutex
	tenants   map[string]int64

	line     *line     // the Adds that wait
	builders sync.Pool // of *builder, for terms that are made ahead

	// What follows belongs to whoever leads the line.
	loaded    bool // what follows is what the file says
	structure structure
	merges    []*merge
	purge     *purging
	hunt      *hunt // for old entries to purge
	atOnce    int   // rows of old entries that a segment is rewritten for
	secret    bool  // garbage holds what a purge left out
	garbage   []int // ids of segments whose pages are still there
	lastRow   int64 // the highest
	builder   *builder
}

const (
	formatVersion = 4     // 2: metadata, changes, what is absent, versions by their order; 3: metadata behind what lies too deep; 4: docs by arrival
	filePageSize  = 16384 // an Add writes megabytes; pages of 4 KiB cost a fifth more CPU, mostly in the kernel
)

var sqliteSchema = []string{
	"CREATE TABLE IF NOT EXISTS facts(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
	fmt.Sprintf("INSERT OR IGNORE INTO facts VALUES('format', %d), ('spill', 0)", formatVersion),
	"CREATE TABLE IF NOT EXISTS tenants(num INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE)",
	"CREATE TABLE IF NOT EXISTS docs(first INTEGER PRIMARY KEY, received INTEGER NOT NULL, spread INTEGER NOT NULL, entries BLOB NOT NULL)",
	"CREATE INDEX IF NOT EXISTS docs_arrival ON docs(received, spread)",
	"CREATE VIRTUAL TABLE IF NOT EXISTS fts USING fts5(message, meta, content='', columnsize=0, detail=full, tokenize='ascii')",
}

// NewSQLite opens or makes the index at path. ":memory:" keeps it in memory, for tests. One of an older format
// is replaced by an empty one, which Empty tells: the record is then read into it again.
func NewSQLite(path string, cfg SQLiteConfig) (*SQLite, error) {
	if cfg.WriterCacheKiB == 0 {
		cfg.WriterCacheKiB = 8192
	}
	if err := removeOutdated(path); err != nil {
		return nil, err
	}
	db, err := sqlite.Open(path, sqlite.Options{Schema: sqliteSchema, WriterCacheKiB: cfg.WriterCacheKiB,
		ReaderCacheKiB: cfg.ReaderCacheKiB, Readers: cfg.Readers, MaxPages: cfg.MaxPages, PageSize: filePageSize})
	if err != nil {
		return nil, err
	}
	x := &SQLite{db: db, memory: path == ":memory:", maxSlots: maxSlots, arrival: usualArrival, atOnce: oldAtOnce, builder: newBuilder(), line: newLine()}
	x.builders.New = func() any { return newBuilder() }
	if err := db.Write(context.Background(), x.load); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return x, nil
}

// load reads what the leader keeps in memory. Merges that were on their way begin again.
func (x *SQLite) load(c *sqlite.Conn) error {
	var format, spill int64
	var record []byte
	var last sql.NullInt64
	var size int64
	for query, to := range map[string][]any{
		"SELECT value FROM facts WHERE name = 'format'": {&format},
		"SELECT value FROM facts WHERE name = 'spill'":  {&spill},
		"SELECT block FROM fts_data WHERE id = 10":      {&record},
		"SELECT max(first), coalesce(max(length(entries)), 0) FROM (SELECT first, entries FROM docs ORDER BY first DESC LIMIT 1)": {&last, &size},
	} {
		if err := one(c, query, nil, to...); err != nil {
			return err
		}
	}
	if format != formatVersion {
		return fault.New(fault.Corrupt, "index_format", fmt.Sprintf("the index has format %d, this version reads %d: remove its file, it will be built again from the record", format, formatVersion))
	}
	s, err := parseStructure(record)
	if err != nil {
		return damaged(err)
	}
	tenants := map[string]int64{}
	rows, err := c.Query("SELECT num, id FROM tenants")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var num int64
		var id string
		if err := rows.Scan(&num, &id); err != nil {
			return err
		}
		tenants[id] = num
	}
	if err := rows.Err(); err != nil {
		return err
	}
	garbage, err := orphans(c, s.segments)
	if err != nil {
		return err
	}
	x.structure, x.garbage, x.merges, x.purge, x.hunt, x.lastRow = s, garbage, nil, nil, nil, beforeAnyRow
	if last.Valid {
		x.lastRow = last.Int64 + size/docSize - 1
	}
	x.spill.Store(spill)
	x.tenantsMu.Lock()
	x.tenants = tenants
	x.tenantsMu.Unlock()
	x.loaded = true
	return nil
}

// orphans are the ids of segments that have pages or splits and are in no structure: what a merge or a removal
// left that did not come to its end.
func orphans(c *sqlite.Conn, known []segment) (ids []int, err error) {
	seen := map[int]bool{}
	for _, g := range known {
		seen[g.id] = true
	}
	for _, next := range []string{"SELECT min(id) >> 37 FROM fts_data WHERE id >= ? << 37", "SELECT min(segid) FROM fts_idx WHERE segid >= ?"} {
		for from := 1; ; from++ {
			var id sql.NullInt64
			if err := one(c, next, []any{from}, &id); err != nil {
				return nil, err
			}
			if !id.Valid {
				break
			}
			if from = int(id.Int64); !seen[from] {
				seen[from] = true
				ids = append(ids, from)
			}
		}
	}
	return ids, nil
}

// one reads the one row of a query.
func one(c *sqlite.Conn, query string, args []any, to ...any) error {
	s, err := c.Stmt(query)
	if err != nil {
		return err
	}
	return s.QueryRow(args...).Scan(to...)
}

func damaged(err error) error {
	if errors.Is(err, errDamaged) {
		return &fault.Error{Kind: fault.Corrupt, Code: "index_damaged", Detail: errDamaged.Error()}
	}
	return err
}

// newSegmentID is an id that no segment has, and no page that is left of one.
func (x *SQLite) newSegmentID() int {
	used := map[int]bool{}
	for _, g := range x.structure.segments {
		used[g.id] = true
	}
	for _, m := range x.merges {
		used[m.out.id] = true
	}
	if x.purge != nil {
		used[x.purge.out.id] = true
	}
	for _, id := range x.garbage {
		used[id] = true
	}
	for id := 1; ; id++ {
		if !used[id] {
			return id
		}
	}
}

// enter keeps the index open until leave.
func (x *SQLite) enter() (leave func(), err error) {
	x.life.RLock()
	if x.closed {
		x.life.RUnlock()
		return nil, fault.New(fault.Unavailable, "storage_closed", "the index is closed")
	}
	return x.life.RUnlock, nil
}

// Empty says whether nothing was ever indexed.
func (x *SQLite) Empty(ctx context.Context) (bool, error) {
	leave, err := x.enter()
	if err != nil {
		return false, err
	}
	defer leave()
	var some bool
	err = x.db.Reader().QueryRowContext(ctx, "SELECT EXISTS(SELECT 1 FROM docs)").Scan(&some)
	return !some, sqlite.Fault(err, "look whether the index is empty")
}

// Ping says whether the file can be read.
func (x *SQLite) Ping(ctx context.Context) error {
	leave, err := x.enter()
	if err != nil {
		return err
	}
	defer leave()
	return x.db.Ping(ctx)
}

// Close ends when the calls that are running have ended. Closing again does nothing.
func (x *SQLite) Close() error {
	x.life.Lock()
	defer x.life.Unlock()
	x.closed = true
	return x.db.Close()
}
