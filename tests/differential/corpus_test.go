//go:build e2e

package differential

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/go-json-experiment/json/jsontext"
)

// maker makes requests and questions; the same ones for the same seed, but for times near the clock.
type maker struct {
	*rand.Rand
	now  time.Time
	made map[string][]map[string]any // by tenant: entries to ask for
}

func newMaker(seed uint64) *maker {
	return &maker{rand.New(rand.NewPCG(seed, 11)), time.Now().UTC().Truncate(time.Second), map[string][]map[string]any{}}
}

func pick[T any](m *maker, of ...T) T { return of[m.IntN(len(of))] }

// Words of many scripts, with what makes lower-casing and cutting hard.
var words = []string{
	"payment", "Payment", "failed", "timeout", "TimeOut", "connection", "reset", "by", "peer", "user_id", "3.5", "a@b.example", "https://x.example/p?q=1&r=2", "it's", "and", "AND", "or", "NOT",
	"İstanbul", "istanbul", "ISPARTA", "ısparta", "Straße", "STRASSE", "ẞ", "ΣΊΣΥΦΟΣ", "σίσυφος", "Ὀδυσσεύς", "Москва", "МОСКВА", "ёлка", "київ", "सुरक्षा", "বাংলা", "தமிழ்", "ไทยแลนด์", "ភាសា",
	"العربية", "الْعَرَبِيَّة", "שָׁלוֹם", "فارسی\u200cها", "東京都", "日本語のログ", "カタカナ", "ｶﾀｶﾅ", "한국어", "한국어", "北京", "𠮷野家", "ｆｕｌｌ", "ＷＩＤＴＨ", "１２３",
	"caf\u00e9", "cafe\u0301", "\u212Bngstrom", "\u212Aelvin", "ſ", "ŉ", "ǅ", "Ⅻ", "Ⓐ", "ﬁ", "ﬀ", "½", "x²", "٣٤", "१२", "𝐀𝐁", "𐐀𐐨", "Ꭰꭰ", "Აა", "ᏸ", "ꙮ", "𞤀𞤢", "ʰ", "ª", "ⅷ",
	"😀", "👩‍💻", "🇪🇺", "-", "–", "…", "«»", "a\u00adb", "a\u200bb", "a\u00a0b", "a\u2028b", "a\ufeffb", "\u0378", "\ue000", "\uffff", "a\x00b", "a\tb", "line\r\nbreak", "\x1b[31mred",
	"x", "id", "the", "0", "007", "1e5", "0x1F", "user_id=17", "[error]", "{}", "\\", "\"quoted\"", "key:value", "*", "pay*", "~2", "!no", "<script>alert(1)</script>", "${jndi:ldap://x}", "{{7*7}}", "2026-11-01T10:00:00Z",
}

func (m *maker) text(n int) string {
	out := make([]string, m.IntN(n)+1)
	for i := range out {
		out[i] = pick(m, words...)
	}
	return strings.Join(out, pick(m, " ", " ", " ", ", ", "  ", "/", "\n"))
}

