package search_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// TestStatsInLongLists counts in pieces of lists of rows that go over many pages, in several segments, so that
// pages are skipped at the beginning, in the middle and at the end.
func TestStatsInLongLists(t *testing.T) {
	slow(t)
	x := openSQLite(t, filepath.Join(t.TempDir(), "search.db"), search.SQLiteConfig{})
	m := newMaker(36)
	var records []logentry.Record
	for i := range 40_000 {
		slug := "acme"
		if i%10 == 0 {
			slug = "zeta"
		}
		records = append(records, logentry.Record{Entry: logentry.Entry{ID: m.id(), TenantID: authtest.TenantID(slug), ReceivedAt: m.now,
			Timestamp: m.now.Add(time.Duration(i) * 100 * time.Millisecond), Severity: logentry.Severity(1 + m.IntN(5)),
			Service: "one", Action: fmt.Sprint(m.IntN(20)), UserID: fmt.Sprint(m.IntN(4000)), SchemaVersion: 1}})
	}
	for from := 0; from < len(records); from += 20_000 {
		mustAdd(t, x, records[from:from+19_000])
		for at := from + 19_000; at < from+20_000; at += 250 {
			mustAdd(t, x, records[at:at+250])
		}
	}
	if segments, _ := x.Index.(*search.SQLite).Segments(); segments < 2 {
		t.Errorf("%d segments prove little", segments)
	}
	r := search.StatsRequest{Facets: search.FacetFields, Top: 100, Interval: search.Interval{Auto: true}}
	for range 7 {
		from := m.now.Add(time.Duration(m.IntN(4_000_000)) * time.Millisecond)
		width := time.Duration(1+m.IntN(2_000)) * time.Second
		at := query.Range{Field: query.Timestamp, From: from, To: from.Add(width)}
		user := query.Term{Field: query.Action, Value: fmt.Sprint(m.IntN(20))}
		for _, where := range []query.Node{at, query.And{at, user}, user, query.Or{at, user}, query.Not{Node: user}, query.And{at, query.Not{Node: user}}} {
			compareStats(t, x, records, pick(m, "acme", "zeta"), where, r)
		}
	}
	stopsAnywhere(t, x, nil, r)
	stopsAnywhere(t, x, query.Term{Field: query.Service, Value: "one"}, r)
	compareStats(t, x, records, "acme", nil, r)
}

// stopsAnywhere asks with less and less time, so that the time is over in the middle of everything that a count does.
func stopsAnywhere(t *testing.T, x backend, where query.Node, r search.StatsRequest) {
	t.Helper()
	stopped := 0
	for left := 20 * time.Millisecond; left > 10*time.Microsecond; left = left * 9 / 10 {
		ctx, cancel := context.WithTimeout(t.Context(), left)
		began := time.Now()
		_, err := x.Stats(ctx, authtest.Tenant(t, "acme"), query.Query{Where: where}, r)
		took := time.Since(began)
		cancel()
		if f := fault.Of(err); err != nil && (f.Kind != fault.Timeout || f.Code != "search_timeout") {
			t.Errorf("with %s: %v", left, err)
		}
		if err != nil {
			stopped++
		}
		if took > left+5*time.Second {
			t.Errorf("with %s it took %s", left, took)
		}
	}
	if stopped < 10 {
		t.Errorf("only %d counts were stopped", stopped)
	}
}

// TestStatsOfMovedRows counts in an index where rows lie in buckets behind those of their times.
func TestStatsOfMovedRows(t *testing.T) {
	x := openSQLite(t, filepath.Join(t.TempDir(), "search.db"), search.SQLiteConfig{})
	x.Index.(*search.SQLite).SetMaxSlots(3)
	m := newMaker(37)
	records := m.records(900)
	for i := range records {
		records[i].TenantID = authtest.TenantID("acme")
		records[i].Timestamp = m.now.Truncate(time.Second).Add(time.Duration(m.IntN(3)-1) * time.Second)
	}
	for from := 0; from < len(records); from += 90 {
		mustAdd(t, x, records[from:from+90])
	}
	if x.Index.(*search.SQLite).Spill() < 100 { // buckets of 10 ms
		t.Fatal("no row went into another second")
	}
	r := search.StatsRequest{Facets: search.FacetFields, Top: 100, Interval: search.Interval{Every: time.Second}}
	for n := range 40 {
		compareStats(t, x, records, "acme", m.node(&records[n].Entry, n%4), r)
	}
	compareStats(t, x, records, "acme", nil, r)
}
