package store_test

import (
	"slices"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// TestMongoPurgesNothingOfACommitThatIsBeingMade has one of three lack a record, as if its writer were at it: a scan
// waits for such a one, and would for a recent one that a purge has taken records of.
func TestMongoPurgesNothingOfACommitThatIsBeingMade(t *testing.T) {
	m, db := openMongo(t, store.MongoConfig{})
	acme, maker := authtest.Tenant(t, "acme"), newMaker(64)
	var commits [3][]logentry.Record
	for i := range commits {
		commits[i] = maker.records(acme.ID(), 5)
		putNew(t, m, slices.Clone(commits[i]))
	}
	if _, err := db.Collection("entries").DeleteOne(t.Context(), bson.D{{Key: "_id", Value: bson.Binary{Subtype: 4, Data: commits[1][3].ID[:]}}}); err != nil {
		t.Fatal(err)
	}
	making := slices.Delete(slices.Clone(commits[1]), 3, 4)
	before := maker.now.Add(time.Hour)
	p, err := m.PurgeOld(t.Context(), acme.ID(), before, "", 100)
	if err != nil || p.Records != 10 || p.Left != 4 || p.More {
		t.Fatalf("%+v, %v; want 10 removed and 4 left", p, err)
	}
	if p, err = m.PurgeTenant(t.Context(), acme.ID(), 100); err != nil || p.Records != 0 || p.Left != 4 || p.More {
		t.Fatalf("of the tenant: %+v, %v; want 4 left", p, err)
	}
	if all, err := m.GetMany(t.Context(), acme, idsOf(commits[1])); err != nil || !slices.Equal(idsOf(all), idsOf(making)) {
		t.Fatalf("%d records are there, %v", len(all), err)
	}
	later := maker.records(acme.ID(), 5)
	putNew(t, m, slices.Clone(later))
	if _, err := db.Collection("commits").UpdateByID(t.Context(), int64(2), bson.D{{Key: "$set", Value: bson.D{{Key: "open", Value: false}}}}); err != nil {
		t.Fatal(err) // its writer knows that no more will come
	}
	if p, err = m.PurgeOld(t.Context(), acme.ID(), maker.now.Add(-time.Hour), "", 100); err != nil || p.Records != 0 || p.Left != 0 {
		t.Fatalf("what is younger: %+v, %v", p, err)
	}
	if all := scanAll(t, m, 4); !slices.Equal(idsOf(all), idsOf(append(making, later...))) {
		t.Fatalf("the scan sees %d records, want %d: it waits for what was removed", len(all), len(making)+len(later))
	}
	if p, err = m.PurgeTenant(t.Context(), acme.ID(), 100); err != nil || p.Records != 9 || p.Left != 0 {
		t.Fatalf("at last: %+v, %v", p, err)
	}
	if all := scanAll(t, m, 4); len(all) != 0 {
		t.Fatalf("the scan sees %d records", len(all))
	}
}
