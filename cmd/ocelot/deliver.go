package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/ocelot-log/ocelot/internal/wait"
)

// deliverer posts batches and tries again while that makes sense.
type deliverer struct {
	c        *client
	run      string
	retryFor time.Duration // how long a batch is tried after it failed first; 0 is for ever
	note     func(string)
	refused  func(file string, line int, text []byte, why string) error // nil: the first refusal ends the sending

	now  func() time.Time
	wait func(context.Context, time.Duration) error

	entries, batches, duplicates, bad atomic.Int64
	retrying                          atomic.Bool // whether the note was given
	zips                              sync.Pool
}

// The pause between two tries doubles between these.
const (
	minPause = 100 * time.Millisecond
	maxPause = 10 * time.Second
)

// deliver posts b until it is acknowledged. When ctx ends no further try is begun, but one under way may end.
// Sending the same batch twice is harmless: it has the same key.
func (d *deliverer) deliver(ctx context.Context, b *batch) error {
	var failed time.Time
	for try := 0; ; try++ {
		err := d.post(context.WithoutCancel(ctx), b)
		if err == nil {
			if d.retrying.CompareAndSwap(true, false) {
				d.note("the service takes entries again")
			}
			return nil
		}
		r, answered := errors.AsType[*refusal](err)
		_, lost := errors.AsType[*unreachable](err)
		if answered && !r.passing() || !answered && !lost {
			if d.refused == nil || !answered || !aboutEntries(r.Status) {
				return fmt.Errorf("%s: %w%s", b, err, places(b, r))
			}
			if b, err = d.without(b, r); err != nil {
				return err
			}
			if len(b.lines) == 0 {
				return nil
			}
			failed, try = time.Time{}, -1
			continue
		}
		if failed.IsZero() {
			failed = d.now()
		}
		pause := wait.Backoff(try, minPause, maxPause)
		if answered {
			pause = max(pause, r.RetryAfter)
		}
		if d.retryFor > 0 && d.now().Add(pause).Sub(failed) > d.retryFor {
			return fmt.Errorf("%s: gave up after %s: %w", b, d.retryFor, err)
		}
		if d.retrying.CompareAndSwap(false, true) {
			d.note(fmt.Sprintf("%v; trying again", err))
		}
		if d.wait(ctx, pause) != nil {
			return fmt.Errorf("%s: stopped while trying again: %w", b, err)
		}
	}
}

// aboutEntries says that a refusal is of the entries, not of the caller.
func aboutEntries(status int) bool {
	return status == http.StatusBadRequest || status == http.StatusUnprocessableEntity || status == http.StatusRequestEntityTooLarge
}

// without gives up the entries that the service names, or all where it names none.
func (d *deliverer) without(b *batch, r *refusal) (*batch, error) {
	bad := map[int]string{}
	for _, p := range r.Errors {
		if p.Line > 0 && p.Line <= len(b.lines) {
			bad[p.Line-1] = p.Pointer + " " + p.Code + ": " + p.Message
		}
	}
	if len(bad) == 0 {
		for i := range b.lines {
			bad[i] = r.Error()
		}
	}
	return b.drop(bad, d.run, func(line int, text []byte, why string) error {
		d.bad.Add(1)
		return d.refused(b.file, line, text, why)
	})
}

// places names the lines that a refusal is about.
func places(b *batch, r *refusal) (s string) {
	if r == nil {
		return ""
	}
	for _, p := range r.Errors {
		if p.Line > 0 && p.Line <= len(b.lines) {
			s += fmt.Sprintf("\n  %s:%d: %s %s: %s", b.file, b.lines[p.Line-1], p.Pointer, p.Code, p.Message)
		}
	}
	return visibleLines(s)
}

func (d *deliverer) post(ctx context.Context, b *batch) error {
	var packed bytes.Buffer
	zip, _ := d.zips.Get().(*gzip.Writer)
	if zip == nil {
		zip, _ = gzip.NewWriterLevel(&packed, gzip.BestSpeed) // fails for unknown levels only
	}
	zip.Reset(&packed)
	_, _ = zip.Write(b.body) // into memory
	_ = zip.Close()
	d.zips.Put(zip)
	answer, err := d.c.do(ctx, http.MethodPost, "/api/v1/logs/bulk", http.Header{
		"Content-Type": {"application/x-ndjson"}, "Content-Encoding": {"gzip"}, "Idempotency-Key": {b.key}}, packed.Bytes())
	if err != nil {
		return err
	}
	var receipt struct {
		Data *struct {
			Duplicates int64 `json:"duplicates"`
		} `json:"data"`
	}
	if err := json.Unmarshal(answer, &receipt); err != nil || receipt.Data == nil {
		return fmt.Errorf("the answer is not a receipt of Ocelot: is %s right?", d.c.URL)
	}
	d.entries.Add(int64(len(b.lines)))
	d.batches.Add(1)
	d.duplicates.Add(receipt.Data.Duplicates)
	return nil
}
