package query_test

import (
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
)

// ask reads a URL's query as a route does.
func ask(raw string) (query.Query, error) {
	v, err := query.ParseRawQuery(raw)
	if err != nil {
		return query.Query{}, err
	}
	return query.FromParams(v, now)
}

func TestFromParamsFindsWhatItAsksFor(t *testing.T) {
	for raw, want := range map[string]bool{
		"": true, "&&": true, "q=": true, "search=": true, "q=*": true,
		"service=payments": true, "service=orders": false, "service=orders&service=payments": true,
		"service=!payments": false, "service=!orders": true, "service=orders&service=payments&service=!x": true, "service=payments&service=!payments": false,
		"service=pay*": true, "service=!pay*": false, "service=pay%5C*": false, "service=%5C!payments": false, "service=a*b": false,
		"event_id=e*1": true, "event_id=e*1*": true, "event_id=e%5C*1": false, "user_id=u+1": true, "user_id=u%201": true,
		"severity=warn": true, "severity=ERROR&severity=WARNING": true, "severity=!WARNING": false,
		"min_severity=info": true, "min_severity=WARNING": true, "min_severity=ERROR": false, "min_severity=DEBUG": true,
		"ip_address=10.0.0.1": true, "ip_address=!%3A%3Affff:10.0.0.1": false, "schema_version=2": true,
		"ip_address=10.0.0.0/24": true, "ip_address=!10.0.0.0/24": false, "ip_address=10.0.1.0/24": false,
		"metadata.region=eu-central": true, "metadata.region=eu": false, "metadata.region=eu*": true, "metadata.region=!eu*": false, "metadata.region=us&metadata.region=eu-*": true,
		"metadata.n=42": true, "metadata.n=42.0": true, "metadata.n=42*": false, "metadata.deep.er=under%20the%20hood": true, "metadata.k8s-pod=x": false,
		"changes=address.city": true, "changes=address*": true, "changes=!address*": false, "changes=city": false,
		"id=0192F0C1-2345-7ABC-8DEF-0123456789AB": true, "id=!0192*": false, "trace_id=4BF9*": true,
		"start_time=now-1h": true, "start_time=now-59m": false, "end_time=now-1h": false, "end_time=now-59m": true, "end_time=now": true,
		"start_time=2026-11-23": true, "start_time=2026-11-24": false, "end_time=2026-11-23": false, "end_time=2026-11-24": true,
		"start_time=2026-11-23T11:00:00.000000005Z": true, "start_time=2026-11-23T11:00:00.000000006Z": false,
		"end_time=2026-11-23T11:00:00.000000005Z": false, "end_time=2026-11-23T12:00:00.000000006%2B01:00": true,
		"start_time=2026-11-23T11:00:00.000000005Z&end_time=2026-11-23T11:00:00.000000005Z": false, "start_time=now-3w&end_time=now-2d": false,
		"q=payment": true, "q=nothing": false, "q=service:payments+AND+NOT+nothing": true, "search=card+declined": true, "search=payment+nothing": false,
		"search=%22declined+card%22": false, "q=payment&search=declined&service=payments&min_severity=INFO": true,
		"q=payment&search=declined&service=payments&min_severity=ERROR": false, "q=a+OR+payment&service=x": false,
	} {
		t.Run(raw, func(t *testing.T) {
			q, err := ask(raw)
			if err != nil {
				t.Fatal(err)
			}
			if got := query.Match(q.Where, sample()); got != want {
				t.Errorf("%s matches %v, want %v", query.String(q.Where), got, want)
			}
		})
	}
}

func TestFromParamsPages(t *testing.T) {
	for raw, want := range map[string]query.Query{
		"":                          {Limit: 50},
		"limit=1&skip=10000":        {Limit: 1, Skip: 10_000},
		"limit=1000&skip=0":         {Limit: 1000},
		"limit=0010&total=exact":    {Limit: 10, Total: query.TotalExact},
		"sort=-timestamp":           {Limit: 50},
		"sort=timestamp&total=none": {Limit: 50, Sort: query.OldestFirst, Total: query.TotalNone},
		"audit=include":             {Limit: 50, Audit: query.AuditIncluded},
		"audit=only":                {Limit: 50, Audit: query.AuditOnly},
		"sort=-received_at":         {Limit: 50, Sort: query.ReceivedNewestFirst},
		"sort=received_at&cursor=x": {Limit: 50, Sort: query.ReceivedOldestFirst},
	} {
		t.Run(raw, func(t *testing.T) {
			if got, err := ask(raw); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, %v, want %+v", got, err, want)
			}
		})
	}
}

