// Package telemetry is how the service speaks of itself: the log, the metrics, and the names in both.
//
// Nothing here ever carries an entry's text, a token or a key. Labels are bounded: route templates,
// outcomes and reasons, never paths, ids or tenants.
package telemetry

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Telemetry is what every part is handed: a log named by the part, and the metrics of the process.
type Telemetry struct {
	Log     *zap.Logger
	Metrics *Metrics
}

// Named is the same with the log of one part.
func (t Telemetry) Named(part string) Telemetry {
	return Telemetry{Log: t.Log.Named(part), Metrics: t.Metrics}
}

// Discard is for tests: a log that goes nowhere and metrics that nobody reads.
func Discard() Telemetry { return Telemetry{Log: zap.NewNop(), Metrics: NewMetrics()} }

// NewLog makes the process log: JSON lines on standard error, control characters escaped; console makes
// lines for people instead. Levels: debug, info, warn, error.
func NewLog(level string, console bool) (*zap.Logger, error) {
	l, err := zapcore.ParseLevel(level)
	if err != nil {
		return nil, fmt.Errorf("%q is no log level; use debug, info, warn or error", level)
	}
	c := zap.NewProductionConfig()
	c.Level = zap.NewAtomicLevelAt(l)
	c.DisableStacktrace = true
	c.DisableCaller = true
	c.EncoderConfig.TimeKey = "time"
	c.EncoderConfig.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	if console {
		c.Encoding = "console"
		c.EncoderConfig.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
		c.EncoderConfig.EncodeLevel = zapcore.CapitalLevelEncoder
	}
	return c.Build()
}

// Metrics are the numbers of the process, on a registry of their own.
type Metrics struct {
	Registry *prometheus.Registry

	// API
	Requests       *prometheus.CounterVec   // route, method, status
	RequestSeconds *prometheus.HistogramVec // route
	RequestBytes   *prometheus.HistogramVec // route; inflated body
	Panics         prometheus.Counter
	PageEntries    *prometheus.CounterVec // from: memory, record
	// ingest
	AcceptedEntries prometheus.Counter
	AcceptedBytes   prometheus.Counter     // of the entries' JSON
	RefusedEntries  *prometheus.CounterVec // code
	AuditEntries    *prometheus.CounterVec // result: kept, suppressed, lost
	AuditWaiting    prometheus.Gauge
	BelowSeverity   prometheus.Counter
	MaskedValues    *prometheus.CounterVec // kind: name, field, pattern, builtin
	Envelopes       *prometheus.CounterVec // flush: size, linger, idle
	EnvelopeEntries prometheus.Histogram
	EnvelopeBytes   prometheus.Histogram // as sent
	SendSeconds     prometheus.Histogram
	SendFailures    *prometheus.CounterVec // kind
	BufferBytes     prometheus.Gauge       // waiting to be sent
	// drain
	Received        *prometheus.CounterVec   // result: empty, messages, error
	ReceiveCount    prometheus.Histogram     // how often a message had been handed out
	EnvelopeAge     prometheus.Histogram     // seconds from Send to Receive
	InFlightBytes   prometheus.Gauge         // decoded, held by the worker
	StageSeconds    *prometheus.HistogramVec // stage: decode, record, index, delete
	RecordedEntries *prometheus.CounterVec   // verdict: stored, duplicate, rejected
	IndexedEntries  *prometheus.CounterVec   // verdict: indexed, backlog, refused
	Searchable      prometheus.Histogram     // seconds from received_at to indexed
	Quarantined     *prometheus.CounterVec   // reason
	Extensions      *prometheus.CounterVec   // result: ok, lost, error
	DeleteFailures  prometheus.Counter
	// levels, set by whoever watches
	QueueMessages  *prometheus.GaugeVec // state: visible, in_flight
	QueueOldest    prometheus.Gauge     // seconds; -1 unknown
	DeadLetters    prometheus.Gauge     // messages in the dead-letter queue; -1 unknown
	BacklogEntries prometheus.Gauge
	BacklogOldest  prometheus.Gauge // seconds
	QuarantineSize prometheus.Gauge
}

