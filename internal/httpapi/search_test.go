package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/export"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// broken is an index that answers nothing but an error.
type broken struct{ err error }

func (b broken) Search(ctx context.Context, _ auth.Tenant, _ query.Query) (query.Page, error) {
	if errors.Is(b.err, context.DeadlineExceeded) {
		<-ctx.Done()
	}
	return query.Page{}, b.err
}

func (b broken) Stats(ctx context.Context, t auth.Tenant, q query.Query, _ search.StatsRequest) (search.Stats, error) {
	_, err := b.Search(ctx, t, q)
	return search.Stats{}, err
}

func (b broken) Ping(context.Context) error { return b.err }

func TestASearchFindsTheEntriesOfItsTenantOnly(t *testing.T) {
	w := newWorld(t)
	ids := w.put(t, "acme", logentry.Entry{Message: "card declined", Service: "billing"}, logentry.Entry{Message: "card accepted", Service: "billing"},
		logentry.Entry{Message: "started", Service: "boot"})
	w.put(t, "zeta", logentry.Entry{Message: "card declined", Service: "billing"})
	reader := authHeader(t, "acme", "reader")

	f := w.search(t, reader, "service=billing")
	if len(f.Data) != 2 || f.Data[0]["id"] != ids[1].String() || f.Data[1]["message"] != "card declined" || f.Data[0]["tenant_id"] != "acme" {
		t.Errorf("%+v", f.Data)
	}
	p := f.Meta.Pagination
	if f.Meta.Source != "index" || f.Meta.TookMS == nil || p.Total == nil || *p.Total != 2 || *p.Relation != "eq" || p.Next != nil || p.Size != 50 || p.Page == nil || *p.Page != 1 {
		t.Errorf("%+v", f.Meta)
	}
	if f := w.search(t, reader, "q=nothing"); f.Data == nil || len(f.Data) != 0 {
		t.Errorf("%+v", f)
	}
	if f := w.search(t, reader, "total=none&limit=1"); f.Meta.Pagination.Total != nil || f.Meta.Pagination.Relation != nil || f.Meta.Pagination.Next == nil {
		t.Errorf("%+v", f.Meta)
	}
	if f := w.search(t, reader, "limit=1&skip=2"); len(f.Data) != 1 || f.Data[0]["id"] != ids[0].String() || *f.Meta.Pagination.Page != 3 {
		t.Errorf("%+v", f)
	}
}

func TestAWalkByCursorSeesEachEntryOnce(t *testing.T) {
	w := newWorld(t)
	var entries []logentry.Entry
	at := time.Now().UTC().Truncate(time.Second)
	for i := range 25 {
		entries = append(entries, logentry.Entry{Message: fmt.Sprint("m", i), Timestamp: at.Add(time.Duration(i/10) * time.Second)})
	}
	w.put(t, "acme", entries...)
	seen, params := map[any]bool{}, url.Values{"limit": {"7"}, "sort": {"timestamp"}}
	pages := 0
	for {
		f := w.search(t, authHeader(t, "acme", "reader"), params.Encode())
		for _, e := range f.Data {
			if seen[e["id"]] {
				t.Errorf("%v twice", e["id"])
			}
			seen[e["id"]] = true
		}
		pages++
		if f.Meta.Pagination.Next == nil {
			break
		}
		params.Set("cursor", *f.Meta.Pagination.Next)
	}
	if len(seen) != 25 || pages != 4 {
		t.Errorf("%d entries on %d pages", len(seen), pages)
	}
}

