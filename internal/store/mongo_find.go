package store

import (
	"context"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/query"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Find answers a query from the record, without text. What MongoDB can't be asked for is looked for in the records
// that the rest of the filter leaves. Orders by timestamp walk the index of times and
// look into the entries only where the filter needs them. Orders by received_at have no index, which
// each Put would pay for: they go over all entries of the tenant that the filter's times allow.
func (m *Mongo) Find(ctx context.Context, t auth.Tenant, q query.Query) (query.Page, error) {
	ctx, done, err := m.enter(ctx)
	if err != nil {
		return query.Page{}, err
	}
	defer done()
	if hasText(q.Where) {
		return query.Page{}, errTextUnavailable
	}
	filter, exact := mongoPushed(q.Where)
	page := query.Page{Exact: q.Total != query.TotalNone}
	if q.Total == query.TotalNone {
		page.Total = -1
	}
	if t.IsZero() {
		return page, nil
	}
	where := append(bson.D{{Key: mongoTenant, Value: t.ID()}}, filter...)
	if !exact {
		err := m.look(ctx, where, q, &page)
		return page, mongoFault(err, "look for entries")
	}
	if page.Hits, page.More, err = m.hits(ctx, where, q); err != nil {
		return query.Page{}, mongoFault(err, "find entries")
	}
	if err := m.total(ctx, where, q, &page); err != nil {
		return query.Page{}, mongoFault(err, "count entries")
	}
	return page, nil
}

// hits are the places of the page, and whether there are more.
func (m *Mongo) hits(ctx context.Context, where bson.D, q query.Query) (hits []query.Hit, more bool, err error) {
	o := order{sort: q.Sort}
	field, direction, beyond := mongoReceived, 1, "$gt"
	if o.byTimestamp() {
		field = mongoTimestamp
	}
	if o.descending() {
		direction, beyond = -1, "$lt"
	}
	limit, skip := max(q.Limit, 0), max(q.Skip, 0)
	if q.After != nil {
		where = mongoAfter(where, field, beyond, place(q.After))
	}
	opts := options.Find().SetProjection(bson.D{{Key: field, Value: 1}}).SetSort(bson.D{{Key: field, Value: direction}, {Key: mongoID, Value: direction}}).
		SetSkip(int64(skip)).SetLimit(int64(limit) + 1).SetBatchSize(int32(limit) + 2).SetAllowDiskUse(!o.byTimestamp())
	hits = make([]query.Hit, 0, min(limit, 1000)+1)
	err = m.each(ctx, mongoEntries, where, opts, func(doc bson.Raw) error {
		id, ok := mongoIDOf(doc)
		at, is := doc.Lookup(field).Int64OK()
		if !ok || !is {
			return errMongoRecord
		}
		hits = append(hits, query.Hit{Position: query.Position{At: time.Unix(0, at).UTC(), ID: id}})
		return nil
	})
	if len(hits) > limit {
		hits, more = hits[:limit], true
	}
	return hits, more, err
}

// mongoAfter is what of where comes after a place: two stretches of the index, which MongoDB merges.
func mongoAfter(where bson.D, field, beyond string, after hit) bson.D {
	return bson.D{{Key: "$or", Value: bson.A{
		bson.D{{Key: "$and", Value: bson.A{where, bson.D{{Key: field, Value: bson.D{{Key: beyond, Value: after.at}}}}}}},
		bson.D{{Key: "$and", Value: bson.A{where, mongoEquals(field, after.at), bson.D{{Key: mongoID, Value: bson.D{{Key: beyond, Value: mongoBinary(after.id)}}}}}}},
	}}}
}

// total counts as far as is wanted. Where the page shows the end already, counting is not needed.
func (m *Mongo) total(ctx context.Context, where bson.D, q query.Query, page *query.Page) error {
	if q.Total == query.TotalNone {
		return nil
	}
	if q.After == nil && !page.More && len(page.Hits) > 0 {
		page.Total = int64(max(q.Skip, 0) + len(page.Hits))
	} else {
		opts := options.Count()
		if q.Total == query.TotalBounded {
			opts.SetLimit(query.MaxTotal + 1)
		}
		var err error
		if page.Total, err = m.db.Collection(mongoEntries).CountDocuments(ctx, where, opts); err != nil {
			return err
		}
	}
	if q.Total == query.TotalBounded && page.Total > query.MaxTotal {
		page.Total, page.Exact = query.MaxTotal, false
	}
	return nil
}
