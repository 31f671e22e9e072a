// Package jobs is work that takes longer than a request: what it is, how far it has come, and the janitor that
// does it.
//
//   - A job is a document, so that every process can show it and none owns it.
//   - Of all processes that share a record one does the work, the one that holds the lease. When it dies another
//     goes on within two terms of the lease.
//   - Every step may be done twice, or begun by one process and ended by another: steps are small, and what is
//     gone already is skipped.
package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ocelot-log/ocelot/internal/document"
	"github.com/ocelot-log/ocelot/internal/fault"
)

// State is where a job stands.
type State string

// The states.
const (
	Waiting   State = "waiting" // for its time
	Running   State = "running"
	Done      State = "done"
	Cancelled State = "cancelled"
)

// The types.
const (
	Deletion   = "tenant_deletion"  // removes a tenant
	OldEntries = "entries_deletion" // removes what a tenant received before a time
)

// Job is one.
type Job struct {
	ID         string    `json:"id"`
	Type       string    `json:"type"`
	State      State     `json:"state"`
	Tenant     string    `json:"tenant"`               // slug
	CreatedAt  time.Time `json:"created_at"`           //
	StartAt    time.Time `json:"start_at"`             // not before
	StartedAt  time.Time `json:"started_at,omitzero"`  //
	FinishedAt time.Time `json:"finished_at,omitzero"` //
	Removed    Counts    `json:"removed"`              // so far
	LastError  string    `json:"last_error,omitempty"` // code of why the last attempt stopped; it is tried again
	Before     time.Time `json:"before,omitzero"`      // of OldEntries: what was received earlier is removed
	By         string    `json:"by,omitempty"`         // of OldEntries: who asked for it

	TenantID string            `json:"-"`
	doc      document.Document // as it was read
}

// Counts are how many things were removed. A step that a crash cut off may be counted twice, or not.
type Counts struct {
	Records    int64 `json:"records"`    // entries of the record
	Index      int64 `json:"index"`      // entries of the index
	Quarantine int64 `json:"quarantine"` // what could not be processed
	Documents  int64 `json:"documents"`  // keys, tokens, sessions, views, other jobs
}

func (c *Counts) add(o Counts) {
	c.Records += o.Records
	c.Index += o.Index
	c.Quarantine += o.Quarantine
	c.Documents += o.Documents
}

// documents is where jobs are kept.
type documents interface {
	CreateDocument(ctx context.Context, d document.Document) (document.Document, error)
	ReplaceDocument(ctx context.Context, d document.Document) (document.Document, error)
	Document(ctx context.Context, kind document.Kind, id string) (document.Document, error)
}

// lister is where documents are listed.
type lister interface {
	Documents(ctx context.Context, kind document.Kind, tenantID, after string, max int) ([]document.Document, error)
}

// each calls fn with each job of a tenant, "" for all. What can't be read is of a newer version, and passed over.
func each(ctx context.Context, in lister, tenantID string, fn func(Job) error) error {
	for after, more := "", true; more; {
		const page = 100
		all, err := in.Documents(ctx, document.Job, tenantID, after, page)
		if err != nil {
			return err
		}
		more = len(all) == page
		for _, d := range all {
			after = d.ID
			if j, err := parse(d); err == nil {
				if err := fn(j); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// DeletionID is the id of the job that removes the tenant with this internal id. It tells nothing about it.
func DeletionID(tenantID string) string {
	sum := sha256.Sum256([]byte("delete tenant " + tenantID))
	return "del-" + hex.EncodeToString(sum[:10])
}

// Read returns a job. Kind NotFound, code not_found: there is none.
func Read(ctx context.Context, from documents, id string) (Job, error) {
	d, err := from.Document(ctx, document.Job, id)
	if fault.KindOf(err) == fault.NotFound {
		return Job{}, fault.New(fault.NotFound, "not_found", "there is no such job")
	}
	if err != nil {
		return Job{}, err
	}
	return parse(d)
}

func parse(d document.Document) (Job, error) {
	var j Job
	if err := json.Unmarshal(d.Body, &j); err != nil {
		return j, fmt.Errorf("read a job: %w", err)
	}
	j.TenantID, j.doc = d.TenantID, d
	return j, nil
}

// save keeps a job that was read, or makes it. Kind Conflict: another process changed it meanwhile.
func (j *Job) save(ctx context.Context, in documents) error {
	body, err := json.Marshal(j)
	if err != nil {
		return err
	}
	d := j.doc
	d.Kind, d.ID, d.TenantID, d.Body = document.Job, j.ID, j.TenantID, body
	if d.Version == 0 {
		d, err = in.CreateDocument(ctx, d)
	} else {
		d, err = in.ReplaceDocument(ctx, d)
	}
	if err == nil {
		j.doc = d
	}
	return err
}

// ScheduleDeletion makes the job that removes a tenant from at on, or sets it again after it was cancelled. Where
// it is there already it stays as it is.
func ScheduleDeletion(ctx context.Context, in documents, tenantID, slug string, at time.Time) (Job, error) {
	for range 5 {
		j, err := Read(ctx, in, DeletionID(tenantID))
		switch {
		case fault.KindOf(err) == fault.NotFound:
			j = Job{ID: DeletionID(tenantID), TenantID: tenantID}
		case err != nil:
			return j, err
		case j.State != Cancelled:
			return j, nil
		}
		j.Type, j.State, j.Tenant = Deletion, Waiting, slug
		j.CreatedAt, j.StartAt = time.Now().UTC().Truncate(time.Millisecond), at
		j.StartedAt, j.FinishedAt, j.Removed, j.LastError = time.Time{}, time.Time{}, Counts{}, ""
		if err = j.save(ctx, in); fault.KindOf(err) != fault.Conflict {
			return j, err
		}
	}
	return Job{}, errBusy
}

// CancelDeletion takes a deletion back that has not begun.
func CancelDeletion(ctx context.Context, in documents, tenantID string) error {
	for range 5 {
		j, err := Read(ctx, in, DeletionID(tenantID))
		if err != nil || j.State != Waiting {
			if fault.KindOf(err) == fault.NotFound {
				return nil
			}
			return err
		}
		j.State, j.FinishedAt = Cancelled, time.Now().UTC().Truncate(time.Millisecond)
		if err := j.save(ctx, in); fault.KindOf(err) != fault.Conflict {
			return err
		}
	}
	return errBusy
}

var errBusy = &fault.Error{Kind: fault.Unavailable, Code: "storage_busy", Detail: "others change the same thing at the moment; try again", Err: errors.New("a job changes all the time")}
