package search_test

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// testLanguage asks, in words, for what each line of the language promises. Each question finds some entries, and
// leaves some.
func testLanguage(t *testing.T, x backend) {
	m := newMaker(14)
	day := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	now := time.Date(2026, 11, 3, 12, 0, 0, 0, time.UTC)
	long := strings.Repeat("x", query.MaxValue)
	var records []logentry.Record
	add := func(meta string, e logentry.Entry) {
		e.ID, e.TenantID, e.Metadata = m.id(), authtest.TenantID("acme"), jsontext.Value(meta)
		if e.Timestamp.IsZero() {
			e.Timestamp = now.Add(-time.Duration(len(records)) * time.Minute)
		}
		if e.Severity == 0 {
			e.Severity = logentry.Info
		}
		e.ReceivedAt, e.SchemaVersion = now, max(1, e.SchemaVersion)
		records = append(records, recordOf(e))
	}
	add("", logentry.Entry{Service: "billing", Action: "login", UserID: "u1", Message: "card declined in time", IPAddress: "10.1.2.3", TraceID: strings.Repeat("ab", 16), Severity: logentry.Error})
	add(`{"order":{"id":42},"amount":101.5,"region":"eu-west-1","cached":true,"gone":null,"tags":["red","blue"],"lines":[{"sku":"A-1"},{"sku":"B-2"}]}`, logentry.Entry{Service: "Billing", UserID: "u2", IPAddress: "::ffff:10.0.0.1", Changes: []string{"address.city", "name"}, Severity: logentry.Critical})
	add(`{"order":{"id":"42"},"amount":"101.5","region":"eu","cached":"true","gone":"null","tags":[],"l":[1,10]}`, logentry.Entry{Service: "pay ments", UserAgent: "curl/8 (x)", IPAddress: "FD00:0::1", SchemaVersion: 2, Timestamp: day})
	add(`{"order.id":42.0,"amount":-3,"region":"","note":"`+long+`","tags":"red","l":[5],"k8s-pod":"p1"}`, logentry.Entry{Message: "user_id 3.5 caf\u00e9", IPAddress: "fe80::1%eth0", SchemaVersion: 3, Timestamp: day.Add(1)})
	add(`{"order":{},"amount":[1,200],"note":"`+long+`y","deep":{"a":{"b":{"c":{"d":"fifth"}}}},"e":{"f":{"g":{"h":{"i":{"j":"sixth"}}}}}}`, logentry.Entry{Message: "cafe\u0301 İstanbul user id a\u200bb", Action: "Zoë", Severity: logentry.Warning, Timestamp: day.Add(24 * time.Hour)})
	add(`{"pairs":[`+strings.Repeat("1,", query.MaxPairs)+`1],"after":"x"}`, logentry.Entry{Message: "payment.failed", Changes: []string{"address"}, Severity: logentry.Debug, Timestamp: day.Add(-1)})
	mustAdd(t, x, records)
	x.settle(t)
	for _, q := range []string{
		// joining
		"card declined", "card AND declined", "card OR payment", "card OR payment failed", "(card OR payment) -declined", "NOT card", "-service:billing -action:login", "NOT (card OR payment)",
		// text
		`"card declined"`, "declin*", "message:card", "user_id", `"user id"`, "user_i*", "3.5", "café", "cafe", "istanbul", "İSTANBUL", "a b", `"id a"`, "eu", "-x", "fifth", "-sixth",
		// whole values
		"service:billing", "service:Billing", "service:bil*", `service:"pay ments"`, `user_agent:"curl/8 (x)"`, "service:(billing OR Billing)", "action:Zoë", "trace_id:" + strings.Repeat("AB", 16), "trace_id:abab*", "id:" + records[0].ID.String(), "id:" + records[0].ID.String()[:13] + "*",
		// order
		"severity:err", "severity:>=WARNING", "severity:>ERROR", "severity:<info", "severity:<=DEBUG", "schema_version:2", "schema_version:>1", "schema_version:[2 TO 3}", "schema_version:{1 TO *]",
		// time
		"timestamp:2026-11-01", "timestamp:>2026-11-01", "timestamp:>=2026-11-01", "timestamp:<2026-11-01", "timestamp:<=2026-11-01", "timestamp:[2026-11-01 TO 2026-11-02]", "timestamp:{2026-11-01 TO 2026-11-02}", "timestamp:[2026-11-01 TO 2026-11-02}", "timestamp:>now-1m", "timestamp:[* TO now-1h]",
		// addresses
		"ip_address:10.0.0.1", "ip_address:fd00::1", "ip_address:fe80::1%eth0", "ip_address:10.0.0.0/8", "ip_address:10.1.0.0/15", "ip_address:::ffff:10.0.0.0/104", "ip_address:fe80::/10", "ip_address:fc00::/7", "-ip_address:0.0.0.0/0", "ip_address:::/0",
		// changes and presence
		"changes:address", "changes:address.*", "changes:name", "has:changes", "-has:changes", "has:trace_id", "has:message", "has:ip_address", "-has:user_id",
		// metadata
		"metadata.order.id:42", "metadata.order.id:42.0", `metadata.order.id:"42"`, "metadata.order.id:4.2e1", "metadata.region:eu", "metadata.region:eu*", `metadata.region:""`, "metadata.cached:true", `metadata.cached:"true"`, "metadata.gone:null", `metadata.gone:"null"`,
		"metadata.amount:>100", "metadata.amount:>=101.5", "metadata.amount:<0", "metadata.amount:[-3 TO -3]", "metadata.amount:[100 TO 150]", "metadata.amount:200", "metadata.l:[4 TO 6]", "metadata.l:>4 metadata.l:<6", "metadata.tags:red", "metadata.lines.sku:B-2",
		"metadata.note:" + long, "metadata.note:" + long[:200] + "*", "has:metadata.order", "has:metadata.order.id", "-has:metadata.order", "has:metadata.region", "has:metadata.tags", "has:metadata.k8s-pod", "has:metadata.deep.a", "has:metadata.pairs", "metadata.deep.a.b.c.d:fifth",
		"metadata.amount:(>150 OR [-5 TO -1] OR 101.5)", "service:Billing severity:>=ERROR user_id:(u1 OR u2) -action:login ip_address:10.0.0.0/8 metadata.order.id:42 metadata.amount:>100 has:changes timestamp:[2026-11-01 TO now-1s]",
	} {
		where, err := query.Parse(q, now)
		if err != nil {
			t.Fatalf("%s: %v", q, err)
		}
		want := expected(records, "acme", where, query.NewestFirst)
		if n := len(want); n == 0 || n == len(records) && !strings.HasPrefix(q, "-") {
			t.Errorf("%s finds %d of %d: it proves little", q, n, len(records))
		}
		walk(t, x, "acme", query.Query{Where: where, Limit: 4}, want)
	}
	for _, q := range []string{"sixth", "after", "metadata.after:x", "metadata.e.f.g.h.i.j:sixth", "has:metadata.e", "metadata.note:" + long + "y", "metadata.order:42", "metadata.cached:tru", "metadata.region:EU", "changes:Address", "changes:city", "ip_address:fe80::1", "ip_address:11.0.0.0/8", "schema_version:>3", "severity:>CRITICAL", "timestamp:{2026-11-01 TO 2026-11-01}", "metadata.l:{5 TO 10}"} {
		where, err := query.Parse(q, now)
		if err != nil {
			t.Fatalf("%s: %v", q, err)
		}
		if n := len(expected(records, "acme", where, query.NewestFirst)); n != 0 {
			t.Errorf("%s matches %d", q, n)
		}
		walk(t, x, "acme", query.Query{Where: where, Limit: 4}, nil)
	}
}

