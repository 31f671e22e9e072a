package store

import (
	"context"

	"github.com/ocelot-log/ocelot/pkg/logentry"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// PurgeTenant removes the backlog's ids before the records: what is left of a call that was cut off is found again.
func (m *Mongo) PurgeTenant(ctx context.Context, tenantID string, max int) (done Purged, err error) {
	ctx, end, err := m.enter(ctx)
	if err != nil {
		return done, err
	}
	defer end()
	if tenantID == "" { // is nobody's
		return done, nil
	}
	if max < 1 {
		return Purged{More: true}, nil
	}
	var ids []logentry.ID
	collect := func(collection string, where bson.D, max int) error {
		ids = ids[:0]
		return m.each(ctx, collection, where, options.Find().SetProjection(bson.D{{Key: mongoID, Value: 1}}).SetLimit(int64(max)), func(doc bson.Raw) error {
			id, ok := mongoIDOf(doc)
			if !ok {
				return errMongoRecord
			}
			ids = append(ids, id)
			return nil
		})
	}
	if err := collect(mongoEntries, bson.D{{Key: mongoTenant, Value: tenantID}}, max); err != nil {
		return done, mongoFault(err, "purge a tenant")
	}
	if len(ids) > 0 {
		if err := m.dropBacklog(ctx, ids); err != nil {
			return done, mongoFault(err, "purge a tenant")
		}
		if done.Records, err = m.remove(ctx, mongoEntries, append(withIDs(ids), bson.E{Key: mongoTenant, Value: tenantID})); err != nil {
			return done, mongoFault(err, "purge a tenant")
		}
	}
	left := max - len(ids)
	if left == 0 {
		return Purged{Records: done.Records, More: true}, nil
	}
	if err := collect(mongoQuarantine, bson.D{{Key: "tenant", Value: tenantID}}, left); err != nil {
		return done, mongoFault(err, "purge a tenant")
	}
	if len(ids) > 0 {
		if done.Quarantined, err = m.remove(ctx, mongoQuarantine, withIDs(ids)); err != nil {
			return done, mongoFault(err, "purge a tenant")
		}
	}
	done.More = len(ids) == left
	return done, nil
}

// remove removes what is found and returns how much that was; of an attempt that is sent again only the last counts.
func (m *Mongo) remove(ctx context.Context, collection string, where bson.D) (n int64, err error) {
	cmd := bson.D{{Key: "delete", Value: collection}, {Key: "deletes", Value: bson.A{bson.D{{Key: "q", Value: where}, {Key: "limit", Value: 0}}}}, m.concern(byMajority)}
	var answer struct {
		N int64 `bson:"n"`
	}
	err = m.again(ctx, func() error { return m.db.RunCommand(ctx, cmd).Decode(&answer) })
	return answer.N, err
}
