//go:build e2e

package differential

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// page is what a search answers.
type page struct {
	Data []json.RawMessage `json:"data"`
	Meta struct {
		Source     string                     `json:"source"`
		Highlights map[string]json.RawMessage `json:"highlights"`
		Pagination struct {
			Total    *int64  `json:"total"`
			Relation *string `json:"relation"`
			Next     *string `json:"next_cursor"`
			Size     int     `json:"size"`
			Page     *int    `json:"page"`
		} `json:"pagination"`
	} `json:"meta"`
}

// head is the pagination without the cursor, which is each system's own.
func (p page) head() string {
	n := p.Meta.Pagination
	more := n.Next != nil
	b, _ := json.Marshal([]any{p.Meta.Source, n.Total, n.Relation, n.Size, n.Page, more, len(p.Data)})
	return string(b)
}

// stamps are what an entry is known and sorted by.
type stamps struct {
	ID         string    `json:"id"`
	Timestamp  time.Time `json:"timestamp"`
	ReceivedAt time.Time `json:"received_at"`
}

// entry is what a system keeps of an entry.
type entry struct {
	raw               []byte
	byTime, byReceipt place
}

// idOf is the id that an entry begins with.
func idOf(raw []byte) string {
	const before, length = len(`{"id":"`), 36
	if len(raw) < before+length {
		return ""
	}
	return string(raw[before : before+length])
}

func (w *twins) read(side int, raw json.RawMessage) (*entry, error) {
	var s stamps
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, err
	}
	label := w.ids.labelOf(side, s.ID)
	e := &entry{raw: raw, byTime: place{label, s.Timestamp.String(), sortKey(s.Timestamp.UnixNano(), s.ID)}, byReceipt: place{label, "receipt", sortKey(s.ReceivedAt.UnixNano(), s.ID)}}
	if s.Timestamp.Equal(s.ReceivedAt) {
		e.byTime.at = "receipt"
	}
	return e, nil
}

// outcome is what came of a question.
type outcome struct {
	refused bool
	code    string
	hits    int
	pages   int
	gte     bool // there were more than are counted
}

// ask asks both systems, page after page up to most, and compares. With keep it notes what they keep; without it they
// must answer what they keep.
func (w *twins) ask(ctx context.Context, q question, most int, keep bool) (o outcome) {
	targets := w.ids.targets(q.target())
	sort := q.first("sort")
	byReceipt := strings.HasSuffix(sort, "received_at")
	newest := sort == "" || strings.HasPrefix(sort, "-")
	var all [2][]place
	highlights := [2]map[int]string{{}, {}}
	var a [2]answer
	more := true
	for more && o.pages < most {
		var err error
		r := get(q.as, targets[0])
		if a, err = w.both(ctx, r, targets); err != nil {
			w.t.Errorf("%s: %v", q, err)
			return o
		}
		if o.pages == 0 && (keep || w.sampled.Add(1)%4 == 0) {
			w.api.check(w.t, "GET", "/api/v1/logs", a)
		}
		if words := sameHead(a); words != "" {
			w.report.differs(q, a, "page %d: %s", o.pages+1, words)
			return o
		}
		if a[0].status != http.StatusOK {
			if !sameProblem(a) {
				w.report.differs(q, a, "the problems differ")
			}
			o.refused, o.code = true, codeOf(a[0].body)
			return o
		}
		var p [2]page
		for side := range p {
			if err := json.Unmarshal(a[side].body, &p[side]); err != nil {
				w.t.Errorf("%s: %s: %v", q, sideNames[side], err)
				return o
			}
			if p[side].Meta.Source != "index" {
				w.t.Errorf("%s: %s answers from the %s", q, sideNames[side], p[side].Meta.Source)
			}
			for _, raw := range p[side].Data {
				kept := w.kepts[side][idOf(raw)]
				if kept == nil && keep {
					if kept, err = w.read(side, raw); err != nil {
						w.t.Error(err)
						return o
					}
					w.kepts[side][idOf(raw)] = kept
				}
				if kept == nil || !bytes.Equal(kept.raw, raw) {
					w.report.differs(q, a, "%s answers another entry than it keeps: %.300s", sideNames[side], raw)
					return o
				}
				at := kept.byTime
				if byReceipt {
					at = kept.byReceipt
				}
				all[side] = append(all[side], at)
			}
			for id, marked := range p[side].Meta.Highlights {
				highlights[side][w.ids.labelOf(side, id)] = string(marked)
			}
			if asked := p[side].Meta.Highlights != nil; asked != (q.first("highlight") == "true") {
				w.report.differs(q, a, "%s has highlights: %v", sideNames[side], asked)
			}
		}
		if x, y := p[0].head(), p[1].head(); x != y {
			w.report.differs(q, a, "page %d: source, total, relation, size, page, more, entries: %s and %s", o.pages+1, x, y)
			return o
		}
		n := p[0].Meta.Pagination
		o.gte = o.gte || n.Relation != nil && *n.Relation == "gte"
		if more = n.Next != nil && p[1].Meta.Pagination.Next != nil; more {
			for side := range p {
				params := make([][2]string, 0, len(q.params))
				for _, pair := range q.params {
					if pair[0] != "skip" {
						params = append(params, pair)
					}
				}
				targets[side] = question{q.as, params}.target("cursor=" + url.QueryEscape(*p[side].Meta.Pagination.Next))
			}
			targets[1] = w.ids.deployed(targets[1])
		}
		o.pages++
	}
	o.hits = len(all[0])
	if words := sameOrder(all[0], all[1], q.first("skip") != "", more); words != "" {
		w.report.differs(q, a, "%d pages: %s", o.pages, words)
	}
	for label, marked := range highlights[0] {
		if other, there := highlights[1][label]; !there && !more && len(all[0]) == len(all[1]) || there && other != marked {
			w.report.differs(q, a, "highlights of entry %d: %s and %s", label, marked, other)
		}
	}
	w.marked.Add(int64(len(highlights[0])))
	for side := range all {
		if !inOrder(all[side], newest) {
			w.report.differs(q, a, "%s is not in order, or has an entry twice", sideNames[side])
		}
		for _, p := range all[side] {
			if p.label < 0 {
				w.report.differs(q, a, "%s finds an entry that was never acknowledged", sideNames[side])
				break
			}
		}
	}
	return o
}

