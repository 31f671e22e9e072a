package bench

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// measure runs a small load against f.
func measure(t *testing.T, f *fake, change func(*Config)) Report {
	t.Helper()
	f.t = t
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	cfg := Config{URL: server.URL, Token: func() (string, error) { return "secret", nil }, HTTP: server.Client(),
		Rate: 2000, Duration: 200 * time.Millisecond, Batch: 10, Conns: 4, Tenants: []string{""}, Seed: 1,
		Timeout: 5 * time.Second, Settle: time.Second, Run: "bench-test", Note: func(string) {}}
	if change != nil {
		change(&cfg)
	}
	r, err := Run(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAnHonestServicePasses(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"bulks of an open loop":   nil,
		"single entries":          func(c *Config) { c.Batch, c.Rate = 1, 300 },
		"a closed loop":           func(c *Config) { c.Rate, c.Duration = 0, 50*time.Millisecond },
		"compressed":              func(c *Config) { c.Gzip = true },
		"several tenants":         func(c *Config) { c.Tenants = []string{"bench-1", "bench-2", "bench-3"} },
		"more than a page":        func(c *Config) { c.Batch, c.Rate = 500, 10_000 },
		"one entry more than fit": func(c *Config) { c.Batch, c.Rate = 1001, 5005 },
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{}
			var batch, tenants int
			var rate float64
			r := measure(t, f, func(c *Config) {
				c.Settle = 20 * time.Second
				if change != nil {
					change(c)
				}
				batch, tenants, rate = c.Batch, len(c.Tenants), c.Rate
			})
			e := r.Entries
			if !r.OK || e.Found != e.Acknowledged || e.Sent != e.Acknowledged || e.Missing+e.Doubled+e.Unexpected+e.Unknown+e.Refused != 0 {
				t.Fatalf("%+v", r)
			}
			// On a busy machine some may be due and not sent; none is forgotten.
			if want := int64(rate / 5); rate > 0 && e.Acknowledged+r.Requests.Unsent*int64(batch) != want {
				t.Errorf("%d entries acknowledged, %d requests not sent; the schedule has %d", e.Acknowledged, r.Requests.Unsent, want)
			}
			if r.Status["202"] != e.Sent/int64(batch) || r.AcceptedPerSecond <= 0 || r.SearchablePerSecond <= 0 || r.SearchablePerSecond > r.AcceptedPerSecond ||
				r.Latency.Count != r.Status["202"]+r.Requests.Unsent || r.Latency.P50 <= 0 || r.Latency.P50 > r.Latency.Max || r.Bytes < 300*e.Sent {
				t.Errorf("%+v", r)
			}
			if len(f.tenants) != tenants {
				t.Errorf("entries went to %v", f.tenants)
			}
		})
	}
}

func TestTheLiveTailIsCheckedToo(t *testing.T) {
	for name, c := range map[string]struct {
		tail    func(n int, event string) string
		tenants []string
		skipped int64
		says    string
	}{
		"everything is shown":          {nil, []string{""}, 0, ""},
		"to three tenants":             {nil, []string{"a", "b", "c"}, 0, ""},
		"some are said to be left out": {at(7, func(string) string { return "event: skipped\ndata: {\"count\":1}\n\n" }), []string{""}, 1, ""},
		"one is not shown":             {at(7, func(string) string { return "" }), []string{""}, 0, "did not show 1 acknowledged"},
		"one is shown twice":           {at(7, func(event string) string { return event + event }), []string{""}, 0, "1 entries more than once"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settle := 2 * time.Minute
			if c.says != "" {
				settle = 6 * time.Second // a fourth of it is waited for what does not come
			}
			r := measure(t, &fake{tail: c.tail}, func(cfg *Config) { cfg.Tail, cfg.Tenants, cfg.Settle = true, c.tenants, settle })
			told := strings.Join(r.Problems, "\n")
			if r.OK != (c.says == "") || !strings.Contains(told, c.says) || r.TailSkipped != c.skipped || !strings.Contains(r.Text(), "accept to screen") {
				t.Errorf("%v, skipped %d, %s", r.OK, r.TailSkipped, told)
			}
			if c.tail == nil && r.Tail.Count != r.Entries.Acknowledged || r.Tail.P95 < r.Tail.P50 {
				t.Errorf("%+v of %d", r.Tail, r.Entries.Acknowledged)
			}
		})
	}
}

