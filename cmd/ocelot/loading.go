package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/ocelot-log/ocelot/internal/bigquery"
)

// loadBytes is from where on rows are loaded before more are fetched: BigQuery takes 1,500 load jobs of a table a day.
const loadBytes = 256 << 20

// loadForgotten is how old a load that nobody knows the end of may be: BigQuery remembers jobs for six months.
const loadForgotten = 150 * 24 * time.Hour

// loadState is how far a table is. It stands in the table's description, where every machine finds it and a change by somebody
// else is seen.
type loadState struct {
	Asked   string       `json:"asked"`           // a hash of what is asked
	Place   string       `json:"place,omitempty"` // of the record: what is before it is in the table
	Rows    int64        `json:"rows"`
	Pending *pendingLoad `json:"pending,omitempty"`
}

// pendingLoad is a load that was decided on: the same entries, under one job's id, however often it is begun.
type pendingLoad struct {
	Job   string    `json:"job"`
	Until string    `json:"until"` // the place behind its entries
	At    time.Time `json:"at"`
}

const loadMark = "ocelot-load: "

const loadWords = "Entries of Ocelot, loaded by `ocelot export bigquery`. The next line says how far: leave it as it is.\n"

// stateOf reads a description; false where there is no state in it.
func stateOf(description string) (s loadState, before string, ok bool, err error) {
	before, text, ok := strings.Cut(description, loadMark)
	if !ok {
		return s, description, false, nil
	}
	text, _, _ = strings.Cut(text, "\n")
	if err := json.Unmarshal([]byte(text), &s); err != nil || s.Asked == "" {
		return s, before, true, errors.New("the line of its description that says how far it is can't be read")
	}
	return s, before, true, nil
}

func (s loadState) describe(before string) string {
	b, _ := json.Marshal(s) // of strings and numbers
	return before + loadMark + string(b)
}

// loading is one run of export bigquery.
//
// What makes each entry come once: before a load begins, the table's description says under which job's id it will, and up to which
// place. A run that finds that asks BigQuery what became of the job. Is there none, the same stretch of the record is loaded under
// the same id, of which BigQuery takes one; has it failed, it added nothing, and the stretch gets another id.
type loading struct {
	c      *client
	bq     *bigquery.Client
	o      loadOptions
	params url.Values
	part   int64 // entries in a request
	most   int64 // bytes in a job, about

	state    loadState // as it is
	kept     loadState // as the description says it
	location string
	ready    bool // the table is there and ours

	mu               sync.Mutex // of what the progress shows
	loaded, gathered int64
}

// run loads what was recorded up to now.
func (l *loading) run(ctx context.Context) error {
	if err := l.open(ctx); err != nil {
		return err
	}
	l.ready = true
	for more := true; more; {
		var err error
		if l.state.Pending != nil {
			err = l.goOn(ctx)
		} else {
			more, err = l.next(ctx)
		}
		if err != nil {
			return err
		}
	}
	return l.keep(ctx, l.state)
}

// next loads the next stretch of the record; false: up to its end.
func (l *loading) next(ctx context.Context) (more bool, err error) {
	b, err := l.gather(ctx, "")
	if err != nil {
		return false, err
	}
	defer b.remove()
	if b.rows == 0 {
		l.state.Place = b.place
		return false, nil
	}
	if err := l.decide(ctx, b.place); err != nil {
		return false, err
	}
	return b.more, l.load(ctx, b)
}

// goOn does what is left of a load that was decided on.
func (l *loading) goOn(ctx context.Context) error {
	p := *l.state.Pending
	rows, err := l.bq.Wait(ctx, l.job())
	failed, answered := errors.AsType[*bigquery.Error](err)
	switch {
	case err == nil:
		l.done(rows)
		return nil
	case answered && failed.Status == 0: // it added nothing, and its id is used up
		if err := l.decide(ctx, p.Until); err != nil {
			return err
		}
	case !errors.Is(err, bigquery.ErrNotFound):
		return err
	case time.Since(p.At) > loadForgotten:
		return fmt.Errorf("a load of %s was begun on %s, and BigQuery no longer knows what became of it: load into a new table", l.o.table, p.At.Format(time.DateOnly))
	}
	b, err := l.gather(ctx, p.Until)
	if err != nil {
		return err
	}
	defer b.remove()
	if b.rows == 0 { // all of it was removed from the record meanwhile
		l.done(0)
		return nil
	}
	return l.load(ctx, b)
}

// decide writes down that what is between the place and this one will be loaded.
func (l *loading) decide(ctx context.Context, until string) error {
	next := l.state
	next.Pending = &pendingLoad{Job: "ocelot_" + strings.ToLower(rand.Text()), Until: until, At: time.Now().UTC().Truncate(time.Second)}
	return l.keep(ctx, next)
}

func (l *loading) job() bigquery.Load {
	return bigquery.Load{ID: l.state.Pending.Job, Table: l.o.table, Location: l.location}
}

// load loads entries under the id that was decided on.
func (l *loading) load(ctx context.Context, b *stretch) error {
	begun := l.bq.Upload(ctx, l.job(), b.f, b.size)
	if errors.Is(begun, bigquery.ErrExists) {
		begun = nil // it was there
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	rows, err := l.bq.Wait(ctx, l.job())
	switch {
	case begun != nil && errors.Is(err, bigquery.ErrNotFound):
		return begun
	case err != nil:
		return err
	}
	l.done(rows)
	return nil
}

// done is after a load whose rows are in the table.
func (l *loading) done(rows int64) {
	l.state.Place, l.state.Rows, l.state.Pending = l.state.Pending.Until, l.state.Rows+rows, nil
	l.mu.Lock()
	l.loaded, l.gathered = l.loaded+rows, 0
	l.mu.Unlock()
}

// stretch are entries on their way, in a file without a name for others.
type stretch struct {
	f     *os.File
	rows  int64
	size  int64
	place string // behind them
	more  bool
}

func (b *stretch) remove() {
	_ = b.f.Close() // it is read
	_ = os.Remove(b.f.Name())
}

// gather fetches what was recorded behind the place: up to another one, or where that is empty until there is enough.
func (l *loading) gather(ctx context.Context, until string) (b *stretch, err error) {
	f, err := os.CreateTemp("", "ocelot-load-")
	if err != nil {
		return nil, err
	}
	b = &stretch{f: f, more: true}
	defer func() {
		if err != nil {
			b.remove()
		}
	}()
	x := &exporting{o: exportOptions{format: "bigquery", part: l.part}, c: l.c, params: maps.Clone(l.params), w: bufio.NewWriterSize(f, 256<<10), cursor: l.state.Place}
	if until != "" {
		x.params.Set("until", until)
	}
	for b.more && (until != "" || x.bytes < l.most) {
		rows, next, err := x.one(ctx)
		switch r, refused := errors.AsType[*refusal](err); {
		case refused && r.Code == "cursor_invalid":
			return b, fmt.Errorf("the service does not know how far %s is: it is of another tenant, or the record or its secret is another one than it was; load into a new table\n%w", l.o.table, err)
		case err != nil:
			return b, err
		case x.place == "":
			return b, fmt.Errorf("%s does not say how far it is (trailer X-Export-Place): it is too old", l.c.URL)
		}
		x.cursor, b.place, b.more, b.rows = next, x.place, next != "", b.rows+rows
		l.mu.Lock()
		l.gathered = b.rows
		l.mu.Unlock()
	}
	b.size = x.bytes
	return b, x.w.Flush()
}
