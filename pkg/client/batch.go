package client

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// Batch is entries that went out together, or were to.
type Batch struct {
	Key     string           // its Idempotency-Key; empty for what a Handler could not hand over
	Entries []logentry.Entry // as they were sent: with their timestamps
}

// batch is a Batch under way.
type batch struct {
	entries []logentry.Entry
	lines   []byte        // NDJSON
	ends    []int         // of each line, behind its newline
	done    chan struct{} // closed when every entry is acknowledged or reported
	errs    []error       // what was reported; read after done
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

func (b *batch) add(e logentry.Entry, line []byte) {
	b.entries = append(b.entries, e)
	b.lines = append(b.lines, line...)
	b.ends = append(b.ends, len(b.lines))
}

// part is the entries of b that are to be taken, in their order.
func (b *batch) part(take func(i int) bool) *batch {
	some, start := newBatch(), 0
	for i, end := range b.ends {
		if take(i) {
			some.add(b.entries[i], b.lines[start:end])
		}
		start = end
	}
	return some
}

// pack compresses the lines.
func (b *batch) pack() []byte {
	var packed bytes.Buffer
	zip, _ := gzip.NewWriterLevel(&packed, gzip.BestSpeed) // fails for unknown levels only
	_, _ = zip.Write(b.lines)                              // into memory
	_ = zip.Close()
	return packed.Bytes()
}

// post sends b under a key and with bytes of its own until it is acknowledged or refused.
func (c *Client) post(ctx context.Context, key string, b *batch) error {
	header := http.Header{"Content-Type": {"application/x-ndjson"}, "Content-Encoding": {"gzip"}, "Idempotency-Key": {key}}
	body := b.pack()
	return c.again(ctx, func() error {
		var receipt struct {
			Data struct {
				IDs []string `json:"ids"`
			} `json:"data"`
		}
		err := c.try(ctx, http.MethodPost, "/api/v1/logs/bulk", header, body, http.StatusAccepted, &receipt)
		if n := len(receipt.Data.IDs); err == nil && n != len(b.entries) {
			return &Problem{Status: http.StatusAccepted, Code: "answer_invalid", Detail: fmt.Sprintf("the receipt is for %d entries, %d were sent", n, len(b.entries))}
		}
		return err
	})
}

// deliver sends b, without the entries that the service names as wrong, and in halves where it is too large. What is not
// acknowledged goes to refuse.
func (c *Client) deliver(ctx context.Context, b *batch, refuse func(key string, b *batch, err error)) {
	for len(b.entries) > 0 {
		key := rand.Text()
		err := c.post(ctx, key, b)
		if err == nil {
			return
		}
		p, answered := errors.AsType[*Problem](err)
		bad := map[int]int{} // place in b → place among the bad ones, both from 0
		if answered && p.aboutEntries() {
			bad = p.entriesOf(len(b.entries))
		}
		if half := len(b.entries) / 2; half > 0 && len(bad) == 0 && answered && p.Status == http.StatusRequestEntityTooLarge {
			c.deliver(ctx, b.part(func(i int) bool { return i < half }), refuse)
			b = b.part(func(i int) bool { return i >= half })
			continue
		}
		if len(bad) == 0 {
			refuse(key, b, err)
			return
		}
		refuse(key, b.part(func(i int) bool { _, is := bad[i]; return is }), p.about(bad))
		b = b.part(func(i int) bool { _, is := bad[i]; return !is })
	}
}

// entriesOf are the entries of a batch of n that the problem names; none if it is not only about entries.
func (p *Problem) entriesOf(n int) map[int]int {
	named := make([]bool, n)
	for _, e := range p.Errors {
		if e.Line < 1 || e.Line > n {
			return nil
		}
		named[e.Line-1] = true
	}
	bad := map[int]int{}
	for i, is := range named {
		if is {
			bad[i] = len(bad)
		}
	}
	return bad
}

// about is the problem for a batch of the bad entries only. Nothing is cut then: entries that were not listed are sent again.
func (p *Problem) about(bad map[int]int) *Problem {
	q := *p
	q.Truncated = false
	q.Errors = append([]logentry.Problem(nil), p.Errors...)
	for i := range q.Errors {
		q.Errors[i].Line = bad[q.Errors[i].Line-1] + 1
	}
	return &q
}
