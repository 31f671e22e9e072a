//go:build e2e

package differential

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

var networks = []string{"10.0.0.0/8", "10.0.0.0/31", "10.0.0.2/32", "0.0.0.0/0", "::/0", "fd00::/9", "2001:db8::/29", "::ffff:10.0.0.0/104", "::/127", "::/80", "10.0.0.0/33", "10.0.0/8"}

// pathOf is the path of a value of the metadata, with the value, that some entry has; objects in arrays are passed by.
func (m *maker) pathOf(tenant string) (path string, value any) {
	for range 8 {
		meta, ok := m.known(tenant)["metadata"].(map[string]any)
		if !ok || len(meta) == 0 {
			continue
		}
		var parts []string
		value = meta
		for len(parts) < 6 {
			object, ok := value.(map[string]any)
			if !ok || len(object) == 0 {
				break
			}
			keys := make([]string, 0, len(object))
			for k := range object {
				keys = append(keys, k)
			}
			slices.Sort(keys)
			k := pick(m, keys...)
			parts, value = append(parts, k), object[k]
		}
		if list, ok := value.([]any); ok && len(list) > 0 {
			value = pick(m, list...)
		}
		return strings.Join(parts, "."), value
	}
	return pick(m, names...), pick(m, numbers...)
}

// scalarOf is a value as a reader writes it.
func scalarOf(v any) string {
	switch v := v.(type) {
	case string:
		return cutTo(v, 300)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	case nil:
		return "null"
	}
	return "17"
}

// isName tells a path that a query can have.
func isName(path string) bool {
	return path != "" && !strings.ContainsFunc(path, func(r rune) bool {
		return r != '_' && r != '.' && (r < '0' || r > '9' && r < 'A' || r > 'Z' && r < 'a' || r > 'z' && r < 0x80)
	})
}

func (m *maker) number(near any) string {
	if v, ok := near.(float64); ok && m.IntN(2) == 0 {
		return pick(m, scalarOf(v), scalarOf(v+1), scalarOf(v-0.5), scalarOf(-v))
	}
	return pick(m, append(numbers, "ten", "-", "1e309", "0.1", "100", "-100")...)
}

func (m *maker) span(end func() string) string {
	switch m.IntN(8) {
	case 0, 1:
		return ">" + end()
	case 2:
		return ">=" + end()
	case 3:
		return "<" + end()
	case 4:
		return "<=" + end()
	case 5:
		return pick(m, "[", "{") + end() + " TO *" + pick(m, "]", "}")
	case 6:
		return pick(m, "[", "{") + "* TO " + end() + pick(m, "]", "}")
	}
	return pick(m, "[", "{") + end() + " TO " + end() + pick(m, "]", "}")
}

// valueTerm asks for metadata, ranges, networks, changes, or what is there.
func (m *maker) valueTerm(tenant string) string {
	path, value := m.pathOf(tenant)
	switch m.IntN(14) {
	case 0:
		return pick(m, "timestamp:", "received_at:") + m.span(func() string { return m.moment(tenant) })
	case 1:
		return "severity:" + pick(m, ">=", ">", "<", "<=") + pick(m, "ERROR", "warn", "INFO", "DEBUG", "fatal", "loud")
	case 2:
		return "schema_version:" + m.span(func() string { return pick(m, "1", "2", "3", "10", "2147483647", "9007199254740992", "x") })
	case 3:
		return "ip_address:" + pick(m, networks...)
	case 4:
		return "changes:" + pick(m, m.word(pick(m, names...)), pick(m, "nested", "region", "list")+".*", "re*", "a.b", "键*")
	case 5:
		return "has:" + pick(m, append(wholeFields, "changes", "message", "ip_address", "severity", "timestamp", "id", "schema_version", "servce")...)
	case 6:
		return "has:metadata." + m.word(pick(m, path, strings.SplitN(path, ".", 2)[0]))
	}
	if !isName(path) {
		path = pick(m, "a", "b", "region", "amount", "nested", "list", "键", "toString", "k1", "a.b")
	}
	name := "metadata." + path + ":"
	switch m.IntN(6) {
	case 0, 1:
		return name + m.span(func() string { return m.number(value) })
	case 2:
		return name + quoted(scalarOf(value))
	case 3:
		return name + m.word(cutTo(scalarOf(value), 1+m.IntN(4))) + "*"
	case 4:
		return name + "(" + m.number(value) + " OR " + pick(m, "true", "false", "null", `""`) + ")"
	}
	if v := m.word(scalarOf(value)); v != "" {
		return name + v
	}
	return name + "17"
}

// valueFilter is a filter by metadata, by a network, or by what changed.
func (m *maker) valueFilter(tenant string) [2]string {
	not := pick(m, "", "", "", "!")
	switch m.IntN(5) {
	case 0:
		return [2]string{"ip_address", not + pick(m, networks...)}
	case 1:
		return [2]string{"changes", not + pick(m, "nested.*", "region", "re*", "a")}
	}
	path, value := m.pathOf(tenant)
	return [2]string{"metadata." + path, not + pick(m, scalarOf(value), cutTo(scalarOf(value), 3)+"*", m.number(value))}
}

