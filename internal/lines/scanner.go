// Package lines turns text that programs write into entries: it cuts a stream into lines, finds the
// time and the level at the beginning of each, and follows files that grow, rotate and start again.
//
// What it promises: no byte of a line is dropped without a trace (a line that is too long is cut, bytes
// that are not UTF-8 are replaced, and the entry says so), and the same bytes under the same options
// always give the same entries, so that sending them again can be recognised.
package lines

import (
	"bytes"
	"errors"
	"io"
)

// Endings are the bytes that end a line.
type Endings uint8

const (
	AnyEnding Endings = iota // LF, CRLF, and a CR that stands alone
	OnlyLF                   // LF; a CR belongs to the line, as in NDJSON
)

// Line is one line without its ending.
type Line struct {
	Text   []byte // at most the scanner's limit; valid until the next call
	Number int    // from 1, empty lines counted
	Lost   int    // bytes beyond the limit that are not in Text
	Zeros  int    // NUL bytes at the beginning that are not in Text, as a crash or a truncation leaves them in a file; 0 for OnlyLF
}

// Scanner cuts a stream into lines. It can be asked again after io.EOF, when the stream may have grown.
type Scanner struct {
	r       io.Reader
	endings Endings
	limit   int

	buf      []byte // read, not yet consumed: buf[from:to]
	from, to int
	part     []byte // beginning of a line whose end was not read yet
	lost     int
	zeros    int
	begun    bool // part belongs to a line, even if it is empty
	afterCR  bool // an LF that comes next belongs to the line before
	number   int
	consumed int64
}

// NewScanner reads lines of at most limit bytes; what goes beyond is counted and passed over.
func NewScanner(r io.Reader, endings Endings, limit int) *Scanner {
	return &Scanner{r: r, endings: endings, limit: limit, buf: make([]byte, 64<<10)}
}

// Next returns the next line that has an ending. It returns io.EOF where the stream ends at the moment,
// with the beginning of an unended line kept for a later call or for Rest; other errors are the reader's.
func (s *Scanner) Next() (Line, error) {
	if !s.begun {
		s.part, s.lost, s.zeros = s.part[:0], 0, 0
	}
	for {
		if s.from == s.to {
			n, err := s.r.Read(s.buf)
			s.from, s.to = 0, n
			if n == 0 {
				if err == nil {
					continue
				}
				return Line{}, err
			}
			if err != nil && !errors.Is(err, io.EOF) {
				return Line{}, err
			}
		}
		if s.afterCR {
			s.afterCR = false
			if s.buf[s.from] == '\n' {
				s.from++
				s.consumed++
				continue
			}
		}
		chunk := s.buf[s.from:s.to]
		end := s.ending(chunk)
		if end < 0 {
			s.from = s.to
			s.consumed += int64(len(chunk))
			s.keep(chunk)
			continue
		}
		s.from += end + 1
		s.consumed += int64(end + 1)
		s.afterCR = chunk[end] == '\r'
		s.keep(chunk[:end])
		return s.line(), nil
	}
}

// Rest returns the beginning of a line that never got its ending; ok is false where there is none.
func (s *Scanner) Rest() (line Line, ok bool) {
	if !s.begun {
		return Line{}, false
	}
	return s.line(), true
}

// Offset is the number of bytes of the stream that were read into lines so far, the unended one included.
func (s *Scanner) Offset() int64 { return s.consumed }

func (s *Scanner) ending(chunk []byte) int {
	lf := bytes.IndexByte(chunk, '\n')
	if s.endings == OnlyLF {
		return lf
	}
	within := chunk
	if lf >= 0 {
		within = chunk[:lf]
	}
	if cr := bytes.IndexByte(within, '\r'); cr >= 0 {
		return cr
	}
	return lf
}

func (s *Scanner) keep(piece []byte) {
	s.begun = true
	if len(s.part) == 0 && s.endings == AnyEnding {
		text := bytes.TrimLeft(piece, "\x00")
		s.zeros += len(piece) - len(text)
		piece = text
	}
	if room := s.limit - len(s.part); len(piece) > room {
		s.lost += len(piece) - room
		piece = piece[:room]
	}
	s.part = append(s.part, piece...)
}

func (s *Scanner) line() Line {
	s.number++
	s.begun = false
	return Line{Text: s.part, Number: s.number, Lost: s.lost, Zeros: s.zeros}
}
