package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ocelot-log/ocelot/internal/query"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// lookBatch is how many records are fetched at once where they are looked into.
const lookBatch = 500

// errEnough ends a look that has found what it is for.
var errEnough = errors.New("enough was found")

// look makes a page out of the records that where finds and that match. Where the page begins at an entry, what
// comes before it is counted in a second pass.
func (m *Mongo) look(ctx context.Context, where bson.D, q query.Query, page *query.Page) error {
	o := order{sort: q.Sort}
	field, direction, beyond := mongoReceived, 1, "$gt"
	if o.byTimestamp() {
		field = mongoTimestamp
	}
	if o.descending() {
		direction, beyond = -1, "$lt"
	}
	from := where
	if q.After != nil {
		from = mongoAfter(where, field, beyond, place(q.After))
	}
	sorted := options.Find().SetSort(bson.D{{Key: field, Value: direction}, {Key: mongoID, Value: direction}}).SetAllowDiskUse(!o.byTimestamp())
	skip, limit, count := max(q.Skip, 0), max(q.Limit, 0), countTo(q.Total)
	if q.After != nil {
		count = 0
	}
	found := int64(0)
	err := m.matching(ctx, from, q.Where, sorted, func(at query.Position) error {
		if found++; found > int64(skip) && len(page.Hits) <= limit {
			page.Hits = append(page.Hits, query.Hit{Position: at})
		}
		if len(page.Hits) > limit && found >= count {
			return errEnough
		}
		return nil
	}, field)
	if err != nil {
		return err
	}
	if page.More = len(page.Hits) > limit; page.More {
		page.Hits = page.Hits[:limit]
	}
	if q.Total == query.TotalNone {
		return nil
	}
	if q.After != nil {
		found = 0
		err := m.matching(ctx, where, q.Where, options.Find(), func(query.Position) error {
			if found++; found >= countTo(q.Total) {
				return errEnough
			}
			return nil
		}, field)
		if err != nil {
			return err
		}
	}
	if page.Total = found; q.Total == query.TotalBounded && found > query.MaxTotal {
		page.Total, page.Exact = query.MaxTotal, false
	}
	return nil
}

// matching calls yield for the places of records that match, until it returns an error; errEnough is none.
func (m *Mongo) matching(ctx context.Context, where bson.D, n query.Node, opts *options.FindOptionsBuilder, yield func(query.Position) error, field string) error {
	opts.SetProjection(bson.D{{Key: mongoTenant, Value: 1}, {Key: field, Value: 1}, {Key: mongoJSON, Value: 1}}).SetBatchSize(lookBatch)
	err := m.each(ctx, mongoEntries, where, opts, func(doc bson.Raw) error {
		r, err := mongoRecord(doc)
		if err != nil {
			return err
		}
		at, ok := doc.Lookup(field).Int64OK()
		switch {
		case !ok:
			return errMongoRecord
		case !query.Match(n, &r.Entry):
			return nil
		}
		return yield(query.Position{At: time.Unix(0, at).UTC(), ID: r.ID})
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// hasText says whether words are asked for.
func hasText(n query.Node) bool {
	switch n := n.(type) {
	case query.Text:
		return true
	case query.Not:
		return hasText(n.Node)
	case query.And:
		return slices.ContainsFunc(n, hasText)
	case query.Or:
		return slices.ContainsFunc(n, hasText)
	}
	return false
}
