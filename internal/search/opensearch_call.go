package search

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json"
)

// request is a call of OpenSearch's API.
type request struct {
	method, path, query string
	body                []byte        // JSON; kept until call returns
	lines               bool          // body is NDJSON
	gzip                bool          // body is compressed
	into                *bytes.Buffer // memory for the answer; nil: its own
}

// answer is what came back: any status, the body in full.
type answer struct {
	status int
	body   []byte
}

// mostAnswer is how much of an answer is read. The largest are those to a bulk that was refused item by
// item, and to searches for a thousand entries: well below a megabyte.
const mostAnswer = 64 << 20

var (
	errLongAnswer = errors.New("the answer is longer than any that makes sense")
	errSigning    = errors.New("sign the request")
)

// call sends r once, bounded by the call timeout. An error means that there was no answer: r may have
// been carried out or not.
func (o *OpenSearch) call(ctx context.Context, r request) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, o.cfg.CallTimeout)
	defer cancel()
	hr := &http.Request{Method: r.method, URL: &url.URL{Path: r.path, RawQuery: r.query}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: make(http.Header, 6)}
	if r.body != nil {
		kind := "application/json"
		if r.lines {
			kind = "application/x-ndjson"
		}
		hr.Header.Set("Content-Type", kind)
		if r.gzip {
			hr.Header.Set("Content-Encoding", "gzip")
		}
		hr.ContentLength = int64(len(r.body)) // always known: chunked bodies are not taken everywhere
		hr.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(r.body)), nil }
		hr.Body, _ = hr.GetBody()
	}
	res, err := o.client.Stream(hr.WithContext(ctx))
	if res != nil {
		defer func() { _ = res.Body.Close() }()
	}
	if err != nil {
		return answer{}, whyNoAnswer(ctx, err)
	}
	into := r.into
	if into == nil {
		into = new(bytes.Buffer)
	}
	into.Reset()
	if n, err := into.ReadFrom(io.LimitReader(res.Body, mostAnswer+1)); err != nil {
		return answer{}, whyNoAnswer(ctx, err)
	} else if n > mostAnswer {
		return answer{}, errLongAnswer
	}
	return answer{res.StatusCode, into.Bytes()}, nil
}

// whyNoAnswer puts the end of ctx before what it looks like from below.
func whyNoAnswer(ctx context.Context, err error) error {
	switch {
	case errors.Is(context.Cause(ctx), errSilent):
		return errSilent
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return err
}

// failure is what an answer says of what went wrong. The reason quotes what was sent: it is for calls
// that carry no entries and no questions.
type failure struct {
	Type       string
	Reason     string
	RootCauses []string
}

func (a answer) failure() (f failure) {
	var body struct {
		Error struct {
			Type      string `json:"type"`
			Reason    string `json:"reason"`
			RootCause []struct {
				Type string `json:"type"`
			} `json:"root_cause"`
		} `json:"error"`
	}
	if json.Unmarshal(a.body, &body) != nil {
		return f // an answer of something between us and OpenSearch
	}
	f.Type, f.Reason = body.Error.Type, body.Error.Reason
	for _, c := range body.Error.RootCause {
		f.RootCauses = append(f.RootCauses, c.Type)
	}
	return f
}

// causes are all types that were named.
func (f failure) causes() []string { return append([]string{f.Type}, f.RootCauses...) }
