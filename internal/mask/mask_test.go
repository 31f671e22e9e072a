package mask

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

var testKey = []byte("a key for tests")

func compile(tb testing.TB, rules ...Rule) *Masker {
	tb.Helper()
	m, err := New(rules, testKey)
	if err != nil {
		tb.Fatalf("%v: %v", rules, err)
	}
	return m
}

func field(path, action string) Rule      { return Rule{Field: path, Action: action} }
func builtin(name, action string) Rule    { return Rule{Builtin: name, Action: action} }
func pattern(text, action string) Rule    { return Rule{Pattern: text, Action: action} }
func metadata(json string) jsontext.Value { return jsontext.Value(json) }

func TestMetadata(t *testing.T) {
	h := func(s string) string { return compile(t).hashOf(s) }
	for name, c := range map[string]struct {
		rules      []Rule
		sent, want string
	}{
		"names of secrets, in any case and spelling, at any depth": {nil,
			`{"password":"p","DB_Password":"p","user":{"apiKey":"k","X-Api-Key":"k"},"l":[{"Set-Cookie":"c"}],"Authorization":"Bearer x","my.client_secret":"s","token":"t","jwt":"j"}`,
			`{"password":"***","DB_Password":"***","user":{"apiKey":"***","X-Api-Key":"***"},"l":[{"Set-Cookie":"***"}],"Authorization":"***","my.client_secret":"***","token":"***","jwt":"***"}`},
		"names that only look like them": {nil,
			`{"max_tokens":5,"next_token":"n","passwordless":true,"secretary":"s","cookie_count":1,"pinned":"x","to_ken":1}`,
			`{"max_tokens":5,"next_token":"n","passwordless":true,"secretary":"s","cookie_count":1,"pinned":"x","to_ken":"***"}`},
		"the tokens of everything, but not those that turn a page": {nil,
			`{"reset_token":"t","githubToken":"t","X-CSRF-Token":"t","nextToken":"p","page_token":"p","NextPageToken":"p","continuation-token":"p","tokens":5}`,
			`{"reset_token":"***","githubToken":"***","X-CSRF-Token":"***","nextToken":"p","page_token":"p","NextPageToken":"p","continuation-token":"p","tokens":5}`},
		"as forms and lists write them": {nil,
			`{"user[password]":"p","password:":"p","password2":"p","new_password_1":"p","password_confirmation":"p","passwordHash":"h","secrets[0]":"s","CVV2":"9","otp":"1","pin13":1,"token_2nd":"x","sha2":"x"}`,
			`{"user[password]":"***","password:":"***","password2":"***","new_password_1":"***","password_confirmation":"***","passwordHash":"***","secrets[0]":"***","CVV2":"***","otp":"***","pin13":1,"token_2nd":"x","sha2":"x"}`},
		"a card that a table of numbers wrote":            {[]Rule{builtin("card", Mask)}, `{"a":4111111111111111.0,"b":4111111111111111.00,"c":4111111111111111.5}`, `{"a":"***1111","b":"***1111","c":4111111111111111.5}`},
		"a name with escapes":                             {nil, `{"pass\u0077ord":"p","a\"b":1}`, `{"pass\u0077ord":"***","a\"b":1}`},
		"numbers are secrets, true, null and nothing not": {nil, `{"pin":1234,"password":null,"secret":true,"token":""}`, `{"pin":"***","password":null,"secret":true,"token":""}`},
		"all that is in an object of a secret name":       {nil, `{"secret":{"a":"x","b":[1,"y",{"c":2.50}],"d":null},"z":1.0}`, `{"secret":{"a":"***","b":["***","***",{"c":"***"}],"d":null},"z":1.0}`},
		"literals and order stay":                         {nil, `{"b":1.2300e+05,"a":12345678901234567890,"é":"\u00e9"}`, `{"b":1.2300e+05,"a":12345678901234567890,"é":"\u00e9"}`},
		"secret names switched off":                       {[]Rule{builtin("secrets", Keep)}, `{"password":"p"}`, `{"password":"p"}`},
		"secret names hashed":                             {[]Rule{builtin("secrets", Hash)}, `{"password":"p"}`, `{"password":"` + h("p") + `"}`},
		"secret names dropped":                            {[]Rule{builtin("secrets", Drop)}, `{"a":1,"password":"p","token":{"x":1}}`, `{"a":1}`},
		"one secret is exempt":                            {[]Rule{field("metadata.page.token", Keep)}, `{"page":{"token":"t"},"token":"u"}`, `{"page":{"token":"t"},"token":"***"}`},
		"a path":                                          {[]Rule{field("metadata.card.number", Mask)}, `{"card":{"number":4111,"type":"visa"},"number":1}`, `{"card":{"number":"***","type":"visa"},"number":1}`},
		"a path through arrays":                           {[]Rule{field("metadata.lines.sku", Mask)}, `{"lines":[{"sku":"a"},[{"sku":"b"}],"c"]}`, `{"lines":[{"sku":"***"},[{"sku":"***"}],"c"]}`},
		"one name of any kind":                            {[]Rule{field("metadata.*.id", Mask)}, `{"id":1,"a":{"id":2,"b":{"id":3}}}`, `{"id":1,"a":{"id":"***","b":{"id":3}}}`},
		"every member":                                    {[]Rule{field("metadata.u.*", Mask)}, `{"u":{"a":1,"b":{"c":"d"}},"x":1}`, `{"u":{"a":"***","b":{"c":"***"}},"x":1}`},
		"any depth":                                       {[]Rule{field("metadata.**.ssn", Mask)}, `{"ssn":1,"a":[{"b":{"ssn":2}}],"ssn2":3}`, `{"ssn":"***","a":[{"b":{"ssn":"***"}}],"ssn2":3}`},
		"any depth in the middle":                         {[]Rule{field("metadata.a.**.c", Mask)}, `{"c":1,"a":{"c":2,"x":{"y":{"c":3}}}}`, `{"c":1,"a":{"c":"***","x":{"y":{"c":"***"}}}}`},
		"a dot in a name is a step":                       {[]Rule{field("metadata.a.b", Mask)}, `{"a.b":1,"a":{"b":2,"b.c":3},"a.b.c":4,"a.c":5}`, `{"a.b":"***","a":{"b":"***","b.c":"***"},"a.b.c":"***","a.c":5}`},
		"an object as a whole":                            {[]Rule{field("metadata.user", Mask)}, `{"user":{"n":"x","a":[1]},"y":1}`, `{"user":{"n":"***","a":["***"]},"y":1}`},
		"all of it":                                       {[]Rule{field("metadata", Mask)}, `{"a":"b"}`, `{"a":"***"}`},
		"none of it":                                      {[]Rule{field("metadata", Drop)}, `{"a":"b"}`, ``},
		"dropped from the middle":                         {[]Rule{field("metadata.b", Drop)}, `{"a":1,"b":{"x":[1,"}"]},"c":3}`, `{"a":1,"c":3}`},
		"dropped at the beginning":                        {[]Rule{field("metadata.a", Drop)}, `{"a":"\"}","c":3}`, `{"c":3}`},
		"dropped at the end":                              {[]Rule{field("metadata.c", Drop)}, `{"a":1,"c":true}`, `{"a":1}`},
		"dropped one after the other":                     {[]Rule{field("metadata.*.x", Drop)}, `{"a":{"x":1},"b":{"x":1,"y":2},"c":{"y":1,"x":2}}`, `{"a":{},"b":{"y":2},"c":{"y":1}}`},
		"all members dropped":                             {[]Rule{field("metadata.*", Drop)}, `{"a":1,"b":2,"c":3}`, `{}`},
		"the first rule wins":                             {[]Rule{field("metadata.a", Keep), field("metadata.*", Mask)}, `{"a":1,"b":2}`, `{"a":1,"b":"***"}`},
		"the first rule wins, also inside":                {[]Rule{field("metadata.u.id", Hash), field("metadata.u", Mask)}, `{"u":{"id":"7","n":"x"}}`, `{"u":{"id":"` + h("7") + `","n":"***"}}`},
		"a later rule for what is inside does not act":    {[]Rule{field("metadata.u", Keep), field("metadata.u.id", Mask)}, `{"u":{"id":"7","password":"x"}}`, `{"u":{"id":"7","password":"x"}}`},
		"a number and its text have one hash":             {[]Rule{field("metadata.*", Hash)}, `{"a":7,"b":"7"}`, `{"a":"` + h("7") + `","b":"` + h("7") + `"}`},
		"a pattern":                                       {[]Rule{pattern(`ord-\d+`, Mask)}, `{"a":"see ord-1 and ord-22.","b":["ord-3"],"ord-4":4}`, `{"a":"see *** and ***.","b":["***"],"ord-4":4}`},
		"a pattern in a string with escapes":              {[]Rule{pattern(`s\dcret`, Mask)}, `{"a":"\ts3cret\"\u0001\ud83d\ude00","b":"\u00e9"}`, `{"a":"\t***\"\u0001😀","b":"\u00e9"}`},
		"a pattern with an anchor":                        {[]Rule{pattern(`^ab`, Mask)}, `{"a":"abab"}`, `{"a":"***ab"}`},
		"a pattern that drops":                            {[]Rule{pattern(`bad`, Drop)}, `{"a":"a bad one","b":["bad","good","bad"],"c":["bad"]}`, `{"b":["good"],"c":[]}`},
		"a pattern beside a field rule":                   {[]Rule{pattern(`z+`, Hash), field("metadata.x", Mask)}, `{"x":"zz","y":"azza"}`, `{"x":"***","y":"a` + h("zz") + `a"}`},
		"e-mail":                                          {[]Rule{builtin("email", Mask)}, `{"a":"from Ann.B+x@mail.example.org, to <b@c.io>.","b":"a@b"}`, `{"a":"from ***, to <***>.","b":"a@b"}`},
		"cards by Luhn": {[]Rule{builtin("card", Mask)},
			`{"a":"4111 1111 1111 1111","b":"4111111111111112","c":"pay 5500-0000-0000-0004 now","d":4111111111111111,"e":1700000000000,"f":"41111111111111111111111"}`,
			`{"a":"***1111","b":"4111111111111112","c":"pay ***0004 now","d":"***1111","e":1700000000000,"f":"41111111111111111111111"}`},
		"a card's hash does not depend on its spelling": {[]Rule{builtin("card", Hash)}, `{"a":"4111 1111 1111 1111","b":4111111111111111}`,
			`{"a":"` + h("4111111111111111") + `","b":"` + h("4111111111111111") + `"}`},
		"bearer tokens and JWTs": {[]Rule{builtin("bearer", Mask)}, `{"a":"authorization: BEARER abcdefgh12, x","b":"got eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl!","c":"bearer of news","d":"key ocl_ab12cd34_0123456789abcdefghijklmnopqrstuv012345."}`,
			`{"a":"authorization: BEARER ***, x","b":"got ***!","c":"bearer of news","d":"key ***"}`},
		"AWS keys": {[]Rule{builtin("aws_key", Mask)},
			`{"a":"arn/AKIAIOSFODNN7EXAMPLE","b":"key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY","c":"da39a3ee5e6b4b0d3255bfef95601890afd80709","d":"AKIAtooshort"}`,
			`{"a":"arn/***","b":"key=***","c":"da39a3ee5e6b4b0d3255bfef95601890afd80709","d":"AKIAtooshort"}`},
		"addresses": {[]Rule{builtin("ip", Mask)},
			`{"a":"from 10.0.0.1:8080 and [fe80::1]:22, at 12:30:45.","b":"dead::beef face","c":"1.2.3","d":"::1","e":"x10.0.0.1","f":"10.0.0.1:10.0.0.2"}`,
			`{"a":"from ***:8080 and [***]:22, at 12:30:45.","b":"dead::beef face","c":"1.2.3","d":"***","e":"x10.0.0.1","f":"***:***"}`},
	} {
		t.Run(name, func(t *testing.T) {
			m := compile(t, c.rules...)
			e := logentry.Entry{Message: "m", Metadata: metadata(c.sent)}
			hits := m.Apply(&e, nil)
			if string(e.Metadata) != c.want {
				t.Errorf("\n got %s\nwant %s", e.Metadata, c.want)
			}
			if total := sum(hits); (total == 0) != (c.sent == c.want) {
				t.Errorf("%d hits", total)
			}
			before := string(e.Metadata)
			if m.Apply(&e, nil); string(e.Metadata) != before {
				t.Errorf("again: %s", e.Metadata)
			}
			b := logentry.Entry{Message: "m", BeforeState: metadata(c.sent), AfterState: metadata(c.sent)}
			rules := slices.Clone(c.rules)
			for i := range rules {
				rules[i].Field = strings.Replace(rules[i].Field, "metadata", "after_state", 1)
			}
			if compile(t, rules...).Apply(&b, nil); string(b.AfterState) != c.want {
				t.Errorf("after_state: %s", b.AfterState)
			}
		})
	}
}

