package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ocelot-log/ocelot/internal/lines"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// maxJSONLine is how long a line of NDJSON may be to be looked at, white space included.
const maxJSONLine = 8 << 20

// flushEvery is how long an entry waits for others when a file is followed.
const flushEvery = time.Second

// readAll cuts the files into batches.
func (s *sending) readAll(ctx context.Context, files []string, stdin io.Reader) error {
	if s.o.follow {
		return s.followAll(ctx, files)
	}
	for _, file := range files {
		if err := s.readOne(ctx, file, stdin); err != nil {
			return err
		}
	}
	return nil
}

func (s *sending) readOne(ctx context.Context, file string, stdin io.Reader) error {
	r, written := stdin, time.Now()
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil {
			written = info.ModTime()
		}
		r = f
	}
	src := s.source(ctx, file)
	src.text.Clock.Before = written
	scan := lines.NewScanner(&counting{r, &s.read}, src.endings, src.limit)
	for {
		if ctx.Err() != nil {
			return errStopped
		}
		line, err := scan.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", src.name, err)
		}
		if err := src.add(line); err != nil {
			return err
		}
	}
	if line, ok := scan.Rest(); ok {
		if err := src.add(line); err != nil {
			return err
		}
	}
	return src.pack.flush()
}

// followAll follows each file until ctx ends; what was read by then is sent.
func (s *sending) followAll(ctx context.Context, files []string) error {
	following, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	errs := make([]error, len(files))
	for i, file := range files {
		all.Go(func() {
			// The last batch is still to be passed on when ctx has ended.
			if errs[i] = s.followOne(following, context.WithoutCancel(ctx), file); errs[i] != nil {
				stop()
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func (s *sending) followOne(ctx, passing context.Context, file string) error {
	src := s.source(passing, file)
	generation, begun := 0, time.Time{}
	tail := lines.Tail{Path: file, Endings: src.endings, Limit: src.limit, Note: s.note,
		Line: func(line lines.Line, n int) error {
			if n != generation { // a new file behind the name: its places begin again
				if err := src.pack.flush(); err != nil {
					return err
				}
				generation = n
				src.pack.run = fmt.Sprintf("%s/%d", s.o.run, n)
			}
			if src.pack.cur == nil {
				begun = time.Now()
			}
			src.text.Clock.Before = time.Now()
			return src.add(line)
		},
		Idle: func() error {
			if src.pack.cur == nil || time.Since(begun) < flushEvery {
				return nil
			}
			return src.pack.flush()
		}}
	if err := tail.Run(ctx); err != nil {
		return err
	}
	return src.pack.flush()
}

// source turns a file's lines into entries.
type source struct {
	name    string // for people
	raw     bool
	endings lines.Endings
	limit   int
	text    lines.Text
	pack    *packer
	buf     []byte
}

func (s *sending) source(ctx context.Context, file string) *source {
	src := &source{name: file, raw: s.o.text, endings: lines.OnlyLF, limit: maxJSONLine}
	base := "stdin"
	if file == "-" {
		src.name = "standard input"
	} else {
		base = strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
		src.text.File = filepath.Clean(file)
	}
	src.pack = &packer{file: src.name, run: s.o.run, size: s.o.batch, out: func(b *batch) error { return s.check(ctx, b) }}
	if s.o.text {
		src.endings, src.limit = lines.AnyEnding, lines.MaxMessage
		src.text.Service = strings.ReplaceAll(s.o.service, "{file}", base)
		src.text.Severity, _ = logentry.ParseSeverity(s.o.severity) // checked before; none is 0
		src.text.Clock.Zone, _ = time.LoadLocation(s.o.zone)        // checked before
		src.text.Clock.Year = s.o.year
	}
	return src
}

func (src *source) add(line lines.Line) error {
	if src.raw {
		entry, ok := src.text.Append(src.buf[:0], line)
		src.buf = entry
		if !ok {
			return nil
		}
		return src.pack.add(line.Number, bytes.TrimSuffix(entry, []byte("\n")))
	}
	text := bytes.TrimRight(line.Text, "\r")
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	return src.pack.add(line.Number, text)
}

// counting counts what is read.
type counting struct {
	io.Reader
	n *atomic.Int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}
