package store

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/ocelot-log/ocelot/pkg/logentry"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// mongoPut is one call of Put, and memory that is used again.
type mongoPut struct {
	m        *Mongo
	records  []logentry.Record
	verdicts []Verdict
	chunks   [][]int32 // indexes of the records of each insert command
	order    []int32   // what the chunks are cut from
	seen     map[logentry.ID]int32
	repeats  []repeat
	foreign  map[logentry.ID]logentry.Record // held by another tenant, where an id is repeated

	insert, commits insertCommand
	starts          []int32 // of the documents in insert
	ids             []byte
}

// repeat is a record whose id came before in the same Put.
type repeat struct{ at, first int32 }

func newMongoPut() *mongoPut {
	return &mongoPut{seen: map[logentry.ID]int32{}, foreign: map[logentry.ID]logentry.Record{}}
}

// Put makes records durable. An error leaves open what became of them; all of it may be put again.
func (m *Mongo) Put(ctx context.Context, records []logentry.Record) ([]Verdict, error) {
	ctx, done, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	var p *mongoPut
	select { // a pool of the runtime would forget these megabytes at each collection
	case p = <-m.scratch:
	default:
		p = newMongoPut()
	}
	defer p.release()
	p.m, p.records, p.verdicts = m, records, make([]Verdict, len(records))
	p.cut()
	if err := p.run(ctx); err != nil {
		return nil, mongoFault(err, "put records")
	}
	return p.verdicts, nil
}

func (p *mongoPut) release() {
	m := p.m
	const most = 16 << 20 // an unusually large command is not kept
	if cap(p.insert.buf) > most {
		p.insert.buf = nil
	}
	p.m, p.records, p.verdicts = nil, nil, nil
	p.chunks, p.order, p.repeats = p.chunks[:0], p.order[:0], p.repeats[:0]
	clear(p.seen)
	clear(p.foreign)
	select {
	case m.scratch <- p:
	default:
	}
}

// cut divides the records into commands, rejects what can't be kept, and sets repeated ids aside: the
// server runs a whole group of inserts again, one by one, where one of them is a duplicate.
func (p *mongoPut) cut() {
	for i := range p.records {
		r := &p.records[i]
		if r.ID.IsZero() || r.TenantID == "" || len(r.JSON) == 0 || !keepable(r.Timestamp) || !keepable(r.ReceivedAt) || mongoSize(r) > mongoMaxDocument {
			p.verdicts[i] = Rejected
			continue
		}
		if first, ok := p.seen[r.ID]; ok {
			p.repeats = append(p.repeats, repeat{int32(i), first})
			continue
		}
		p.seen[r.ID] = int32(i)
		p.order = append(p.order, int32(i))
	}
	bytes, from := 0, 0
	for i, at := range p.order {
		size := mongoSize(&p.records[at])
		if i-from == p.m.cfg.BatchEntries || i > from && bytes+size > p.m.cfg.BatchBytes {
			p.chunks = append(p.chunks, p.order[from:i])
			from, bytes = i, 0
		}
		bytes += size
	}
	if from < len(p.order) {
		p.chunks = append(p.chunks, p.order[from:])
	}
}

// run commits the chunks one after the other, and gives the repeated ids the verdicts that they would
// have had in a Put of their own.
func (p *mongoPut) run(ctx context.Context) error {
	if len(p.chunks) == 0 {
		return nil
	}
	var first int64
	opened := make(chan error, 1)
	go func() {
		var err error
		first, err = p.m.openCommits(ctx, p)
		opened <- err
	}()
	p.encode(p.chunks[0]) // meanwhile
	if err := <-opened; err != nil {
		return err
	}
	for i, chunk := range p.chunks {
		if i > 0 {
			p.encode(chunk)
		}
		number := first + int64(i)
		settled, err := p.commit(ctx, chunk, number)
		if err == nil && settled {
			if slices.ContainsFunc(chunk, func(at int32) bool { return p.verdicts[at] == Rejected || p.verdicts[at] == Retry }) {
				p.m.closeCommits(ctx, number, 1)
			}
			continue
		}
		p.m.closeCommits(ctx, number+1, len(p.chunks)-i-1) // nothing of them was sent
		if err != nil {
			return err
		}
		for _, rest := range p.chunks[i+1:] { // they would only wait for the majority as long as this one did
			for _, at := range rest {
				p.verdicts[at] = Retry
			}
		}
		break
	}
	p.repeated()
	return nil
}

func (p *mongoPut) repeated() {
	for _, r := range p.repeats {
		verdict, held := p.verdicts[r.first], p.records[r.first]
		if other, ok := p.foreign[held.ID]; ok {
			verdict, held = Duplicate, other
		}
		switch {
		case verdict != Stored && verdict != Duplicate: // as the first: both are not to be taken, or both may be put again
			p.verdicts[r.at] = verdict
		case held.TenantID != p.records[r.at].TenantID:
			p.verdicts[r.at] = Rejected
		default:
			p.verdicts[r.at] = Duplicate
			held.JSON = slices.Clone(held.JSON)
			p.records[r.at] = held
		}
	}
}

