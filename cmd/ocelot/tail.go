package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ocelot-log/ocelot/internal/wait"
)

const tailLong = `Prints the entries that match from now on, a moment after they were recorded, until it is interrupted: as a table on a
terminal, as NDJSON elsewhere. The query is that of search; none matches everything.

A connection that breaks is made again, and goes on behind the last entry that was printed. Where entries were skipped, or
it is not known what lies between, standard error says so.`

func newTailCmd() *cobra.Command {
	var o searchOptions
	cmd := &cobra.Command{
		Use:     "tail [QUERY]",
		Short:   "Follow the entries that come",
		Long:    tailLong,
		Example: "  ocelot tail 'severity:ERROR'\n  ocelot tail 'service:billing' --json | jq .message",
		Args:    oneQuery,
		RunE: func(cmd *cobra.Command, args []string) error {
			params, err := o.params(strings.Join(args, ""), time.Now())
			if err != nil {
				return err
			}
			c, err := clientFromEnv(cmd, o.target, false)
			if err != nil {
				return err
			}
			stderr := cmd.ErrOrStderr()
			f := &following{c: c, params: params, out: newPrinter(cmd.OutOrStdout(), o.json), wait: wait.For,
				note: func(s string) { _, _ = fmt.Fprintln(stderr, "ocelot:", visible(s)) }}
			return f.run(cmd.Context())
		},
	}
	o.target.flags(cmd)
	cmd.Flags().StringVar(&o.audit, "audit", "", auditUsage)
	cmd.Flags().BoolVar(&o.json, "json", false, "NDJSON on a terminal too")
	return cmd
}

const (
	// tailSilence is how long a connection may bring nothing: the service says every 15 s that it is there.
	tailSilence = 45 * time.Second
	// tailSteady is how long a connection has to hold before the pause after it is short again.
	tailSteady = 10 * time.Second
)

// following is one run of tail.
type following struct {
	c      *client
	params url.Values
	out    printer
	note   func(string)
	wait   func(context.Context, time.Duration) error

	last      string // id of the last event
	connected bool   // there was a connection
	told      bool   // that there is none now
}

// errPrint is a failure of our own side, which no other connection mends.
type errPrint struct{ error }

func (e errPrint) Unwrap() error { return e.error }

// run follows until ctx ends, which is no error.
func (f *following) run(ctx context.Context) error {
	for try := 0; ; try++ {
		begun := time.Now()
		err := f.once(ctx)
		if ctx.Err() != nil {
			return f.out.end()
		}
		if p, ok := errors.AsType[errPrint](err); ok {
			return p.error
		}
		if time.Since(begun) > tailSteady {
			try = 0
		}
		pause := wait.Backoff(try, minPause, maxPause)
		r, answered := errors.AsType[*refusal](err)
		switch {
		case answered && f.last != "" && r.Code == "cursor_invalid":
			f.last = "" // the service does not know the place any more; the next connection says what that means
			continue
		case answered && !r.passing(), !f.connected:
			return queryError(err)
		case answered:
			pause = max(pause, r.RetryAfter)
		}
		// A stream ends also when its token does: the next one is made at once, and only where that fails it is told.
		if try > 0 && !f.told {
			f.told = true
			f.note(fmt.Sprintf("%v; trying again", err))
		}
		if f.wait(ctx, pause) != nil {
			return f.out.end()
		}
	}
}

// once follows over one connection, and says why it ended.
func (f *following) once(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	header := http.Header{"Accept": {"text/event-stream"}, "Accept-Encoding": {"identity"}}
	if f.last != "" {
		header["Last-Event-Id"] = []string{f.last}
	}
	silence := time.AfterFunc(tailSilence, cancel)
	defer silence.Stop()
	resp, err := f.c.stream(ctx, "/api/v1/logs/stream?"+f.params.Encode(), header)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		return errPrint{fmt.Errorf("the answer of %s is no stream of entries: is the URL right?", f.c.URL)}
	}
	if f.connected && f.last == "" {
		f.note("what came while there was no connection is not shown; `ocelot search` finds it")
	}
	f.connected = true
	if f.told {
		f.told = false
		f.note("connected again")
	}
	events := newEventReader(resp.Body)
	for {
		e, err := events.next()
		silence.Reset(tailSilence)
		if err != nil {
			return f.ended(err)
		}
		if err := f.show(e); err != nil {
			return errPrint{err}
		}
		if e.id != "" {
			f.last = e.id
		}
		if events.waiting() == 0 {
			if err := f.out.end(); err != nil {
				return errPrint{err}
			}
		}
	}
}

func (f *following) ended(err error) error {
	if printed := f.out.end(); printed != nil {
		return errPrint{printed}
	}
	if errors.Is(err, errLongEvent) {
		return errPrint{err}
	}
	switch {
	case errors.Is(err, io.EOF):
		err = errors.New("it ended the stream")
	case errors.Is(err, context.Canceled):
		err = fmt.Errorf("nothing came for %s", tailSilence)
	}
	return fmt.Errorf("the connection to %s is lost: %w", f.c.URL, err)
}

// show prints one event.
func (f *following) show(e event) error {
	var said struct {
		Count int64     `json:"count"`
		From  time.Time `json:"from"`
		To    time.Time `json:"to"`
	}
	switch e.name {
	case "entry":
		return f.out.entry(json.RawMessage(e.data))
	case "skipped", "gap":
		if err := json.Unmarshal(e.data, &said); err != nil {
			return fmt.Errorf("an event of %s can't be read: %w", f.c.URL, err)
		}
		if err := f.out.end(); err != nil { // so that it stands where it belongs
			return err
		}
	}
	switch e.name {
	case "skipped":
		f.note(fmt.Sprintf("%s entries were skipped: they came faster than they were read; `ocelot search` finds them", grouped(said.Count)))
	case "gap":
		f.note(fmt.Sprintf("there is a gap: what was received from %s to %s may be missing; `ocelot search` finds it",
			said.From.UTC().Format(time.RFC3339), said.To.UTC().Format(time.RFC3339)))
	}
	return nil
}
