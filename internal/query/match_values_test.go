package query_test

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

func matches(t *testing.T, q string, e *logentry.Entry) bool {
	t.Helper()
	n, err := query.Parse(q, now)
	if err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	return match(t, n, e)
}

func TestMatchOfFieldsWithAnOrder(t *testing.T) {
	for q, want := range map[string]bool{ // of a WARNING of version 2, an hour before now
		"severity:>=WARNING": true, "severity:>=warn": true, "severity:>WARNING": false, "severity:>INFO": true, "severity:<=WARNING": true,
		"severity:<ERROR": true, "severity:<WARNING": false, "severity:>CRITICAL": false, "severity:<=CRITICAL": true,
		"schema_version:>1": true, "schema_version:>2": false, "schema_version:>=2": true, "schema_version:<10": true, "schema_version:[2 TO 2]": true,
		"schema_version:{2 TO 3]": false, "schema_version:[1 TO 2}": false, "schema_version:[* TO 2]": true, "schema_version:[3 TO *]": false,
		"timestamp:>now-61m": true, "timestamp:>now-1h": false, "timestamp:>=now-1h": true, "timestamp:<=now-1h": true, "timestamp:<now-1h": false,
		"timestamp:2026-11-23": true, "timestamp:>2026-11-23": true, "timestamp:<2026-11-23": false, "timestamp:[2026-11-23 TO 2026-11-24]": true,
		"timestamp:[2026-11-22 TO 2026-11-23]": false, "timestamp:[2026-11-23T11:00:00.000000005Z TO *]": true, "timestamp:{2026-11-23T11:00:00.000000005Z TO *]": false,
		"timestamp:[* TO 2026-11-23T11:00:00.000000005Z]": true, "timestamp:[* TO 2026-11-23T11:00:00.000000005Z}": false, "timestamp:[* TO *]": true,
		"received_at:>=now": true, "received_at:>now": false, "received_at:(<now-1h OR >now-1s)": true,
	} {
		if got := matches(t, q, sample()); got != want {
			t.Errorf("%s: %v, want %v", q, got, want)
		}
	}
}

func TestMatchOfNetworks(t *testing.T) {
	for _, c := range []struct {
		have, q string
		want    bool
	}{
		{"10.0.0.1", "10.0.0.0/8", true}, {"::ffff:10.0.0.1", "10.0.0.0/8", true}, {"11.0.0.1", "10.0.0.0/8", false},
		{"10.0.0.1", "::ffff:10.0.0.0/104", true}, {"10.0.0.1", "10.0.0.1/32", true}, {"10.0.0.2", "10.0.0.1/32", false},
		{"10.128.0.1", "10.128.0.0/9", true}, {"10.127.0.1", "10.128.0.0/9", false}, {"1.2.3.4", "0.0.0.0/0", true}, {"fd00::1", "0.0.0.0/0", false},
		{"fd00::1", "fd00::/8", true}, {"FD00:0::1", "fd00::1/128", true}, {"fe80::1", "fd00::/8", false}, {"10.0.0.1", "::/0", true}, {"fd00::1", "::/0", true},
		{"10.0.0.1", "::/80", true}, {"10.0.0.1", "::/96", false}, {"fe80::1%eth0", "fe80::/10", true}, {"", "::/0", false}, {"", "0.0.0.0/0", false},
	} {
		if got := matches(t, "ip_address:"+c.q, &logentry.Entry{IPAddress: c.have}); got != c.want {
			t.Errorf("%q in %s: %v, want %v", c.have, c.q, got, c.want)
		}
	}
}

