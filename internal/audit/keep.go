package audit

import (
	"context"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// Record is what of the record store Keep needs.
type Record interface {
	Put(ctx context.Context, records []logentry.Record) ([]store.Verdict, error)
	AddBacklog(ctx context.Context, ids []logentry.ID) error
}

// keptVersion is the schema_version of what Keep keeps.
const keptVersion = 1

// Keep notes an event in the record itself, for processes that have it open and no queue to send to: the janitor, and
// commands where no server runs. When it returns nil the entry is durable; a worker adds it to the index by the
// backlog. An event of the same tenant and key is kept once, whatever it says; with an empty key it is a new one.
func Keep(ctx context.Context, in Record, tenantID, key string, e Event) error {
	now := time.Now().UTC().Round(0)
	entry := e.entry(now)
	if key != "" {
		entry.EventID = key
	}
	entry.TenantID, entry.ReceivedAt, entry.SchemaVersion = tenantID, now, keptVersion
	entry.ID = logentry.KeyedID(tenantID, "audit:"+entry.EventID, 0, nil)
	if entry.Severity == 0 {
		entry.Severity = logentry.Info
	}
	if len(entry.BeforeState) > 0 || len(entry.AfterState) > 0 {
		entry.Changes = logentry.Diff(entry.BeforeState, entry.AfterState)
	}
	verdicts, err := in.Put(ctx, []logentry.Record{{Entry: entry, JSON: logentry.AppendJSON(nil, &entry)}})
	if err != nil {
		return fault.Wrap(err, "keep an audit entry")
	}
	if v := verdicts[0]; v != store.Stored && v != store.Duplicate {
		return fault.New(fault.Unavailable, "audit_unavailable", "the record did not take the audit entry; try again")
	}
	return fault.Wrap(in.AddBacklog(ctx, []logentry.ID{entry.ID}), "keep an audit entry")
}
