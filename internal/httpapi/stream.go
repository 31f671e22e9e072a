package httpapi

import (
	"context"
	"encoding/binary"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/ocelot-log/ocelot/internal/audit"
	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/internal/tail"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// Bounds of live streams.
const (
	streamPath    = "/api/v1/logs/stream"
	maxStreams    = 10             // of a principal
	maxAllStreams = 2000           // of this process
	streamMemory  = 24 * time.Hour // how long ago a stream may have ended that goes on
	streamAlive   = 15 * time.Second
	streamPiece   = 64 << 10 // bytes that are written at once, or one entry
)

// patience is what a stream has with its reader.
type patience struct {
	look time.Duration // between two looks at whether the credentials still hold
	slow time.Duration // who takes a piece only after that is told of a gap, and to come again
	gone time.Duration // who has not taken it by then is gone
}

var streamPatience = patience{look: 2 * time.Second, slow: 10 * time.Second, gone: 20 * time.Second}

// commits is the record in the order in which entries became durable.
type commits interface {
	Scan(ctx context.Context, after store.Position, max int) ([]logentry.Record, store.Position, error)
	ScanTo(ctx context.Context, after, to store.Position, max int) ([]logentry.Record, store.Position, error)
	End(ctx context.Context) (store.Position, error)
	Watch(ctx context.Context, ring func()) error
}

// sink is how a stream's events go to the caller.
type sink interface {
	chunk(c *tail.Chunk) error
	skipped(count int) error
	gap(from, to time.Time) error
	alive(id string) error // with where to go on; empty says nothing of it
}

// stream is one live stream.
type stream struct {
	s       *Server
	k       *call
	where   query.Node
	binding string
	from    *tail.Place // nil: from now on
	since   time.Time   // when the cursor was made
	gone    bool        // too long ago to go on from

	asked time.Time // when the credentials were last looked at
	given time.Time // when the reader last took something in time
}

// streamLogs follows the record for a caller: what comes and matches, as server-sent events, or as JSON messages over a
// WebSocket where the caller upgrades.
func (s *Server) streamLogs(k *call) error {
	upgrade := wantsSocket(k.Request)
	if upgrade {
		if err := checkHandshake(k); err != nil {
			return err
		}
	}
	st, err := s.readStream(k)
	if err != nil {
		return err
	}
	release, err := s.streams.enter(k.principal)
	if err != nil {
		return err
	}
	defer release()
	if s.stopping.Load() {
		return tail.ErrStopped
	}
	params, _ := query.ParseRawQuery(k.Request.URL.RawQuery) // it was read before
	if err := s.audited(k, audit.Event{Action: audit.Read, ResourceType: "stream", Params: params, Count: -1, Source: "record"}); err != nil {
		return err
	}
	if upgrade {
		return st.overSocket()
	}
	return st.asEvents()
}

// readStream reads the URL of a stream.
func (s *Server) readStream(k *call) (*stream, error) {
	params, err := query.ParseRawQuery(k.Request.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"sort", "limit", "skip", "total", "cursor"} {
		if _, ok := params[name]; ok {
			return nil, parameterFault(name, "unknown_parameter", "a stream has no "+name+": entries come as they are recorded; go on with after or Last-Event-ID")
		}
	}
	q, err := query.FromParams(params, time.Now(), "tenant", "after")
	if err != nil {
		return nil, err
	}
	q = scoped(k, q)
	st := &stream{s: s, k: k, where: q.Where, binding: query.Binding(k.tenant.ID(), "", q)}
	after, sent := params["after"], k.Request.Header["Last-Event-Id"]
	if len(after) > 1 || len(sent) > 1 {
		return nil, parameterFault("after", "repeated_parameter", "say once where to go on")
	}
	if len(sent) == 1 { // a browser that connects again sends it beside the URL as it was
		after = sent
	}
	if len(after) == 0 {
		return st, nil
	}
	return st, st.goOn(after[0])
}

// A stream's id is when it was made, the entry behind which it goes on, and the position before that.
const streamID = 8 + len(logentry.ID{})

// id is where to go on after what was given at a place.
func (st *stream) id(p tail.Place) string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, streamID+24), uint64(time.Now().UnixMilli()))
	b = append(append(b, p.Behind[:]...), p.Position...)
	return st.s.reading.Cursors.Seal("stream", b, st.binding)
}

func (st *stream) goOn(id string) error {
	b, err := st.s.reading.Cursors.Open("stream", id, st.binding)
	if err != nil || len(b) < streamID {
		return fault.New(fault.Malformed, "cursor_invalid", "this is no id of an event of this stream: go on with the filters that it had, or without an id")
	}
	st.since = time.UnixMilli(int64(binary.BigEndian.Uint64(b))).UTC()
	if st.gone = time.Since(st.since) > streamMemory; !st.gone {
		st.from = &tail.Place{Behind: logentry.ID(b[8:streamID]), Position: store.Position(b[streamID:])}
	}
	return nil
}

