package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// wire is a connection that posts: HTTP/1.1, kept alive, written from and read into the caller's goroutine.
// net/http's client would take several times the processor time for each request, from the service that is measured.
type wire struct {
	target  *url.URL
	timeout time.Duration
	conn    net.Conn
	in      *bufio.Reader
	head    []byte
	body    bytes.Buffer
}

// answer is what came back; body is valid until the next post.
type answer struct {
	status     int
	body       []byte
	retryAfter time.Duration
}

// post sends a body and reads the whole answer. reached says whether the service may have got the request
// in spite of an error.
func (w *wire) post(ctx context.Context, path string, header func([]byte) []byte, body []byte) (a answer, reached bool, err error) {
	if w.conn == nil {
		if err := w.dial(ctx); err != nil {
			return answer{}, false, err
		}
	}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if err := w.conn.SetDeadline(time.Now().Add(w.timeout)); err != nil {
		return answer{}, false, err
	}
	h := append(append(append(w.head[:0], "POST "...), w.target.Path...), path...)
	h = append(append(append(h, " HTTP/1.1\r\nHost: "...), w.target.Host...), "\r\n"...)
	h = append(header(h), "Content-Length: "...)
	h = append(strconv.AppendInt(h, int64(len(body)), 10), "\r\n\r\n"...)
	w.head = h
	buffers := net.Buffers{h, body}
	if _, err := buffers.WriteTo(w.conn); err != nil {
		return answer{}, true, err
	}
	resp, err := http.ReadResponse(w.in, nil)
	if err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = errors.New("the connection was closed before an answer")
		}
		return answer{}, true, err
	}
	defer resp.Body.Close()
	w.body.Reset()
	_, err = w.body.ReadFrom(io.LimitReader(resp.Body, 64<<20))
	if err != nil {
		return answer{}, true, err
	}
	if resp.Close {
		w.close()
	}
	a = answer{status: resp.StatusCode, body: w.body.Bytes()}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		a.retryAfter = time.Duration(seconds) * time.Second
	}
	return a, true, nil
}

func (w *wire) dial(ctx context.Context) error {
	address := w.target.Host
	if w.target.Port() == "" {
		port := "80"
		if w.target.Scheme == "https" {
			port = "443"
		}
		address = net.JoinHostPort(w.target.Hostname(), port)
	}
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	var err error
	if w.target.Scheme == "https" {
		dialer := tls.Dialer{Config: &tls.Config{NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}}
		w.conn, err = dialer.DialContext(ctx, "tcp", address)
	} else {
		var dialer net.Dialer
		w.conn, err = dialer.DialContext(ctx, "tcp", address)
	}
	if err != nil {
		w.conn = nil
		return fmt.Errorf("connecting to %s: %w", address, err)
	}
	w.in = bufio.NewReaderSize(w.conn, 32<<10)
	return nil
}

func (w *wire) close() {
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
}

func isTimeout(err error) bool {
	t, ok := errors.AsType[net.Error](err)
	return ok && t.Timeout()
}
