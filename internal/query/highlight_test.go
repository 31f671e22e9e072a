package query_test

import (
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// marked is what Highlight marks, as pointer=[piece][piece], the texts looked up as a reader of the answer does it.
func marked(t *testing.T, where query.Node, e *logentry.Entry) string {
	t.Helper()
	var b strings.Builder
	for i, m := range query.Highlight(where, e) {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(m.Pointer + "=")
		text := utf16.Encode([]rune(textAt(t, e, m.Pointer)))
		for _, r := range m.Ranges {
			b.WriteString("[" + string(utf16.Decode(text[r[0]:r[1]])) + "]")
		}
	}
	return b.String()
}

// textAt is the text of an entry at a JSON pointer.
func textAt(t *testing.T, e *logentry.Entry, pointer string) string {
	t.Helper()
	if pointer == "/message" {
		return e.Message
	}
	d := jsontext.NewDecoder(strings.NewReader(string(e.Metadata)))
	for {
		token, err := d.ReadToken()
		if err != nil {
			t.Fatalf("nothing is at %s: %v", pointer, err)
		}
		if token.Kind() == '"' && "/metadata"+string(d.StackPointer()) == pointer {
			text := token.String()
			if kind, n := d.StackIndex(d.StackDepth()); kind != '{' || n%2 == 0 { // not the name
				return text
			}
		}
	}
}

func TestHighlightMarksWhatWordsMatch(t *testing.T) {
	for name, c := range map[string]struct{ q, message, metadata, want string }{
		"a word":                                   {`declined`, "Card declined, declined again", "", "/message=[declined][declined]"},
		"any case":                                 {`CARD`, "card Card CARD", "", "/message=[card][Card][CARD]"},
		"no part of a word":                        {`card`, "cards discard card", "", "/message=[card]"},
		"a prefix, the whole word":                 {`pay*`, "repay payment pay", "", "/message=[payment][pay]"},
		"a phrase, from its first to its last":     {`"order 17 failed"`, "order-17: FAILED; order 17", "", "/message=[order-17: FAILED]"},
		"a word that is cut is a phrase":           {`user_id`, "user_id user id user.id userid", "", "/message=[user_id][user id][user.id]"},
		"a phrase that ends in a prefix":           {`order-1*`, "order 17, order 2", "", "/message=[order 17]"},
		"a phrase that meets itself":               {`"a a"`, "a a a b a", "", "/message=[a a a]"},
		"one that lies in another":                 {`"card declined" declined`, "card declined", "", "/message=[card declined]"},
		"one beside another":                       {`card declined`, "card declined", "", "/message=[card][declined]"},
		"all of the words":                         {`card AND declined`, "card x declined", "", "/message=[card][declined]"},
		"an alternative that is met":               {`card OR nothing`, "card", "", "/message=[card]"},
		"no alternative that is not met":           {`(card AND nothing) OR declined`, "card declined", "", "/message=[declined]"},
		"nothing that is excluded":                 {`card NOT nothing`, "card", "", "/message=[card]"},
		"nothing of an excluded group":             {`card -(nothing OR service:x)`, "card", "", "/message=[card]"},
		"what is excluded twice":                   {`NOT (NOT card)`, "card", "", "/message=[card]"},
		"what an excluded group excludes":          {`NOT (nothing OR NOT card)`, "card", "", "/message=[card]"},
		"nothing of everything":                    {`*`, "card", "", ""},
		"nothing of fields that are compared":      {`service:nothing has:message`, "nothing", "", ""},
		"an accent is a letter of its own":         {`café`, "cafe café CAFÉ", "", "/message=[café][CAFÉ]"},
		"a letter whose lower case is shorter":     {`istanbul declined`, "İstanbul: declined", "", "/message=[İstanbul][declined]"},
		"beyond the basic plane":                   {`declined`, "💳💳 declined 𝒜", "", "/message=[declined]"},
		"a word beyond the basic plane":            {`𝒜b`, "💳 𝒜b!", "", "/message=[𝒜b]"},
		"Japanese in one run":                      {`決済`, "決済 決済失敗", "", "/message=[決済]"},
		"markup is text":                           {`script`, "<script>x</script>", "", "/message=[script][script]"},
		"metadata":                                 {`declined`, "x", `{"a":{"note":"card declined"},"n":1,"tags":["x","declined"]}`, "/metadata/a/note=[declined] /metadata/tags/1=[declined]"},
		"names that a pointer escapes":             {`declined`, "", `{"a/b":"declined","c~d":["declined"],"e.f":"declined","":1}`, "/metadata/a~1b=[declined] /metadata/c~0d/0=[declined] /metadata/e.f=[declined]"},
		"a text with escapes":                      {`declined`, "", `{"a":"\u00e9\n\"declined\" \ud83d\udcb3"}`, "/metadata/a=[declined]"},
		"no names, numbers and literals":           {`true OR 1 OR declined OR card`, "card", `{"declined":1,"x":true}`, "/message=[card]"},
		"of the message alone":                     {`message:declined`, "declined", `{"a":"declined"}`, "/message=[declined]"},
		"not what lies too deep to be found":       {`declined`, "declined", `{"a":{"b":{"c":{"d":{"e":{"f":"declined"}}}}},"g":"declined"}`, "/message=[declined] /metadata/g=[declined]"},
		"only so much of a long text as is found":  {`x declined`, "x", `{"a":"declined ` + strings.Repeat("y", 247) + ` declined"}`, "/message=[x] /metadata/a=[declined]"},
		"a token that is longer than is compared":  {strings.Repeat("k", 130), strings.Repeat("K", 140), "", "/message=[" + strings.Repeat("K", 128) + "]"},
		"several kinds of terms in one message":    {`"card declined" OR refund* service:nothing OR visa`, "visa Refunded: card declined", "", "/message=[visa][Refunded][card declined]"},
		"a group that is met by another condition": {`(declined service:x) OR card`, "card declined", "", "/message=[card]"},
	} {
		t.Run(name, func(t *testing.T) {
			where, err := query.Parse(c.q, now)
			if err != nil {
				t.Fatal(err)
			}
			e := &logentry.Entry{Service: "nothing", Message: c.message, Metadata: jsontext.Value(c.metadata)}
			if !query.Match(where, e) {
				t.Fatalf("%s does not match", c.q)
			}
			if got := marked(t, where, e); got != c.want {
				t.Errorf("%s in %q: %s, want %s", c.q, c.message, got, c.want)
			}
		})
	}
}

func TestHighlightMarksTheFirstHundredPlaces(t *testing.T) {
	e := &logentry.Entry{Message: strings.Repeat("a ", 60), Metadata: jsontext.Value(`{"x":"` + strings.Repeat("a ", 60) + `","y":"a"}`)}
	got := query.Highlight(query.Text{Tokens: []string{"a"}}, e)
	if len(got) != 2 || len(got[0].Ranges) != 60 || len(got[1].Ranges) != query.MaxRanges-60 || got[1].Pointer != "/metadata/x" {
		t.Errorf("%v", got)
	}
}

func TestHighlightComparesOnlySoMuch(t *testing.T) {
	phrase := query.Text{Tokens: query.Tokens(strings.Repeat("a ", 999) + "b")}
	e := &logentry.Entry{Message: strings.Repeat("a ", 30_000) + "b"}
	if got := query.Highlight(phrase, e); !query.Match(phrase, e) || len(got) > 0 {
		t.Errorf("%v", got)
	}
	short := query.Text{Tokens: []string{"b"}}
	if got := marked(t, short, e); got != "/message=[b]" {
		t.Error(got)
	}
}

// FuzzHighlight looks for a text in another one: what is marked lies within it, in order, and is what was looked for.
func FuzzHighlight(f *testing.F) {
	f.Add("declined", "card declined", "Declined 💳 declined", false)
	f.Add("user_i", "user_id \xff", "İ\u0301 user-id", true)
	f.Add("a a", "a a a", strings.Repeat("k", 300), false)
	f.Fuzz(func(t *testing.T, wanted, message, value string, prefix bool) {
		tokens := query.Tokens(wanted)
		if len(tokens) == 0 || len(wanted) > 40 || len(message)+len(value) > 1000 { // more is not compared to its end
			return
		}
		value = strings.ToValidUTF8(value, "?")
		metadata, err := json.Marshal(map[string]any{"n": 1, "list": []string{"x", value}})
		if err != nil {
			t.Fatal(err)
		}
		where := query.Text{Tokens: tokens, Prefix: prefix}
		e := &logentry.Entry{Message: message, Metadata: metadata}
		found := query.Highlight(where, e)
		if (len(found) > 0) != query.Match(where, e) {
			t.Fatalf("%q in %q and %q: %v, but it matches: %v", tokens, message, value, found, query.Match(where, e))
		}
		for _, m := range found {
			text := message
			if m.Pointer == "/metadata/list/1" {
				text = value
			} else if m.Pointer != "/message" && m.Pointer != "/metadata/list/0" {
				t.Fatalf("a text at %s", m.Pointer)
			}
			if m.Pointer == "/metadata/list/0" {
				text = "x"
			}
			units := utf16.Encode([]rune(text))
			end := 0
			for i, r := range m.Ranges {
				if r[0] >= r[1] || r[1] > len(units) || i > 0 && r[0] < end {
					t.Fatalf("%v in %q", m.Ranges, text)
				}
				end = r[1]
				piece := &logentry.Entry{Message: string(utf16.Decode(units[r[0]:r[1]]))}
				if !query.Match(where, piece) {
					t.Errorf("%q is marked for %q", piece.Message, tokens)
				}
			}
		}
	})
}
