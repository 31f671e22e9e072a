package store

import (
	"context"
	"slices"

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
	var found []committed
	collect := func(collection string, where bson.D, max int) error {
		found = found[:0]
		return m.each(ctx, collection, where, options.Find().SetProjection(bson.D{{Key: mongoCommit, Value: 1}}).SetLimit(int64(max)), func(doc bson.Raw) error {
			c, ok := committedOf(doc)
			if !ok {
				return errMongoRecord
			}
			found = append(found, c)
			return nil
		})
	}
	if err := collect(mongoEntries, bson.D{{Key: mongoTenant, Value: tenantID}}, max); err != nil {
		return done, mongoFault(err, "purge a tenant")
	}
	if done, err = m.removeRecords(ctx, tenantID, found); err != nil {
		return Purged{}, mongoFault(err, "purge a tenant")
	}
	left := max - len(found)
	if left == 0 {
		done.More = done.Records > 0
		return done, nil
	}
	if err := collect(mongoQuarantine, bson.D{{Key: "tenant", Value: tenantID}}, left); err != nil {
		return done, mongoFault(err, "purge a tenant")
	}
	if len(found) > 0 {
		if done.Quarantined, err = m.remove(ctx, mongoQuarantine, withIDs(idsOfCommitted(found))); err != nil {
			return done, mongoFault(err, "purge a tenant")
		}
	}
	done.More = len(found) == left
	return done, nil
}

// committed is a document that is to be removed, and the commit that brought it; 0 for none.
type committed struct {
	id     logentry.ID
	commit int64
}

func committedOf(doc bson.Raw) (c committed, ok bool) {
	c.id, ok = mongoIDOf(doc)
	c.commit, _ = doc.Lookup(mongoCommit).Int64OK()
	return c, ok
}

func idsOfCommitted(all []committed) []logentry.ID {
	ids := make([]logentry.ID, len(all))
	for i := range all {
		ids[i] = all[i].id
	}
	return ids
}

// removeRecords removes records of a tenant and what the backlog has of them. Those of a commit that is still being
// made are left.
func (m *Mongo) removeRecords(ctx context.Context, tenantID string, all []committed) (done Purged, err error) {
	if len(all) == 0 {
		return done, nil
	}
	making, err := m.closeRecent(ctx, all)
	if err != nil {
		return done, err
	}
	n := len(all)
	all = slices.DeleteFunc(all[:n:n], func(c committed) bool { return making[c.commit] })
	done.Left = int64(n - len(all))
	if len(all) == 0 {
		return done, nil
	}
	ids := idsOfCommitted(all)
	if err := m.dropBacklog(ctx, ids); err != nil {
		return done, err
	}
	done.Records, err = m.remove(ctx, mongoEntries, append(withIDs(ids), bson.E{Key: mongoTenant, Value: tenantID}))
	return done, err
}

// closeRecent closes the commits whose records are all held and about to be removed, since a scan takes a recent one
// that lacks records for one that is being made, and waits. Those that are being made it returns.
func (m *Mongo) closeRecent(ctx context.Context, of []committed) (making map[int64]bool, err error) {
	now, err := m.serverTime(ctx)
	if err != nil {
		return nil, err
	}
	numbers := bson.A{}
	seen := map[int64]bool{}
	for _, c := range of {
		if c.commit != 0 && !seen[c.commit] {
			seen[c.commit], numbers = true, append(numbers, c.commit)
		}
	}
	recent := bson.Timestamp{T: uint32(now.Add(-mongoAbandoned).Unix() - 1)}
	cursor, err := m.db.Collection(mongoCommits).Find(ctx, bson.D{{Key: mongoID, Value: bson.D{{Key: "$in", Value: numbers}}},
		{Key: "open", Value: true}, {Key: "at", Value: bson.D{{Key: "$gte", Value: recent}}}})
	if err != nil {
		return nil, err
	}
	var open []mongoCommitDoc
	if err := cursor.All(ctx, &open); err != nil {
		return nil, err
	}
	making = map[int64]bool{}
	closing := bson.A{}
	for i := range open {
		complete, err := m.complete(ctx, &open[i], now)
		if err != nil {
			return nil, err
		}
		if complete {
			closing = append(closing, open[i].Number)
		} else {
			making[open[i].Number] = true
		}
	}
	if len(closing) == 0 {
		return making, nil
	}
	return making, m.again(ctx, func() error {
		return m.command(ctx, bson.D{{Key: "update", Value: mongoCommits}, {Key: "updates", Value: bson.A{bson.D{
			{Key: "q", Value: bson.D{{Key: mongoID, Value: bson.D{{Key: "$in", Value: closing}}}}},
			{Key: "u", Value: bson.D{{Key: "$set", Value: bson.D{{Key: "open", Value: false}}}}}, {Key: "multi", Value: true}}}},
			m.concern(byMajority)})
	})
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
