//go:build e2e

package differential

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// counting is what came of the requests that count entries, or read them in other forms than a search.
type counting struct {
	all, counted, refused int
	codes                 map[string]int
}

// ownOfAnswers are what is each system's own in such answers.
var ownOfAnswers = regexp.MustCompile(`"took_ms":\d+|"next_cursor":"[^"]+"|"received_at":"[^"]+"`)

// count asks the requests and compares the answers byte by byte, but for what is each system's own.
func (w *twins) count(ctx context.Context, all []request) counting {
	c := counting{codes: map[string]int{}}
	var mu sync.Mutex
	each(len(all), 6, func(i int) {
		r := all[i]
		a, err := w.both(ctx, r, w.ids.targets(r.target))
		if err != nil {
			w.t.Errorf("%s: %v", r, err)
			return
		}
		w.api.check(w.t, r.method, w.api.Route(r.method, r.target), a)
		mu.Lock()
		defer mu.Unlock()
		c.all++
		if words := sameHead(a); words != "" {
			w.report.differs(r, a, "%s", words)
			return
		}
		if a[0].status != http.StatusOK {
			c.refused++
			c.codes[codeOf(a[0].body)]++
			if !sameProblem(a) {
				w.report.differs(r, a, "the problems differ")
			}
			return
		}
		c.counted++
		var text [2][]byte
		for side := range a {
			text[side] = uuids.ReplaceAll(ownOfAnswers.ReplaceAll(a[side].body, nil), nil)
		}
		if !bytes.Equal(text[0], text[1]) {
			w.report.differs(r, a, "the counts differ")
		}
	})
	return c
}

// facets are those that every facet request names some of.
var facets = []string{"severity", "service", "action", "user_id", "resource_type", "ip_address", "schema_version"}

