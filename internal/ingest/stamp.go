package ingest

import (
	"fmt"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/mask"
	"github.com/ocelot-log/ocelot/internal/queue"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// The two kinds of key have a prefix each, so that an event_id never meets an Idempotency-Key.
const (
	eventKey   = "event:"
	requestKey = "request:"
)

// stamp fills in what the service adds to each entry and writes the lines into r. An entry that may not come in ends it.
func (in *Ingest) stamp(r *request, b Batch, k keeping) (Receipt, error) {
	now := time.Now()
	if received := b.ReceivedAt; !received.IsZero() && received.Before(now) {
		now = received
	}
	now = now.UTC().Round(0)
	receipt := Receipt{IDs: make([]logentry.ID, len(b.Entries))}
	var seen map[logentry.ID]struct{}
	var masked mask.Hits
	for i := range b.Entries {
		e := &b.Entries[i]
		e.TenantID, e.ReceivedAt, e.Changes = r.tenantID, now, nil
		hits := k.masker.Apply(e, nil) // before anything is made of the entry, its id above all
		for kind := range hits {
			masked[kind] += hits[kind]
		}
		switch { // a key's content is what the producer sent, masked: taken before the defaults are filled in
		case e.EventID != "":
			r.content = logentry.AppendContent(r.content[:0], e)
			e.ID = logentry.KeyedID(r.tenantID, eventKey+e.EventID, 0, r.content)
		case b.IdempotencyKey != "":
			r.content = logentry.AppendContent(r.content[:0], e)
			e.ID = logentry.KeyedID(r.tenantID, requestKey+b.IdempotencyKey, i, r.content)
		default:
			e.ID = in.ids.New(now)
		}
		receipt.IDs[i] = e.ID
		if e.EventID != "" && len(b.Entries) > 1 {
			if seen == nil {
				seen = make(map[logentry.ID]struct{}, len(b.Entries))
			}
			if _, again := seen[e.ID]; again {
				receipt.Duplicates++
				continue
			}
			seen[e.ID] = struct{}{}
		}
		if e.Timestamp.IsZero() {
			e.Timestamp = now
		}
		if e.Severity == 0 {
			e.Severity = logentry.Info
		}
		if e.SchemaVersion == 0 {
			e.SchemaVersion = in.cfg.SchemaVersion
		}
		if len(e.BeforeState) > 0 || len(e.AfterState) > 0 {
			e.Changes = logentry.Diff(e.BeforeState, e.AfterState)
		}
		if b.Allows != nil && !b.Allows(e) {
			return Receipt{}, errOutside(i)
		}
		if e.Severity < k.minSeverity {
			receipt.Dropped++
			continue
		}
		r.lines = append(logentry.AppendJSON(r.lines, e), '\n')
		r.ends = append(r.ends, len(r.lines))
	}
	for kind, n := range masked {
		if n > 0 {
			in.tel.Metrics.MaskedValues.WithLabelValues(mask.Kind(kind).String()).Add(float64(n))
		}
	}
	return receipt, nil
}

func errOutside(i int) error {
	return fault.New(fault.Forbidden, "outside_scope", fmt.Sprintf(
		"entry %d of the request, counted from 1, is not one that these credentials are for; nothing of the request was kept", i+1))
}

// headerRoom is more than the header, the tag and the codec's framing take in an envelope of one entry.
const headerRoom = 1 << 10

// checkSizes refuses a request with an entry that would fit in no message, before anything of it is sent.
func (in *Ingest) checkSizes(r *request) error {
	var packer *queue.Packer
	for i := range r.ends {
		line := r.lines[r.start(i):r.ends[i]]
		if len(line)+len(line)/3+headerRoom <= in.maxBytes { // it fits even if it doesn't shrink
			continue
		}
		if packer == nil {
			var err error
			if packer, err = queue.NewPacker(in.wire); err != nil {
				return err
			}
		}
		body, err := packer.Pack(nil, in.header(r.tenantID, time.Now(), 1), line)
		if err != nil {
			return err
		}
		if len(body)+headerRoom > in.maxBytes {
			return errTooLarge()
		}
	}
	return nil
}

func errTooLarge() error {
	return fault.New(fault.TooLarge, "entry_too_large", "an entry does not shrink to what a message of the queue holds")
}

func (in *Ingest) header(tenantID string, now time.Time, count int) queue.Header {
	return queue.Header{TenantID: tenantID, Producer: in.cfg.Producer, Created: now, Count: count}
}
