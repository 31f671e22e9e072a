package lines

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/ocelot-log/ocelot/internal/wait"
)

// Tail follows a file by its name, as tail -F does: it waits for a file that is not there yet, reads what is
// appended, goes on with the new file after a rotation (when the old one is read to its end), and begins
// again when the file was cut short. Polling finds all of these; no line is lost as long as a file
// is not rotated away twice between two polls.
type Tail struct {
	Path    string
	Endings Endings
	Limit   int // of a line, in bytes
	// Line gets each line; file counts the files that stood behind the name, from 0.
	Line func(line Line, file int) error
	// Idle is called each time that there is nothing more to read.
	Idle func() error
	// Note tells a person what happens to the file.
	Note func(what string)
	// Wait pauses between two polls; nil waits for a quarter of a second. It returns the context's error when that ends.
	Wait func(context.Context) error

	file    *os.File
	opened  os.FileInfo
	scanner *Scanner
	count   int
	absent  bool
}

// Run follows until ctx ends, then returns nil. Errors are those of reading, of Line and of Idle.
func (t *Tail) Run(ctx context.Context) error {
	defer func() {
		if t.file != nil {
			_ = t.file.Close()
		}
	}()
	pause := t.Wait
	if pause == nil {
		pause = func(ctx context.Context) error { return wait.For(ctx, 250*time.Millisecond) }
	}
	for {
		if err := t.poll(); err != nil {
			return fmt.Errorf("following %s: %w", t.Path, err)
		}
		if err := t.Idle(); err != nil {
			return err
		}
		if pause(ctx) != nil {
			if err := t.poll(); err != nil { // what was written while we waited
				return fmt.Errorf("following %s: %w", t.Path, err)
			}
			return t.finish()
		}
	}
}

// poll reads what there is, through as many changes of the file as it sees.
func (t *Tail) poll() error {
	for {
		if t.file == nil {
			if there, err := t.open(); err != nil || !there {
				return err
			}
		}
		if err := t.drain(); err != nil {
			return err
		}
		now, err := os.Stat(t.Path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // renamed, the new one is still to come: the old one may yet grow
		}
		if err != nil {
			return err
		}
		switch {
		case !os.SameFile(now, t.opened):
			if err := t.drain(); err != nil { // written between our last read and the rename
				return err
			}
			t.Note(t.Path + " was replaced: going on with the new file")
		case now.Size() < t.scanner.Offset():
			t.Note(t.Path + " was cut short: reading it from the beginning")
		default:
			return nil
		}
		if err := t.finish(); err != nil {
			return err
		}
	}
}

func (t *Tail) open() (there bool, err error) {
	f, err := os.Open(t.Path)
	if errors.Is(err, fs.ErrNotExist) {
		if !t.absent {
			t.absent = true
			t.Note(t.Path + " is not there yet: waiting for it")
		}
		return false, nil
	}
	if err != nil {
		return false, err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return false, err
	}
	if info.IsDir() {
		_ = f.Close()
		return false, errors.New("it is a directory; name the files")
	}
	t.file, t.opened, t.absent = f, info, false
	t.scanner = NewScanner(f, t.Endings, t.Limit)
	return true, nil
}

func (t *Tail) drain() error {
	for {
		line, err := t.scanner.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := t.Line(line, t.count); err != nil {
			return err
		}
	}
}

// finish gives out the unended last line and lets go of the file.
func (t *Tail) finish() error {
	if t.file == nil {
		return nil
	}
	line, ok := t.scanner.Rest()
	err := t.file.Close()
	t.file = nil
	count := t.count
	t.count++
	if ok {
		if err := t.Line(line, count); err != nil {
			return err
		}
	}
	return err
}
