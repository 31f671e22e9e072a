// Package fault says what kind of failure an error is, to whoever must act on it.
//
// A backend turns its vendor's error into a *Error in one small function; httpapi turns the kind into
// a status, drain turns it into what the worker does. Nobody compares error text. An error without a
// *Error in its chain is Internal.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind is what a failure means to whoever must act.
type Kind uint8

const (
	Internal         Kind = iota // a bug or something unforeseen
	Malformed                    // the request can't be read as what the route takes
	Invalid                      // it reads, but values are wrong
	Unauthenticated              // no valid credentials
	Forbidden                    // valid credentials, not for this
	NotFound                     // absent, or not the caller's
	NotAllowed                   // the method is not for this route
	Conflict                     // the state does not allow it
	TooLarge                     // over a size limit
	UnsupportedMedia             // a content type, charset or encoding we do not take
	Timeout                      // the caller was too slow, or the work took too long
	Limited                      // over a rate limit or quota
	Unavailable                  // a dependency is down or busy: try again
	Full                         // no space: nothing was stored
	Corrupt                      // bytes fail their own check; trying again will not help
)

var names = [...]string{"internal", "malformed", "invalid", "unauthenticated", "forbidden", "not_found",
	"not_allowed", "conflict", "too_large", "unsupported_media", "timeout", "limited", "unavailable", "full", "corrupt"}

func (k Kind) String() string {
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("kind(%d)", k)
}

// Problem is one thing that is wrong with a request and where.
type Problem struct {
	Pointer string `json:"pointer"`         // JSON pointer into the body as sent, or a parameter's name
	Line    int    `json:"line,omitzero"`   // of NDJSON, from 1
	Column  int    `json:"column,omitzero"` // from 1, in characters
	Length  int    `json:"length,omitzero"` // of the piece that is wrong, in characters
	Code    string `json:"code"`            // stable
	Message string `json:"message"`         // what was wrong and what to do; never the input's own bytes
}

// Error is a failure of a known kind.
type Error struct {
	Kind       Kind
	Code       string        // stable and documented; empty takes the kind's name
	Detail     string        // for the person who reads it; never secrets, input bytes or driver text
	Problems   []Problem     // each thing that is wrong, where there are several
	Truncated  bool          // Problems was cut
	RetryAfter time.Duration // when a retry makes sense; 0 says nothing
	Err        error         // the cause, for our own logs only
}

func (e *Error) Error() string {
	s := e.Kind.String()
	if e.Code != "" {
		s = e.Code
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// New makes a fault with a code and a detail.
func New(k Kind, code, detail string) *Error { return &Error{Kind: k, Code: code, Detail: detail} }

// Wrap says what was being done when cause happened, keeping cause's kind, code and problems.
func Wrap(cause error, doing string) error {
	if cause == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, cause)
}

// As makes a fault of a cause that is not one.
func As(k Kind, code string, cause error) *Error { return &Error{Kind: k, Code: code, Err: cause} }

// Of returns the fault in err's chain, or an Internal one that holds err. Of(nil) is nil.
func Of(err error) *Error {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*Error](err); ok {
		return f
	}
	return &Error{Kind: Internal, Code: "internal", Err: err}
}

// KindOf is the kind of err; Internal where none is known.
func KindOf(err error) Kind {
	if f, ok := errors.AsType[*Error](err); ok {
		return f.Kind
	}
	return Internal
}
