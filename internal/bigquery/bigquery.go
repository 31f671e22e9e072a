// Package bigquery loads rows into tables of BigQuery, over its REST protocol and by load jobs.
//
// What it promises:
//   - A job's id decides: of any number of loads under one id at most one adds its rows, all of them or none.
//   - A table's description changes only where it is what the caller has seen.
//   - Credentials go to hosts of googleapis.com over TLS and to no others.
//
// What it leaves to its caller: to ask again what became of a job whose answer was lost.
package bigquery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2/google"

	"github.com/ocelot-log/ocelot/internal/wait"
)

// Endpoint is BigQuery's own.
const Endpoint = "https://bigquery.googleapis.com"

const scope = "https://www.googleapis.com/auth/bigquery"

// Table names a table.
type Table struct {
	Project string `json:"projectId"`
	Dataset string `json:"datasetId"`
	Name    string `json:"tableId"`
}

func (t Table) String() string { return t.Project + "." + t.Dataset + "." + t.Name }

func (t Table) dataset() string {
	return "/projects/" + url.PathEscape(t.Project) + "/datasets/" + url.PathEscape(t.Dataset)
}

func (t Table) path() string { return t.dataset() + "/tables/" + url.PathEscape(t.Name) }

// Field is a column of a table.
type Field struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Mode string `json:"mode,omitempty"`
}

// Partitioning says by what a table is cut.
type Partitioning struct {
	Type  string `json:"type"` // HOUR, DAY, MONTH, YEAR
	Field string `json:"field"`
}

// Info is what is known of a table.
type Info struct {
	Table       Table  `json:"tableReference"`
	Description string `json:"description,omitempty"`
	Schema      struct {
		Fields []Field `json:"fields"`
	} `json:"schema"`
	Partitioning *Partitioning `json:"timePartitioning,omitempty"`
	ETag         string        `json:"etag,omitempty"`
	Location     string        `json:"location,omitempty"`
	Rows         string        `json:"numRows,omitempty"`
}

// Error is an answer that is not 2xx, or what a job ended with.
type Error struct {
	Status  int // 0: of a job
	Reason  string
	Message string
}

func (e *Error) Error() string {
	return strings.TrimSpace(fmt.Sprintf("BigQuery says %s: %s", e.Reason, e.Message))
}

// Is compares the status with that of an Error without a reason.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Reason == "" && other.Status == e.Status
}

// What a caller may have to tell apart.
var (
	ErrNotFound = &Error{Status: http.StatusNotFound}
	ErrExists   = &Error{Status: http.StatusConflict}
	ErrChanged  = &Error{Status: http.StatusPreconditionFailed}
)

// Client talks to BigQuery. It may be used concurrently.
type Client struct {
	// Pause waits between two tries, and between two looks at a job.
	Pause func(context.Context, time.Duration) error

	endpoint *url.URL
	http     *http.Client
	chunk    int // bytes of an upload in one request
}

// New makes a client for an endpoint. Google's own gets the application default credentials of the machine; any other, such as an
// emulator's, gets none.
func New(ctx context.Context, endpoint string, over *http.Client) (*Client, error) {
	u, err := url.Parse(strings.TrimRight(endpoint, "/"))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q is no endpoint such as %s or http://127.0.0.1:9050", endpoint, Endpoint)
	}
	own := *over
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // 308 is: go on with an upload
	c := &Client{endpoint: u, http: &own, chunk: 16 << 20, Pause: wait.For}
	if googles(u) {
		credentials, err := google.FindDefaultCredentials(ctx, scope)
		if err != nil {
			return nil, fmt.Errorf("there are no Google credentials: `gcloud auth application-default login`, or GOOGLE_APPLICATION_CREDENTIALS with the file of a service account: %w", err)
		}
		own.Transport = &authorized{over: over.Transport, tokens: credentials.TokenSource}
	}
	return c, nil
}

// googles says whether a URL may get credentials.
func googles(u *url.URL) bool {
	return u.Scheme == "https" && (u.Hostname() == "googleapis.com" || strings.HasSuffix(u.Hostname(), ".googleapis.com"))
}

// Get is what is known of a table; ErrNotFound where there is none.
func (c *Client) Get(ctx context.Context, t Table) (info Info, err error) {
	return info, c.call(ctx, http.MethodGet, t.path(), nil, nil, &info)
}

// Create makes a table; ErrExists where there is one.
func (c *Client) Create(ctx context.Context, info Info) error {
	return c.call(ctx, http.MethodPost, info.Table.dataset()+"/tables", nil, info, nil)
}

// Describe changes the description of a table that still has this etag; ErrChanged where it has not.
func (c *Client) Describe(ctx context.Context, t Table, etag, description string) error {
	return c.call(ctx, http.MethodPatch, t.path(), http.Header{"If-Match": {etag}}, map[string]string{"description": description}, nil)
}

// tries is how often a call is made that fails in a passing way.
const tries = 5

// call makes one call, again where it fails in a passing way.
func (c *Client) call(ctx context.Context, method, path string, header http.Header, body, answer any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	for try := 0; ; try++ {
		resp, err := c.send(ctx, method, c.endpoint.String()+"/bigquery/v2"+path, header, bytes.NewReader(text))
		if err == nil {
			err = decode(resp, answer)
		}
		if err == nil || !passing(ctx, err) || try == tries-1 {
			return err
		}
		if err := c.Pause(ctx, backoff(try)); err != nil {
			return err
		}
	}
}

// send makes one request. An answer of 4xx or 5xx is an *Error; any other's body is the caller's to close.
func (c *Client) send(ctx context.Context, method, target string, header http.Header, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json; charset=UTF-8")
	for name, values := range header {
		req.Header[name] = values
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("nothing answers at %s: %w", c.endpoint.Host, err)
	}
	if resp.StatusCode < 400 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, refused(resp)
}

const maxAnswer = 16 << 20

func refused(resp *http.Response) error {
	var said struct {
		Error struct {
			Message string `json:"message"`
			Errors  []struct {
				Reason string `json:"reason"`
			} `json:"errors"`
		} `json:"error"`
	}
	e := &Error{Status: resp.StatusCode, Reason: resp.Status}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&said); err == nil {
		e.Message = said.Error.Message
		if len(said.Error.Errors) > 0 && said.Error.Errors[0].Reason != "" {
			e.Reason = said.Error.Errors[0].Reason
		}
	}
	return e
}

func decode(resp *http.Response, answer any) error {
	defer resp.Body.Close()
	if answer == nil {
		_, err := io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
		return err
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(answer); err != nil {
		return fmt.Errorf("an answer of BigQuery can't be read: is the endpoint right? %w", err)
	}
	return nil
}

// passing says that the same call may succeed later.
func passing(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	e, answered := errors.AsType[*Error](err)
	return !answered || e.Status >= 500 || e.Status == http.StatusTooManyRequests || e.Reason == "rateLimitExceeded" || e.Reason == "jobRateLimitExceeded"
}

func backoff(try int) time.Duration { return wait.Backoff(try, time.Second, 32*time.Second) }
