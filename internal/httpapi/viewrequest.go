package httpapi

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/tenant"
)

const (
	maxViewName   = 200   // bytes
	maxViewSearch = 2_000 // bytes
)

// viewRequest is what a caller says about a view; nil is what it says nothing about.
type viewRequest struct {
	Name   *string `json:"name"`
	Search *string `json:"search"`
	Shared *bool   `json:"shared"`
}

// put puts what was sent into v. Kind Forbidden: it would be shared, or be somebody's own, and may not. Kind Invalid:
// values are wrong, or not there though the view is new.
func (r viewRequest) put(k *call, v *view, isNew bool) error {
	if r.Shared != nil {
		if *r.Shared != v.Shared && !k.principal.Can(auth.Admin) {
			return errSharedView
		}
		v.Shared = *r.Shared
	}
	if !v.Shared && v.CreatedBy == "" { // nobody would see it any more
		return errNobodysView
	}
	var wrong []fault.Problem
	switch {
	case r.Name != nil && goodViewName(*r.Name):
		v.Name = *r.Name
	case r.Name != nil:
		wrong = append(wrong, fault.Problem{Pointer: "/name", Code: "name_invalid", Message: "a view has a name of 1 to 200 bytes, without control characters"})
	case isNew:
		wrong = append(wrong, fault.Problem{Pointer: "/name", Code: "required", Message: "a view needs a name"})
	}
	switch {
	case r.Search != nil:
		wrong = append(wrong, wrongInSearch(*r.Search)...)
		v.Search = *r.Search
	case isNew:
		wrong = append(wrong, fault.Problem{Pointer: "/search", Code: "required", Message: `a view needs a search; "" finds everything`})
	}
	switch len(wrong) {
	case 0:
		return nil
	case 1:
		return &fault.Error{Kind: fault.Invalid, Code: wrong[0].Code, Detail: wrong[0].Message, Problems: wrong}
	}
	f := &fault.Error{Kind: fault.Invalid, Code: "validation_failed", Detail: "the view has several faults; see errors", Problems: wrong}
	if len(wrong) > query.MaxProblems {
		f.Problems, f.Truncated = wrong[:query.MaxProblems], true
	}
	return f
}

// goodViewName says whether people can read a name and find it again.
func goodViewName(name string) bool {
	return tenant.ValidName(name) && strings.TrimSpace(name) != "" && len(name) <= maxViewName
}

// wrongInSearch is why a text can't be the part of a search's URL after its question mark.
func wrongInSearch(search string) []fault.Problem {
	bad := func(message string) []fault.Problem {
		return []fault.Problem{{Pointer: "/search", Code: "search_invalid", Message: message}}
	}
	if len(search) > maxViewSearch {
		return bad("a search has at most 2,000 bytes")
	}
	if strings.ContainsFunc(search, unicode.IsControl) {
		return bad("a search has no control characters; write %0A for a line break")
	}
	params, err := query.ParseRawQuery(search)
	if err == nil {
		if len(params["cursor"]) > 0 {
			return bad("a view begins with the first page; leave cursor out")
		}
		_, err = query.FromParams(params, time.Now(), highlightParam)
	}
	if err == nil {
		_, err = highlighted(params)
	}
	if err == nil {
		return nil
	}
	// Places within a parameter are not places within this text, in which it is escaped: they stand in the message.
	var wrong []fault.Problem
	for _, p := range fault.Of(err).Problems {
		at := p.Pointer
		if at != "" && p.Column > 0 {
			at = fmt.Sprintf("%s, character %d", at, p.Column)
		}
		if at != "" {
			at += ": "
		}
		wrong = append(wrong, bad(at+p.Message)...)
	}
	if len(wrong) == 0 {
		return bad(fault.Of(err).Detail)
	}
	return wrong
}
