package drain

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ocelot-log/ocelot/internal/queue"
	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/pkg/logentry"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestTheLogNamesTheTracesOfWhatItSpeaksOf(t *testing.T) {
	const id, trace = "4bf92f3577b34da6a3ce929d0e0e4736", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for line, c := range map[string]struct {
		level zapcore.Level
		body  func(t *testing.T) []byte
		rig   func(r *rig)
	}{
		"a batch is in the record":                        {zap.DebugLevel, nil, nil},
		"a batch is in the index":                         {zap.DebugLevel, nil, nil},
		"messages were put into quarantine; look at them": {zap.ErrorLevel, func(*testing.T) []byte { return []byte("garbage") }, nil},
		"the record rejects entries for good; they are in quarantine, look at them": {zap.ErrorLevel, nil, func(r *rig) {
			r.st.onVerdict = func(*logentry.Record) store.Verdict { return store.Rejected }
		}},
		"the index refuses entries for good; they are in the record and in quarantine": {zap.ErrorLevel, nil, func(r *rig) {
			r.ix.onVerdict = func(*logentry.Record) search.Verdict { return search.Refused }
		}},
		"messages failed and will come again": {zap.DebugLevel, nil, func(r *rig) {
			r.st.onVerdict = func(*logentry.Record) store.Verdict { return store.Retry }
		}},
		"there are envelopes of a newer version; update this worker": {zap.WarnLevel, func(*testing.T) []byte { return []byte("OCz9:") }, nil},
	} {
		t.Run(line, func(t *testing.T) {
			bubble(t, func(t *testing.T, r *rig) {
				core, lines := observer.New(zapcore.DebugLevel)
				r.tel = telemetry.Telemetry{Log: zap.New(core), Metrics: telemetry.NewMetrics()}
				if c.rig != nil {
					c.rig(r)
				}
				body := envelope(t, entries(3, "x"))
				if c.body != nil {
					body = c.body(t)
				}
				r.q.send(body)
				r.q.messages[1].Trace = trace
				stop := r.start()
				synctest.Wait()
				time.Sleep(time.Second)
				found := lines.FilterMessage(line).All()
				if len(found) == 0 || found[0].Level != c.level {
					t.Fatalf("not said: %v", lines.All())
				}
				if ids, _ := found[0].ContextMap()["trace_ids"].([]any); !slices.Equal(ids, []any{id}) {
					t.Errorf("%v", found[0].ContextMap())
				}
				stopped(t, stop)
			})
		})
	}
}

func TestTracesAreNamedOnceAndNotWithoutEnd(t *testing.T) {
	if f := traces(&delivery{}, &delivery{message: queue.Message{Trace: "no trace"}}); f.Type != zapcore.SkipType {
		t.Errorf("without traces: %v", f)
	}
	var ds []*delivery
	for i := range 100 {
		d := []byte("00-4bf92f3577b34da6a3ce929d0e0e4700-00f067aa0ba902b7-01")
		d[33], d[34] = "0123456789"[i/10], "0123456789"[i%10]
		ds = append(ds, &delivery{message: queue.Message{Trace: string(d)}}, &delivery{message: queue.Message{Trace: string(d)}})
	}
	core, lines := observer.New(zapcore.DebugLevel)
	zap.New(core).Info("x", traces(ds...))
	if ids := lines.All()[0].ContextMap()["trace_ids"].([]any); len(ids) != mostTraces || ids[0] == ids[1] {
		t.Errorf("%d: %v", len(ids), ids)
	}
}
