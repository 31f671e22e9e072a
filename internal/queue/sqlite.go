package queue

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/sqlite"
)

const (
	sqliteMaxBytes = 1 << 20        // what SQS takes, so that a mistake shows here too
	maxReceive     = 10             // messages of one Receive
	maxVisibility  = 12 * time.Hour // what SQS takes
)

// The body has a table of its own: a claim changes the message's row, and would write the body again.
var sqliteSchema = []string{
	`CREATE TABLE IF NOT EXISTS q(id INTEGER PRIMARY KEY AUTOINCREMENT, sent_at INTEGER NOT NULL,
		visible_at INTEGER NOT NULL, receives INTEGER NOT NULL DEFAULT 0, receipt INTEGER)`,
	`CREATE INDEX IF NOT EXISTS q_visible ON q(visible_at, id)`,
	`CREATE TABLE IF NOT EXISTS q_body(id INTEGER PRIMARY KEY, body BLOB NOT NULL, trace TEXT NOT NULL DEFAULT '')`,
}

// SQLiteConfig is what the embedded queue can be told.
type SQLiteConfig struct {
	MaxPages int // of 4 KiB in the file; default 0: no limit. Beyond it Send answers Full
}

// SQLite is the queue in one file, for one process. Times are counted from the process's start by the
// monotonic clock, so that a clock that jumps neither hides nor repeats messages.
type SQLite struct {
	db     *sqlite.DB
	commit committer
	start  time.Time
	lastID int64 // of the last message; used inside a transaction only

	mu      sync.Mutex
	next    int64         // when the first message becomes visible, or earlier; MaxInt64: there is none
	changed chan struct{} // closed and made anew when next comes nearer
	closed  chan struct{}
	calls   sync.WaitGroup
}

// NewSQLite opens or makes the queue at path; ":memory:" is for tests. Messages that another process
// held when it ended are visible at once: nobody has their receipts any more.
func NewSQLite(path string, cfg SQLiteConfig) (*SQLite, error) {
	db, err := sqlite.Open(path, sqlite.Options{Schema: sqliteSchema, MaxPages: cfg.MaxPages})
	if err != nil {
		return nil, fault.Wrap(err, "queue")
	}
	q := &SQLite{db: db, commit: committer{db: db}, start: time.Now(), changed: make(chan struct{}), closed: make(chan struct{})}
	err = db.Write(context.Background(), func(c *sqlite.Conn) error {
		if err := addTrace(c); err != nil {
			return err
		}
		now := q.now()
		if _, err := c.Exec("UPDATE q SET visible_at = ? WHERE visible_at > ?", now, now); err != nil {
			return err
		}
		q.next, err = nextVisible(c)
		if err != nil {
			return err
		}
		return scanOne(c, &q.lastID, "SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'q'), 0), coalesce((SELECT max(id) FROM q), 0))")
	})
	if err != nil {
		_ = db.Close()
		return nil, fault.Wrap(err, "queue")
	}
	return q, nil
}

// addTrace gives the column to files that were made before there were traces.
func addTrace(c *sqlite.Conn) error {
	var has int64
	if err := scanOne(c, &has, "SELECT count(*) FROM pragma_table_info('q_body') WHERE name = 'trace'"); err != nil || has > 0 {
		return err
	}
	_, err := c.Exec("ALTER TABLE q_body ADD COLUMN trace TEXT NOT NULL DEFAULT ''")
	return err
}

// now is the time in microseconds since 1970, as the process's start saw it.
func (q *SQLite) now() int64 { return q.start.Add(time.Since(q.start)).UnixMicro() }

// begin counts a call, so that Close can wait for it.
func (q *SQLite) begin() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-q.closed:
		return errClosed()
	default:
		q.calls.Add(1)
		return nil
	}
}

func errClosed() error { return fault.New(fault.Unavailable, "queue_closed", "the queue is closed") }

// Limits are those of SQS, but for the text.
func (q *SQLite) Limits() Limits { return Limits{MaxBytes: sqliteMaxBytes, Binary: true} }

// Send stores messages; those of one call, and of calls at the same time, share a transaction.
func (q *SQLite) Send(ctx context.Context, messages []Outgoing) []error {
	var errs []error
	fail := func(i int, err error) {
		if errs == nil {
			errs = make([]error, len(messages))
		}
		errs[i] = err
	}
	take := make([]int, 0, len(messages))
	for i, m := range messages {
		switch {
		case len(m.Body) > sqliteMaxBytes:
			fail(i, fault.New(fault.TooLarge, "message_too_large", fmt.Sprintf("a message is at most %d bytes", sqliteMaxBytes)))
		case len(m.Body) == 0:
			fail(i, fault.New(fault.Invalid, "message_empty", "a message has at least one byte"))
		default:
			take = append(take, i)
		}
	}
	if len(take) == 0 {
		return errs
	}
	if err := q.send(ctx, messages, take); err != nil {
		for _, i := range take {
			fail(i, fault.Wrap(err, "send"))
		}
	}
	return errs
}