// commit inserts the records of a chunk. It is settled when nothing of it can change any more.
func (p *mongoPut) commit(ctx context.Context, chunk []int32, number int64) (settled bool, err error) {
	cmd := p.number(number)
	lost := false // an answer: its command may still run
	var failed mongo.WriteException
	err = p.m.again(ctx, func() error {
		err := p.m.command(ctx, cmd)
		var ok bool
		if failed, ok = errors.AsType[mongo.WriteException](err); !ok && err != nil {
			lost = true
		}
		return err
	})
	if _, ok := errors.AsType[mongo.WriteException](err); err != nil && !ok {
		if len(chunk) == 1 && slices.Contains(mongo.ErrorCodes(err), mongoObjectTooLarge) {
			p.verdicts[chunk[0]] = Rejected
			return true, nil
		}
		return false, err
	}
	return p.judge(ctx, chunk, number, failed, lost)
}

// encode makes the insert command of a chunk, but for the number of its commit.
func (p *mongoPut) encode(chunk []int32) {
	size := 0
	for _, at := range chunk {
		size += mongoSize(&p.records[at])
	}
	c := &p.insert
	c.buf = slices.Grow(c.buf[:0], size+mongoFixed)
	c.begin(mongoEntries, false, byMajority, p.m.cfg.WriteTimeout)
	p.starts = p.starts[:0]
	for _, at := range chunk {
		start := c.document()
		c.buf = appendMongoEntry(c.buf, &p.records[at])
		c.endDocument(start)
		p.starts = append(p.starts, start)
	}
	c.end()
}

// number writes the number of the commit into the documents of the command.
func (p *mongoPut) number(number int64) bson.Raw {
	for _, start := range p.starts {
		binary.LittleEndian.PutUint64(p.insert.buf[int(start)+mongoCommitAt:], uint64(number))
	}
	return p.insert.buf
}

// judge gives the verdicts of a chunk, item by item and by code. Where the majority did not confirm in
// time nothing that was written is certain.
func (p *mongoPut) judge(ctx context.Context, chunk []int32, number int64, failed mongo.WriteException, lost bool) (settled bool, err error) {
	written := Stored
	if failed.WriteConcernError != nil {
		written = Retry
	}
	for _, at := range chunk {
		p.verdicts[at] = written
	}
	var held []logentry.ID
	for _, item := range failed.WriteErrors {
		if item.Index < 0 || item.Index >= len(chunk) {
			continue
		}
		at := chunk[item.Index]
		verdict := mongoVerdict(item.Code)
		if verdict == Duplicate {
			held = append(held, p.records[at].ID)
			verdict = Retry // until it was read back
		}
		p.verdicts[at] = verdict
	}
	if len(held) > 0 {
		if err := p.readBack(ctx, held, number); err != nil {
			return false, err
		}
	}
	if failed.WriteConcernError != nil {
		return false, nil
	}
	if lost {
		for _, at := range chunk {
			if p.verdicts[at] == Retry {
				return false, nil
			}
		}
	}
	return true, nil
}

// mongoVerdict is what the code of one item's error says of it. entries has no unique index but that of
// _id, so a duplicate key is the id.
func mongoVerdict(code int) Verdict {
	switch code {
	case mongoDuplicateKey:
		return Duplicate
	case mongoObjectTooLarge, mongoDocumentTooLarge, mongoValidationFailed:
		return Rejected
	}
	return Retry
}

// readBackTries is how often a duplicate is looked for that the majority does not have yet, because the
// Put that brought it is under way.
const readBackTries = 6

// readBack replaces duplicates by what is held. One of this commit is ours: the answer to an earlier
// attempt was lost. One that stays away has been removed meanwhile, and may be put again.
func (p *mongoPut) readBack(ctx context.Context, ids []logentry.ID, number int64) error {
	for attempt := 1; len(ids) > 0 && attempt <= readBackTries; attempt++ {
		if attempt > 1 && !pauseMongo(ctx, attempt-2) {
			return ctx.Err()
		}
		missing := make(map[logentry.ID]bool, len(ids))
		for _, id := range ids {
			missing[id] = true
		}
		err := p.m.eachByID(ctx, ids, "", func(id logentry.ID, doc bson.Raw) error {
			at := p.seen[id]
			r := &p.records[at]
			delete(missing, id)
			if commit, ok := doc.Lookup(mongoCommit).Int64OK(); ok && commit == number {
				p.verdicts[at] = Stored
				return nil
			}
			held, err := mongoRecord(doc)
			switch {
			case err != nil:
				return err
			case held.TenantID == r.TenantID:
				*r, p.verdicts[at] = held, Duplicate
			default:
				p.verdicts[at] = Rejected
				if len(p.repeats) > 0 {
					p.foreign[id] = held
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		ids = slices.DeleteFunc(ids, func(id logentry.ID) bool { return !missing[id] })
	}
	return nil
}
