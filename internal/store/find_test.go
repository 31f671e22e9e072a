package store_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

var sorts = map[string]query.Sort{"newest first": query.NewestFirst, "oldest first": query.OldestFirst,
	"received newest first": query.ReceivedNewestFirst, "received oldest first": query.ReceivedOldestFirst}

// oracle is what the tree means, over all entries.
func oracle(all []logentry.Record, where query.Node, sort query.Sort) []query.Position {
	var places []query.Position
	for i := range all {
		if query.Match(where, &all[i].Entry) {
			at := all[i].Timestamp
			if sort == query.ReceivedNewestFirst || sort == query.ReceivedOldestFirst {
				at = all[i].ReceivedAt
			}
			places = append(places, query.Position{At: at, ID: all[i].ID})
		}
	}
	slices.SortFunc(places, func(a, b query.Position) int {
		c := cmp.Or(a.At.Compare(b.At), bytes.Compare(a.ID[:], b.ID[:]))
		if sort == query.NewestFirst || sort == query.ReceivedNewestFirst {
			return -c
		}
		return c
	})
	return places
}

func find(t testing.TB, s store.Records, q query.Query) query.Page {
	t.Helper()
	page, err := s.Find(t.Context(), authtest.Tenant(t, "acme"), q)
	if err != nil {
		t.Fatalf("find %+v: %v", q, err)
	}
	return page
}

func checkHits(t testing.TB, page query.Page, want []query.Position, more bool) {
	t.Helper()
	if len(page.Hits) != len(want) || page.More != more {
		t.Fatalf("%d hits, more %t; want %d, %t", len(page.Hits), page.More, len(want), more)
	}
	for i, h := range page.Hits {
		if !h.At.Equal(want[i].At) || h.ID != want[i].ID {
			t.Fatalf("hit %d is %s at %s, want %s at %s", i, h.ID, h.At, want[i].ID, want[i].At)
		}
	}
}

// findCorpus are entries of two tenants, put in several batches; those of acme are returned. Timestamps come
// in order, in none, and often the same; receipts are the same within a batch.
func findCorpus(t testing.TB, s store.Records) []logentry.Record {
	tn, other, m := authtest.Tenant(t, "acme"), authtest.Tenant(t, "zeta"), newMaker(30)
	var all []logentry.Record
	for batch := range 5 {
		var records []logentry.Record
		for i := range 90 {
			e := m.entry(tn.ID())
			e.ReceivedAt = m.now.Truncate(time.Millisecond)
			switch batch % 4 {
			case 1: // an import: old and in no order
				e.Timestamp = m.now.Add(-time.Duration(m.rnd.IntN(1e9)) * 1000)
			case 2: // ties
				e.Timestamp = m.now.Truncate(time.Second).Add(time.Duration(i % 3))
			}
			switch i {
			case 70:
				e.UserID = `we"ird\us/er`
			case 71, 72:
				e.Changes = []string{"address.city", "name"}
			case 73:
				e.IPAddress, e.SchemaVersion, e.Message = "fe80::1%eth0", 3, ""
			}
			records = append(records, recordOf(e))
		}
		all = append(all, records...)
		putNew(t, s, append(records, m.records(other.ID(), 20)...))
	}
	return all
}

