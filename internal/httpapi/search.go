package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/ocelot-log/ocelot/internal/audit"
	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/export"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// records is what is asked of the record.
type records interface {
	Get(ctx context.Context, t auth.Tenant, id logentry.ID) (logentry.Record, error)
	GetMany(ctx context.Context, t auth.Tenant, ids []logentry.ID) ([]logentry.Record, error)
	Find(ctx context.Context, t auth.Tenant, q query.Query) (query.Page, error)
	tenants
	documents
	exporter
	commits
	pinger
}

// index is what is asked of the index.
type index interface {
	Search(ctx context.Context, t auth.Tenant, q query.Query) (query.Page, error)
	Stats(ctx context.Context, t auth.Tenant, q query.Query, r search.StatsRequest) (search.Stats, error)
	pinger
}

// searchLogs answers a question from the index, or from the record where the index does not answer.
func (s *Server) searchLogs(k *call) error {
	started := time.Now()
	params, err := query.ParseRawQuery(k.Request.URL.RawQuery)
	if err != nil {
		return err
	}
	q, err := query.FromParams(params, started, highlightParam)
	if err != nil {
		return err
	}
	highlight, err := highlighted(params)
	if err != nil {
		return err
	}
	asked := q.Where // without what bounds the credentials
	q = scoped(k, q)
	found, err := s.pageOf(k, &q, params)
	if err != nil {
		return err
	}
	b, err := openAnswer(found.records, k.tenant.Slug())
	if err != nil {
		return err
	}
	if err := s.audited(k, audit.Event{Action: audit.Read, ResourceType: "entries", Params: params, Count: len(found.records), Took: time.Since(started), Source: found.source}); err != nil {
		return err
	}
	b = append(b, `,"meta":{`...)
	if highlight {
		if b, err = appendHighlights(b, asked, found.records); err != nil {
			return err
		}
	}
	b = appendMeta(b, q, found.Page, len(found.Hits)-len(found.records), found.source, found.next, time.Since(started))
	return reply(k.Context, http.StatusOK, b)
}

// foundPage is a page with its entries.
type foundPage struct {
	query.Page
	records []logentry.Record
	source  string // index or record
	next    string // cursor; empty on the last page
}

// pageOf answers a scoped question, from the cursor on that stands in the parameters, if one does.
func (s *Server) pageOf(k *call, q *query.Query, params query.Params) (found foundPage, err error) {
	binding := query.Binding(k.tenant.ID(), k.principal.Owner(), *q)
	if cursor, ok := first(params, "cursor"); ok {
		at, err := s.reading.Cursors.Decode(cursor, binding)
		if err != nil {
			return found, err
		}
		q.After = &at
	}
	ctx, cancel := context.WithTimeout(k.Request.Context(), s.cfg.SearchTimeout)
	defer cancel()
	if found.Page, found.source, err = s.find(ctx, k.tenant, *q); err == nil {
		found.records, err = s.entries(ctx, k.tenant, found.Page, found.source)
	}
	if err != nil {
		return found, inTime(ctx, err, "search")
	}
	if found.More && len(found.Hits) > 0 {
		found.next = s.reading.Cursors.Encode(found.Hits[len(found.Hits)-1].Position, binding)
	}
	return found, nil
}

// find asks the index first. Only its being down sends the question to the record: any other failure would be
// the record's too, or a bug to be seen.
func (s *Server) find(ctx context.Context, t auth.Tenant, q query.Query) (query.Page, string, error) {
	page, err := s.reading.Index.Search(ctx, t, q)
	if err == nil || fault.KindOf(err) != fault.Unavailable || ctx.Err() != nil {
		return page, "index", err
	}
	page, err = s.reading.Store.Find(ctx, t, q)
	return page, "record", err
}

// entries are the records of a page's hits, in their order. One that the record does not have any more is left out.
func (s *Server) entries(ctx context.Context, t auth.Tenant, page query.Page, source string) ([]logentry.Record, error) {
	if len(page.Hits) == 0 {
		return nil, nil
	}
	ids := make([]logentry.ID, len(page.Hits))
	for i, hit := range page.Hits {
		ids[i] = hit.ID
	}
	if source != "index" {
		return s.reading.Store.GetMany(ctx, t, ids)
	}
	return s.recalled(ctx, t, ids)
}

// getLog answers one entry. One that is another tenant's is as absent as one that is not there.
func (s *Server) getLog(k *call) error {
	id, err := entryID(k)
	if err != nil {
		return err
	}
	rec, err := s.read(k.Request.Context(), k, id)
	if err != nil {
		return err
	}
	b := append(make([]byte, 0, len(rec.JSON)+96), `{"data":`...)
	if b, err = appendRecord(b, &rec, k.tenant.Slug()); err != nil {
		return err
	}
	if err := s.audited(k, audit.Event{Action: audit.Read, ResourceType: "entry", ResourceID: id.String(), Count: 1}); err != nil {
		return err
	}
	return reply(k.Context, http.StatusOK, append(b, `,"meta":{}}`...))
}

// openAnswer is {"data":[…] with the object left open.
func openAnswer(found []logentry.Record, slug string) ([]byte, error) {
	size := 256
	for i := range found {
		size += len(found[i].JSON) + len(slug) + 20
	}
	return appendEntries(append(make([]byte, 0, size), `{"data":`...), found, slug)
}

// appendRecord appends a record, and says where not all of its metadata can be found by a search.
func appendRecord(b []byte, r *logentry.Record, slug string) ([]byte, error) {
	return export.AppendRecord(b, r, slug)
}

// appendMeta appends the rest of a search's meta and closes it and the answer. A page that was reached by cursor has no number.
// expired is how many entries of the page the record does not have any more.
func appendMeta(b []byte, q query.Query, page query.Page, expired int, source, next string, took time.Duration) []byte {
	b = append(b, `"took_ms":`...)
	b = strconv.AppendInt(b, took.Milliseconds(), 10)
	b = append(b, `,"source":"`...)
	b = append(b, source...)
	b = append(b, '"')
	if expired > 0 {
		b = strconv.AppendInt(append(b, `,"expired_count":`...), int64(expired), 10)
	}
	b = append(b, `,"pagination":{"total":`...)
	switch {
	case page.Total < 0 || q.Total == query.TotalNone:
		b = append(b, `null,"relation":null`...)
	case page.Exact:
		b = append(strconv.AppendInt(b, page.Total, 10), `,"relation":"eq"`...)
	default:
		b = append(strconv.AppendInt(b, page.Total, 10), `,"relation":"gte"`...)
	}
	if next == "" {
		b = append(b, `,"next_cursor":null`...)
	} else {
		b = append(append(append(b, `,"next_cursor":"`...), next...), '"')
	}
	b = append(b, `,"size":`...)
	b = strconv.AppendInt(b, int64(q.Limit), 10)
	b = append(b, `,"page":`...)
	if q.After != nil {
		b = append(b, "null"...)
	} else {
		b = strconv.AppendInt(b, int64(q.Skip/q.Limit+1), 10)
	}
	return append(b, "}}}"...)
}
