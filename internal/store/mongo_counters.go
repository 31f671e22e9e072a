package store

import (
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
)

// mongoCounterDoc is a document of counters.
type mongoCounterDoc struct {
	Key   string `bson:"_id"`
	Total int64  `bson:"n"`
}

// counters is the collection as the primary alone has it: a sum is read a millisecond after it was added to,
// and the majority need not have it to be useful.
func (m *Mongo) counters() *mongo.Collection {
	return m.db.Collection(mongoCounters, options.Collection().SetReadConcern(readconcern.Local()).SetWriteConcern(writeconcern.W1()))
}

// AddCounters adds in one command and reads the totals in another.
func (m *Mongo) AddCounters(ctx context.Context, counters []Counter) ([]int64, error) {
	ctx, done, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	var (
		models []mongo.WriteModel
		keys   = make([]string, len(counters))
		now    = time.Now()
	)
	for i, x := range counters {
		keys[i] = x.Key
		if x.Add == 0 {
			continue
		}
		models = append(models, mongo.NewUpdateOneModel().SetUpsert(true).SetFilter(bson.D{{Key: mongoID, Value: x.Key}}).SetUpdate(bson.D{
			{Key: "$inc", Value: bson.D{{Key: "n", Value: x.Add}}}, {Key: "$max", Value: bson.D{{Key: "until", Value: x.ExpiresAt.UnixNano()}}}}))
	}
	if last := m.purged.Load(); now.UnixNano()-last >= int64(counterPurge) && m.purged.CompareAndSwap(last, now.UnixNano()) {
		if _, err := m.counters().DeleteMany(ctx, bson.D{{Key: "until", Value: bson.D{{Key: "$lt", Value: now.UnixNano()}}}}); err != nil {
			return nil, mongoFault(err, "remove expired counters")
		}
	}
	if err := m.addCounters(ctx, models); err != nil {
		return nil, mongoFault(err, "add to counters")
	}
	return m.totals(ctx, keys)
}

// addCounters sends the updates once more that failed because somebody else made the counter at the same
// moment. The driver repeats what a lost connection took, and the server knows a repeat.
func (m *Mongo) addCounters(ctx context.Context, models []mongo.WriteModel) error {
	for attempt := 1; len(models) > 0; attempt++ {
		_, err := m.counters().BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false))
		failed, ok := errors.AsType[mongo.BulkWriteException](err)
		if !ok || failed.WriteConcernError != nil || attempt >= m.cfg.Attempts {
			return err
		}
		var again []mongo.WriteModel
		for _, item := range failed.WriteErrors {
			if item.Code != mongoDuplicateKey {
				return err
			}
			again = append(again, models[item.Index])
		}
		models = again
	}
	return nil
}

// Counters reads them in one command.
func (m *Mongo) Counters(ctx context.Context, keys []string) ([]int64, error) {
	ctx, done, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	return m.totals(ctx, keys)
}

func (m *Mongo) totals(ctx context.Context, keys []string) ([]int64, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	at := make(map[string]int, len(keys))
	for i, key := range keys {
		at[key] = i
	}
	totals := make([]int64, len(keys))
	cursor, err := m.counters().Find(ctx, bson.D{{Key: mongoID, Value: bson.D{{Key: "$in", Value: keys}}}}, options.Find().SetBatchSize(int32(len(keys))+1))
	if err != nil {
		return nil, mongoFault(err, "read counters")
	}
	defer func() { _ = cursor.Close(context.WithoutCancel(ctx)) }()
	for cursor.Next(ctx) {
		var doc mongoCounterDoc
		if err := bson.Unmarshal(cursor.Current, &doc); err != nil {
			return nil, mongoFault(err, "read counters")
		}
		totals[at[doc.Key]] = doc.Total
	}
	return totals, mongoFault(cursor.Err(), "read counters")
}
