package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ocelot-log/ocelot/internal/wait"
	"github.com/ocelot-log/ocelot/pkg/logentry"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

const sendLong = `Sends entries from files, or from standard input as - or where no file is named.

Files hold entries as NDJSON: one JSON object a line. With --text they hold raw log lines, which become entries of
--service: the message is the line, its time is taken where it begins with one, its severity where a level stands
near the beginning. LF, CRLF and a lone CR end a line; empty lines are passed over.

Entries go out in batches that are stored whole or not at all, and are tried again for --retry-for when the service
is busy or away. Each batch has an idempotency key made of its place in the file and its bytes, so sending the same
file again, after a crash for example, stores nothing twice. Input that cannot be told apart from an earlier one,
standard input and --follow, is taken for new each time; --run NAME makes it repeatable, and another
NAME makes a file new.

NDJSON is checked before it is sent. At the first bad line nothing further is sent, and the error says what was;
with --skip-bad FILE refused lines go there and the rest is sent.

The exit code is 0 if everything was acknowledged, otherwise 1.`

// sendOptions are the flags of send.
type sendOptions struct {
	target   target
	text     bool
	service  string
	severity string
	year     int
	zone     string
	batch    int
	conns    int
	retryFor time.Duration
	skipBad  string
	follow   bool
	run      string

	wait func(context.Context, time.Duration) error // between two tries; nil is the clock's
}

