package store

import (
	"context"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"

	"github.com/ocelot-log/ocelot/internal/wait"
)

// mongoConcern is what a write waits for. A raw command does not take it from the client.
type mongoConcern uint8

const (
	byMajority mongoConcern = iota // and its journals
	byPrimary                      // for what may be forgotten in a failover
)

// insertCommand is an insert of documents that were encoded by hand: the driver's InsertMany would
// encode each of them again to look for its _id, at ten times the cost.
type insertCommand struct {
	buf       []byte
	body      int32 // where lengths go
	documents int32
	n         int
}

// begin starts the command in memory that may be reused.
func (c *insertCommand) begin(collection string, ordered bool, concern mongoConcern, wait time.Duration) {
	c.body, c.buf = bsoncore.AppendDocumentStart(c.buf[:0])
	c.buf = bsoncore.AppendStringElement(c.buf, "insert", collection)
	c.buf = bsoncore.AppendBooleanElement(c.buf, "ordered", ordered)
	c.buf = appendConcern(c.buf, concern, wait)
	c.documents, c.buf = bsoncore.AppendArrayElementStart(c.buf, "documents")
	c.n = 0
}

// document begins the next document and returns where its length goes; endDocument ends it.
func (c *insertCommand) document() (start int32) {
	c.buf = append(c.buf, byte(bsoncore.TypeEmbeddedDocument))
	c.buf = append(strconv.AppendInt(c.buf, int64(c.n), 10), 0)
	c.n++
	start, c.buf = bsoncore.ReserveLength(c.buf)
	return start
}

func (c *insertCommand) endDocument(start int32) {
	c.buf = append(c.buf, 0)
	c.buf = bsoncore.UpdateLength(c.buf, start, int32(len(c.buf))-start)
}

func (c *insertCommand) end() bson.Raw {
	c.buf = append(c.buf, 0)
	c.buf = bsoncore.UpdateLength(c.buf, c.documents, int32(len(c.buf))-c.documents)
	c.buf = append(c.buf, 0)
	c.buf = bsoncore.UpdateLength(c.buf, c.body, int32(len(c.buf))-c.body)
	return c.buf
}

func appendConcern(dst []byte, concern mongoConcern, wait time.Duration) []byte {
	start, dst := bsoncore.AppendDocumentElementStart(dst, "writeConcern")
	if concern == byPrimary {
		dst = bsoncore.AppendInt32Element(dst, "w", 1)
	} else {
		dst = bsoncore.AppendStringElement(dst, "w", "majority")
		dst = bsoncore.AppendBooleanElement(dst, "j", true)
		dst = bsoncore.AppendInt32Element(dst, "wtimeout", int32(wait.Milliseconds()))
	}
	dst, _ = bsoncore.AppendDocumentEnd(dst, start)
	return dst
}

// concern is the same for commands that are built the long way.
func (m *Mongo) concern(c mongoConcern) bson.E {
	if c == byPrimary {
		return bson.E{Key: "writeConcern", Value: bson.D{{Key: "w", Value: 1}}}
	}
	return bson.E{Key: "writeConcern", Value: bson.D{{Key: "w", Value: "majority"}, {Key: "j", Value: true}, {Key: "wtimeout", Value: m.cfg.WriteTimeout.Milliseconds()}}}
}

// command runs one command.
func (m *Mongo) command(ctx context.Context, cmd any) error { return m.db.RunCommand(ctx, cmd).Err() }

// again calls do until it works, it fails for good, or there were enough attempts. Every write of ours
// may be sent again: it is the same thing under the same id.
func (m *Mongo) again(ctx context.Context, do func() error) error {
	for attempt := 1; ; attempt++ {
		err := do()
		if err == nil || attempt >= m.cfg.Attempts || !mongoPasses(err) || !pauseMongo(ctx, attempt) {
			return err
		}
	}
}

// pauseMongo waits before the next attempt: longer each time, never quite as long as others wait. It is
// false where ctx ends before.
func pauseMongo(ctx context.Context, attempt int) bool {
	return wait.For(ctx, wait.Backoff(attempt, 25*time.Millisecond, 2*time.Second)) == nil
}