func TestMatchOfMetadata(t *testing.T) {
	long := strings.Repeat("x", query.MaxValue)
	for _, c := range []struct {
		meta, q string
		want    bool
	}{
		{`{"a":"eu-west"}`, "metadata.a:eu-west", true}, {`{"a":"eu-west"}`, "metadata.a:EU-west", false}, {`{"a":"eu-west"}`, "metadata.a:eu", false},
		{`{"a":"eu-west"}`, "metadata.a:eu*", true}, {`{"a":"eu-west"}`, `metadata.a:"eu-west"`, true}, {`{"a":"eu-west"}`, "metadata.b:eu-west", false},
		{`{"a":{"b":{"c":"x1"}}}`, "metadata.a.b.c:x1", true}, {`{"a.b":{"c":"x1"}}`, "metadata.a.b.c:x1", true}, {`{"a":{"b":"x1"}}`, "metadata.a:x1", false},
		{`{"n":42}`, "metadata.n:42", true}, {`{"n":42.0}`, "metadata.n:42", true}, {`{"n":4.2e1}`, "metadata.n:42.0", true}, {`{"n":42}`, `metadata.n:"42"`, false},
		{`{"n":"42"}`, "metadata.n:42", true}, {`{"n":"42"}`, `metadata.n:"42"`, true}, {`{"n":"42.0"}`, "metadata.n:42", false}, {`{"n":42}`, "metadata.n:42*", false},
		{`{"n":-0}`, "metadata.n:0", true}, {`{"n":0}`, "metadata.n:-0", true}, {`{"n":9007199254740993}`, "metadata.n:9007199254740992", true},
		{`{"n":7}`, "metadata.n:007", false}, {`{"n":"007"}`, "metadata.n:007", true}, {`{"n":0.1}`, "metadata.n:1e-1", true},
		{`{"t":true}`, "metadata.t:true", true}, {`{"t":true}`, `metadata.t:"true"`, false}, {`{"t":"true"}`, "metadata.t:true", true}, {`{"t":false}`, "metadata.t:true", false},
		{`{"z":null}`, "metadata.z:null", true}, {`{}`, "metadata.z:null", false}, {`{"z":null}`, "metadata.z:nu*", false}, {`{"z":null}`, "metadata.z:NULL", false},
		{`{"a":""}`, `metadata.a:""`, true}, {`{"a":"x"}`, `metadata.a:""`, false}, {`{}`, `metadata.a:""`, false},
		{`{"l":["x",5,true]}`, "metadata.l:5", true}, {`{"l":["x",5,true]}`, "metadata.l:true", true}, {`{"l":["x",5]}`, "metadata.l:y", false},
		{`{"lines":[{"sku":"A-1"},{"sku":"B-2"}]}`, "metadata.lines.sku:B-2", true}, {`{"l":[["deep"]]}`, "metadata.l:deep", true},
		{`{"n":5}`, "metadata.n:>4", true}, {`{"n":5}`, "metadata.n:>5", false}, {`{"n":5}`, "metadata.n:>=5.0", true}, {`{"n":"5"}`, "metadata.n:>4", false},
		{`{"n":-5}`, "metadata.n:<-4.5", true}, {`{"n":5}`, "metadata.n:{5 TO 6}", false}, {`{"n":5}`, "metadata.n:[5 TO 5]", true}, {`{"n":1e308}`, "metadata.n:>1e307", true},
		{`{"l":[1,10]}`, "metadata.l:[4 TO 6]", false}, {`{"l":[1,10]}`, "metadata.l:>4 metadata.l:<6", true}, {`{"l":[1,5]}`, "metadata.l:[4 TO 6]", true},
		{`{"a":"` + long + `"}`, "metadata.a:" + long, true}, {`{"a":"` + long + `y"}`, "metadata.a:" + long, false}, {`{"a":"` + long + `y"}`, "metadata.a:" + long[:200] + "*", true},
		{`{"a":{"b":"x"}}`, "has:metadata.a", true}, {`{"a":{"b":"x"}}`, "has:metadata.a.b", true}, {`{"a":{"b":"x"}}`, "has:metadata.a.c", false}, {`{"ab":1}`, "has:metadata.a", false},
		{`{"a":null}`, "has:metadata.a", false}, {`{"a":""}`, "has:metadata.a", false}, {`{"a":[]}`, "has:metadata.a", false}, {`{"a":{}}`, "has:metadata.a", false},
		{`{"a":0}`, "has:metadata.a", true}, {`{"a":false}`, "has:metadata.a", true}, {`{"a":[null,"",0]}`, "has:metadata.a", true}, {`{"a":{"b":null}}`, "has:metadata.a", false},
		{`{"a.b":1}`, "has:metadata.a", true}, {`{"k8s-pod":"p"}`, "has:metadata.k8s-pod", true},
	} {
		if got := matches(t, c.q, &logentry.Entry{Metadata: jsontext.Value(c.meta)}); got != c.want {
			t.Errorf("%s of %s: %v, want %v", c.q, c.meta, got, c.want)
		}
	}
}

func TestMatchOfChangesAndPresence(t *testing.T) {
	for q, want := range map[string]bool{
		"changes:name": true, "changes:Name": false, "changes:address": false, "changes:address.*": true, "changes:address.city": true, "changes:(zip OR name)": true,
		"has:changes": true, "has:trace_id": true, "has:session_id": false, "has:request_id": false, "has:message": true, "has:ip_address": true, "has:severity": true,
		"has:id": true, "has:timestamp": true, "has:received_at": true, "has:schema_version": true, "has:metadata.deep": true, "-has:metadata.shallow": true,
	} {
		if got := matches(t, q, sample()); got != want {
			t.Errorf("%s: %v, want %v", q, got, want)
		}
	}
	for _, q := range []string{"has:changes", "has:message", "has:ip_address", "has:severity", "has:service", "has:metadata.a", "severity:<=CRITICAL", "metadata.a:>0", "changes:a"} {
		if matches(t, q, &logentry.Entry{}) {
			t.Errorf("%s matches an empty entry", q)
		}
	}
}

// FuzzNumbers: the bits that stand for numbers sort as the numbers do, and between two ends lies what is between them.
func FuzzNumbers(f *testing.F) {
	f.Add("1", "1.0", "-3e2", true, false)
	f.Add("-0", "0", "5e-324", true, true)
	f.Add("1e400", "-1e400", "9007199254740993", false, false)
	f.Fuzz(func(t *testing.T, a, b, c string, above, below bool) {
		for _, s := range []string{a, b, c} {
			if !jsontext.Value(s).IsValid() || jsontext.Value(s).Kind() != '0' || strings.TrimSpace(s) != s {
				t.Skip("not a number of JSON")
			}
		}
		x, y, z := query.Number(a), query.Number(b), query.Number(c)
		if (x < y) != (query.SortBits(x) < query.SortBits(y)) || (x == y) != (query.SortBits(x) == query.SortBits(y)) {
			t.Errorf("%s and %s sort as %x and %x", a, b, query.SortBits(x), query.SortBits(y))
		}
		if back := query.FromSortBits(query.SortBits(x)); back != x {
			t.Errorf("%s comes back as %v", a, back)
		}
		n := query.Interval{From: x, To: y, Above: above, Below: below}
		least, most, ok := n.SortedBetween()
		if in := ok && least <= query.SortBits(z) && query.SortBits(z) <= most; in != n.Has(z) {
			t.Errorf("%s in %+v: %v, want %v", c, n, in, n.Has(z))
		}
	})
}
