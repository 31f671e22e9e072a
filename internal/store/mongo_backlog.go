package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ocelot-log/ocelot/pkg/logentry"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// mongoBacklogAtOnce is how many ids one command changes.
const mongoBacklogAtOnce = 10_000

// AddBacklog makes ids durable. A document is the id and, in at, when it came, in nanoseconds; ids of one
// call count one up from each to the next, so that they keep their order.
func (m *Mongo) AddBacklog(ctx context.Context, ids []logentry.ID) error {
	ctx, done, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer done()
	at := time.Now().UnixNano()
	var c insertCommand
	for part := range slices.Chunk(ids, mongoBacklogAtOnce) {
		c.begin(mongoBacklog, false, byMajority, m.cfg.WriteTimeout)
		for _, id := range part {
			start := c.document()
			c.buf = bsoncore.AppendBinaryElement(c.buf, mongoID, uuidSubtype, id[:])
			c.buf = bsoncore.AppendInt64Element(c.buf, "at", at)
			c.endDocument(start)
			at++
		}
		cmd := c.end()
		if err := m.again(ctx, func() error { return butForDuplicates(m.command(ctx, cmd)) }); err != nil {
			return mongoFault(err, "add to the backlog")
		}
	}
	return nil
}

// butForDuplicates forgets an error where nothing failed but what is there already.
func butForDuplicates(err error) error {
	failed, ok := errors.AsType[mongo.WriteException](err)
	if !ok || failed.WriteConcernError != nil {
		return err
	}
	for _, item := range failed.WriteErrors {
		if item.Code != mongoDuplicateKey {
			return err
		}
	}
	return nil
}

// DropBacklog removes ids.
func (m *Mongo) DropBacklog(ctx context.Context, ids []logentry.ID) error {
	ctx, done, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer done()
	return mongoFault(m.dropBacklog(ctx, ids), "drop from the backlog")
}

func (m *Mongo) dropBacklog(ctx context.Context, ids []logentry.ID) error {
	for part := range slices.Chunk(ids, mongoBacklogAtOnce) {
		cmd := bson.D{{Key: "delete", Value: mongoBacklog}, {Key: "deletes", Value: bson.A{bson.D{
			{Key: "q", Value: withIDs(part)}, {Key: "limit", Value: 0}}}}, m.concern(byMajority)}
		if err := m.again(ctx, func() error { return m.command(ctx, cmd) }); err != nil {
			return err
		}
	}
	return nil
}

// Workers that share a large backlog read it in parts and each begin at one of the oldest parts by chance. If all
// of them began with the oldest, each entry would be sent to the index as often as there are workers, and the
// index comes back from an outage no faster for their number.
const (
	mongoBacklogPart  = 5_000
	mongoBacklogParts = 8
)

// ReadBacklog returns the records of the oldest ids, or of those of another part where there are many.
func (m *Mongo) ReadBacklog(ctx context.Context, max int) ([]logentry.Record, error) {
	ctx, done, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	// In one session the records are read as of the ids or later: no record is gone that only a new
	// primary does not show yet.
	session, err := m.client.StartSession()
	if err != nil {
		return nil, mongoFault(err, "read the backlog")
	}
	defer session.EndSession(context.WithoutCancel(ctx))
	ctx = mongo.NewSessionContext(ctx, session)
	max = min(max, mongoBacklogPart)
	skip, err := m.backlogPart(ctx)
	if err != nil {
		return nil, mongoFault(err, "read the backlog")
	}
	for max > 0 {
		records, gone, err := m.readBacklog(ctx, skip, max)
		if err == nil {
			err = m.dropBacklog(ctx, gone)
		}
		if err != nil {
			return nil, mongoFault(err, "read the backlog")
		}
		if len(records) > 0 || len(gone) == 0 && skip == 0 {
			return records, nil
		}
		skip = 0
	}
	return nil, nil
}

// backlogPart is how many ids lie before the part to read.
func (m *Mongo) backlogPart(ctx context.Context) (skip int64, err error) {
	n, err := m.db.Collection(mongoBacklog).EstimatedDocumentCount(ctx)
	if parts := min(n/mongoBacklogPart, mongoBacklogParts); err == nil && parts > 1 {
		skip = rand.Int64N(parts) * mongoBacklogPart
	}
	return skip, err
}

// readBacklog returns the records of up to max of the oldest ids but for the first `skip`, and the ids that have none.
func (m *Mongo) readBacklog(ctx context.Context, skip int64, max int) (records []logentry.Record, gone []logentry.ID, err error) {
	var ids []logentry.ID
	err = m.oldestBacklog(ctx, skip, max, func(doc bson.Raw) error {
		id, ok := mongoIDOf(doc)
		if !ok {
			return errMongoRecord
		}
		ids = append(ids, id)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if records, err = m.recordsByID(ctx, ids, "", 0); err != nil || len(records) == len(ids) {
		return records, nil, err
	}
	at := 0
	for _, id := range ids { // both are in the same order
		if at < len(records) && records[at].ID == id {
			at++
		} else {
			gone = append(gone, id)
		}
	}
	return records, gone, nil
}

func (m *Mongo) oldestBacklog(ctx context.Context, skip int64, max int, fn func(bson.Raw) error) error {
	return m.each(ctx, mongoBacklog, bson.D{}, options.Find().SetSort(bson.D{{Key: "at", Value: 1}, {Key: mongoID, Value: 1}}).
		SetSkip(skip).SetLimit(int64(max)).SetBatchSize(int32(min(max, mongoBacklogAtOnce))), fn)
}

// BacklogStats looks at the oldest and takes the server's own count, which an unclean shutdown of MongoDB
// may leave a little off.
func (m *Mongo) BacklogStats(ctx context.Context) (BacklogStats, error) {
	ctx, done, err := m.enter(ctx)
	if err != nil {
		return BacklogStats{}, err
	}
	defer done()
	var st BacklogStats
	err = m.oldestBacklog(ctx, 0, 1, func(doc bson.Raw) error {
		at, _ := doc.Lookup("at").Int64OK()
		st = BacklogStats{Entries: 1, Oldest: max(0, time.Since(time.Unix(0, at)))}
		return nil
	})
	if err != nil || st.Entries == 0 {
		return st, mongoFault(err, "count the backlog")
	}
	n, err := m.db.Collection(mongoBacklog).EstimatedDocumentCount(ctx)
	st.Entries = max(st.Entries, n)
	return st, mongoFault(err, "count the backlog")
}
