package client

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// Query is what is looked for. The zero Query finds everything.
type Query struct {
	Q       string     // in the query language, such as `service:billing severity:>=ERROR "card declined"`
	Filters url.Values // further parameters of a search, such as service or trace_id: repeated values are alternatives
	From    time.Time  // the least timestamp; zero: any
	To      time.Time  // timestamps are before it; zero: any
	Sort    string     // of Search: -timestamp (default), timestamp, -received_at, received_at
	Page    int        // of Search: entries in a request; default 500, at most 1,000
	After   string     // of Tail: the ID of the event behind which it goes on; empty: what comes from now on
}

func (q Query) params() url.Values {
	v := url.Values{}
	for name, values := range q.Filters {
		v[name] = values
	}
	set := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	set("q", q.Q)
	if !q.From.IsZero() {
		set("start_time", q.From.UTC().Format(time.RFC3339Nano))
	}
	if !q.To.IsZero() {
		set("end_time", q.To.UTC().Format(time.RFC3339Nano))
	}
	return v
}

func (q Query) searchParams() url.Values {
	v := q.params()
	v.Set("total", "none")
	v.Set("limit", strconv.Itoa(pageOf(q)))
	if q.Sort != "" {
		v.Set("sort", q.Sort)
	}
	return v
}

// Search finds entries, page by page as the loop goes on: each entry that existed when it began once, also while others
// are written. After an error there is nothing more. A request that fails in passing is tried again.
func (c *Client) Search(ctx context.Context, q Query) iter.Seq2[logentry.Entry, error] {
	return func(yield func(logentry.Entry, error) bool) {
		for p, err := range c.pages(ctx, q.searchParams()) {
			if err != nil {
				yield(logentry.Entry{}, err)
				return
			}
			for _, text := range p.Data {
				e, err := entryOf(text)
				if !yield(e, err) || err != nil {
					return
				}
			}
		}
	}
}

// page is an answer to a search.
type page struct {
	Data []json.RawMessage `json:"data"`
	Meta struct {
		Highlights map[string][]place `json:"highlights"` // by the entries' ids
		Truncated  bool               `json:"highlights_truncated"`
		Pagination struct {
			Next string `json:"next_cursor"`
		} `json:"pagination"`
	} `json:"meta"`
}

// pages asks for one page after the other, until there is no further one or the first error.
func (c *Client) pages(ctx context.Context, params url.Values) iter.Seq2[*page, error] {
	return func(yield func(*page, error) bool) {
		for {
			var p page
			err := c.get(ctx, "/api/v1/logs?"+params.Encode(), &p)
			if !yield(&p, err) || err != nil || p.Meta.Pagination.Next == "" {
				return
			}
			params.Set("cursor", p.Meta.Pagination.Next)
		}
	}
}

func pageOf(q Query) int {
	if q.Page <= 0 {
		return 500
	}
	return min(q.Page, 1000)
}

// Get is one entry, as soon as it was accepted and recorded. One that is not there, or another tenant's, is a *Problem
// of status 404.
func (c *Client) Get(ctx context.Context, id logentry.ID) (logentry.Entry, error) {
	var answer struct {
		Data json.RawMessage `json:"data"`
	}
	if err := c.get(ctx, "/api/v1/logs/"+id.String(), &answer); err != nil {
		return logentry.Entry{}, err
	}
	return entryOf(answer.Data)
}

func (c *Client) get(ctx context.Context, path string, answer any) error {
	return c.again(ctx, func() error { return c.try(ctx, http.MethodGet, path, nil, nil, http.StatusOK, answer) })
}

// entryOf reads an entry as the API answers it. What a newer service adds to entries is left out.
func entryOf(text []byte) (logentry.Entry, error) {
	r, err := logentry.ParseRecord(text)
	if err != nil {
		return logentry.Entry{}, fmt.Errorf("client: an entry of the answer: %w", err)
	}
	return r.Entry, nil
}
