package store_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/pkg/logentry"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// mongoCPU is what the server has used, of all cores.
func mongoCPU(b *testing.B, db *mongo.Database) time.Duration {
	var status struct {
		Extra struct {
			User   int64 `bson:"user_time_us"`
			System int64 `bson:"system_time_us"`
		} `bson:"extra_info"`
	}
	if err := db.RunCommand(context.Background(), bson.D{{Key: "serverStatus", Value: 1}}).Decode(&status); err != nil {
		b.Fatal(err)
	}
	return time.Duration(status.Extra.User+status.Extra.System) * time.Microsecond
}

// bareInsert is a command with the documents of records as the store writes them, but made before.
type bareInsert struct {
	cmd bson.Raw
	ids [][]byte // where the ids lie in it
}

func newBareInsert(b *testing.B, db *mongo.Database, records []logentry.Record) *bareInsert {
	docs := make([]bson.Raw, 0, len(records))
	cursor, err := db.Collection("entries").Find(context.Background(), bson.D{}, options.Find().SetLimit(int64(len(records))))
	if err != nil {
		b.Fatal(err)
	}
	if err := cursor.All(context.Background(), &docs); err != nil {
		b.Fatal(err)
	}
	cmd, err := bson.Marshal(bson.D{{Key: "insert", Value: "entries"}, {Key: "ordered", Value: false}, {Key: "documents", Value: docs},
		{Key: "writeConcern", Value: bson.D{{Key: "w", Value: "majority"}, {Key: "j", Value: true}, {Key: "wtimeout", Value: 10_000}}}})
	if err != nil {
		b.Fatal(err)
	}
	bare := &bareInsert{cmd: cmd}
	list, err := bson.Raw(cmd).Lookup("documents").Array().Values()
	if err != nil {
		b.Fatal(err)
	}
	for _, doc := range list {
		_, id, ok := doc.Document().Lookup("_id").BinaryOK()
		if !ok {
			b.Fatal("a document without an id")
		}
		bare.ids = append(bare.ids, id)
	}
	return bare
}

// benchPhase is what one way of inserting took.
type benchPhase struct{ elapsed, used, served time.Duration }

// measure runs each writer at the same time, and adds what it took.
func (p *benchPhase) measure(b *testing.B, db *mongo.Database, writers int, write func(w int) error) {
	errs := make([]error, writers)
	served, used, start := mongoCPU(b, db), cpuTime(b), time.Now()
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() { errs[w] = write(w) })
	}
	wg.Wait()
	p.elapsed += time.Since(start)
	p.used += cpuTime(b) - used
	p.served += mongoCPU(b, db) - served
	if err := errors.Join(errs...); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkMongoPut puts batches of new entries and, in turn with it, inserts the same documents by
// commands that were made before. The CPU is that of this process, collector included, and of the server.
func BenchmarkMongoPut(b *testing.B) {
	const batch, rounds = 2000, 3
	for _, writers := range []int{1, 2} {
		b.Run(strconv.Itoa(writers)+" writers", func(b *testing.B) {
			m, db := openMongo(b, store.MongoConfig{})
			var makers []*maker
			var records [][rounds][]logentry.Record
			var bares [][rounds]*bareInsert
			for w := range writers {
				makers = append(makers, newMaker(uint64(w)))
				records, bares = append(records, [rounds][]logentry.Record{}), append(bares, [rounds]*bareInsert{})
				for r := range rounds {
					records[w][r] = makers[w].records("aaaaaaaaaaaa", batch)
					putNew(b, m, records[w][r])
					bares[w][r] = newBareInsert(b, db, records[w][r])
				}
			}
			fresh := func(w int) logentry.ID {
				makers[w].now = makers[w].now.Add(time.Microsecond)
				return makers[w].id(makers[w].now)
			}
			var put, bare benchPhase
			n := 0
			for b.Loop() {
				for w := range writers {
					for r := range rounds {
						for i := range records[w][r] {
							e := &records[w][r][i]
							e.ID, e.Timestamp = fresh(w), makers[w].now
							e.ID.AppendText(e.JSON[len(`{"id":"`):][:0])
							id := fresh(w)
							copy(bares[w][r].ids[i], id[:])
						}
					}
				}
				put.measure(b, db, writers, func(w int) (err error) {
					for r := range rounds {
						if _, e := m.Put(context.Background(), records[w][r]); e != nil {
							err = e
						}
					}
					return err
				})
				bare.measure(b, db, writers, func(w int) (err error) {
					for r := range rounds {
						if e := db.RunCommand(context.Background(), bares[w][r].cmd).Err(); e != nil {
							err = e
						}
					}
					return err
				})
				n += writers * rounds * batch
			}
			b.ReportMetric(float64(put.used.Microseconds())/float64(n), "cpu-µs/entry")
			b.ReportMetric(float64(bare.used.Microseconds())/float64(n), "bare-cpu-µs/entry")
			b.ReportMetric(float64(put.served.Microseconds())/float64(n), "server-µs/entry")
			b.ReportMetric(float64(bare.served.Microseconds())/float64(n), "bare-server-µs/entry")
			b.ReportMetric(float64(n)/put.elapsed.Seconds(), "entries/s")
			b.ReportMetric(100*bare.elapsed.Seconds()/put.elapsed.Seconds(), "%-of-bare")
		})
	}
}
