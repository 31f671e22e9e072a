package query_test

import (
	"errors"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
)

func text(tokens ...string) query.Text { return query.Text{Tokens: tokens} }

func TestParse(t *testing.T) {
	service := func(v string) query.Term { return query.Term{Field: query.Service, Value: v} }
	inf := math.Inf(1)
	day := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		q    string
		want query.Node
	}{
		"nothing is everything":                 {" \t\n", query.All{}},
		"a star is everything":                  {"*", query.All{}},
		"a word":                                {"Foo", text("foo")},
		"a word that is cut is a phrase":        {"user_id.x", text("user", "id", "x")},
		"a phrase":                              {`"Foo  bar!"`, text("foo", "bar")},
		"a prefix":                              {"fo*", query.Text{Tokens: []string{"fo"}, Prefix: true}},
		"the prefix of a cut word may be short": {"user_i*", query.Text{Tokens: []string{"user", "i"}, Prefix: true}},
		"the last token is the prefix":          {"user_id*", query.Text{Tokens: []string{"user", "id"}, Prefix: true}},
		"a prefix after a separator is whole":   {"user_*", text("user")},
		"an address is text":                    {"http://host:80/a", text("http", "host", "80", "a")},
		"a path is text":                        {"/var/log", text("var", "log")},
		"a time is text":                        {"12:30", text("12", "30")},
		"no name begins with an underscore":     {"_exists_:foo", text("exists", "foo")},
		"an escaped star in a name is text":     {`field.\*:x`, text("field", "x")},
		"a name is escaped":                     {`\service:x`, text("service", "x")},
		"a colon is escaped":                    {`service\:x`, text("service", "x")},
		"a quote ends a word":                   {`a"b"c`, query.And{text("a"), text("b"), text("c")}},
		"a minus within a word":                 {"a-b", text("a", "b")},
		"side by side is AND":                   {"a b", query.And{text("a"), text("b")}},
		"AND":                                   {"a AND b c", query.And{text("a"), text("b"), text("c")}},
		"AND binds tighter than OR":             {"a b OR c AND d", query.Or{query.And{text("a"), text("b")}, query.And{text("c"), text("d")}}},
		"parentheses":                           {"a (b OR c)", query.And{text("a"), query.Or{text("b"), text("c")}}},
		"parentheses around one":                {"((a))", text("a")},
		"parentheses without spaces":            {"(a)(b)", query.And{text("a"), text("b")}},
		"NOT":                                   {"NOT a", query.Not{Node: text("a")}},
		"minus":                                 {`-a -"b c" -(d)`, query.And{query.Not{Node: text("a")}, query.Not{Node: text("b", "c")}, query.Not{Node: text("d")}}},
		"NOT before a parenthesis":              {"NOT(a b)", query.Not{Node: query.And{text("a"), text("b")}}},
		"NOT in NOT":                            {"NOT (-a)", query.Not{Node: query.Not{Node: text("a")}}},
		"operators in small letters are words":  {"and or not", query.And{text("and"), text("or"), text("not")}},
		"quoted operators are words":            {`"AND" \OR`, query.And{text("and"), text("or")}},
		"TO is a word outside of a range":       {"TO", text("to")},
		"an operator after a field is a value":  {"service:AND", service("AND")},
		"a field":                               {"service:Foo.bar", service("Foo.bar")},
		"a field, quoted":                       {`service:"a \"b\" \\ \c (d)"`, service(`a "b" \ \c (d)`)},
		"a field, escaped":                      {`service:a\ \(b\)\"\\\*`, service(`a (b)"\*`)},
		"a value may begin with a minus":        {"service:-x", service("-x")},
		"a value has colons":                    {"service:a:b://c", service("a:b://c")},
		"a field's prefix":                      {"service:pa*", query.Term{Field: query.Service, Value: "pa", Prefix: true}},
		"an excluded field":                     {"-service:a", query.Not{Node: service("a")}},
		"a group of two":                        {`service:(a OR"b c")`, query.Or{service("a"), service("b c")}},
		"a group of one":                        {"service:(a)b", query.And{service("a"), text("b")}},
		"a group of texts":                      {"message:(a OR b)", query.Or{query.Text{Field: query.Message, Tokens: []string{"a"}}, query.Text{Field: query.Message, Tokens: []string{"b"}}}},
		"a severity's alias":                    {"severity:warn", query.Term{Field: query.Severity, Value: "WARNING"}},
		"an id in capitals":                     {"id:0192F0C1-2345-7ABC-8DEF-0123456789AB", query.Term{Field: query.EntryID, Value: "0192f0c1-2345-7abc-8def-0123456789ab"}},
		"an address that is mapped":             {"ip_address:::FFFF:10.0.0.1", query.Term{Field: query.IPAddress, Value: "10.0.0.1"}},
		"an address in another spelling":        {"ip_address:FD00:0:0::1", query.Term{Field: query.IPAddress, Value: "fd00::1"}},
		"a number":                              {"schema_version:07", query.Term{Field: query.SchemaVersion, Value: "7"}},
		"severities from one on":                {"severity:>=warn", query.Interval{Field: query.Severity, From: 3, To: inf}},
		"severities below one":                  {"severity:<INFO", query.Interval{Field: query.Severity, From: -inf, To: 2, Below: true}},
		"versions above one":                    {"schema_version:>2", query.Interval{Field: query.SchemaVersion, From: 2, To: inf, Above: true}},
		"a range of versions":                   {"schema_version:{1 TO 3]", query.Interval{Field: query.SchemaVersion, From: 1, To: 3, Above: true}},
		"after a day's first instant":           {"timestamp:>2026-11-01", query.Range{Field: query.Timestamp, From: day.Add(1)}},
		"from a day on":                         {"timestamp:>=2026-11-01", query.Range{Field: query.Timestamp, From: day}},
		"before a day":                          {"received_at:<2026-11-01", query.Range{Field: query.ReceivedAt, To: day}},
		"up to a day's first instant":           {"received_at:<=2026-11-01", query.Range{Field: query.ReceivedAt, To: day.Add(1)}},
		"a range of times with both ends":       {"timestamp:[2026-11-01 TO 2026-11-02T00:00:00+01:00]", query.Range{Field: query.Timestamp, From: day, To: day.Add(23*time.Hour + 1)}},
		"a range of times without its ends":     {"timestamp:{2026-11-01 TO 2026-11-02}", query.Range{Field: query.Timestamp, From: day.Add(1), To: day.AddDate(0, 0, 1)}},
		"a range of times with an open end":     {"timestamp:{* TO 2026-11-01}", query.Range{Field: query.Timestamp, To: day}},
		"a network":                             {"ip_address:10.1.2.3/8", query.Network{Prefix: netip.MustParsePrefix("10.0.0.0/8")}},
		"a network of IPv6":                     {"ip_address:FD00:0::1/9", query.Network{Prefix: netip.MustParsePrefix("fd00::/9")}},
		"a network of IPv4 as IPv6":             {"ip_address:::ffff:10.1.2.3/104", query.Network{Prefix: netip.MustParsePrefix("10.0.0.0/8")}},
		"a value of metadata":                   {"metadata.order.id:42", query.Value{Path: "order.id", Text: "42"}},
		"a quoted value of metadata":            {`metadata.x:"42"`, query.Value{Path: "x", Text: "42", Quoted: true}},
		"an empty value of metadata":            {`metadata.x:""`, query.Value{Path: "x", Quoted: true}},
		"a prefix of a value of metadata":       {"metadata.x:eu*", query.Value{Path: "x", Text: "eu", Prefix: true}},
		"a group of values of metadata":         {"metadata.x:(>1 OR eu OR [-1 TO -0])", query.Or{query.Interval{Field: query.Metadata, Path: "x", From: 1, To: inf, Above: true}, query.Value{Path: "x", Text: "eu"}, query.Interval{Field: query.Metadata, Path: "x", From: -1, To: 0}}},
		"a range of numbers without an end":     {"metadata.x:[1e3 TO *}", query.Interval{Field: query.Metadata, Path: "x", From: 1000, To: inf}},
		"what differs":                          {"changes:address.*", query.Term{Field: query.Changes, Value: "address.", Prefix: true}},
		"has: a field":                          {"-has:trace_id", query.Not{Node: query.Has{Field: query.TraceID}}},
		"has: a value of metadata":              {"has:metadata.k8s-pod.name", query.Has{Field: query.Metadata, Path: "k8s-pod.name"}},
		"has: what differs":                     {"has:changes", query.Has{Field: query.Changes}},
		"a day":                                 {"timestamp:2026-11-01", query.Range{Field: query.Timestamp, From: day, To: day.AddDate(0, 0, 1)}},
		"an instant":                            {"received_at:2026-11-01T01:00:00.000000001+01:00", query.Range{Field: query.ReceivedAt, From: day.Add(1), To: day.Add(2)}},
		"eight parentheses":                     {strings.Repeat("(", 8) + "a" + strings.Repeat(")", 8), text("a")},
		"a long query":                          {"a" + strings.Repeat(" ", 1998) + "é", query.And{text("a"), text("é")}},
		"a token that is too long for the rest": {strings.Repeat("x", 129), text(strings.Repeat("x", 128))},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := query.Parse(c.q, now)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %#v, want %#v", got, c.want)
			}
		})
	}
}

