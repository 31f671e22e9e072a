package search

import (
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// clause is a query of OpenSearch, or everything, or nothing. Negative: it is what must not match.
type clause struct {
	json     string
	negative bool
	constant constant
}

type constant uint8

const (
	some constant = iota // what json says
	all
	none
)

var (
	matchAll  = clause{constant: all}
	matchNone = clause{constant: none}
)

// mostWords is how many words a prefix at the end of a phrase stands for at the most, in a piece of an
// index. Each is read at the same time, with some kilobytes of the cluster's memory; a prefix alone has no bound.
const mostWords = 4_000

// compileClause turns a tree into a query. Its structure is made here, out of queries that are exact and
// cheap to judge; what a reader wrote gets into it only as JSON strings that are values.
func compileClause(n query.Node) clause {
	switch n := n.(type) {
	case nil, query.All:
		return matchAll
	case query.And:
		return conjunction(n)
	case query.Or:
		return disjunction(n)
	case query.Not:
		c := compileClause(n.Node)
		switch c.constant {
		case all:
			return matchNone
		case none:
			return matchAll
		}
		c.negative = !c.negative
		return c
	case query.Term:
		return termClause(n)
	case query.Text:
		return textClause(n)
	case query.Range:
		return rangeClause(n)
	case query.Interval:
		return intervalClause(n)
	case query.Network:
		return networkClause(n)
	case query.Value:
		return valueClause(n)
	case query.Has:
		return hasClause(n)
	}
	return matchNone
}

// positive is the clause as a query by itself.
func (c clause) positive() string {
	switch {
	case c.constant == all:
		return `{"match_all":{}}`
	case c.constant == none:
		return `{"match_none":{}}`
	case c.negative:
		return `{"bool":{"must_not":[` + c.json + `]}}`
	}
	return c.json
}

func conjunction(nodes []query.Node) clause {
	var filter, not []string
	for _, n := range nodes {
		switch c := compileClause(n); {
		case c.constant == none:
			return matchNone
		case c.constant == all:
		case c.negative:
			not = append(not, c.json)
		default:
			filter = append(filter, c.json)
		}
	}
	switch {
	case len(filter) == 0 && len(not) == 0:
		return matchAll
	case len(filter) == 1 && len(not) == 0:
		return clause{json: filter[0]}
	case len(filter) == 0 && len(not) == 1:
		return clause{json: not[0], negative: true}
	}
	return clause{json: boolQuery(filter, not)}
}

func boolQuery(filter, not []string) string {
	var parts []string
	if len(filter) > 0 {
		parts = append(parts, `"filter":[`+strings.Join(filter, ",")+`]`)
	}
	if len(not) > 0 {
		parts = append(parts, `"must_not":[`+strings.Join(not, ",")+`]`)
	}
	return `{"bool":{` + strings.Join(parts, ",") + `}}`
}

func disjunction(nodes []query.Node) clause {
	var should []string
	for _, n := range nodes {
		switch c := compileClause(n); c.constant {
		case all:
			return matchAll
		case some:
			should = append(should, c.positive())
		}
	}
	return anyOf(should)
}

func anyOf(should []string) clause {
	switch len(should) {
	case 0:
		return matchNone
	case 1:
		return clause{json: should[0]}
	}
	return clause{json: `{"bool":{"should":[` + strings.Join(should, ",") + `],"minimum_should_match":1}}`}
}

func quoted(s string) string { return string(appendString(nil, s)) }

func is(field, value string) clause {
	return clause{json: `{"term":{"` + field + `":` + quoted(value) + `}}`}
}

func exists(field string) clause { return clause{json: `{"exists":{"field":"` + field + `"}}`} }

func beginsWith(field, value string) clause {
	return clause{json: `{"prefix":{"` + field + `":` + quoted(value) + `}}`}
}

// between is a range of whole numbers, both ends included.
func between(field string, from, to int64) clause {
	return clause{json: `{"range":{"` + field + `":{"gte":` + strconv.FormatInt(from, 10) + `,"lte":` + strconv.FormatInt(to, 10) + `}}}`}
}

func termClause(t query.Term) clause {
	switch t.Field {
	case query.FieldNone, query.Message, query.Timestamp, query.ReceivedAt:
		return matchNone // they have no whole value
	case query.EntryID:
		return idClause(t)
	case query.Severity:
		return severityClause(t)
	case query.SchemaVersion:
		return versionClause(t)
	case query.IPAddress:
		field, spelling := address(t.Value)
		if field == "" {
			return matchNone
		}
		return is(field, spelling)
	case query.Changes:
		if len(t.Value) > query.MaxChange {
			return matchNone
		}
	}
	name := t.Field.String()
	switch {
	case name == "" || !utf8.ValidString(t.Value) || len(t.Value) > longestKeyword && len(utf16.Encode([]rune(t.Value))) > longestKeyword:
		return matchNone
	case t.Prefix && t.Value == "":
		return exists(name)
	case t.Prefix:
		return beginsWith(name, t.Value)
	case t.Value == "":
		return matchNone
	}
	return is(name, t.Value)
}

// severityClause compares the canonical names, of which numbers are indexed.
func severityClause(t query.Term) clause {
	var numbers []string
	for s := logentry.Debug; s <= logentry.Critical; s++ {
		if name := s.String(); name == t.Value || t.Prefix && strings.HasPrefix(name, t.Value) {
			numbers = append(numbers, strconv.Itoa(int(s)))
		}
	}
	if len(numbers) == 0 {
		return matchNone
	}
	return clause{json: `{"terms":{"severity":[` + strings.Join(numbers, ",") + `]}}`}
}

// versionClause compares digits; numbers that begin with some are ranges.
func versionClause(t query.Term) clause {
	if t.Prefix && t.Value == "" {
		return matchAll // every entry has one
	}
	n, err := strconv.ParseInt(t.Value, 10, 32)
	if err != nil || strconv.FormatInt(n, 10) != t.Value {
		return matchNone
	}
	if !t.Prefix || n <= 0 {
		return between("schema_version", n, n)
	}
	var should []string
	for from, to := n, n; from <= math.MaxInt32; from, to = from*10, to*10+9 {
		should = append(should, between("schema_version", from, min(to, math.MaxInt32)).json)
	}
	return anyOf(should)
}

// idClause finds a whole id by the document's name, and the ids with the same beginning by their halves.
func idClause(t query.Term) clause {
	const form = "00000000-0000-0000-0000-000000000000"
	if len(t.Value) > len(form) || strings.ToLower(t.Value) != t.Value || t.Value == "" && !t.Prefix {
		return matchNone
	}
	first, err := logentry.ParseID(t.Value + form[len(t.Value):])
	if err != nil || len(t.Value) < len(form) && !t.Prefix {
		return matchNone
	}
	if len(t.Value) == len(form) {
		return clause{json: `{"ids":{"values":["` + string(appendDocumentID(nil, first)) + `"]}}`}
	}
	digits := strings.ReplaceAll(t.Value, "-", "")
	var last logentry.ID
	if _, err := hex.Decode(last[:], []byte(digits+strings.Repeat("f", 2*len(last)-len(digits)))); err != nil {
		return matchNone
	}
	high, low := sortHalves(first)
	highest, lowest := sortHalves(last)
	if high != highest {
		return between("id_high", high, highest)
	}
	return clause{json: boolQuery([]string{between("id_high", high, high).json, between("id_low", low, lowest).json}, nil)}
}

func textClause(t query.Text) clause {
	if len(t.Tokens) == 0 {
		return matchNone
	}
	for _, token := range t.Tokens {
		if !canBeToken(token) {
			return matchNone
		}
	}
	switch t.Field {
	case query.Message:
		return clause{json: wordsIn("message", t)}
	case query.FieldNone:
		return anyOf([]string{wordsIn("message", t), wordsIn("meta_text", t)})
	}
	return matchNone
}

// canBeToken says whether s comes out of the index's cutting at spaces as itself.
func canBeToken(s string) bool {
	return s != "" && utf8.RuneCountInString(s) <= query.MaxToken && strings.IndexFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r)
	}) < 0
}

