package jobs

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"time"

	"github.com/ocelot-log/ocelot/internal/document"
	"github.com/ocelot-log/ocelot/internal/fault"
)

// lease lets one process at a time do something. Its holder writes the document again and again; who sees the same
// version for a whole term, by its own clock, takes it over. So no two clocks are compared, and a holder that was
// paused finds at its next renewal that it is none any more. What is done under it must bear being done twice all the
// same: between a step and the renewal before it another may have come.
type lease struct {
	in     documents
	name   string
	holder string
	term   time.Duration

	seen    int64 // version of somebody else's, and since when
	since   time.Time
	renewed time.Time
}

func newLease(in documents, name string, term time.Duration) *lease {
	return &lease{in: in, name: name, holder: rand.Text(), term: term}
}

type leaseBody struct {
	Holder string `json:"holder"` // empty: given back
}

// hold takes or renews the lease and says whether it is ours.
func (l *lease) hold(ctx context.Context) (ours bool, err error) {
	d, err := l.in.Document(ctx, document.Lease, l.name)
	if fault.KindOf(err) == fault.NotFound {
		return l.write(ctx, document.Document{Kind: document.Lease, ID: l.name}, l.holder)
	}
	if err != nil {
		return false, err
	}
	var body leaseBody
	_ = json.Unmarshal(d.Body, &body) // what can't be read is nobody's
	if body.Holder != l.holder && body.Holder != "" {
		if d.Version != l.seen {
			l.seen, l.since = d.Version, time.Now()
		}
		if time.Since(l.since) < l.term {
			return false, nil
		}
	}
	return l.write(ctx, d, l.holder)
}

// keep renews the lease where a third of its term has passed.
func (l *lease) keep(ctx context.Context) (ours bool, err error) {
	if time.Since(l.renewed) < l.term/3 {
		return true, nil
	}
	return l.hold(ctx)
}

// release gives it back, so that the next one need not wait for a term.
func (l *lease) release(ctx context.Context) error {
	d, err := l.in.Document(ctx, document.Lease, l.name)
	if err != nil {
		return err
	}
	var body leaseBody
	if _ = json.Unmarshal(d.Body, &body); body.Holder != l.holder {
		return nil
	}
	_, err = l.write(ctx, d, "")
	return err
}

func (l *lease) write(ctx context.Context, d document.Document, holder string) (ours bool, err error) {
	if d.Body, err = json.Marshal(leaseBody{holder}); err != nil {
		return false, err
	}
	begun := time.Now()
	if d.Version == 0 {
		_, err = l.in.CreateDocument(ctx, d)
	} else {
		_, err = l.in.ReplaceDocument(ctx, d)
	}
	if fault.KindOf(err) == fault.Conflict { // another was faster
		return false, nil
	}
	if err == nil {
		l.renewed = begun
	}
	return err == nil, err
}
