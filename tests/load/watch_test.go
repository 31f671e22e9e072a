//go:build e2e

package load

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/internal/tail"
	"github.com/ocelot-log/ocelot/pkg/logentry"
	"github.com/ocelot-log/ocelot/tests/service"
)

// unwatched is a record that rings for nobody.
type unwatched struct{ *store.Mongo }

func (unwatched) Watch(context.Context, func()) error { return errors.New("not watched") }

// BenchmarkWatch measures what followers cost MongoDB, and how long entries take from the begin of their Put to them: with
// nobody there, by looking ten times a second, and with the change stream that says when to look. Nothing comes, one entry a second, or
// 5,000 in ten Puts. TAIL_SECONDS is how long each takes (10).
//
//	go test -tags e2e -run '^$' -bench Watch -benchtime 1x ./tests/load
func BenchmarkWatch(b *testing.B) {
	for _, load := range []struct {
		name          string
		each, perSecs int
	}{{"nothing comes", 0, 10}, {"1 a second", 1, 1}, {"5000 a second", 500, 10}} {
		for _, how := range []string{"nobody", "looking", "change stream"} {
			b.Run(load.name+"/"+how, func(b *testing.B) {
				for b.Loop() {
					benchWatch(b, how, load.each, time.Second/time.Duration(load.perSecs))
				}
			})
		}
	}
}

func benchWatch(b *testing.B, how string, each int, every time.Duration) {
	servers := service.NewServers(b)
	open := func() *store.Mongo {
		m, err := store.NewMongo(b.Context(), store.MongoConfig{URI: auth.NewSecret(servers.MongoDB), Database: servers.Name})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = m.Close() })
		return m
	}
	writer, reader := open(), open()
	if err := writer.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	var lags []time.Duration
	ctx, stop := context.WithCancel(b.Context())
	followed, ran := make(chan struct{}), make(chan struct{})
	if how == "nobody" {
		close(followed)
		close(ran)
	} else {
		hub := tail.New(tail.Config{}, reader, zap.NewNop())
		if how == "looking" {
			hub = tail.New(tail.Config{}, unwatched{reader}, zap.NewNop())
		}
		hub.Open()
		f, err := hub.Follow(ctx, authtest.Tenant(b, "acme"), "", nil, nil)
		if err != nil {
			b.Fatal(err)
		}
		go func() {
			defer close(ran)
			_ = hub.Run(ctx)
		}()
		go func() {
			defer close(followed)
			for {
				c, _, err := f.Next(ctx, time.Minute)
				if err != nil {
					return
				}
				for i := range c.Records {
					lags = append(lags, time.Since(c.Records[i].ReceivedAt)) // which is when its Put began
				}
			}
		}()
	}
	var ids logentry.IDs
	seconds := numberOf(b, "TAIL_SECONDS", 10)
	time.Sleep(2 * time.Second) // what opens is not counted
	used, own, began := serverCPU(b, "mongo"), ownCPU(b), time.Now()
	put := 0
	for n := range int(time.Duration(seconds) * time.Second / every) {
		time.Sleep(time.Until(began.Add(time.Duration(n) * every)))
		now := time.Now().UTC()
		records := make([]logentry.Record, each)
		for i := range records {
			e := logentry.Entry{ID: ids.New(now), TenantID: authtest.TenantID("acme"), ReceivedAt: now, Timestamp: now, SchemaVersion: 1, Severity: logentry.Info,
				Message: strconv.Itoa(put) + strings.Repeat(" word", 60), Service: "billing"}
			records[i] = logentry.Record{Entry: e, JSON: logentry.AppendJSON(nil, &e)}
			put++
		}
		if len(records) > 0 {
			if _, err := writer.Put(b.Context(), records); err != nil {
				b.Fatal(err)
			}
		}
	}
	took := time.Since(began).Seconds()
	b.ReportMetric(100*(serverCPU(b, "mongo")-used).Seconds()/took, "mongod-cpu-%")
	b.ReportMetric(100*(ownCPU(b)-own).Seconds()/took, "own-cpu-%")
	time.Sleep(2 * time.Second)
	stop()
	<-followed
	<-ran
	b.ReportMetric(0, "ns/op")
	if how == "nobody" || each == 0 {
		return
	}
	if len(lags) != put {
		b.Errorf("%d of %d entries came", len(lags), put)
	}
	slices.Sort(lags)
	ms := func(part float64) float64 { return float64(lags[int(part*float64(len(lags)-1))].Microseconds()) / 1000 }
	b.ReportMetric(ms(0.5), "p50-ms")
	b.ReportMetric(ms(0.95), "p95-ms")
	b.ReportMetric(ms(1), "max-ms")
}
