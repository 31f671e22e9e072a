package search

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
)

// The names of OpenSearch's own errors, as they are in answers.
var (
	// tooSlow ends a search that took longer than it was given.
	tooSlow = []string{"search_timeout_exception", "task_cancelled_exception", "query_phase_execution_exception", "opensearch_timeout_exception", "timeout_exception"}
	// tooMuch is a question whose terms stand for more than a query may have.
	tooMuch = []string{"too_many_clauses", "too_many_nested_clauses", "too_complex_to_determinize_exception"}
	// passing refuses an entry for what the cluster is like now, with a status that blames the entry.
	passing = []string{"index_closed_exception", "index_not_found_exception", "validation_exception", "index_create_block_exception", "alias_not_found_exception"}
)

const blocked = "cluster_block_exception"

// fault says what an answer, or that there is none, means to whoever must act. A good answer is nil.
func (o *OpenSearch) fault(doing string, a answer, err error) error {
	switch {
	case err == nil && a.status < 300:
		return nil
	case err != nil:
		return fault.Wrap(o.noAnswer(err), doing)
	}
	f := a.failure()
	is := func(names []string) bool {
		return slices.ContainsFunc(f.causes(), func(c string) bool { return slices.Contains(names, c) })
	}
	e := &fault.Error{Kind: fault.Unavailable, Code: "opensearch_failed", Detail: "OpenSearch at " + o.at + " failed", RetryAfter: time.Second,
		Err: fmt.Errorf("HTTP %d %s", a.status, strings.Join(f.causes(), " "))}
	switch {
	case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden && f.Type != blocked:
		e.Code, e.Detail, e.RetryAfter = "opensearch_denied", "OpenSearch at "+o.at+" does not allow this call to our user: correct its credentials and permissions", 0
	case is(tooSlow):
		e.Kind, e.Code, e.Detail, e.RetryAfter = fault.Timeout, "search_timeout", "the search took too long", 0
	case is(tooMuch):
		e.Kind, e.Code, e.Detail, e.RetryAfter = fault.Invalid, "query_too_expensive", "the question stands for too many terms: make its beginnings longer", 0
	case is([]string{blocked}):
		e.Kind, e.Code, e.Detail = fault.Full, "opensearch_full", "OpenSearch at "+o.at+" blocks writes: its disks are full, or somebody set the block"
		if a.status != http.StatusTooManyRequests && a.status != http.StatusForbidden {
			e.Kind, e.Code, e.Detail = fault.Unavailable, "opensearch_failed", "the cluster at "+o.at+" is not ready"
		}
	case a.status == http.StatusTooManyRequests:
		e.Code, e.Detail = "opensearch_busy", "OpenSearch at "+o.at+" takes no more at the moment"
	case a.status == http.StatusRequestEntityTooLarge:
		e.Kind, e.Code, e.Detail, e.RetryAfter = fault.TooLarge, "opensearch_too_large", "OpenSearch at "+o.at+" does not take so large a request", 0
	case a.status < 500 && a.status != http.StatusRequestTimeout && !is(passing):
		e.Kind, e.Code, e.Detail, e.RetryAfter = fault.Internal, "opensearch_refused", "OpenSearch at "+o.at+" refused the call", 0
	}
	return fault.Wrap(e, doing)
}

// noAnswer is what it means that no answer came: what became of the call is unknown.
func (o *OpenSearch) noAnswer(err error) *fault.Error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &fault.Error{Kind: fault.Timeout, Code: "search_timeout", Detail: "OpenSearch did not answer in time", Err: err}
	case errors.Is(err, context.Canceled):
		return fault.As(fault.Unavailable, "canceled", err)
	}
	if errors.Is(err, errSigning) {
		return &fault.Error{Kind: fault.Unavailable, Code: "opensearch_denied", Detail: "no AWS credentials to sign requests with", Err: err}
	}
	return &fault.Error{Kind: fault.Unavailable, Code: "opensearch_unreachable", Detail: "no OpenSearch answers at " + o.at, RetryAfter: time.Second, Err: err}
}

// verdict is what became of one item of a bulk. kind is the name of its error.
func verdict(status int, kind string) Verdict {
	switch {
	case status >= 200 && status < 300, status == http.StatusConflict: // there already
		return Indexed
	case status < 400, status >= 500, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout,
		status == http.StatusUnauthorized, status == http.StatusForbidden, slices.Contains(passing, kind), kind == blocked:
		return Retry
	}
	return Refused
}
