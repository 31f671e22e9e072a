package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/ocelot-log/ocelot/internal/tenant"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// mongoTenantDoc is a document of tenants; the slug is unique too. What stands below created_at is absent where
// an older version made it.
type mongoTenantDoc struct {
	ID        string `bson:"_id"`
	Slug      string `bson:"slug"`
	Name      string `bson:"name"`
	CreatedAt int64  `bson:"created_at"` // nanoseconds since 1970
	Settings  string `bson:"settings,omitempty"`
	Suspended bool   `bson:"suspended,omitempty"`
	DeleteAt  int64  `bson:"delete_at,omitempty"` // milliseconds since 1970
	Version   int64  `bson:"version,omitempty"`
	Nonce     int64  `bson:"nonce,omitempty"` // of the call that changed it last
}

func (d *mongoTenantDoc) info() (tenant.Info, error) {
	settings, err := tenant.StoredSettings([]byte(d.Settings))
	return tenant.Info{ID: d.ID, Slug: d.Slug, Name: d.Name, CreatedAt: time.Unix(0, d.CreatedAt).UTC(), Settings: settings,
		Suspended: d.Suspended, DeleteAt: fromMilli(d.DeleteAt), Version: max(d.Version, 1)}, err
}

// CreateTenant stores a new tenant. It is sent once: of a second attempt a conflict would say nothing.
func (m *Mongo) CreateTenant(ctx context.Context, t tenant.Info) error {
	ctx, done, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer done()
	err = m.command(ctx, bson.D{{Key: "insert", Value: mongoTenants}, {Key: "documents", Value: bson.A{
		mongoTenantDoc{ID: t.ID, Slug: t.Slug, Name: t.Name, CreatedAt: t.CreatedAt.UnixNano(), Settings: string(t.Settings.AppendJSON(nil)),
			Suspended: t.Suspended, DeleteAt: unixMilli(t.DeleteAt), Version: 1}}}, m.concern(byMajority)})
	if mongo.IsDuplicateKeyError(err) {
		return tenantExists()
	}
	return mongoFault(err, "create a tenant")
}

// ListTenants returns all tenants by slug.
func (m *Mongo) ListTenants(ctx context.Context) ([]tenant.Info, error) {
	ctx, done, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	var all []tenant.Info
	err = m.each(ctx, mongoTenants, bson.D{}, options.Find().SetSort(bson.D{{Key: "slug", Value: 1}}), func(raw bson.Raw) error {
		var doc mongoTenantDoc
		if err := bson.Unmarshal(raw, &doc); err != nil {
			return err
		}
		t, err := doc.info()
		all = append(all, t)
		return err
	})
	return all, mongoFault(err, "list tenants")
}

// UpdateTenant changes one that is as the caller saw it.
func (m *Mongo) UpdateTenant(ctx context.Context, t tenant.Info) (tenant.Info, error) {
	ctx, done, err := m.enter(ctx)
	if err != nil {
		return tenant.Info{}, err
	}
	defer done()
	kept, err := m.updateTenant(ctx, t)
	if err != nil {
		return tenant.Info{}, mongoFault(err, "change a tenant")
	}
	return kept, nil
}

func (m *Mongo) updateTenant(ctx context.Context, t tenant.Info) (tenant.Info, error) {
	where := bson.D{{Key: mongoID, Value: t.ID}, {Key: "version", Value: t.Version}}
	if t.Version == 1 { // or never counted
		where[1].Value = bson.D{{Key: "$in", Value: bson.A{int64(1), nil}}}
	}
	nonce := rand.Int64()
	cmd := bson.D{{Key: "findAndModify", Value: mongoTenants}, {Key: "query", Value: where}, {Key: "update", Value: bson.D{{Key: "$set", Value: bson.D{
		{Key: "name", Value: t.Name}, {Key: "settings", Value: string(t.Settings.AppendJSON(nil))}, {Key: "suspended", Value: t.Suspended},
		{Key: "delete_at", Value: unixMilli(t.DeleteAt)}, {Key: "version", Value: t.Version + 1}, {Key: "nonce", Value: nonce}}}}},
		{Key: "new", Value: true}, m.concern(byMajority)}
	var answer struct {
		Value *mongoTenantDoc `bson:"value"`
	}
	if err := m.again(ctx, func() error { return m.db.RunCommand(ctx, cmd).Decode(&answer) }); err != nil {
		return tenant.Info{}, err
	}
	if answer.Value == nil {
		var held mongoTenantDoc
		err := m.db.Collection(mongoTenants).FindOne(ctx, bson.D{{Key: mongoID, Value: t.ID}}).Decode(&held)
		switch {
		case errors.Is(err, mongo.ErrNoDocuments):
			return tenant.Info{}, tenantNotFound()
		case err != nil:
			return tenant.Info{}, err
		case held.Nonce != nonce: // otherwise a first attempt worked, and its answer was lost
			return tenant.Info{}, tenantChanged()
		}
		answer.Value = &held
	}
	return answer.Value.info()
}

// DeleteTenant removes the tenant itself.
func (m *Mongo) DeleteTenant(ctx context.Context, id string) error {
	ctx, done, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer done()
	cmd := bson.D{{Key: "delete", Value: mongoTenants}, {Key: "deletes", Value: bson.A{bson.D{
		{Key: "q", Value: bson.D{{Key: mongoID, Value: id}}}, {Key: "limit", Value: 1}}}}, m.concern(byMajority)}
	return mongoFault(m.again(ctx, func() error { return m.command(ctx, cmd) }), "delete a tenant")
}
