package search

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/ocelot-log/ocelot/internal/fault"
)

// days are the indices that are known to be as they should.
type days struct {
	mu     sync.RWMutex
	known  map[string]bool
	making sync.Mutex    // one at a time: each is a change of the whole cluster's state
	early  time.Duration // before midnight this process makes the next one
}

// appendDay appends the name of the index of a day, the UTC day of at.
func appendDay(dst []byte, prefix string, at time.Time) []byte {
	return at.UTC().AppendFormat(append(append(dst, prefix...), '-'), "2006.01.02")
}

// ready makes the index of a day unless it is there. Documents never make it: without the template,
// which somebody may have removed, OpenSearch would guess a mapping.
func (o *OpenSearch) ready(ctx context.Context, name string) error {
	if o.isReady(name) {
		return nil
	}
	o.days.making.Lock()
	defer o.days.making.Unlock()
	if o.isReady(name) {
		return nil
	}
	const doing = "make the index of a day"
	for range 2 { // what was just made is looked at too: other templates may have changed it
		x, there, err := o.lookAt(ctx, name)
		if err != nil {
			return err
		}
		if there {
			if err := o.fits(ctx, name, x); err != nil {
				return err
			}
			o.days.mu.Lock()
			o.days.known[name] = true
			o.days.mu.Unlock()
			return nil
		}
		if err := o.withCodec(doing, func(codec string) (answer, error) {
			a, err := o.call(ctx, request{method: "PUT", path: "/" + name, body: encode(o.index(codec))})
			if err == nil && a.status == http.StatusBadRequest && a.failure().Type == "resource_already_exists_exception" {
				a.status = http.StatusOK // somebody was faster
			}
			return a, err
		}); err != nil {
			return err
		}
	}
	return fault.New(fault.Unavailable, "opensearch_index_gone", "an index vanishes as soon as it is made")
}

func (o *OpenSearch) isReady(name string) bool {
	o.days.mu.RLock()
	defer o.days.mu.RUnlock()
	return o.days.known[name]
}

// forget has the next Add look at an index again.
func (o *OpenSearch) forget(name string) {
	o.days.mu.Lock()
	delete(o.days.known, name)
	o.days.mu.Unlock()
}

// lookAt reads what an index is.
func (o *OpenSearch) lookAt(ctx context.Context, name string) (x indexState, there bool, err error) {
	a, err := o.call(ctx, request{method: "GET", path: "/" + name, query: "filter_path=error,*.aliases,*.mappings.dynamic,*.mappings._meta"})
	if err == nil && a.status == http.StatusNotFound {
		return x, false, nil
	}
	if err := o.fault("look at an index", a, err); err != nil {
		return x, false, err
	}
	var all map[string]indexState
	if err := json.Unmarshal(a.body, &all); err != nil {
		return x, false, fault.As(fault.Internal, "opensearch_answer", err)
	}
	x, there = all[name]
	return x, there, nil
}

// prepareTomorrow makes the next day's index in the last two hours of the day, at a moment that differs
// from process to process, so that not all of them want it at midnight.
func (o *OpenSearch) prepareTomorrow(ctx context.Context, now time.Time) {
	now = now.UTC()
	midnight := now.Truncate(24 * time.Hour).Add(24 * time.Hour)
	if midnight.Sub(now) > o.days.early {
		return
	}
	if name := string(appendDay(nil, o.cfg.Prefix, midnight)); !o.isReady(name) {
		_ = o.ready(ctx, name) // who needs it first tries again and reports
	}
}
