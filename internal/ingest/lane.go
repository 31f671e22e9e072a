package ingest

import (
	"container/list"
	"slices"
	"time"
)

const (
	startRatio   = 0.27    // bytes sent for each byte of JSON until we know: zstd in base64 and s2 are both near it
	ratioWeight  = 0.2     // of a new measurement
	maxRaw       = 1 << 20 // bytes of JSON in an envelope, however well they shrink: what the worker must inflate at once
	slack        = 0.06    // how far an envelope may miss the target, either way, rather than leave a rest or wait
	maxMessages  = 10      // of one send
	keepLanes    = 4096    // tenants whose ratio is remembered while they are quiet
	smallestSure = 4       // a measurement counts from this fraction of an envelope on: few entries shrink less

	patience = 20 * time.Millisecond // how long a patient tenant's entries wait for company
)

// lane is the entries of one tenant that are in no envelope yet.
type lane struct {
	tenantID string
	requests []*request // those with such entries, oldest first
	raw      int        // bytes of such entries
	ratio    float64    // bytes sent for each byte of JSON, lately
	patient  bool       // waits for company, not for the system to be idle
	due      time.Time  // when it has waited long enough
	list     *list.List // full, small or none
	hurried  bool       // counted among those that do not wait when the system is idle
	element  *list.Element
}

func laneOf(e *list.Element) *lane { return e.Value.(*lane) }

// plan is how many bytes of the lane's JSON should make an envelope of the target size.
func (in *Ingest) plan(l *lane) int {
	return min(maxRaw, int(float64(in.cfg.TargetBytes)/l.ratio))
}

// place puts l where it belongs after it changed.
func (in *Ingest) place(l *lane) {
	to := &in.small
	switch {
	case l.raw == 0:
		to = nil
	case float64(l.raw) >= (1-slack)*float64(in.plan(l)):
		to = &in.full
	}
	var due time.Time
	if to != nil {
		due = l.requests[0].came.Add(in.wait(l))
	}
	if hurried := to == &in.small && !l.patient; hurried != l.hurried {
		l.hurried = hurried
		if hurried {
			in.hurried++
		} else {
			in.hurried--
		}
	}
	if to == l.list && (to != &in.small || due.Equal(l.due)) {
		return
	}
	if l.list != nil {
		l.list.Remove(l.element)
	}
	l.list, l.due = to, due
	switch to {
	case nil:
		l.element = nil
		if len(in.lanes) > keepLanes {
			delete(in.lanes, l.tenantID)
		}
	case &in.full:
		l.element = to.PushBack(l)
	default:
		at := to.Back()
		for at != nil && laneOf(at).due.After(due) {
			at = at.Prev()
		}
		if at == nil {
			l.element = to.PushFront(l)
		} else {
			l.element = to.InsertAfter(l, at)
		}
	}
}

// wait is how long the entries of l wait for company at the most.
func (in *Ingest) wait(l *lane) time.Duration {
	if l.patient {
		return patience
	}
	return in.cfg.Linger
}

func (l *lane) remove(r *request) {
	if at := slices.Index(l.requests, r); at >= 0 {
		l.requests = slices.Delete(l.requests, at, at+1)
	}
}

// piece is entries of one request.
type piece struct {
	r        *request
	from, to int
}

// parcel is entries of one tenant that go into one envelope.
type parcel struct {
	tenantID string
	pieces   []piece
	count    int
	raw      int
}

// take moves what should be sent now out of the lanes. flush says why; it is empty when nothing should.
func (in *Ingest) take(parcels []parcel, now time.Time) (_ []parcel, flush string) {
	parcels = parcels[:0]
	first := in.small.Front()
	switch {
	case first == nil:
	case in.sending == 0 && in.hurried > 0, in.stopping:
		flush = "idle"
	case !now.Before(laneOf(first).due):
		flush = "linger"
	}
	if full := in.full.Front(); full != nil && (flush == "" || !in.turn) {
		in.turn = true
		for n := in.share(); n > 0 && in.full.Len() > 0; n-- {
			parcels = in.cut(parcels, laneOf(in.full.Front()))
		}
		return parcels, "size"
	}
	in.turn = false
	if flush == "" {
		return parcels, ""
	}
	room := in.cfg.TargetBytes
	for first != nil && len(parcels) < maxMessages {
		l := laneOf(first)
		room -= int(float64(l.raw)*l.ratio) + headerRoom/4
		if room < 0 && len(parcels) > 0 {
			break
		}
		parcels = in.cut(parcels, l)
		first = in.small.Front()
	}
	return parcels, flush
}

// share is how many full envelopes a sender takes: its part of those that wait, among the senders that are free. A
// call costs more than what it carries, on this side and on the queue's.
func (in *Ingest) share() int {
	free := max(1, in.cfg.InFlight-in.sending)
	waiting := 0
	for e := in.full.Front(); e != nil && waiting < free*maxMessages; e = e.Next() {
		l := laneOf(e)
		waiting += max(1, l.raw/in.plan(l))
	}
	return min(maxMessages, (waiting+free-1)/free)
}

// cut moves an envelope's worth out of l, at least one entry.
func (in *Ingest) cut(parcels []parcel, l *lane) []parcel {
	room := in.plan(l)
	if float64(l.raw) <= (1+slack)*float64(room) {
		room = l.raw
	}
	if len(parcels) < cap(parcels) {
		parcels = parcels[:len(parcels)+1]
	} else {
		parcels = append(parcels, parcel{})
	}
	p := &parcels[len(parcels)-1]
	*p = parcel{tenantID: l.tenantID, pieces: p.pieces[:0]}
	used := 0
	for _, r := range l.requests {
		to := len(r.ends)
		if r.size(r.next, to) > room-p.raw {
			end := r.start(r.next) + room - p.raw
			to, _ = slices.BinarySearch(r.ends, end+1) // how many lines end at end or before
			if to <= r.next {
				if p.count > 0 {
					break
				}
				to = r.next + 1
			}
		}
		p.pieces = append(p.pieces, piece{r, r.next, to})
		p.count += to - r.next
		p.raw += r.size(r.next, to)
		r.next = to
		if to < len(r.ends) {
			break
		}
		used++
	}
	l.requests = slices.Delete(l.requests, 0, used)
	l.raw -= p.raw
	in.place(l)
	if l.list == &in.full { // its next turn is after the others'
		in.full.MoveToBack(l.element)
	}
	return parcels
}

// learn takes the size of an envelope into the ratios.
func (in *Ingest) learn(p *parcel, sent int) {
	l := in.lanes[p.tenantID]
	if l == nil || p.raw < in.plan(l)/smallestSure {
		return
	}
	ratio := float64(sent) / float64(p.raw)
	l.ratio += ratioWeight * (ratio - l.ratio)
	in.ratio += ratioWeight * (ratio - in.ratio)
}
