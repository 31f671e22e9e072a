package query

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// The bounds of a page.
const (
	DefaultLimit = 50
	MaxLimit     = 1000
	MaxSkip      = 10_000
)

// Params are the parameters of a URL, as ParseRawQuery reads them.
type Params map[string][]string

// single are the parameters that may be there once.
var single = [...]string{"q", "search", "start_time", "end_time", "min_severity", "sort", "limit", "skip", "cursor", "total", "audit"}

// sorts are the orders by their names.
var sorts = map[string]Sort{"-timestamp": NewestFirst, "timestamp": OldestFirst,
	"-received_at": ReceivedNewestFirst, "received_at": ReceivedOldestFirst}

// FromParams makes the question of a URL's parameters. now is what the word now means. extra names the
// parameters that a route has besides: they may be there, even several times, and are the caller's to read.
//
// A cursor is only checked for not being empty and not coming with skip: its reader needs the question,
// see Cursors.Decode, and sets After. Errors are *fault.Error of kind Malformed that name everything that
// is wrong, with the parameter as pointer; the code is that of the problems, or validation_failed where
// they have several.
func FromParams(v Params, now time.Time, extra ...string) (Query, error) {
	r := reader{v: v, now: now, extra: extra}
	r.names()
	q := Query{Limit: DefaultLimit}
	r.filters()
	r.minSeverity()
	r.times()
	r.text("q", func(s string) (Node, int, *problems) { return parse(s, now) })
	r.text("search", plainText)
	if r.terms > MaxTerms && !r.has("too_many_terms") {
		r.add("", 0, 0, tooExpensive("too_many_terms", "q, search and the filters have more than 64 values together"))
	}
	r.page(&q)
	r.audit(&q)
	if err := r.err(r.only); err != nil {
		return Query{}, err
	}
	switch len(r.and) {
	case 0:
	case 1:
		q.Where = r.and[0]
	default:
		q.Where = r.and
	}
	return q, nil
}

// reader takes the parameters one by one.
type reader struct {
	problems
	v     Params
	now   time.Time
	extra []string // names of parameters that are somebody else's
	and   And
	terms int
}

// filterable tells the fields that are parameters too.
func filterable(sh shape) bool { return sh != words && sh != instant }

// names complains of parameters that do not exist, or are there twice and may not be.
func (r *reader) names() {
	known := make([]string, 0, len(fields)+len(single))
	for i := range fields {
		if filterable(fields[i].shape) {
			known = append(known, fields[i].name)
		}
	}
	repeatable := len(known)
	known = append(known, single[:]...)
	once := len(known)
	known = append(known, r.extra...)
	for _, name := range slices.Sorted(maps.Keys(r.v)) {
		switch i := slices.Index(known, name); {
		case len(r.list) > MaxProblems:
			return
		case i < 0:
			if path, ok := strings.CutPrefix(name, metadataName); ok && path != "" {
				continue // a filter
			}
			r.unknown(name, known)
		case i >= repeatable && i < once && len(r.v[name]) > 1:
			r.whole(name, codeRepeated, "this parameter may be there only once")
		}
	}
}

func (r *reader) unknown(name string, known []string) {
	switch name {
	case "message":
		r.whole(name, codeParameter, "there is no such parameter: use search, or q with message:")
		return
	case "timestamp", "received_at":
		r.whole(name, codeParameter, "there is no such parameter: use start_time and end_time")
		return
	}
	message := "there is no such parameter"
	if n := fault.Nearest(name, known); n != "" {
		message += "; did you mean " + n + "?"
	}
	if !plainName(name) {
		name = ""
	}
	r.whole(name, codeParameter, message)
}

// plainName tells a name that an answer may repeat.
func plainName(name string) bool {
	if len(name) > 64 {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if !inToken[c&0x7f] && c != '_' && c != '.' && c != '-' && (c < 'A' || c > 'Z') || c >= 0x80 {
			return false
		}
	}
	return true
}

// first is the value of a parameter that is there once.
func (r *reader) first(name string) (string, bool) {
	if vs := r.v[name]; len(vs) > 0 {
		return vs[0], true
	}
	return "", false
}

// filters reads name=a&name=b&name=!c as (a or b) and not c, name by name.
func (r *reader) filters() {
	for i := range fields {
		if filterable(fields[i].shape) {
			r.filter(target{name: fields[i].name, field: fields[i].field, shape: fields[i].shape})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.v)) {
		path, ok := strings.CutPrefix(name, metadataName)
		if !ok || path == "" || slices.Contains(r.extra, name) {
			continue
		}
		t, c := targetNamed(name)
		if c != nil {
			r.add(metadataName, 0, 0, c)
			continue
		}
		r.filter(t)
	}
}

