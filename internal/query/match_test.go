package query_test

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 5, time.UTC)

func sample() *logentry.Entry {
	id, _ := logentry.ParseID("0192f0c1-2345-7abc-8def-0123456789ab")
	return &logentry.Entry{
		ID: id, TenantID: "t1", Timestamp: now.Add(-time.Hour), ReceivedAt: now, Severity: logentry.Warning,
		Service: "payments", Action: "UPDATE", Message: "Payment of order-17 failed: İstanbul café, retry 3.5",
		UserID: "u 1", ResourceType: "order", ResourceID: "ord:2026:7", IPAddress: "::ffff:10.0.0.1",
		UserAgent: `curl/8 "x"`, TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", SpanID: "00f067aa0ba902b7",
		EventID: "e*1", SchemaVersion: 2, Changes: []string{"address.city", "name"},
		Metadata: jsontext.Value(`{"region":"eu-central","note":"card declined","tags":["red alert","blue"],"n":42,"deep":{"er":"under the hood"}}`),
	}
}

// match is Match, which a Subject agrees with, however often it is asked.
func match(t *testing.T, n query.Node, e *logentry.Entry) bool {
	t.Helper()
	is, s := query.Match(n, e), query.Subject{Entry: e}
	if first, again := s.Match(n), s.Match(n); first != is || again != is {
		t.Errorf("%#v: Match says %v, a Subject %v, then %v", n, is, first, again)
	}
	return is
}

func TestMatch(t *testing.T) {
	shared := query.Subject{Entry: sample()}
	for q, want := range map[string]bool{
		"": true, "*": true, "NOT *": false, "-*": false,
		"service:payments": true, "service:Payments": false, "service:pay": false, "service:pay*": true, "service:Pay*": false,
		`user_id:"u 1"`: true, `user_id:u\ 1`: true, `user_id:u\ *`: true, "user_id:u2": false, `user_id:"u *"`: false,
		"session_id:x": false, "NOT session_id:x": true,
		"resource_id:ord:2026:7": true, "resource_id:ord:2026:*": true,
		`event_id:e\*1`: true, `event_id:e\**`: true, "event_id:e1*": false,
		`user_agent:"curl/8 \"x\""`:                 true,
		"trace_id:4BF92F3577B34DA6A3CE929D0E0E4736": true, "trace_id:4bF9*": true, "span_id:00f067aa0ba902b8": false,
		"id:0192F0C1-2345-7ABC-8DEF-0123456789AB": true, "id:0192f0c1-23*": true, "id:0192f0c1-24*": false,
		"severity:warn": true, "severity:WARNING": true, "severity:(ERROR OR Warn)": true, "severity:ERROR": false,
		"ip_address:10.0.0.1": true, "ip_address:::ffff:a00:1": true, "ip_address:0:0:0:0:0:ffff:10.0.0.1": true, "ip_address:10.0.0.2": false,
		"schema_version:2": true, "schema_version:002": true, "schema_version:1": false,
		"timestamp:2026-11-23": true, "timestamp:2026-11-22": false, "timestamp:2026-11-23T11:00:00.000000005Z": true,
		"timestamp:2026-11-23T12:00:00.000000005+01:00": true, "timestamp:2026-11-23T11:00:00.000000006Z": false,
		"timestamp:now-1h": true, "received_at:now": true, "received_at:now-1s": false,
		"payment": true, "PAYMENT": true, "paymen": false, "paymen*": true, "payments": false,
		"order-17": true, "order_17": true, "order-18": false, "order-1*": true, "order-2*": false, "order-17*": true, "17_order": false,
		`"order 17 failed"`: true, `"order failed"`: false, "3.5": true, `"5 payment"`: false, "ord*": true, "order-*": true, "orde-*": false,
		"istanbul": true, "café": true, "cafe": false, "cafe\u0301": false,
		"declined": true, `"card declined"`: true, `"declined red"`: false, `"red blue"`: false, "alert": true, "hood": true, `"under the ho"`: false, "under_the_ho*": true,
		"42": false, "region": false, "eu-central": true,
		"message:payment": true, "message:declined": false, `message:"order 17"`: true, "message:fail*": true, "message:(declined OR failed)": true,
		"payment declined": true, "payment AND nothing": false, "payment OR nothing": true, "nothing OR nada": false,
		"nothing OR payment declined": true, "nothing payment OR declined": true, "nothing (payment OR declined)": false,
		"payment -declined": false, "payment -nothing": true, "-nothing": true, "NOT (nothing OR nada)": true, "-(payment declined)": false,
		"-service:payments": false, "-service:(a OR b)": true,
	} {
		t.Run(q, func(t *testing.T) {
			n, err := query.Parse(q, now)
			if err != nil {
				t.Fatal(err)
			}
			if got := match(t, n, sample()); got != want || shared.Match(n) != want {
				t.Errorf("%#v matches %v, want %v", n, got, want)
			}
		})
	}
}

func TestMatchOfTreesThatNoQueryMakes(t *testing.T) {
	e := sample()
	for name, c := range map[string]struct {
		n    query.Node
		want bool
	}{
		"nil is everything":              {nil, true},
		"an And of nothing is all":       {query.And{}, true},
		"an Or of nothing is none":       {query.Or{}, false},
		"text without tokens is none":    {query.Text{}, false},
		"the beginning of a range is in": {query.Range{Field: query.Timestamp, From: e.Timestamp}, true},
		"the end of a range is out":      {query.Range{Field: query.Timestamp, To: e.Timestamp}, false},
		"an empty range is none":         {query.Range{Field: query.Timestamp, From: e.Timestamp, To: e.Timestamp}, false},
		"an open range is all":           {query.Range{Field: query.ReceivedAt}, true},
		"an absent value equals nothing": {query.Term{Field: query.SessionID, Value: ""}, false},
		"nor does it begin with nothing": {query.Term{Field: query.SessionID, Prefix: true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := match(t, c.n, e); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestMatchOfAnEntryWithoutValues(t *testing.T) {
	for _, q := range []string{"severity:INFO", "ip_address:10.0.0.1", "word", "service:pay*"} {
		n, err := query.Parse(q, now)
		if err != nil {
			t.Fatal(err)
		}
		if match(t, n, &logentry.Entry{}) {
			t.Errorf("%s matches an empty entry", q)
		}
	}
}
