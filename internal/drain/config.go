package drain

import (
	"context"
	"runtime"
	"time"

	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// Config is how much the worker takes on at once and how long it waits. A field of 0 or less takes its default.
type Config struct {
	Pollers          int           // receives in flight; default 2
	Decoders         int           // envelopes unpacked at the same time; default: the processors we may use
	Concurrency      int           // Puts at the same time; default 1, which suits SQLite: it has one writer
	RecordEntries    int           // entries of one Put, gathered from what is ready; default 5,000
	IndexEntries     int           // entries of one Add, gathered from what is ready, and of one read of the backlog; default 20,000
	IndexConcurrency int           // Adds at the same time; default 1
	BudgetBytes      int64         // memory of decoded entries in flight; taken before Receive. One envelope passes always. Default 64 MiB
	Wait             time.Duration // of a receive for a message; default 20 s, the most that SQS takes
	Visibility       time.Duration // how long a message stays hidden unless extended, which happens each third of it; default 90 s
	Pace             time.Duration // least time between the beginnings of two part-full receives of a poller, Puts or Adds, so that many small envelopes share a call or a transaction; the first after a quiet time waits for nothing. Default 25 ms, negative: none
	FewCalls         bool          // the queue bills by the call: a receive waits for room for ten messages, a delete for as long as the Pace, so that others join it
	IndexPatience    time.Duration // how long a recorded batch waits while the index gets nothing done, before it goes to the backlog; default 10 s
	CallTimeout      time.Duration // deadline of one call to queue, store or index (a receive has Wait besides); default 30 s
	MaxExtendTotal   time.Duration // a message held for longer is given up, not deleted; default 10 min
	IsolateReceives  int           // from that many receives on an envelope is processed alone; default 3
	CeilingReceives  int           // from that many receives on an envelope is put into quarantine as crash_loop; default 100

	NewerVersionDelay time.Duration // how long an envelope of a newer version stays hidden before it is tried again; default 60 s
	BacklogEvery      time.Duration // how often an idle worker looks into the backlog; additions of its own wake it at once. Default 15 s
	LevelsEvery       time.Duration // how often the gauges of queue, backlog and quarantine are read; default 15 s
	ShutdownGrace     time.Duration // how long the worker may go on with what it holds once asked to stop; default 20 s
}

func (c Config) withDefaults() Config {
	or(&c.Pollers, 2)
	or(&c.Decoders, runtime.GOMAXPROCS(0))
	or(&c.Concurrency, 1)
	or(&c.RecordEntries, 5_000)
	or(&c.IndexEntries, 20_000)
	or(&c.IndexConcurrency, 1)
	or(&c.BudgetBytes, 64<<20)
	or(&c.Wait, 20*time.Second)
	or(&c.Visibility, 90*time.Second)
	if c.Pace == 0 {
		c.Pace = 25 * time.Millisecond
	}
	or(&c.IndexPatience, 10*time.Second)
	or(&c.CallTimeout, 30*time.Second)
	or(&c.MaxExtendTotal, 10*time.Minute)
	or(&c.IsolateReceives, 3)
	or(&c.CeilingReceives, 100)
	or(&c.NewerVersionDelay, time.Minute)
	or(&c.BacklogEvery, 15*time.Second)
	or(&c.LevelsEvery, 15*time.Second)
	or(&c.ShutdownGrace, 20*time.Second)
	return c
}

func or[T int | int64 | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// Store is what the worker needs of the record; store.Store has it.
type Store interface {
	Put(ctx context.Context, records []logentry.Record) ([]store.Verdict, error)
	AddBacklog(ctx context.Context, ids []logentry.ID) error
	ReadBacklog(ctx context.Context, max int) ([]logentry.Record, error)
	DropBacklog(ctx context.Context, ids []logentry.ID) error
	BacklogStats(ctx context.Context) (store.BacklogStats, error)
	Quarantine(ctx context.Context, items []store.Quarantined) error
	CountQuarantine(ctx context.Context) (int64, error)
}

// Index is what the worker needs of the index; search.Index has it.
type Index interface {
	Add(ctx context.Context, records []logentry.Record) ([]search.Verdict, error)
}
