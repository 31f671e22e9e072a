package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/audit"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

// some puts entries of acme from noon on, a minute apart, and one of zeta.
func some(t *testing.T, w *world) []logentry.ID {
	t.Helper()
	var entries []logentry.Entry
	for i, e := range []logentry.Entry{
		{Service: "billing", Action: "CREATE", UserID: "ada", TraceID: strings.Repeat("a", 32)},
		{Service: "billing", Action: "CREATE", UserID: "bob"},
		{Service: "boot", Action: "LOGIN", UserID: "ada", TraceID: strings.Repeat("a", 32), Metadata: []byte(`{"region":"eu","n":1}`)},
		{Service: "billing", Action: "DELETE", Metadata: []byte(`{"region":"eu","n":2,"deep":{"x":true}}`)},
		{Message: "alone", Metadata: []byte(`{"region":"us"}`)},
	} {
		e.Timestamp = noon.Add(time.Duration(i) * time.Minute)
		entries = append(entries, e)
	}
	w.put(t, "zeta", logentry.Entry{Service: "canary", Action: "CANARY", UserID: "canary", Timestamp: noon, Metadata: []byte(`{"canary":"canary"}`)})
	return w.put(t, "acme", entries...)
}

// same compares JSON with what is expected, but for took_ms.
func same(t *testing.T, name string, a answer, want string) {
	t.Helper()
	var got, wanted any
	if err := json.Unmarshal(a.body, &got); err != nil || a.status >= 300 {
		t.Errorf("%s: %d %s, %v", name, a.status, a.body, err)
		return
	}
	must(t, json.Unmarshal([]byte(want), &wanted))
	if of, ok := got.(map[string]any); ok {
		if meta, ok := of["meta"].(map[string]any); ok {
			delete(meta, "took_ms")
		}
	}
	if !reflect.DeepEqual(got, wanted) {
		t.Errorf("%s:\n got %s\nwant %s", name, a.body, want)
	}
}

func TestStatsCountWhatIsNamed(t *testing.T) {
	w := newWorld(t)
	some(t, w)
	reader := authHeader(t, "acme", "reader")
	for params, want := range map[string]string{
		"":                   `{"data":{"total":5,"relation":"eq"},"meta":{"source":"index"}}`,
		"service=nothing":    `{"data":{"total":0,"relation":"eq"},"meta":{"source":"index"}}`,
		"q=-service:billing": `{"data":{"total":2,"relation":"eq"},"meta":{"source":"index"}}`,
		"facets=service,user_id&top=1&user_id=ada&user_id=bob": `{"data":{"total":3,"relation":"eq","facets":{"service":[{"value":"billing","count":2}],"user_id":[{"value":"ada","count":2}]}},"meta":{"source":"index"}}`,
		"facets=action&q=alone":                                `{"data":{"total":1,"relation":"eq","facets":{"action":[]}},"meta":{"source":"index"}}`,
		"interval=3m":                                          `{"data":{"total":5,"relation":"eq","histogram":{"interval":"3m","buckets":[{"start":"2026-01-31T12:00:00Z","count":3,"by_severity":{"INFO":3}},{"start":"2026-01-31T12:03:00Z","count":2,"by_severity":{"INFO":2}}]}},"meta":{"source":"index"}}`,
		"interval=off":                                         `{"data":{"total":5,"relation":"eq"},"meta":{"source":"index"}}`,
		"interval=auto&end_time=2026-01-31T12:00:00.1Z":        `{"data":{"total":1,"relation":"eq","histogram":{"interval":"1s","buckets":[{"start":"2026-01-31T12:00:00Z","count":1,"by_severity":{"INFO":1}}]}},"meta":{"source":"index"}}`,
		"metrics=metadata.n,metadata.region": `{"data":{"total":5,"relation":"eq","metrics":{"metadata.n":{"count":2,"sum":3,"min":1,"max":2,"avg":1.5,"p50":1,"p95":2,"p99":2},` +
			`"metadata.region":{"count":0,"sum":null,"min":null,"max":null,"avg":null,"p50":null,"p95":null,"p99":null}}},"meta":{"source":"index"}}`,
		"metrics=metadata.n&group_by=service&service=billing": `{"data":{"total":3,"relation":"eq","metrics":{"metadata.n":{"count":1,"sum":2,"min":2,"max":2,"avg":2,"p50":2,"p95":2,"p99":2,` +
			`"groups":[{"value":"billing","count":1,"sum":2,"min":2,"max":2,"avg":2,"p50":2,"p95":2,"p99":2}]}}},"meta":{"source":"index"}}`,
		"metrics=metadata.canary&group_by=action":                     `{"data":{"total":5,"relation":"eq","metrics":{"metadata.canary":{"count":0,"sum":null,"min":null,"max":null,"avg":null,"p50":null,"p95":null,"p99":null,"groups":[]}}},"meta":{"source":"index"}}`,
		"facets=severity,severity,schema_version&start_time=now-100h": `{"data":{"total":0,"relation":"eq","facets":{"severity":[],"schema_version":[]}},"meta":{"source":"index"}}`,
	} {
		same(t, params, w.do(t, reader, http.MethodGet, "/api/v1/logs/stats?"+params, ""), want)
	}
}

