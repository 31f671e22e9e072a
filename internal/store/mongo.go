package store

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/pkg/logentry"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// MongoConfig are the settings of the store on MongoDB. A field of 0 takes its default.
type MongoConfig struct {
	URI            auth.Secret   // mongodb://… or mongodb+srv://…, user and password included. What it says of write concern, read concern and read preference is overruled
	Database       string        // default "ocelot"
	ConnectTimeout time.Duration // how long a call looks for the primary before it is Unavailable; default 5 s
	CallTimeout    time.Duration // deadline of a call whose context has no earlier one, and so how long the server works on a command at the most; default 30 s, at most 60 s
	WriteTimeout   time.Duration // how long a write waits for the majority; default 10 s
	MaxConnections int           // default 64
	BatchEntries   int           // records of one insert command; default 2,000, at most 20,000
	BatchBytes     int           // of one insert command, one record passes always; default 8 MiB, at most 12 MiB
	Attempts       int           // how often a write is sent before its failure is the caller's; default 3
}

func (c MongoConfig) withDefaults() (MongoConfig, error) {
	if c.Database == "" {
		c.Database = "ocelot"
	}
	if len(c.Database) > 63 || strings.ContainsAny(c.Database, "/\\. \"$\x00") {
		return c, fault.New(fault.Invalid, "setting_invalid", "MONGODB_DATABASE is no name of a database: it has at most 63 bytes, and no space or any of / \\ . \" $")
	}
	for _, d := range []struct {
		name         string
		value        *time.Duration
		normal, most time.Duration
	}{
		{"connect timeout", &c.ConnectTimeout, 5 * time.Second, time.Minute},
		{"call timeout", &c.CallTimeout, 30 * time.Second, time.Minute},
		{"write timeout", &c.WriteTimeout, 10 * time.Second, time.Minute},
	} {
		if *d.value == 0 {
			*d.value = d.normal
		}
		if *d.value < time.Millisecond || *d.value > d.most {
			return c, fault.New(fault.Invalid, "setting_invalid", fmt.Sprintf("the %s of MongoDB is %s: choose 1 ms … %s", d.name, *d.value, d.most))
		}
	}
	for _, n := range []struct {
		name         string
		value        *int
		normal, most int
	}{
		{"most connections", &c.MaxConnections, 64, 10_000},
		{"batch entries", &c.BatchEntries, 2000, 20_000},
		{"batch bytes", &c.BatchBytes, 8 << 20, 12 << 20},
		{"attempts", &c.Attempts, 3, 100},
	} {
		if *n.value == 0 {
			*n.value = n.normal
		}
		if *n.value < 1 || *n.value > n.most {
			return c, fault.New(fault.Invalid, "setting_invalid", fmt.Sprintf("the %s of MongoDB are %d: choose 1 … %d", n.name, *n.value, n.most))
		}
	}
	return c, nil
}

// Mongo is the store on a MongoDB replica set, with a collection for each kind of thing. Every write of
// data waits for the majority and its journals, every read sees only what the majority has: neither a
// failover nor a crash takes back what a call has returned.
//
// A record is one document of entries, by its id. A commit lists the ids of the records that one command
// is to insert. It is durable before they are, and each record names the commit that brought it: so the
// order of commits is the order of the records, without an index to pay for on each of them.
type Mongo struct {
	cfg    MongoConfig
	client *mongo.Client
	db     *mongo.Database

	life   sync.RWMutex // read-locked by every call, locked by Close
	closed bool

	scratch chan *mongoPut // memory for Puts, a few of them
	ids     logentry.IDs   // of what is in quarantine
	purged  atomic.Int64   // when expired counters were last removed, in nanoseconds
}

// The collections.
const (
	mongoEntries    = "entries"
	mongoCommits    = "commits"
	mongoBacklog    = "backlog"
	mongoQuarantine = "quarantine"
	mongoTenants    = "tenants"
	mongoCounters   = "counters"
	mongoMeta       = "meta" // the version of the schema, the number of the last commit
)

// NewMongo connects, and refuses what can't keep the promises. Kind Unavailable: no primary answers, which
// may change. Kind Invalid is final: the settings, the credentials, no replica set, or a version below 5.
// It creates nothing: Migrate does.
func NewMongo(ctx context.Context, cfg MongoConfig) (*Mongo, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	client, err := connectMongo(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &Mongo{cfg: cfg, client: client, db: client.Database(cfg.Database), scratch: make(chan *mongoPut, 4)}, nil
}

// Ping says whether the primary answers.
func (m *Mongo) Ping(ctx context.Context) error {
	ctx, done, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer done()
	return mongoFault(m.client.Ping(ctx, nil), "ask the store")
}

// enter begins a call: without an error, done ends it. The context has a deadline.
func (m *Mongo) enter(ctx context.Context) (within context.Context, done func(), err error) {
	if err := m.hold(ctx); err != nil {
		return nil, nil, err
	}
	within, cancel := context.WithTimeout(ctx, m.cfg.CallTimeout)
	return within, func() { cancel(); m.life.RUnlock() }, nil
}

// hold begins a call that may take longer than others; unlocking life for reading ends it.
func (m *Mongo) hold(ctx context.Context) error {
	m.life.RLock()
	err := ctx.Err()
	if m.closed {
		err = fault.New(fault.Unavailable, "storage_closed", "the store is closed")
	}
	if err != nil {
		m.life.RUnlock()
		return mongoFault(err, "use the store")
	}
	return nil
}

// Close ends the connections once running calls have ended; later calls fail with kind Unavailable.
func (m *Mongo) Close() error {
	m.life.Lock()
	defer m.life.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return mongoFault(m.client.Disconnect(ctx), "close the store")
}
