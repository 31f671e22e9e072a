package query

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ocelot-log/ocelot/internal/fault"
)

// The codes of a question that cannot be answered. All are of kind fault.Malformed.
const (
	codeInvalid      = "query_invalid"       // not in the grammar, or a value that a field cannot have
	codeTooExpensive = "query_too_expensive" // over a bound
	codeRange        = "range_invalid"       // start_time, end_time
	codeParameter    = "unknown_parameter"
	codeRepeated     = "repeated_parameter"
	codeSort         = "sort_not_allowed"
	codeLimit        = "limit_invalid"
	codeSkip         = "skip_invalid"
	codeTotal        = "total_invalid"
	codeAudit        = "audit_invalid"
	codeCursor       = "cursor_invalid"
	codeMismatch     = "cursor_mismatch"
	codeSeveral      = "validation_failed" // problems of several of these
)

// MaxProblems is how many problems an answer names.
const MaxProblems = 100

// complaint is what is wrong with something, before it is known where that stood.
type complaint struct {
	code    string // of the whole question
	item    string // of this problem
	message string
}

func invalid(item, message string) *complaint { return &complaint{codeInvalid, item, message} }
func tooExpensive(item, message string) *complaint {
	return &complaint{codeTooExpensive, item, message}
}

// problems collects complaints with their places.
type problems struct {
	list  []fault.Problem
	codes []string
}

// add notes that the piece of length characters at column of the parameter is wrong; 0 where there is
// no column.
func (p *problems) add(parameter string, column, length int, c *complaint) {
	p.list = append(p.list, fault.Problem{Pointer: parameter, Column: column, Length: length, Code: c.item, Message: c.message})
	if !slices.Contains(p.codes, c.code) {
		p.codes = append(p.codes, c.code)
	}
}

// whole notes a complaint about a whole parameter, whose problem has the code of the question.
func (p *problems) whole(parameter, code, message string) {
	p.add(parameter, 0, 0, &complaint{code, code, message})
}

// join takes over the problems of one parameter's text, which have one code together.
func (p *problems) join(of *problems) {
	if len(of.list) == 0 {
		return
	}
	p.list = append(p.list, of.list...)
	if code := of.gravest(); !slices.Contains(p.codes, code) {
		p.codes = append(p.codes, code)
	}
}

// has tells whether there is a problem with this code of its own.
func (p *problems) has(item string) bool {
	return slices.ContainsFunc(p.list, func(f fault.Problem) bool { return f.Code == item })
}

// gravest is the code of a text that has problems of several kinds.
func (p *problems) gravest() string {
	for _, code := range []string{codeInvalid, codeTooExpensive} {
		if slices.Contains(p.codes, code) {
			return code
		}
	}
	return p.codes[0]
}

// err is all problems under one code, nil for none.
func (p *problems) err(code func() string) error {
	if len(p.list) == 0 {
		return nil
	}
	first := p.list[0]
	detail := first.Message
	if name := first.Pointer; name != "" && name != "q" && !strings.HasPrefix(detail, name+" ") {
		detail = name + ": " + detail // which of two times it is, for example
	}
	if first.Column > 0 {
		detail += fmt.Sprintf(" (column %d)", first.Column)
	}
	if n := len(p.list) - 1; n > 0 {
		detail += fmt.Sprintf("; and %d more", n)
	}
	return &fault.Error{Kind: fault.Malformed, Code: code(), Detail: detail,
		Problems: p.list[:min(len(p.list), MaxProblems)], Truncated: len(p.list) > MaxProblems}
}

// only is the one code of all problems.
func (p *problems) only() string {
	if len(p.codes) == 1 {
		return p.codes[0]
	}
	return codeSeveral
}