// TestCursorsAreBound is G2, of the other questions, orders, tenants and principals.
func TestCursorsAreBound(t *testing.T) {
	w := newWorld(t)
	w.put(t, "acme", logentry.Entry{Message: "a"}, logentry.Entry{Message: "b"})
	both := authHeader(t, "acme,zeta", "reader")
	ask := func(slug, params string) answer {
		if slug == "somebody else" {
			return w.do(t, person(t, "eve", "acme", "reader"), http.MethodGet, "/api/v1/logs?"+params, "")
		}
		return w.do(t, both, http.MethodGet, "/api/v1/logs?"+params, "", "X-Tenant-ID", slug)
	}
	h := both.Clone()
	h.Set("X-Tenant-Id", "acme")
	next := *w.search(t, h, "limit=1").Meta.Pagination.Next
	for name, c := range map[string]struct {
		slug, params string
		code         string
	}{
		"the same question":           {"acme", "limit=1&cursor=" + next, ""},
		"the same in another size":    {"acme", "limit=2&cursor=" + next, ""},
		"another order":               {"acme", "sort=timestamp&cursor=" + next, "cursor_mismatch"},
		"another question":            {"acme", "q=a&cursor=" + next, "cursor_mismatch"},
		"another principal":           {"somebody else", "limit=1&cursor=" + next, "cursor_mismatch"},
		"another tenant":              {"zeta", "limit=1&cursor=" + next, "cursor_invalid"},
		"a cursor that was changed":   {"acme", "limit=1&cursor=B" + next[1:], "cursor_invalid"},
		"a cursor that was shortened": {"acme", "limit=1&cursor=" + next[1:], "cursor_invalid"},
	} {
		if a := ask(c.slug, c.params); a.problem().Code != c.code {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

func TestTheRecordAnswersWhileTheIndexIsDown(t *testing.T) {
	down := fault.New(fault.Unavailable, "index_down", "")
	w := newWorld(t, func(p *parts) { p.reading.Index = broken{down} })
	ids := w.put(t, "acme", logentry.Entry{Message: "x", Service: "billing"}, logentry.Entry{Message: "y", Service: "boot"})
	f := w.search(t, authHeader(t, "acme", "reader"), "service=billing")
	if f.Meta.Source != "record" || len(f.Data) != 1 || f.Data[0]["id"] != ids[0].String() {
		t.Errorf("%+v", f)
	}
}

// TestFailingSearches is F8, as far as it is the API's: what stops the search in the cluster is tested with the index.
func TestFailingSearches(t *testing.T) {
	for name, c := range map[string]struct {
		err    error
		status int
		code   string
	}{
		"a bug of the index is not hidden": {errors.New("secret"), 500, "internal"},
		"a search that takes too long":     {context.DeadlineExceeded, 504, "search_timeout"},
		"a search that says so itself":     {fault.New(fault.Timeout, "search_timeout", ""), 504, "search_timeout"},
	} {
		w := newWorld(t, func(p *parts) { p.reading.Index, p.cfg.SearchTimeout = broken{c.err}, 20*time.Millisecond })
		if a := w.do(t, authHeader(t, "acme", "reader"), http.MethodGet, "/api/v1/logs", ""); a.status != c.status || a.problem().Code != c.code {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

func TestOneEntry(t *testing.T) {
	w := newWorld(t)
	ids := w.put(t, "acme", logentry.Entry{Message: "x", Metadata: []byte(`{"big":12345678901234567890,"tiny":0.1000}`)})
	mine := w.do(t, authHeader(t, "acme", "reader"), http.MethodGet, "/api/v1/logs/"+ids[0].String(), "")
	if mine.status != http.StatusOK || !bytes.HasPrefix(mine.body, []byte(`{"data":{"id":"`+ids[0].String()+`","tenant_id":"acme","received_at":"`)) ||
		!bytes.Contains(mine.body, []byte(`"metadata":{"big":12345678901234567890,"tiny":0.1000}`)) || !bytes.HasSuffix(mine.body, []byte(`},"meta":{}}`)) {
		t.Errorf("%d %s", mine.status, mine.body)
	}
	id := []string{"X-Request-ID", "same"}
	other := authHeader(t, "zeta", "reader")
	foreign := w.do(t, other, http.MethodGet, "/api/v1/logs/"+ids[0].String(), "", id...)
	absent := w.do(t, other, http.MethodGet, "/api/v1/logs/"+w.ids.New(time.Now()).String(), "", id...)
	if foreign.status != http.StatusNotFound || !bytes.Equal(foreign.body, absent.body) || fmt.Sprint(foreign.header) != fmt.Sprint(absent.header) {
		t.Errorf("%d %s\n%d %s", foreign.status, foreign.body, absent.status, absent.body)
	}
}

func TestARecordWithoutItsIDIsDamage(t *testing.T) {
	for _, record := range []string{``, `{}`, `{"id":"0199c1f0"}`, `{"message":"0199c1f0-8a4e-7c3b-9f00-2f1d3c4b5a69","x":1}`} {
		if b, err := export.AppendEntry(nil, []byte(record), "acme"); fault.KindOf(err) != fault.Corrupt {
			t.Errorf("%s became %s, %v", record, b, err)
		}
	}
}

// FuzzSearch sends any query and any id: the answer is a page or a problem of the caller, never a failure of ours.
func FuzzSearch(f *testing.F) {
	w := newWorld(f)
	w.put(f, "acme", logentry.Entry{Message: "card declined", Service: "billing"})
	header := authHeader(f, "acme", "reader")
	for _, seed := range []string{"", "q=card", "q=service:billing+-x*", "a=1;b=2", "%zz", "limit=0", "cursor=abc", "start_time=now-1h&end_time=now", "q=%28a+OR+b%29", "service=!x&service=y*", "q=card+-x&highlight=true", "token=x"} {
		f.Add(seed, "0199c1f0-8a4e-7c3b-9f00-2f1d3c4b5a69")
	}
	f.Fuzz(func(t *testing.T, raw, id string) {
		for _, u := range []*url.URL{{Path: "/api/v1/logs", RawQuery: raw}, {Path: "/api/v1/logs/" + id}} {
			r := (&http.Request{Method: http.MethodGet, URL: u, RequestURI: u.RequestURI(), Header: header}).WithContext(t.Context())
			rec := newRecorder()
			w.Handler().ServeHTTP(rec, r)
			if rec.status >= 500 || rec.status < 200 {
				t.Errorf("%q: %d %s", u, rec.status, rec.body)
			}
			if problem := rec.header.Get("Content-Type") == "application/problem+json"; problem != (rec.status >= 400) {
				t.Errorf("%q: %d with %s", u, rec.status, rec.header.Get("Content-Type"))
			}
		}
	})
}
