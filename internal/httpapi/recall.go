package httpapi

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

const (
	recallBytes = 16 << 20    // about what is kept
	recallAge   = time.Minute // after which the record is asked again, whatever the index says
	recallEntry = 16 << 10    // bytes of JSON; a longer one would push out too many
	recallCost  = 200         // bytes of an entry besides its JSON
)

// recall keeps the JSON of what pages showed a moment ago. Who narrows a question, turns a page back or asks again
// sees most of it once more, and the record would look each entry up once more.
//
// A record of an id that was made at random (UUIDv7) never changes. Ids made of a key may come again, with another
// received_at, when what they were was removed: they are not kept. That an entry is still there, the index says: what is
// removed is gone from both when its removal is said to be done. Until then a page may show it for recallAge more.
//
// There are two halves: the younger one is filled, the older one is forgotten as a whole. The zero value is ready and
// may be used concurrently.
type recall struct {
	mu         sync.Mutex
	young, old map[logentry.ID]shown
	bytes      int       // of the young ones
	since      time.Time // when the younger half was begun
}

// shown is an entry of a tenant.
type shown struct {
	at     time.Time // when it was read
	tenant string
	json   []byte
}

// turn forgets the older half when the younger one is full or of an age.
func (r *recall) turn(now time.Time) {
	if r.bytes < recallBytes/2 && now.Sub(r.since) < recallAge/2 {
		return
	}
	r.old, r.young, r.bytes, r.since = r.young, make(map[logentry.ID]shown), 0, now
}

// find returns the JSON of those of ids that are kept for a tenant, and the other ids. The JSON must not be changed.
func (r *recall) find(tenant string, ids []logentry.ID, now time.Time) (kept map[logentry.ID][]byte, others []logentry.ID) {
	kept = make(map[logentry.ID][]byte, len(ids))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(now)
	for _, id := range ids {
		e, ok := r.young[id]
		if !ok {
			e, ok = r.old[id]
		}
		if ok && e.tenant == tenant && now.Sub(e.at) < recallAge {
			kept[id] = e.json
		} else {
			others = append(others, id)
		}
	}
	return kept, others
}

// keep copies what may be asked for again.
func (r *recall) keep(records []logentry.Record, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range records {
		e := &records[i]
		if len(e.JSON) > recallEntry || e.ID.Version() != 7 {
			continue
		}
		r.turn(now)
		r.young[e.ID] = shown{now, e.TenantID, bytes.Clone(e.JSON)}
		r.bytes += len(e.JSON) + recallCost
	}
}

// recalled are the records of ids in their order, without those that are absent, from what was shown and from the record.
func (s *Server) recalled(ctx context.Context, t auth.Tenant, ids []logentry.ID) ([]logentry.Record, error) {
	kept, others := s.recall.find(t.ID(), ids, time.Now())
	s.tel.Metrics.PageEntries.WithLabelValues("memory").Add(float64(len(kept)))
	var found []logentry.Record
	if len(others) > 0 {
		var err error
		if found, err = s.reading.Store.GetMany(ctx, t, others); err != nil {
			return nil, err
		}
		s.tel.Metrics.PageEntries.WithLabelValues("record").Add(float64(len(found)))
		s.recall.keep(found, time.Now())
	}
	if len(kept) == 0 {
		return found, nil
	}
	all := make([]logentry.Record, 0, len(kept)+len(found))
	for _, id := range ids {
		if line, ok := kept[id]; ok {
			r, err := logentry.ParseRecord(line)
			if err != nil {
				return nil, fault.Wrap(err, "read a record again")
			}
			r.TenantID = t.ID()
			all = append(all, r)
		} else if len(found) > 0 && found[0].ID == id {
			all, found = append(all, found[0]), found[1:]
		}
	}
	return all, nil
}
