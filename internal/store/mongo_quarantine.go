package store

import (
	"context"
	"slices"
	"time"

	"github.com/ocelot-log/ocelot/pkg/logentry"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// mongoQuarantined is a document of quarantine. Its id comes from the time, so that ids are in the order
// of putting. Times are nanoseconds since 1970, 0 where unknown.
type mongoQuarantined struct {
	ID       bson.Binary `bson:"_id"`
	TenantID string      `bson:"tenant,omitempty"`
	Reason   string      `bson:"reason"`
	Detail   string      `bson:"detail,omitempty"`
	Body     []byte      `bson:"body"`
	Receives int         `bson:"receives"`
	SentAt   int64       `bson:"sent_at,omitempty"`
	At       int64       `bson:"at"`
}

// Quarantine makes items durable.
func (m *Mongo) Quarantine(ctx context.Context, items []Quarantined) error {
	ctx, done, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer done()
	now := time.Now()
	var docs bson.A
	bytes := 0
	send := func() error {
		if len(docs) == 0 {
			return nil
		}
		cmd := bson.D{{Key: "insert", Value: mongoQuarantine}, {Key: "documents", Value: docs}, m.concern(byMajority)}
		docs, bytes = nil, 0
		return m.again(ctx, func() error { return butForDuplicates(m.command(ctx, cmd)) })
	}
	for i := range items {
		q := &items[i]
		doc := mongoQuarantined{ID: mongoBinary(m.ids.New(now)), TenantID: q.TenantID, Reason: q.Reason, Detail: q.Detail, Body: q.Body,
			Receives: q.Receives, SentAt: timeOrNone(q.SentAt), At: timeOrNone(q.At)}
		if doc.At == 0 {
			doc.At = now.UnixNano()
		}
		if bytes += len(q.Body) + len(q.Detail); bytes > m.cfg.BatchBytes || len(docs) == m.cfg.BatchEntries {
			if err := send(); err != nil {
				return mongoFault(err, "quarantine")
			}
		}
		docs = append(docs, doc)
	}
	return mongoFault(send(), "quarantine")
}

func timeOrNone(t time.Time) int64 {
	if t.IsZero() || !keepable(t) {
		return 0
	}
	return t.UnixNano()
}

// ListQuarantine returns the newest items.
func (m *Mongo) ListQuarantine(ctx context.Context, max int) ([]Quarantined, error) {
	ctx, done, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	if max < 1 {
		return nil, nil
	}
	var all []Quarantined
	err = m.each(ctx, mongoQuarantine, bson.D{}, options.Find().SetSort(bson.D{{Key: mongoID, Value: -1}}).SetLimit(int64(max)), func(raw bson.Raw) error {
		var doc mongoQuarantined
		if err := bson.Unmarshal(raw, &doc); err != nil || len(doc.ID.Data) != len(logentry.ID{}) {
			return errMongoRecord
		}
		q := Quarantined{ID: logentry.ID(doc.ID.Data).String(), TenantID: doc.TenantID, Reason: doc.Reason, Detail: doc.Detail,
			Body: slices.Clone(doc.Body), Receives: doc.Receives, At: time.Unix(0, doc.At).UTC()}
		if doc.SentAt != 0 {
			q.SentAt = time.Unix(0, doc.SentAt).UTC()
		}
		all = append(all, q)
		return nil
	})
	return all, mongoFault(err, "list the quarantine")
}

// CountQuarantine takes the server's own count, which an unclean shutdown of MongoDB may leave a little off.
func (m *Mongo) CountQuarantine(ctx context.Context) (int64, error) {
	ctx, done, err := m.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	n, err := m.db.Collection(mongoQuarantine).EstimatedDocumentCount(ctx)
	return n, mongoFault(err, "count the quarantine")
}