func (r *reader) filter(t target) {
	pointer := t.name
	if !plainName(pointer) {
		pointer = metadataName
	}
	var or Or
	var not And
	for _, v := range r.v[t.name] {
		r.terms++
		v, excluded, prefix := filterValue(v)
		n, c := fieldValue(t, v, prefix, false, r.now)
		switch {
		case c != nil:
			r.add(pointer, 0, 0, c)
		case excluded:
			not = append(not, Not{Node: n})
		default:
			or = append(or, n)
		}
	}
	switch len(or) {
	case 0:
	case 1:
		r.and = append(r.and, or[0])
	default:
		r.and = append(r.and, or)
	}
	r.and = append(r.and, not...)
}

// filterValue undoes the marks of a filter: a leading !, a trailing *, and the \ before either.
func filterValue(v string) (value string, excluded, prefix bool) {
	if rest, ok := strings.CutPrefix(v, "!"); ok {
		v, excluded = rest, true
	}
	if strings.HasPrefix(v, `\!`) {
		v = v[1:]
	}
	if rest, ok := strings.CutSuffix(v, `\*`); ok {
		return rest + "*", excluded, false
	}
	v, prefix = strings.CutSuffix(v, "*")
	return v, excluded, prefix
}

// minSeverity asks for the severities from the named one up.
func (r *reader) minSeverity() {
	v, ok := r.first("min_severity")
	if !ok {
		return
	}
	least, ok := logentry.ParseSeverity(v)
	if !ok {
		r.add("min_severity", 0, 0, invalid("value_invalid", "a severity is DEBUG, INFO, WARNING, ERROR or CRITICAL"))
		return
	}
	if least == logentry.Debug {
		return // all have at least that
	}
	r.and = append(r.and, Interval{Field: Severity, From: float64(least), To: math.Inf(1)})
}

// times reads start_time and end_time.
func (r *reader) times() {
	from, hasFrom := r.moment("start_time")
	to, hasTo := r.moment("end_time")
	if hasFrom && hasTo && from.at.After(to.at) {
		r.whole("start_time", codeRange, "start_time is after end_time")
		return
	}
	if !hasFrom && !hasTo {
		return
	}
	n := Range{Field: Timestamp, From: from.at, To: to.at}
	if from.asked != "" || to.asked != "" {
		n.asked = "[" + from.form() + " TO " + to.form() + "}"
	}
	r.and = append(r.and, n)
}

func (r *reader) moment(name string) (moment, bool) {
	v, ok := r.first(name)
	if !ok {
		return moment{}, false
	}
	m, ok := parseMoment(v, r.now)
	if !ok {
		r.whole(name, codeRange, timeForms)
	}
	return m, ok
}

// text reads a parameter that is a query of its own.
func (r *reader) text(name string, parse func(string) (Node, int, *problems)) {
	s, ok := r.first(name)
	if !ok {
		return
	}
	n, terms, bad := parse(s)
	r.join(bad)
	r.terms += terms
	switch n := n.(type) {
	case nil, All:
	case And:
		r.and = append(r.and, n...)
	default:
		r.and = append(r.and, n)
	}
}

// page reads what piece of the result is asked for, in what order.
func (r *reader) page(q *Query) {
	if v, ok := r.first("sort"); ok {
		if q.Sort, ok = sorts[v]; !ok {
			r.whole("sort", codeSort, "the order is -timestamp, timestamp, -received_at or received_at")
		}
	}
	if v, ok := r.first("limit"); ok {
		n, ok := parseDigits(v, MaxLimit)
		if q.Limit = int(n); !ok || n == 0 {
			r.whole("limit", codeLimit, "limit is a whole number from 1 to 1000")
		}
	}
	if v, ok := r.first("skip"); ok {
		n, ok := parseDigits(v, MaxSkip)
		if q.Skip = int(n); !ok {
			r.whole("skip", codeSkip, "skip is a whole number from 0 to 10000; go on with cursor beyond that")
		}
	}
	switch v, ok := r.first("total"); {
	case !ok:
	case v == "exact":
		q.Total = TotalExact
	case v == "none":
		q.Total = TotalNone
	default:
		r.whole("total", codeTotal, "total is exact or none")
	}
	if v, ok := r.first("cursor"); ok {
		if v == "" {
			r.whole("cursor", codeCursor, badCursor)
		}
		if _, skips := r.first("skip"); skips {
			r.add("skip", 0, 0, invalid("cursor_with_skip", "a cursor goes on where its page ended: leave skip out"))
		}
	}
}