func TestParseComplains(t *testing.T) {
	const inv, dear = "query_invalid", "query_too_expensive"
	for name, c := range map[string]struct {
		q              string
		code, item     string
		column, length int
		hint           string
	}{
		"an unknown field":                      {"servce:x", inv, "unknown_field", 1, 6, "did you mean service?"},
		"letters swapped":                       {"sevreity:x", inv, "unknown_field", 1, 8, "did you mean severity?"},
		"the beginning of a field":              {"user:x", inv, "unknown_field", 1, 4, "did you mean user_id?"},
		"a field in capitals":                   {"Service:x", inv, "unknown_field", 1, 7, "did you mean service?"},
		"a field like no other":                 {"x Error: foo", inv, "unknown_field", 3, 5, "quote text that has a colon"},
		"a field that other systems have":       {"level:error", inv, "unknown_field", 1, 5, "did you mean severity?"},
		"a name of one's own":                   {"region:eu", inv, "unknown_field", 1, 6, "as in metadata.region"},
		"a state":                               {"after_state.city:x", inv, "unknown_field", 1, 16, "did you mean changes?"},
		"the tenant is no field":                {"tenant_id:x", inv, "unknown_field", 1, 9, ""},
		"columns are characters":                {`"日本" ünknown:x`, inv, "unknown_field", 6, 7, ""},
		"a field without a value":               {"a service: b", inv, "value_missing", 3, 8, "directly follows"},
		"a field with an empty value":           {`service:""`, inv, "value_missing", 9, 2, ""},
		"a field at the end":                    {"(service:)", inv, "value_missing", 2, 8, ""},
		"an open parenthesis":                   {"a (b", inv, "paren_open", 3, 1, ""},
		"an open parenthesis with nothing":      {"a (", inv, "paren_open", 3, 1, ""},
		"an open group":                         {"service:(b", inv, "paren_open", 9, 1, ""},
		"a parenthesis too many":                {"a) b", inv, "paren_unexpected", 2, 1, ""},
		"only a closing parenthesis":            {")", inv, "paren_unexpected", 1, 1, ""},
		"nothing in parentheses":                {"a ( )", inv, "paren_empty", 3, 3, ""},
		"nothing in a group":                    {"service:()", inv, "paren_empty", 9, 2, ""},
		"an open quote":                         {`a "b\"`, inv, "quote_open", 3, 1, ""},
		"an open escape":                        {`a\`, inv, "escape_open", 2, 1, ""},
		"OR at the front":                       {"OR a", inv, "operator_misplaced", 1, 2, "quote"},
		"OR at the end":                         {"a OR ", inv, "operator_misplaced", 3, 2, ""},
		"OR before a parenthesis":               {"(a OR)", inv, "operator_misplaced", 4, 2, ""},
		"OR twice":                              {"a OR OR b", inv, "operator_misplaced", 6, 2, ""},
		"AND at the front":                      {"AND a", inv, "operator_misplaced", 1, 3, ""},
		"AND at the end":                        {"a AND", inv, "operator_misplaced", 3, 3, ""},
		"AND before OR":                         {"a AND OR b", inv, "operator_misplaced", 3, 3, ""},
		"NOT at the end":                        {"a NOT", inv, "negation_misplaced", 3, 3, ""},
		"NOT NOT":                               {"NOT NOT a", inv, "negation_misplaced", 1, 4, ""},
		"NOT and minus":                         {"NOT -a", inv, "negation_misplaced", 1, 4, ""},
		"two minus":                             {"--help", inv, "negation_misplaced", 1, 1, "quote"},
		"a minus alone":                         {"a - b", inv, "negation_misplaced", 3, 1, ""},
		"a minus before an operator":            {"-AND", inv, "negation_misplaced", 1, 1, ""},
		"a star at the front":                   {"*a", dear, "wildcard_misplaced", 1, 1, "end of a word"},
		"a star in the middle":                  {"a*b", inv, "wildcard_misplaced", 2, 1, ""},
		"a star for a field":                    {"*:*", dear, "wildcard_misplaced", 1, 1, ""},
		"two stars":                             {"ab**", inv, "wildcard_misplaced", 3, 1, ""},
		"a star after a quote":                  {`"ab"*`, inv, "wildcard_misplaced", 5, 1, ""},
		"a regular expression":                  {"/re/", dear, "regex", 1, 4, "quote"},
		"a regular expression with groups":      {"/(a+)+$/", dear, "regex", 1, 1, ""},
		"a regular expression of a field":       {"action:/re/", dear, "regex", 8, 4, ""},
		"fuzzy":                                 {"foo~2", dear, "fuzzy", 1, 5, ""},
		"fuzzy alone":                           {"~2", dear, "fuzzy", 1, 2, ""},
		"a fuzzy phrase":                        {`"a b"~2`, dear, "fuzzy", 6, 2, ""},
		"no letters":                            {"a --> b", inv, "negation_misplaced", 3, 1, ""},
		"a word without letters or digits":      {"a => b", inv, "no_text", 3, 2, ""},
		"a phrase without letters or digits":    {`"- !"`, inv, "no_text", 1, 5, ""},
		"a comparison of text":                  {">5", inv, "comparison_not_allowed", 1, 2, ""},
		"a comparison without a value":          {"timestamp:>= x", inv, "value_missing", 11, 2, ""},
		"a comparison of a field without order": {"action:>X", inv, "comparison_not_allowed", 8, 2, ""},
		"a range of text":                       {"[a TO b]", dear, "range_not_allowed", 1, 8, ""},
		"a range of a field without order":      {"action:[a TO b]", dear, "range_not_allowed", 8, 8, ""},
		"a range that is none":                  {"[error] x", inv, "range_syntax", 1, 6, "quote"},
		"a range that is open":                  {"timestamp:[a TO", inv, "range_syntax", 11, 5, ""},
		"AND in a group":                        {"service:(a AND b)", inv, "group_syntax", 12, 1, ""},
		"side by side in a group":               {"service:(a b)", inv, "group_syntax", 12, 1, ""},
		"a minus in a group":                    {"service:(a OR -b)", inv, "group_syntax", 15, 1, "before the field"},
		"parentheses in a group":                {"service:((a))", inv, "group_syntax", 10, 1, ""},
		"OR at the end of a group":              {"service:(a OR)", inv, "group_syntax", 14, 1, ""},
		"no severity":                           {"severity:LOUD", inv, "value_invalid", 10, 4, "WARNING"},
		"a severity's prefix":                   {"severity:WARN*", inv, "prefix_not_allowed", 10, 5, ""},
		"no address":                            {"ip_address:10.0.0", inv, "value_invalid", 12, 6, ""},
		"an address's prefix":                   {"ip_address:10.*", inv, "prefix_not_allowed", 12, 4, ""},
		"no id":                                 {"id:17", inv, "value_invalid", 4, 2, "8-4-4-4-12"},
		"no beginning of an id":                 {"id:0192x*", inv, "value_invalid", 4, 6, ""},
		"no number":                             {"schema_version:-1", inv, "value_invalid", 16, 2, ""},
		"no time":                               {"timestamp:yesterday", inv, "value_invalid", 11, 9, "RFC 3339"},
		"a time before 1970":                    {"timestamp:1969-12-31", inv, "value_invalid", 11, 10, ""},
		"has: nothing":                          {"has: a", inv, "value_missing", 1, 4, ""},
		"has: an unknown field":                 {"has:servce", inv, "unknown_field", 5, 6, "service"},
		"invalid UTF-8":                         {"a\xff", inv, "utf8_invalid", 0, 0, ""},
		"a prefix of one character":             {"é*", dear, "prefix_too_short", 1, 2, "2 characters"},
		"one letter after a separator":          {"_i*", dear, "prefix_too_short", 1, 3, ""},
		"a field's prefix of one character":     {"service:p*", dear, "prefix_too_short", 9, 2, ""},
		"a field's prefix of nothing":           {"service:*", dear, "prefix_too_short", 9, 1, "has:service"},
		"a message's prefix of nothing":         {"message:*", dear, "prefix_too_short", 9, 1, "has:message"},
		"a path's prefix of nothing":            {"-metadata.x:*", dear, "prefix_too_short", 13, 1, "has:metadata."},
		"a prefix of nothing in a group":        {"action:(ab OR *)", dear, "prefix_too_short", 15, 1, "has:action"},
		"a path with other signs":               {"a metadata.k8s-pod:x", inv, "field_not_writable", 3, 18, "metadata.k8s-pod=api-1"},
		"a path with a space":                   {`metadata.two\ words:x`, inv, "field_not_writable", 1, 21, ""},
		"too many characters":                   {strings.Repeat("é", 2001), dear, "too_long", 0, 0, "2,000"},
		"too many values":                       {strings.Repeat("a ", 65), dear, "too_many_terms", 129, 1, "64"},
		"too many values in a group":            {"service:(a" + strings.Repeat(" OR a", 64) + ")", dear, "too_many_terms", 330, 1, ""},
		"too many parentheses":                  {strings.Repeat("(", 500), dear, "too_deep", 9, 1, "8"},
		"too many parentheses with a group":     {strings.Repeat("(", 8) + "service:(a)", dear, "too_deep", 17, 1, ""},
		"a range of severities":                 {"severity:[INFO TO ERROR]", inv, "range_not_allowed", 10, 15, "severity:>="},
		"a comparison with no severity":         {"severity:>=LOUD", inv, "value_invalid", 10, 6, "WARNING"},
		"a comparison with no time":             {"timestamp:>yesterday", inv, "value_invalid", 11, 10, "RFC 3339"},
		"a range that ends with no time":        {"timestamp:[now TO then]", inv, "value_invalid", 11, 13, "RFC 3339"},
		"a range of times that is inverted":     {"timestamp:[2026-11-02 TO 2026-11-01]", inv, "range_inverted", 11, 26, "ends before"},
		"a range of numbers that is inverted":   {"metadata.n:{2 TO 1}", inv, "range_inverted", 12, 8, "ends before"},
		"a version that is not whole":           {"schema_version:>1.5", inv, "value_invalid", 16, 4, "whole number"},
		"a comparison with a word":              {"metadata.n:>ten", inv, "value_invalid", 12, 4, "numbers"},
		"a comparison with 007":                 {"metadata.n:>007", inv, "value_invalid", 12, 4, "numbers"},
		"a number beyond all":                   {"metadata.n:<1e309", inv, "value_invalid", 12, 6, "numbers"},
		"a comparison of a message":             {"message:>5", inv, "comparison_not_allowed", 9, 2, ""},
		"a range of a message":                  {"message:[a TO b]", dear, "range_not_allowed", 9, 8, ""},
		"no network":                            {"ip_address:10.0.0.0/33", inv, "value_invalid", 12, 11, "10.0.0.0/8"},
		"metadata alone":                        {"metadata:x", inv, "unknown_field", 1, 8, "metadata.order.id"},
		"metadata with a dot and no more":       {"metadata.:x", inv, "unknown_field", 1, 9, ""},
		"a path that is too long":               {"metadata." + strings.Repeat("x", 129) + ":1", inv, "path_too_long", 1, 138, "128"},
		"a prefix of metadata":                  {"metadata.x:e*", dear, "prefix_too_short", 12, 2, ""},
		"has: metadata alone":                   {"has:metadata", inv, "unknown_field", 5, 8, ""},
		"has: with a star":                      {"has:serv*", inv, "value_missing", 1, 9, ""},
		"has: a path that is too long":          {"has:metadata." + strings.Repeat("x", 129), inv, "path_too_long", 5, 138, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := query.Parse(c.q, now)
			f := asFault(t, err)
			if f.Code != c.code || len(f.Problems) != 1 {
				t.Fatalf("got %s with %+v, want %s with one problem", f.Code, f.Problems, c.code)
			}
			p := f.Problems[0]
			if p.Pointer != "q" || p.Code != c.item || p.Column != c.column || p.Length != c.length || !strings.Contains(p.Message, c.hint) {
				t.Errorf("got %+v, want %s at %d+%d with %q", p, c.item, c.column, c.length, c.hint)
			}
		})
	}
}

func TestParseNamesEveryProblem(t *testing.T) {
	_, err := query.Parse("servce:x severity:>LOUD p* OR )", now)
	f := asFault(t, err)
	var items []string
	for _, p := range f.Problems {
		items = append(items, p.Code)
	}
	want := []string{"unknown_field", "value_invalid", "prefix_too_short", "operator_misplaced"}
	if f.Code != "query_invalid" || !reflect.DeepEqual(items, want) {
		t.Errorf("got %s %q, want %q", f.Code, items, want)
	}
	if !strings.Contains(f.Detail, "column 1)") || !strings.Contains(f.Detail, "3 more") {
		t.Errorf("detail %q", f.Detail)
	}
}

func TestPlainText(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want query.Node
		item string
	}{
		"nothing is everything":        {" ", query.All{}, ""},
		"all words must occur":         {"Foo AND bar", query.And{text("foo"), text("and"), text("bar")}, ""},
		"a phrase":                     {`"foo bar"baz`, query.And{text("foo", "bar"), text("baz")}, ""},
		"nothing is an operator":       {"-foo", text("foo"), ""},
		"nothing is a field":           {"service:foo", text("service", "foo"), ""},
		"nothing is a prefix":          {"foo*", text("foo"), ""},
		"nothing is an escape":         {`"foo\" bar`, query.And{text("foo"), text("bar")}, ""},
		"an open quote":                {`a "foo`, nil, "quote_open"},
		"a word without letters":       {"foo -", nil, "no_text"},
		"64 words":                     {strings.Repeat("a ", 64), nil, ""},
		"65 words":                     {strings.Repeat("a ", 65), nil, "too_many_terms"},
		"too many characters":          {strings.Repeat("a", 2001), nil, "too_long"},
		"a token without end is found": {strings.Repeat("a", 2000), text(strings.Repeat("a", 128)), ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := query.PlainText(c.in)
			if c.item != "" {
				if f := asFault(t, err); f.Problems[0].Code != c.item || f.Problems[0].Pointer != "search" {
					t.Errorf("got %+v, want %s", f.Problems, c.item)
				}
				return
			}
			if err != nil || c.want != nil && !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %#v, %v, want %#v", got, err, c.want)
			}
		})
	}
}

