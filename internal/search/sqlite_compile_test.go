package search_test

import (
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/search"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestCompiledMatch shows what a question becomes. \x80 is the mark of a token, \x81 that of every entry,
// \x90 and more those of fields; in values \x80 and more are what is neither 0–9 nor a–z.
func TestCompiledMatch(t *testing.T) {
	hour := func(h int) time.Time { return time.Date(2026, 11, 3, h, 0, 0, 0, time.UTC) }
	word := func(tokens ...string) query.Text { return query.Text{Tokens: tokens} }
	service := query.Term{Field: query.Service, Value: "billing"}
	from := query.Range{Field: query.Timestamp, From: hour(8)}
	var out strings.Builder
	for _, c := range []struct {
		name  string
		where query.Node
	}{
		{"everything", nil},
		{"a word", word("payment")},
		{"a phrase in the message with a prefix", query.Text{Field: query.Message, Tokens: []string{"payment", "fai"}, Prefix: true}},
		{"a field and a prefix of another", query.And{service, query.Term{Field: query.RequestID, Value: "req-7", Prefix: true}}},
		{"capitals, quotes and other scripts in a value", query.Term{Field: query.Action, Value: `A" OR "é*`}},
		{"one or the other but not a third", query.And{query.Or{word("a"), word("b")}, query.Not{Node: word("c")}, query.Not{Node: word("d")}}},
		{"only negative", query.Not{Node: query.Or{word("a"), service}}},
		{"a negative one among others", query.Or{query.Not{Node: word("a")}, word("b")}},
		{"a double negation", query.Not{Node: query.Not{Node: word("a")}}},
		{"a contradiction", query.And{query.Not{Node: query.All{}}, word("a")}},
		{"an address", query.Term{Field: query.IPAddress, Value: "::ffff:10.0.0.1"}},
		{"a day's hours", query.And{query.Range{Field: query.Timestamp, From: hour(8), To: hour(9)}, word("a")}},
		{"all but some hours", query.And{query.Not{Node: query.Range{Field: query.Timestamp, From: hour(8), To: hour(9)}}, word("a")}},
		{"a word or a time", query.Or{word("a"), from}},
		{"both times", query.And{from, query.Range{Field: query.ReceivedAt, To: hour(10)}, service}},
		{"a day's hours or another receipt", query.And{query.Or{query.Range{Field: query.Timestamp, From: hour(8), To: hour(9)}, query.Range{Field: query.ReceivedAt, From: hour(10), To: hour(11)}}, service}},
		{"a token that is none", word(`a" OR "b`)},
	} {
		out.WriteString(c.name + "\n" + printed(c.where) + "\n")
	}
	for _, c := range valueNodes() {
		out.WriteString(c.name + "\n" + printed(c.node) + "\n")
	}
	const golden = "testdata/match.golden"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestTooManyRanges(t *testing.T) {
	var or query.Or
	for i := range 3000 {
		or = append(or, query.Range{Field: query.Timestamp, From: time.Unix(int64(2*i), 0), To: time.Unix(int64(2*i+1), 0)})
	}
	if _, err := search.Compile(or); err == nil || !strings.Contains(err.Error(), "query_too_expensive") {
		t.Errorf("got %v", err)
	}
	if parts, err := search.Compile(or[:100]); err != nil || len(parts) != 100 {
		t.Errorf("%d parts, %v", len(parts), err)
	}
}

// ns prints a time of a part.
func ns(v int64) string {
	switch v {
	case math.MinInt64:
		return "-"
	case math.MaxInt64:
		return "-"
	}
	return time.Unix(0, v).UTC().Format("15:04:05")
}

// printed is a compiled question as the golden file has it.
func printed(where query.Node) string {
	parts, err := search.Compile(where)
	if err != nil {
		return err.Error() + "\n"
	}
	if len(parts) == 0 {
		return "nothing\n"
	}
	var out string
	for _, p := range parts {
		out += fmt.Sprintf("at %s to %s, received %s to %s: ", ns(p.From), ns(p.To), ns(p.Rfrom), ns(p.Rto))
		for _, c := range []byte(p.Match) {
			if c < 0x80 {
				out += string(rune(c))
			} else {
				out += fmt.Sprintf(`\x%02x`, c)
			}
		}
		out += "\n"
	}
	return out
}

func TestWhatIsAllButSomething(t *testing.T) {
	for match, want := range map[string]struct {
		but string
		ok  bool
	}{
		`"1\x81"`:                             {"", true},
		`("1\x81" NOT "1a")`:                  {`"1a"`, true},
		`("1\x81" NOT ("1a" OR "1b"))`:        {`("1a" OR "1b")`, true},
		`("1\x81" NOT "1a") OR ("1b")`:        {"", false},
		`(("1\x81" NOT "1a") OR "1b")`:        {"", false},
		`("1a" NOT "1b")`:                     {"", false},
		`("1\x81" AND "1a" NOT "1b")`:         {"", false},
		`("1\x81" NOT "1a" OR ("1b" OR "1c")`: {"", false},
	} {
		if but, ok := search.AllBut(match, `"1\x81"`); ok != want.ok || ok && but != want.but {
			t.Errorf("%s: %s, %v", match, but, ok)
		}
	}
}
