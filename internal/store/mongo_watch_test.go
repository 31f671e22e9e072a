package store_test

import (
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/store"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// changeStreams are the cursors of change streams of a database that are open on the server.
func changeStreams(t *testing.T, db *mongo.Database) (cursors []int64) {
	t.Helper()
	found, err := db.Client().Database("admin").Aggregate(t.Context(), mongo.Pipeline{
		{{Key: "$currentOp", Value: bson.D{{Key: "allUsers", Value: true}, {Key: "idleCursors", Value: true}}}},
		{{Key: "$match", Value: bson.D{{Key: "cursor.originatingCommand.pipeline.0.$changeStream", Value: bson.D{{Key: "$exists", Value: true}}}, {Key: "ns", Value: db.Name() + ".commits"}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		Cursor struct {
			ID int64 `bson:"cursorId"`
		} `bson:"cursor"`
	}
	if err := found.All(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		cursors = append(cursors, c.Cursor.ID)
	}
	return cursors
}

func TestMongoWatchesWhatOthersPut(t *testing.T) {
	m, db := openMongo(t, store.MongoConfig{})
	other := connectMongo(t, store.MongoConfig{Database: db.Name()})
	w := watch(t, m)
	maker := newMaker(78)
	put(t, other, maker.records("acme", 3))
	w.rang(t, "another process puts")

	// A stream that the server has ended is made again, or its end is told: then whoever watches looks by itself.
	var cursors []int64
	for deadline := time.Now().Add(20 * time.Second); len(cursors) == 0 && time.Now().Before(deadline); {
		cursors = changeStreams(t, db)
	}
	if len(cursors) == 0 {
		t.Fatal("no change stream is seen on the server")
	}
	if err := db.RunCommand(t.Context(), bson.D{{Key: "killCursors", Value: "commits"}, {Key: "cursors", Value: cursors}}).Err(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; {
		put(t, other, maker.records("acme", 1))
		select {
		case <-w.rings:
		case err := <-w.ended:
			if err == nil {
				t.Error("it ended without a reason")
			}
		case <-time.After(100 * time.Millisecond):
			if time.Now().After(deadline) {
				t.Fatal("neither rings nor an end behind the end of the stream")
			}
			continue
		}
		break
	}
}

func TestMongoWatchEndsWhenItIsAskedTo(t *testing.T) {
	m, db := openMongo(t, store.MongoConfig{})
	watch(t, m).end(t)
	for deadline := time.Now().Add(30 * time.Second); len(changeStreams(t, db)) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("its cursor stays open on the server")
		}
	}
}
