package store

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ocelot-log/ocelot/internal/fault"
)

// watchPatience is how long the server holds a question that nothing answers.
const watchPatience = time.Second

// Watch follows a change stream of the commits: one event for up to BatchEntries records, a moment before they are there.
// The server sends nothing of them but where to go on after a lost connection. It does not hold up Close, and ends with it.
func (m *Mongo) Watch(ctx context.Context, ring func()) error {
	if err := m.hold(ctx); err != nil {
		return err
	}
	m.life.RUnlock()
	changes, err := m.db.Collection(mongoCommits).Watch(ctx, mongo.Pipeline{
		{{Key: "$match", Value: bson.D{{Key: "operationType", Value: "insert"}}}},
		{{Key: "$project", Value: bson.D{{Key: mongoID, Value: 1}}}},
	}, options.ChangeStream().SetMaxAwaitTime(watchPatience))
	if err != nil {
		return mongoWatchFault(err)
	}
	// A question that is canceled goes on at the server, and its cursor stays there: it is ended by way of the cursor.
	var cursor atomic.Int64
	cursor.Store(changes.ID())
	asking, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		m.killCursor(asking, cursor.Load())
		cancel()
	})()
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.cfg.ConnectTimeout)
		defer cancel()
		_ = changes.Close(closing)
	}()
	for ring(); ctx.Err() == nil; cursor.Store(changes.ID()) {
		within, enough := context.WithTimeout(asking, watchPatience+m.cfg.CallTimeout)
		something := changes.TryNext(within)
		enough()
		if something {
			ring()
		} else if err := changes.Err(); err != nil {
			return mongoWatchFault(err)
		}
	}
	return mongoFault(ctx.Err(), "watch the record")
}

// mongoWatchFault says of a user who may read and write, and not watch, what it lacks.
func mongoWatchFault(err error) error {
	if slices.Contains(mongo.ErrorCodes(err), mongoUnauthorized) {
		return fault.New(fault.Unavailable, "watch_not_allowed", "MongoDB lets the user of MONGODB_URI open no change stream: "+
			"give it the role readWrite on the database, or the action changeStream")
	}
	return mongoFault(err, "watch the record")
}

func (m *Mongo) killCursor(ctx context.Context, id int64) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_ = m.command(ctx, bson.D{{Key: "killCursors", Value: mongoCommits}, {Key: "cursors", Value: bson.A{id}}})
}
