package search_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

var numbers = []string{"0", "-0", "1", "1.0", "42", "-42", "4.2e1", "0.1", "1e-1", "12.34", "100", "101", "1e308", "99e308", "5e-324", "9007199254740993", "9007199254740992", "-1.5"}

var networks = []string{"10.0.0.0/8", "10.0.0.0/31", "10.0.0.2/32", "0.0.0.0/0", "::/0", "fd00::/7", "fd00::/10", "fe80::/10", "fd00::1/128", "10.0.0.0/29", "fe00::/9", "::/80", "::/96"}

// changes are paths that differ.
var changes = []string{"address.city", "address.zip", "address", "name", "Name", "a.b", "name=x", "größe", "a b", "x\"y"}

// scalar is a value of the metadata as JSON.
func (m *maker) scalar(depth int) string {
	switch m.IntN(12) {
	case 0, 1, 2:
		return pick(m, numbers...)
	case 3:
		return pick(m, "true", "false", "null", `""`, "{}", "[]")
	case 4:
		b, _ := json.Marshal(pick(m, numbers...)) // a string of digits
		return string(b)
	case 5:
		b, _ := json.Marshal(strings.Repeat(pick(m, "x", "é", "ab "), 90+m.IntN(200))) // some are cut
		return string(b)
	case 6:
		if depth > 0 {
			var some []string
			for range m.IntN(4) {
				some = append(some, m.scalar(depth-1))
			}
			return "[" + strings.Join(some, ",") + "]"
		}
	case 7:
		if depth > 0 {
			return m.object(depth - 1)
		}
	case 8:
		b, _ := json.Marshal(m.text(3))
		return string(b)
	}
	b, _ := json.Marshal(pick(m, values...))
	return string(b)
}

var keys = []string{"a", "b", "a.b", "n", "k8s-pod", "x=y", "Größe", "c:d", `e\f`, "g~h", "i#j"}

func (m *maker) object(depth int) string {
	var members []string
	for _, i := range m.Perm(len(keys))[:m.IntN(5)] {
		key, _ := json.Marshal(keys[i])
		members = append(members, string(key)+":"+m.scalar(depth))
	}
	return "{" + strings.Join(members, ",") + "}"
}

func (m *maker) changed() (paths []string) {
	if m.IntN(3) == 0 {
		for range m.IntN(4) {
			paths = append(paths, pick(m, changes...))
		}
		if m.IntN(10) == 0 {
			paths = append(paths, strings.Repeat("p", query.MaxChange+m.IntN(2)))
		}
	}
	return paths
}

// pairOf is a pair that an entry has, or one that it may have.
func (m *maker) pairOf(e *logentry.Entry) query.Pair {
	var all []query.Pair
	if len(e.Metadata) > 0 {
		query.Pairs(e.Metadata, func(p query.Pair) bool {
			all = append(all, p)
			return true
		})
	}
	if len(all) == 0 || m.IntN(5) == 0 {
		return query.Pair{Path: pick(m, keys...), Text: pick(m, append(values, numbers...)...)}
	}
	return pick(m, all...)
}

// other asks for what is neither a whole value, nor words, nor a time.
func (m *maker) other(e *logentry.Entry) query.Node {
	switch m.IntN(10) {
	case 0:
		p, _ := netip.ParsePrefix(pick(m, networks...))
		return query.Network{Prefix: p.Masked()}
	case 1:
		return query.Interval{Field: query.Severity, From: float64(m.IntN(7)), To: pick(m, math.Inf(1), float64(m.IntN(7))), Above: m.IntN(2) == 0, Below: m.IntN(3) == 0}
	case 2:
		return query.Interval{Field: query.SchemaVersion, From: pick(m, math.Inf(-1), float64(m.IntN(4))), To: pick(m, math.Inf(1), float64(m.IntN(4))), Above: m.IntN(2) == 0, Below: m.IntN(2) == 0}
	case 3, 4:
		n := query.Interval{Field: query.Metadata, Path: m.pairOf(e).Path, From: math.Inf(-1), To: math.Inf(1)}
		if m.IntN(4) > 0 {
			n.From, n.Above = query.Number(pick(m, numbers...)), m.IntN(2) == 0
		}
		if m.IntN(2) > 0 {
			n.To, n.Below = query.Number(pick(m, numbers...)), m.IntN(2) == 0
		}
		return n
	case 5, 6, 7:
		p := m.pairOf(e)
		v := query.Value{Path: p.Path, Text: p.Text, Prefix: m.IntN(4) == 0, Quoted: m.IntN(4) == 0}
		if v.Prefix {
			r := []rune(v.Text)
			v.Text, v.Quoted = string(r[:m.IntN(len(r)+1)]), false
		}
		return v
	case 8:
		p := m.pairOf(e).Path
		if i := strings.IndexByte(p, '.'); i > 0 && m.IntN(2) == 0 {
			p = p[:i]
		}
		return query.Has{Field: query.Metadata, Path: p}
	}
	return query.Has{Field: pick(m, append(fields[:16:16], query.Timestamp, query.ReceivedAt, query.Changes, query.Changes)...)}
}

// fullMetadata has more pairs than are found, at all depths, and some that are too long.
func (m *maker) fullMetadata() jsontext.Value {
	var members []string
	for i := range 70 {
		members = append(members, fmt.Sprintf(`"k%d":%s`, i, m.scalar(0)))
	}
	members = append(members[:m.IntN(len(members))], `"d":{"d":{"d":{"d":{"d":5,"e":{"f":6}}}}}`, `"`+strings.Repeat("p", 129)+`":1`)
	return jsontext.Value("{" + strings.Join(members, ",") + "}")
}