// cursors asks with cursors that are not those of the question, or were touched.
func (w *twins) cursors(ctx context.Context) (n int) {
	next := func(as, params string) (c [2]string) {
		a, err := w.both(ctx, get(as, single+"?"+params), [2]string{single + "?" + params, single + "?" + params})
		if err != nil {
			w.t.Fatal(err)
		}
		for side := range a {
			var p page
			if err := json.Unmarshal(a[side].body, &p); err != nil || p.Meta.Pagination.Next == nil {
				w.t.Fatalf("%s: no cursor in %.300s", sideNames[side], a[side].body)
			}
			c[side] = *p.Meta.Pagination.Next
		}
		return c
	}
	own := next("acme", "limit=3")
	for _, c := range []struct {
		as, params string
		change     func(string) string
		want       int
	}{
		{"acme", "limit=3", nil, 200}, {"acme", "limit=7", nil, 200}, {"acme", "limit=7&total=none", nil, 200}, {"acme", "limit=3&sort=timestamp", nil, 400}, {"acme", "limit=3&q=payment", nil, 400}, {"acme", "limit=3&skip=0", nil, 400}, {"zeta", "limit=3", nil, 400},
		{"both", "limit=3", nil, 400}, {"acme", "limit=3", func(s string) string { return s[:len(s)-1] }, 400}, {"acme", "limit=3", func(s string) string { return s + "A" }, 400}, {"acme", "limit=3", func(s string) string { return "B" + s[1:] }, 400},
		{"acme", "limit=3", func(s string) string { return s + "&cursor=" + s }, 400}, {"acme", "limit=3", func(s string) string { return strings.ToLower(s) }, 400},
	} {
		var targets [2]string
		for side, cursor := range own {
			if c.change != nil {
				cursor = c.change(cursor)
			}
			targets[side] = single + "?" + c.params + "&cursor=" + cursor
		}
		r := get(c.as, targets[0])
		a, err := w.both(ctx, r, targets)
		if err != nil {
			w.t.Fatal(err)
		}
		w.api.check(w.t, "GET", "/api/v1/logs", a)
		n++
		if words := sameHead(a); words != "" || a[0].status >= 400 && !sameProblem(a) {
			w.report.differs(r, a, "with a cursor: %s", words)
		}
		if a[0].status != c.want {
			w.report.differs(r, a, "want %d", c.want)
		}
	}
	return n
}
