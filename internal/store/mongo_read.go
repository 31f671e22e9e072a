package store

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/pkg/logentry"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

const (
	mongoIDsAtOnce = 4000 // that one command asks for
	mongoHalve     = 100  // ids; so many and more are asked for by two commands side by side
)

// Get returns one record.
func (m *Mongo) Get(ctx context.Context, t auth.Tenant, id logentry.ID) (logentry.Record, error) {
	records, err := m.GetMany(ctx, t, []logentry.ID{id})
	if err != nil {
		return logentry.Record{}, err
	}
	if len(records) == 0 {
		return logentry.Record{}, fault.New(fault.NotFound, "not_found", "there is no entry with this id")
	}
	return records[0], nil
}

// GetMany returns the records of ids in their order. Somebody waits for them, and MongoDB looks ids up one after
// another: a thousand in 14 ms by two commands where one takes 20, on two cores that the server shares.
func (m *Mongo) GetMany(ctx context.Context, t auth.Tenant, ids []logentry.ID) ([]logentry.Record, error) {
	ctx, done, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	if t.IsZero() {
		return nil, nil
	}
	var (
		rest    []logentry.Record
		restErr error
		wg      sync.WaitGroup
		half    = len(ids)
	)
	if half >= mongoHalve {
		half = len(ids) / 2
		wg.Go(func() { rest, restErr = m.recordsByID(ctx, ids[half:], t.ID(), 0) })
	}
	records, err := m.recordsByID(ctx, ids[:half], t.ID(), 0)
	wg.Wait()
	if err = cmp.Or(err, restErr); err != nil {
		return nil, mongoFault(err, "get records")
	}
	return append(records, rest...), nil
}

// usualRecord is about how many bytes the JSON of a record has.
const usualRecord = 1 << 10

// recordsByID returns the records of ids in their order, those of one tenant and of one commit only where
// these are given.
func (m *Mongo) recordsByID(ctx context.Context, ids []logentry.ID, tenantID string, commit int64) ([]logentry.Record, error) {
	var (
		lines   = make([]byte, 0, usualRecord*len(ids)) // of all that is found, which are read at once
		tenants = make([]string, 0, len(ids))
		places  = make(map[logentry.ID]int, len(ids)) // among the lines
	)
	err := m.eachByID(ctx, ids, tenantID, func(id logentry.ID, doc bson.Raw) error {
		d, ok := mongoPartsOf(doc)
		if !ok {
			return errMongoRecord
		}
		if commit != 0 && d.commit != commit || tenantID != "" && string(d.tenant) != tenantID {
			return nil
		}
		tenant := tenantID
		if tenant == "" {
			tenant = string(d.tenant)
		}
		places[id] = len(tenants)
		tenants = append(tenants, tenant)
		lines = append(append(lines, d.json...), '\n')
		return nil
	})
	if err != nil {
		return nil, err
	}
	found, err := logentry.ParseRecords(lines, len(tenants))
	if err != nil {
		return nil, errMongoRecord
	}
	records := make([]logentry.Record, 0, len(found))
	for _, id := range ids {
		at, ok := places[id]
		if !ok {
			continue
		}
		r := found[at]
		if r.TenantID != "" { // an id that is asked for again: each has bytes of its own
			r.JSON = slices.Clone(r.JSON)
		}
		r.TenantID, found[at].TenantID = tenants[at], tenants[at]
		records = append(records, r)
	}
	return records, nil
}