func (q *SQLite) send(ctx context.Context, messages []Outgoing, take []int) error {
	if err := q.begin(); err != nil {
		return err
	}
	defer q.calls.Done()
	now := q.now()
	return q.commit.do(ctx, &write{
		run: func(c *sqlite.Conn) error {
			for rest := take; len(rest) > 0; {
				part := rest[:min(len(rest), maxReceive)]
				rest = rest[len(part):]
				rows, bodies := make([]any, 0, 3*len(part)), make([]any, 0, 3*len(part))
				for _, i := range part {
					q.lastID++
					rows = append(rows, q.lastID, now, now)
					bodies = append(bodies, q.lastID, messages[i].Body, messages[i].Trace)
				}
				if _, err := c.Exec("INSERT INTO q(id, sent_at, visible_at) VALUES "+sqlite.Placeholders(len(part), 3), rows...); err != nil {
					return err
				}
				if _, err := c.Exec("INSERT INTO q_body(id, body, trace) VALUES "+sqlite.Placeholders(len(part), 3), bodies...); err != nil {
					return err
				}
			}
			return nil
		},
		settled: func() { q.nearer(now) },
	})
}

// nearer notes that a message becomes visible at t, and wakes those who wait.
func (q *SQLite) nearer(t int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if t < q.next {
		q.next = t
		close(q.changed)
		q.changed = make(chan struct{})
	}
}

// Extend answers NotFound for a delivery that was deleted or handed out again.
func (q *SQLite) Extend(ctx context.Context, receipts []string, visibility time.Duration) []error {
	if err := q.begin(); err != nil {
		return all(err, len(receipts))
	}
	defer q.calls.Done()
	return q.extend(ctx, receipts, clamp(visibility))
}

func (q *SQLite) extend(ctx context.Context, receipts []string, visibility time.Duration) []error {
	pairs, bad := parseReceipts(receipts)
	if len(pairs) == 0 {
		return bad
	}
	ours := map[string]bool{}
	var until int64
	err := q.commit.do(ctx, &write{
		run: func(c *sqlite.Conn) error {
			clear(ours)
			until = q.now() + visibility.Microseconds()
			return eachChunk(pairs, func(marks string, args []any) error {
				rows, err := c.Query("UPDATE q SET visible_at = ? WHERE id IN "+named(marks)+" RETURNING id, receipt", append([]any{until}, args...)...)
				if err != nil {
					return err
				}
				for rows.Next() {
					var id, receipt int64
					if err = rows.Scan(&id, &receipt); err != nil {
						break
					}
					ours[receiptOf(id, receipt)] = true
				}
				return closeRows(rows, err)
			})
		},
		settled: func() {
			if len(ours) > 0 {
				q.nearer(until)
			}
		},
	})
	if err != nil {
		return all(fault.Wrap(err, "extend"), len(receipts))
	}
	for i, r := range receipts {
		if !ours[r] && (bad == nil || bad[i] == nil) {
			if bad == nil {
				bad = make([]error, len(receipts))
			}
			bad[i] = fault.New(fault.NotFound, "delivery_lost", "the message was deleted or handed out again")
		}
	}
	return bad
}

// Delete removes messages and their bodies; the file uses the space again.
func (q *SQLite) Delete(ctx context.Context, receipts []string) []error {
	if err := q.begin(); err != nil {
		return all(err, len(receipts))
	}
	defer q.calls.Done()
	pairs, bad := parseReceipts(receipts)
	if len(pairs) == 0 {
		return bad
	}
	err := q.commit.do(ctx, &write{run: func(c *sqlite.Conn) error {
		return eachChunk(pairs, func(marks string, args []any) error {
			// The bodies first, while the messages still tell which receipts are good.
			if _, err := c.Exec("DELETE FROM q_body WHERE id IN "+named(marks), args...); err != nil {
				return err
			}
			_, err := c.Exec("DELETE FROM q WHERE id IN "+named(marks), args...)
			return err
		})
	}})
	if err != nil {
		return all(fault.Wrap(err, "delete"), len(receipts))
	}
	return bad
}

// Stats counts exactly.
func (q *SQLite) Stats(ctx context.Context) (Stats, error) {
	if err := q.begin(); err != nil {
		return Stats{}, err
	}
	defer q.calls.Done()
	s := Stats{Dead: -1}
	var oldest sql.NullInt64
	now := q.now()
	err := q.db.Reader().QueryRowContext(ctx, `SELECT (SELECT count(*) FROM q WHERE visible_at <= ?),
		(SELECT count(*) FROM q WHERE visible_at > ?), (SELECT sent_at FROM q ORDER BY id LIMIT 1)`, now, now).
		Scan(&s.Visible, &s.InFlight, &oldest)
	if err != nil {
		return Stats{}, sqlite.Fault(err, "queue stats")
	}
	if oldest.Valid {
		s.Oldest = time.Duration(max(now-oldest.Int64, 0)) * time.Microsecond
	}
	return s, nil
}

// Ping says whether the file can be read.
func (q *SQLite) Ping(ctx context.Context) error {
	if err := q.begin(); err != nil {
		return err
	}
	defer q.calls.Done()
	return fault.Wrap(q.db.Ping(ctx), "queue")
}

// Close ends waiting Receives, waits for the other calls, and closes the file.
func (q *SQLite) Close() error {
	q.mu.Lock()
	select {
	case <-q.closed:
	default:
		close(q.closed)
	}
	q.mu.Unlock()
	q.calls.Wait()
	return fault.Wrap(q.db.Close(), "queue")
}

// scanOne reads one number; where there is no row it leaves v as it is.
func scanOne(c *sqlite.Conn, v *int64, query string) error {
	rows, err := c.Query(query)
	if err != nil {
		return err
	}
	if rows.Next() {
		err = rows.Scan(v)
	}
	return closeRows(rows, err)
}

func closeRows(rows *sql.Rows, err error) error {
	if closing := rows.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = rows.Err()
	}
	return err
}

func clamp(visibility time.Duration) time.Duration { return max(0, min(visibility, maxVisibility)) }

func all(err error, n int) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}
