// Package store keeps the record: what is Put is durable and idempotent by id, and everything else
// can be rebuilt from it.
//
// What it promises:
//   - Put returns only after every record with the verdict Stored or Duplicate would survive a crash.
//   - An id is stored once, whatever was put how often; the first version stays, later ones are Duplicates.
//   - JSON is kept byte for byte, with its SHA-256 computed on Put; a read verifies nothing twice but
//     returns the same bytes.
//   - A read never returns a record of another tenant than the one that was asked for.
//   - Documents, the small things besides entries, and tenants change by compare-and-set: see Documents.
//
// What it leaves to its caller: valid records (the validator's business), and not to change a slice
// while a call is running. Returned slices belong to the caller. All methods may be called concurrently.
package store

import (
	"cmp"
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/tenant"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// Verdict is what became of one record of a Put.
type Verdict uint8

const (
	Stored    Verdict = iota + 1 // new, durable
	Duplicate                    // its id was there already: the record as held was read back
	Rejected                     // this store can never take it (too large, say): for quarantine
	Retry                        // not now: the same record may be put again
)

// Position is a place in commit order: the order in which records became durable. It is opaque, and
// positions of one store compare with each other only. The empty position is before everything.
type Position string

// Compare is negative where p lies before another position of the same store, 0 where they are the same.
func (p Position) Compare(other Position) int {
	if p == "" || other == "" {
		return cmp.Compare(len(p), len(other))
	}
	for a, b := string(p), string(other); ; {
		var x, y string
		var more, both bool
		x, a, more = strings.Cut(a, "-")
		y, b, both = strings.Cut(b, "-")
		m, _ := strconv.ParseInt(x, 10, 64)
		n, _ := strconv.ParseInt(y, 10, 64)
		if c := cmp.Compare(m, n); c != 0 || !more || !both {
			return c
		}
	}
}

// Quarantined is an envelope, or an entry of one, that could not be processed, kept with the reason.
type Quarantined struct {
	ID       string    // made by the store; empty on Quarantine
	TenantID string    // internal id; empty where it could not be read
	Reason   string    // a stable code: envelope_corrupt, envelope_unknown_format, record_rejected, index_refused, crash_loop, tenant_unknown …
	Detail   string    // for people
	Body     []byte    // the bytes as received
	Receives int       // how often the queue had handed it out
	SentAt   time.Time // when the queue took it
	At       time.Time // when it was put here
}

// BacklogStats is how much is recorded but not yet indexed.
type BacklogStats struct {
	Entries int64
	Oldest  time.Duration // age of the oldest; 0 when there is none
}

// Records is the record of entries.
type Records interface {
	// Put makes records durable, whichever tenants they belong to (Entry.TenantID). The verdicts are in
	// the records' order. A Duplicate is replaced in the slice by the record as the store holds it, so
	// that the index follows the record. An error means that nothing is known of any of them: put all again.
	// Kind Full: no space.
	Put(ctx context.Context, records []logentry.Record) ([]Verdict, error)
	// Get returns one record; kind NotFound where there is none or it is another tenant's.
	Get(ctx context.Context, t auth.Tenant, id logentry.ID) (logentry.Record, error)
	// GetMany returns the records of ids in their order; those that are absent are left out.
	GetMany(ctx context.Context, t auth.Tenant, ids []logentry.ID) ([]logentry.Record, error)
	// Find answers a query from the record. A backend without text search refuses text terms with
	// kind Unavailable, code search_unavailable.
	Find(ctx context.Context, t auth.Tenant, q query.Query) (query.Page, error)
	// Export calls yield with each record that q finds, in its order, from q.After on: all of them, whatever
	// q.Limit and q.Skip say, text too. It holds a bounded number of them; yield may keep its record. An error of yield ends it
	// and is returned as it is. What is Put meanwhile may be seen or not; everything else is seen once.
	Export(ctx context.Context, t auth.Tenant, q query.Query, yield func(logentry.Record) error) error
	// Scan returns up to max records of all tenants in commit order, from after on, and where to go on.
	// Fewer than max records means that the end was reached. For rebuilding and following: who answers callers
	// picks out what is theirs.
	Scan(ctx context.Context, after Position, max int) ([]logentry.Record, Position, error)
	// ScanTo is Scan that passes no record beyond to, which is a position as well: it ends there, or at the end.
	ScanTo(ctx context.Context, after, to Position, max int) ([]logentry.Record, Position, error)
	// End is a position that everything durable now lies before. What is being Put may come to lie before it too.
	End(ctx context.Context) (Position, error)
	// Watch calls ring once it watches, and then whenever something is Put, by whatever process: a moment before a Scan
	// finds it, or behind. One call may stand for many, and some may be missing: it says when a Scan is worth while, nothing
	// else. ring must return at once. Watch returns when ctx ends, or with what keeps it from watching.
	Watch(ctx context.Context, ring func()) error
}

// Backlog is what is recorded but not yet indexed. It is kept as ids; the entries come from the record.
type Backlog interface {
	// AddBacklog makes ids durable before it returns; an id that is there already stays once.
	AddBacklog(ctx context.Context, ids []logentry.ID) error
	// ReadBacklog returns up to max records of the backlog, oldest first; where thousands wait they may begin
	// further on, so that those who share a backlog seldom get the same ones. Ids whose record is gone are
	// dropped from the backlog on the way. Reading removes nothing.
	ReadBacklog(ctx context.Context, max int) ([]logentry.Record, error)
	// DropBacklog removes ids once the index has them.
	DropBacklog(ctx context.Context, ids []logentry.ID) error
	BacklogStats(ctx context.Context) (BacklogStats, error)
}

// Quarantine keeps what could not be processed.
type Quarantine interface {
	// Quarantine makes items durable before it returns.
	Quarantine(ctx context.Context, items []Quarantined) error
	// ListQuarantine returns up to max items, newest first.
	ListQuarantine(ctx context.Context, max int) ([]Quarantined, error)
	CountQuarantine(ctx context.Context) (int64, error)
}

// Tenants are the tenants that exist.
type Tenants interface {
	// CreateTenant stores a new tenant; kind Conflict, code tenant_exists, where the slug is taken.
	CreateTenant(ctx context.Context, t tenant.Info) error
	// ListTenants returns all tenants by slug.
	ListTenants(ctx context.Context) ([]tenant.Info, error)
	// UpdateTenant puts Name, Settings, Suspended and DeleteAt in place of what the tenant with t.ID has, and
	// returns it as it is kept. Kind Conflict, code tenant_changed: its version is not t.Version any more. Kind
	// NotFound, code tenant_not_found: there is none.
	UpdateTenant(ctx context.Context, t tenant.Info) (tenant.Info, error)
	// DeleteTenant removes the tenant itself, by its internal id, once everything of it is gone; from then on its
	// slug may be given to another. One that is not there is none the worse.
	DeleteTenant(ctx context.Context, id string) error
}

// Store is all of it and the life of the connection.
type Store interface {
	Records
	Backlog
	Quarantine
	Tenants
	Documents
	Purger
	Counters
	// Ping says whether the store answers.
	Ping(ctx context.Context) error
	// Close releases what the backend holds; calls still running end first.
	Close() error
}
