package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/bigquery"
	"github.com/ocelot-log/ocelot/internal/bigquery/bigquerytest"
	formats "github.com/ocelot-log/ocelot/internal/export"
)

// recordedService gives entries in the order in which they were recorded, as the service does.
type recordedService struct {
	t      *testing.T
	before func() // each request

	mu      sync.Mutex
	n       int          // entries
	removed map[int]bool // from the record
}

func (s *recordedService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.before != nil {
		s.before()
	}
	q := r.URL.Query()
	if q.Get("format") == "bigquery-schema" {
		var columns []string
		if q.Get("columns") != "" {
			columns = strings.Split(q.Get("columns"), ",")
		}
		b, err := formats.Schema(columns)
		if err != nil {
			s.t.Error(err)
		}
		_, _ = w.Write(b)
		return
	}
	if r.URL.Path != "/api/v1/logs/export" || q.Get("format") != "bigquery" || q.Get("sort") != "recorded" {
		s.t.Errorf("it is asked %s", r.URL)
	}
	place := func(name string, otherwise int) int {
		v, ok := strings.CutPrefix(q.Get(name), "place-")
		if q.Get(name) == "" {
			return otherwise
		}
		at, err := strconv.Atoi(v)
		if err != nil || !ok {
			s.t.Errorf("%s is %q", name, q.Get(name))
		}
		return at
	}
	from, to := place("cursor", 0), place("until", s.n)
	if from > s.n {
		refuse(w, 400, `{"code":"cursor_invalid","detail":"the record does not reach up to this place"}`)
		return
	}
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil {
		s.t.Error(err)
	}
	var b strings.Builder
	rows := 0
	for ; from < to && rows < limit; from++ {
		if !s.removed[from] {
			fmt.Fprintf(&b, `{"id":"%d","tenant_id":"acme","received_at":"2026-01-02T03:04:05Z","timestamp":"2026-01-02T03:04:05.5Z","severity":"INFO","message":"m","schema_version":1,"changes":["a"],"metadata":{"n":1.50}}`+"\n", from)
			rows++
		}
	}
	h := w.Header()
	h.Set("Trailer", "X-Export-Rows, X-Export-Sha256, X-Export-Next-Cursor, X-Export-Place")
	_, _ = io.WriteString(w, b.String())
	hash := sha256.Sum256([]byte(b.String()))
	h.Set("X-Export-Rows", strconv.Itoa(rows))
	h.Set("X-Export-Sha256", hex.EncodeToString(hash[:]))
	h.Set("X-Export-Place", fmt.Sprintf("place-%d", from))
	if from < to {
		h.Set("X-Export-Next-Cursor", fmt.Sprintf("place-%d", from))
	}
}

// loadInto runs export bigquery into the table t: four entries a request, about three requests a job.
func loadInto(ctx context.Context, t *testing.T, s *recordedService, to *bigquerytest.Server, change func(*loadOptions)) (loaded int64, err error) {
	t.Helper()
	s.t = t
	server := httptest.NewServer(s)
	defer server.Close()
	o := loadOptions{table: bigquery.Table{Project: "p", Dataset: "d", Name: "t"}, partition: "day", endpoint: to.URL}
	if change != nil {
		change(&o)
	}
	params, err := o.asked("x")
	if err != nil {
		return 0, err
	}
	bq, err := bigquery.New(ctx, o.endpoint, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}})
	if err != nil {
		return 0, err
	}
	bq.Pause = func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	l := &loading{c: &client{URL: server.URL, Token: "x", HTTP: server.Client()}, bq: bq, o: o, params: params, part: 4, most: 1800}
	if err = l.run(ctx); err != nil {
		err = l.broken(ctx, err)
	}
	return l.loaded, err
}

