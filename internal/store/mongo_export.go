package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// exportBatch is how many records the server sends at once: about a megabyte.
const exportBatch = 2000

// yieldError is what the receiver of an export says, to be told from what MongoDB says.
type yieldError struct{ err error }

func (e yieldError) Error() string { return e.err.Error() }

// Export goes over the records of a query with one cursor. MongoDB filters what it can; text, and what else it does
// not know, is looked for in the records that are left. Orders by received_at have no index: MongoDB sorts what
// the filter leaves before the first record comes.
func (m *Mongo) Export(ctx context.Context, t auth.Tenant, q query.Query, yield func(logentry.Record) error) error {
	if err := m.hold(ctx); err != nil {
		return err
	}
	defer m.life.RUnlock()
	if t.IsZero() {
		return nil
	}
	filter, exact := mongoPushed(q.Where)
	where := append(bson.D{{Key: mongoTenant, Value: t.ID()}}, filter...)
	o := order{sort: q.Sort}
	field, direction, beyond := mongoReceived, 1, "$gt"
	if o.byTimestamp() {
		field = mongoTimestamp
	}
	if o.descending() {
		direction, beyond = -1, "$lt"
	}
	if q.After != nil {
		where = mongoAfter(where, field, beyond, place(q.After))
	}
	opts := options.Find().SetProjection(bson.D{{Key: mongoTenant, Value: 1}, {Key: mongoJSON, Value: 1}}).
		SetSort(bson.D{{Key: field, Value: direction}, {Key: mongoID, Value: direction}}).SetBatchSize(exportBatch).SetAllowDiskUse(!o.byTimestamp())
	err := m.eachAhead(ctx, mongoEntries, where, opts, func(doc bson.Raw) error {
		r, err := mongoRecordIn(doc)
		if err != nil {
			return err
		}
		if !exact && !query.Match(q.Where, &r.Entry) {
			return nil
		}
		if err := yield(r); err != nil {
			return yieldError{err}
		}
		return nil
	})
	if y, ok := errors.AsType[yieldError](err); ok {
		return y.err
	}
	return mongoFault(err, "export")
}

// mongoPushed is a filter that finds at least what n asks for; exact says that it finds nothing else.
func mongoPushed(n query.Node) (filter bson.D, exact bool) {
	if filter, err := mongoFilter(n); err == nil {
		return filter, true
	}
	and, ok := n.(query.And)
	if !ok {
		return bson.D{}, false
	}
	parts := bson.A{}
	for _, c := range and {
		if filter, _ := mongoPushed(c); len(filter) > 0 {
			parts = append(parts, filter)
		}
	}
	if len(parts) == 0 {
		return bson.D{}, false
	}
	return bson.D{{Key: "$and", Value: parts}}, false
}

// End is where the commit after the last one begins.
func (m *Mongo) End(ctx context.Context) (Position, error) {
	ctx, done, err := m.enter(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	last, err := m.lastCommit(ctx)
	if err != nil {
		return "", mongoFault(err, "find the end")
	}
	if last == 0 {
		return "", nil
	}
	return Position(fmt.Sprintf("%d-0", last+1)), nil
}
