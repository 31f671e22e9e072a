package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// event is one of a stream of server-sent events. One that only moves the id has no name.
type event struct {
	name, id string
	data     []byte
}

// maxEvent is how long a line may be: the largest entry, and room.
const maxEvent = 16 << 20

var errLongEvent = errors.New("an event of the stream is larger than an entry can be: is the URL right?")

// eventReader reads server-sent events. One that the end of the stream cuts is none.
type eventReader struct{ r *bufio.Reader }

func newEventReader(r io.Reader) *eventReader { return &eventReader{bufio.NewReaderSize(r, 64<<10)} }

// waiting is how many bytes have arrived that next has not looked at.
func (r *eventReader) waiting() int { return r.r.Buffered() }

// next is the next event; comments alone are events without anything.
func (r *eventReader) next() (e event, err error) {
	for {
		line, err := r.line()
		if err != nil {
			return event{}, err
		}
		if len(line) == 0 {
			return e, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "event":
			e.name = string(value)
		case "id":
			e.id = string(value)
		case "data":
			if e.data != nil {
				e.data = append(e.data, '\n')
			}
			e.data = append(e.data, value...)
		}
	}
}

func (r *eventReader) line() ([]byte, error) {
	var line []byte
	for {
		part, err := r.r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return bytes.TrimRight(line, "\r\n"), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case len(line) > maxEvent:
			return nil, errLongEvent
		}
	}
}