// chosenValues are questions about values that nobody would find by chance.
func chosenValues(as string) (all []question) {
	for _, q := range []string{
		"has:metadata.a", "has:metadata.a.b", "has:metadata.a.b.c.d.e", "has:metadata.a.b.c.d.e.f", "-has:metadata.region", "has:metadata", "has:metadata.", "has:", "has:x*", "has:changes", "has:trace_id", "-has:trace_id -has:message", "has:message", "has:id",
		"metadata.k63:pair63", "metadata.k64:pair64", "metadata.k1:pair*", "metadata.a.b.c.d.e:fifth", "metadata.a.b.c.d.e.f.g:sixth", "metadata.next:after", "metadata.long:" + strings.Repeat("x", 60) + "*", "metadata.long:" + quoted(strings.Repeat("x", 60)+" "+strings.Repeat("é", 97)),
		"metadata:x", "metadata.:x", "metadata.a:", `metadata.a:""`, "metadata.a:null", `metadata.a:"null"`, "metadata.a:true", `metadata.a:"true"`, "metadata.amount:17", "metadata.amount:17.0", "metadata.amount:1.7e1", `metadata.amount:"17"`, "metadata.amount:0", "metadata.amount:-0", "metadata.amount:007",
		"metadata.amount:9007199254740992", "metadata.amount:9007199254740993", "metadata.amount:1e400", "metadata.amount:>1e400", "metadata.amount:>0", "metadata.amount:<0", "metadata.amount:[0 TO 0]", "metadata.amount:{0 TO 0}", "metadata.amount:[1 TO 0]", "metadata.amount:[* TO *]", "metadata.amount:>=1e308", "metadata.amount:{1 TO 17}", "metadata.amount:[1 TO 17]", "metadata.list:[1 TO 17]", "metadata.list:>0 metadata.list:<0",
		"metadata.amount:>x", "metadata.amount:[a TO b]", "metadata." + strings.Repeat("n", 120) + ":longpath", "metadata." + strings.Repeat("n", 129) + ":x", "metadata." + strings.Repeat("n", 120) + "." + strings.Repeat("o", 20) + ":longpath",
		"severity:>=ERROR", "severity:>=DEBUG", "severity:>CRITICAL", "severity:<=CRITICAL", "severity:[INFO TO ERROR]", "schema_version:>1", "schema_version:[2 TO 10}", "schema_version:>=2147483647", "schema_version:<0",
		"timestamp:>2025-03-01", "timestamp:>=2025-03-01", "timestamp:<2025-03-02", "timestamp:<=2025-03-02", "timestamp:[2025-03-01 TO 2025-03-02]", "timestamp:{2025-03-01 TO 2025-03-02}", "timestamp:[2025-03-02 TO 2025-03-01]", "timestamp:[* TO *]", "timestamp:[2025-03-01 TO now-1h]", "timestamp:>1970-01-01", "timestamp:<=1970-01-01", "timestamp:{* TO 1970-01-01T00:00:00.000000001Z]", "timestamp:<=2261-12-31T23:59:59.999999999Z", "timestamp:>2261-12-31T23:59:59.999999999Z", "received_at:>=now-1d",
		"ip_address:10.0.0.0/8", "ip_address:0.0.0.0/0", "ip_address:::/0", "-ip_address:::/0", "ip_address:::ffff:0:0/96", "ip_address:fd00::/8", "ip_address:255.255.255.255/32", "ip_address:2001:db8::/32", "ip_address:10.0.0.0/8*", `ip_address:"10.0.0.0/8"`,
		"changes:region", "changes:nested.*", "changes:a*", "changes:*", `changes:"a.b"`, "changes:>a", "changes:[a TO b]",
		"service:billing severity:>=ERROR user_id:(0 OR ä) -action:login \"connection reset\" time* ip_address:10.0.0.0/8 metadata.amount:17 metadata.amount:>1 has:trace_id timestamp:[2025-03-01 TO now-1h]",
		"metadata.a:(1 OR true OR \"x\" OR [2 TO 3] OR >100)", "metadata.a:[2 TO 3", "metadata.a:{}", "metadata.a:[]", "(metadata.a:1 OR NOT metadata.b:>0) -has:changes",
	} {
		for _, limit := range []string{"7", "1000"} {
			all = append(all, question{as, [][2]string{{"q", q}, {"limit", limit}}})
		}
	}
	for _, f := range [][2]string{{"metadata.region", ""}, {"metadata.region", "!"}, {"metadata.region", "x*"}, {"metadata.", "x"}, {"metadata", "x"}, {"metadata.$where", "17"}, {"metadata.a\"b", "true"}, {"metadata. ", "null"}, {"metadata.x/y", "!null"},
		{"metadata.a.b", "1"}, {"metadata.__proto__", "0"}, {"metadata." + strings.Repeat("k", 129), "1"}, {"changes", ""}, {"changes", "nested.*"}, {"min_severity", "WARN"}, {"ip_address", "10.0.0.0/8"}, {"ip_address", "!::/0"}, {"metadata.a", `\!x`}, {"metadata.a", `x\*`}} {
		all = append(all, question{as, [][2]string{f, {"limit", "1000"}}})
	}
	for i := range 40 {
		all = append(all, question{as, [][2]string{{"metadata.amount", fmt.Sprint(i)}, {"metadata.amount", "!" + fmt.Sprint(i+1)}, {"limit", "1000"}}})
	}
	return all
}
