package httpapi

import (
	"context"
	"errors"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// sortRecorded is the order of an export in which nothing ever comes to stand before what is there already: whoever keeps the
// place behind its last entry gets by it, later, exactly what was recorded since. received_at is no such order: an entry
// that waited long is recorded behind ones that were received after it.
const sortRecorded = "recorded"

const (
	recordedAtOnce = 500 // records of all tenants that are held at once
	recordedAhead  = 10  // looks at the record that a place may lie beyond
	recordedLook   = 100 * time.Millisecond
)

// recordedAsked is what an export in the order of recording is asked for.
type recordedAsked struct {
	from, until store.Position
	bounded     bool // there is an until
	binding     string
}

const recordedPurpose = "recorded"

// readRecorded reads where an export in the order of recording begins and ends. It is bound to the question and the tenant, not
// to who asks: a job goes on when its credentials have been replaced.
func (s *Server) readRecorded(k *call, q query.Query) (*recordedAsked, error) {
	params, err := query.ParseRawQuery(k.Request.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	r := &recordedAsked{binding: query.Binding(k.tenant.ID(), "", q)}
	if cursor := params["cursor"]; len(cursor) > 0 {
		if r.from, err = s.placeOf(cursor[0], r.binding); err != nil {
			return nil, err
		}
	}
	until := params["until"]
	if len(until) == 0 {
		return r, nil
	}
	r.bounded = true
	r.until, err = s.placeOf(until[0], r.binding)
	return r, err
}

func (s *Server) placeOf(sealed, binding string) (store.Position, error) {
	b, err := s.reading.Cursors.Open(recordedPurpose, sealed, binding)
	return store.Position(b), err
}

// place is a position as a caller keeps it.
func (s *Server) place(p store.Position, binding string) string {
	return s.reading.Cursors.Seal(recordedPurpose, []byte(p), binding)
}

// errPlaceUnknown is for a place of a record that was replaced by an older one.
var errPlaceUnknown = fault.New(fault.Malformed, "cursor_invalid", "the record does not reach up to this place: it is another one than it was; begin without a cursor")

// end is where the walk ends: entries that are recorded during it are for the next one.
func (r *recordedAsked) end(ctx context.Context, from commits) (store.Position, error) {
	for look := 0; ; look++ {
		end, err := from.End(ctx)
		if err != nil {
			return "", err
		}
		switch {
		case r.from.Compare(end) <= 0 && (!r.bounded || r.until.Compare(end) <= 0):
			if r.bounded {
				end = r.until
			}
			return end, nil
		case look == recordedAhead:
			return "", errPlaceUnknown
		}
		// Another process had read further than this one can see: in a moment it will.
		select {
		case <-time.After(recordedLook):
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// walk hands the tenant's entries that match to take, in the order in which they were recorded. at is the place behind the
// last one, also where take had enough.
func (r *recordedAsked) walk(ctx context.Context, from commits, t auth.Tenant, where query.Node, take func(logentry.Record) error) (at store.Position, err error) {
	end, err := r.end(ctx, from)
	if err != nil {
		return "", err
	}
	at = r.from
	for at.Compare(end) < 0 {
		records, next, err := from.ScanTo(ctx, at, end, recordedAtOnce)
		if err != nil {
			return at, err
		}
		for i := range records {
			if records[i].TenantID != t.ID() || !query.Match(where, &records[i].Entry) {
				continue
			}
			err := take(records[i])
			if errors.Is(err, errEnough) {
				if at, err = before(ctx, from, at, end, records[:i]); err == nil {
					err = errEnough
				}
			}
			if err != nil {
				return at, err
			}
		}
		if at = next; len(records) < recordedAtOnce {
			break
		}
	}
	return at, nil
}

// before is the place behind records, which were read from at on.
func before(ctx context.Context, from commits, at, end store.Position, records []logentry.Record) (store.Position, error) {
	n := len(records)
	if n == 0 {
		return at, nil
	}
	again, place, err := from.ScanTo(ctx, at, end, n)
	if err == nil && (len(again) != n || again[n-1].ID != records[n-1].ID) {
		err = fault.New(fault.Unavailable, "storage_busy", "entries were removed while they were exported; try again")
	}
	return place, err
}
