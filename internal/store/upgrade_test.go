package store_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/document"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/internal/tenant"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// oldTenant is one that was made before tenants had settings.
func oldTenant() tenant.Info {
	return tenant.Info{ID: "aaaaaaaaaaaa", Slug: "acme", Name: "Acme", CreatedAt: time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC), Version: 1}
}

// worksWithOldTenant fails unless a store that has oldTenant keeps settings and documents.
func worksWithOldTenant(t *testing.T, s store.Store) {
	t.Helper()
	all, err := s.ListTenants(t.Context())
	if err != nil || !reflect.DeepEqual(all, []tenant.Info{oldTenant()}) {
		t.Fatalf("tenants are %+v, %v", all, err)
	}
	all[0].Settings.RetentionDays = 7
	if _, err := s.UpdateTenant(t.Context(), all[0]); err != nil {
		t.Fatal(err)
	}
	_, err = s.UpdateTenant(t.Context(), all[0])
	wantKind(t, err, fault.Conflict, "tenant_changed")
	all[0].Version = 2
	if kept, err := s.ListTenants(t.Context()); err != nil || !reflect.DeepEqual(kept, all) {
		t.Fatalf("tenants are %+v, %v", kept, err)
	}
	create(t, s, document.Document{Kind: document.Key, ID: "a", TenantID: all[0].ID, Body: []byte(`{}`)})
}

func TestSQLiteTakesAFileOfBeforeSettings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.db")
	s, err := store.NewSQLite(path, store.SQLiteConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.CreateTenant(t.Context(), oldTenant()), s.Close()); err != nil {
		t.Fatal(err)
	}
	raw, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := raw.Exec("DROP TABLE tenant_state; DROP TABLE documents"); err != nil {
		t.Fatal(err)
	}
	if err := raw.Close(); err != nil {
		t.Fatal(err)
	}
	worksWithOldTenant(t, openSQLite(t, path, store.SQLiteConfig{}))
}

func TestMongoUpgradesADatabaseOfBeforeSettings(t *testing.T) {
	db := mongoDatabase(t)
	old := oldTenant()
	for collection, doc := range map[string]bson.D{
		"meta":    {{Key: "_id", Value: "schema"}, {Key: "version", Value: 1}},
		"tenants": {{Key: "_id", Value: old.ID}, {Key: "slug", Value: old.Slug}, {Key: "name", Value: old.Name}, {Key: "created_at", Value: old.CreatedAt.UnixNano()}},
	} {
		if _, err := db.Collection(collection).InsertOne(t.Context(), doc); err != nil {
			t.Fatal(err)
		}
	}
	slug := mongo.IndexModel{Keys: bson.D{{Key: "slug", Value: 1}}, Options: options.Index().SetName("slug").SetUnique(true)}
	if _, err := db.Collection("tenants").Indexes().CreateOne(t.Context(), slug); err != nil {
		t.Fatal(err)
	}
	m := connectMongo(t, store.MongoConfig{Database: db.Name()})
	err := m.CheckSchema(t.Context())
	wantKind(t, err, fault.Conflict, "schema_missing")
	oneLine(t, err, "version 2", "ocelot migrate")
	if err := errors.Join(m.Migrate(t.Context()), m.CheckSchema(t.Context())); err != nil {
		t.Fatal(err)
	}
	worksWithOldTenant(t, m)
	if err := db.Collection("sessions").Indexes().DropOne(t.Context(), "expired"); err != nil {
		t.Fatal(err)
	}
	wantKind(t, m.CheckSchema(t.Context()), fault.Conflict, "schema_incomplete")
}