// findFilters are trees of every kind of node.
func findFilters(all []logentry.Record) map[string]query.Node {
	some, late, tie := all[len(all)/2].Entry, all[len(all)*3/4].Entry, all[2*90+4].Entry
	errors := query.Term{Field: query.Severity, Value: "ERROR"}
	checkout := query.Term{Field: query.Service, Value: "checkout"}
	return map[string]query.Node{
		"everything":           nil,
		"all":                  query.All{},
		"an empty and":         query.And{},
		"an empty or":          query.Or{},
		"a service":            checkout,
		"a service and errors": query.And{checkout, errors},
		"one or another": query.Or{errors, query.Term{Field: query.Action, Value: "LOGIN"},
			query.And{query.Term{Field: query.Service, Value: "billing"}, query.Not{Node: errors}}},
		"not a service":          query.Not{Node: checkout},
		"a user":                 query.Term{Field: query.UserID, Value: some.UserID},
		"an odd user":            query.Term{Field: query.UserID, Value: `we"ird\us/er`},
		"a prefix":               query.Term{Field: query.UserID, Value: "u-1", Prefix: true},
		"an id":                  query.Term{Field: query.EntryID, Value: some.ID.String()},
		"an absent value":        query.Term{Field: query.TraceID, Value: "none"},
		"an address":             query.Term{Field: query.IPAddress, Value: "::ffff:" + some.IPAddress},
		"a word":                 query.Text{Tokens: []string{"declined"}},
		"a phrase":               query.Text{Field: query.Message, Tokens: []string{"timed", "out"}},
		"a word of the metadata": query.Text{Tokens: []string{"eu"}},
		"times":                  query.Range{Field: query.Timestamp, From: some.Timestamp, To: late.Timestamp},
		"times from":             query.And{query.Range{Field: query.Timestamp, From: some.Timestamp}, query.All{}},
		"times and errors":       query.And{query.Range{Field: query.Timestamp, To: late.Timestamp}, errors},
		"times up to a tie":      query.Range{Field: query.Timestamp, To: tie.Timestamp.Add(1)},
		"errors up to a tie":     query.And{query.Range{Field: query.Timestamp, To: tie.Timestamp.Add(1)}, errors},
		"no times":               query.Range{Field: query.Timestamp, From: late.Timestamp, To: late.Timestamp},
		"times out of range":     query.Range{Field: query.Timestamp, To: time.Date(1, 2, 3, 0, 0, 0, 0, time.UTC)},
		"times beyond range": query.Range{Field: query.Timestamp, From: time.Date(1500, 2, 3, 0, 0, 0, 0, time.UTC),
			To: time.Date(9000, 2, 3, 0, 0, 0, 0, time.UTC)},
		"received":                  query.Range{Field: query.ReceivedAt, From: some.ReceivedAt, To: late.ReceivedAt},
		"received and a word":       query.And{query.Range{Field: query.ReceivedAt, From: some.ReceivedAt}, query.Text{Tokens: []string{"refund"}}},
		"severities from one on":    query.Interval{Field: query.Severity, From: 3, To: math.Inf(1)},
		"versions above one":        query.Interval{Field: query.SchemaVersion, From: 1, To: math.Inf(1), Above: true},
		"no version":                query.Interval{Field: query.SchemaVersion, From: 3, To: 3, Below: true},
		"a network":                 query.Network{Prefix: netip.MustParsePrefix("10.0.0.0/9")},
		"all networks but one":      query.Not{Node: query.Network{Prefix: netip.MustParsePrefix("10.128.0.0/9")}},
		"metadata":                  query.Value{Path: "region", Text: "eu", Prefix: true},
		"metadata and a service":    query.And{checkout, query.Value{Path: "currency", Text: "EUR"}},
		"numbers of the metadata":   query.Interval{Field: query.Metadata, Path: "amount", From: 20, To: 60},
		"neither metadata nor more": query.Not{Node: query.Or{query.Interval{Field: query.Metadata, Path: "retry", From: 1, To: math.Inf(1)}, errors}},
		"what differs":              query.Term{Field: query.Changes, Value: "address.", Prefix: true},
		"what differs in no more":   query.And{query.Has{Field: query.Changes}, query.Not{Node: errors}, query.Range{Field: query.Timestamp, From: some.Timestamp}},
		"what is there":             query.And{query.Has{Field: query.UserID}, query.Has{Field: query.Severity}, query.Has{Field: query.IPAddress}, query.Has{Field: query.EntryID}},
		"what is not there":         query.Or{query.Not{Node: query.Has{Field: query.Message}}, query.Not{Node: query.Has{Field: query.SessionID}}},
		"any metadata":              query.Has{Field: query.Metadata, Path: "region"},
		"not in these times":        query.Not{Node: query.Range{Field: query.Timestamp, From: some.Timestamp}},
		"either of two times":       query.Or{query.Range{Field: query.Timestamp, To: some.Timestamp}, query.Range{Field: query.Timestamp, From: late.Timestamp}},
	}
}

func testFind(t *testing.T, s store.Store) {
	slow(t)
	all := findCorpus(t, s)
	for filter, where := range findFilters(all) {
		for order, sort := range sorts {
			want := oracle(all, where, sort)
			t.Run(filter+", "+order, func(t *testing.T) {
				if refusesText(s, where) {
					_, err := s.Find(t.Context(), authtest.Tenant(t, "acme"), query.Query{Where: where, Sort: sort, Limit: 1000})
					wantKind(t, err, fault.Unavailable, "search_unavailable")
					return
				}
				page := find(t, s, query.Query{Where: where, Sort: sort, Limit: 1000})
				checkHits(t, page, want[:min(len(want), 1000)], len(want) > 1000)
				if page.Total != int64(len(want)) || !page.Exact {
					t.Fatalf("total is %d, exact %t; want %d", page.Total, page.Exact, len(want))
				}
				var after *query.Position
				for from := 0; ; from += 97 { // page by page
					end := min(len(want), from+97)
					page := find(t, s, query.Query{Where: where, Sort: sort, Limit: 97, After: after, Total: query.TotalNone})
					checkHits(t, page, want[min(from, end):end], end < len(want))
					if page.Total != -1 {
						t.Fatalf("total is %d where none was asked for", page.Total)
					}
					if !page.More {
						break
					}
					after = &page.Hits[len(page.Hits)-1].Position
				}
				for _, skip := range []int{36, len(want)} {
					page := find(t, s, query.Query{Where: where, Sort: sort, Limit: 5, Skip: skip, Total: query.TotalExact})
					checkHits(t, page, want[min(len(want), skip):min(len(want), skip+5)], skip+5 < len(want))
					if page.Total != int64(len(want)) || !page.Exact {
						t.Fatalf("total is %d, exact %t; want %d", page.Total, page.Exact, len(want))
					}
				}
				for _, at := range []int{4, len(want) - 3} { // a total does not depend on where the page begins
					if at < 0 || at+3 > len(want) {
						continue
					}
					page := find(t, s, query.Query{Where: where, Sort: sort, Limit: 2, After: &want[at]})
					checkHits(t, page, want[at+1:at+3], at+3 < len(want))
					if page.Total != int64(len(want)) {
						t.Fatalf("total is %d, want %d", page.Total, len(want))
					}
				}
			})
		}
	}
}

