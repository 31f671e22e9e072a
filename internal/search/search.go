// Package search keeps the index: a view of the record that finds entries fast.
//
// What it promises:
//   - Add is idempotent by id: an entry is found once however often it was added.
//   - What Add reported as Indexed is found by a later Search within the backend's refresh interval
//     (at once in the embedded one), and survives a crash.
//   - Both backends find the same entries for the same query: terms are cut by query.Tokens alone.
//   - A search never finds an entry of another tenant than the one that was asked for.
//
// It may lag, it may be rebuilt from the record, and it is never the only copy.
//
// What it leaves to its caller: entries come from the record (a duplicate is added as the record holds
// it, with the record's received_at and timestamp). All methods may be called concurrently.
package search

import (
	"context"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// Verdict is what became of one record of an Add.
type Verdict uint8

const (
	Indexed Verdict = iota + 1 // it is found now, or was before
	Retry                      // not now: add it again later
	Refused                    // this index can never take it: for quarantine; the record has it
)

// Index is the index and the life of the connection.
type Index interface {
	// Add makes records searchable. The verdicts are in the records' order; an error means that nothing
	// is known of any of them: add all again. Kind Full: no space.
	Add(ctx context.Context, records []logentry.Record) ([]Verdict, error)
	// Search returns the page of entries that q asks for, as ids and places; the entries themselves come
	// from the record. Kind Timeout where the query took longer than ctx allows.
	Search(ctx context.Context, t auth.Tenant, q query.Query) (query.Page, error)
	// Stats counts the entries that Where of q asks for; the rest of q means nothing here. Kind Malformed, code
	// too_many_buckets, where the interval is too short for the times of the entries, or too_many_numbers, where a
	// metric has more than MaxNumbers; kind Timeout as in Search.
	Stats(ctx context.Context, t auth.Tenant, q query.Query, r StatsRequest) (Stats, error)
	// Empty says whether nothing was ever indexed, in which case the record must be read into it.
	Empty(ctx context.Context) (bool, error)
	// PurgeTenant takes a step of removing a tenant, by its internal id: n is how many of its entries the step
	// removed, about max at the most, and more says that there is more to do. It may be called again and again and
	// after a crash anywhere; what is added meanwhile is removed by a later call.
	PurgeTenant(ctx context.Context, tenantID string, max int) (n int64, more bool, err error)
	// PurgeOld is PurgeTenant for those of its entries that were received before a time: nothing younger is touched.
	PurgeOld(ctx context.Context, tenantID string, before time.Time, max int) (n int64, more bool, err error)
	// Ping says whether the index answers.
	Ping(ctx context.Context) error
	// Close releases what the backend holds; calls still running end first.
	Close() error
}