func sum(h Hits) (n int) {
	for _, x := range h {
		n += x
	}
	return n
}

func TestFields(t *testing.T) {
	h := func(s string) string { return compile(t).hashOf(s) }
	whole := logentry.Entry{Service: "s", Action: "LOGIN", Message: "ann@x.org from 10.1.2.3", UserID: "ann@x.org", SessionID: "abc", ResourceType: "t",
		ResourceID: "4111111111111111", IPAddress: "10.1.2.3", UserAgent: "ua", RequestID: "r", TraceID: strings.Repeat("a", 32), EventID: "ann@x.org"}
	for name, c := range map[string]struct {
		rules []Rule
		want  func(e *logentry.Entry)
	}{
		"nothing without rules":             {nil, func(*logentry.Entry) {}},
		"a field":                           {[]Rule{field("user_id", Hash)}, func(e *logentry.Entry) { e.UserID = h("ann@x.org") }},
		"a field that goes":                 {[]Rule{field("session_id", Drop), field("user_agent", Mask)}, func(e *logentry.Entry) { e.SessionID, e.UserAgent = "", "***" }},
		"a message that goes":               {[]Rule{field("message", Drop)}, func(e *logentry.Entry) { e.Message = "" }},
		"an entry keeps one of the two":     {[]Rule{field("message", Drop), field("action", Drop)}, func(e *logentry.Entry) { e.Action, e.Message = "", "***" }},
		"a value has one hash everywhere":   {[]Rule{builtin("email", Hash)}, func(e *logentry.Entry) { e.UserID = h("ann@x.org"); e.Message = h("ann@x.org") + " from 10.1.2.3" }},
		"a field exempt from builtins":      {[]Rule{builtin("email", Mask), field("user_id", Keep)}, func(e *logentry.Entry) { e.Message = "*** from 10.1.2.3" }},
		"an address keeps its form":         {[]Rule{field("ip_address", Mask)}, func(e *logentry.Entry) { e.IPAddress = "10.1.2.0" }},
		"an address hashed is one":          {[]Rule{field("ip_address", Hash)}, func(e *logentry.Entry) { e.IPAddress = "2001:db8:c350:6076:2f5a:1a12:97f0:1a66" }},
		"the builtin for addresses":         {[]Rule{builtin("ip", Mask)}, func(e *logentry.Entry) { e.IPAddress, e.Message = "10.1.2.0", "ann@x.org from ***" }},
		"a pattern is not for addresses":    {[]Rule{pattern(`10\.[0-9.]+`, Mask)}, func(e *logentry.Entry) { e.Message = "ann@x.org from ***" }},
		"a card in an id":                   {[]Rule{builtin("card", Mask)}, func(e *logentry.Entry) { e.ResourceID = "***1111" }},
		"what would be too long goes whole": {[]Rule{pattern(`[A-Z]`, Hash)}, func(e *logentry.Entry) { e.Action = h("LOGIN") }},
	} {
		t.Run(name, func(t *testing.T) {
			m := compile(t, c.rules...)
			got, want := whole, whole
			c.want(&want)
			for range 2 {
				if m.Apply(&got, nil); !reflect.DeepEqual(got, want) {
					t.Errorf("\n got %+v\nwant %+v", got, want)
				}
			}
		})
	}
}

