package auth

import (
	"net/netip"
	"reflect"
	"strings"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
)

// scope is which entries of its tenants a credential is for: all of its filters hold together. The zero value is
// for every entry. It is never changed once it is made.
type scope struct {
	filters []string // in the query language
	node    query.Node
}

// newScope reads filters. Kind Invalid, code filter_invalid: one is no filter of a credential, and why.
func newScope(filters []string) (scope, error) {
	var s scope
	var all query.And
	now := time.Now()
	for _, f := range filters {
		if strings.TrimSpace(f) == "" {
			continue
		}
		n, err := query.Parse(f, now)
		if err != nil {
			bad := &fault.Error{Kind: fault.Invalid, Code: "filter_invalid", Detail: "the filter can't be read: write it as a search, for instance service:billing"}
			for _, p := range fault.Of(err).Problems {
				p.Pointer = "/filter"
				bad.Problems = append(bad.Problems, p)
			}
			return scope{}, bad
		}
		if later, err := query.Parse(f, now.Add(25*time.Hour)); err != nil || !reflect.DeepEqual(n, later) {
			return scope{}, fault.New(fault.Invalid, "filter_invalid", "the filter of a credential can't go by the clock: write times as dates")
		}
		s.filters, all = append(s.filters, f), append(all, n)
	}
	switch len(all) {
	case 0:
	case 1:
		s.node = all[0]
	default:
		s.node = all
	}
	return s, nil
}

// bounds reads what a credential is for, and where it may be used from.
func bounds(filters, cidrs []string) (s scope, from []netip.Prefix, err error) {
	if s, err = newScope(filters); err == nil {
		from, err = parsePrefixes(cidrs)
	}
	return s, from, err
}

// narrowed is for the entries that s and also the filter are for.
func (s scope) narrowed(filter string) (scope, error) {
	if strings.TrimSpace(filter) == "" {
		return s, nil
	}
	if _, err := newScope([]string{filter}); err != nil { // so that what is said is about the new one
		return scope{}, err
	}
	return newScope(append(append([]string(nil), s.filters...), filter))
}

// String is the filters as one search; empty for every entry.
func (s scope) String() string { return joinFilters(s.filters) }

func joinFilters(filters []string) string {
	if len(filters) < 2 {
		return strings.Join(filters, "")
	}
	return "(" + strings.Join(filters, ") (") + ")"
}
