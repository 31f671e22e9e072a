package store

import (
	"context"
	"time"

	"github.com/ocelot-log/ocelot/internal/document"
	"github.com/ocelot-log/ocelot/internal/fault"
)

// Documents keeps what the service needs besides entries: keys, tokens, sessions, views, jobs, leases.
//
//   - A write is durable before it returns, and of two that change the same version one fails.
//   - Version, ChangedAt and what has expired go by the store: no process's clock decides but the one that
//     gave ExpiresAt. Times are kept in milliseconds.
//   - What was deleted or has expired is found by no read. DocumentChanges shows it as Deleted for at least
//     an hour, so that a cache which asks every few seconds misses nothing. One that expires is not a
//     change: who holds it holds its ExpiresAt.
//   - ChangedAt is given before a change becomes visible: changes that came close together may show up in
//     another order. Ask again for the last ten seconds.
//
// The body is kept byte for byte. A document knows its tenant, and the store never changes that, but it does not
// ask who reads: the caller compares TenantID where the id comes from outside.
type Documents interface {
	// CreateDocument stores a new document and returns it as it is kept. Kind Conflict, code document_exists:
	// there is one with this id. Its version is 1, or goes on from one that was there within the last hour.
	CreateDocument(ctx context.Context, d document.Document) (document.Document, error)
	// ReplaceDocument puts Body and ExpiresAt in place of what is there and returns the document as it is kept.
	// Kind Conflict, code document_changed: its version is not d.Version any more. Kind NotFound, code
	// document_not_found: there is none, or it is not d.TenantID's.
	ReplaceDocument(ctx context.Context, d document.Document) (document.Document, error)
	// DeleteDocument removes one. Kind NotFound, code document_not_found: there is none.
	DeleteDocument(ctx context.Context, kind document.Kind, id string) error
	// Document returns one. Kind NotFound, code document_not_found: there is none.
	Document(ctx context.Context, kind document.Kind, id string) (document.Document, error)
	// Documents returns up to max of them by id, those after the id `after`; of all tenants where tenantID is empty.
	Documents(ctx context.Context, kind document.Kind, tenantID, after string, max int) ([]document.Document, error)
	// DocumentChanges returns up to max that changed at since or later, oldest change first. Go on from the
	// last one's ChangedAt, which comes again; with a max of 500 or more that always goes forward.
	DocumentChanges(ctx context.Context, kind document.Kind, since time.Time, max int) ([]document.Document, error)
}

// tombstones is how long a document that was deleted or has expired is kept for DocumentChanges.
const tombstones = 2 * time.Hour

// checkDocument refuses what no backend may be asked to keep.
func checkDocument(kind document.Kind, id string) error {
	for _, k := range document.Kinds() {
		if k == kind && id != "" {
			return nil
		}
	}
	return fault.New(fault.Internal, "document_invalid", "a document needs an id and a kind that there is")
}

func documentNotFound() error {
	return fault.New(fault.NotFound, "document_not_found", "there is no such document")
}

func documentExists() error {
	return fault.New(fault.Conflict, "document_exists", "there is a document with this id already")
}

func documentChanged() error {
	return fault.New(fault.Conflict, "document_changed", "somebody else changed it in the meantime: read it again")
}

// unixMilli is 0 for no time at all.
func unixMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMilli(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
