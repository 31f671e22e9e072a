package store

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/ocelot-log/ocelot/internal/document"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// mongoDocument is a document of the collection of its kind. One that was deleted expired at that moment and has
// no body; MongoDB removes what expired some time ago by itself.
type mongoDocument struct {
	ID        string    `bson:"_id"`
	Tenant    string    `bson:"tenant"`
	Body      []byte    `bson:"body"`
	Version   int64     `bson:"version"`
	ChangedAt time.Time `bson:"changed_at"`
	ExpiresAt time.Time `bson:"expires_at"` // absent: never
	Nonce     int64     `bson:"nonce"`      // of the call that made this version: so a call that is sent again knows its own
	Gone      bool      `bson:"gone"`       // not kept: by the server's clock at the time of reading
}

func (d *mongoDocument) document(kind document.Kind) document.Document {
	out := document.Document{Kind: kind, ID: d.ID, TenantID: d.Tenant, Body: d.Body, Version: d.Version, ChangedAt: d.ChangedAt.UTC(), ExpiresAt: d.ExpiresAt, Deleted: d.Gone}
	if !d.ExpiresAt.IsZero() {
		out.ExpiresAt = d.ExpiresAt.UTC()
	}
	if d.Gone {
		out.Body = nil
	}
	return out
}

// Conditions by the server's clock, which says when a command began: what was deleted since is known by having no body.
// A field that is absent counts as less than any time, so its type is asked too.
var (
	mongoGone = bson.D{{Key: "$and", Value: bson.A{
		bson.D{{Key: "$eq", Value: bson.A{bson.D{{Key: "$type", Value: "$expires_at"}}, "date"}}},
		bson.D{{Key: "$or", Value: bson.A{
			bson.D{{Key: "$lte", Value: bson.A{"$expires_at", "$$NOW"}}},
			bson.D{{Key: "$and", Value: bson.A{bson.D{{Key: "$eq", Value: bson.A{"$body", nil}}}, bson.D{{Key: "$lte", Value: bson.A{"$expires_at", "$changed_at"}}}}}}}}}}}}
	mongoThere = bson.D{{Key: "$and", Value: bson.A{
		bson.D{{Key: "$ne", Value: bson.A{bson.D{{Key: "$type", Value: "$version"}}, "missing"}}},
		bson.D{{Key: "$not", Value: bson.A{mongoGone}}}}}}
	mongoDocumentFields = bson.D{{Key: "tenant", Value: 1}, {Key: "body", Value: 1}, {Key: "version", Value: 1},
		{Key: "changed_at", Value: 1}, {Key: "expires_at", Value: 1}, {Key: "nonce", Value: 1}, {Key: "gone", Value: mongoGone}}
)

// asIs is a value that a pipeline does not read as an expression.
func asIs(v any) bson.D { return bson.D{{Key: "$literal", Value: v}} }

// changeDocument makes the next version of a document where condition holds on the server, and returns what is
// there then; ours is false where the condition did not hold. found is false where there is nothing.
func (m *Mongo) changeDocument(ctx context.Context, d document.Document, condition, expires any, create bool) (now mongoDocument, found, ours bool, err error) {
	nonce := rand.Int64()
	next := bson.D{{Key: "_id", Value: asIs(d.ID)}, {Key: "tenant", Value: asIs(d.TenantID)}, {Key: "body", Value: asIs(d.Body)},
		{Key: "version", Value: bson.D{{Key: "$add", Value: bson.A{bson.D{{Key: "$ifNull", Value: bson.A{"$version", int64(0)}}}, int64(1)}}}},
		{Key: "changed_at", Value: "$$NOW"}, {Key: "expires_at", Value: expires}, {Key: "nonce", Value: asIs(nonce)}}
	if d.Deleted {
		next[1].Value, next[2].Value = "$tenant", asIs(nil)
	}
	cmd := bson.D{{Key: "findAndModify", Value: string(d.Kind)}, {Key: "query", Value: bson.D{{Key: mongoID, Value: d.ID}}},
		{Key: "update", Value: bson.A{bson.D{{Key: "$replaceWith", Value: bson.D{{Key: "$cond", Value: bson.A{condition, next, "$$ROOT"}}}}}}},
		{Key: "new", Value: true}, {Key: "upsert", Value: create}, {Key: "fields", Value: mongoDocumentFields}, m.concern(byMajority)}
	var answer struct {
		Value *mongoDocument `bson:"value"`
	}
	err = m.again(ctx, func() error {
		do := func() error { return m.db.RunCommand(ctx, cmd).Decode(&answer) }
		err := do()
		if mongo.IsDuplicateKeyError(err) { // another made it at the same moment
			err = do()
		}
		return err
	})
	if err != nil || answer.Value == nil {
		return now, false, false, err
	}
	return *answer.Value, true, answer.Value.Nonce == nonce, nil
}

