package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// line is an entry as the API answers it.
func line(text string) string {
	e := logentry.Entry{ID: logentry.KeyedID("acme", text, 0, nil), ReceivedAt: time.Unix(1, 0), Timestamp: time.Unix(1, 0), Severity: logentry.Info, Message: text, SchemaVersion: 1}
	b := logentry.AppendJSON(nil, &e)
	return string(b[:len(b)-1]) + `,"tenant_id":"acme","index_truncated":true}`
}

// asked serves answers by script, one a request, and keeps the requests.
type asked struct {
	*httptest.Server
	mu       sync.Mutex
	requests []*http.Request
}

func ask(t *testing.T, answers ...http.HandlerFunc) *asked {
	a := &asked{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		n := len(a.requests)
		a.requests = append(a.requests, r)
		a.mu.Unlock()
		if n >= len(answers) {
			t.Errorf("a request too many: %s", r.URL)
			w.WriteHeader(http.StatusForbidden)
			return
		}
		answers[n](w, r)
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *asked) all() []*http.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]*http.Request(nil), a.requests...)
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if status >= 400 {
			w.Header().Set("Content-Type", "application/problem+json")
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, body)
	}
}

func saysPage(next string, messages ...string) http.HandlerFunc {
	lines := make([]string, len(messages))
	for i, m := range messages {
		lines[i] = line(m)
	}
	return says(200, `{"data":[`+strings.Join(lines, ",")+`],"meta":{"pagination":{"total":null,"next_cursor":`+next+`}}}`)
}

func TestASearchGoesThroughAllPages(t *testing.T) {
	a := ask(t, saysPage(`"c1"`, "a", "b"), says(503, `{"code":"unavailable"}`), saysPage(`"c2"`, "c"), saysPage(`null`, "d"))
	q := Query{Q: "service:x", Filters: url.Values{"user_id": {"u1", "u2"}}, From: time.Unix(0, 0), To: time.Unix(9, 5), Sort: "timestamp", Page: 2}
	var have []string
	for e, err := range clientOf(t, a.URL).Search(soon(t), q) {
		must(t, err)
		have = append(have, e.Message)
	}
	if !reflect.DeepEqual(have, []string{"a", "b", "c", "d"}) {
		t.Errorf("found %q", have)
	}
	for i, cursor := range []string{"", "c1", "c1", "c2"} {
		want := url.Values{"q": {"service:x"}, "user_id": {"u1", "u2"}, "start_time": {"1970-01-01T00:00:00Z"}, "end_time": {"1970-01-01T00:00:09.000000005Z"},
			"sort": {"timestamp"}, "limit": {"2"}, "total": {"none"}}
		if cursor != "" {
			want.Set("cursor", cursor)
		}
		if have := a.all()[i].URL.Query(); !reflect.DeepEqual(have, want) {
			t.Errorf("request %d asks for %v, want %v", i, have, want)
		}
	}
}

func TestASearchThatIsLeftAsksForNoMore(t *testing.T) {
	a := ask(t, saysPage(`"c1"`, "a", "b"))
	for e, err := range clientOf(t, a.URL).Search(soon(t), Query{}) {
		if must(t, err); e.Message == "b" {
			break
		}
	}
}

func TestASearchEndsWithItsError(t *testing.T) {
	a := ask(t, saysPage(`"c1"`, "a"), says(400, `{"code":"query_syntax","detail":"column 3","errors":[{"pointer":"q","column":3,"code":"x","message":"y"}]}`))
	n, last := 0, error(nil)
	for _, err := range clientOf(t, a.URL).Search(soon(t), Query{}) {
		n, last = n+1, err
	}
	p, ok := errors.AsType[*Problem](last)
	if n != 2 || !ok || p.Status != 400 || p.Code != "query_syntax" || p.Errors[0].Column != 3 {
		t.Errorf("%d, %v", n, last)
	}
}

func TestGet(t *testing.T) {
	id := logentry.KeyedID("acme", "a", 0, nil)
	a := ask(t, says(200, `{"data":`+line("a")+`,"meta":{}}`), says(404, `{"code":"entry_not_found"}`), says(200, `<html>`))
	c := clientOf(t, a.URL+"/logs/", func(c *Config) { c.Token, c.APIKey = "", "key" })
	e, err := c.Get(soon(t), id)
	if err != nil || e.ID != id || e.Message != "a" {
		t.Errorf("%+v, %v", e, err)
	}
	if r := a.all()[0]; r.URL.Path != "/logs/api/v1/logs/"+id.String() || r.Header.Get("X-API-Key") != "key" || r.Header.Get("Authorization") != "" {
		t.Errorf("asked %s, %v", r.URL, r.Header)
	}
	for _, code := range []string{"entry_not_found", "answer_invalid"} {
		_, err = c.Get(soon(t), id)
		if p, ok := errors.AsType[*Problem](err); !ok || p.Code != code {
			t.Errorf("want %s, have %v", code, err)
		}
	}
}

