package httpapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/tail"
)

// What a WebSocket is closed with whose credentials are none, or are not for this: 4000 and above are ours to give a
// meaning.
const (
	notIdentified websocket.StatusCode = 4401
	notAllowed    websocket.StatusCode = 4403
)

// refuseSocket upgrades the connection of a caller who may not have the stream, and closes it with the reason: a page can
// read that, but no answer to a handshake. It is false where the answer is to be one of HTTP: to whoever is no WebSocket,
// and to pages and links that are to have no connection at all.
func (s *Server) refuseSocket(k *call, err error) bool {
	f := fault.Of(err)
	code := notIdentified
	switch {
	case f.Kind != fault.Unauthenticated && f.Kind != fault.Forbidden, f.Code == errOrigin.Code, f.Code == "credentials_in_url":
		return false
	case k.Writer.Written() || !wantsSocket(k.Request) || checkHandshake(k) != nil:
		return false
	case f.Kind == fault.Forbidden:
		code = notAllowed
	}
	k.Set(codeKey, f.Code)
	conn, err := websocket.Accept(k.Writer, k.Request, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return true // the answer was written
	}
	_ = conn.Close(code, f.Code)
	return true
}

// checkHandshake refuses a handshake that is none of RFC 6455 with a problem that says why.
func checkHandshake(k *call) error {
	r := k.Request
	key, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(r.Header.Get("Sec-WebSocket-Key")))
	connection := strings.ToLower(strings.Join(r.Header["Connection"], ","))
	switch {
	case !r.ProtoAtLeast(1, 1), !strings.Contains(connection, "upgrade"), len(r.Header["Sec-Websocket-Key"]) != 1, len(key) != 16:
		return fault.New(fault.Malformed, "handshake_invalid", "a WebSocket begins with HTTP/1.1, Connection: Upgrade and one Sec-WebSocket-Key of 16 bytes in base64")
	case r.Header.Get("Sec-WebSocket-Version") != "13":
		k.Writer.Header()["Sec-WebSocket-Version"] = []string{"13"}
		k.Writer.Header()["Upgrade"] = []string{"websocket"}
		return fault.New(fault.Malformed, "websocket_version", "the version of WebSocket here is 13")
	}
	return nil
}

// socket is a stream as JSON text messages.
type socket struct {
	st    *stream
	ctx   context.Context
	leave func() // ends ctx
	conn  *websocket.Conn

	begun  bool
	asking atomic.Bool // whether anybody is there
	asked  sync.WaitGroup
}

// overSocket upgrades the connection. Origins were looked at where the session's cookie was: a token or key in a header
// comes from no page that was not given it.
func (st *stream) overSocket() error {
	conn, err := websocket.Accept(st.k.Writer, st.k.Request, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		st.s.log.Debug("no WebSocket came about") // the answer was written
		return nil
	}
	defer func() { _ = conn.CloseNow() }()
	ctx, leave := context.WithCancel(context.WithoutCancel(st.k.Request.Context()))
	read := make(chan struct{})
	go func() {
		defer close(read)
		takeNothing(ctx, conn)
		leave()
	}()
	to := &socket{st: st, ctx: ctx, leave: leave, conn: conn}
	err = st.run(ctx, to)
	code, reason := websocket.StatusInternalError, "the service failed"
	switch {
	case errors.Is(err, errEnded):
		code, reason = notIdentified, "the credentials have ended"
	case errors.Is(err, tail.ErrStopped):
		code, reason = websocket.StatusGoingAway, "this process is stopping"
	case errors.Is(err, errSlow), errors.Is(err, errGone):
		code, reason = websocket.StatusTryAgainLater, "too slow"
	case ctx.Err() != nil:
		code = 0 // the reader has closed it
	}
	if code != 0 {
		_ = conn.Close(code, reason)
		st.ended(err)
	}
	leave()
	to.asked.Wait()
	<-read
	return nil
}

// takeNothing reads until the connection ends: the caller has nothing to say here.
func takeNothing(ctx context.Context, conn *websocket.Conn) {
	kind, r, err := conn.Reader(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil && websocket.CloseStatus(err) == -1: // a frame that is none, or the connection broke
		_ = conn.Close(websocket.StatusProtocolError, "not a frame of RFC 6455")
	case err != nil:
	case kind == websocket.MessageBinary:
		_ = conn.Close(websocket.StatusUnsupportedData, "this stream takes no messages")
	default:
		b, _ := io.ReadAll(io.LimitReader(r, 4<<10))
		if !utf8.Valid(b) {
			_ = conn.Close(websocket.StatusInvalidFramePayloadData, "not UTF-8")
			return
		}
		_ = conn.Close(websocket.StatusPolicyViolation, "this stream takes no messages")
	}
}

func (s *socket) write(b []byte) error {
	return s.st.give(func() error {
		ctx, cancel := context.WithTimeout(s.ctx, s.st.s.patience.gone)
		defer cancel()
		return s.conn.Write(ctx, websocket.MessageText, b)
	})
}

func (s *socket) chunk(c *tail.Chunk) error {
	text := c.Text(asMessages, func() []byte {
		var b []byte
		s.st.each(c, func(id string, entry []byte) {
			b = append(append(b, `{"event":"entry","id":"`...), id...)
			b = append(append(b, `","data":`...), entry...)
			b = append(b, "}\n"...)
		})
		return b
	})
	for line := range bytes.Lines(text) { // an entry has no line breaks
		if err := s.write(bytes.TrimSuffix(line, []byte("\n"))); err != nil {
			return err
		}
	}
	return nil
}

func (s *socket) skipped(count int) error {
	return s.write([]byte(`{"event":"skipped","data":{"count":` + strconv.Itoa(count) + `}}`))
}

func (s *socket) gap(from, to time.Time) error {
	return s.write([]byte(`{"event":"gap","data":` + gapData(from, to) + `}`))
}

// alive also asks whether anybody is there, without waiting for the answer: there may be entries before it comes.
func (s *socket) alive(id string) error {
	if id != "" {
		if err := s.write([]byte(`{"event":"alive","id":"` + id + `"}`)); err != nil {
			return err
		}
	}
	if !s.begun {
		s.begun = true
		return nil
	}
	if s.asking.CompareAndSwap(false, true) {
		s.asked.Go(func() {
			defer s.asking.Store(false)
			ctx, cancel := context.WithTimeout(s.ctx, s.st.s.patience.gone)
			defer cancel()
			if s.conn.Ping(ctx) != nil {
				s.leave()
			}
		})
	}
	return nil
}