func TestAReportNamesRuleAndPlace(t *testing.T) {
	m := compile(t, field("metadata.**.id", Hash), builtin("email", Mask), field("user_id", Drop), field("before_state", Drop))
	e := logentry.Entry{Message: "a@b.io c@d.io", UserID: "u", BeforeState: metadata(`{"x":1}`), Metadata: metadata(`{"a/b":[{"id":1},"x@y.zz"],"p":{"token":"t"}}`)}
	var got []string
	m.Apply(&e, func(rule int, pointer string) { got = append(got, fmt.Sprint(rule, pointer)) })
	want := []string{"1/message", "2/user_id", "3/before_state", "0/metadata/a~1b/0/id", "1/metadata/a~1b/1", "-1/metadata/p/token"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestASetCompilesOncePerVersion(t *testing.T) {
	s := NewSet([]byte("key"))
	rules := []Rule{field("user_id", Hash)}
	a, err := s.Of("a", 1, rules)
	again, _ := s.Of("a", 1, rules)
	later, _ := s.Of("a", 2, rules)
	b, _ := s.Of("b", 1, rules)
	none, _ := s.Of("a", 3, nil)
	if err != nil || a != again || a == later || none != s.Standard() {
		t.Fatal(a, again, later, none, err)
	}
	if a.hashOf("x") != later.hashOf("x") || a.hashOf("x") == b.hashOf("x") {
		t.Error("a hash is a tenant's own, and stays with it")
	}
	if _, err := s.Of("c", 1, []Rule{{Pattern: "("}}); err == nil {
		t.Error("rules that are none were compiled")
	}
}
