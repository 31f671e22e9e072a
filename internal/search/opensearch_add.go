package search

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/wait"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// Add sends bulks, several at the same time as far as the cluster takes them well. What it has no time
// for is sent again a few times, then it is Retry; an error is returned where that is all of them.
func (o *OpenSearch) Add(ctx context.Context, records []logentry.Record) ([]Verdict, error) {
	leave, err := o.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	if len(records) == 0 {
		return nil, nil
	}
	a := adding{o: o, records: records, verdicts: make([]Verdict, len(records)), room: make(chan struct{}, bulksAhead)}
	a.run(ctx)
	if a.failed != nil && !a.settled {
		return nil, a.failed
	}
	for i, v := range a.verdicts {
		if v == 0 {
			a.verdicts[i] = Retry
		}
	}
	return a.verdicts, nil
}

// bulksAhead is how many bulks of one Add are in memory at the same time.
const bulksAhead = 4

// adding is an Add on its way. Bulks write the verdicts of their own records.
type adding struct {
	o        *OpenSearch
	records  []logentry.Record
	verdicts []Verdict // 0: not known
	wg       sync.WaitGroup
	room     chan struct{} // taken by bulks that are encoded and not done

	mu      sync.Mutex
	settled bool  // a record is, for good
	failed  error // the first
	refused int
	why     string // the first refusal
}

// note keeps what a bulk or the making of an index came to.
func (a *adding) note(settled bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.settled = a.settled || settled
	if a.failed == nil {
		a.failed = err
	}
}

func (a *adding) run(ctx context.Context) {
	day := dayIndex{o: a.o}
	defer func() {
		a.wg.Wait()
		if a.refused > 0 {
			a.o.log.Warn("OpenSearch refused entries", zap.Int("entries", a.refused), zap.String("first", a.why))
		}
	}()
	for next := 0; next < len(a.records); {
		a.room <- struct{}{}
		b := a.o.newBulk()
		for next < len(a.records) && !b.full(&a.o.cfg) {
			a.put(ctx, b, &day, next)
			next++
		}
		if len(b.rows) == 0 {
			a.done(b)
			continue
		}
		if len(b.rows) == len(a.records) { // alone
			a.deliver(ctx, b)
			return
		}
		a.wg.Go(func() { a.deliver(ctx, b) })
	}
	a.o.prepareTomorrow(ctx, time.Now())
}

func (a *adding) done(b *bulk) {
	<-a.room
	if cap(b.lines) > mostSpare {
		return
	}
	select {
	case a.o.spare <- b:
	default:
	}
}

// mostSpare is how large a body may have been whose memory is kept: one of ordinary entries.
const mostSpare = 4 << 20

func (o *OpenSearch) newBulk() *bulk {
	select {
	case b := <-o.spare:
		b.reset()
		return b
	default:
		return new(bulk)
	}
}

// put adds a record to a bulk, or says at once what becomes of it.
func (a *adding) put(ctx context.Context, b *bulk, day *dayIndex, row int) {
	e := &a.records[row].Entry
	if !takes(e) {
		a.verdicts[row] = Refused
		a.note(true, nil)
		return
	}
	if !day.holds(e.ReceivedAt) {
		day.turn(ctx, e.ReceivedAt)
		a.note(false, day.err)
	}
	if day.err != nil {
		return
	}
	b.add(row, day.name, e)
}

// dayIndex is the index that records go to which were received on the same day as the last one.
type dayIndex struct {
	o        *OpenSearch
	from, to time.Time
	name     []byte
	err      error // why it can't be written to
}

func (d *dayIndex) holds(at time.Time) bool { return !at.Before(d.from) && at.Before(d.to) }

func (d *dayIndex) turn(ctx context.Context, at time.Time) {
	d.from = at.UTC().Truncate(24 * time.Hour)
	d.to = d.from.Add(24 * time.Hour)
	d.name = appendDay(d.name[:0], d.o.cfg.Prefix, at)
	d.err = d.o.ready(ctx, string(d.name))
	if f := fault.Of(d.err); f != nil && f.Kind == fault.Invalid {
		// The entries are good, and somebody can put the index right.
		d.err = &fault.Error{Kind: fault.Unavailable, Code: f.Code, Detail: f.Detail}
	}
}

