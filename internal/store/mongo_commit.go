package store

import (
	"context"
	"errors"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/pkg/logentry"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// Commits have numbers without gaps. A writer takes the next number from a counter, makes the commit with
// the ids durable, inserts the records, and marks the commit done. Whoever scans therefore knows what is
// under way: a commit that is open, or a number that is missing. It waits for an open one that others
// have overtaken until it is done, or so old that its writer must be gone and no command of it can
// still run. It takes a missing number itself, so that the writer finds it taken and takes another.
//
//	_id   the number
//	ids   of the records, 16 bytes each; those that turned out to be held already name another commit
//	open  records may still come
//	at    when it began, by the server's clock
type mongoCommitDoc struct {
	Number int64          `bson:"_id"`
	IDs    []byte         `bson:"ids"`
	Open   bool           `bson:"open"`
	At     bson.Timestamp `bson:"at"`
}

// mongoAbandoned is when an open commit is taken for done: longer than a command may run, the
// differences between clocks, and some more.
const mongoAbandoned = 3 * time.Minute

// commitTries is how often a number may turn out to be taken.
const commitTries = 8

var errCommitTaken = errors.New("the numbers of a commit were taken")

// openCommits makes a commit for each chunk durable and returns the number of the first; the others follow.
func (m *Mongo) openCommits(ctx context.Context, p *mongoPut) (first int64, err error) {
	for range commitTries {
		err = m.again(ctx, func() error { // with another number each time: after a lost answer that one may exist
			if first, err = m.nextCommits(ctx, len(p.chunks)); err != nil {
				return err
			}
			return m.insertCommits(ctx, p, first)
		})
		if !errors.Is(err, errCommitTaken) {
			return first, err
		}
	}
	return 0, fault.As(fault.Unavailable, "storage_busy", err)
}

// nextCommits takes n numbers. A failover may hand them out again: the _id of commits decides.
func (m *Mongo) nextCommits(ctx context.Context, n int) (first int64, err error) {
	var reply struct {
		Value *struct {
			N int64 `bson:"n"`
		} `bson:"value"`
	}
	err = m.db.RunCommand(ctx, bson.D{{Key: "findAndModify", Value: mongoMeta}, {Key: "query", Value: bson.D{{Key: mongoID, Value: "commits"}}},
		{Key: "update", Value: bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: int64(n)}}}}}, {Key: "new", Value: true}, m.concern(byPrimary)}).Decode(&reply)
	if err != nil {
		return 0, err
	}
	if reply.Value == nil {
		return 0, schemaMissing(m.cfg.Database)
	}
	return reply.Value.N - int64(n) + 1, nil
}

func (m *Mongo) insertCommits(ctx context.Context, p *mongoPut, first int64) error {
	c := &p.commits
	c.begin(mongoCommits, true, byMajority, m.cfg.WriteTimeout)
	for i, chunk := range p.chunks {
		start := c.document()
		c.buf = bsoncore.AppendInt64Element(c.buf, mongoID, first+int64(i))
		c.buf = bsoncore.AppendBooleanElement(c.buf, "open", true)
		c.buf = bsoncore.AppendTimestampElement(c.buf, "at", 0, 0) // the server puts its time here
		p.ids = p.ids[:0]
		for _, at := range chunk {
			p.ids = append(p.ids, p.records[at].ID[:]...)
		}
		c.buf = bsoncore.AppendBinaryElement(c.buf, "ids", 0, p.ids)
		c.endDocument(start)
	}
	err := m.command(ctx, c.end())
	failed, ok := errors.AsType[mongo.WriteException](err)
	if !ok || failed.WriteConcernError != nil || len(failed.WriteErrors) == 0 || failed.WriteErrors[0].Code != mongoDuplicateKey {
		return err
	}
	m.closeCommits(ctx, first, failed.WriteErrors[0].Index)
	return errCommitTaken
}

// closeCommits marks n commits done. It need not be durable, nor even work: it is done for those that scan.
func (m *Mongo) closeCommits(ctx context.Context, first int64, n int) {
	if n == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.cfg.ConnectTimeout)
	defer cancel()
	_ = m.command(ctx, bson.D{{Key: "update", Value: mongoCommits}, {Key: "updates", Value: bson.A{bson.D{
		{Key: "q", Value: bson.D{{Key: mongoID, Value: bson.D{{Key: "$gte", Value: first}, {Key: "$lt", Value: first + int64(n)}}}}},
		{Key: "u", Value: bson.D{{Key: "$set", Value: bson.D{{Key: "open", Value: false}}}}}, {Key: "multi", Value: true}}}},
		m.concern(byPrimary)})
}

// skipCommit takes a number that is missing, for good. False: it is not missing any more.
func (m *Mongo) skipCommit(ctx context.Context, number int64) (bool, error) {
	err := m.command(ctx, bson.D{{Key: "insert", Value: mongoCommits}, {Key: "documents", Value: bson.A{
		mongoCommitDoc{Number: number, IDs: []byte{}}}}, m.concern(byMajority)})
	if mongo.IsDuplicateKeyError(err) {
		return false, nil
	}
	return err == nil, err
}

// overtaken says whether a commit after number is done.
func (m *Mongo) overtaken(ctx context.Context, number int64) (bool, error) {
	return m.anyDone(ctx, bson.D{{Key: "$gt", Value: number}})
}

// anyDone says whether one of the commits is marked done on the primary. The majority need not have the
// mark: it has had the records since before it was made.
func (m *Mongo) anyDone(ctx context.Context, number any) (bool, error) {
	err := m.db.Collection(mongoCommits, options.Collection().SetReadConcern(readconcern.Local())).
		FindOne(ctx, bson.D{{Key: mongoID, Value: number}, {Key: "open", Value: false}}).Err()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return false, nil
	}
	return err == nil, err
}

// done says whether nothing of a commit can come any more.
func (m *Mongo) done(ctx context.Context, c *mongoCommitDoc) (bool, error) {
	if !c.Open {
		return true, nil
	}
	if done, err := m.anyDone(ctx, c.Number); err != nil || done {
		return done, err
	}
	return m.abandoned(ctx, c)
}

// abandoned says whether a commit has been open for so long that nothing of it can come any more.
func (m *Mongo) abandoned(ctx context.Context, c *mongoCommitDoc) (bool, error) {
	var hello mongoHello
	if err := m.db.RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello); err != nil {
		return false, err
	}
	return hello.LocalTime.Sub(time.Unix(int64(c.At.T), 0)) > mongoAbandoned, nil
}

// ids are the ids of a commit from an offset on.
func (c *mongoCommitDoc) ids(from int) []logentry.ID {
	var ids []logentry.ID
	for at := from * len(logentry.ID{}); at+len(logentry.ID{}) <= len(c.IDs); at += len(logentry.ID{}) {
		ids = append(ids, logentry.ID(c.IDs[at:]))
	}
	return ids
}
