//go:build e2e

package differential

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
)

// question is the parameters of a search, as they stand in the URL.
type question struct {
	as     string
	params [][2]string
}

func (q question) String() string {
	parts := make([]string, len(q.params))
	for i, p := range q.params {
		parts[i] = p[0] + "=" + p[1]
	}
	return fmt.Sprintf("search as %q: %s", q.as, strings.Join(parts, " & "))
}

func (q question) target(more ...string) string {
	parts := make([]string, len(q.params), len(q.params)+len(more))
	for i, p := range q.params {
		parts[i] = url.QueryEscape(p[0]) + "=" + url.QueryEscape(p[1])
	}
	return single + "?" + strings.Join(append(parts, more...), "&")
}

func (q question) first(name string) string {
	for _, p := range q.params {
		if p[0] == name {
			return p[1]
		}
	}
	return ""
}

var wholeFields = []string{"service", "action", "user_id", "session_id", "resource_type", "resource_id", "user_agent", "request_id", "trace_id", "span_id", "event_id"}

// known is an entry to ask for.
func (m *maker) known(tenant string) map[string]any { return pick(m, m.made[tenant]...) }

// fieldOf is a value that some entry has, or one that none has.
func (m *maker) fieldOf(tenant, name string) string {
	for range 5 {
		if v, ok := m.known(tenant)[name].(string); ok && v != "" {
			return v
		}
	}
	return pick(m, values...)
}