func newSendCmd() *cobra.Command {
	var o sendOptions
	cmd := &cobra.Command{
		Use:   "send [FILE…|-]",
		Short: "Send entries or raw log lines from files",
		Long:  sendLong,
		Example: "  ocelot send events.ndjson\n  ocelot send --text --service '{file}' /var/log/*.log\n  ocelot send --text --service web --follow access.log\n" +
			"  echo '{\"service\":\"demo\",\"message\":\"hello\"}' | ocelot send",
		RunE: func(cmd *cobra.Command, files []string) error {
			if len(files) == 0 {
				files = []string{"-"}
			}
			if o.follow && !cmd.Flags().Changed("retry-for") {
				o.retryFor = 0
			}
			if err := o.check(files); err != nil {
				return err
			}
			c, err := clientFromEnv(cmd, o.target, false)
			if err != nil {
				return err
			}
			return send(cmd.Context(), o, c, files, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	o.target.flags(cmd)
	f := cmd.Flags()
	f.BoolVar(&o.text, "text", false, "the input is raw log lines, not NDJSON")
	f.StringVar(&o.service, "service", "", "with --text: the entries' service; {file} stands for the file's name without directory and extension")
	f.StringVar(&o.severity, "severity", "", "with --text: severity of lines that name none (the service's default is INFO)")
	f.IntVar(&o.year, "year", 0, "with --text: year of times that have none (otherwise the newest that is not in the future)")
	f.StringVar(&o.zone, "tz", "UTC", "with --text: time zone of times that have none, such as Europe/Oslo, Local")
	f.IntVar(&o.batch, "batch", 500, "entries in a request, at most 10,000 (and 2 MiB)")
	f.IntVar(&o.conns, "conns", 2, "requests at the same time")
	f.DurationVar(&o.retryFor, "retry-for", time.Minute, "how long a batch is tried again; 0 for ever (the default with --follow)")
	f.StringVar(&o.skipBad, "skip-bad", "", "file for refused lines; the others are sent")
	f.BoolVar(&o.follow, "follow", false, "go on with what is appended, through rotation and truncation, until interrupted")
	f.StringVar(&o.run, "run", "", "name of this sending, part of the idempotency keys")
	return cmd
}

func (o sendOptions) check(files []string) error {
	switch {
	case o.batch < 1 || o.batch > 10_000:
		return errors.New("--batch is 1 … 10,000: the service takes no larger requests")
	case o.conns < 1 || o.conns > 64:
		return errors.New("--conns is 1 … 64")
	case o.text && o.service == "":
		return errors.New("--text needs --service NAME: raw lines do not say whose they are")
	case !o.text && (o.service != "" || o.severity != "" || o.year != 0 || o.zone != "UTC"):
		return errors.New("--service, --severity, --year and --tz are for --text: entries in NDJSON say these themselves")
	case o.year < 0 || o.year > 9999:
		return errors.New("--year is a year of four digits")
	}
	if _, ok := logentry.ParseSeverity(o.severity); o.severity != "" && !ok {
		return fmt.Errorf("--severity %q is none of DEBUG, INFO, WARNING, ERROR, CRITICAL", o.severity)
	}
	if _, err := time.LoadLocation(o.zone); err != nil {
		return fmt.Errorf("--tz: %w", err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		if seen[file] {
			return fmt.Errorf("%s is named twice", file)
		}
		seen[file] = true
		if o.follow && file == "-" {
			return errors.New("--follow follows files; standard input is read to its end without it")
		}
	}
	return nil
}

// sending is one run of the command.
type sending struct {
	o       sendOptions
	d       *deliverer
	out     chan *batch
	stop    context.CancelCauseFunc // ends the reading
	skipped *skipFile
	note    func(string)
	read    atomic.Int64 // bytes

	mu     sync.Mutex
	passed int    // batches given to the workers; each knows its number
	last   string // line of them
	acked  int
	lost   []*batch // that were not acknowledged
	errs   []error
	closed bool // no more batches are begun
}

// errStopped ends a reader after a worker failed; the worker's error is the one to tell.
var errStopped = errors.New("stopped")

func send(ctx context.Context, o sendOptions, c *client, files []string, stdin io.Reader, stdout, stderr io.Writer) error {
	var lines sync.Mutex
	bar := newProgress(stderr)
	note := func(s string) {
		lines.Lock()
		defer lines.Unlock()
		bar.clear()
		_, _ = fmt.Fprintln(stderr, "ocelot:", visible(s))
	}
	if o.run == "" && (o.follow || len(files) == 1 && files[0] == "-") {
		o.run = rand.Text()
	}
	reading, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	s := &sending{o: o, out: make(chan *batch), stop: stop, note: note,
		d: &deliverer{c: c, run: o.run, retryFor: o.retryFor, note: note, now: time.Now, wait: wait.For}}
	if o.wait != nil {
		s.d.wait = o.wait
	}
	if o.skipBad != "" {
		f, err := newSkipFile(o.skipBad, files, note)
		if err != nil {
			return err
		}
		s.skipped = f
		s.d.refused = f.write
	}
	total := sizes(files)
	if !o.follow {
		for _, file := range files {
			if err := readable(file); err != nil {
				return err // before anything is sent
			}
		}
	}
	ticker := bar.start(func() string { return s.line(total) }, &lines)

	var workers sync.WaitGroup
	for range o.conns {
		workers.Go(func() {
			for b := range s.out {
				s.one(reading, b)
			}
		})
	}
	err := s.readAll(reading, files, stdin)
	close(s.out)
	workers.Wait()
	ticker()
	if err != nil && !errors.Is(err, errStopped) {
		s.errs = append([]error{err}, s.errs...)
	}
	if s.skipped != nil {
		if err := s.skipped.close(); err != nil {
			s.errs = append(s.errs, err)
		}
	}
	return s.finish(ctx, stdout)
}

// one delivers a batch; after a failure those that were waiting are not begun.
func (s *sending) one(ctx context.Context, b *batch) {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	var err error
	if !closed {
		err = s.d.deliver(ctx, b)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !closed && err == nil {
		s.acked++
		return
	}
	s.lost = append(s.lost, b)
	if !s.closed { // the first failure is the one to tell; the others were stopped by it
		s.closed = true
		s.errs = append(s.errs, err)
		s.stop(errStopped)
	}
}

// check passes a batch on to the workers, without the entries that the service would refuse.
func (s *sending) check(ctx context.Context, b *batch) error {
	if bad := faults(b); bad != nil {
		if s.skipped == nil {
			return s.refuse(b, bad)
		}
		var err error
		b, err = b.drop(bad, s.o.run, func(line int, text []byte, why string) error {
			s.d.bad.Add(1)
			return s.skipped.write(b.file, line, text, why)
		})
		if err != nil {
			return err
		}
		if len(b.lines) == 0 {
			return nil
		}
	}
	s.mu.Lock()
	b.number = s.passed
	s.passed++
	s.mu.Unlock()
	select {
	case s.out <- b:
		s.mu.Lock()
		s.last = fmt.Sprintf("%s:%d", b.file, b.lines[len(b.lines)-1])
		s.mu.Unlock()
		return nil
	case <-ctx.Done():
		s.mu.Lock()
		s.lost = append(s.lost, b)
		s.mu.Unlock()
		return errStopped
	}
}

// maxListed is how many bad lines an error lists.
const maxListed = 20

// refuse says which lines of a batch are bad; none of the batch is sent.
func (s *sending) refuse(b *batch, bad map[int]string) error {
	s.d.bad.Add(int64(len(bad)))
	s.mu.Lock()
	b.number = s.passed
	s.passed++
	s.lost = append(s.lost, b)
	s.mu.Unlock()
	var text strings.Builder
	fmt.Fprintf(&text, "%d of the %d entries in %s are not what the service takes:", len(bad), len(b.lines), b)
	listed := 0
	for i, line := range b.lines {
		why, isBad := bad[i]
		if !isBad {
			continue
		}
		if listed++; listed > maxListed {
			fmt.Fprintf(&text, "\n  and %d more", len(bad)-maxListed)
			break
		}
		fmt.Fprintf(&text, "\n  %s:%d: %s", visible(b.file), line, visible(why))
	}
	text.WriteString("\ncorrect them, or pass over them with --skip-bad FILE")
	return errors.New(text.String())
}

// line is the progress.
func (s *sending) line(total int64) string {
	part := ""
	if total > 0 && !s.o.follow {
		part = fmt.Sprintf("  %d %%", min(100, s.read.Load()*100/total))
	}
	return fmt.Sprintf("%s entries%s", grouped(s.d.entries.Load()), part)
}

// sizes is how many bytes the files have, 0 where that is unknown.
func sizes(files []string) (total int64) {
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil || !info.Mode().IsRegular() {
			return 0
		}
		total += info.Size()
	}
	return total
}

func readable(file string) error {
	if file == "-" {
		return nil
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return fmt.Errorf("%s is a directory; name the files", file)
	}
	return nil
}

// isTerminal says whether a person looks at w.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
