package bench

import (
	"errors"
	"net/http"
	"time"
)

// Config is what is run against which service.
type Config struct {
	URL   string                 // of the service, without /api
	Token func() (string, error) // the bearer token; asked for before each request
	HTTP  *http.Client           // for searches; the load has connections of its own

	Rate     float64       // entries a second of the open loop; 0 is a closed loop: each connection sends as fast as it is answered
	Duration time.Duration // of the load
	Batch    int           // entries in a request; 1 sends single entries
	Conns    int           // connections, each with one request at a time
	Tenants  []string      // slugs in turn; "" is the token's own
	Seed     uint64        // of the entries
	Gzip     bool          // compress the bodies
	Tail     bool          // follow the run too, and take the time to the screen
	Timeout  time.Duration // of a request
	Settle   time.Duration // how long to wait for everything to be searchable
	Run      string        // the session_id of all entries; must be new
	Note     func(string)  // what is going on, for a person
}

func (c Config) check() error {
	switch {
	case c.URL == "" || c.Token == nil || c.HTTP == nil || c.Note == nil:
		return errors.New("bench: a URL, a token, an HTTP client and a place for notes are needed")
	case c.Rate < 0 || c.Rate > 1e9:
		return errors.New("--rate is entries a second, 0 (as fast as possible) … 1e9")
	case c.Duration <= 0:
		return errors.New("--duration must be more than 0")
	case c.Batch < 1 || c.Batch > 10_000:
		return errors.New("--batch is 1 … 10,000: the service takes no larger requests")
	case c.Conns < 1 || c.Conns > 10_000:
		return errors.New("--conns is 1 … 10,000")
	case len(c.Tenants) == 0:
		return errors.New("--tenants is at least 1")
	case c.Tail && len(c.Tenants) > maxFollowed:
		return errors.New("--tail follows at most 10 tenants: a caller may have so many streams")
	case c.Timeout <= 0 || c.Settle <= 0:
		return errors.New("--timeout and --settle must be more than 0")
	case c.Run == "":
		return errors.New("bench: the run has no name")
	}
	return nil
}

// Report is what was measured. Latencies are milliseconds.
type Report struct {
	Run      string  `json:"run"`
	Loop     string  `json:"loop"` // open or closed
	Rate     float64 `json:"rate"`
	Batch    int     `json:"batch"`
	Conns    int     `json:"conns"`
	Tenants  int     `json:"tenants"`
	Seed     uint64  `json:"seed"`
	Gzip     bool    `json:"gzip"`
	Duration float64 `json:"duration_seconds"` // from the first send to the last acknowledgement

	AcceptedPerSecond   float64 `json:"accepted_per_second"`   // acknowledged entries / Duration
	SearchablePerSecond float64 `json:"searchable_per_second"` // acknowledged entries / time from the first send until all were searchable; 0 where that never was

	Latency    Quantiles `json:"latency_ms"`    // of requests that were acknowledged or timed out: from the time when they were due
	Searchable Quantiles `json:"searchable_ms"` // of sampled entries: from the acknowledgement until a search found them

	Tail        *Quantiles `json:"tail_ms,omitempty"`      // of all entries, where the run was followed: from the acknowledgement to the screen
	TailSkipped int64      `json:"tail_skipped,omitempty"` // entries that the live tail said it left out

	Status       map[string]int64 `json:"status"` // answers by HTTP status
	Errors       map[string]int64 `json:"errors"` // by problem code, or connection, timeout
	SearchErrors int64            `json:"search_errors"`
	FromRecord   int64            `json:"from_record"` // searches that the record answered because the index was down
	Requests     Requests         `json:"requests"`
	Entries      Entries          `json:"entries"`
	Bytes        int64            `json:"bytes"`      // of the entries in requests that were answered 202
	WireBytes    int64            `json:"wire_bytes"` // of all bodies as sent

	OK       bool     `json:"ok"` // all acknowledged entries were found, each once, and nothing else
	Problems []string `json:"problems,omitempty"`
}

// Quantiles of a latency, in milliseconds.
type Quantiles struct {
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
	Count int64   `json:"count"`
}

// Requests counts requests. Those of the open loop that were due but still waiting for a connection when the
// time was up count in the latency with the time that they had waited.
type Requests struct {
	Sent   int64 `json:"sent"`
	Unsent int64 `json:"unsent"`
}

// Entries counts entries.
type Entries struct {
	Sent         int64 `json:"sent"`
	Acknowledged int64 `json:"acknowledged"`
	Refused      int64 `json:"refused"` // 4xx, or never reached the service: must not be found
	Unknown      int64 `json:"unknown"` // timeouts, broken connections, 5xx: may be found, once
	Found        int64 `json:"found"`
	Missing      int64 `json:"missing"`    // acknowledged, not found
	Doubled      int64 `json:"doubled"`    // found more than once
	Unexpected   int64 `json:"unexpected"` // found, though refused or never sent
}