func TestALoadDoesNotGoByTheClock(t *testing.T) {
	for name, c := range map[string]struct {
		query, start, end string
		part              string // named in the refusal; empty: there is none
	}{
		"the last day":          {"service:billing timestamp:>=now-1d", "", "", "timestamp:[now-1d TO *] goes by the clock"},
		"deep in the query":     {"a OR NOT (b received_at:[2026-01-01 TO now])", "", "", "received_at:[2026-01-01 TO now] goes by the clock"},
		"in --start":            {"", "now-1h", "", "timestamp:[now-1h TO *}"},
		"in --end":              {"", "", "now", "timestamp:[* TO now}"},
		"times that are there":  {"now timestamp:>=2026-01-01 message:now", "2026-01-01T00:00:00Z", "2027-01-01", ""},
		"nothing":               {"", "", "", ""},
		"what the service says": {"(", "", "", ""},
	} {
		o := loadOptions{table: bigquery.Table{Project: "p", Dataset: "d", Name: "t"}, partition: "day", searchOptions: searchOptions{start: c.start, end: c.end}}
		_, err := o.asked(c.query)
		if c.part == "" && err != nil || c.part != "" && (err == nil || !strings.Contains(err.Error(), c.part) || !strings.Contains(err.Error(), "Write the time out")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// wantLoaded fails where the table does not have each entry of 0 … n-1 once, but for what is left out.
func wantLoaded(t *testing.T, to *bigquerytest.Server, n int, without map[int]bool) {
	t.Helper()
	times := map[any]int{}
	for _, row := range to.Rows("t") {
		times[row["id"]]++
	}
	for i := range n {
		want := 1
		if without[i] {
			want = 0
		}
		if times[strconv.Itoa(i)] != want {
			t.Fatalf("entry %d is there %d times, of %d rows", i, times[strconv.Itoa(i)], len(to.Rows("t")))
		}
	}
	state, _, ok, err := stateOf(fmt.Sprint(to.Table("t")["description"]))
	if err != nil || !ok || state.Pending != nil || state.Place != fmt.Sprintf("place-%d", n) || int(state.Rows) != len(to.Rows("t")) {
		t.Fatalf("it says %+v %v", state, err)
	}
}

func TestALoadTakesUpWhereTheLastOneEnded(t *testing.T) {
	to, s := bigquerytest.New(t), &recordedService{n: 50}
	to.Looks = 2
	for _, n := range []int{50, 50, 51, 90} {
		before := len(to.Rows("t"))
		s.n = n
		loaded, err := loadInto(t.Context(), t, s, to, nil)
		if err != nil || int(loaded) != n-before {
			t.Fatalf("%d loaded, want %d: %v", loaded, n-before, err)
		}
		wantLoaded(t, to, n, nil)
	}
	table := to.Table("t")
	if fields := table["schema"].(map[string]any)["fields"].([]any); len(fields) != 23 {
		t.Errorf("it has %d columns", len(fields))
	}
	if cut := fmt.Sprint(table["timePartitioning"]); cut != "map[field:timestamp type:DAY]" {
		t.Errorf("it is cut by %s", cut)
	}
	jobs := 0
	for _, kind := range to.Seen() {
		if kind == "session" {
			jobs++
		}
	}
	if jobs != 5+0+1+4 { // of twelve entries each
		t.Errorf("%d jobs", jobs)
	}
}

// TestALoadThatWasKilledAnywhereHasEachEntryOnce ends a run at each of its requests, to either side: before the request has an
// effect, and after it had, without an answer. What comes after that goes on.
func TestALoadThatWasKilledAnywhereHasEachEntryOnce(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 3
	}
	for _, lost := range []bool{false, true} {
		for at := 1; ; at += step {
			to, s := bigquerytest.New(t), &recordedService{n: 14}
			var mu sync.Mutex // of what both services count
			killed := false
			for run := range 2 { // the second is killed too, at the same of its requests
				ctx, kill := context.WithCancel(t.Context())
				requests := 0
				count := func() bool {
					mu.Lock()
					defer mu.Unlock()
					if requests++; requests == at {
						killed = true
						kill()
						return true
					}
					return false
				}
				s.before = func() { count() }
				to.Before(func(string) (int, bool) {
					if count() {
						if lost {
							return 0, true
						}
						return http.StatusServiceUnavailable, false
					}
					return 0, false
				})
				_, err := loadInto(ctx, t, s, to, nil)
				kill()
				mu.Lock()
				if err != nil && !killed {
					t.Fatalf("run %d: %v", run, err)
				}
				mu.Unlock()
				s.n += 2
			}
			s.before = nil
			to.Before(nil)
			if _, err := loadInto(t.Context(), t, s, to, nil); err != nil {
				t.Fatalf("after being killed at request %d, answer lost %t: %v", at, lost, err)
			}
			wantLoaded(t, to, s.n, nil)
			if !killed {
				if at < 15 {
					t.Errorf("only %d requests were seen", at-1)
				}
				break
			}
		}
	}
}

func TestALoadGoesOnOverFailuresThatPass(t *testing.T) {
	for _, kind := range []string{"get", "create", "describe", "session", "put", "job"} {
		for _, lost := range []bool{false, true} {
			to, s := bigquerytest.New(t), &recordedService{n: 30}
			failures := map[string]int{}
			to.Before(func(k string) (int, bool) {
				if failures[k]++; k != kind || failures[k]%3 != 1 {
					return 0, false
				}
				if lost {
					return 0, true
				}
				return http.StatusServiceUnavailable, false
			})
			if _, err := loadInto(t.Context(), t, s, to, nil); err != nil {
				t.Fatalf("%s, answer lost %t: %v", kind, lost, err)
			}
			wantLoaded(t, to, 30, nil)
		}
	}
}

// A request that was under way when its sender was killed may come to something after it was asked for.
func TestALoadThatBeginsLateIsNotBegunTwice(t *testing.T) {
	to, s := bigquerytest.New(t), &recordedService{n: 30}
	ctx, kill := context.WithCancel(t.Context())
	to.Before(func(kind string) (int, bool) {
		if kind == "put" {
			kill()
		}
		return 0, kind == "put"
	})
	if _, err := loadInto(ctx, t, s, to, nil); err == nil || len(to.Rows("t")) == 0 {
		t.Fatalf("%d rows, %v", len(to.Rows("t")), err)
	}
	looks := 0
	to.Before(func(kind string) (int, bool) {
		if kind == "job" {
			if looks++; looks == 1 {
				return http.StatusNotFound, false
			}
		}
		return 0, false
	})
	if _, err := loadInto(t.Context(), t, s, to, nil); err != nil {
		t.Fatal(err)
	}
	wantLoaded(t, to, 30, nil)
}

func TestEntriesThatWereRemovedWhileALoadWasInterrupted(t *testing.T) {
	for name, removed := range map[string]map[int]bool{"some": {1: true, 7: true}, "all": {0: true, 1: true, 2: true, 3: true, 4: true, 5: true, 6: true, 7: true, 8: true, 9: true, 10: true, 11: true}} {
		to, s := bigquerytest.New(t), &recordedService{n: 30}
		ctx, kill := context.WithCancel(t.Context())
		to.Before(func(kind string) (int, bool) {
			if kind == "session" {
				kill()
				return http.StatusServiceUnavailable, false
			}
			return 0, false
		})
		if _, err := loadInto(ctx, t, s, to, nil); err == nil || !strings.Contains(err.Error(), "interrupted\nincomplete: 0 entries were loaded this time; the same command goes on") {
			t.Fatalf("%s: %v", name, err)
		}
		to.Before(nil)
		s.removed = removed
		if _, err := loadInto(t.Context(), t, s, to, nil); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		wantLoaded(t, to, 30, removed)
	}
}

func TestALoadThatBigQueryRefusesIsTriedAnewTheNextTime(t *testing.T) {
	to, s := bigquerytest.New(t), &recordedService{n: 30}
	strict := map[string]any{}
	to.Before(func(kind string) (int, bool) {
		if kind == "session" { // somebody adds a column that must not be empty
			to.Change("t", map[string]any{"schema": map[string]any{"fields": append(fieldsOf(to), map[string]any{"name": "extra", "type": "STRING", "mode": "REQUIRED"})}})
		}
		return 0, false
	})
	_, err := loadInto(t.Context(), t, s, to, nil)
	if err == nil || !strings.Contains(err.Error(), "BigQuery says invalid: missing required field: extra") {
		t.Fatal(err)
	}
	to.Before(nil)
	strict["fields"] = fieldsOf(to)[:23]
	to.Change("t", map[string]any{"schema": strict})
	if _, err := loadInto(t.Context(), t, s, to, nil); err != nil {
		t.Fatal(err)
	}
	wantLoaded(t, to, 30, nil)
}

func fieldsOf(to *bigquerytest.Server) []any {
	return to.Table("t")["schema"].(map[string]any)["fields"].([]any)
}

func TestTablesThatAreRefused(t *testing.T) {
	filled := func(t *testing.T) (*bigquerytest.Server, *recordedService) {
		to, s := bigquerytest.New(t), &recordedService{n: 10}
		if _, err := loadInto(t.Context(), t, s, to, nil); err != nil {
			t.Fatal(err)
		}
		return to, s
	}
	for name, c := range map[string]struct {
		spoil func(to *bigquerytest.Server, s *recordedService)
		with  func(*loadOptions)
		says  string
	}{
		"of another question": {nil, func(o *loadOptions) { o.audit = "include" }, "is of another question"},
		"with other columns":  {nil, func(o *loadOptions) { o.columns = "id,metadata.a" }, "other columns: metadata_a is missing"},
		"with rows of somebody else": {func(to *bigquerytest.Server, _ *recordedService) {
			to.Change("t", map[string]any{"description": "mine"})
		}, nil, "has rows, and its description does not say"},
		"whose line was damaged": {func(to *bigquerytest.Server, _ *recordedService) {
			to.Change("t", map[string]any{"description": loadMark + "{"})
		}, nil, "can't be read"},
		"of a record that is another": {func(_ *bigquerytest.Server, s *recordedService) { s.n = 5 }, nil, "does not know how far"},
		"whose job is forgotten": {func(to *bigquerytest.Server, _ *recordedService) {
			state, before, _, _ := stateOf(fmt.Sprint(to.Table("t")["description"]))
			state.Pending = &pendingLoad{Job: "gone", Until: "place-10", At: time.Now().Add(-loadForgotten - time.Hour)}
			to.Change("t", map[string]any{"description": state.describe(before)})
		}, nil, "no longer knows what became of it"},
		"that another run is loading": {func(to *bigquerytest.Server, s *recordedService) {
			s.n = 20
			changed := false
			to.Before(func(kind string) (int, bool) {
				if kind == "describe" && !changed {
					changed = true
					state, before, _, _ := stateOf(fmt.Sprint(to.Table("t")["description"]))
					state.Place = "place-11"
					to.Change("t", map[string]any{"description": state.describe(before)})
				}
				return 0, false
			})
		}, nil, "is another run loading it?"},
		"in a data set that is not there": {nil, func(o *loadOptions) { o.table.Dataset = "nothere" }, "make it first"},
		"without a name":                  {nil, func(o *loadOptions) { o.table.Name = "" }, "--table is missing"},
		"cut by weeks":                    {nil, func(o *loadOptions) { o.partition = "week" }, "none of hour, day"},
		"at no endpoint":                  {nil, func(o *loadOptions) { o.endpoint = "bigquery" }, "is no endpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			to, s := filled(t)
			if c.spoil != nil {
				c.spoil(to, s)
			}
			before := len(to.Rows("t"))
			if _, err := loadInto(t.Context(), t, s, to, c.with); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatal(err)
			}
			if len(to.Rows("t")) != before {
				t.Error("it was loaded into")
			}
		})
	}
}

func TestAnEmptyTableOfSomebodyElseKeepsItsDescription(t *testing.T) {
	to, s := bigquerytest.New(t), &recordedService{n: 3}
	if _, err := loadInto(t.Context(), t, &recordedService{}, to, nil); err != nil {
		t.Fatal(err)
	}
	to.Change("t", map[string]any{"description": "Made by the platform team."})
	if _, err := loadInto(t.Context(), t, s, to, nil); err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprint(to.Table("t")["description"]); !strings.HasPrefix(text, "Made by the platform team.\n\n"+loadWords+loadMark) {
		t.Errorf("%q", text)
	}
	wantLoaded(t, to, 3, nil)
}
