package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// jsonEnd is what an array of the service ends with.
const jsonEnd = "\n]\n"

// frame passes on the entries of one part of an export, so that parts can stand one behind the other: without the header
// of CSV but in the first, without the brackets of JSON, and without the last line of NDJSON.
type frame struct {
	w      io.Writer
	format string
	first  bool // no entry is there yet

	begun, passed bool
	held          []byte
}

func (f *frame) Write(p []byte) (int, error) {
	f.held = append(f.held, p...)
	if !f.begun {
		head := f.head()
		if head < 0 {
			return len(p), nil
		}
		f.begun, f.held = true, f.held[head:]
	}
	free := f.free()
	if free <= 0 {
		return len(p), nil
	}
	if f.format == "json" && !f.first && !f.passed {
		if _, err := f.w.Write([]byte(",")); err != nil {
			return 0, err
		}
	}
	f.passed = true
	if _, err := f.w.Write(f.held[:free]); err != nil {
		return 0, err
	}
	f.held = append(f.held[:0], f.held[free:]...)
	return len(p), nil
}

// head is how many bytes before the entries are left out, -1 where that can't be seen yet.
func (f *frame) head() int {
	switch {
	case f.format == "json":
		return min(1, len(f.held))
	case f.format == "csv" && !f.first:
		end := bytes.IndexByte(f.held, '\n') // names of columns have none
		if end < 0 {
			return -1
		}
		return end + 1
	}
	return 0
}

// free is how many of the held bytes are surely of entries.
func (f *frame) free() int {
	switch f.format {
	case "json":
		return len(f.held) - len(jsonEnd)
	case "ndjson":
		if len(f.held) == 0 {
			return 0
		}
		return bytes.LastIndexByte(f.held[:len(f.held)-1], '\n') + 1
	}
	return len(f.held)
}

// end looks at what is left behind the last entry.
func (f *frame) end(rows int64, next string) error {
	whole := true
	switch f.format {
	case "json":
		whole = f.begun && string(f.held) == jsonEnd
	case "csv":
		whole = f.begun
	case "ndjson":
		var last struct {
			Complete bool   `json:"complete"`
			Count    int64  `json:"count"`
			Next     string `json:"next_cursor"`
		}
		whole = json.Unmarshal(f.held, &last) == nil && last.Complete && last.Count == rows && last.Next == next
	}
	if !whole {
		return errors.New("the answer does not end as a whole export does")
	}
	return nil
}
