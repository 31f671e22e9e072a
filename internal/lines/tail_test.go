package lines

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// follow runs a Tail on path; between two polls it takes the next step, and after the last one it ends.
func follow(t *testing.T, path string, steps ...func()) (got, notes []string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	tail := &Tail{Path: path, Limit: 100,
		Line: func(l Line, file int) error {
			got = append(got, string(rune('0'+file))+":"+string(l.Text))
			return nil
		},
		Idle: func() error { return nil },
		Note: func(what string) { notes = append(notes, what) },
		Wait: func(ctx context.Context) error {
			if len(steps) == 0 {
				cancel()
			} else {
				steps[0]()
				steps = steps[1:]
			}
			return ctx.Err()
		},
	}
	if err := tail.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return got, notes
}

func TestTailFollowsTheNameThroughChangesOfTheFile(t *testing.T) {
	add := func(path, text string) func() {
		return func() {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteString(text); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	rename := func(path string) func() {
		return func() {
			if err := os.Rename(path, path+".1"); err != nil {
				t.Fatal(err)
			}
		}
	}
	both := func(steps ...func()) func() {
		return func() {
			for _, step := range steps {
				step()
			}
		}
	}
	for name, c := range map[string]struct {
		steps func(path string) []func()
		want  string
		notes int
	}{
		"lines that are appended, half a line only when it is whole": {
			func(p string) []func() {
				return []func(){add(p, "one\ntw"), add(p, "o\nthree"), add(p, "\n")}
			}, "0:one 0:two 0:three", 1},
		"an unended last line when it stops": {
			func(p string) []func() { return []func(){add(p, "one\ntw")} }, "0:one 0:tw", 1},
		"a file that appears later": {
			func(p string) []func() { return []func(){func() {}, func() {}, add(p, "one\n")} }, "0:one", 1},
		"a rotation, with lines written to the old file after the last poll": {
			func(p string) []func() {
				return []func(){add(p, "one\n"), both(add(p, "two\nthr"), rename(p), add(p+".1", "ee\n"), add(p, "four\n")), add(p, "five\n")}
			}, "0:one 0:two 0:three 1:four 1:five", 2},
		"a rotation where the new file comes late": {
			func(p string) []func() {
				return []func(){add(p, "one\n"), rename(p), add(p+".1", "two\n"), add(p, "three\n")}
			}, "0:one 0:two 1:three", 2},
		"a file that was cut short": {
			func(p string) []func() {
				return []func(){add(p, "one\ntwo\n"), both(func() {
					if err := os.Truncate(p, 0); err != nil {
						t.Fatal(err)
					}
				}, add(p, "new\n"))}
			}, "0:one 0:two 1:new", 2},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "app.log")
			got, notes := follow(t, path, c.steps(path)...)
			if strings.Join(got, " ") != c.want || len(notes) != c.notes {
				t.Fatalf("%q\nwant %q; notes %q", got, c.want, notes)
			}
		})
	}
}

func TestTailStopsAtAnError(t *testing.T) {
	full := errors.New("no room")
	path := filepath.Join(t.TempDir(), "app.log")
	if err := os.WriteFile(path, []byte("one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tail := &Tail{Path: path, Limit: 10, Line: func(Line, int) error { return full }}
	if err := tail.Run(context.Background()); !errors.Is(err, full) {
		t.Fatal(err)
	}
	dir := &Tail{Path: t.TempDir(), Limit: 10}
	if err := dir.Run(context.Background()); err == nil {
		t.Fatal("a directory was followed")
	}
}
