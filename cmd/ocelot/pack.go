package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// maxBatchBytes is how many bytes of entries go into one request; the service takes 16 MiB.
const maxBatchBytes = 2 << 20

// batch is what goes into one request: NDJSON.
type batch struct {
	number int // in the order of reading
	file   string
	lines  []int // the line of each entry in the file
	body   []byte
	key    string
}

func (b *batch) String() string {
	return fmt.Sprintf("%s:%d-%d", b.file, b.lines[0], b.lines[len(b.lines)-1])
}

// seal gives the batch its idempotency key. It depends on the run's name, the batch's place in its file and
// its bytes, so that a retry has it again, and so has the same file when all of it is sent again.
func (b *batch) seal(run string) {
	sum := sha256.New()
	_, _ = fmt.Fprintf(sum, "ocelot send\n%s\n%d\n", run, b.lines[0]) // never fails
	_, _ = sum.Write(b.body)
	b.key = hex.EncodeToString(sum.Sum(nil))
}

// drop makes the batch without the entries at these indices, and gives their lines to take.
func (b *batch) drop(bad map[int]string, run string, take func(line int, text []byte, why string) error) (*batch, error) {
	out := &batch{file: b.file}
	i := 0
	for text := range bytes.Lines(b.body) {
		if why, refused := bad[i]; refused {
			if err := take(b.lines[i], text, why); err != nil {
				return nil, err
			}
		} else {
			out.body = append(out.body, text...)
			out.lines = append(out.lines, b.lines[i])
		}
		i++
	}
	if len(out.lines) > 0 {
		out.seal(run)
	}
	return out, nil
}

// packer cuts a file's entries into batches at places that depend on the entries alone, unless flush is called.
type packer struct {
	file string
	run  string
	size int // entries in a batch
	out  func(*batch) error
	cur  *batch
}

// add takes an entry, one line of JSON; text may be reused afterwards.
func (p *packer) add(line int, text []byte) error {
	if p.cur != nil && len(p.cur.body)+len(text)+1 > maxBatchBytes {
		if err := p.flush(); err != nil {
			return err
		}
	}
	if p.cur == nil {
		p.cur = &batch{file: p.file}
	}
	p.cur.lines = append(p.cur.lines, line)
	p.cur.body = append(append(p.cur.body, text...), '\n')
	if len(p.cur.lines) < p.size {
		return nil
	}
	return p.flush()
}

// flush gives out what there is.
func (p *packer) flush() error {
	b := p.cur
	if b == nil {
		return nil
	}
	p.cur = nil
	b.seal(p.run)
	return p.out(b)
}

// faults checks a batch as the service would and returns what is wrong by the entry's index in the batch.
func faults(b *batch) map[int]string {
	_, err := logentry.Decode(b.body, logentry.NDJSON, logentry.Options{})
	if err == nil {
		return nil
	}
	// Decoding may end at the first fault: look at each line alone, so that all of them are known.
	bad := map[int]string{}
	i := 0
	for text := range bytes.Lines(b.body) {
		if _, err := logentry.Decode(text, logentry.NDJSON, logentry.Options{}); err != nil {
			bad[i] = explain(err)
		}
		i++
	}
	if len(bad) == 0 { // wrong together only, such as one event_id with two contents
		e, ok := errors.AsType[*logentry.DecodeError](err)
		for k := 0; ok && k < len(e.Problems); k++ {
			if at := e.Problems[k].Line - 1; at >= 0 && at < len(b.lines) {
				bad[at] = e.Problems[k].Code + ": " + e.Problems[k].Message
			}
		}
	}
	if len(bad) == 0 {
		bad[0] = err.Error()
	}
	return bad
}

// explain lists a line's problems in one.
func explain(err error) string {
	e, ok := errors.AsType[*logentry.DecodeError](err)
	if !ok || len(e.Problems) == 0 {
		return err.Error()
	}
	var parts []string
	for _, p := range e.Problems {
		where := p.Pointer
		if p.Column > 0 {
			where = fmt.Sprintf("column %d", p.Column)
		}
		parts = append(parts, strings.TrimSpace(where+" "+p.Code+": "+p.Message))
	}
	return strings.Join(parts, "; ")
}
