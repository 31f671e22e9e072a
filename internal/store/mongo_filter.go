package store

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// errNotFiltered says that MongoDB can't be asked for something: what a document does not have as a field.
var errNotFiltered = errors.New("a filter of MongoDB can't say this")

// mongoFilter is the filter that finds what n asks for. Text is refused, it is the index's to find, and so are
// metadata, changes, networks and the presence of what is no field of a document, with errNotFiltered.
func mongoFilter(n query.Node) (bson.D, error) {
	switch n := n.(type) {
	case nil, query.All:
		return bson.D{}, nil
	case query.And:
		return mongoFilters("$and", n, bson.D{})
	case query.Or:
		return mongoFilters("$or", n, mongoNothing())
	case query.Not:
		return mongoFilters("$nor", []query.Node{n.Node}, nil)
	case query.Term:
		if n.Field == query.Changes {
			return nil, errNotFiltered
		}
		return mongoTerm(n), nil
	case query.Interval:
		return mongoInterval(n)
	case query.Has:
		return mongoHas(n)
	case query.Value, query.Network:
		return nil, errNotFiltered
	case query.Range:
		return mongoRange(n), nil
	case query.Text:
		return nil, errTextUnavailable
	}
	return mongoNothing(), nil
}

var errTextUnavailable = fault.New(fault.Unavailable, "search_unavailable", "text can't be searched for at the moment: leave it out, or try again later")

// mongoInterval compares numbers of fields.
func mongoInterval(n query.Interval) (bson.D, error) {
	field := mongoSchema
	switch n.Field {
	case query.SchemaVersion:
	case query.Severity:
		field = mongoSeverity // which is absent where there is none
	default:
		return nil, errNotFiltered
	}
	from, to := "$gte", "$lte"
	if n.Above {
		from = "$gt"
	}
	if n.Below {
		to = "$lt"
	}
	return bson.D{{Key: field, Value: bson.D{{Key: from, Value: n.From}, {Key: to, Value: n.To}}}}, nil
}

// mongoHas asks for fields that are absent where they are empty.
func mongoHas(h query.Has) (bson.D, error) {
	var field string
	switch h.Field {
	case query.EntryID, query.Timestamp, query.ReceivedAt, query.SchemaVersion:
		return bson.D{}, nil
	case query.Severity:
		field = mongoSeverity
	case query.IPAddress:
		field = mongoAddress
	default:
		var ok bool
		if field, ok = mongoTexts[h.Field]; !ok {
			return nil, errNotFiltered
		}
	}
	return bson.D{{Key: field, Value: bson.D{{Key: "$exists", Value: true}}}}, nil
}

// mongoFilters joins nodes by an operator, which MongoDB does not take without any.
func mongoFilters(operator string, nodes []query.Node, none bson.D) (bson.D, error) {
	if len(nodes) == 0 {
		return none, nil
	}
	all := make(bson.A, len(nodes))
	for i, n := range nodes {
		filter, err := mongoFilter(n)
		if err != nil {
			return nil, err
		}
		all[i] = filter
	}
	return bson.D{{Key: operator, Value: all}}, nil
}

// mongoNothing finds nothing.
func mongoNothing() bson.D {
	return bson.D{{Key: mongoID, Value: bson.D{{Key: "$in", Value: bson.A{}}}}}
}

func mongoEquals(field string, value any) bson.D {
	return bson.D{{Key: field, Value: bson.D{{Key: "$eq", Value: value}}}}
}

