package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/pkg/logentry"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// Commits have numbers without gaps. A writer takes the next number from a counter, makes the commit with
// the ids durable, and inserts the records. Nothing more can come of a commit whose ids are all held,
// whoever brought them; of one that its writer has closed, because some of its records never will
// be held; or of one so old that no command of its writer can still run. Whoever scans waits
// for the others where later ones have overtaken them. It takes a number that is missing itself, so that
// the writer finds it taken and takes another.
//
//	_id   the number
//	ids   of the records, 16 bytes each; those that turn out to be held already name another commit
//	open  not closed
//	at    when it began, by the server's clock
type mongoCommitDoc struct {
	Number int64          `bson:"_id"`
	IDs    []byte         `bson:"ids"`
	Open   bool           `bson:"open"`
	At     bson.Timestamp `bson:"at"`
}

// mongoAbandoned is when nothing more can come of a commit: longer than a command may run, the
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

// closeCommits closes n commits. If that fails, those that scan wait until they are old.
func (m *Mongo) closeCommits(ctx context.Context, first int64, n int) {
	if n < 1 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.cfg.ConnectTimeout)
	defer cancel()
	_ = m.command(ctx, bson.D{{Key: "update", Value: mongoCommits}, {Key: "updates", Value: bson.A{bson.D{
		{Key: "q", Value: bson.D{{Key: mongoID, Value: bson.D{{Key: "$gte", Value: first}, {Key: "$lt", Value: first + int64(n)}}}}},
		{Key: "u", Value: bson.D{{Key: "$set", Value: bson.D{{Key: "open", Value: false}}}}}, {Key: "multi", Value: true}}}},
		m.concern(byMajority)})
}

// skipCommit takes a number that is missing, for good, unless it is not missing any more.
func (m *Mongo) skipCommit(ctx context.Context, number int64) error {
	err := m.command(ctx, bson.D{{Key: "insert", Value: mongoCommits}, {Key: "documents", Value: bson.A{
		mongoCommitDoc{Number: number, IDs: []byte{}}}}, m.concern(byMajority)})
	if mongo.IsDuplicateKeyError(err) {
		return nil
	}
	return err
}

// complete says whether nothing more can come of a commit, at a time of the server.
func (m *Mongo) complete(ctx context.Context, c *mongoCommitDoc, now time.Time) (bool, error) {
	if !c.Open || now.Sub(time.Unix(int64(c.At.T), 0)) > mongoAbandoned {
		return true, nil
	}
	ids, held := c.ids(0), int64(0)
	for part := range slices.Chunk(ids, mongoIDsAtOnce) {
		n, err := m.db.Collection(mongoEntries).CountDocuments(ctx, withIDs(part))
		if err != nil {
			return false, err
		}
		held += n
	}
	return held == int64(len(ids)), nil
}

// serverTime is the server's clock.
func (m *Mongo) serverTime(ctx context.Context) (time.Time, error) {
	var hello mongoHello
	err := m.db.RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello)
	return hello.LocalTime, err
}

// lastCommit is the number of the last commit; 0 for none.
func (m *Mongo) lastCommit(ctx context.Context) (int64, error) {
	var c mongoCommitDoc
	err := m.db.Collection(mongoCommits).FindOne(ctx, bson.D{}, options.FindOne().SetSort(bson.D{{Key: mongoID, Value: -1}}).
		SetProjection(bson.D{{Key: mongoID, Value: 1}})).Decode(&c)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return 0, nil
	}
	return c.Number, err
}

// ids are the ids of a commit from an offset on.
func (c *mongoCommitDoc) ids(from int) []logentry.ID {
	var ids []logentry.ID
	for at := from * len(logentry.ID{}); at+len(logentry.ID{}) <= len(c.IDs); at += len(logentry.ID{}) {
		ids = append(ids, logentry.ID(c.IDs[at:]))
	}
	return ids
}
