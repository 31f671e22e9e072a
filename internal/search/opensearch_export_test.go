package search

import (
	"context"
	"strings"
	"time"

	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// SetVersion takes the index for one of another version of its mapping.
func (o *OpenSearch) SetVersion(v int) { o.version = v }

// Prefix is the beginning of the indices' names.
func (o *OpenSearch) Prefix() string { return o.cfg.Prefix }

// Bulks is how many bulks are allowed at the same time.
func (o *OpenSearch) Bulks() int {
	o.limit.mu.Lock()
	defer o.limit.mu.Unlock()
	return o.limit.allowed
}

// Template is the body of the index template.
func (o *OpenSearch) Template() []byte { return encode(o.template(o.cfg.Codec)) }

// PrepareTomorrow is what an Add does in the end.
func (o *OpenSearch) PrepareTomorrow(ctx context.Context, now time.Time) { o.prepareTomorrow(ctx, now) }

// SearchBody is what a search sends.
func SearchBody(tenant string, q query.Query) string {
	where := compileClause(q.Where)
	if where.constant == none {
		return "nothing"
	}
	return string(searchBody(tenant, where, q))
}

// IndexedText is what the index is given for a text, cut at spaces as it does.
func IndexedText(text string) []string {
	var d documents
	return strings.Fields(strings.Trim(string(d.appendText(nil, `"`, text, `"`)), `"`))
}

// SortHalves and IDOf are there and back.
func SortHalves(id logentry.ID) (high, low int64) { return sortHalves(id) }
func IDOf(high, low int64) logentry.ID            { return idOf(high, low) }

// Limiter is the limiter of bulks.
type Limiter struct{ *limiter }

func NewLimiter(most int) Limiter                  { return Limiter{newLimiter(most)} }
func (l Limiter) Enter(ctx context.Context) error  { return l.enter(ctx) }
func (l Limiter) Leave(began time.Time, busy bool) { l.leave(began, busy) }
func (l Limiter) Now() (running, allowed, waiting int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.running, l.allowed, len(l.waiting)
}

// DocumentID is the _id of an entry.
func DocumentID(id logentry.ID) string { return string(appendDocumentID(nil, id)) }

// BulkBody is the body that an Add of the records sends, if they fit into one bulk.
func BulkBody(prefix string, records []logentry.Record) []byte {
	var b bulk
	for i := range records {
		b.add(i, appendDay(nil, prefix, records[i].ReceivedAt), &records[i].Entry)
	}
	return b.lines
}