// counts are the requests: what the questions find is counted, and some more. Times of receipt differ from system to
// system, so that buckets are wide where such entries may be.
func (w *twins) counts(m *maker, questions []question) (all []request) {
	for i, q := range questions {
		params := slices.DeleteFunc(slices.Clone(q.params), func(p [2]string) bool {
			return p[0] == "highlight" || slices.Contains([]string{"sort", "limit", "skip", "cursor", "total"}, p[0]) && m.IntN(30) > 0
		})
		if i%2 == 0 {
			var some []string
			for _, f := range facets {
				if m.IntN(2) == 0 {
					some = append(some, f)
				}
			}
			params = append(params, [2]string{"facets", strings.Join(some, ",")}, [2]string{"top", pick(m, "1", "3", "10", "100")})
		}
		if i%5 == 0 {
			params = append(params, [2]string{"metrics", pick(m, "metadata.n", "metadata.amount", "metadata.n,metadata.took_ms", "metadata.a.b", "amount")})
			if i%10 == 0 {
				params = append(params, [2]string{"group_by", pick(m, facets...)})
			}
		}
		switch {
		case q.as == "many":
			params = append(params, [2]string{"interval", pick(m, "auto", "1m", "20s", "1h")})
		case i%3 == 0:
			params = append(params, [2]string{"interval", pick(m, "365d", "364d", "200d")})
		}
		all = append(all, get(q.as, question{q.as, params}.targetAt("/api/v1/logs/stats")))
	}
	const x = `{"service":"evented","action":"CREATE","timestamp":"2025-05-01T00:00:00Z"}`
	stats, context := "/api/v1/logs/stats", "/api/v1/logs/"+w.someIDs("many", 100)[0]+"/context"
	for _, target := range []string{stats, context, "/events/evented", "/api/v1/logs/fields", "/api/v1/logs/fields/service/values", "/analytics/summary", "/analytics/timeline"} {
		all = append(all, get("", target), get("writer", target), get("both", target), get("acme", target+"?x=1"), get("acme", target+"?"+strings.Repeat("a", 8200)), get("acme", target+"?a;b"))
	}
	for _, p := range []string{"facets=tenant_id", "facets=_index", "facets=", "facets=message", "facets=severity&facets=action", "top=0", "top=101", "interval=0s", "interval=1s&start_time=2025-01-01", "interval=x", "interval=off", "interval=auto&q=nothinglikethis&facets=action", "cursor=x", "group_by=action"} {
		all = append(all, get("acme", stats+"?"+p))
	}
	for i := range 30 {
		id := w.someIDs("many", m.IntN(10_000))[0]
		params := fmt.Sprintf("?before=%d&after=%d", m.IntN(40), m.IntN(40))
		params += pick(m, "", "&by=service", "&within=7s", "&service=s1", "&q=-service:s2", "&within=1m&by=service")
		all = append(all, get(pick(m, "many", "many", "acme"), "/api/v1/logs/"+id+"/context"+params))
		if i == 0 {
			for _, p := range []string{"by=trace", "by=x", "before=501", "after=x", "within=0s", "limit=1", "id=" + id} {
				all = append(all, get("many", "/api/v1/logs/"+id+"/context?"+p))
			}
		}
	}
	for _, target := range []string{"/events/evented?limit=3", "/events/evented?limit=0", "/events/evented?cursor=x", "/events/evented?q=x", "/events/%21evented", "/events/no%20such", "/events/%ff", "/events/",
		"/analytics/summary?service=evented", "/analytics/summary?service=evented&from_ts=2025-05-01&to_ts=2025-05-01T00:10:00Z", "/analytics/summary?from_ts=x", "/analytics/summary?service=&to_ts=now", "/analytics/summary?service=a&service=b",
		"/analytics/timeline?service=evented", "/analytics/timeline?service=evented&from_ts=2025-05-01T00:03:00Z", "/analytics/timeline?from_ts=2025-06-02&to_ts=2025-06-01", "/analytics/timeline?to_ts=now-1x"} {
		all = append(all, get("acme", target))
	}
	for _, p := range []string{"service/values?prefix=b", "action/values?limit=100", "severity/values?prefix=E", "user_id/values?q=metadata.n:>1", "ip_address/values?prefix=10.", "metadata.n/values?service=evented", "schema_version/values",
		"tenant/values", "message/values", "service/values?limit=0", "service/values?x=1", "metadata./values", "%ff/values"} {
		all = append(all, get("acme", "/api/v1/logs/fields/"+p))
	}
	all = append(all, get("acme", stats+"?service=evented&metrics=metadata.n&group_by=user_id"), get("acme", "/api/v1/logs/fields?service=evented"))
	for _, target := range []string{"/analytics/summary", "/analytics/timeline", "/analytics/timeline?service=s1", "/analytics/timeline?to_ts=2025-06-01T01:00:00Z"} {
		all = append(all, get("many", target))
	}
	return append(all, post("junk", "/events", x, "Content-Type: text/plain"), post("", "/events", x), post("reader", "/events", x), post("junk", "/events", "{"), post("junk", "/events", `{"service":"x"}`),
		post("junk", "/events", strings.Repeat(" ", 17<<20)), post("junk", "/events?x=1", x))
}

// events are posts in the form of the older service.
func (m *maker) events() (all []request) {
	start := time.Date(2025, 5, 1, 0, 0, 0, 0, time.UTC)
	for i := range 25 {
		e := fmt.Sprintf(`{"timestamp":%q,"service":"evented","user_id":"u%d","action":%q,"metadata":{"n":%d.50}}`, start.Add(time.Duration(i)*40*time.Second).Format(time.RFC3339), i%3, pick(m, "CREATE", "DELETE", "VIEW"), i)
		r := m.packed("acme", "/events", e, "application/json")
		r.sent = []string{e}
		all = append(all, r)
	}
	return all
}

// targetAt is the question asked of another route.
func (q question) targetAt(path string) string {
	return path + strings.TrimPrefix(q.target(), single)
}
