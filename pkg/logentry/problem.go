package logentry

import "fmt"

// Class is what kind of refusal a DecodeError is.
type Class uint8

// Malformed: the body can't be read as entries (400). Invalid: it reads, but values are wrong (422).
// TooLarge: an entry or the batch is over its size (413).
const (
	Malformed Class = iota + 1
	Invalid
	TooLarge
)

// String is the class in one word.
func (c Class) String() string {
	switch c {
	case Malformed:
		return "malformed"
	case Invalid:
		return "invalid"
	case TooLarge:
		return "too_large"
	}
	return fmt.Sprintf("class(%d)", uint8(c))
}

// Problem is one thing that is wrong with a body and where.
type Problem struct {
	Pointer string `json:"pointer"`         // JSON pointer into the body as sent; of NDJSON, into the line
	Line    int    `json:"line,omitzero"`   // of NDJSON and of syntax faults, from 1
	Column  int    `json:"column,omitzero"` // of syntax faults, from 1, in characters
	Code    string `json:"code"`            // stable
	Message string `json:"message"`         // what was wrong and what to do; never the input's own bytes
}

// DecodeError is why a body was refused. Nothing of the body was taken.
type DecodeError struct {
	Class     Class
	Code      string // of the one problem, or validation_failed where there are several
	Detail    string // for the person who reads it
	Problems  []Problem
	Truncated bool // there are or may be more problems than listed
}

func (e *DecodeError) Error() string { return e.Code + ": " + e.Detail }

// refusal is a DecodeError with one problem.
func refusal(class Class, p Problem) *DecodeError {
	return &DecodeError{Class: class, Code: p.Code, Detail: p.Message, Problems: []Problem{p}}
}