func mongoExpires(t time.Time) any {
	if t.IsZero() {
		return "$$REMOVE"
	}
	return asIs(bson.NewDateTimeFromTime(t))
}

// CreateDocument stores a new document.
func (m *Mongo) CreateDocument(ctx context.Context, d document.Document) (document.Document, error) {
	return m.writeDocument(ctx, d, "create a document", func(ctx context.Context) (document.Document, error) {
		d.Deleted = false
		now, _, ours, err := m.changeDocument(ctx, d, bson.D{{Key: "$not", Value: bson.A{mongoThere}}}, mongoExpires(d.ExpiresAt), true)
		if err == nil && !ours {
			err = documentExists()
		}
		return now.document(d.Kind), err
	})
}

// ReplaceDocument changes one that is as the caller saw it.
func (m *Mongo) ReplaceDocument(ctx context.Context, d document.Document) (document.Document, error) {
	return m.writeDocument(ctx, d, "replace a document", func(ctx context.Context) (document.Document, error) {
		d.Deleted = false
		as := bson.D{{Key: "$and", Value: bson.A{mongoThere, bson.D{{Key: "$eq", Value: bson.A{"$version", d.Version}}},
			bson.D{{Key: "$eq", Value: bson.A{"$tenant", asIs(d.TenantID)}}}}}}
		now, found, ours, err := m.changeDocument(ctx, d, as, mongoExpires(d.ExpiresAt), false)
		switch {
		case err != nil || ours:
		case !found || now.Gone || now.Tenant != d.TenantID:
			err = documentNotFound()
		default:
			err = documentChanged()
		}
		return now.document(d.Kind), err
	})
}

// DeleteDocument leaves a tombstone.
func (m *Mongo) DeleteDocument(ctx context.Context, kind document.Kind, id string) error {
	d := document.Document{Kind: kind, ID: id, Deleted: true}
	_, err := m.writeDocument(ctx, d, "delete a document", func(ctx context.Context) (document.Document, error) {
		_, found, ours, err := m.changeDocument(ctx, d, mongoThere, "$$NOW", false)
		if err == nil && (!found || !ours) {
			err = documentNotFound()
		}
		return d, err
	})
	return err
}

func (m *Mongo) writeDocument(ctx context.Context, d document.Document, doing string, write func(context.Context) (document.Document, error)) (document.Document, error) {
	if err := checkDocument(d.Kind, d.ID); err != nil {
		return document.Document{}, err
	}
	ctx, done, err := m.enter(ctx)
	if err != nil {
		return document.Document{}, err
	}
	defer done()
	out, err := write(ctx)
	if err != nil {
		return document.Document{}, mongoFault(err, doing)
	}
	return out, nil
}

// Document returns one.
func (m *Mongo) Document(ctx context.Context, kind document.Kind, id string) (document.Document, error) {
	all, err := m.documents(ctx, kind, "read a document", bson.D{{Key: mongoID, Value: id}, {Key: "$expr", Value: mongoThere}}, options.Find().SetLimit(1))
	if err != nil {
		return document.Document{}, err
	}
	if len(all) == 0 {
		return document.Document{}, documentNotFound()
	}
	return all[0], nil
}

// Documents returns some by id.
func (m *Mongo) Documents(ctx context.Context, kind document.Kind, tenantID, after string, max int) ([]document.Document, error) {
	if max < 1 {
		return nil, nil
	}
	where := bson.D{{Key: mongoID, Value: bson.D{{Key: "$gt", Value: after}}}, {Key: "$expr", Value: mongoThere}}
	if tenantID != "" {
		where = append(bson.D{{Key: "tenant", Value: tenantID}}, where...)
	}
	return m.documents(ctx, kind, "list documents", where, options.Find().SetSort(bson.D{{Key: mongoID, Value: 1}}).SetLimit(int64(max)))
}

// DocumentChanges returns some by the time of their change.
func (m *Mongo) DocumentChanges(ctx context.Context, kind document.Kind, since time.Time, max int) ([]document.Document, error) {
	if max < 1 {
		return nil, nil
	}
	return m.documents(ctx, kind, "read changes of documents", bson.D{{Key: "changed_at", Value: bson.D{{Key: "$gte", Value: bson.NewDateTimeFromTime(since)}}}},
		options.Find().SetSort(bson.D{{Key: "changed_at", Value: 1}, {Key: mongoID, Value: 1}}).SetLimit(int64(max)))
}

func (m *Mongo) documents(ctx context.Context, kind document.Kind, doing string, where bson.D, opts *options.FindOptionsBuilder) ([]document.Document, error) {
	ctx, done, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	var all []document.Document
	err = m.each(ctx, string(kind), where, opts.SetProjection(mongoDocumentFields), func(raw bson.Raw) error {
		var d mongoDocument
		if err := bson.Unmarshal(raw, &d); err != nil {
			return err
		}
		all = append(all, d.document(kind))
		return nil
	})
	return all, mongoFault(err, doing)
}