func asFault(t *testing.T, err error) *fault.Error {
	t.Helper()
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Kind != fault.Malformed || len(f.Problems) == 0 {
		t.Fatalf("got %v, want a malformed question with problems", err)
	}
	return f
}

// FuzzParse checks that whatever is taken is within the bounds and is written so that it reads the same.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"a -b (c OR d) service:(x OR \"y z\") pre* severity:warn", `user_id:a\ * "q\"\\"`,
		"timestamp:2026-11-01 ip_address:::1 NOT (-id:0192*)", "[a TO b} >x /re/ ~2 a*b", "timestamp:now-3d", "((((((((a))))))))"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, q string) {
		n, err := query.Parse(q, now)
		if err != nil {
			for _, p := range asFault(t, err).Problems {
				if p.Column < 0 || p.Column > utf8.RuneCountInString(q)+1 || p.Column > 0 && p.Length < 1 {
					t.Errorf("%q: problem outside of the query: %+v", q, p)
				}
			}
			return
		}
		checkTree(t, n, 0)
		query.Match(n, sample())
		s := query.String(n)
		if utf8.RuneCountInString(s) > query.MaxCharacters {
			return
		}
		again, err := query.Parse(s, now)
		if err != nil {
			t.Fatalf("%q is written as %q: %v", q, s, err)
		}
		if query.String(again) != s {
			t.Errorf("%q is written as %q and read as %q", q, s, query.String(again))
		}
		if !strings.Contains(q, "now") && !reflect.DeepEqual(n, again) {
			t.Errorf("%q is written as %q: %#v became %#v", q, s, n, again)
		}
	})
}

