package query_test

import (
	"bytes"
	"encoding/base64"
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
	first := "A" // another first character, always
	if sealed[0] == 'A' {
		first = "B"
	}
	other := query.NewCursors([]byte(strings.Repeat("x", 32)))
	for name, open := range map[string]func() ([]byte, error){
		"another purpose":  func() ([]byte, error) { return c.Open("page", sealed, "acme\x00question") },
		"another tenant":   func() ([]byte, error) { return c.Open("tail", sealed, "zeta\x00question") },
		"another question": func() ([]byte, error) { return c.Open("tail", sealed, "acme\x00other") },
		"another secret":   func() ([]byte, error) { return other.Open("tail", sealed, "acme\x00question") },
		"a changed byte":   func() ([]byte, error) { return c.Open("tail", first+sealed[1:], "acme\x00question") },
		"a shorter one":    func() ([]byte, error) { return c.Open("tail", sealed[:8], "acme\x00question") },
		"none":             func() ([]byte, error) { return c.Open("tail", "", "acme\x00question") },
		"10 KiB":           func() ([]byte, error) { return c.Open("tail", strings.Repeat("A", 10<<10), "acme\x00question") },
	} {
		if b, err := open(); err == nil || asFault(t, err).Code != "cursor_invalid" {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}

func TestSealedTextsCanNotBeRead(t *testing.T) {
	c := query.NewCursors([]byte(strings.Repeat("k", 32)))
	one, two := c.Seal("tail", []byte("1846343-12"), "acme"), c.Seal("tail", []byte("1846344-12"), "acme")
	if again := c.Seal("tail", []byte("1846343-12"), "acme"); again != one {
		t.Errorf("the same is %s and %s", one, again)
	}
	texts := [2][]byte{}
	for i, sealed := range []string{one, two} {
		b, err := base64.RawURLEncoding.DecodeString(sealed)
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = b[16:]
		if bytes.Contains(b, []byte("1846")) {
			t.Errorf("%q can be read", b)
		}
	}
	if bytes.Equal(texts[0][:6], texts[1][:6]) {
		t.Errorf("what begins the same looks the same: %x %x", texts[0], texts[1])
	}
	if b, err := c.Open("tail", two, "acme"); err != nil || string(b) != "1846344-12" {
		t.Errorf("%q %v", b, err)
	}
}