// eachByID calls fn with each document of ids that there is, whole: to choose among its elements takes the server
// longer than to send them. There may be some of other tenants among them. The document is valid until fn returns.
func (m *Mongo) eachByID(ctx context.Context, ids []logentry.ID, tenantID string, fn func(logentry.ID, bson.Raw) error) error {
	for part := range slices.Chunk(ids, mongoIDsAtOnce) {
		// A batch that is just filled leaves the cursor open, and another call to ask whether there is more.
		err := m.each(ctx, mongoEntries, lookedUp(part, tenantID), options.Find().SetBatchSize(int32(len(part))+1), func(doc bson.Raw) error {
			id, ok := mongoIDOf(doc)
			if !ok {
				return errMongoRecord
			}
			return fn(id, doc)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// lookedUp finds the documents of ids. A single id is what somebody asks for by name: that of another tenant must not take
// longer than one that nobody has, as it would if its entry came from the server. Many come from the tenant's own index.
func lookedUp(ids []logentry.ID, tenantID string) bson.D {
	where := withIDs(ids)
	if len(ids) == 1 && tenantID != "" {
		where = append(where, bson.E{Key: mongoTenant, Value: tenantID})
	}
	return where
}

// withIDs finds the documents of ids.
func withIDs(ids []logentry.ID) bson.D {
	start, in := bsoncore.AppendArrayStart(make([]byte, 0, 32*len(ids)+8))
	for i := range ids {
		in = bsoncore.AppendBinaryElement(in, strconv.Itoa(i), uuidSubtype, ids[i][:])
	}
	in, _ = bsoncore.AppendArrayEnd(in, start)
	return bson.D{{Key: mongoID, Value: bson.D{{Key: "$in", Value: bson.RawValue{Type: bson.TypeArray, Value: in}}}}}
}

// each calls fn with each document that is found, until there are no more or fn fails.
func (m *Mongo) each(ctx context.Context, collection string, where any, opts options.Lister[options.FindOptions], fn func(bson.Raw) error) error {
	cursor, err := m.db.Collection(collection).Find(ctx, where, opts)
	if err != nil {
		return err
	}
	defer func() { _ = cursor.Close(context.WithoutCancel(ctx)) }()
	for cursor.Next(ctx) {
		if err := fn(cursor.Current); err != nil {
			return err
		}
	}
	return cursor.Err()
}

// aheadBytes is about how much eachAhead copies before it hands it on. It holds two such pieces at most.
const aheadBytes = 1 << 20

// eachAhead is each where the server finds the next documents while fn works on these. They are fn's to keep.
func (m *Mongo) eachAhead(ctx context.Context, collection string, where any, opts options.Lister[options.FindOptions], fn func(bson.Raw) error) error {
	return ahead(ctx, func(ctx context.Context, hand func([]bson.Raw) error) error {
		var piece []bson.Raw
		var copied []byte
		err := m.each(ctx, collection, where, opts, func(doc bson.Raw) error {
			if len(copied)+len(doc) > cap(copied) {
				if len(piece) > 0 {
					if err := hand(piece); err != nil {
						return err
					}
				}
				piece, copied = nil, make([]byte, 0, max(aheadBytes, len(doc)))
			}
			from := len(copied)
			copied = append(copied, doc...)
			piece = append(piece, copied[from:len(copied):len(copied)])
			return nil
		})
		if err == nil && len(piece) > 0 {
			err = hand(piece)
		}
		return err
	}, func(piece []bson.Raw) error {
		for _, doc := range piece {
			if err := fn(doc); err != nil {
				return err
			}
		}
		return nil
	})
}

// Verify reads every record and compares it with the hash that was made when it was put. damaged counts
// the records that differ. It takes as long as it takes: ctx ends it.
func (m *Mongo) Verify(ctx context.Context) (checked, damaged int, err error) {
	if err := m.hold(ctx); err != nil {
		return 0, 0, err
	}
	defer m.life.RUnlock()
	show := bson.D{{Key: mongoJSON, Value: 1}, {Key: mongoHash, Value: 1}}
	err = m.each(ctx, mongoEntries, bson.D{}, options.Find().SetProjection(show).SetNoCursorTimeout(true), func(doc bson.Raw) error {
		checked++
		if !intact(doc) {
			damaged++
		}
		return nil
	})
	return checked, damaged, mongoFault(err, "verify records")
}
