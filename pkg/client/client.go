// Package client sends entries to Ocelot and reads them.
//
// A Client starts nothing and holds nothing but its settings. It may be used by any number of goroutines.
//
// A Producer takes entries one by one and sends them in batches. What it promises:
//
//   - Every entry that Send took is acknowledged by the service, which means kept there, or given to OnError with the
//     reason. None is lost silently, as long as the process lives: the buffer is memory, and Flush or Close empties it.
//   - A batch is tried again with the same bytes and the same Idempotency-Key, so an answer that was lost, or a service
//     that was killed in the middle, stores nothing twice.
//   - An entry that the service refuses takes none of its neighbours with it: the others go out again as a new batch. A
//     batch that is too large, for a proxy or a limit of the tenant, goes out in halves.
//   - Memory is bounded: when the buffer is full, Send waits for room or for the end of its context.
//
// What it leaves to its caller: entries of different batches may arrive in any order, so what orders them is their
// timestamp, which Send sets where there is none. In two cases a neighbour of a refused entry may be stored twice, because
// new batches have new keys: where the service kept a batch, its answer was lost, and the next try of the batch is refused,
// say because an entry became too old in between; and where it kept a part of a batch before it came to an entry that is too
// large for its queue. Entries with an EventID are stored once even then.
//
// Search, SearchHits, Get and Tail read. All but Get are iterators: leaving the loop ends the requests behind them.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// Config says where the service is and who is calling.
type Config struct {
	// URL is the address of the service, such as https://logs.example.com; a path in it stands before those of the API.
	URL string

	// Token (a JWT) or APIKey are the credentials: exactly one of them. They stay what they are: a program that outlives
	// a token takes a key.
	Token  string
	APIKey string

	// Tenant is needed by credentials that are for several tenants. Empty leaves it to the credentials.
	Tenant string

	// HTTPClient sends the requests; default http.DefaultClient. Its Timeout and CheckRedirect are not used: Timeout here
	// bounds requests, and no redirect is followed, because credentials go to URL and nowhere else.
	HTTPClient *http.Client

	// Timeout is how long one try may take from its beginning to the end of its answer; default 30 s. A Tail is not bounded.
	Timeout time.Duration

	// RetryFor is how long a request is tried again after it failed first in passing: by an answer of 408, 429 or 5xx, or
	// without any, also where nothing listens. Default 5 min, negative without end, which leaves it to the context of a read
	// and to Close for what is sent.
	RetryFor time.Duration
}

// Client knows a service. New makes it.
type Client struct {
	base     string
	header   http.Header
	http     *http.Client
	timeout  time.Duration
	retryFor time.Duration
	quiet    time.Duration // of a Tail
}

// New checks the settings. It connects to nothing.
func New(cfg Config) (*Client, error) {
	u, err := url.Parse(cfg.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("client: URL is an address such as https://logs.example.com")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("client: URL has no credentials, no query and no fragment; credentials are Token or APIKey")
	case (cfg.Token == "") == (cfg.APIKey == ""):
		return nil, errors.New("client: exactly one of Token and APIKey is needed")
	case !sendable(cfg.Token) || !sendable(cfg.APIKey) || !sendable(cfg.Tenant):
		return nil, errors.New("client: Token, APIKey and Tenant have no white space around them and no control characters; is a newline at the end?")
	}
	c := &Client{base: strings.TrimRight(u.String(), "/"), header: http.Header{"User-Agent": {"ocelot-go"}}, timeout: cfg.Timeout, retryFor: cfg.RetryFor, quiet: maxQuiet}
	if cfg.Token != "" {
		c.header.Set("Authorization", "Bearer "+cfg.Token)
	} else {
		c.header.Set("X-API-Key", cfg.APIKey)
	}
	if cfg.Tenant != "" {
		c.header.Set("X-Tenant-ID", cfg.Tenant)
	}
	own := http.Client{}
	if cfg.HTTPClient != nil {
		own = *cfg.HTTPClient
	}
	own.Timeout = 0
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.http = &own
	if c.timeout <= 0 {
		c.timeout = 30 * time.Second
	}
	if c.retryFor == 0 {
		c.retryFor = 5 * time.Minute
	}
	return c, nil
}

// sendable says whether a header can have the value.
func sendable(value string) bool {
	return value == strings.TrimSpace(value) && !strings.ContainsFunc(value, unicode.IsControl)
}

// String is the address, never the credentials.
func (c *Client) String() string { return "ocelot at " + c.base }

// GoString is String.
func (c *Client) GoString() string { return c.String() }

// maxAnswer bounds what is read of an answer: a page of 1,000 entries of 256 KiB.
const maxAnswer = 256 << 20

// request makes a request of the API.
func (c *Client) request(ctx context.Context, method, path string, header http.Header, body []byte) (*http.Request, error) {
	var from io.Reader
	if body != nil {
		from = bytes.NewReader(body)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, from)
	if err != nil {
		return nil, err
	}
	for _, h := range []http.Header{c.header, header} {
		for name, values := range h {
			r.Header[name] = values
		}
	}
	return r, nil
}

// try is one request, whose answer has the status want and is JSON into answer. Errors are *Problem where there was an
// answer. None is context.DeadlineExceeded unless ctx has ended.
func (c *Client) try(ctx context.Context, method, path string, header http.Header, body []byte, want int, answer any) error {
	within, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	err := c.exchange(within, method, path, header, body, want, answer)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fmt.Errorf("client: no whole answer within %s: %v", c.timeout, err) //nolint:errorlint // the deadline is not the caller's
	}
	return err
}

func (c *Client) exchange(ctx context.Context, method, path string, header http.Header, body []byte, want int, answer any) error {
	r, err := c.request(ctx, method, path, header, body)
	if err != nil {
		return err
	}
	res, err := c.http.Do(r)
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != want {
		return problemOf(res)
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("client: read the answer of %s: %w", c.base, err)
	}
	if json.Unmarshal(b, answer) != nil { // its text would repeat the answer
		return &Problem{Status: res.StatusCode, Code: "answer_invalid", Detail: "the answer is not one of Ocelot: is " + c.base + " right?"}
	}
	return nil
}

// The pause between two tries doubles between these.
const (
	minPause = 100 * time.Millisecond
	maxPause = 10 * time.Second
)

// backoff is the pause after a number of failed tries, with jitter of half of it.
func backoff(tries int) time.Duration {
	pause := maxPause
	if tries < 8 {
		pause = min(minPause<<tries, maxPause)
	}
	return pause/2 + rand.N(pause/2)
}

// again calls try until it succeeds, fails for good, or ctx or the time is over. Its error is the last failure, and ctx's
// where that is why it was the last.
func (c *Client) again(ctx context.Context, try func() error) error {
	var failed time.Time
	for tries := 0; ; tries++ {
		err := try()
		if err == nil || !passing(err) {
			return err
		}
		now := time.Now()
		if failed.IsZero() {
			failed = now
		}
		pause := backoff(tries)
		if p, ok := errors.AsType[*Problem](err); ok {
			pause = max(pause, p.RetryAfter)
		}
		if c.retryFor > 0 && now.Add(pause).Sub(failed) > c.retryFor && ctx.Err() == nil {
			return fmt.Errorf("client: gave up, since another try would be after more than %s: %w", c.retryFor, err)
		}
		if ended := waitFor(ctx, pause); ended != nil {
			if errors.Is(err, ended) {
				return err
			}
			return fmt.Errorf("client: %w while trying again: %w", ended, err)
		}
	}
}

func waitFor(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
