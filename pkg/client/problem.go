package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// Problem is an answer of the service that is no success: an RFC 9457 document, or what could be made of another answer.
// It never holds the credentials.
type Problem struct {
	Status    int                `json:"status"`
	Title     string             `json:"title"`
	Code      string             `json:"code"`       // stable and documented; empty where a proxy answered
	Detail    string             `json:"detail"`     // for people
	RequestID string             `json:"request_id"` // what its operators ask for
	Errors    []logentry.Problem `json:"errors"`     // each thing that is wrong; Line is the place of the entry in its batch, from 1
	Truncated bool               `json:"truncated"`  // there may be more than Errors lists

	RetryAfter time.Duration `json:"-"` // when a retry makes sense; 0 says nothing
}

func (p *Problem) Error() string {
	var s strings.Builder
	fmt.Fprintf(&s, "ocelot answered %d", p.Status)
	for _, part := range []string{p.Code, p.Detail} {
		if part != "" {
			s.WriteString(": " + part)
		}
	}
	if len(p.Errors) > 1 {
		fmt.Fprintf(&s, " (%d problems)", len(p.Errors))
	}
	if p.RequestID != "" {
		s.WriteString(" [request " + p.RequestID + "]")
	}
	return s.String()
}

// passing says that the same request may succeed later.
func (p *Problem) passing() bool {
	return p.Status == http.StatusTooManyRequests || p.Status == http.StatusRequestTimeout || p.Status >= 500
}

// aboutEntries says that a refusal may be of some entries only.
func (p *Problem) aboutEntries() bool {
	return p.Status == http.StatusBadRequest || p.Status == http.StatusUnprocessableEntity || p.Status == http.StatusRequestEntityTooLarge
}

// problemOf reads an answer that is no success. A page of a proxy is not repeated, only its status.
func problemOf(res *http.Response) *Problem {
	p := &Problem{}
	if mt, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); mt == "application/problem+json" {
		b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		if err != nil || json.Unmarshal(b, p) != nil {
			p = &Problem{}
		}
	}
	p.Status = res.StatusCode
	if p.Code == "" {
		p.Title = http.StatusText(res.StatusCode)
		p.Detail = "the answer is not one of Ocelot, but of something before it"
	}
	p.RetryAfter = retryAfter(res.Header.Get("Retry-After"), time.Now())
	return p
}

// retryAfter reads both forms of the header.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		return max(0, time.Duration(seconds)*time.Second)
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// passing says of any failure that the same request may succeed later: what has no answer may.
func passing(err error) bool {
	p, answered := errors.AsType[*Problem](err)
	return !answered || p.passing()
}