// word writes a value as a word of the language, with \ before what would end it or mean something.
func (m *maker) word(v string) string {
	var b strings.Builder
	for i, r := range v {
		if unicode.IsSpace(r) || strings.ContainsRune(`()"\*~/`, r) || i == 0 && strings.ContainsRune(`-<>[{`, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func quoted(v string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v) + `"`
}

func cutTo(v string, n int) string {
	r := []rune(v)
	return string(r[:min(len(r), n)])
}

// fieldTerm asks for a field.
func (m *maker) fieldTerm(tenant string) string {
	name := pick(m, wholeFields...)
	v := cutTo(m.fieldOf(tenant, name), 300)
	switch m.IntN(14) {
	case 0:
		return "severity:" + pick(m, "ERROR", "err", "Warn", "INFO", "fatal", "debug", "loud", "CRITICAL")
	case 1:
		return "ip_address:" + pick(m, append(addresses, "10.0.0.0/8", "fe80::1%eth0", "10.0.0", "\"10.0.0.1\"")...)
	case 2:
		return "schema_version:" + pick(m, "1", "2", "10", "2147483647", "01", "-1", "x", ">1")
	case 3:
		return pick(m, "timestamp", "received_at") + ":" + m.moment(tenant)
	case 4:
		return name + ":(" + m.word(v) + " OR " + quoted(m.fieldOf(tenant, name)) + ")"
	case 5, 6:
		return name + ":" + m.word(cutTo(v, 1+m.IntN(6))) + "*"
	case 7:
		return name + ":" + m.word(strings.ToUpper(v))
	case 8:
		return pick(m, "has:service", "metadata.a:1", "changes:a", "servce:x", "timestamp:>2025-01-01", "_index:x", "tenant_id:acme", "timestamp:[2025-01-01 TO now]", "metadata.region:eu*", "has:metadata.a")
	case 9, 10, 11:
		return name + ":" + quoted(v)
	}
	return name + ":" + m.word(v)
}

// moment is a time in one of the forms.
func (m *maker) moment(tenant string) string {
	switch m.IntN(6) {
	case 0:
		return pick(m, "now", "now-15m", "now-1h", "now-3d", "now-2w", "now-90000s", "now-1y", "now-", "now+1h", "now-999999999999d")
	case 1:
		return pick(m, "2025-03-01", "2025-03-04", "2025-05-01", "1970-01-01", "1969-12-31", "2261-12-31", "2262-01-01", "2025-02-30", "yesterday", "2025")
	}
	if v, ok := m.known(tenant)["timestamp"].(string); ok {
		return v
	}
	return m.now.Format(time.DateOnly)
}

// textTerm asks for words, mostly ones that follow each other somewhere.
func (m *maker) textTerm(tenant string) string {
	e := m.known(tenant)
	text, _ := e["message"].(string)
	if meta, ok := e["metadata"].(map[string]any); ok && m.IntN(3) == 0 {
		for _, name := range names {
			if v, ok := meta[name].(string); ok && v != "" {
				text = v
			}
		}
	}
	parts := strings.Fields(text)
	if len(parts) > 0 && parts[0] == "m" {
		parts = parts[1:]
	}
	if len(parts) == 0 || m.IntN(8) == 0 {
		parts = []string{pick(m, words...), pick(m, words...)}
	}
	i := m.IntN(len(parts))
	v := strings.Join(parts[i:min(len(parts), i+1+m.IntN(3))], " ")
	field := pick(m, "", "", "", "message:")
	switch m.IntN(8) {
	case 0:
		return field + m.word(cutTo(parts[i], 1+m.IntN(5))) + "*"
	case 1:
		return field + m.word(strings.ToUpper(parts[i]))
	case 2, 3:
		return field + quoted(v)
	case 4:
		return pick(m, "nothinglikethis", "zzz*", "failed", "pay*", "*", "m")
	}
	return field + m.word(parts[i])
}

func (m *maker) expression(tenant string, depth int) string {
	if depth > 0 && m.IntN(4) > 0 {
		a, b := m.expression(tenant, depth-1), m.expression(tenant, depth-1)
		switch m.IntN(7) {
		case 0:
			return a + " AND " + b
		case 1:
			return a + " " + b
		case 2, 3:
			return a + " OR " + b
		case 4:
			return "NOT (" + a + ")"
		case 5:
			return "(" + a + " OR " + b + ") -(" + b + ")"
		}
		return "(" + a + ")" + pick(m, " ", "  ", "\t") + pick(m, "NOT ", "-", "") + m.fieldTerm(tenant)
	}
	switch m.IntN(6) {
	case 0, 1:
		return m.textTerm(tenant)
	case 2, 3:
		return m.valueTerm(tenant)
	}
	return m.fieldTerm(tenant)
}

// spoilt is a query that something was done to.
func (m *maker) spoilt(q string) string {
	r := []rune(q)
	at := m.IntN(len(r) + 1)
	end := min(len(r), at+m.IntN(2))
	return string(r[:at]) + pick(m, `"`, `(`, `)`, `\`, `*`, `:`, ` AND `, ` OR `, ` NOT `, `-`, `>`, `[`, `~`, `/`, `{`, "\x00", " ") + string(r[end:])
}

// filter is a parameter that filters.
func (m *maker) filter(tenant string) [2]string {
	if m.IntN(3) == 0 {
		return m.valueFilter(tenant)
	}
	name := pick(m, append(wholeFields, "service", "action", "severity", "ip_address", "schema_version")...)
	var v string
	switch name {
	case "severity":
		v = pick(m, "ERROR", "warn", "INFO", "DEBUG", "loud")
	case "ip_address":
		v = pick(m, append(addresses, "10.0.0.0/24", "10.0.0.*")...)
	case "schema_version":
		v = pick(m, "1", "2", "3", "x")
	default:
		v = cutTo(m.fieldOf(tenant, name), 400)
		if strings.HasPrefix(v, "!") || m.IntN(20) == 0 {
			v = `\` + v
		}
		switch m.IntN(6) {
		case 0:
			v = cutTo(v, 2+m.IntN(4)) + "*"
		case 1:
			v = strings.TrimSuffix(v, "*") + `\*`
		}
	}
	return [2]string{name, pick(m, "", "", "", "!") + v}
}

// questions are n searches of a tenant, each with its page and order.
func (m *maker) questions(tenant string, n int) (all []question) {
	for range n {
		q := question{as: tenant}
		add := func(name, value string) { q.params = append(q.params, [2]string{name, value}) }
		switch m.IntN(10) {
		case 0:
		case 1:
			add("q", m.spoilt(m.expression(tenant, 1)))
		case 2, 3:
			for range 1 + m.IntN(3) {
				q.params = append(q.params, m.filter(tenant))
			}
		case 4:
			add("search", pick(m, m.textOf(tenant), quoted(m.textOf(tenant)), "AND failed", `"open`, "…"))
		default:
			add("q", m.expression(tenant, m.IntN(4)))
		}
		if m.IntN(5) == 0 {
			q.params = append(q.params, m.filter(tenant))
		}
		if m.IntN(6) == 0 {
			add("start_time", m.moment(tenant))
		}
		if m.IntN(6) == 0 {
			add("end_time", m.moment(tenant))
		}
		if m.IntN(10) == 0 {
			add("min_severity", pick(m, "DEBUG", "warn", "ERROR", "CRITICAL", "x"))
		}
		switch m.IntN(7) {
		case 0:
			add("sort", "timestamp")
		case 1:
			add("sort", "-timestamp")
		case 2:
			add("sort", pick(m, "received_at", "-received_at"))
		}
		switch m.IntN(5) {
		case 0:
			add("total", "exact")
		case 1:
			add("total", "none")
		}
		switch m.IntN(5) {
		case 0: // 50
		case 1:
			add("limit", fmt.Sprint(1+m.IntN(9)))
		case 2:
			add("limit", fmt.Sprint(20+m.IntN(80)))
		default:
			add("limit", "1000")
		}
		if m.IntN(6) == 0 {
			add("skip", fmt.Sprint(m.IntN(120)))
		}
		m.Shuffle(len(q.params), func(i, j int) { q.params[i], q.params[j] = q.params[j], q.params[i] })
		if len(all)%3 == 0 {
			add("highlight", "true")
		}
		all = append(all, q)
	}
	return all
}

func (m *maker) textOf(tenant string) string {
	text, _ := m.known(tenant)["message"].(string)
	return cutTo(strings.TrimPrefix(text, "m "), 60)
}

// crowded are questions about more entries than are counted unasked.
func crowded() (all []question) {
	for _, where := range [][2]string{{"q", "*"}, {"q", "many"}, {"search", "one of"}, {"q", "NOT service:s1"}, {"start_time", "2025-06-01T00:00:02Z"}, {"start_time", "2025-06-01T00:00:01Z"}, {"sort", "received_at"}} {
		for _, page := range [][][2]string{nil, {{"total", "exact"}}, {{"total", "none"}, {"limit", "300"}}, {{"skip", "9999"}, {"limit", "1"}}, {{"skip", "10000"}, {"total", "exact"}}} {
			all = append(all, question{"many", append([][2]string{where}, page...)})
		}
	}
	return all
}

// chosen are questions that nobody would find by chance.
func chosen(as string) (all []question) {
	ask := func(params ...string) {
		q := question{as: as}
		for i := 0; i < len(params); i += 2 {
			q.params = append(q.params, [2]string{params[i], params[i+1]})
		}
		all = append(all, q)
	}
	for _, v := range []string{"0", "-1", "1001", "1e3", "١٠", "99999999999999999999", " 10", "10 ", "+10", "", "01", "1000", "1"} {
		ask("limit", v)
	}
	for _, v := range []string{"-1", "10001", "10000", "x", "", "5"} {
		ask("skip", v, "limit", "5")
	}
	for _, v := range []string{"id", "message", "_script", "-severity", "", "Timestamp", "timestamp,id"} {
		ask("sort", v)
	}
	for _, v := range []string{"bounded", "EXACT", ""} {
		ask("total", v)
	}
	for _, v := range []string{"true", "false", "TRUE", "1", "", "tenant_id"} {
		ask("highlight", v, "q", "the OR a")
	}
	ask("highlight", "true", "highlight", "true")
	for _, v := range []string{"", "x", "AAAA", "e30", strings.Repeat("A", 4000), "{\"$gt\":1}"} {
		ask("cursor", v)
		ask("cursor", v, "skip", "1")
	}
	ask("start_time", "2025-03-02", "end_time", "2025-03-01")
	ask("start_time", "2025-03-02", "end_time", "2025-03-02")
	ask("start_time", "2025-03-02T00:00:00+00:00", "end_time", "2025-03-03")
	ask("start_time", "1970-01-01", "end_time", "1970-01-01T00:00:00.000000001Z", "limit", "1000")
	ask("start_time", "1970-01-01T00:00:00.000000001Z", "end_time", "1970-01-01T00:00:00.000000002Z", "limit", "1000")
	ask("end_time", "1970-01-01", "limit", "1000")
	ask("start_time", "2261-12-31T23:59:59.999999999Z")
	ask("service", "")
	ask("service", "!")
	ask("service", "*")
	ask("service", "billing", "service", "auth", "service", "!bill*", "limit", "1000")
	ask("service", "!billing", "service", "!auth", "limit", "1000")
	ask("q", "service:billing", "q", "service:auth")
	ask("lvel", "error", "limit", "x", "sort", "y", "q", "(", "service", "", "tenant", "zeta", "start_time", "z")
	all = append(all, chosenValues(as)...)
	ask("metadata.region", "eu")
	ask("message", "x")
	ask("timestamp", "2025-01-01")
	ask("changes", "a")
	for _, v := range []string{"", " ", "*", "**", "* *", "NOT *", "-*", "*:*", "NOT NOT a", "a AND", "AND a", "OR", "a OR", "a AND OR b", "NOT", "-", "- a", "()", "(a", "a)", "((((((((a))))))))", "(((((((((a)))))))))", `"`, `""`, `"..."`, `\`, `a\`, "*a", "a*b", "/re/", "a~2", "a~", "a~b", "action:>X",
		"service:", "service: x", "service:()", "service:(a b)", "service:(a OR (b))", "service:(NOT a)", "http://x", "http://x.example/p?q=1&r=2", "user:17", "a:b", "Service:x", "id:x", "id:0199c1f0*", "id:0199c1f0-8a4e-7c3b-9f00-2f1d3c4b5a69", "id:\"0199C1F0-8A4E-7C3B-9F00-2F1D3C4B5A69\"", "trace_id:ABCDEF*", "trace_id:000000000000000000000000ABCDEF01",
		"_exists_:service", "_source:x", "message:*", "message:a*", "ü*", "東*", "東京*", "😀", "😀*", "a😀*", "3.5", "3.*", "user_i*", "user_id", "x²", "½", "ⓐ", "…", "\u0130", "i\u0307stanbul", "İ*", "\u212b", "å*", "ß", "SS", "ſ", "s", "K*", "σ", "ς", "ΣΊΣΥΦΟΣ", "σίσυφοσ", "\u0378", "\ue000", "\u200b", "a\u200bb", "\"a b\"", "a\u00a0b", "\x00", "a\x00b",
		"𝐀*", strings.Repeat("𝐀", 130), strings.Repeat("𝐀", 128), strings.Repeat("𝐀", 127) + "*", strings.Repeat("𝐀", 127), strings.Repeat("東", 200), strings.Repeat("東", 129) + "*", strings.Repeat("w", 2000), strings.Repeat("w", 2001), strings.Repeat("w", 128) + "*", strings.Repeat("x", 1999) + "*", "end", `"w end"`, `"` + strings.Repeat("w", 128) + ` end"`,
		"pair0", "pair63", "pair64", "fifth", "sixth", "longpath", "behind", "after", "é*", strings.Repeat("é", 40) + "*", strings.Repeat("a ", 64), strings.Repeat("a ", 65), strings.Repeat("NOT ", 3) + "a", "resource_id:" + quoted(strings.Repeat("r", 1024)), "resource_id:" + strings.Repeat("r", 1000) + "*", "resource_id:" + quoted(strings.Repeat("r", 1023)),
		"user_agent:" + quoted(strings.Repeat("\U0001F600", 256)), "user_agent:" + strings.Repeat("\U0001F600", 255) + "*", "resource_id:Ä-*", "resource_id:" + quoted(strings.Repeat("Ä-", 340)), "ip_address:::ffff:a00:1", "ip_address:fd00::1", "ip_address:010.0.0.1", "ip_address:10.0.0.1*", "severity:E*", "severity:", "severity:(err OR WARN)", "schema_version:2*",
		"message:ab", `message:"ab ab ab"`, `message:"ab ab x"`, "NOT message:m", "-m", "NOT (m OR *)", "NOT NOT*", "a OR -a", "a -a", "timestamp:2025-03-01 OR timestamp:2025-03-03", "NOT timestamp:2025-03-01", "timestamp:2025-03-01 received_at:2025-03-01", "timestamp:(2025-03-01 OR 2025-03-02)", "timestamp:1970-01-01T00:00:00Z", "timestamp:1970-01-01T00:00:00.000000001Z", "timestamp:2000-01-01T00:00:00.1Z",
		"timestamp:now", "timestamp:now-0s", "received_at:now-1w", "received_at:" + time.Now().UTC().Format(time.DateOnly) + " OR received_at:" + time.Now().UTC().AddDate(0, 0, 1).Format(time.DateOnly), "timestamp:\"2025-03-01\"", "timestamp:2025-03-01*"} {
		ask("q", v, "limit", "1000")
		if !strings.Contains(v, `\`) {
			ask("search", v, "limit", "300")
		}
	}
	today := time.Now().UTC().Format(time.DateOnly)
	for _, limit := range []string{"3", "40", "1000"} {
		ask("q", "timestamp:2025-03-04 OR timestamp:2025-03-06 OR (received_at:"+today+" billing)", "limit", limit)
		ask("q", "(NOT received_at:2025-01-01 timestamp:2025-03-04) OR (auth -timestamp:2025-03-05)", "limit", limit, "sort", "timestamp")
	}
	for _, n := range []int{5, 15, 20, 32} { // each range has ends, and an index may look at all pieces between them
		var parts []string
		for i := range n {
			day := time.Date(2025, 3, 1+2*i, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
			parts = append(parts, "timestamp:"+day, "received_at:"+day)
		}
		ask("q", strings.Join(parts, " OR "), "limit", "1000")
		ask("q", strings.Join(slices.Concat([]string{"billing"}, parts[:len(parts)-1]), " OR NOT "), "limit", "1000")
	}
	return all
}
