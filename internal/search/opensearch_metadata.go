package search

import (
	"math"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// The metadata of a document is four arrays, whatever names entries use:
//
//	meta_text  its texts, cut into tokens, one element each so that no phrase goes from one to the next
//	meta_keys  the paths where there is something
//	meta_kv    path and value: region=eu-west-1, cached:true, took_ms#c05ec, and note~… for the beginning of a
//	           string that is too long. In paths \ stands before \ and the four signs.
//	meta_num   the numbers among them once more, to be counted: nothing else of the metadata is
//
// Numbers are their query.SortBits in hex without the zeros at the end, which sort as the numbers do, so that a
// range of numbers is a range of terms.
const (
	signString  = '='
	signCut     = '~'
	signLiteral = ':'
	signNumber  = '#'
)

// appendMetadata appends the arrays, and whether there is more than they hold.
func (d *documents) appendMetadata(dst []byte, meta jsontext.Value) []byte {
	const kv, texts, keys, nums = `,"meta_kv":[`, `,"meta_text":[`, `,"meta_keys":[`, `,"meta_num":[`
	d.texts, d.keys, d.nums = append(d.texts[:0], texts...), append(d.keys[:0], keys...), append(d.nums[:0], nums...)
	start, last := len(dst), ""
	dst = append(dst, kv...)
	truncated := query.Pairs(meta, func(p query.Pair) bool {
		if len(dst) > start+len(kv) {
			dst = append(dst, ',')
		}
		begin := len(dst)
		dst = appendPair(dst, p)
		if p.Kind == query.PairNumber {
			if len(d.nums) > len(nums) {
				d.nums = append(d.nums, ',')
			}
			d.nums = append(d.nums, dst[begin:]...)
		}
		if p.Kind <= query.PairCut {
			before := `,"`
			if len(d.texts) == len(texts) {
				before = `"`
			}
			d.texts = d.appendText(d.texts, before, p.Text, `"`)
		}
		if p.Path != last && p.Present() {
			if last = p.Path; len(d.keys) > len(keys) {
				d.keys = append(d.keys, ',')
			}
			d.keys = appendString(d.keys, p.Path)
		}
		return true
	})
	if len(dst) == start+len(kv) {
		dst = dst[:start]
	} else {
		dst = append(dst, ']')
	}
	if len(d.texts) > len(texts) {
		dst = append(append(dst, d.texts...), ']')
	}
	if len(d.keys) > len(keys) {
		dst = append(append(dst, d.keys...), ']')
	}
	if len(d.nums) > len(nums) {
		dst = append(append(dst, d.nums...), ']')
	}
	if truncated {
		dst = append(dst, `,"index_truncated":true`...)
	}
	return dst
}

// appendPair appends a string of meta_kv.
func appendPair(dst []byte, p query.Pair) []byte {
	for i := range len(p.Path) {
		if plain := folded[p.Path[i]] != 0 || p.Path[i] == '_' || p.Path[i] == '.'; !plain {
			return appendString(dst, pairTerm(p.Path, p.Kind, p.Text))
		}
	}
	dst = append(append(dst, '"'), p.Path...)
	switch p.Kind {
	case query.PairNumber:
		dst = appendSortable(append(dst, signNumber), query.SortBits(query.Number(p.Text)))
	case query.PairLiteral:
		dst = append(append(dst, signLiteral), p.Text...)
	default:
		dst = append(dst, pairSign(p.Kind))
		n := len(dst)
		dst = appendString(dst, p.Text)
		return append(dst[:n], dst[n+1:]...) // the value without its first quote
	}
	return append(dst, '"')
}

func pairSign(k query.Kind) byte {
	return [...]byte{query.PairString: signString, query.PairCut: signCut, query.PairNumber: signNumber, query.PairLiteral: signLiteral}[k]
}

// pairTerm is a string of meta_kv, or the beginning of one.
func pairTerm(path string, k query.Kind, text string) string {
	var b strings.Builder
	b.Grow(len(path) + len(text) + 8)
	for i := range len(path) {
		switch path[i] {
		case '\\', signString, signCut, signLiteral, signNumber:
			b.WriteByte('\\')
		}
		b.WriteByte(path[i])
	}
	b.WriteByte(pairSign(k))
	if k == query.PairNumber && text != "" {
		b.Write(appendSortable(nil, query.SortBits(query.Number(text))))
	} else {
		b.WriteString(text)
	}
	return b.String()
}

// appendSortable appends hex digits without the zeros at their end.
func appendSortable(dst []byte, bits uint64) []byte {
	for ; bits != 0; bits <<= 4 {
		dst = append(dst, "0123456789abcdef"[bits>>60])
	}
	return dst
}

// appendChanges appends the paths that differ. Those that are too long are not found, but they are there.
func appendChanges(dst []byte, paths []string) []byte {
	const name = `,"changes":[`
	dst = append(dst, name...)
	begin := len(dst)
	for _, p := range paths {
		if len(p) > query.MaxChange {
			continue
		}
		if len(dst) > begin {
			dst = append(dst, ',')
		}
		dst = appendString(dst, p)
	}
	if len(dst) == begin {
		dst = append(dst, `""`...)
	}
	return append(dst, ']')
}

// findable says whether there can be such a path and value.
func findable(path, text string) bool {
	return path != "" && len(path) <= query.MaxPath && len(text) <= query.MaxValue && utf8.ValidString(path) && utf8.ValidString(text)
}

func valueClause(v query.Value) clause {
	if !findable(v.Path, v.Text) {
		return matchNone
	}
	if v.Prefix {
		return anyOf([]string{beginsWith("meta_kv", pairTerm(v.Path, query.PairString, v.Text)).json, beginsWith("meta_kv", pairTerm(v.Path, query.PairCut, v.Text)).json})
	}
	terms := []string{quoted(pairTerm(v.Path, query.PairString, v.Text))}
	if _, ok := v.AsNumber(); ok {
		terms = append(terms, quoted(pairTerm(v.Path, query.PairNumber, v.Text)))
	}
	if v.AsLiteral() {
		terms = append(terms, quoted(pairTerm(v.Path, query.PairLiteral, v.Text)))
	}
	return clause{json: `{"terms":{"meta_kv":[` + strings.Join(terms, ",") + `]}}`}
}

func intervalClause(n query.Interval) clause {
	switch n.Field {
	case query.Severity, query.SchemaVersion:
		return wholeClause(n)
	case query.Metadata:
		least, most, ok := n.SortedBetween()
		if !ok || !findable(n.Path, "") {
			return matchNone
		}
		begin := pairTerm(n.Path, query.PairNumber, "")
		from, to := begin+string(appendSortable(nil, least)), begin+string(appendSortable(nil, most))
		return clause{json: `{"range":{"meta_kv":{"gte":` + quoted(from) + `,"lte":` + quoted(to) + `}}}`}
	}
	return matchNone
}

// wholeClause compares whole numbers.
func wholeClause(n query.Interval) clause {
	first, last := math.Ceil(n.From), math.Floor(n.To)
	if n.Above && first == n.From {
		first++
	}
	if n.Below && last == n.To {
		last--
	}
	first, last = max(first, 0), min(last, math.MaxInt32)
	if n.Field == query.Severity {
		first, last = max(first, float64(logentry.Debug)), min(last, float64(logentry.Critical))
	}
	if !(first <= last) {
		return matchNone
	}
	return between(n.Field.String(), int64(first), int64(last))
}

// networkClause leaves it to the type ip, which knows addresses as IPv6 ones too.
func networkClause(n query.Network) clause {
	if !n.Prefix.IsValid() {
		return matchNone
	}
	network := n.Prefix.String()
	if n.Prefix.Addr().Is4() {
		return is("ip_address", network)
	}
	return anyOf([]string{is("ip_address", network).json, is("ip_bare", network).json}) // with a zone it is IPv6
}

func hasClause(h query.Has) clause {
	switch h.Field {
	case query.FieldNone:
		return matchNone
	case query.EntryID, query.Timestamp, query.ReceivedAt, query.SchemaVersion:
		return matchAll
	case query.Severity:
		return between("severity", int64(logentry.Debug), int64(logentry.Critical))
	case query.IPAddress:
		return anyOf([]string{exists("ip_address").json, exists("ip_zoned").json})
	case query.Metadata:
		if !findable(h.Path, "") {
			return matchNone
		}
		return anyOf([]string{is("meta_keys", h.Path).json, beginsWith("meta_keys", h.Path+".").json})
	}
	return exists(h.Field.String())
}