// wordsIn finds tokens that follow each other in a field.
func wordsIn(field string, t query.Text) string {
	switch first := t.Tokens[0]; {
	case len(t.Tokens) == 1 && t.Prefix:
		return beginsWith(field, first).json
	case len(t.Tokens) == 1:
		return is(field, first).json
	}
	phrase := strings.Join(t.Tokens, " ")
	if t.Prefix {
		return `{"match_phrase_prefix":{"` + field + `":{"query":` + quoted(phrase) + `,"max_expansions":` + strconv.Itoa(mostWords) + `}}}`
	}
	return `{"match_phrase":{"` + field + `":` + quoted(phrase) + `}}`
}

// rangeClause leaves out the ends beyond what the index holds.
func rangeClause(r query.Range) clause {
	if r.Field != query.Timestamp && r.Field != query.ReceivedAt {
		return matchNone
	}
	if !r.To.IsZero() && (r.To.Unix() < 0 || r.To.Equal(time.Unix(0, 0)) || !r.From.IsZero() && !r.From.Before(r.To)) {
		return matchNone
	}
	if !r.From.IsZero() && r.From.Unix() > 0 && !inNanoseconds(r.From) {
		return matchNone
	}
	var ends []string
	if !r.From.IsZero() && inNanoseconds(r.From) {
		ends = append(ends, `"gte":`+string(appendMillis(nil, r.From)))
	}
	if !r.To.IsZero() && inNanoseconds(r.To) {
		ends = append(ends, `"lt":`+string(appendMillis(nil, r.To)))
	}
	if len(ends) == 0 {
		return matchAll
	}
	return clause{json: `{"range":{"` + r.Field.String() + `":{` + strings.Join(ends, ",") + `}}}`}
}