func TestFromParamsComplains(t *testing.T) {
	var many []string
	for i := range 65 {
		many = append(many, fmt.Sprintf("service=s%d", i))
	}
	for raw, want := range map[string]string{
		"lvel=error":              "unknown_parameter lvel/unknown_parameter",
		"servise=x":               "unknown_parameter servise/unknown_parameter",
		"tenant=b":                "unknown_parameter tenant/unknown_parameter",
		"tenant_id=b":             "unknown_parameter tenant_id/unknown_parameter",
		"=x":                      "unknown_parameter /unknown_parameter",
		"%3Cscript%3E=x":          "unknown_parameter /unknown_parameter",
		"message=x":               "unknown_parameter message/unknown_parameter",
		"timestamp=2026-11-01":    "unknown_parameter timestamp/unknown_parameter",
		"metadata=eu":             "unknown_parameter metadata/unknown_parameter",
		"metadata.=eu":            "unknown_parameter metadata./unknown_parameter",
		"metadata.region=":        "query_invalid metadata.region/value_missing",
		"metadata.region=e*":      "query_too_expensive metadata.region/prefix_too_short",
		"metadata.%3Cscript%3E=!": "query_invalid metadata./value_missing",
		"metadata." + strings.Repeat("x", 129) + "=1": "query_invalid metadata./path_too_long",
		"changes=a*":                    "query_too_expensive changes/prefix_too_short",
		"ip_address=10.0.0.0/33":        "query_invalid ip_address/value_invalid",
		"q=a&q=b":                       "repeated_parameter q/repeated_parameter",
		"limit=1&limit=1":               "repeated_parameter limit/repeated_parameter",
		"cursor=a&cursor=b":             "repeated_parameter cursor/repeated_parameter",
		"start_time=now&start_time=now": "repeated_parameter start_time/repeated_parameter",
		"service=":                      "query_invalid service/value_missing",
		"service=!":                     "query_invalid service/value_missing",
		"service=*":                     "query_too_expensive service/prefix_too_short",
		"service=a*":                    "query_too_expensive service/prefix_too_short",
		"severity=loud":                 "query_invalid severity/value_invalid",
		"severity=WARN*":                "query_invalid severity/prefix_not_allowed",
		"min_severity=!WARN":            "query_invalid min_severity/value_invalid",
		"ip_address=x":                  "query_invalid ip_address/value_invalid",
		"id=x":                          "query_invalid id/value_invalid",
		"q=(":                           "query_invalid q/paren_open",
		"q=*a":                          "query_too_expensive q/wildcard_misplaced",
		"q=_source:(x":                  "query_invalid q/paren_open",
		"search=--":                     "query_invalid search/no_text",
		"limit=0":                       "limit_invalid limit/limit_invalid",
		"limit=-1":                      "limit_invalid limit/limit_invalid",
		"limit=1001":                    "limit_invalid limit/limit_invalid",
		"limit=1e3":                     "limit_invalid limit/limit_invalid",
		"limit=%D9%A1%D9%A0":            "limit_invalid limit/limit_invalid",
		"limit=99999999999999999999":    "limit_invalid limit/limit_invalid",
		"limit=+10":                     "limit_invalid limit/limit_invalid",
		"limit=%2B10":                   "limit_invalid limit/limit_invalid",
		"limit=":                        "limit_invalid limit/limit_invalid",
		"skip=10001":                    "skip_invalid skip/skip_invalid",
		"skip=-1":                       "skip_invalid skip/skip_invalid",
		"sort=message":                  "sort_not_allowed sort/sort_not_allowed",
		"sort=_script":                  "sort_not_allowed sort/sort_not_allowed",
		"sort=":                         "sort_not_allowed sort/sort_not_allowed",
		"sort=timestamp,id":             "sort_not_allowed sort/sort_not_allowed",
		"total=all":                     "total_invalid total/total_invalid",
		"audit=all":                     "audit_invalid audit/audit_invalid",
		"audit=only&audit=only":         "repeated_parameter audit/repeated_parameter",
		"cursor=":                       "cursor_invalid cursor/cursor_invalid",
		"cursor=x&skip=0":               "query_invalid skip/cursor_with_skip",
		"start_time=2026-11-02&end_time=2026-11-01":  "range_invalid start_time/range_invalid",
		"start_time=now-1e9y":                        "range_invalid start_time/range_invalid",
		"start_time=now-9999999999w":                 "range_invalid start_time/range_invalid",
		"start_time=now-60y":                         "range_invalid start_time/range_invalid",
		"start_time=now-m":                           "range_invalid start_time/range_invalid",
		"start_time=now%2B1h":                        "range_invalid start_time/range_invalid",
		"start_time=":                                "range_invalid start_time/range_invalid",
		"start_time=1700000000":                      "range_invalid start_time/range_invalid",
		"start_time=2026-11-01T00:00:00+01:00":       "range_invalid start_time/range_invalid",
		"start_time=2026-11-01T00:00:00":             "range_invalid start_time/range_invalid",
		"start_time=2026-11-01T24:00:00Z":            "range_invalid start_time/range_invalid",
		"start_time=2026-11-01T00:00:60Z":            "range_invalid start_time/range_invalid",
		"start_time=2026-11-01T00:00:00,5Z":          "range_invalid start_time/range_invalid",
		"start_time=2026-11-01T00:00:00%2B99:99":     "range_invalid start_time/range_invalid",
		"start_time=2026-11-01T00:00:00.1234567891Z": "range_invalid start_time/range_invalid",
		"start_time=2026-11-01T0:00:00Z":             "range_invalid start_time/range_invalid",
		"start_time=2026-11-01t00:00:00z":            "range_invalid start_time/range_invalid",
		"start_time=2026-02-30":                      "range_invalid start_time/range_invalid",
		"start_time=1969-12-31":                      "range_invalid start_time/range_invalid",
		"end_time=2262-01-01":                        "range_invalid end_time/range_invalid",
		"end_time=9999-12-31T23:59:59Z":              "range_invalid end_time/range_invalid",
		"start_time=0001-01-01T00:00:00Z":            "range_invalid start_time/range_invalid",
		strings.Join(many, "&"):                      "query_too_expensive /too_many_terms",
		"service=a&q=" + strings.Repeat("a+", 64):    "query_too_expensive /too_many_terms",
		"q=" + strings.Repeat("a+", 65):              "query_too_expensive q/too_many_terms",
		"foo=1&limit=x&q=servce:a+(&service=":        "validation_failed foo/unknown_parameter service/value_missing q/unknown_field q/paren_open limit/limit_invalid",
		"q=metadata.x:>a+p*&limit=5&sort=timestamp":  "query_invalid q/value_invalid q/prefix_too_short",
	} {
		t.Run(raw[:min(len(raw), 60)], func(t *testing.T) {
			_, err := ask(raw)
			f := asFault(t, err)
			got := f.Code
			for _, p := range f.Problems {
				got += " " + p.Pointer + "/" + p.Code
			}
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestFromParamsSaysWhatWasProbablyMeant(t *testing.T) {
	for raw, hint := range map[string]string{"servise=x": "service?", "ip=x": "ip_address?", "start=x": "start_time?", "curser=x": "cursor?"} {
		_, err := ask(raw)
		if p := asFault(t, err).Problems[0]; !strings.Contains(p.Message, "did you mean "+hint) {
			t.Errorf("%s: %q, want %s", raw, p.Message, hint)
		}
	}
}

func TestADetailNamesTheParameter(t *testing.T) {
	for raw, begins := range map[string]string{
		"start_time=now-1h&end_time=x": "end_time: a time is RFC 3339", "sort=x": "sort: the order is", "severity=x": "severity: a severity is",
		"limit=x": "limit is a", "start_time=now&end_time=now-1h": "start_time is after", "q=servce:x": "there is no field", "%3C=x": "there is no such parameter",
	} {
		_, err := ask(raw)
		if f := asFault(t, err); !strings.HasPrefix(f.Detail, begins) {
			t.Errorf("%s: %q", raw, f.Detail)
		}
	}
}

func TestFromParamsStopsAtAHundredProblems(t *testing.T) {
	var raw []string
	for i := range 500 {
		raw = append(raw, fmt.Sprintf("x%d=1", i))
	}
	_, err := ask(strings.Join(raw, "&"))
	if f := asFault(t, err); len(f.Problems) != query.MaxProblems || !f.Truncated {
		t.Errorf("%d problems, truncated %v", len(f.Problems), f.Truncated)
	}
}

func TestNoAnswerRepeatsWhatWasSent(t *testing.T) {
	for _, raw := range []string{"q=canary:1", "q=severity:canary", "service=", "canary%00%3C=1", "sort=canary", "limit=canary", "q=has:canary",
		"start_time=canary", "q=%22canary", "q=timestamp:canary", "search=canary+-", "cursor=", "q=canary:", "id=canary"} {
		_, err := ask(raw)
		f := asFault(t, err)
		if s := fmt.Sprint(f.Detail, f.Problems); strings.Contains(s, "canary") {
			t.Errorf("%s: %s", raw, s)
		}
	}
}

func TestParseRawQuery(t *testing.T) {
	for raw, want := range map[string]map[string][]string{
		"":                       {},
		"&":                      {},
		"a=1&a=2&b":              {"a": {"1", "2"}, "b": {""}},
		"a+b=c+d%2B&%61=%C3%A9=": {"a b": {"c d+"}, "a": {"é="}},
		"q=%3B":                  {"q": {";"}},
	} {
		if got, err := query.ParseRawQuery(raw); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %q, %v, want %q", raw, got, err, want)
		}
	}
	for raw, item := range map[string]string{
		"a=1;b=2": "separator_invalid", "a=%zz": "escape_invalid", "a=%": "escape_invalid", "%2=1": "escape_invalid",
		"a=%ff": "utf8_invalid", "a=\xff": "utf8_invalid", "%c0%80=1": "utf8_invalid",
		strings.Repeat("a=1&", 1000) + "a=1": "too_many_parameters",
	} {
		_, err := query.ParseRawQuery(raw)
		if f := asFault(t, err); f.Code != "query_invalid" || f.Problems[0].Code != item {
			t.Errorf("%.20s: got %+v, want %s", raw, f, item)
		}
	}
}

func TestFingerprint(t *testing.T) {
	for name, c := range map[string]struct {
		a, b string
		same bool
	}{
		"the piece asked for does not count":    {"q=a&limit=5&total=exact", "q=a&limit=7", true},
		"the order of filters does not count":   {"service=a&action=b&service=c", "service=c&service=a&action=b", true},
		"nor that of words":                     {"q=a+b+OR+c", "q=c+OR+b+AND+a", true},
		"nor white space":                       {"q=a++b", "q=a+b+", true},
		"another word":                          {"q=a", "q=b", false},
		"another order of the result":           {"q=a", "q=a&sort=timestamp", false},
		"words are no phrase":                   {"q=a+b", "q=%22a+b%22", false},
		"a word is no field's":                  {"q=a", "q=message:a", false},
		"a value is no prefix":                  {"service=ab", "service=ab*", false},
		"AND is not OR":                         {"q=a+b", "q=a+OR+b", false},
		"NOT counts":                            {"service=a", "service=!a", false},
		"no question is not nothing":            {"", "q=-*", false},
		"times count":                           {"start_time=2026-11-01", "start_time=2026-11-02", false},
		"the ends of a range are not the same":  {"start_time=2026-11-01", "end_time=2026-11-01", false},
		"a day is the range of a day":           {"start_time=2026-11-01&end_time=2026-11-02", "q=timestamp:2026-11-01", true},
		"a time by the clock is not another":    {"start_time=now-1h", "start_time=now-2h", false},
		"a time by the clock is not an instant": {"start_time=now-12h", "start_time=2026-11-23T00:00:00.000000005Z", false},
	} {
		t.Run(name, func(t *testing.T) {
			a, errA := ask(c.a)
			b, errB := ask(c.b)
			if errA != nil || errB != nil {
				t.Fatal(errA, errB)
			}
			if same := a.Fingerprint() == b.Fingerprint(); same != c.same {
				t.Errorf("same is %v, want %v", same, c.same)
			}
		})
	}
}

func TestFingerprintOfATimeByTheClockStays(t *testing.T) {
	for _, v := range []query.Params{
		{"start_time": {"now-15m"}}, {"start_time": {"2026-11-01"}, "end_time": {"now"}}, {"q": {"timestamp:now-3d"}},
	} {
		a, errA := query.FromParams(v, now)
		b, errB := query.FromParams(v, now.Add(time.Minute))
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if a.Fingerprint() != b.Fingerprint() || reflect.DeepEqual(a, b) {
			t.Errorf("%v: %+v and %+v", v, a, b)
		}
	}
}

// FuzzParams checks that what is read strictly is what net/url reads, and that no question is out of bounds.
func FuzzParams(f *testing.F) {
	for _, s := range []string{"q=a+-b&service=x&service=!y*&limit=5", "start_time=now-15m&end_time=2026-12-01", "a=1;b=2", "%zz", "skip=1&cursor=x&sort=received_at&total=none"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		v, err := query.ParseRawQuery(raw)
		if err != nil {
			if !errors.As(err, new(*fault.Error)) {
				t.Fatal(err)
			}
			return
		}
		want, err := url.ParseQuery(raw)
		if err != nil || !reflect.DeepEqual(url.Values(v), want) {
			t.Fatalf("%q: got %q, want %q, %v", raw, v, want, err)
		}
		q, err := query.FromParams(v, now)
		if err != nil {
			for _, p := range asFault(t, err).Problems {
				if !utf8.ValidString(p.Pointer) || len(p.Pointer) > 64 {
					t.Errorf("pointer %q", p.Pointer)
				}
			}
			return
		}
		if q.Limit < 1 || q.Limit > query.MaxLimit || q.Skip < 0 || q.Skip > query.MaxSkip || q.After != nil {
			t.Errorf("%q: %+v", raw, q)
		}
		query.Match(q.Where, sample())
		if again, err := query.FromParams(v, now); err != nil || again.Fingerprint() != q.Fingerprint() {
			t.Errorf("%q is another question the second time: %v", raw, err)
		}
	})
}