// checkTree fails where a tree is deeper than its bounds or has an empty piece, and counts its values.
func checkTree(t *testing.T, n query.Node, depth int) (terms int) {
	t.Helper()
	if depth > 4*(query.MaxParens+1) {
		t.Fatal("the tree is too deep")
	}
	switch n := n.(type) {
	case query.And:
		for _, c := range n {
			terms += checkTree(t, c, depth+1)
		}
	case query.Or:
		for _, c := range n {
			terms += checkTree(t, c, depth+1)
		}
	case query.Not:
		terms += checkTree(t, n.Node, depth+1)
	case query.Term:
		if n.Value == "" || n.Field == query.FieldNone {
			t.Errorf("empty %#v", n)
		}
		terms++
	case query.Text:
		if len(n.Tokens) == 0 {
			t.Errorf("empty %#v", n)
		}
		terms++
	case query.Range:
		if !n.From.IsZero() && !n.To.IsZero() && n.From.After(n.To) {
			t.Errorf("inverted %#v", n)
		}
		terms++
	case query.Interval:
		if n.From > n.To || (n.Path == "") == (n.Field == query.Metadata) {
			t.Errorf("inverted %#v", n)
		}
		terms++
	case query.Network:
		if n.Prefix != n.Prefix.Masked() || n.Prefix.Addr().Is4In6() && n.Prefix.Bits() >= 96 {
			t.Errorf("more than one spelling %#v", n)
		}
		terms++
	case query.Value:
		if n.Path == "" || n.Text == "" && !n.Quoted || n.Prefix && n.Quoted {
			t.Errorf("empty %#v", n)
		}
		terms++
	case query.Has:
		if n.Field == query.FieldNone || (n.Path == "") == (n.Field == query.Metadata) {
			t.Errorf("empty %#v", n)
		}
		terms++
	case query.All:
	default:
		t.Fatalf("node %#v", n)
	}
	if terms > query.MaxTerms {
		t.Fatalf("%d values", terms)
	}
	return terms
}
