package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/pkg/logentry"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"
)

func TestMongoVerdictsOfAnAnswer(t *testing.T) {
	unconfirmed := &mongo.WriteConcernError{Code: 64, Message: "waiting for replication timed out"}
	for _, c := range []struct {
		name    string
		answer  mongo.WriteException
		lost    bool
		want    []Verdict
		settled bool
	}{
		{"everything is new", mongo.WriteException{}, false, []Verdict{Stored, Stored, Stored, Stored}, true},
		{"some can never be taken", mongo.WriteException{WriteErrors: mongo.WriteErrors{{Index: 0, Code: 121}, {Index: 1, Code: 10334}, {Index: 3, Code: 17280}}}, false,
			[]Verdict{Rejected, Rejected, Stored, Rejected}, true},
		{"any other code passes", mongo.WriteException{WriteErrors: mongo.WriteErrors{{Index: 1, Code: 10107}, {Index: 2, Code: 112}}}, false,
			[]Verdict{Stored, Retry, Retry, Stored}, true},
		{"the same after an answer was lost", mongo.WriteException{WriteErrors: mongo.WriteErrors{{Index: 1, Code: 10107}}}, true,
			[]Verdict{Stored, Retry, Stored, Stored}, false},
		{"the majority did not confirm", mongo.WriteException{WriteConcernError: unconfirmed, WriteErrors: mongo.WriteErrors{{Index: 2, Code: 121}}}, false,
			[]Verdict{Retry, Retry, Rejected, Retry}, false},
		{"an index that can't be", mongo.WriteException{WriteErrors: mongo.WriteErrors{{Index: 9, Code: 121}, {Index: -1, Code: 121}}}, false,
			[]Verdict{Stored, Stored, Stored, Stored}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newMongoPut()
			p.records, p.verdicts = make([]logentry.Record, 5), make([]Verdict, 5)
			settled, err := p.judge(t.Context(), []int32{0, 1, 3, 4}, 1, c.answer, c.lost)
			got := []Verdict{p.verdicts[0], p.verdicts[1], p.verdicts[3], p.verdicts[4]}
			if err != nil || settled != c.settled || !slices.Equal(got, c.want) || p.verdicts[2] != 0 {
				t.Fatalf("verdicts are %v, settled %t, %v; want %v, %t", got, settled, err, c.want, c.settled)
			}
		})
	}
}

func TestMongoErrorsBecomeFaults(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		kind fault.Kind
		code string
	}{
		{"not the primary", mongo.CommandError{Code: 10107}, fault.Unavailable, "storage_unavailable"},
		{"interrupted by a change of state", mongo.WriteException{WriteErrors: mongo.WriteErrors{{Code: 11602}}}, fault.Unavailable, "storage_unavailable"},
		{"shutting down", mongo.WriteException{WriteConcernError: &mongo.WriteConcernError{Code: 91}}, fault.Unavailable, "storage_unavailable"},
		{"a lost connection", topology.ConnectionError{Wrapped: io.EOF}, fault.Unavailable, "storage_unavailable"},
		{"no server in time", topology.ServerSelectionError{Wrapped: context.DeadlineExceeded}, fault.Unavailable, "storage_unavailable"},
		{"an error that is not the server's", errors.New("pool cleared"), fault.Unavailable, "storage_unavailable"},
		{"the server's time limit", mongo.CommandError{Code: 50, Wrapped: context.DeadlineExceeded}, fault.Timeout, "search_timeout"},
		{"the caller's deadline", fmt.Errorf("find: %w", context.DeadlineExceeded), fault.Timeout, "search_timeout"},
		{"the caller has gone", context.Canceled, fault.Unavailable, "canceled"},
		{"a full disk", mongo.CommandError{Code: 14031}, fault.Full, "storage_full"},
		{"rights taken away", mongo.CommandError{Code: 13}, fault.Unavailable, "storage_refused"},
		{"a closed client", mongo.ErrClientDisconnected, fault.Unavailable, "storage_closed"},
		{"a document that was tampered with", errMongoRecord, fault.Corrupt, "record_corrupt"},
		{"a command that the server does not know", mongo.CommandError{Code: 59}, fault.Internal, "storage_failed"},
		{"a fault stays what it is", fault.New(fault.Conflict, "schema_missing", ""), fault.Conflict, "schema_missing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if f := fault.Of(mongoFault(c.err, "do something")); f.Kind != c.kind || f.Code != c.code {
				t.Fatalf("the fault is %s, %s; want %s, %s", f.Kind, f.Code, c.kind, c.code)
			}
		})
	}
	if mongoFault(nil, "do something") != nil {
		t.Fatal("no error is a fault")
	}
}

func TestMongoSizeIsNeverTooSmall(t *testing.T) {
	long := func(n int) string { return string(make([]byte, n)) }
	at := time.Date(2026, 11, 2, 9, 30, 0, 1, time.UTC)
	for name, e := range map[string]logentry.Entry{
		"a bare entry": {ReceivedAt: at, Timestamp: at},
		"every field": {TenantID: long(12), ReceivedAt: at, Timestamp: at, Severity: logentry.Error, Service: long(10), Action: long(20), Message: long(5), UserID: long(1),
			SessionID: long(1), ResourceType: long(1), ResourceID: long(1), IPAddress: "::ffff:1.2.3.4", UserAgent: long(300), RequestID: long(1),
			TraceID: long(32), SpanID: long(16), EventID: long(1), SchemaVersion: 1},
		"an address that grows": {ReceivedAt: at, Timestamp: at, IPAddress: "1:2:3:4:5:6:7.8.9.10"},
	} {
		r := logentry.Record{Entry: e, JSON: logentry.AppendJSON(nil, &e)}
		var c insertCommand
		c.begin(mongoEntries, false, byMajority, time.Second)
		before := len(c.buf)
		c.endDocument(c.document())
		empty := len(c.buf) - before
		before = len(c.buf)
		start := c.document()
		c.buf = appendMongoEntry(c.buf, &r)
		c.endDocument(start)
		size := len(c.buf) - before - (empty - 5)
		if err := c.end().Validate(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if bound := mongoSize(&r); size > bound {
			t.Errorf("%s: %d bytes, the bound is %d", name, size, bound)
		}
	}
}

func TestWhatAUserLacksWhoMayNotWatch(t *testing.T) {
	refused := fault.Of(mongoWatchFault(mongo.CommandError{Code: mongoUnauthorized, Message: "not authorized on ocelot to execute command { aggregate: \"commits\" }"}))
	if refused.Code != "watch_not_allowed" || !strings.Contains(refused.Error(), "changeStream") || strings.Contains(refused.Error(), "aggregate") {
		t.Errorf("%s: %v", refused.Code, refused)
	}
	if other := fault.Of(mongoWatchFault(mongo.CommandError{Code: 11600})); other.Code == "watch_not_allowed" {
		t.Errorf("another failure: %v", other)
	}
}

// By name only the tenant's own entry leaves the server: an answer takes no longer for one that is another's (B1).
func TestMongoSendsNoEntryOfAnotherTenantForAnID(t *testing.T) {
	var ids logentry.IDs
	own := func(n int, tenantID string) bool {
		all := make([]logentry.ID, n)
		for i := range all {
			all[i] = ids.New(time.Now())
		}
		return slices.Contains(lookedUp(all, tenantID), bson.E{Key: mongoTenant, Value: tenantID})
	}
	if !own(1, "a") || own(1, "") || own(2, "a") {
		t.Errorf("of a tenant: %v, of any: %v, of a page: %v", own(1, "a"), own(1, ""), own(2, "a"))
	}
}
