package service

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Client speaks HTTP to a service, wherever it runs.
type Client struct {
	URL, Token string

	// Check, if set, sees every answer, and what it is to: the method, and the path with its query.
	Check func(method, target string, a Answer)
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends one request. Headers are Name: value pairs.
func (c Client) Do(ctx context.Context, method, path string, body []byte, headers ...string) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.URL+path, bytes.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	a := Answer{res.StatusCode, res.Header, b}
	if err == nil && c.Check != nil {
		c.Check(method, path, a)
	}
	return a, err
}

// Page is an answer of a search.
type Page struct {
	Data []map[string]any `json:"data"`
	Meta struct {
		Source     string `json:"source"`
		Pagination struct {
			Total    int64   `json:"total"`
			Relation string  `json:"relation"`
			Next     *string `json:"next_cursor"`
		} `json:"pagination"`
	} `json:"meta"`
}

// Search asks for one page.
func (c Client) Search(ctx context.Context, params url.Values) (Page, error) {
	var p Page
	a, err := c.Do(ctx, http.MethodGet, "/api/v1/logs?"+params.Encode(), nil)
	if err != nil {
		return p, err
	}
	if a.Status != http.StatusOK {
		return p, fmt.Errorf("search %s: status %d: %s", params.Encode(), a.Status, a.Body)
	}
	d := json.NewDecoder(bytes.NewReader(a.Body))
	d.UseNumber()
	return p, d.Decode(&p)
}

// Count is the exact number of entries that a search finds.
func (c Client) Count(ctx context.Context, params url.Values) (int64, error) {
	q := url.Values{"total": {"exact"}, "limit": {"1"}}
	for k, v := range params {
		q[k] = v
	}
	p, err := c.Search(ctx, q)
	return p.Meta.Pagination.Total, err
}

// Walk calls yield for every entry that a search finds, page by page.
func (c Client) Walk(ctx context.Context, params url.Values, yield func(map[string]any)) error {
	q := url.Values{"total": {"none"}, "limit": {"1000"}}
	for k, v := range params {
		q[k] = v
	}
	for {
		p, err := c.Search(ctx, q)
		if err != nil {
			return err
		}
		for _, e := range p.Data {
			yield(e)
		}
		if p.Meta.Pagination.Next == nil {
			return nil
		}
		q.Set("cursor", *p.Meta.Pagination.Next)
	}
}

// Eventually waits until check says true, and fails the test with its last words if it does not in time.
func Eventually(tb testing.TB, limit time.Duration, check func() (bool, string)) {
	tb.Helper()
	deadline := time.After(limit)
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		ok, words := check()
		if ok {
			return
		}
		select {
		case <-deadline:
			tb.Fatalf("not within %s: %s", limit, words)
		case <-poll.C:
		}
	}
}
