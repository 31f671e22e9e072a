package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ocelot-log/ocelot/internal/document"
	"github.com/ocelot-log/ocelot/internal/fault"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// mongoSchemaVersion is what Migrate brings a database to. A number goes up when a binary of the number
// before could not work with what the new one needs.
const mongoSchemaVersion = 2 // 1 knows no documents, and takes a suspended tenant for any other

// mongoIndex is an index that must be there.
type mongoIndex struct {
	collection, name string
	keys             bson.D
	unique           bool
	expire           time.Duration // how long after the time in its field MongoDB removes a document; 0: never
}

// mongoIndexes are all but those of _id. Each on entries costs a Put about a third of what the record itself
// costs, so there is one: lists of a tenant by time, and what the filters of such lists narrow.
func mongoIndexes() []mongoIndex {
	all := []mongoIndex{
		{collection: mongoEntries, name: "tenant_time", keys: bson.D{{Key: mongoTenant, Value: 1}, {Key: mongoTimestamp, Value: -1}, {Key: mongoID, Value: -1}}},
		{collection: mongoBacklog, name: "oldest", keys: bson.D{{Key: "at", Value: 1}, {Key: mongoID, Value: 1}}},
		{collection: mongoCounters, name: "expiry", keys: bson.D{{Key: "until", Value: 1}}},
		{collection: mongoTenants, name: "slug", keys: bson.D{{Key: "slug", Value: 1}}, unique: true},
	}
	for _, kind := range document.Kinds() {
		all = append(all,
			mongoIndex{collection: string(kind), name: "tenant", keys: bson.D{{Key: "tenant", Value: 1}, {Key: mongoID, Value: 1}}},
			mongoIndex{collection: string(kind), name: "changed", keys: bson.D{{Key: "changed_at", Value: 1}, {Key: mongoID, Value: 1}}},
			mongoIndex{collection: string(kind), name: "expired", keys: bson.D{{Key: "expires_at", Value: 1}}, expire: tombstones})
	}
	return all
}

// mongoCollections are all of them.
func mongoCollections() []string {
	all := []string{mongoEntries, mongoCommits, mongoBacklog, mongoQuarantine, mongoTenants, mongoCounters, mongoMeta}
	for _, kind := range document.Kinds() {
		all = append(all, string(kind))
	}
	return all
}

func (ix mongoIndex) model() mongo.IndexModel {
	o := options.Index().SetName(ix.name).SetUnique(ix.unique)
	if ix.expire > 0 {
		o.SetExpireAfterSeconds(int32(ix.expire.Seconds()))
	}
	return mongo.IndexModel{Keys: ix.keys, Options: o}
}

// is says whether an index that is there is this one.
func (ix mongoIndex) is(s mongo.IndexSpecification) bool {
	return s.Name == ix.name && ix.unique == (s.Unique != nil && *s.Unique) &&
		(ix.expire == 0 || s.ExpireAfterSeconds != nil && *s.ExpireAfterSeconds == int32(ix.expire.Seconds()))
}

func schemaMissing(database string) *fault.Error {
	return fault.New(fault.Conflict, "schema_missing", fmt.Sprintf("the database %s is not migrated to version %d, which this version needs: run ocelot migrate, or set AUTO_MIGRATE=true",
		database, mongoSchemaVersion))
}

// schemaVersion is the version that the database was migrated to; 0 for none.
func (m *Mongo) schemaVersion(ctx context.Context) (int, error) {
	var doc struct {
		Version int `bson:"version"`
	}
	err := m.db.Collection(mongoMeta).FindOne(ctx, bson.D{{Key: mongoID, Value: "schema"}}).Decode(&doc)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return 0, nil
	}
	if err == nil && doc.Version > mongoSchemaVersion {
		err = fault.New(fault.Conflict, "schema_newer", fmt.Sprintf("the database %s was migrated to version %d by a newer version of Ocelot, this one knows %d: use the newer version",
			m.cfg.Database, doc.Version, mongoSchemaVersion))
	}
	return doc.Version, err
}

// Migrate makes collections and indexes and notes the version. It changes nothing that is right already,
// and several may run at once. Kind Conflict: the database is of a newer version, or an index of ours
// has another definition. It takes as long as the indexes take: ctx ends it.
func (m *Mongo) Migrate(ctx context.Context) error {
	if err := m.hold(ctx); err != nil {
		return err
	}
	defer m.life.RUnlock()
	if _, err := m.schemaVersion(ctx); err != nil {
		return mongoFault(err, "migrate")
	}
	for _, name := range mongoCollections() {
		err := m.db.CreateCollection(ctx, name)
		if err != nil && !slices.Contains(mongo.ErrorCodes(err), mongoNamespaceExists) {
			return mongoFault(err, "make the collection "+name)
		}
	}
	for _, ix := range mongoIndexes() {
		_, err := m.db.Collection(ix.collection).Indexes().CreateOne(ctx, ix.model())
		if codes := mongo.ErrorCodes(err); slices.Contains(codes, 85) || slices.Contains(codes, 86) { // other options, other keys
			return fault.New(fault.Conflict, "schema_conflict", fmt.Sprintf("the index %s of %s.%s exists with another definition: drop it and migrate again", ix.name, m.cfg.Database, ix.collection))
		}
		if err != nil {
			return mongoFault(err, "make the index "+ix.name)
		}
	}
	for _, u := range []struct {
		id     string
		update bson.D
	}{
		{"commits", bson.D{{Key: "$setOnInsert", Value: bson.D{{Key: "n", Value: int64(0)}}}}},
		{"schema", bson.D{{Key: "$max", Value: bson.D{{Key: "version", Value: mongoSchemaVersion}}}}},
	} {
		err := m.again(ctx, func() error {
			update := func() error {
				_, err := m.db.Collection(mongoMeta).UpdateOne(ctx, bson.D{{Key: mongoID, Value: u.id}}, u.update, options.UpdateOne().SetUpsert(true))
				return err
			}
			err := update()
			if mongo.IsDuplicateKeyError(err) { // another made it at the same moment
				err = update()
			}
			return err
		})
		if err != nil {
			return mongoFault(err, "note the version of the schema")
		}
	}
	return nil
}

// CheckSchema says whether this binary can work with the database as it is: kind Conflict where it was
// never migrated, or by a newer version, or where an index is missing.
func (m *Mongo) CheckSchema(ctx context.Context) error {
	ctx, done, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer done()
	version, err := m.schemaVersion(ctx)
	if err != nil {
		return mongoFault(err, "check the schema")
	}
	if version < mongoSchemaVersion {
		return schemaMissing(m.cfg.Database)
	}
	for _, ix := range mongoIndexes() {
		have, err := m.db.Collection(ix.collection).Indexes().ListSpecifications(ctx)
		if err != nil {
			return mongoFault(err, "check the indexes of "+ix.collection)
		}
		if !slices.ContainsFunc(have, ix.is) {
			return fault.New(fault.Conflict, "schema_incomplete", fmt.Sprintf("the index %s of %s.%s is missing or of another kind: run ocelot migrate", ix.name, m.cfg.Database, ix.collection))
		}
	}
	return nil
}
