package store_test

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/pkg/logentry"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// mongoURI is where MongoDB is, for tests; without one the test is skipped.
func mongoURI(t testing.TB) string {
	t.Helper()
	uri := os.Getenv("TEST_MONGODB_URI")
	if uri == "" {
		t.Skip(`no MongoDB: make services-up; eval "$(tests/services/services test-env)"`)
	}
	return uri
}

// mongoDatabase is a database of a random name, dropped in the end, without anything of the store's.
func mongoDatabase(t testing.TB) *mongo.Database {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(mongoURI(t)))
	if err != nil {
		t.Fatal(err)
	}
	db := client.Database("ocelot_test_" + strings.ToLower(rand.Text()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := errors.Join(db.Drop(ctx), client.Disconnect(ctx)); err != nil {
			t.Errorf("drop the database: %v", err)
		}
	})
	return db
}

func connectMongo(t testing.TB, cfg store.MongoConfig) *store.Mongo {
	t.Helper()
	cfg.URI = auth.NewSecret(mongoURI(t))
	m, err := store.NewMongo(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return m
}

func openMongo(t testing.TB, cfg store.MongoConfig) (*store.Mongo, *mongo.Database) {
	t.Helper()
	db := mongoDatabase(t)
	cfg.Database = db.Name()
	m := connectMongo(t, cfg)
	if err := m.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return m, db
}

func TestMongo(t *testing.T) {
	mongoURI(t)
	testStore(t, func(t *testing.T) store.Store {
		m, _ := openMongo(t, store.MongoConfig{})
		return m
	})
}

// oneLine fails unless a person can act on the words of err, and they give nothing away.
func oneLine(t *testing.T, err error, words ...string) {
	t.Helper()
	detail := fault.Of(err).Detail
	if detail == "" || strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "hunter2") {
		t.Fatalf("the error reads %q", err)
	}
	for _, w := range words {
		if !strings.Contains(detail, w) {
			t.Errorf("%q is to contain %q", detail, w)
		}
	}
}

func TestMongoRefusesSettingsInOneLine(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  store.MongoConfig
		kind fault.Kind
		code string
		word string
	}{
		{"no URI", store.MongoConfig{}, fault.Invalid, "mongodb_uri_missing", "MONGODB_URI"},
		{"something else than a URI", store.MongoConfig{URI: auth.NewSecret("localhost:27017")}, fault.Invalid, "mongodb_uri_invalid", "mongodb://"},
		{"a password that is not encoded", store.MongoConfig{URI: auth.NewSecret("mongodb://joe:hunter2@/%zz@host/")}, fault.Invalid, "mongodb_uri_invalid", "percent-encoded"},
		{"an unknown value of an option", store.MongoConfig{URI: auth.NewSecret("mongodb://joe:hunter2@host/?readPreference=mine")}, fault.Invalid, "mongodb_uri_invalid", "options"},
		{"nobody listens", store.MongoConfig{URI: auth.NewSecret("mongodb://joe:hunter2@127.0.0.1:1/"), ConnectTimeout: 50 * time.Millisecond}, fault.Unavailable, "mongodb_unreachable", "127.0.0.1:1"},
		{"no such host", store.MongoConfig{URI: auth.NewSecret("mongodb://joe:hunter2@nohost.invalid/"), ConnectTimeout: 50 * time.Millisecond}, fault.Unavailable, "mongodb_unreachable", "nohost.invalid"},
		{"a batch that MongoDB would not take", store.MongoConfig{URI: auth.NewSecret("mongodb://host/"), BatchBytes: 13 << 20}, fault.Invalid, "setting_invalid", "batch bytes"},
		{"a call that never ends", store.MongoConfig{URI: auth.NewSecret("mongodb://host/"), CallTimeout: time.Hour}, fault.Invalid, "setting_invalid", "call timeout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := store.NewMongo(t.Context(), c.cfg)
			wantKind(t, err, c.kind, c.code)
			oneLine(t, err, c.word)
		})
	}
}

func TestMongoRefusesWrongCredentialsAndSets(t *testing.T) {
	uri := mongoURI(t)
	host := strings.SplitN(strings.TrimPrefix(uri, "mongodb://"), "/", 2)[0]
	for name, c := range map[string]struct{ uri, code, word string }{
		"a user that does not exist":  {"mongodb://joe:hunter2@" + host + "/?replicaSet=rs0", "mongodb_credentials", "refuses the user or the password"},
		"a replica set of other name": {"mongodb://" + host + "/?replicaSet=other", "mongodb_no_replica_set", "MONGODB_URI says other"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := store.NewMongo(t.Context(), store.MongoConfig{URI: auth.NewSecret(c.uri), ConnectTimeout: time.Second})
			wantKind(t, err, fault.Invalid, c.code)
			oneLine(t, err, host, c.word)
		})
	}
}