// deliver sends what is in b and sorts out what comes back.
func (a *adding) deliver(ctx context.Context, b *bulk) {
	defer a.done(b)
	b.todo = b.todo[:0]
	for i := range b.rows {
		b.todo = append(b.todo, i)
	}
	var err error
	for try := 1; ; try++ {
		left := len(b.todo)
		err = a.send(ctx, b)
		if len(b.todo) < left {
			err = nil
		}
		if len(b.todo) == 0 || try >= a.o.cfg.BulkAttempts || ctx.Err() != nil || fault.KindOf(err) == fault.Timeout || !a.pause(ctx, try) {
			break
		}
	}
	a.note(len(b.todo) < len(b.rows), err)
}

// pause waits longer after each try, up to a second and a half in all: the caller has a better place for
// what must wait.
func (a *adding) pause(ctx context.Context, tries int) bool {
	return wait.For(ctx, wait.Backoff(tries, 100*time.Millisecond, time.Second)) == nil
}

// send sends what b has still to do, and leaves in it what may be sent again. An error is of the call as
// a whole, or says that the cluster took nothing.
func (a *adding) send(ctx context.Context, b *bulk) error {
	const doing = "add to the index"
	o := a.o
	body, err := b.body(o.cfg.Gzip)
	if err != nil {
		return fault.As(fault.Internal, "gzip", err)
	}
	if err := o.limit.enter(ctx); err != nil {
		return fault.Wrap(o.noAnswer(err), doing)
	}
	began := time.Now()
	res, err := o.call(ctx, request{method: "POST", path: "/_bulk", query: bulkQuery, body: body, lines: true, gzip: o.cfg.Gzip, into: &b.answer})
	if err != nil || res.status >= 300 {
		o.limit.leave(began, err == nil && res.status == http.StatusTooManyRequests)
		if err == nil && res.status == http.StatusRequestEntityTooLarge {
			return a.halve(ctx, b)
		}
		return o.fault(doing, res, err)
	}
	items, ok := parseItems(b.items[:0], res.body)
	b.items = items
	o.limit.leave(began, slices.ContainsFunc(items, func(it bulkItem) bool { return it.status == http.StatusTooManyRequests }))
	if !ok || len(items) != len(b.todo) {
		return fault.Wrap(fault.New(fault.Unavailable, "opensearch_answer", fmt.Sprintf("the answer to a bulk of %d has %d items", len(b.todo), len(items))), doing)
	}
	var worst bulkItem
	again := b.todo[:0]
	for n, i := range b.todo {
		it := items[n]
		v := verdict(it.status, it.kind)
		a.verdicts[b.rows[i]] = v
		switch v {
		case Retry:
			again, worst = append(again, i), it
			if it.kind == indexGone {
				o.forget(string(appendDay(nil, o.cfg.Prefix, a.records[b.rows[i]].ReceivedAt)))
			}
		case Refused:
			a.refuse(it)
		}
	}
	b.todo = again
	if len(again) == 0 {
		return nil
	}
	return o.fault(doing, worst.answer(), nil)
}

// halve sends a bulk that is too large for what stands between us and OpenSearch as two. What is too
// large alone can't be indexed.
func (a *adding) halve(ctx context.Context, b *bulk) error {
	all := slices.Clone(b.todo)
	if len(all) == 1 {
		a.verdicts[b.rows[all[0]]] = Refused
		a.refuse(bulkItem{status: http.StatusRequestEntityTooLarge})
		b.todo = b.todo[:0]
		return nil
	}
	half := len(all) / 2
	b.todo = append(b.todo[:0], all[:half]...)
	err := a.send(ctx, b)
	left := slices.Clone(b.todo)
	b.todo = append(b.todo[:0], all[half:]...)
	if second := a.send(ctx, b); err == nil {
		err = second
	}
	b.todo = append(b.todo, left...)
	slices.Sort(b.todo)
	return err
}

// refuse counts what the cluster can never take.
func (a *adding) refuse(it bulkItem) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused++
	if a.why == "" {
		a.why = fmt.Sprintf("HTTP %d %s", it.status, it.kind)
	}
}