// NewMetrics makes the metrics and their registry.
func NewMetrics() *Metrics {
	r := prometheus.NewRegistry()
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "ocelot", Name: name, Help: help})
		r.MustRegister(c)
		return c
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "ocelot", Name: name, Help: help}, labels)
		r.MustRegister(c)
		return c
	}
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "ocelot", Name: name, Help: help})
		r.MustRegister(g)
		return g
	}
	gauges := func(name, help string, labels ...string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "ocelot", Name: name, Help: help}, labels)
		r.MustRegister(g)
		return g
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "ocelot", Name: name, Help: help, Buckets: buckets})
		r.MustRegister(h)
		return h
	}
	histograms := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "ocelot", Name: name, Help: help, Buckets: buckets}, labels)
		r.MustRegister(h)
		return h
	}
	seconds := prometheus.ExponentialBuckets(0.0005, 2, 16)  // 0.5 ms … 16 s
	waiting := prometheus.ExponentialBuckets(0.005, 2.5, 14) // 5 ms … 12 min
	bytes := prometheus.ExponentialBuckets(256, 4, 9)        // 256 B … 16 MiB
	return &Metrics{
		Registry:        r,
		Requests:        counters("http_requests_total", "Requests answered.", "route", "method", "status"),
		RequestSeconds:  histograms("http_request_seconds", "From the request's first byte to the answer's last.", seconds, "route"),
		RequestBytes:    histograms("http_request_bytes", "Size of request bodies, inflated.", bytes, "route"),
		PageEntries:     counters("page_entries_total", "Entries of pages, by where they were read: memory, record.", "from"),
		Panics:          counter("panics_total", "Panics caught; each is a bug."),
		AcceptedEntries: counter("accepted_entries_total", "Entries acknowledged with 202."),
		AcceptedBytes:   counter("accepted_bytes_total", "Bytes of the acknowledged entries' JSON."),
		RefusedEntries:  counters("refused_requests_total", "Writes that were refused, by the answer's code.", "code"),
		AuditEntries:    counters("audit_entries_total", "Entries that say who read, changed or was refused, by result: kept, suppressed, lost.", "result"),
		AuditWaiting:    gauge("audit_waiting_entries", "Such entries that are not durable yet."),
		BelowSeverity:   counter("below_severity_entries_total", "Entries acknowledged and not kept, because they are below their tenant's least severity."),
		MaskedValues:    counters("masked_values_total", "Values masked before they were kept, by the kind of rule: name, field, pattern, builtin.", "kind"),
		Envelopes:       counters("envelopes_total", "Envelopes sent, by what closed them: size, linger or idle.", "flush"),
		EnvelopeEntries: histogram("envelope_entries", "Entries in an envelope.", prometheus.ExponentialBuckets(1, 2, 14)),
		EnvelopeBytes:   histogram("envelope_bytes", "Bytes of an envelope as sent.", bytes),
		SendSeconds:     histogram("send_seconds", "Duration of one send to the queue.", seconds),
		SendFailures:    counters("send_failures_total", "Sends that failed, by kind.", "kind"),
		BufferBytes:     gauge("buffer_bytes", "Bytes of entries waiting to be sent."),
		Received:        counters("receives_total", "Receives, by result: empty, messages, error.", "result"),
		ReceiveCount:    histogram("receive_count", "How often a received message had been handed out.", []float64{1, 2, 3, 5, 10, 30, 100}),
		EnvelopeAge:     histogram("envelope_age_seconds", "Age of an envelope when it is received.", waiting),
		InFlightBytes:   gauge("in_flight_bytes", "Decoded bytes that the worker holds."),
		StageSeconds:    histograms("stage_seconds", "Duration of a batch in a stage: decode, record, index, delete.", seconds, "stage"),
		RecordedEntries: counters("recorded_entries_total", "Entries settled in the record, by verdict.", "verdict"),
		IndexedEntries:  counters("indexed_entries_total", "Entries settled in the index, by verdict.", "verdict"),
		Searchable:      histogram("searchable_seconds", "From acceptance to searchable.", waiting),
		Quarantined:     counters("quarantined_total", "Envelopes and entries put into quarantine, by reason.", "reason"),
		Extensions:      counters("extensions_total", "Visibility extensions, by result: ok, lost, error.", "result"),
		DeleteFailures:  counter("delete_failures_total", "Deletes that failed; the messages come again, harmless."),
		QueueMessages:   gauges("queue_messages", "Messages in the queue, by state: visible, in_flight.", "state"),
		QueueOldest:     gauge("queue_oldest_seconds", "Age of the oldest message; -1 where unknown."),
		DeadLetters:     gauge("dead_letter_messages", "Messages in the dead-letter queue; -1 where none is watched or it does not answer."),
		BacklogEntries:  gauge("backlog_entries", "Entries recorded but not yet indexed."),
		BacklogOldest:   gauge("backlog_oldest_seconds", "Age of the oldest entry of the backlog."),
		QuarantineSize:  gauge("quarantine_items", "Items in quarantine."),
	}
}
