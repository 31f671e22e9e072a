package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"time"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// Event is what a Tail gives: an entry, or word of entries that it could not give. Exactly one of Entry, Skipped and
// Gap is set.
type Event struct {
	ID      string // of an entry: a Query's After that goes on behind it, for a day
	Entry   *logentry.Entry
	Skipped int  // so many entries were left out because they were read too slowly; a Search finds them
	Gap     *Gap // entries that were received in this time may be missing; a Search finds them
}

// Gap is a time of which a Tail knows nothing.
type Gap struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// maxQuiet is how long a stream may say nothing, for it says every 15 s that it is alive.
const maxQuiet = 45 * time.Second

// errQuiet means that a connection was cut without noticing.
var errQuiet = errors.New("client: the stream said nothing for too long")

// Tail gives the entries that match as they are recorded, until the loop is left, ctx ends, or the service refuses.
// A connection that breaks is made again and goes on behind the last event, so that nothing is given twice and nothing
// is missing without an Event that says so; RetryFor bounds how long the service may be away. Its last error is ctx's, or why
// it could not go on.
func (c *Client) Tail(ctx context.Context, q Query) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		t := &tail{c: c, path: "/api/v1/logs/stream?" + q.params().Encode(), last: q.After}
		for {
			left := false
			err := c.again(ctx, func() error {
				progress, err := t.follow(ctx, func(e Event) bool {
					left = !yield(e, nil)
					return !left
				})
				if left || progress && passing(err) { // the tries begin anew
					return nil
				}
				return err
			})
			if left {
				return
			}
			if err == nil {
				err = waitFor(ctx, backoff(3)) // a service that stops ends its streams: not all come back at once
			}
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(Event{}, err)
				return
			}
		}
	}
}

// tail is where a Tail is.
type tail struct {
	c    *Client
	path string
	last string // id to go on behind; empty: none was given yet
}

// follow reads one connection to its end. progress says that the stream had begun.
func (t *tail) follow(ctx context.Context, give func(Event) bool) (progress bool, err error) {
	ctx, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	silence := time.AfterFunc(t.c.quiet, func() { cut(errQuiet) })
	defer silence.Stop()
	header := http.Header{"Accept": {"text/event-stream"}, "Accept-Encoding": {"identity"}} // a packed stream comes in lumps
	if t.last != "" {
		header["Last-Event-Id"] = []string{t.last}
	}
	r, err := t.c.request(ctx, http.MethodGet, t.path, header, nil)
	if err != nil {
		return false, err
	}
	res, err := t.c.http.Do(r)
	if err != nil {
		return false, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return false, problemOf(res)
	}
	lines := bufio.NewReaderSize(res.Body, 64<<10)
	for {
		m, err := readMessage(lines)
		if err != nil {
			return progress, fmt.Errorf("client: the stream ended: %w", err)
		}
		silence.Stop()
		progress = true
		e, shown, err := m.event()
		if err != nil {
			return progress, err
		}
		if shown && !give(e) {
			return progress, nil
		}
		if m.id != "" { // only now: what was not given is asked for again
			t.last = m.id
		}
		silence.Reset(t.c.quiet)
	}
}

// message is one server-sent event.
type message struct {
	name, id string
	data     []byte
}

// readMessage reads up to the next blank line.
func readMessage(r *bufio.Reader) (m message, err error) {
	for size := 0; ; {
		line, err := r.ReadBytes('\n')
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF // a stream has no end of its own
			}
			return message{}, err
		}
		if size += len(line); size > maxMessage {
			return message{}, &Problem{Status: http.StatusOK, Code: "answer_invalid", Detail: "an event of the stream is too large"}
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return m, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "event":
			m.name = string(value)
		case "id":
			m.id = string(value)
		case "data":
			m.data = append(m.data, value...)
		}
	}
}

const maxMessage = 4 << 20 // an entry has 256 KiB

// event is what a message says; shown is false for one that only keeps the stream alive, or of a kind that is not known here.
func (m message) event() (e Event, shown bool, err error) {
	e.ID = m.id
	switch m.name {
	case "entry":
		entry, err := entryOf(m.data)
		if err != nil {
			return Event{}, false, &Problem{Status: http.StatusOK, Code: "answer_invalid", Detail: "an event of the stream is no entry"}
		}
		e.Entry = &entry
	case "skipped":
		var s struct {
			Count int `json:"count"`
		}
		err = json.Unmarshal(m.data, &s)
		e.Skipped = s.Count
	case "gap":
		e.Gap = &Gap{}
		err = json.Unmarshal(m.data, e.Gap)
	default:
		return Event{}, false, nil
	}
	if err != nil {
		return Event{}, false, &Problem{Status: http.StatusOK, Code: "answer_invalid", Detail: "an event of the stream can't be read"}
	}
	return e, true, nil
}
