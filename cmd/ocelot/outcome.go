package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// finish prints the last line and makes the error of what was not acknowledged. Nobody else works any more.
func (s *sending) finish(ctx context.Context, stdout io.Writer) error {
	collapsed := ""
	if n := s.d.duplicates.Load(); n > 0 {
		collapsed = fmt.Sprintf(" (%d of them copies with the same event_id)", n)
	}
	_, err := fmt.Fprintf(stdout, "sent %d entries in %d batches%s, %d refused\n", s.d.entries.Load(), s.d.batches.Load(), collapsed, s.d.bad.Load())
	if err != nil {
		return err
	}
	if ctx.Err() != nil && !s.o.follow {
		s.errs = append(s.errs, errors.New("interrupted"))
	}
	if len(s.errs) > 0 || len(s.lost) > 0 {
		return fmt.Errorf("%w\n%s", errors.Join(s.errs...), s.state())
	}
	if n := s.d.bad.Load(); n > 0 {
		return fmt.Errorf("%d lines were refused: they are in %s", n, s.o.skipBad)
	}
	return nil
}

// state says what was acknowledged and what was not, and how to go on.
func (s *sending) state() string {
	slices.SortFunc(s.lost, func(a, b *batch) int { return a.number - b.number })
	var text strings.Builder
	before, later := s.acked, 0
	if len(s.lost) > 0 {
		before = min(before, s.lost[0].number)
		later = s.acked - before
	}
	text.WriteString("acknowledged: ")
	switch {
	case s.acked == 0:
		text.WriteString("nothing")
	case s.o.follow:
		fmt.Fprintf(&text, "%d batches", s.acked)
	case len(s.lost) == 0:
		text.WriteString("everything up to " + visible(s.last))
	case before == 0:
		fmt.Fprintf(&text, "%d batches behind the first one that was not", later)
	default:
		fmt.Fprintf(&text, "everything before %s:%d", visible(s.lost[0].file), s.lost[0].lines[0])
		if later > 0 {
			fmt.Fprintf(&text, ", and %d batches behind that", later)
		}
	}
	for i, b := range s.lost {
		if text.WriteString([]string{"\nnot acknowledged: ", ", "}[min(i, 1)]); i == maxListed {
			fmt.Fprintf(&text, "and %d more batches", len(s.lost)-maxListed)
			break
		}
		text.WriteString(visible(b.String()))
	}
	text.WriteString("\nnothing further was sent; ")
	if s.o.run == "" {
		text.WriteString("the same command again stores nothing twice")
	} else {
		text.WriteString("the same input again with --run " + s.o.run + " stores nothing twice")
	}
	if s.o.follow {
		text.WriteString(", as far as the batches are cut at the same lines")
	}
	return text.String()
}
