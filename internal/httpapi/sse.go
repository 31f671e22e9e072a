package httpapi

import (
	"bytes"
	"net/http"
	"strconv"
	"time"

	"github.com/ocelot-log/ocelot/internal/export"
	"github.com/ocelot-log/ocelot/internal/tail"
)

// The forms of a chunk's text.
const (
	asEvents = iota
	asMessages
)

// events is a stream as server-sent events.
type events struct {
	st   *stream
	life *http.ResponseController
}

func (st *stream) asEvents() error {
	e := &events{st: st, life: http.NewResponseController(st.k.Writer)}
	_ = e.life.SetReadDeadline(time.Time{}) // a test's writer has no deadlines
	err := st.run(st.k.Request.Context(), e)
	if !st.k.Writer.Written() {
		return err
	}
	st.ended(err)
	return nil
}

// write sends text at once.
func (e *events) write(b []byte) error {
	w := e.st.k.Writer
	if !w.Written() {
		h := w.Header()
		h["Content-Type"] = []string{"text/event-stream"}
		h["X-Accel-Buffering"] = []string{"no"} // proxies would gather events
		w.WriteHeader(http.StatusOK)
	}
	return e.st.give(func() error {
		_ = e.life.SetWriteDeadline(time.Now().Add(e.st.s.patience.gone))
		if _, err := w.Write(b); err != nil {
			return err
		}
		return e.life.Flush()
	})
}

func (e *events) chunk(c *tail.Chunk) error {
	text := c.Text(asEvents, func() []byte {
		var b []byte
		e.st.each(c, func(id string, entry []byte) {
			b = append(append(b, "event: entry\nid: "...), id...)
			b = append(append(b, "\ndata: "...), entry...)
			b = append(b, "\n\n"...)
		})
		return b
	})
	for len(text) > 0 {
		n := len(text)
		if n > streamPiece { // cut behind a whole event
			n = streamPiece + bytes.Index(text[streamPiece-1:], []byte("\n\n")) + 1
		}
		if err := e.write(text[:n]); err != nil {
			return err
		}
		text = text[n:]
	}
	return nil
}

func (e *events) skipped(count int) error {
	return e.write([]byte(`event: skipped` + "\n" + `data: {"count":` + strconv.Itoa(count) + "}\n\n"))
}

func (e *events) gap(from, to time.Time) error {
	return e.write([]byte("event: gap\ndata: " + gapData(from, to) + "\n\n"))
}

// alive is a comment; an id without data moves where a browser goes on and shows nothing.
func (e *events) alive(id string) error {
	if id == "" {
		return e.write([]byte(": alive\n\n"))
	}
	return e.write([]byte(": alive\nid: " + id + "\n\n"))
}

func gapData(from, to time.Time) string {
	return `{"from":"` + from.UTC().Format(time.RFC3339Nano) + `","to":"` + to.UTC().Format(time.RFC3339Nano) + `"}`
}

// each calls do with the entries of a chunk as the API answers them, and where to go on after each.
func (st *stream) each(c *tail.Chunk, do func(id string, entry []byte)) {
	var entry []byte
	for i := range c.Records {
		r := &c.Records[i]
		place := tail.Place{Position: c.From, Behind: r.ID}
		if i == len(c.Records)-1 {
			place = tail.Place{Position: c.To}
		}
		var err error
		if entry, err = export.AppendRecord(entry[:0], r, st.k.tenant.Slug()); err == nil { // one that is corrupt can't be shown
			do(st.id(place), entry)
		}
	}
}
