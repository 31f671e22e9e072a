package httpapi

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
)

const (
	maxInflated   = 16 << 20
	maxCompressed = 4 << 20
	firstRead     = 64 << 10 // room taken for a body of unknown size
	trustedLength = 1 << 20  // a declared length is believed up to here before its bytes have come
)

// budget is how many bytes of bodies all requests may hold together.
type budget struct{ left atomic.Int64 }

// hold is what one request has taken of the budget.
type hold struct {
	of *budget
	n  int64
}

// grow takes n more bytes, or says that others have them.
func (h *hold) grow(n int) error {
	if h.of.left.Add(-int64(n)) < 0 {
		h.of.left.Add(int64(n))
		return &fault.Error{Kind: fault.Unavailable, Code: "overloaded", RetryAfter: time.Second,
			Detail: "too many bytes are being received at the same time; nothing was stored, try again"}
	}
	h.n += int64(n)
	return nil
}

// release gives all of it back.
func (h *hold) release() {
	h.of.left.Add(h.n)
	h.n = 0
}

// mediaType is the media type of a body, lower case, or a fault where there is none or its charset is
// not UTF-8.
func mediaType(h http.Header) (string, error) {
	sent := h["Content-Type"]
	if len(sent) == 1 && (sent[0] == "application/json" || sent[0] == "application/x-ndjson") {
		return sent[0], nil
	}
	if len(sent) != 1 {
		return "", errMediaType
	}
	mt, params, err := mime.ParseMediaType(sent[0])
	if err != nil {
		return "", errMediaType
	}
	if charset, ok := params["charset"]; ok && !strings.EqualFold(charset, "utf-8") {
		return "", fault.New(fault.UnsupportedMedia, "charset_unsupported", "the charset must be utf-8")
	}
	return mt, nil
}

var (
	errMediaType = fault.New(fault.UnsupportedMedia, "content_type_unsupported", "this route does not take this Content-Type; see the description of the API")
	errEncoding  = fault.New(fault.UnsupportedMedia, "encoding_unsupported", "Content-Encoding must be one of gzip, zstd, identity, once")
	errInflate   = fault.New(fault.Malformed, "encoding_invalid", "the body is not what its Content-Encoding says, or it is cut or damaged")
)

// takes refuses a body whose media type is none of the types.
func takes(h http.Header, types ...string) (string, error) {
	mt, err := mediaType(h)
	if err == nil && !slices.Contains(types, mt) {
		err = errMediaType
	}
	return mt, err
}

// encoding is the one encoding of a body.
func encoding(h http.Header) (string, error) {
	sent := h["Content-Encoding"]
	if len(sent) == 0 {
		return "identity", nil
	}
	if len(sent) == 1 {
		for _, known := range []string{"gzip", "zstd", "identity"} {
			if strings.EqualFold(sent[0], known) {
				return known, nil
			}
		}
	}
	return "", errEncoding
}

// readBody reads the whole body, inflated, of at most limit bytes. What it takes of the budget stays with h.
func readBody(r *http.Request, limit int, h *hold) ([]byte, error) {
	enc, err := encoding(r.Header)
	if err != nil {
		return nil, err
	}
	if enc == "identity" {
		if r.ContentLength > int64(limit) {
			return nil, tooLarge()
		}
		body, err := readAll(r.Body, int(r.ContentLength), limit, h)
		return body, readFault(err)
	}
	if r.ContentLength > maxCompressed {
		return nil, tooLarge()
	}
	src := &source{from: r.Body}
	body, err := inflate(src, enc, func(inflated io.Reader) ([]byte, error) { return readAll(inflated, -1, limit, h) })
	switch {
	case err == nil:
		return body, nil
	case src.err != nil: // what ended the reading was not the format
		return nil, readFault(src.err)
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return nil, err
	}
	return nil, errInflate
}

// source is a compressed body. It remembers its own failure, which the decoders may hide, and ends a body
// that is over its limit.
type source struct {
	from io.Reader
	n    int
	err  error
}

func (s *source) Read(b []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.from.Read(b)
	s.n += n
	if s.n > maxCompressed {
		err = tooLarge()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// readAll reads r to its end. declared is the length it has by its own word, -1 where it has none.
func readAll(r io.Reader, declared, limit int, h *hold) ([]byte, error) {
	room := min(limit+1, firstRead)
	if declared >= 0 {
		room = min(declared, trustedLength) + 1 // one more shows the end without growing
	}
	if err := h.grow(room); err != nil {
		return nil, err
	}
	b := make([]byte, 0, room)
	for {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if len(b) > limit {
			return nil, tooLarge()
		}
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return nil, err
		}
		if len(b) < cap(b) {
			continue
		}
		more := min(2*cap(b), limit+1)
		if declared >= 0 {
			more = min(more, declared+1)
		}
		if err := h.grow(more - cap(b)); err != nil {
			return nil, err
		}
		b = append(make([]byte, 0, more), b...)
	}
}

func tooLarge() error {
	return fault.New(fault.TooLarge, "body_too_large", "a body has at most 4 MiB compressed and 16 MiB inflated; send several")
}

// readFault says what it means that a body could not be read.
func readFault(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &fault.Error{Kind: fault.Timeout, Code: "body_timeout", Detail: "the body did not arrive in time", Err: err}
	}
	return &fault.Error{Kind: fault.Malformed, Code: "body_incomplete", Detail: "the body ended early, or its chunks are malformed", Err: err}
}
