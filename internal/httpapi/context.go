package httpapi

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/ocelot-log/ocelot/internal/audit"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// The bounds of a context: entries on either side.
const (
	defaultAround = 20
	maxAround     = 500
)

// sameAs are what the entries around one may have in common with it.
var sameAs = map[string]struct {
	field query.Field
	of    func(*logentry.Entry) string
}{
	"service": {query.Service, func(e *logentry.Entry) string { return e.Service }},
	"request": {query.RequestID, func(e *logentry.Entry) string { return e.RequestID }},
	"trace":   {query.TraceID, func(e *logentry.Entry) string { return e.TraceID }},
	"user":    {query.UserID, func(e *logentry.Entry) string { return e.UserID }},
	"session": {query.SessionID, func(e *logentry.Entry) string { return e.SessionID }},
}

// logContext answers the entries around one, in the order of time: all of them, or those that have something in common
// with it, narrowed by the filters of the URL.
func (s *Server) logContext(k *call) error {
	started := time.Now()
	id, err := entryID(k)
	if err != nil {
		return err
	}
	q, params, err := asked(k, started, "before", "after", "by", "within")
	if err != nil {
		return err
	}
	before, after := defaultAround, defaultAround
	for name, to := range map[string]*int{"before": &before, "after": &after} {
		if v, ok := first(params, name); ok {
			if *to, err = number(name, v, 0, maxAround); err != nil {
				return err
			}
		}
	}
	ctx, cancel := context.WithTimeout(k.Request.Context(), s.cfg.SearchTimeout)
	defer cancel()
	rec, err := s.read(ctx, k, id)
	if err != nil {
		return inTime(ctx, err, "read an entry")
	}
	if q, err = around(q, params, &rec.Entry); err != nil {
		return err
	}
	q.After, q.Total = &query.Position{At: rec.Timestamp, ID: rec.ID}, query.TotalNone
	older, moreBefore, source, err := s.side(ctx, k, q, query.NewestFirst, before)
	if err != nil {
		return inTime(ctx, err, "search")
	}
	newer, moreAfter, source2, err := s.side(ctx, k, q, query.OldestFirst, after)
	if err != nil {
		return inTime(ctx, err, "search")
	}
	if source2 != "index" {
		source = source2
	}
	slices.Reverse(older)
	b := []byte(`{"data":{"before":`)
	if b, err = appendEntries(b, older, k.tenant.Slug()); err != nil {
		return err
	}
	if b, err = appendRecord(append(b, `,"entry":`...), &rec, k.tenant.Slug()); err != nil {
		return err
	}
	if b, err = appendEntries(append(b, `,"after":`...), newer, k.tenant.Slug()); err != nil {
		return err
	}
	b = append(b, `},"meta":{"took_ms":`...)
	b = strconv.AppendInt(b, time.Since(started).Milliseconds(), 10)
	b = append(b, `,"source":"`+source+`","more_before":`...)
	b = strconv.AppendBool(b, moreBefore)
	b = strconv.AppendBool(append(b, `,"more_after":`...), moreAfter)
	event := audit.Event{Action: audit.Read, ResourceType: "entries", ResourceID: id.String(), Params: params, Count: len(older) + 1 + len(newer), Took: time.Since(started), Source: source}
	if err := s.audited(k, event); err != nil {
		return err
	}
	return reply(k.Context, http.StatusOK, append(b, "}}"...))
}

// around narrows a question to what is around e.
func around(q query.Query, params query.Params, e *logentry.Entry) (query.Query, error) {
	if by, ok := first(params, "by"); ok {
		same, known := sameAs[by]
		if !known {
			return q, badParameter("by", "by_invalid", "this is service, request, trace, user or session")
		}
		value := same.of(e)
		if value == "" {
			return q, badParameter("by", "context_unavailable", "the entry has no "+same.field.String()+" that others could share")
		}
		q = q.Narrow(query.Term{Field: same.field, Value: value})
	}
	if v, ok := first(params, "within"); ok {
		i, err := interval(v)
		if err != nil || i.Every == 0 {
			return q, badParameter("within", "within_invalid", "this is a whole number with s, m, h or d, such as 30s or 5m, up to 365d")
		}
		q = q.Narrow(query.Range{Field: query.Timestamp, From: e.Timestamp.Add(-i.Every), To: e.Timestamp.Add(i.Every + 1)})
	}
	return q, nil
}

// side are the entries on one side, the nearest first, whether there are more, and what answered.
func (s *Server) side(ctx context.Context, k *call, q query.Query, sort query.Sort, n int) (found []logentry.Record, more bool, source string, err error) {
	if n == 0 {
		return nil, false, "index", nil
	}
	q.Sort, q.Limit = sort, n
	page, source, err := s.find(ctx, k.tenant, q)
	if err == nil {
		found, err = s.entries(ctx, k.tenant, page, source)
	}
	return found, page.More, source, err
}

// appendEntries appends a list of entries.
func appendEntries(b []byte, found []logentry.Record, slug string) ([]byte, error) {
	b = append(b, '[')
	for i := range found {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = appendRecord(b, &found[i], slug); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

// entryID is the id in the path.
func entryID(k *call) (logentry.ID, error) {
	id, err := logentry.ParseID(k.Param("id"))
	if err != nil {
		return id, fault.New(fault.Malformed, "id_invalid", "an id is a UUID as it was answered")
	}
	return id, nil
}

// read is the entry of an id. One that is another tenant's, or outside of what the credentials are for, is as absent
// as one that is not there.
func (s *Server) read(ctx context.Context, k *call, id logentry.ID) (logentry.Record, error) {
	rec, err := s.reading.Store.Get(ctx, k.tenant, id)
	switch {
	case err == nil && !inScope(k, &rec.Entry), fault.KindOf(err) == fault.NotFound:
		return rec, fault.New(fault.NotFound, "not_found", "there is no such entry")
	case err != nil:
		return rec, fault.Wrap(err, "read an entry")
	}
	return rec, nil
}