// at changes the nth event of a live tail.
func at(n int, change func(string) string) func(int, string) string {
	return func(i int, event string) string {
		if i == n {
			return change(event)
		}
		return event
	}
}

func TestTheCheckCatches(t *testing.T) {
	last := func(stored []kept) kept { return stored[len(stored)-1] }
	for name, c := range map[string]struct {
		fake *fake
		want func(Entries) int64
		says string
	}{
		"an acknowledged entry that is never found": {
			&fake{show: func(s []kept) []kept {
				if len(s) > 7 {
					return append(s[:7:7], s[8:]...)
				}
				return s
			}},
			func(e Entries) int64 { return e.Missing }, "missing: "},
		"an entry that is found twice": {
			&fake{show: func(s []kept) []kept {
				if len(s) > 0 {
					return append(s, last(s))
				}
				return s
			}},
			func(e Entries) int64 { return e.Doubled }, "doubled: "},
		"an entry that hides behind a double, so that the count is right": {
			&fake{show: func(s []kept) []kept {
				if len(s) > 7 {
					return append(append(s[:7:7], s[8:]...), last(s))
				}
				return s
			}},
			func(e Entries) int64 { return e.Missing * e.Doubled }, "missing: "},
		"an entry stored under a second id": {
			&fake{show: func(s []kept) []kept {
				if len(s) > 0 {
					k := last(s)
					k.id[15] ^= 1
					return append(s, k)
				}
				return s
			}},
			func(e Entries) int64 { return e.Unexpected }, "unexpected: "},
	} {
		t.Run(name, func(t *testing.T) {
			r := measure(t, c.fake, func(c *Config) { c.Settle = 300 * time.Millisecond })
			if r.OK || c.want(r.Entries) != 1 || !strings.Contains(strings.Join(r.Problems, "\n"), c.says) {
				t.Fatalf("%+v", r)
			}
			if !strings.Contains(r.Text(), "FAILED") {
				t.Error(r.Text())
			}
		})
	}
}

func TestRequestsOfUnknownOutcomeMayBeFoundOnce(t *testing.T) {
	r := measure(t, &fake{lose: func(n int) bool { return n%5 == 2 }}, nil)
	e := r.Entries
	if !r.OK || e.Unknown == 0 || e.Found != e.Acknowledged+e.Unknown || r.Errors["connection"] != e.Unknown/10 {
		t.Fatalf("%+v", r)
	}
	r = measure(t, &fake{
		refuse: func(n int) int {
			if n%5 == 2 {
				return http.StatusServiceUnavailable
			}
			return 0
		}}, nil)
	e = r.Entries
	if !r.OK || e.Unknown == 0 || e.Found != e.Acknowledged || r.Status["503"] != e.Unknown/10 || r.Errors["refused"] != r.Status["503"] {
		t.Fatalf("%+v", r)
	}
	r = measure(t, &fake{
		lose: func(n int) bool { return n == 2 },
		show: func(s []kept) []kept { // what was stored without an answer shows twice, under two ids
			for _, k := range s {
				if k.requestID[len(k.requestID)-2:] == "16" { // entry 22
					k.id[15] ^= 1
					return append(s, k)
				}
			}
			return s
		}}, func(c *Config) { c.Settle = 300 * time.Millisecond; c.Conns = 1 })
	if r.OK || r.Entries.Doubled != 1 {
		t.Fatalf("%+v", r)
	}
}

