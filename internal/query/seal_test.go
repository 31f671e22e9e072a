package query_test

import (
	"strings"
	"testing"

	"github.com/ocelot-log/ocelot/internal/query"
)

func TestSealedTextsAreBound(t *testing.T) {
	c := query.NewCursors([]byte(strings.Repeat("k", 32)))
	sealed := c.Seal("tail", []byte("payload"), "acme\x00question")
	if b, err := c.Open("tail", sealed, "acme\x00question"); err != nil || string(b) != "payload" {
		t.Fatalf("%q, %v", b, err)
	}
	other := query.NewCursors([]byte(strings.Repeat("x", 32)))
	for name, open := range map[string]func() ([]byte, error){
		"another purpose":  func() ([]byte, error) { return c.Open("page", sealed, "acme\x00question") },
		"another tenant":   func() ([]byte, error) { return c.Open("tail", sealed, "zeta\x00question") },
		"another question": func() ([]byte, error) { return c.Open("tail", sealed, "acme\x00other") },
		"another secret":   func() ([]byte, error) { return other.Open("tail", sealed, "acme\x00question") },
		"a changed byte":   func() ([]byte, error) { return c.Open("tail", sealed[:len(sealed)-1]+"A", "acme\x00question") },
		"a shorter one":    func() ([]byte, error) { return c.Open("tail", sealed[:8], "acme\x00question") },
		"none":             func() ([]byte, error) { return c.Open("tail", "", "acme\x00question") },
		"10 KiB":           func() ([]byte, error) { return c.Open("tail", strings.Repeat("A", 10<<10), "acme\x00question") },
	} {
		if b, err := open(); err == nil || asFault(t, err).Code != "cursor_invalid" {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}
