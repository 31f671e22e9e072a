package store_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/pkg/logentry"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// benchExport exports what n entries hold, each round.
func benchExport(b *testing.B, s store.Records, q query.Query) (entries int, elapsed time.Duration) {
	tn := authtest.Tenant(b, "acme")
	start := time.Now()
	err := s.Export(context.Background(), tn, q, func(logentry.Record) error {
		entries++
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return entries, time.Since(start)
}

func fillForExport(b *testing.B, s store.Records) {
	tn, m := authtest.Tenant(b, "acme"), newMaker(61)
	for range 20 {
		putNew(b, s, m.records(tn.ID(), 5000))
	}
}

// BenchmarkExport exports 100,000 entries from a file, whole and by a text that half of them have.
func BenchmarkExport(b *testing.B) {
	s, err := store.NewSQLite(filepath.Join(b.TempDir(), "store.db"), store.SQLiteConfig{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	fillForExport(b, s)
	for name, q := range map[string]query.Query{"all": {}, "text": {Where: query.Text{Tokens: []string{"payment"}}}, "by receipt": {Sort: query.ReceivedOldestFirst}} {
		b.Run(name, func(b *testing.B) {
			n, elapsed := 0, time.Duration(0)
			for b.Loop() {
				entries, took := benchExport(b, s, q)
				n, elapsed = n+entries, elapsed+took
			}
			b.ReportMetric(float64(n)/elapsed.Seconds(), "entries/s")
		})
	}
}

// BenchmarkMongoExport exports 100,000 entries and, in turn with it, goes over the same documents with a cursor
// that does nothing with them.
func BenchmarkMongoExport(b *testing.B) {
	m, db := openMongo(b, store.MongoConfig{})
	fillForExport(b, m)
	n, elapsed, bare := 0, time.Duration(0), time.Duration(0)
	for b.Loop() {
		entries, took := benchExport(b, m, query.Query{})
		n, elapsed = n+entries, elapsed+took
		start := time.Now()
		cursor, err := db.Collection("entries").Find(context.Background(), bson.D{{Key: "t", Value: authtest.TenantID("acme")}}, options.Find().
			SetSort(bson.D{{Key: "ts", Value: -1}, {Key: "_id", Value: -1}}).SetProjection(bson.D{{Key: "j", Value: 1}}).SetBatchSize(2000))
		if err != nil {
			b.Fatal(err)
		}
		for cursor.Next(context.Background()) {
			entries--
		}
		if entries != 0 || cursor.Err() != nil {
			b.Fatalf("the cursor has %d fewer, %v", entries, cursor.Err())
		}
		bare += time.Since(start)
	}
	b.ReportMetric(float64(n)/elapsed.Seconds(), "entries/s")
	b.ReportMetric(100*bare.Seconds()/elapsed.Seconds(), "%-of-bare")
}