func TestWhatStatsRefuse(t *testing.T) {
	w := newWorld(t)
	some(t, w)
	reader := authHeader(t, "acme", "reader")
	for params, code := range map[string]string{
		"facets=tenant_id":               "field_not_allowed",
		"facets=tenant":                  "field_not_allowed",
		"facets=_index":                  "field_not_allowed",
		"facets=_id":                     "field_not_allowed",
		"facets=message":                 "field_not_allowed",
		"facets=":                        "field_not_allowed",
		"facets=severity,":               "field_not_allowed",
		"facets=Service":                 "field_not_allowed",
		"facets=service&facets=action":   "repeated_parameter",
		"top=0":                          "top_invalid",
		"top=101":                        "top_invalid",
		"top=%2B5":                       "top_invalid",
		"interval=":                      "interval_invalid",
		"interval=0s":                    "interval_invalid",
		"interval=1.5h":                  "interval_invalid",
		"interval=500ms":                 "interval_invalid",
		"interval=366d":                  "interval_invalid",
		"interval=99999999999999999999s": "interval_invalid",
		"interval=-1h":                   "interval_invalid",
		"limit=1":                        "unknown_parameter",
		"cursor=x":                       "unknown_parameter",
		"sort=timestamp":                 "unknown_parameter",
		"lvel=error":                     "unknown_parameter",
		"q=(":                            "query_invalid",
		"a=1;b=2":                        "query_invalid",
	} {
		a := w.do(t, reader, http.MethodGet, "/api/v1/logs/stats?"+params, "")
		if a.status != http.StatusBadRequest || a.problem().Code != code {
			t.Errorf("%s: %d %s, want %s", params, a.status, a.body, code)
		}
		if strings.Contains(string(a.body), "canary") {
			t.Errorf("%s: it names what is another tenant's: %s", params, a.body)
		}
	}
	w.put(t, "acme", logentry.Entry{Message: "later", Timestamp: noon.Add(time.Hour)})
	if a := w.do(t, reader, http.MethodGet, "/api/v1/logs/stats?interval=1s", ""); a.status != 400 || a.problem().Code != "too_many_buckets" {
		t.Errorf("%d %s", a.status, a.body)
	}
	down := newWorld(t, func(p *parts) { p.reading.Index = broken{fault.New(fault.Unavailable, "index_down", "")} })
	if a := down.do(t, reader, http.MethodGet, "/api/v1/logs/stats", ""); a.status != http.StatusServiceUnavailable {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestAContextIsWhatIsAround(t *testing.T) {
	w := newWorld(t)
	ids := some(t, w)
	reader := authHeader(t, "acme", "reader")
	ask := func(i int, params string) (before, after []string, a answer) {
		t.Helper()
		a = w.do(t, reader, http.MethodGet, "/api/v1/logs/"+ids[i].String()+"/context?"+params, "")
		var got struct {
			Data struct {
				Before, After []struct{ ID string }
				Entry         struct{ ID string }
			}
		}
		if err := json.Unmarshal(a.body, &got); err != nil || a.status == http.StatusOK && got.Data.Entry.ID != ids[i].String() {
			t.Fatalf("%s: %d %s, %v", params, a.status, a.body, err)
		}
		for _, e := range got.Data.Before {
			before = append(before, e.ID)
		}
		for _, e := range got.Data.After {
			after = append(after, e.ID)
		}
		return before, after, a
	}
	names := func(of ...int) (out []string) {
		for _, i := range of {
			out = append(out, ids[i].String())
		}
		return out
	}
	for _, c := range []struct {
		name, params  string
		of            int
		before, after []string
		more          string
	}{
		{"all around", "", 2, names(0, 1), names(3, 4), `"more_before":false,"more_after":false`},
		{"one on either side", "before=1&after=1", 2, names(1), names(3), `"more_before":true,"more_after":true`},
		{"only what came before", "after=0", 2, names(0, 1), nil, `"more_before":false,"more_after":false`},
		{"of the same service", "by=service", 1, names(0), names(3), `"more_before":false`},
		{"of the same trace", "by=trace", 2, names(0), nil, `"more_before":false`},
		{"of the same user", "by=user", 0, nil, names(2), `"more_before":false`},
		{"near in time", "within=1m", 2, names(1), names(3), `"more_before":false`},
		{"those that a filter matches", "service=billing", 2, names(0, 1), names(3), `"more_before":false`},
	} {
		before, after, a := ask(c.of, c.params)
		if !reflect.DeepEqual(before, c.before) || !reflect.DeepEqual(after, c.after) || !strings.Contains(string(a.body), c.more) {
			t.Errorf("%s: %v and %v\n%s", c.name, before, after, a.body)
		}
	}
	for params, code := range map[string]string{
		"by=session": "context_unavailable", "by=x": "by_invalid", "before=501": "before_invalid", "after=-1": "after_invalid",
		"within=1": "within_invalid", "within=auto": "within_invalid", "limit=3": "unknown_parameter",
	} {
		if _, _, a := ask(0, params); a.status != http.StatusBadRequest || a.problem().Code != code {
			t.Errorf("%s: %d %s", params, a.status, a.body)
		}
	}
	foreign := w.do(t, authHeader(t, "zeta", "reader"), http.MethodGet, "/api/v1/logs/"+ids[0].String()+"/context", "")
	if foreign.status != http.StatusNotFound {
		t.Errorf("%d %s", foreign.status, foreign.body)
	}
}

func TestEventsOfTheOlderService(t *testing.T) {
	w := newWorld(t)
	ids := some(t, w)
	both := authHeader(t, "acme", "reader", "writer")
	a := w.do(t, both, http.MethodPost, "/events", `{"timestamp":"2026-01-31T12:00:00Z","service":"billing","user_id":"ada","action":"CREATE","metadata":{"amount":12.50},"schema_version":3}`)
	var posted struct {
		ID       string          `json:"id"`
		Metadata json.RawMessage `json:"metadata"`
		Version  int             `json:"schema_version"`
	}
	if err := json.Unmarshal(a.body, &posted); err != nil || a.status != http.StatusAccepted || string(posted.Metadata) != `{"amount":12.50}` || posted.Version != 3 {
		t.Errorf("%d %s, %v", a.status, a.body, err)
	}
	if _, err := logentry.ParseID(posted.ID); err != nil {
		t.Errorf("%s: %v", a.body, err)
	}
	if a := w.do(t, both, http.MethodPost, "/events", `{"service":"billing"}`); a.status != http.StatusUnprocessableEntity {
		t.Errorf("%d %s", a.status, a.body)
	}

	list := func(i int, action, user string) string {
		return `{"id":"` + ids[i].String() + `","timestamp":"` + noon.Add(time.Duration(i)*time.Minute).Format(time.RFC3339) + `","service":"billing","user_id":` + user + `,"action":"` + action + `","metadata":`
	}
	a = w.do(t, both, http.MethodGet, "/events/billing?limit=2", "")
	var page struct {
		Next *string `json:"next_cursor"`
	}
	if err := json.Unmarshal(a.body, &page); err != nil || page.Next == nil {
		t.Fatalf("%d %s", a.status, a.body)
	}
	same(t, "the first page", a, `{"items":[`+list(3, "DELETE", "null")+`{"region":"eu","n":2,"deep":{"x":true}},"schema_version":1},`+
		list(1, "CREATE", `"bob"`)+`{},"schema_version":1}],"next_cursor":"`+*page.Next+`"}`)
	same(t, "the last page", w.do(t, both, http.MethodGet, "/events/billing?limit=2&cursor="+*page.Next, ""), `{"items":[`+list(0, "CREATE", `"ada"`)+`{},"schema_version":1}],"next_cursor":null}`)
	same(t, "another tenant's service", w.do(t, both, http.MethodGet, "/events/canary", ""), `{"items":[],"next_cursor":null}`)
	same(t, "a name that a filter would read otherwise", w.do(t, both, http.MethodGet, "/events/%21bill%2A", ""), `{"items":[],"next_cursor":null}`)
	for target, code := range map[string]string{
		"/events/billing?cursor=" + (*page.Next)[1:]: "cursor_invalid", "/events/boot?cursor=" + *page.Next: "cursor_mismatch",
		"/events/billing?q=x": "unknown_parameter", "/events/%ff": "service_invalid", "/events/%zz": "service_invalid", "/events/billing?limit=0": "limit_invalid",
	} {
		if target == "/events/%zz" { // the server itself refuses it
			continue
		}
		a := w.do(t, both, http.MethodGet, target, "")
		if p := a.problem(); a.status != http.StatusBadRequest || p.Code != code || strings.HasPrefix(p.Detail, ":") {
			t.Errorf("%s: %d %s", target, a.status, a.body)
		}
	}
}

func TestAnalyticsOfTheOlderService(t *testing.T) {
	w := newWorld(t)
	some(t, w)
	reader := authHeader(t, "acme", "reader")
	for target, want := range map[string]string{
		"summary":                 `{"by_action":{"CREATE":2,"DELETE":1,"LOGIN":1},"total":5}`,
		"summary?service=billing": `{"by_action":{"CREATE":2,"DELETE":1},"total":3}`,
		"summary?from_ts=2026-01-31T12:01:00Z&to_ts=2026-01-31T12:02:00Z": `{"by_action":{"CREATE":1},"total":1}`,
		"summary?service=canary":                     `{"by_action":{},"total":0}`,
		"timeline?service=boot":                      `{"points":[{"ts":"2026-01-31T12:02:00Z","count":1}]}`,
		"timeline?to_ts=2026-01-31T12:02:00Z":        `{"points":[{"ts":"2026-01-31T12:00:00Z","count":1},{"ts":"2026-01-31T12:01:00Z","count":1}]}`,
		"timeline?from_ts=now-1h&service=%21billing": `{"points":[]}`,
	} {
		same(t, target, w.do(t, reader, http.MethodGet, "/analytics/"+target, ""), want)
	}
	for target, code := range map[string]string{
		"summary?from_ts=x": "range_invalid", "summary?from_ts=now&to_ts=now-1h": "range_invalid", "timeline?service=": "service_invalid",
		"timeline?start_time=now": "unknown_parameter", "summary?service=a&service=b": "repeated_parameter",
	} {
		a := w.do(t, reader, http.MethodGet, "/analytics/"+target, "")
		if a.status != http.StatusBadRequest || a.problem().Code != code || strings.HasPrefix(a.problem().Detail, ":") || strings.Contains(string(a.body), "start_time") {
			t.Errorf("%s: %d %s", target, a.status, a.body)
		}
	}
	w.put(t, "acme", logentry.Entry{Message: "old", Timestamp: noon.Add(-48 * time.Hour)})
	same(t, "two days are more minutes than points", w.do(t, reader, http.MethodGet, "/analytics/timeline", ""),
		`{"points":[{"ts":"2026-01-29T12:00:00Z","count":1},{"ts":"2026-01-31T12:00:00Z","count":2},{"ts":"2026-01-31T12:02:00Z","count":2},{"ts":"2026-01-31T12:04:00Z","count":1}]}`)
}

func TestFieldsAndTheirValues(t *testing.T) {
	w := newWorld(t)
	some(t, w)
	w.put(t, "acme", logentry.Entry{Message: "huge", Timestamp: noon, Metadata: []byte(`{"n":"text","list":[1,2,"x"],"none":null}`)})
	reader := authHeader(t, "acme", "reader")
	a := w.do(t, reader, http.MethodGet, "/api/v1/logs/fields", "")
	var fields struct {
		Data []struct {
			Name          string
			Types         []string
			Facet, Values bool
			Seen          int
		}
		Meta struct{ Sampled int }
	}
	if err := json.Unmarshal(a.body, &fields); err != nil || a.status != http.StatusOK || fields.Meta.Sampled != 6 {
		t.Fatalf("%d %s, %v", a.status, a.body, err)
	}
	got := map[string]string{}
	for _, f := range fields.Data {
		got[f.Name] = fmt.Sprint(f.Types, f.Facet, f.Values, f.Seen)
	}
	for name, want := range map[string]string{
		"service": "[keyword] true true 0", "message": "[text] false false 0", "timestamp": "[time] false false 0", "session_id": "[keyword] false false 0", "ip_address": "[ip] true true 0",
		"metadata.n": "[number string] false true 3", "metadata.region": "[string] false true 3", "metadata.deep.x": "[boolean] false true 1", "metadata.list": "[number string] false true 1", "metadata.none": "[null] false true 1",
		"metadata.canary": "", "tenant_id": "",
	} {
		if got[name] != want {
			t.Errorf("%s: %s, want %s", name, got[name], want)
		}
	}
	for target, want := range map[string]string{
		"service/values":                         `{"data":[{"value":"billing","count":3},{"value":"boot","count":1}],"meta":{}}`,
		"service/values?prefix=bo":               `{"data":[{"value":"boot","count":1}],"meta":{}}`,
		"service/values?prefix=can":              `{"data":[],"meta":{}}`,
		"service/values?limit=1&user_id=!nobody": `{"data":[{"value":"billing","count":3}],"meta":{}}`,
		"severity/values?prefix=I":               `{"data":[{"value":"INFO","count":6}],"meta":{}}`,
		"schema_version/values":                  `{"data":[{"value":"1","count":6}],"meta":{}}`,
		"metadata.region/values":                 `{"data":[{"value":"eu","count":2},{"value":"us","count":1}],"meta":{"sampled":6}}`,
		"metadata.region/values?prefix=u":        `{"data":[{"value":"us","count":1}],"meta":{"sampled":6}}`,
		"metadata.region/values?service=billing": `{"data":[{"value":"eu","count":1}],"meta":{"sampled":3}}`,
		"metadata.canary/values":                 `{"data":[],"meta":{"sampled":6}}`,
	} {
		same(t, target, w.do(t, reader, http.MethodGet, "/api/v1/logs/fields/"+target, ""), want)
	}
	for target, code := range map[string]string{
		"tenant_id/values": "field_not_allowed", "_index/values": "field_not_allowed", "message/values": "field_not_allowed", "metadata./values": "field_not_allowed", "%ff/values": "field_not_allowed",
		"service/values?limit=0": "limit_invalid", "service/values?limit=101": "limit_invalid", "service/values?cursor=x": "unknown_parameter", "service/values?prefix=a&prefix=b": "repeated_parameter",
	} {
		if a := w.do(t, reader, http.MethodGet, "/api/v1/logs/fields/"+target, ""); a.status != http.StatusBadRequest || a.problem().Code != code {
			t.Errorf("%s: %d %s", target, a.status, a.body)
		}
	}
}

func TestCountsAndWhatIsAroundAreNoted(t *testing.T) {
	for target, want := range map[string]audit.Event{
		"/api/v1/logs/stats?facets=user_id":   {ResourceType: "counts", Params: map[string][]string{"facets": {"user_id"}}},
		"/api/v1/logs/ID/context?before=1":    {ResourceType: "entries", ResourceID: "ID", Count: 4, Params: map[string][]string{"before": {"1"}}},
		"/api/v1/logs/fields?service=billing": {ResourceType: "fields", Params: map[string][]string{"service": {"billing"}}},
		"/api/v1/logs/fields/service/values":  {ResourceType: "fields", ResourceID: "service", Params: map[string][]string{}},
		"/events/billing?limit=2":             {ResourceType: "entries", ResourceID: "billing", Count: 2, Params: map[string][]string{"limit": {"2"}}},
		"/analytics/summary?service=billing":  {ResourceType: "counts", Params: map[string][]string{"service": {"billing"}}},
		"/analytics/timeline?service=billing": {ResourceType: "counts", Params: map[string][]string{"service": {"billing"}}},
	} {
		w, n := auditedWorld(t)
		id := some(t, w)[2].String()
		target, want.ResourceID = strings.Replace(target, "ID", id, 1), strings.Replace(want.ResourceID, "ID", id, 1)
		if a := w.do(t, authHeader(t, "acme", "reader"), http.MethodGet, target, ""); a.status != http.StatusOK || len(n.events) != 1 {
			t.Errorf("%s: %d %s, %d events", target, a.status, a.body, len(n.events))
			continue
		}
		got := n.events[0]
		if got.Action != audit.Read || got.ResourceType != want.ResourceType || got.ResourceID != want.ResourceID || got.Count != want.Count || !reflect.DeepEqual(got.Params, want.Params) {
			t.Errorf("%s: %+v", target, got.Event)
		}
		n.err = fault.New(fault.Unavailable, "audit_unavailable", "try again")
		if a := w.do(t, authHeader(t, "acme", "reader"), http.MethodGet, target, ""); a.status != http.StatusServiceUnavailable || strings.Contains(string(a.body), "billing") {
			t.Errorf("%s, which nobody could note: %d %s", target, a.status, a.body)
		}
	}
}
