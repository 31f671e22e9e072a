package search

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opensearch-project/opensearch-go/v4"
	"go.uber.org/zap"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/telemetry"
)

// OpenSearchConfig are the settings of the index on OpenSearch. A field of 0 takes its default, but
// Replicas.
type OpenSearchConfig struct {
	URL      string      // http://host:9200 or https://host; a path is kept, a user and a password in it are used
	Username string      // unset: none
	Password auth.Secret // of that user
	AWSSigV4 bool        // sign requests with the AWS credentials of the environment instead
	Region   string      // of AWS; unset: that of the host's name, else what the AWS SDK finds
	Prefix   string      // of the indices; the alias and the template have it as their name; default "ocelot"
	Shards   int         // primary shards of an index; default 1
	Replicas int         // of a shard; 0: none
	Codec    string      // of the indices; default "zstd_no_dict"; what the cluster refuses becomes "default"
	Gzip     bool        // compress bulks: less traffic for more CPU on both sides, worth it across zones only

	RefreshInterval time.Duration // how long an entry may be indexed before a search finds it; default 1 s

	CallTimeout  time.Duration // of one request whose context ends no earlier; default 30 s
	BulkEntries  int           // of one bulk; default 2,000, at most 5,000
	BulkBytes    int           // of one bulk, one entry passes always; default 8 MiB
	Concurrency  int           // bulks at the same time, at the most; default 16. It begins with 2 and goes by how the cluster does
	BulkAttempts int           // how often what the cluster is too busy for is sent before it is left to the caller; default 4
}

var indexPrefix = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`)

func (c OpenSearchConfig) withDefaults() (OpenSearchConfig, error) {
	if c.Prefix == "" {
		c.Prefix = "ocelot"
	}
	if !indexPrefix.MatchString(c.Prefix) {
		return c, fault.New(fault.Invalid, "setting_invalid", "OPENSEARCH_INDEX_PREFIX must be 1 to 63 of a-z, 0-9, _ and -, a letter or digit first")
	}
	if c.Codec == "" {
		c.Codec = "zstd_no_dict"
	}
	for _, n := range []struct {
		name                string
		value               *int
		normal, least, most int
	}{
		{"shards", &c.Shards, 1, 1, 1024},
		{"replicas", &c.Replicas, 0, 0, 100},
		{"bulk entries", &c.BulkEntries, 2000, 1, 5000},
		{"bulk bytes", &c.BulkBytes, 8 << 20, 1, 64 << 20},
		{"concurrency", &c.Concurrency, 16, 1, 1000},
		{"bulk attempts", &c.BulkAttempts, 4, 1, 100},
	} {
		if *n.value == 0 {
			*n.value = n.normal
		}
		if *n.value < n.least || *n.value > n.most {
			return c, fault.New(fault.Invalid, "setting_invalid", fmt.Sprintf("the %s of OpenSearch are %d: choose %d … %d", n.name, *n.value, n.least, n.most))
		}
	}
	for _, d := range []struct {
		name                string
		value               *time.Duration
		normal, least, most time.Duration
	}{
		{"refresh interval", &c.RefreshInterval, time.Second, time.Millisecond, time.Hour},
		{"call timeout", &c.CallTimeout, 30 * time.Second, time.Millisecond, 10 * time.Minute},
	} {
		if *d.value == 0 {
			*d.value = d.normal
		}
		if *d.value < d.least || *d.value > d.most {
			return c, fault.New(fault.Invalid, "setting_invalid", fmt.Sprintf("the %s of OpenSearch is %s: choose %s … %s", d.name, *d.value, d.least, d.most))
		}
	}
	return c, nil
}

// OpenSearch is the index on OpenSearch 2.19 or newer, an index for each day of received_at behind one
// alias. What Add reported as Indexed is on the disks of the shard and its replicas; it is found after
// the refresh interval.
//
// The day comes from the record alone, so that an entry has one place however often and whenever it is
// added; there, its id makes it one. Documents hold what is searched and sorted by, nothing to show:
// entries come from the record.
type OpenSearch struct {
	cfg     OpenSearchConfig
	version int // of the mapping
	log     *zap.Logger
	client  *opensearch.Client
	at      string // where it is, without credentials
	limit   *limiter
	days    days
	silence silence
	spare   chan *bulk // memory of bulks that are done

	noCodec atomic.Bool // the cluster refused the codec

	life   sync.RWMutex // read-locked by every call, locked by Close
	closed bool
}

// NewOpenSearch connects, and refuses what it can't work with. Kind Unavailable: nothing answers, or not
// yet, which may change. Kind Invalid is final: the settings, the credentials, or another version than
// 2.19 … 3.x. It creates nothing: Migrate does.
func NewOpenSearch(ctx context.Context, cfg OpenSearchConfig, tel telemetry.Telemetry) (*OpenSearch, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	client, at, err := connectOpenSearch(ctx, cfg)
	if err != nil {
		return nil, err
	}
	o := &OpenSearch{cfg: cfg, version: schemaVersion, log: tel.Log.Named("opensearch"), client: client, at: at, limit: newLimiter(cfg.Concurrency), spare: make(chan *bulk, 2*bulksAhead)}
	o.days.known, o.days.early = map[string]bool{}, 10*time.Minute+rand.N(110*time.Minute)
	if err := o.check(ctx); err != nil {
		_ = o.Close()
		return nil, err
	}
	return o, nil
}

// enter keeps the index open until leave.
func (o *OpenSearch) enter() (leave func(), err error) {
	o.life.RLock()
	if o.closed {
		o.life.RUnlock()
		return nil, fault.New(fault.Unavailable, "storage_closed", "the index is closed")
	}
	return o.life.RUnlock, nil
}

// Empty says whether no entry is in any index, after all that was added has become visible.
func (o *OpenSearch) Empty(ctx context.Context) (bool, error) {
	leave, err := o.enter()
	if err != nil {
		return false, err
	}
	defer leave()
	const doing = "look whether the index is empty"
	for _, refreshed := range []bool{false, true} {
		if refreshed {
			a, err := o.call(ctx, request{method: "POST", path: "/" + o.cfg.Prefix + "/_refresh", query: lenient})
			if err := o.fault(doing, a, err); err != nil {
				return false, err
			}
		}
		page, err := o.page(ctx, request{method: "POST", path: o.searchPath(), query: searchQuery, body: []byte(`{"size":0,"terminate_after":1,"track_total_hits":1}`)}, doing)
		if err != nil || page.Hits.Total.Value > 0 {
			return false, err
		}
	}
	return true, nil
}

// Ping says whether OpenSearch answers.
func (o *OpenSearch) Ping(ctx context.Context) error {
	leave, err := o.enter()
	if err != nil {
		return err
	}
	defer leave()
	a, err := o.call(ctx, request{method: "GET", path: "/", query: "filter_path=version.number"})
	return o.fault("ask the index", a, err)
}

// Close ends when the calls that are running have ended. Closing again does nothing.
func (o *OpenSearch) Close() error {
	o.life.Lock()
	defer o.life.Unlock()
	o.closed = true
	return o.client.Close()
}