// jsonString is s as JSON: as it is, or with escapes that mean the same.
func (m *maker) jsonString(s string) string {
	if m.IntN(6) > 0 {
		b, err := jsontext.AppendQuote(nil, s)
		if err != nil {
			panic(err)
		}
		return string(b)
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '/' && m.IntN(2) == 0:
			b.WriteString(`\/`)
		case r < ' ' || r == '"' || r == '\\' || m.IntN(3) == 0:
			for _, u := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(&b, pick(m, `\u%04x`, `\u%04X`), u)
			}
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

var (
	values = []string{"billing", "Billing", "bill", "billing-eu", "billing eu", "ä", "Ä", "a\"b", "a*", "a b c", "\U0001F600x", "0", "00", "ord:2026:7", "%_", "!bang", `\!x`, `back\slash`, " lead", "trail ",
		"(paren)", "x\x00y", "東京", "e\u0301", "\u00e9", "AND", "*", `"`, "pay*", "null", "true", "{}", "https://a.example/b", "\u2028", "arn:aws:iam::1:user/u1"}
	actions    = []string{"CREATE", "UPDATE", "DELETE", "VIEW", "READ", "LOGIN", "LOGOUT", "IMPORT", "EXPORT", "create", "Get Object", "支払い"}
	severities = []string{"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "debug", "Trace", "notice", "WARN", "warn", "err", "ERR", "crit", "FATAL", "alert", "emerg", "Emergency", "panic", ""}
	addresses  = []string{"10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2", "fd00::1", "FD00:0:0:0:0:0:0:1", "2001:db8::8:800:200c:417a", "255.255.255.255", "::", "::1"}
	numbers    = []string{"0", "-0", "1", "1.0", "1.00", "1E2", "1e+2", "0.1000", "-1.5e-300", "12345678901234567890", "9007199254740993", "0.30000000000000004", "1e308", "17", "-17", "99999999999999999999999999999999"}
	names      = []string{"a", "b", "region", "amount", "$where", "a.b", "__proto__", "constructor", "_id", "nested", "list", "键", "İ", " ", "a\"b", "x/y", "~0", "toString", "\u2028"}
)

func (m *maker) space() string { return pick(m, "", "", "", " ", "\n", "\t ") }

// value is any JSON.
func (m *maker) value(depth int) string {
	switch k := m.IntN(12); {
	case depth > 0 && k < 3:
		return m.object(depth-1, m.IntN(5))
	case depth > 0 && k < 5:
		parts := make([]string, m.IntN(5))
		for i := range parts {
			parts[i] = m.space() + m.value(depth-1)
		}
		return "[" + strings.Join(parts, ",") + m.space() + "]"
	case k < 8:
		return m.jsonString(m.text(4))
	case k < 10:
		return pick(m, numbers...)
	}
	return pick(m, "true", "false", "null", `""`)
}

func (m *maker) object(depth, n int) string {
	var parts []string
	seen := map[string]bool{}
	for range n {
		name := pick(m, names...)
		if seen[name] {
			name += strconv.Itoa(len(parts))
		}
		seen[name] = true
		parts = append(parts, m.space()+m.jsonString(name)+m.space()+":"+m.space()+m.value(depth))
	}
	return "{" + strings.Join(parts, ",") + m.space() + "}"
}

// metadata is sometimes beyond the bounds of what can be found.
func (m *maker) metadata() string {
	switch m.IntN(16) {
	case 0: // more pairs than are found
		var parts []string
		for i := range 70 {
			parts = append(parts, fmt.Sprintf(`"k%d":"pair%d"`, i, i))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case 1: // deeper than is found
		return `{"a":{"b":{"c":{"d":{"e":"fifth","f":{"g":"sixth"}}}}}}`
	case 2: // longer than is found, cut within a word and within a character
		return `{"long":"` + strings.Repeat(pick(m, "ä", "東", "x", "😀"), 60) + " " + strings.Repeat("é", 120) + ` behind","next":"after"}`
	case 3:
		return `{"` + strings.Repeat("n", 120) + `":{"` + strings.Repeat("o", 20) + `":"longpath"}}`
	case 4:
		return m.nested(29)
	}
	return m.object(3, m.IntN(6))
}

func (m *maker) nested(n int) string {
	return `{"n":` + strings.Repeat("[", n) + m.value(0) + strings.Repeat("]", n) + "}"
}

// timestamp is at a round time that others have too, at one of its own, in another zone, in nanoseconds, at a
// border, near now, or ahead; never where an entry without one is received.
func (m *maker) timestamp(own int) string {
	base := time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(own) * 7 * time.Minute)
	switch m.IntN(12) {
	case 0:
		return base.In(time.FixedZone("", pick(m, 3600, -19800, 50400, -43200, 0))).Format("2006-01-02T15:04:05.999999999-07:00")
	case 1:
		return base.Add(time.Duration(m.IntN(1e9))).Format(time.RFC3339Nano)
	case 2:
		return pick(m, "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000001Z", "1998-12-31T23:59:59.999999999Z", "2024-02-29T12:00:00Z", "2000-01-01T00:00:00.1Z", "2000-01-01T00:00:00.100000000Z")
	case 3:
		return m.now.Add(-time.Duration(m.IntN(400)*10+7) * time.Minute).Format(time.RFC3339)
	case 4:
		return m.now.Add(time.Duration(m.IntN(20)+2) * time.Hour).Format(time.RFC3339)
	case 5:
		return base.Truncate(24 * time.Hour).Add(time.Duration(m.IntN(3) - 1)).Format(time.RFC3339Nano)
	}
	return base.Format(time.RFC3339)
}

// entry is a good entry as JSON.
func (m *maker) entry(tenant string, own int) string {
	var members []string
	add := func(name, raw string) {
		members = append(members, m.space()+`"`+name+`"`+m.space()+":"+m.space()+raw)
	}
	text := func(name string, of ...string) {
		if m.IntN(2) == 0 {
			add(name, m.jsonString(pick(m, of...)))
		}
	}
	what := m.IntN(8)
	if what > 0 {
		add("message", m.jsonString("m "+m.text(9)))
	}
	if what < 3 {
		add("action", m.jsonString(pick(m, actions...)))
	}
	if tenant == "ties" {
		add("timestamp", `"`+time.Date(2025, 5, 1, 0, 0, own%40, 0, time.UTC).Format(time.RFC3339)+`"`)
	} else if m.IntN(20) > 0 {
		add("timestamp", `"`+m.timestamp(own)+`"`)
	}
	text("severity", severities...)
	text("service", "billing", "billing", "auth", "cart", "Billing", "billing-eu", pick(m, values...))
	text("user_id", values...)
	text("resource_type", "order", "user", "注文")
	text("resource_id", append(values, strings.Repeat("Ä-", 340), strings.Repeat("r", 1024))...)
	text("user_agent", "Mozilla/5.0 (X11; Linux x86_64)", "curl/8.5.0", strings.Repeat("\U0001F600", 256), "")
	text("ip_address", addresses...)
	text("session_id", append(values, strings.Repeat("s", 512))...)
	if m.IntN(3) == 0 {
		add("request_id", fmt.Sprintf(`"req-%d"`, m.IntN(60)))
	}
	if m.IntN(3) == 0 {
		add("trace_id", fmt.Sprintf(pick(m, `"%032x"`, `"%032X"`), 0xabcdef00+m.IntN(30)))
		add("span_id", fmt.Sprintf(pick(m, `"%016x"`, `"%016X"`), 0xabc+m.IntN(3000)))
	}
	if m.IntN(4) == 0 {
		add("schema_version", pick(m, "1", "2", "3", "10", "2147483647"))
	}
	if m.IntN(3) == 0 {
		add("event_id", m.jsonString(fmt.Sprintf("ev-%d-%s", own, pick(m, "x", "ü", "支", "a b"))))
	}
	if m.IntN(5) == 0 {
		add("before_state", m.object(2, m.IntN(5)))
	}
	if m.IntN(5) == 0 {
		add("after_state", m.object(2, m.IntN(5)))
	}
	if m.IntN(2) == 0 {
		add("metadata", m.metadata())
	}
	m.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	body := "{" + strings.Join(members, ",") + m.space() + "}"
	var e map[string]any
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		panic(fmt.Sprintf("%v: %s", err, body))
	}
	m.made[tenant] = append(m.made[tenant], e)
	return body
}
