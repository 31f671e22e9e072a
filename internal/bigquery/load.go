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
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// Load is one load job.
type Load struct {
	ID       string // letters, digits, _ and -; the same for the same rows
	Table    Table
	Location string // of the table
}

// job is a job as BigQuery describes it.
type job struct {
	Reference struct {
		Project  string `json:"projectId"`
		ID       string `json:"jobId"`
		Location string `json:"location,omitempty"`
	} `json:"jobReference"`
	Configuration struct {
		Load struct {
			Table  Table  `json:"destinationTable"`
			Format string `json:"sourceFormat"`
			Write  string `json:"writeDisposition"`
			Create string `json:"createDisposition"`
		} `json:"load"`
	} `json:"configuration"`
	Status *struct {
		State string `json:"state"`
		Error *struct {
			Reason  string `json:"reason"`
			Message string `json:"message"`
		} `json:"errorResult"`
	} `json:"status,omitempty"`
	Statistics *struct {
		Load struct {
			Rows string `json:"outputRows"`
		} `json:"load"`
	} `json:"statistics,omitempty"`
}

// ended says whether the job is over, and how many rows it added; *Error where it failed, and then it added none.
func (j *job) ended() (rows int64, over bool, err error) {
	switch {
	case j.Status == nil || j.Status.State != "DONE":
		return 0, false, nil
	case j.Status.Error != nil:
		return 0, true, &Error{Reason: j.Status.Error.Reason, Message: j.Status.Error.Message}
	case j.Statistics != nil:
		rows, _ = strconv.ParseInt(j.Statistics.Load.Rows, 10, 64) // what it does not say is not compared
	}
	return rows, true, nil
}

// Upload begins the job with size bytes of NDJSON. ErrExists: the job was begun before. After any other error it may have begun.
func (c *Client) Upload(ctx context.Context, l Load, rows io.ReaderAt, size int64) error {
	var j job
	j.Reference.Project, j.Reference.ID, j.Reference.Location = l.Table.Project, l.ID, l.Location
	j.Configuration.Load.Table = l.Table
	j.Configuration.Load.Format, j.Configuration.Load.Write, j.Configuration.Load.Create = "NEWLINE_DELIMITED_JSON", "WRITE_APPEND", "CREATE_NEVER"
	text, err := json.Marshal(j)
	if err != nil {
		return err
	}
	session, err := c.session(ctx, l.Table.Project, text, size)
	if err != nil {
		return err
	}
	for at, failed := int64(0), 0; at < size; {
		reached, over, err := c.put(ctx, session, rows, at, size)
		for err != nil {
			if !passing(ctx, err) || failed == tries-1 {
				return err
			}
			if err := c.Pause(ctx, backoff(failed)); err != nil {
				return err
			}
			failed++
			reached, over, err = c.reached(ctx, session, size)
		}
		switch {
		case over:
			return nil
		case reached > at:
			failed = 0
		case failed == tries-1:
			return errors.New("BigQuery takes nothing of an upload")
		default:
			failed++
		}
		at = reached
	}
	return errors.New("BigQuery has all rows of an upload and does not say what became of them")
}

// session opens a resumable upload and is its URL.
func (c *Client) session(ctx context.Context, project string, job []byte, size int64) (string, error) {
	target := c.endpoint.String() + "/upload/bigquery/v2/projects/" + url.PathEscape(project) + "/jobs?uploadType=resumable"
	header := http.Header{"X-Upload-Content-Type": {"application/octet-stream"}, "X-Upload-Content-Length": {strconv.FormatInt(size, 10)}}
	for try := 0; ; try++ {
		resp, err := c.send(ctx, http.MethodPost, target, header, bytes.NewReader(job))
		if err == nil {
			_ = resp.Body.Close() // its head is all
			at, err := url.Parse(resp.Header.Get("Location"))
			same := err == nil && (at.Host == c.endpoint.Host && at.Scheme == c.endpoint.Scheme || googles(c.endpoint) && googles(at))
			if !same {
				return "", errors.New("BigQuery sends an upload to another place than it is itself; nothing was sent there")
			}
			return at.String(), nil
		}
		if !passing(ctx, err) || try == tries-1 {
			return "", err
		}
		if err := c.Pause(ctx, backoff(try)); err != nil {
			return "", err
		}
	}
}

// put sends a chunk, and says up to where BigQuery has the rows, or that it has them all.
func (c *Client) put(ctx context.Context, session string, rows io.ReaderAt, at, size int64) (reached int64, over bool, err error) {
	n := min(int64(c.chunk), size-at)
	span := fmt.Sprintf("bytes %d-%d/%d", at, at+n-1, size)
	return c.upload(ctx, session, span, io.NewSectionReader(rows, at, n), n)
}

// reached asks up to where it has them.
func (c *Client) reached(ctx context.Context, session string, size int64) (reached int64, over bool, err error) {
	return c.upload(ctx, session, fmt.Sprintf("bytes */%d", size), http.NoBody, 0)
}

func (c *Client) upload(ctx context.Context, session, span string, body io.Reader, n int64) (reached int64, over bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, session, body)
	if err != nil {
		return 0, false, err
	}
	req.ContentLength = n
	req.Header.Set("Content-Range", span)
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, false, fmt.Errorf("an upload to %s broke off: %w", c.endpoint.Host, err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusPermanentRedirect: // here: go on
		if _, err := fmt.Sscanf(resp.Header.Get("Range"), "bytes=0-%d", &reached); err == nil {
			reached++
		}
		return reached, false, nil
	case resp.StatusCode >= 400:
		return 0, false, refused(resp)
	}
	return 0, true, decode(resp, nil)
}

// Wait waits until the job is over, and says how many rows it added. ErrNotFound: it was never begun. An *Error without a status is
// the job's own: it added nothing, and never will.
func (c *Client) Wait(ctx context.Context, l Load) (rows int64, err error) {
	path := "/projects/" + url.PathEscape(l.Table.Project) + "/jobs/" + url.PathEscape(l.ID)
	if l.Location != "" {
		path += "?location=" + url.QueryEscape(l.Location)
	}
	for look := 0; ; look++ {
		var j job
		if err := c.call(ctx, http.MethodGet, path, nil, nil, &j); err != nil {
			return 0, err
		}
		if rows, over, err := j.ended(); over {
			return rows, err
		}
		if err := c.Pause(ctx, min(time.Second<<min(look, 4), 10*time.Second)); err != nil {
			return 0, err
		}
	}
}

// authorized adds a token to what goes to Google.
type authorized struct {
	over   http.RoundTripper
	tokens oauth2.TokenSource
}

func (a *authorized) RoundTrip(r *http.Request) (*http.Response, error) {
	over := a.over
	if over == nil {
		over = http.DefaultTransport
	}
	token, err := a.token(r)
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	r = r.Clone(r.Context())
	token.SetAuthHeader(r)
	return over.RoundTrip(r)
}

func (a *authorized) token(r *http.Request) (*oauth2.Token, error) {
	if !googles(r.URL) {
		return nil, fmt.Errorf("%s is not Google's: it gets no credentials", strings.ToLower(r.URL.Host))
	}
	token, err := a.tokens.Token()
	if err != nil {
		return nil, fmt.Errorf("a token of Google: %w", err)
	}
	return token, nil
}
