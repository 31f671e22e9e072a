package store

import (
	"context"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/pkg/logentry"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// farthestAhead is how far a timestamp may ever have been ahead of its receipt; see MAX_FUTURE_SKEW.
const farthestAhead = 367 * 24 * time.Hour

// PurgeOld walks the index of times, since there is none of the times of receipt, for which each Put would pay. It
// looks at a bounded number of entries, so that many old timestamps that came lately cost no call more than others.
func (m *Mongo) PurgeOld(ctx context.Context, tenantID string, before time.Time, from string, most int) (done Purged, err error) {
	ctx, end, err := m.enter(ctx)
	if err != nil {
		return done, err
	}
	defer end()
	if tenantID == "" { // is nobody's
		return done, nil
	}
	where := bson.D{{Key: mongoTenant, Value: tenantID}, {Key: mongoTimestamp, Value: bson.D{{Key: "$lt", Value: nanos(before.Add(farthestAhead))}}}}
	if from != "" {
		after, ok := parsePlace(from)
		if !ok {
			return done, fault.New(fault.Invalid, "position_invalid", "not a place of a purge")
		}
		where = mongoAfter(where, mongoTimestamp, "$gt", after)
	}
	look, limit, seen, last := max(most, 1), nanos(before), 0, hit{}
	var old []committed
	opts := options.Find().SetProjection(bson.D{{Key: mongoCommit, Value: 1}, {Key: mongoTimestamp, Value: 1}, {Key: mongoReceived, Value: 1}}).
		SetSort(bson.D{{Key: mongoTimestamp, Value: 1}, {Key: mongoID, Value: 1}}).SetLimit(int64(look))
	err = m.each(ctx, mongoEntries, where, opts, func(doc bson.Raw) error {
		c, ok := committedOf(doc)
		at, hasTime := doc.Lookup(mongoTimestamp).Int64OK()
		received, hasReceipt := doc.Lookup(mongoReceived).Int64OK()
		if !ok || !hasTime || !hasReceipt {
			return errMongoRecord
		}
		if seen, last = seen+1, (hit{at, c.id}); received < limit {
			old = append(old, c)
		}
		return nil
	})
	if err == nil {
		done, err = m.removeRecords(ctx, tenantID, old)
	}
	if err != nil {
		return Purged{}, mongoFault(err, "purge old records")
	}
	if seen == look {
		done.More, done.Next = true, last.String()
	}
	return done, nil
}

// String is the place as text.
func (h hit) String() string { return strconv.FormatInt(h.at, 10) + " " + hex.EncodeToString(h.id[:]) }

func parsePlace(s string) (h hit, ok bool) {
	at, id, _ := strings.Cut(s, " ")
	n, err := strconv.ParseInt(at, 10, 64)
	b, bad := hex.DecodeString(id)
	if err != nil || bad != nil || len(b) != len(h.id) {
		return h, false
	}
	return hit{n, logentry.ID(b)}, true
}
