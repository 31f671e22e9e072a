package store

import (
	"context"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/tenant"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// mongoTenantDoc is a document of tenants; the slug is unique too.
type mongoTenantDoc struct {
	ID        string `bson:"_id"`
	Slug      string `bson:"slug"`
	Name      string `bson:"name"`
	CreatedAt int64  `bson:"created_at"` // nanoseconds since 1970
}

// CreateTenant stores a new tenant. It is sent once: of a second attempt a conflict would say nothing.
func (m *Mongo) CreateTenant(ctx context.Context, t tenant.Info) error {
	ctx, done, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer done()
	err = m.command(ctx, bson.D{{Key: "insert", Value: mongoTenants}, {Key: "documents", Value: bson.A{
		mongoTenantDoc{ID: t.ID, Slug: t.Slug, Name: t.Name, CreatedAt: t.CreatedAt.UnixNano()}}}, m.concern(byMajority)})
	if mongo.IsDuplicateKeyError(err) {
		return fault.New(fault.Conflict, "tenant_exists", "there is a tenant with this id already")
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
		all = append(all, tenant.Info{ID: doc.ID, Slug: doc.Slug, Name: doc.Name, CreatedAt: time.Unix(0, doc.CreatedAt).UTC()})
		return nil
	})
	return all, mongoFault(err, "list tenants")
}
