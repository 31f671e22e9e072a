package store_test

import (
	"slices"
	"testing"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/pkg/logentry"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// refusesText says whether s is to leave the filter to the index.
func refusesText(s store.Store, where query.Node) bool {
	_, without := s.(*store.Mongo)
	return without && hasText(where)
}

func hasText(n query.Node) bool {
	switch n := n.(type) {
	case query.Text:
		return true
	case query.Not:
		return hasText(n.Node)
	case query.And:
		return slices.ContainsFunc(n, hasText)
	case query.Or:
		return slices.ContainsFunc(n, hasText)
	}
	return false
}

func TestMongoFindAgreesOnOddValues(t *testing.T) {
	m, _ := openMongo(t, store.MongoConfig{})
	maker := newMaker(56)
	all := maker.records(authtest.Tenant(t, "acme").ID(), 40)
	for i, odd := range []string{"a.b", "a+b", "aXb", "a", "a\x00b", "a\U0010ffff", "a\U0010ffffz", "b", "A.b", "\U0010ffff\U0010ffff", "\U0010ffff\U0010ffffx", "\ud7ff1", "\ue0001", "$where", "é", "è", "\"", "\\", "/a/"} {
		e := all[i].Entry
		e.UserID = odd
		all[i] = recordOf(e)
	}
	for i := range all[20:] {
		e := all[20+i].Entry
		switch i % 4 {
		case 0:
			e.IPAddress = "2001:DB8:0:0::1"
		case 1:
			e.IPAddress, e.SchemaVersion = "", 12
		case 2:
			e.Severity, e.UserID = 0, ""
		}
		all[20+i] = recordOf(e)
	}
	putNew(t, m, slices.Clone(all))
	id := all[11].ID.String()
	filters := map[string]query.Node{
		"a severity":                   query.Term{Field: query.Severity, Value: "WARNING"},
		"no severity":                  query.Term{Field: query.Severity, Value: "LOUD"},
		"neither severity":             query.Not{Node: query.Or{query.Term{Field: query.Severity, Value: "INFO"}, query.Term{Field: query.Severity, Value: "ERROR"}}},
		"a version":                    query.Term{Field: query.SchemaVersion, Value: "12"},
		"a version with a zero before": query.Term{Field: query.SchemaVersion, Value: "012"},
		"an address":                   query.Term{Field: query.IPAddress, Value: "2001:db8::1"},
		"no address":                   query.Term{Field: query.IPAddress, Value: "nowhere"},
		"an id":                        query.Term{Field: query.EntryID, Value: id},
		"an id in part":                query.Term{Field: query.EntryID, Value: id[:20]},
		"an id in capitals":            query.Term{Field: query.EntryID, Value: "ABCDEF00-0000-0000-0000-000000000000"},
		"the beginning of an id":       query.Term{Field: query.EntryID, Value: id[:20], Prefix: true},
		"up to a dash of an id":        query.Term{Field: query.EntryID, Value: id[:9], Prefix: true},
		"the whole of an id":           query.Term{Field: query.EntryID, Value: id, Prefix: true},
		"more than an id":              query.Term{Field: query.EntryID, Value: id + "0", Prefix: true},
		"no beginning of an id":        query.Term{Field: query.EntryID, Value: "xy", Prefix: true},
		"a dash too early":             query.Term{Field: query.EntryID, Value: "01-", Prefix: true},
		"an empty value":               query.Term{Field: query.UserID},
		"any value":                    query.Term{Field: query.UserID, Prefix: true},
		"a message as a term":          query.Term{Field: query.Message, Value: all[0].Message},
		"a range of a text":            query.Range{Field: query.UserID, From: all[0].Timestamp},
		"an open range":                query.Range{Field: query.ReceivedAt},
		"not anything":                 query.Not{Node: query.And{}},
	}
	for _, r := range all[:19] {
		filters["the user "+r.UserID] = query.Term{Field: query.UserID, Value: r.UserID}
		filters["users from "+r.UserID] = query.Term{Field: query.UserID, Value: r.UserID, Prefix: true}
	}
	for name, where := range filters {
		t.Run(name, func(t *testing.T) {
			want := oracle(all, where, query.NewestFirst)
			page := find(t, m, query.Query{Where: where, Limit: 100})
			checkHits(t, page, want, false)
			if page.Total != int64(len(want)) {
				t.Fatalf("total is %d, want %d", page.Total, len(want))
			}
		})
	}
}

func TestMongoFindReadsNoMoreThanThePage(t *testing.T) {
	m, db := openMongo(t, store.MongoConfig{})
	all := newMaker(55).records(authtest.Tenant(t, "acme").ID(), 2000)
	putNew(t, m, slices.Clone(all))
	if err := db.RunCommand(t.Context(), bson.D{{Key: "profile", Value: 2}}).Err(); err != nil {
		t.Fatal(err)
	}
	want := oracle(all, nil, query.NewestFirst)
	checkHits(t, find(t, m, query.Query{Limit: 50, Total: query.TotalNone}), want[:50], true)
	checkHits(t, find(t, m, query.Query{Limit: 50, Total: query.TotalNone, After: &want[999]}), want[1000:1050], true)
	cursor, err := db.Collection("system.profile").Find(t.Context(), bson.D{{Key: "ns", Value: db.Name() + ".entries"}})
	if err != nil {
		t.Fatal(err)
	}
	var reads []struct {
		Keys int    `bson:"keysExamined"`
		Docs int    `bson:"docsExamined"`
		Plan string `bson:"planSummary"`
	}
	if err := cursor.All(t.Context(), &reads); err != nil || len(reads) != 2 {
		t.Fatalf("%d reads, %v", len(reads), err)
	}
	for _, r := range reads {
		if r.Keys > 53 || r.Docs > 0 {
			t.Errorf("a page of 50 read %d keys and %d documents by %s", r.Keys, r.Docs, r.Plan)
		}
	}
}

// A tenant's records of the same id range lie among those of others: the filter must never lose the tenant.
func TestMongoFindKeepsToItsTenantAfterAPlace(t *testing.T) {
	m, _ := openMongo(t, store.MongoConfig{})
	maker := newMaker(57)
	var own, other []logentry.Record
	for range 50 {
		own = append(own, maker.records(authtest.Tenant(t, "acme").ID(), 1)[0])
		e := maker.entry(authtest.Tenant(t, "zeta").ID())
		e.Timestamp, e.ReceivedAt = own[len(own)-1].Timestamp, own[len(own)-1].ReceivedAt
		other = append(other, recordOf(e))
	}
	putNew(t, m, slices.Concat(own, other))
	anything := query.Or{query.All{}, query.Term{Field: query.Service, Value: "none"}}
	for order, sort := range sorts {
		want := oracle(own, nil, sort)
		for i := 0; i < len(want)-1; i += 7 {
			page := find(t, m, query.Query{Where: anything, Sort: sort, Limit: 3, After: &want[i]})
			if page.Total != 50 {
				t.Fatalf("%s: total is %d", order, page.Total)
			}
			checkHits(t, page, want[i+1:min(i+4, len(want))], i+4 < len(want))
		}
	}
}
