package store_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// maker makes entries as services send them, always the same ones from the same seed.
type maker struct {
	rnd *rand.Rand
	now time.Time
}

func newMaker(seed uint64) *maker {
	return &maker{rnd: rand.New(rand.NewPCG(seed, 7)), now: time.Date(2026, 11, 2, 9, 30, 0, 123_456_789, time.UTC)}
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// id is a random id of version 7 for the moment at.
func (m *maker) id(at time.Time) (id logentry.ID) {
	for i := range id {
		id[i] = byte(m.rnd.Uint32())
	}
	ms := at.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	id[6], id[8] = id[6]&0x0f|0x70, id[8]&0x3f|0x80
	return id
}

// entry makes the next entry of a tenant, some 540 bytes as JSON.
func (m *maker) entry(tenantID string) logentry.Entry {
	r := m.rnd
	m.now = m.now.Add(time.Duration(r.IntN(3_000_000)))
	user, order := r.IntN(5000), r.IntN(1_000_000)
	return logentry.Entry{
		ID: m.id(m.now), TenantID: tenantID, ReceivedAt: m.now, Timestamp: m.now.Add(-time.Duration(r.IntN(50_000_000))),
		Severity: pick(r, logentry.Debug, logentry.Info, logentry.Info, logentry.Info, logentry.Warning, logentry.Error, logentry.Critical),
		Service:  pick(r, "checkout", "billing", "gateway", "identity", "search-api"),
		Action:   pick(r, "CREATE", "UPDATE", "DELETE", "VIEW", "LOGIN"),
		Message: fmt.Sprintf("%s of order %d for customer u-%d took %d ms and %s", pick(r, "payment", "shipment", "refund", "capture"), order, user,
			r.IntN(900), pick(r, "succeeded", "was declined by the bank", "timed out after 3 attempts", "is waiting for approval")),
		UserID: fmt.Sprintf("u-%d", user), SessionID: fmt.Sprintf("s-%08x", r.Uint32()), ResourceType: "order", ResourceID: fmt.Sprintf("ord-%d", order),
		IPAddress: fmt.Sprintf("10.%d.%d.%d", r.IntN(4), r.IntN(256), r.IntN(256)), RequestID: fmt.Sprintf("req-%012x", r.Uint64()>>16),
		TraceID: fmt.Sprintf("%016x%016x", r.Uint64(), r.Uint64()), SchemaVersion: 1,
		Metadata: jsontext.Value(fmt.Sprintf(`{"region":"%s","amount":%d.%02d,"currency":"EUR","retry":%d}`,
			pick(r, "eu-west-1", "us-east-1", "ap-south-1"), r.IntN(900), r.IntN(100), r.IntN(3))),
	}
}

// records makes the records of n entries of a tenant.
func (m *maker) records(tenantID string, n int) []logentry.Record {
	records := make([]logentry.Record, n)
	for i := range records {
		records[i] = recordOf(m.entry(tenantID))
	}
	return records
}

func recordOf(e logentry.Entry) logentry.Record {
	return logentry.Record{Entry: e, JSON: logentry.AppendJSON(nil, &e)}
}

func idsOf(records []logentry.Record) []logentry.ID {
	ids := make([]logentry.ID, len(records))
	for i := range records {
		ids[i] = records[i].ID
	}
	return ids
}