// valueNodes are questions of the kinds that are neither a term, nor text, nor a time, for the golden files.
func valueNodes() []struct {
	name string
	node query.Node
} {
	inf := math.Inf(1)
	net := func(s string) query.Node { return query.Network{Prefix: netip.MustParsePrefix(s)} }
	number := func(n query.Interval) query.Node {
		n.Field, n.Path = query.Metadata, "took.ms"
		return n
	}
	return []struct {
		name string
		node query.Node
	}{
		{"severities from one on", query.Interval{Field: query.Severity, From: 3, To: inf}},
		{"a severity above all", query.Interval{Field: query.Severity, From: 5, To: inf, Above: true}},
		{"versions between two", query.Interval{Field: query.SchemaVersion, From: 1, To: 3, Above: true}},
		{"numbers from one on", number(query.Interval{From: 100, To: inf})},
		{"numbers above one", number(query.Interval{From: 100, To: inf, Above: true})},
		{"numbers below one", number(query.Interval{From: -inf, To: 0, Below: true})},
		{"no numbers", number(query.Interval{From: 1, To: 1, Below: true})},
		{"a network", net("10.0.0.0/8")},
		{"a network in the middle of a digit", net("fd80::/9")},
		{"a value of metadata", query.Value{Path: "order.id", Text: "42"}},
		{"a quoted value of metadata", query.Value{Path: "order.id", Text: "42", Quoted: true}},
		{"a literal of metadata", query.Value{Path: "gone", Text: "null"}},
		{"a prefix of a value of metadata", query.Value{Path: "region", Text: "eu-", Prefix: true}},
		{"no value of metadata", query.Value{Path: "region", Quoted: true}},
		{"a path with signs", query.Value{Path: `a\=b`, Text: `c"d`}},
		{"a value that is too long", query.Value{Path: "a", Text: strings.Repeat("x", query.MaxValue+1)}},
		{"what is there", query.Has{Field: query.TraceID}},
		{"what is not there", query.Not{Node: query.Has{Field: query.Message}}},
		{"an address that is there", query.Has{Field: query.IPAddress}},
		{"metadata that is there", query.Has{Field: query.Metadata, Path: "order"}},
		{"what is always there", query.Has{Field: query.Timestamp}},
		{"what differs", query.Term{Field: query.Changes, Value: "address.", Prefix: true}},
		{"an address of IPv6", query.Term{Field: query.IPAddress, Value: "fd00::1"}},
		{fmt.Sprintf("a path of %d bytes", query.MaxPath+1), query.Has{Field: query.Metadata, Path: strings.Repeat("p", query.MaxPath+1)}},
	}
}