func TestMongoMigratesOnceHoweverOften(t *testing.T) {
	db := mongoDatabase(t)
	m := connectMongo(t, store.MongoConfig{Database: db.Name()})
	err := m.CheckSchema(t.Context())
	wantKind(t, err, fault.Conflict, "schema_missing")
	oneLine(t, err, "ocelot migrate", db.Name())
	_, err = m.Put(t.Context(), newMaker(1).records("t", 1))
	wantKind(t, err, fault.Conflict, "schema_missing")

	const processes = 6
	errs := make([]error, processes)
	var wg sync.WaitGroup
	for i := range processes {
		other := connectMongo(t, store.MongoConfig{Database: db.Name()})
		wg.Go(func() {
			errs[i] = other.Migrate(context.Background())
			if errs[i] == nil {
				errs[i] = other.CheckSchema(context.Background())
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	putNew(t, m, newMaker(1).records("t", 10))
	if err := errors.Join(m.Migrate(t.Context()), m.CheckSchema(t.Context())); err != nil {
		t.Fatal(err)
	}
	if all := scanAll(t, m, 3); len(all) != 10 {
		t.Fatalf("%d records after another migration", len(all))
	}

	if err := db.Collection("tenants").Indexes().DropOne(t.Context(), "slug"); err != nil {
		t.Fatal(err)
	}
	err = m.CheckSchema(t.Context())
	wantKind(t, err, fault.Conflict, "schema_incomplete")
	oneLine(t, err, "slug", "ocelot migrate")
	if _, err := db.Collection("meta").UpdateByID(t.Context(), "schema", bson.D{{Key: "$set", Value: bson.D{{Key: "version", Value: 99}}}}); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{m.CheckSchema(t.Context()), m.Migrate(t.Context())} {
		wantKind(t, err, fault.Conflict, "schema_newer")
		oneLine(t, err, "version 99")
	}
}

func TestMongoKeepsOneDocumentOfARecord(t *testing.T) {
	m, db := openMongo(t, store.MongoConfig{})
	r := newMaker(1).records("aaaaaaaaaaaa", 1)[0]
	putNew(t, m, []logentry.Record{r})
	doc, err := db.Collection("entries").FindOne(t.Context(), bson.D{{Key: "_id", Value: bson.Binary{Subtype: 4, Data: r.ID[:]}}}).Raw()
	if err != nil {
		t.Fatal(err)
	}
	if _, json, _ := doc.Lookup("j").BinaryOK(); string(json) != string(r.JSON) {
		t.Fatalf("j is %s", json)
	}
	if at := doc.Lookup("ts").Int64(); at != r.Timestamp.UnixNano() {
		t.Fatalf("ts is %d", at)
	}
	if at := doc.Lookup("x").Time(); !at.Equal(r.ReceivedAt.Truncate(time.Millisecond)) {
		t.Fatalf("x is %s", at)
	}
	if _, hash, _ := doc.Lookup("h").BinaryOK(); len(hash) != 32 {
		t.Fatalf("h has %d bytes", len(hash))
	}
	t.Logf("%d bytes of JSON, %d of the document", len(r.JSON), len(doc))
}

func TestMongoGivesVerdictsByCode(t *testing.T) {
	m, db := openMongo(t, store.MongoConfig{BatchEntries: 3})
	tn, maker := authtest.Tenant(t, "acme"), newMaker(50)
	// A real refusal by the server for one kind of record.
	refuse := bson.D{{Key: "collMod", Value: "entries"}, {Key: "validator", Value: bson.D{{Key: "s", Value: bson.D{{Key: "$ne", Value: "refused"}}}}}}
	if err := db.RunCommand(t.Context(), refuse).Err(); err != nil {
		t.Fatal(err)
	}
	records := maker.records(tn.ID(), 8)
	held := records[6]
	putNew(t, m, []logentry.Record{held})
	invalid := records[2].Entry
	invalid.Service = "refused"
	records[2] = recordOf(invalid)
	big := records[4].Entry
	big.Message = strings.Repeat("x", 16<<20)
	records[4] = recordOf(big)
	nearly := records[5].Entry
	nearly.Message = strings.Repeat("x", 16<<20-2000)
	records[5] = recordOf(nearly)
	records[6] = changed(held, maker.records(tn.ID(), 1)[0])
	want := []store.Verdict{store.Stored, store.Stored, store.Rejected, store.Stored, store.Rejected, store.Stored, store.Duplicate, store.Stored}
	if got := put(t, m, records); !slices.Equal(got, want) {
		t.Fatalf("verdicts are %v, want %v", got, want)
	}
	same(t, records[6], held)
	get(t, m, tn, records[5])
	if all := scanAll(t, m, 2); len(all) != 6 || all[0].ID != held.ID {
		t.Fatalf("the scan sees %d records", len(all))
	}
}

func TestMongoJudgesRepeatsOfAForeignID(t *testing.T) {
	m, _ := openMongo(t, store.MongoConfig{})
	owner, other, maker := authtest.Tenant(t, "acme"), authtest.Tenant(t, "zeta"), newMaker(51)
	held := maker.records(owner.ID(), 1)[0]
	putNew(t, m, []logentry.Record{held})
	stolen := maker.records(other.ID(), 2)
	for i := range stolen {
		stolen[i].ID = held.ID
	}
	again := changed(held, maker.records(owner.ID(), 1)[0])
	records := []logentry.Record{stolen[0], stolen[1], again}
	if got := put(t, m, records); !slices.Equal(got, []store.Verdict{store.Rejected, store.Rejected, store.Duplicate}) {
		t.Fatalf("verdicts are %v", got)
	}
	same(t, records[2], held)
	same(t, records[0], stolen[0])
}

func TestMongoScanWaitsForWhatWasOvertakenAndPassesWhatNeverCame(t *testing.T) {
	m, db := openMongo(t, store.MongoConfig{})
	tn, maker := authtest.Tenant(t, "acme"), newMaker(53)
	first, late, last := maker.records(tn.ID(), 5), maker.records(tn.ID(), 5), maker.records(tn.ID(), 5)
	commits := db.Collection("commits")
	set := func(update bson.D) {
		t.Helper()
		if _, err := commits.UpdateByID(t.Context(), int64(2), bson.D{{Key: "$set", Value: update}}); err != nil {
			t.Fatal(err)
		}
	}
	scans := func(want ...[]logentry.Record) {
		t.Helper()
		if all := scanAll(t, m, 4); !slices.Equal(idsOf(all), idsOf(slices.Concat(want...))) {
			t.Fatalf("the scan sees %d records", len(all))
		}
	}
	putNew(t, m, slices.Clone(first))
	putNew(t, m, slices.Clone(late))
	scans(first, late)
	gone := bson.Binary{Subtype: 4, Data: late[3].ID[:]}
	if _, err := db.Collection("entries").DeleteOne(t.Context(), bson.D{{Key: "_id", Value: gone}}); err != nil { // as if it were under way
		t.Fatal(err)
	}
	late = slices.Delete(late, 3, 4)
	scans(first)
	putNew(t, m, slices.Clone(last))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if got, _, err := m.Scan(ctx, "", 100); fault.KindOf(err) != fault.Unavailable && fault.KindOf(err) != fault.Timeout {
		t.Fatalf("%d records were scanned past a commit that is under way, %v", len(got), err)
	}
	set(bson.D{{Key: "open", Value: false}}) // its writer knows that no more will come
	scans(first, late, last)
	set(bson.D{{Key: "open", Value: true}, {Key: "at", Value: bson.Timestamp{T: uint32(time.Now().Add(-time.Hour).Unix())}}}) // its writer is gone
	scans(first, late, last)
	if _, err := commits.DeleteOne(t.Context(), bson.D{{Key: "_id", Value: int64(2)}}); err != nil { // it never came
		t.Fatal(err)
	}
	scans(first, last)
	if n, err := commits.CountDocuments(t.Context(), bson.D{{Key: "_id", Value: int64(2)}, {Key: "open", Value: false}}); err != nil || n != 1 {
		t.Fatalf("the missing number was not taken: %d, %v", n, err)
	}
	if _, err := db.Collection("meta").UpdateByID(t.Context(), "commits", bson.D{{Key: "$set", Value: bson.D{{Key: "n", Value: 0}}}}); err != nil {
		t.Fatal(err) // as after a failover: numbers come again
	}
	more := maker.records(tn.ID(), 5)
	putNew(t, m, slices.Clone(more))
	scans(first, last, more)
}

func TestMongoVerifyFindsDamage(t *testing.T) {
	m, db := openMongo(t, store.MongoConfig{})
	records := newMaker(54).records(authtest.Tenant(t, "acme").ID(), 20)
	putNew(t, m, slices.Clone(records))
	spoilt := slices.Clone(records[7].JSON)
	spoilt[len(spoilt)/2] ^= 1
	id := bson.Binary{Subtype: 4, Data: records[7].ID[:]}
	if _, err := db.Collection("entries").UpdateByID(t.Context(), id, bson.D{{Key: "$set", Value: bson.D{{Key: "j", Value: bson.Binary{Data: spoilt}}}}}); err != nil {
		t.Fatal(err)
	}
	if checked, damaged, err := m.Verify(t.Context()); err != nil || checked != 20 || damaged != 1 {
		t.Fatalf("checked %d, damaged %d, %v", checked, damaged, err)
	}
}
