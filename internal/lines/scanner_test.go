package lines

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func all(t *testing.T, r io.Reader, e Endings, limit int) (texts []string, lost []int) {
	t.Helper()
	s := NewScanner(r, e, limit)
	for {
		line, err := s.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		texts, lost = append(texts, string(line.Text)), append(lost, line.Lost+line.Zeros)
		if line.Number != len(texts) {
			t.Fatalf("line %d says it is number %d", len(texts), line.Number)
		}
	}
	if line, ok := s.Rest(); ok {
		texts, lost = append(texts, string(line.Text)), append(lost, line.Lost+line.Zeros)
	}
	return texts, lost
}

func TestScannerCutsAtEveryEnding(t *testing.T) {
	for name, c := range map[string]struct {
		in      string
		endings Endings
		want    []string
	}{
		"LF ends a line":                           {"a\nb\n", AnyEnding, []string{"a", "b"}},
		"CRLF is one ending":                       {"a\r\nb\r\n", AnyEnding, []string{"a", "b"}},
		"a lone CR ends a line":                    {"a\rb\rc", AnyEnding, []string{"a", "b", "c"}},
		"all three may be mixed":                   {"a\rb\r\nc\nd", AnyEnding, []string{"a", "b", "c", "d"}},
		"two CR and an LF are two endings":         {"a\r\r\nb", AnyEnding, []string{"a", "", "b"}},
		"an LF and a CR are two endings":           {"a\n\rb", AnyEnding, []string{"a", "", "b"}},
		"a last line without ending counts":        {"a\nb", AnyEnding, []string{"a", "b"}},
		"nothing is no line":                       {"", AnyEnding, nil},
		"a CR belongs to the line where LF is all": {"a\rb\r\nc", OnlyLF, []string{"a\rb\r", "c"}},
	} {
		t.Run(name, func(t *testing.T) {
			for how, r := range map[string]io.Reader{
				"at once":   strings.NewReader(c.in),
				"by bytes":  iotest.OneByteReader(strings.NewReader(c.in)),
				"with data": iotest.DataErrReader(strings.NewReader(c.in)),
			} {
				got, _ := all(t, r, c.endings, 100)
				if strings.Join(got, "|") != strings.Join(c.want, "|") || len(got) != len(c.want) {
					t.Errorf("%s: %q, want %q", how, got, c.want)
				}
			}
		})
	}
}

func TestScannerCountsWhatItCuts(t *testing.T) {
	got, lost := all(t, strings.NewReader("1234567890\n123\n"), AnyEnding, 4)
	if got[0] != "1234" || lost[0] != 6 || got[1] != "123" || lost[1] != 0 {
		t.Fatalf("%q %v", got, lost)
	}
}

func TestScannerPassesOverTheZerosThatACrashLeaves(t *testing.T) {
	s := NewScanner(iotest.OneByteReader(strings.NewReader("one\n\x00\x00\x00two\x00\n\x00\n")), AnyEnding, 4)
	for _, want := range []Line{{Text: []byte("one")}, {Text: []byte("two\x00"), Zeros: 3}, {Zeros: 1}} {
		line, err := s.Next()
		if err != nil || string(line.Text) != string(want.Text) || line.Zeros != want.Zeros || line.Lost != 0 {
			t.Fatalf("%q %+v %v, want %+v", line.Text, line, err, want)
		}
	}
	raw := NewScanner(strings.NewReader("\x00x\n"), OnlyLF, 4)
	if line, err := raw.Next(); err != nil || string(line.Text) != "\x00x" {
		t.Fatalf("%q %v", line.Text, err)
	}
}

func TestScannerGoesOnWhenTheStreamGrows(t *testing.T) {
	var b bytes.Buffer
	s := NewScanner(&b, AnyEnding, 100)
	b.WriteString("one\ntw")
	if line, err := s.Next(); err != nil || string(line.Text) != "one" {
		t.Fatalf("%q %v", line.Text, err)
	}
	if _, err := s.Next(); !errors.Is(err, io.EOF) {
		t.Fatalf("half a line was given out: %v", err)
	}
	b.WriteString("o\r")
	if line, err := s.Next(); err != nil || string(line.Text) != "two" {
		t.Fatalf("%q %v", line.Text, err)
	}
	b.WriteString("\nthree\n")
	if line, err := s.Next(); err != nil || string(line.Text) != "three" || line.Number != 3 {
		t.Fatalf("%q %d %v", line.Text, line.Number, err)
	}
	if s.Offset() != int64(len("one\ntwo\r\nthree\n")) {
		t.Fatalf("offset %d", s.Offset())
	}
}

func TestScannerReturnsTheReadersError(t *testing.T) {
	broken := errors.New("broken")
	s := NewScanner(iotest.ErrReader(broken), AnyEnding, 100)
	if _, err := s.Next(); !errors.Is(err, broken) {
		t.Fatal(err)
	}
}