func mongoTerm(t query.Term) bson.D {
	switch t.Field {
	case query.EntryID:
		return mongoIDTerm(t)
	case query.IPAddress:
		if ip, ok := query.Address(t.Value); ok {
			return mongoEquals(mongoAddress, ip)
		}
	case query.Severity:
		in := bson.A{}
		for s := logentry.Debug; s <= logentry.Critical; s++ {
			if s.String() == t.Value || t.Prefix && strings.HasPrefix(s.String(), t.Value) {
				in = append(in, int32(s))
			}
		}
		return bson.D{{Key: mongoSeverity, Value: bson.D{{Key: "$in", Value: in}}}}
	case query.SchemaVersion:
		if n, err := strconv.ParseInt(t.Value, 10, 32); err == nil && strconv.FormatInt(n, 10) == t.Value {
			return mongoEquals(mongoSchema, int32(n))
		}
	default:
		field, ok := mongoTexts[t.Field]
		switch {
		case !ok || t.Value == "" && !t.Prefix:
		case t.Prefix:
			return mongoPrefix(field, t.Value)
		default:
			return mongoEquals(field, t.Value)
		}
	}
	return mongoNothing()
}

// mongoPrefix is a range of texts, which are compared bytewise: unlike a regular expression it takes any
// text, the zero character included, and it is not compiled for each query.
func mongoPrefix(field, prefix string) bson.D {
	bounds := bson.D{{Key: "$gte", Value: prefix}}
	if end, ok := afterPrefix(prefix); ok {
		bounds = append(bounds, bson.E{Key: "$lt", Value: end})
	}
	return bson.D{{Key: field, Value: bounds}}
}

// afterPrefix is the first text, in the order of its bytes, after all that begin with prefix; false
// where there is none.
func afterPrefix(prefix string) (string, bool) {
	for prefix != "" {
		last, size := utf8.DecodeLastRuneInString(prefix)
		prefix = prefix[:len(prefix)-size]
		switch {
		case last < 0xd7ff || last > 0xd7ff && last < utf8.MaxRune:
			return prefix + string(last+1), true
		case last == 0xd7ff: // what follows belongs to surrogates, which are no characters
			return prefix + "\ue000", true
		}
	}
	return "", false
}

// mongoIDTerm matches an id by its characters, or all ids from the first to the last of a prefix.
func mongoIDTerm(t query.Term) bson.D {
	id, err := logentry.ParseID(t.Value)
	if err == nil && id.String() == t.Value {
		return mongoEquals(mongoID, mongoBinary(id))
	}
	first, last, ok := idsBetween(t.Value)
	if !t.Prefix || !ok {
		return mongoNothing()
	}
	return bson.D{{Key: mongoID, Value: bson.D{{Key: "$gte", Value: mongoBinary(first)}, {Key: "$lte", Value: mongoBinary(last)}}}}
}

// idsBetween are the first and the last id that begin with prefix.
func idsBetween(prefix string) (first, last logentry.ID, ok bool) {
	const zeros, ones = "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"
	if len(prefix) > len(zeros) || prefix != strings.ToLower(prefix) {
		return first, last, false
	}
	for i := range len(prefix) {
		if (zeros[i] == '-') != (prefix[i] == '-') {
			return first, last, false
		}
	}
	for _, end := range []struct {
		id   *logentry.ID
		fill string
	}{{&first, zeros}, {&last, ones}} {
		digits := strings.ReplaceAll(prefix+end.fill[len(prefix):], "-", "")
		if _, err := hex.Decode(end.id[:], []byte(digits)); err != nil {
			return first, last, false
		}
	}
	return first, last, bytes.Compare(first[:], last[:]) <= 0
}

func mongoRange(r query.Range) bson.D {
	field := mongoTimestamp
	switch r.Field {
	case query.Timestamp:
	case query.ReceivedAt:
		field = mongoReceived
	default:
		return mongoNothing()
	}
	var bounds bson.D
	if !r.From.IsZero() {
		bounds = append(bounds, bson.E{Key: "$gte", Value: nanos(r.From)})
	}
	if !r.To.IsZero() {
		bounds = append(bounds, bson.E{Key: "$lt", Value: nanos(r.To)})
	}
	if bounds == nil {
		return bson.D{}
	}
	return bson.D{{Key: field, Value: bounds}}
}