// run gives a caller what comes, until they leave, their credentials end, or the process stops. What is missing is said
// where it is missing.
func (st *stream) run(ctx context.Context, to sink) error {
	key := st.binding + "\x00" + query.String(st.where)
	st.asked, st.given = time.Now(), time.Now().UTC()
	f, err := st.s.tail.Follow(ctx, st.k.tenant, key, st.where, st.from)
	if err != nil {
		return err
	}
	defer func() { f.Close() }()
	first := ""
	if st.from == nil {
		first = st.id(f.Start())
	}
	if err := to.alive(first); err != nil {
		return err
	}
	if st.gone {
		if err := to.gap(st.since, time.Now().UTC()); err != nil {
			return err
		}
	}
	said := time.Now()
	for {
		chunk, place, err := f.Next(ctx, st.s.patience.look)
		if errors.Is(err, tail.ErrPlaceUnknown) { // the record is another one than it was
			f.Close()
			if f, err = st.s.tail.Follow(ctx, st.k.tenant, key, st.where, nil); err == nil {
				err = to.gap(st.since, time.Now().UTC())
			}
		}
		switch {
		case err != nil:
			return err
		case chunk == nil && time.Since(said) >= streamAlive:
			id := ""
			if place.Position != "" {
				id = st.id(place)
			}
			err, said = to.alive(id), time.Now()
		case chunk == nil:
		case chunk.Skipped > 0:
			err, said = to.skipped(chunk.Skipped), time.Now()
		default:
			err, said = to.chunk(chunk), time.Now()
		}
		if err == nil {
			err = st.still()
		}
		if errors.Is(err, errSlow) {
			_ = to.gap(st.given, time.Now().UTC()) // its last words
		}
		if err != nil {
			return err
		}
	}
}

var (
	errEnded = errors.New("the credentials of the stream have ended")
	errSlow  = errors.New("the reader of the stream takes too little")
)

// give writes one piece, as long as the credentials hold.
func (st *stream) give(write func() error) error {
	if err := st.still(); err != nil {
		return err
	}
	began := time.Now()
	if write() != nil {
		return errGone
	}
	if time.Since(began) > st.s.patience.slow {
		return errSlow
	}
	st.given = began.UTC()
	return nil
}

// still asks again who is calling, now and then. While nobody can say, the stream goes on.
func (st *stream) still() error {
	if time.Since(st.asked) < st.s.patience.look {
		return nil
	}
	st.asked = time.Now()
	again := call{Context: st.k.Context, client: st.k.client}
	err := st.s.identify(&again, route{method: http.MethodGet, path: streamPath, access: readers})
	switch kind := fault.KindOf(err); {
	case err == nil && again.tenant.ID() == st.k.tenant.ID() && again.principal.Filter() == st.k.principal.Filter():
		return nil
	case err != nil && kind != fault.Unauthenticated && kind != fault.Forbidden && kind != fault.NotFound && kind != fault.Malformed:
		return nil
	}
	return errEnded
}

// ended says in the log why a stream ended, where an operator should know.
func (st *stream) ended(err error) {
	if st.k.Request.Context().Err() != nil || errors.Is(err, errGone) || errors.Is(err, errSlow) || errors.Is(err, errEnded) || errors.Is(err, tail.ErrStopped) || errors.Is(err, context.Canceled) {
		return
	}
	st.s.log.Warn("a stream ended", zap.String("request_id", requestID(st.k.Context)), zap.Error(err), traceOf(st.k.Context))
}

// streamCount counts the streams of each principal.
type streamCount struct {
	mu      sync.Mutex
	running map[string]int
	all     int
}

// enter takes a place; without an error, release gives it back.
func (c *streamCount) enter(p auth.Principal) (release func(), err error) {
	who := "subject:" + p.Subject
	if p.KeyID != "" {
		who = "key:" + p.KeyID
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running[who] >= maxStreams {
		return nil, &fault.Error{Kind: fault.Limited, Code: "too_many_streams", RetryAfter: streamAlive,
			Detail: "a caller may have 10 streams at the same time: end one of them"}
	}
	if c.all >= maxAllStreams {
		return nil, &fault.Error{Kind: fault.Unavailable, Code: "overloaded", Detail: "too many streams are running here; try again", RetryAfter: streamAlive}
	}
	if c.running == nil {
		c.running = map[string]int{}
	}
	c.running[who]++
	c.all++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.all--
		if c.running[who]--; c.running[who] == 0 {
			delete(c.running, who)
		}
	}, nil
}

// wantsSocket says whether a request asks for a WebSocket. Other upgrades are not looked at.
func wantsSocket(r *http.Request) bool {
	for _, line := range r.Header["Upgrade"] {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(part), "websocket") {
				return true
			}
		}
	}
	return false
}