// events is a stream that says text, and then ends or stays.
func events(stay bool, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprint(w, text)
		_ = http.NewResponseController(w).Flush()
		if stay {
			<-r.Context().Done()
		}
	}
}

func shown(id, text string) string {
	return "event: entry\nid: " + id + "\ndata: " + line(text) + "\n\n"
}

func TestATailGoesOnWhereItWas(t *testing.T) {
	a := ask(t,
		events(false, ": alive\nid: i0\n\n"+shown("i1", "a")+shown("i2", "b")+"event: entry\nid: i3\ndata: {\"id\""), // cut in the middle
		says(503, `{"code":"unavailable"}`),
		events(false, ": alive\n\nevent: gap\ndata: {\"from\":\"2026-01-01T00:00:00Z\",\"to\":\"2026-01-01T00:00:09Z\"}\n\nevent: skipped\ndata: {\"count\":7}\n\nevent: new\ndata: x\n\n"),
		events(true, shown("i9", "c")),
	)
	var have []string
	for e, err := range clientOf(t, a.URL).Tail(soon(t), Query{Q: "x", After: "i"}) {
		must(t, err)
		switch {
		case e.Entry != nil:
			have = append(have, e.ID+" "+e.Entry.Message)
		case e.Gap != nil:
			have = append(have, "gap "+e.Gap.To.Sub(e.Gap.From).String())
		default:
			have = append(have, fmt.Sprint("skipped ", e.Skipped))
		}
		if e.ID == "i9" {
			break
		}
	}
	if want := []string{"i1 a", "i2 b", "gap 9s", "skipped 7", "i9 c"}; !reflect.DeepEqual(have, want) {
		t.Errorf("have %q, want %q", have, want)
	}
	for i, last := range []string{"i", "i2", "i2", "i2"} {
		if r := a.all()[i]; r.Header.Get("Last-Event-ID") != last || r.URL.RawQuery != "q=x" {
			t.Errorf("request %d goes on behind %q: %s", i, r.Header.Get("Last-Event-ID"), r.URL)
		}
	}
}

// A connection that was cut without noticing is made again.
func TestATailDoesNotWaitForASilentStream(t *testing.T) {
	a := ask(t, events(true, shown("i1", "a")), events(true, shown("i2", "b")))
	c := clientOf(t, a.URL)
	c.quiet = 50 * time.Millisecond
	last := ""
	for e, err := range c.Tail(soon(t), Query{}) {
		must(t, err)
		if last = e.Entry.Message; last == "b" {
			break
		}
	}
	if r := a.all()[1]; last != "b" || r.Header.Get("Last-Event-ID") != "i1" {
		t.Errorf("%q last, asked again behind %q", last, r.Header.Get("Last-Event-ID"))
	}
}

func TestATailEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for name, c := range map[string]struct {
		answers []http.HandlerFunc
		is      func(error) bool
	}{
		"when it is refused": {[]http.HandlerFunc{events(false, shown("i1", "a")), says(403, `{"code":"insufficient_role"}`)},
			func(err error) bool {
				p, ok := errors.AsType[*Problem](err)
				return ok && p.Code == "insufficient_role"
			}},
		"when it is no stream of entries": {[]http.HandlerFunc{events(true, shown("i1", "a")+"event: entry\ndata: x\n\n")},
			func(err error) bool { p, ok := errors.AsType[*Problem](err); return ok && p.Code == "answer_invalid" }},
		"with its context": {[]http.HandlerFunc{events(true, shown("i1", "end"))},
			func(err error) bool { return errors.Is(err, context.Canceled) }},
	} {
		n, last := 0, error(nil)
		for e, err := range clientOf(t, ask(t, c.answers...).URL).Tail(ctx, Query{}) {
			if n, last = n+1, err; e.Entry != nil && e.Entry.Message == "end" {
				cancel()
			}
		}
		if n != 2 || !c.is(last) {
			t.Errorf("it ends %s: %d, %v", name, n, last)
		}
		ctx, cancel = context.WithCancel(t.Context())
		defer cancel()
	}
}