func TestAnIndexThatIsDownIsWaitedFor(t *testing.T) {
	for name, meanwhile := range map[string]string{"the record answers": "record", "nothing answers": ""} {
		t.Run(name, func(t *testing.T) {
			f := &fake{source: func(search int) string {
				if 0 < search && search < 4 {
					return meanwhile
				}
				return "index"
			}}
			r := measure(t, f, func(c *Config) { c.Settle = 20 * time.Second })
			if !r.OK || r.Entries.Found != r.Entries.Acknowledged || r.FromRecord+r.SearchErrors != 3 {
				t.Fatalf("%+v", r)
			}
		})
	}
}

func TestTheComparisonIsMadeAgainWhereItBreaksOffAndIsOfTheIndex(t *testing.T) {
	walks := 0
	f := &fake{walk: func() string {
		walks++
		return []string{"", "record", "index"}[min(walks, 3)-1]
	}}
	r := measure(t, f, func(c *Config) { c.Settle = 20 * time.Second })
	if !r.OK || walks != 3 || r.Entries.Found != r.Entries.Acknowledged {
		t.Fatalf("%d walks: %+v", walks, r)
	}
	f = &fake{walk: func() string { return "record" }}
	r = measure(t, f, func(c *Config) { c.Settle = time.Second })
	if r.OK || !strings.Contains(r.Text(), "answered from the record") {
		t.Fatalf("%+v", r)
	}
}

func TestRefusedRequestsAreNotFound(t *testing.T) {
	r := measure(t, &fake{refuse: func(n int) int {
		if n == 3 {
			return http.StatusUnprocessableEntity
		}
		return 0
	}}, nil)
	if !r.OK || r.Entries.Refused != 10 || r.Entries.Unknown != 0 || r.Errors["refused"] != 1 {
		t.Fatalf("%+v", r)
	}
}

func TestLatencyCountsFromWhenARequestWasDue(t *testing.T) {
	r := measure(t, &fake{stall: func(n int) time.Duration {
		if n == 0 {
			return 150 * time.Millisecond
		}
		return 0
	}}, func(c *Config) { c.Conns = 1 })
	// One connection, a request due every 5 ms: those behind the stalled one wait too.
	if r.Latency.P50 < 40 {
		t.Fatalf("a stall of 150 ms within 200 ms shows as a median of %.1f ms", r.Latency.P50)
	}
}

func TestAServiceTooSlowForTheRateIsSaid(t *testing.T) {
	r := measure(t, &fake{stall: func(int) time.Duration { return 60 * time.Millisecond }}, func(c *Config) { c.Conns = 1 })
	if !r.OK || r.Requests.Unsent == 0 || r.Requests.Unsent+r.Requests.Sent != 40 || !strings.Contains(r.Text(), "never sent") {
		t.Fatalf("%+v", r)
	}
}

func TestAReportHasTheDocumentedKeys(t *testing.T) {
	b, err := json.Marshal(measure(t, &fake{}, nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"accepted_per_second", "searchable_per_second", "latency_ms", "searchable_ms", "p50", "p90", "p99", "p999", "max",
		"status", "errors", "entries", "sent", "acknowledged", "found", "missing", "doubled", "bytes"} {
		if !strings.Contains(string(b), `"`+key+`":`) {
			t.Errorf("%s is missing in %s", key, b)
		}
	}
}

func TestARunThatCannotBeginSaysWhy(t *testing.T) {
	server := httptest.NewServer(&fake{t: t})
	defer server.Close()
	good := Config{URL: server.URL, Token: func() (string, error) { return "wrong", nil }, HTTP: server.Client(), Duration: time.Second,
		Batch: 1, Conns: 1, Tenants: []string{""}, Timeout: time.Second, Settle: time.Second, Run: "r", Note: func(string) {}}
	for name, c := range map[string]struct {
		change func(*Config)
		says   string
	}{
		"a token that is refused": {func(*Config) {}, "401"},
		"no connections":          {func(c *Config) { c.Conns = 0 }, "--conns"},
		"a batch too large":       {func(c *Config) { c.Batch = 10_001 }, "--batch"},
		"no URL of a service":     {func(c *Config) { c.URL = "localhost:8080" }, "not a URL"},
	} {
		cfg := good
		c.change(&cfg)
		if _, err := Run(context.Background(), cfg); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