func testFindTies(t *testing.T, s store.Store) {
	m := newMaker(31)
	records := m.records(authtest.Tenant(t, "acme").ID(), 60)
	for i := range records {
		e := &records[i].Entry
		e.Timestamp = m.now.Add(time.Duration(i / 15)) // four nanoseconds
		e.ReceivedAt = m.now.Add(time.Duration(i % 4))
		records[i] = recordOf(*e)
	}
	m.rnd.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
	for part := range slices.Chunk(slices.Clone(records), 7) {
		putNew(t, s, part)
	}
	for order, sort := range sorts {
		want := oracle(records, nil, sort)
		for _, where := range []query.Node{nil, query.Not{Node: query.Term{Field: query.Service, Value: "none"}}} {
			for i := range want[:len(want)-1] { // one at a time over every tie
				page := find(t, s, query.Query{Where: where, Sort: sort, Limit: 1, After: &want[i], Total: query.TotalNone})
				if len(page.Hits) != 1 || page.Hits[0].ID != want[i+1].ID {
					t.Fatalf("%s: after hit %d comes %+v, want %s", order, i, page.Hits, want[i+1].ID)
				}
			}
		}
	}
}

func testFindTotals(t *testing.T, s store.Store) {
	slow(t)
	tn, m := authtest.Tenant(t, "acme"), newMaker(32)
	putNew(t, s, m.records(tn.ID(), query.MaxTotal))
	notNone := query.Not{Node: query.Term{Field: query.Service, Value: "none"}}
	check := func(what string, q query.Query, total int64, exact bool) {
		t.Helper()
		if page := find(t, s, q); page.Total != total || page.Exact != exact {
			t.Fatalf("%s: total is %d, exact %t; want %d, %t", what, page.Total, page.Exact, total, exact)
		}
	}
	sorts := map[string]query.Sort{"newest": query.NewestFirst, "received oldest": query.ReceivedOldestFirst}
	for order, sort := range sorts {
		check(order, query.Query{Sort: sort, Limit: 1}, query.MaxTotal, true)
		check(order+", filtered", query.Query{Sort: sort, Where: notNone, Limit: 1}, query.MaxTotal, true)
	}
	putNew(t, s, m.records(tn.ID(), 1))
	for order, sort := range sorts {
		check(order, query.Query{Sort: sort, Limit: 1}, query.MaxTotal, false)
		check(order+", filtered", query.Query{Sort: sort, Where: notNone, Limit: 1}, query.MaxTotal, false)
		check(order+", exact", query.Query{Sort: sort, Where: notNone, Limit: 1, Total: query.TotalExact}, query.MaxTotal+1, true)
		check(order+", none", query.Query{Sort: sort, Where: notNone, Limit: 1, Total: query.TotalNone}, -1, false)
	}
	page := find(t, s, query.Query{Limit: 10, Skip: 10_000 - 5})
	if len(page.Hits) != 6 || page.More {
		t.Fatalf("%d hits at the end, more %t", len(page.Hits), page.More)
	}
}

func testFindTimeout(t *testing.T, s store.Store) {
	tn := authtest.Tenant(t, "acme")
	putNew(t, s, newMaker(33).records(tn.ID(), 100))
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	for _, where := range []query.Node{nil, query.Text{Tokens: []string{"refund"}}} {
		for order, sort := range sorts {
			_, err := s.Find(ctx, tn, query.Query{Where: where, Sort: sort, Limit: 10})
			if fault.KindOf(err) != fault.Timeout || fault.Of(err).Code != "search_timeout" {
				t.Fatalf("%s: error is %v, want a timeout", fmt.Sprint(order, where), err)
			}
		}
	}
}
