package query_test

import (
	"reflect"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/ocelot-log/ocelot/internal/query"
)

func TestTokens(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want []string
	}{
		"nothing":                             {"", nil},
		"only punctuation":                    {" -- ! …", nil},
		"words in any case":                   {"Payment FAILED", []string{"payment", "failed"}},
		"an identifier is cut":                {"user_id=3.5", []string{"user", "id", "3", "5"}},
		"digits and letters stay together":    {"v2rc1", []string{"v2rc1"}},
		"repeated words stay":                 {"a a", []string{"a", "a"}},
		"letters of other scripts":            {"Größe ΣΑΣ 東京都", []string{"größe", "σασ", "東京都"}},
		"digits of other scripts":             {"١٠ Ⅻ ½", []string{"١٠", "ⅻ", "½"}},
		"accents are kept":                    {"café", []string{"café"}},
		"a combining mark cuts":               {"cafe\u0301s", []string{"cafe", "s"}},
		"the dotted capital I is a plain i":   {"İstanbul", []string{"istanbul"}},
		"the Kelvin sign is a k":              {"\u212A9", []string{"k9"}},
		"a zero-width character cuts":         {"foo\u200bbar", []string{"foo", "bar"}},
		"invalid UTF-8 cuts":                  {"a\xffb\xc3", []string{"a", "b"}},
		"a token of 128 characters is whole":  {strings.Repeat("é", 128), []string{strings.Repeat("é", 128)}},
		"a longer one is cut and not wrapped": {strings.Repeat("X", 300) + " y", []string{strings.Repeat("x", 128), "y"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := query.Tokens(c.in); !reflect.DeepEqual(got, c.want) {
				t.Errorf("Tokens(%q) = %q, want %q", c.in, got, c.want)
			}
		})
	}
}

func TestAppendTokensKeepsWhatIsThere(t *testing.T) {
	got := query.AppendTokens([]string{"x"}, "A b")
	if want := []string{"x", "a", "b"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// FuzzTokens compares with the definition: every lower-cased letter and digit, in order, in runs.
func FuzzTokens(f *testing.F) {
	for _, s := range []string{"", "Payment FAILED for user_id=3.5", "İ\xff\u0301K", strings.Repeat("a", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want := strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) })
		got := query.Tokens(s)
		if len(got) != len(want) {
			t.Fatalf("%d tokens, want %d", len(got), len(want))
		}
		for i := range got {
			if r := []rune(want[i]); got[i] != string(r[:min(len(r), query.MaxToken)]) {
				t.Errorf("token %d is %q, want %q", i, got[i], want[i])
			}
			if !utf8.ValidString(got[i]) {
				t.Errorf("token %q is no UTF-8", got[i])
			}
			if again := query.Tokens(got[i]); len(again) != 1 || again[0] != got[i] {
				t.Errorf("token %q is cut into %q", got[i], again)
			}
		}
	})
}

func BenchmarkTokens(b *testing.B) {
	for name, s := range map[string]string{
		"ascii":   "Payment of order 8f3a91 failed for user_id=1234567: upstream timeout after 3.5 s, retry 2 of 5",
		"unicode": "Zahlung für Bestellung 8f3a91 fehlgeschlagen: Zeitüberschreitung nach 3,5 s – Versuch 2 von 5",
	} {
		b.Run(name, func(b *testing.B) {
			var dst []string
			b.ReportAllocs()
			b.SetBytes(int64(len(s)))
			for b.Loop() {
				dst = query.AppendTokens(dst[:0], s)
			}
		})
	}
}
