package httpapi

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/internal/tail"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// rawSocket is a WebSocket whose frames are written and read byte by byte: a library sends none that are wrong.
type rawSocket struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
	res  *http.Response // to the handshake
}

// rawDial shakes hands with a stream; a receive buffer of 0 is as large as usual.
func rawDial(t *testing.T, address, params string, header http.Header, receive int) *rawSocket {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	if receive > 0 {
		must(t, conn.(*net.TCPConn).SetReadBuffer(receive))
	}
	must(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	r, err := http.NewRequest(http.MethodGet, "http://"+address+streamPath+"?"+params, nil)
	must(t, err)
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Sec-WebSocket-Version", "13")
	r.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	must(t, r.Write(conn))
	s := &rawSocket{t: t, conn: conn, r: bufio.NewReaderSize(conn, 16)}
	s.res, err = http.ReadResponse(s.r, nil) //nolint:bodyclose // it ends with the connection
	must(t, err)
	return s
}

// frame reads one frame; its opcode is 0 where the connection ended.
func (s *rawSocket) frame() (opcode byte, payload []byte) {
	s.t.Helper()
	var head [2]byte
	if _, err := io.ReadFull(s.r, head[:]); err != nil {
		return 0, nil
	}
	n := int(head[1])
	switch n {
	case 126:
		var long [2]byte
		_, err := io.ReadFull(s.r, long[:])
		must(s.t, err)
		n = int(binary.BigEndian.Uint16(long[:]))
	case 127:
		var long [8]byte
		_, err := io.ReadFull(s.r, long[:])
		must(s.t, err)
		n = int(binary.BigEndian.Uint64(long[:]))
	}
	payload = make([]byte, n)
	if _, err := io.ReadFull(s.r, payload); err != nil {
		return 0, nil
	}
	return head[0] & 0xf, payload
}

// closed reads up to the close frame, answers it, and returns its code and reason, and the last message before; a code
// of 0: the connection ended without any.
func (s *rawSocket) closed() (code int, reason, last string) {
	s.t.Helper()
	for {
		switch opcode, payload := s.frame(); {
		case opcode == 0:
			return 0, "", last
		case opcode == 8 && len(payload) >= 2:
			_, _ = s.conn.Write([]byte{0x88, 0x80, 0, 0, 0, 0})
			return int(binary.BigEndian.Uint16(payload)), string(payload[2:]), last
		case opcode == 1:
			last = string(payload)
		}
	}
}

func with(header http.Header, more ...string) http.Header {
	h := http.Header{}
	for name, values := range header {
		h[name] = values
	}
	for i := 0; i+1 < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	return h
}

// signedIn is the header of a browser that has signed in by a real listener.
func signedIn(t *testing.T, address string, header http.Header) http.Header {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+sessionPath, nil)
	must(t, err)
	r.Header = header
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	must(t, err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusCreated || len(res.Cookies()) != 1 {
		t.Fatalf("signing in: %d", res.StatusCode)
	}
	return http.Header{"Cookie": {res.Cookies()[0].Name + "=" + res.Cookies()[0].Value}}
}

func TestB8APageReadsWhyItHasNoWebSocket(t *testing.T) {
	w := newWorld(t)
	address := listen(t, w)
	acme := authHeader(t, "acme", "reader")
	cookie := signedIn(t, address, acme)
	gone := http.Header{"Cookie": {"ocelot=" + strings.Repeat("A", 43)}}
	page := []string{"Origin", "http://" + address}
	for name, c := range map[string]struct {
		header http.Header
		params string
		code   int
		reason string
	}{
		"B8 another tenant":                   {acme, "tenant=zeta", 4403, "tenant_forbidden"},
		"B8 another tenant by the header":     {with(acme, "X-Tenant-ID", "zeta"), "", 4403, "tenant_forbidden"},
		"B8 a tenant that there is not":       {acme, "tenant=nobody", 4403, "tenant_forbidden"},
		"B8 every tenant":                     {acme, "tenant=*", 4403, "tenant_forbidden"},
		"B8 another tenant, from our page":    {with(cookie, page...), "tenant=zeta", 4403, "tenant_forbidden"},
		"a writer":                            {authHeader(t, "acme", "writer"), "", 4403, "insufficient_role"},
		"nobody":                              {http.Header{}, "", 4401, "unauthenticated"},
		"a token that is none":                {http.Header{"Authorization": {"Bearer x.y.z"}}, "", 4401, "token_invalid"},
		"a session that ended, from our page": {with(gone, page...), "", 4401, "session_invalid"},
	} {
		s := rawDial(t, address, c.params, c.header, 0)
		code, reason, last := s.closed()
		if s.res.StatusCode != http.StatusSwitchingProtocols || code != c.code || reason != c.reason || last != "" {
			t.Errorf("%s: %d, closed with %d %q after %q", name, s.res.StatusCode, code, reason, last)
		}
	}
	noted := w.writing.Audit.(*noted)
	noted.mu.Lock()
	defer noted.mu.Unlock()
	if len(noted.events) < 5 || noted.events[len(noted.events)-1].Code == "" {
		t.Errorf("refused attempts are noted as others are: %+v", noted.events)
	}
}

func TestI1AndI2StreamsByCookieAloneComeFromOurPages(t *testing.T) {
	w := newWorld(t)
	address := listen(t, w)
	acme := authHeader(t, "acme", "reader")
	cookie := signedIn(t, address, acme)
	for name, c := range map[string]struct {
		header     http.Header
		sse, socks int
	}{
		"I1 a page of somebody else":                {with(cookie, "Origin", "https://evil"), 403, 403},
		"I1 a page of somebody else, by its word":   {with(cookie, "Origin", "https://evil", "Sec-Fetch-Site", "cross-site"), 403, 403},
		"I2 nothing says from where":                {cookie, 403, 403},
		"I2 a page of a sister":                     {with(cookie, "Sec-Fetch-Site", "same-site"), 403, 403},
		"I2 no page at all":                         {with(cookie, "Sec-Fetch-Site", "none"), 403, 403},
		"I2 our page":                               {with(cookie, "Origin", "http://"+address, "Sec-Fetch-Site", "same-origin"), 200, 101},
		"I2 our page, which sends no origin":        {with(cookie, "Sec-Fetch-Site", "same-origin"), 200, 101},
		"I2 a token in a header, whatever the page": {with(acme, "Origin", "https://evil", "Sec-Fetch-Site", "cross-site"), 200, 101},
	} {
		e := follow(t, address, c.header, "")
		if e.res.StatusCode != c.sse {
			t.Errorf("%s: events: %d, want %d", name, e.res.StatusCode, c.sse)
		}
		s := rawDial(t, address, "", c.header, 0)
		if s.res.StatusCode != c.socks {
			t.Errorf("%s: WebSocket: %d, want %d", name, s.res.StatusCode, c.socks)
		}
		for _, res := range []*http.Response{e.res, s.res} {
			if res.StatusCode != http.StatusForbidden {
				continue
			}
			body, _ := io.ReadAll(res.Body)
			if a := (answer{res.StatusCode, res.Header, body}); a.problem().Code != "origin_not_allowed" {
				t.Errorf("%s: %s", name, body)
			}
		}
		_, _ = e.res.Body.Close(), s.conn.Close()
	}
}

func TestI4AStreamEndsWithItsCredentials(t *testing.T) {
	if streamPatience.look > 3*time.Second {
		t.Errorf("the credentials are looked at every %s: a stream is to end within 5 s", streamPatience.look)
	}
	w := newWorld(t, func(p *parts) {
		authn, err := auth.New(auth.Config{Secret: authtest.Secret, Leeway: time.Millisecond}, p.access.Tenants, p.reading.Store.(store.Store), telemetry.Discard())
		must(t, err)
		p.access.Auth = authn
	})
	w.patience.look = 50 * time.Millisecond
	address := listen(t, w)
	token, _, _, err := auth.Mint(authtest.Secret, auth.Claims{Subject: "brief", Tenants: []string{"acme"}, Roles: []string{"reader"}, TTL: 2 * time.Second})
	must(t, err)
	brief := http.Header{"Authorization": {"Bearer " + token}}
	cookie := with(signedIn(t, address, authHeader(t, "acme", "reader")), "Sec-Fetch-Site", ours)

	byToken, byTokenSocket := follow(t, address, brief, ""), rawDial(t, address, "", brief, 0)
	bySession, bySessionSocket := follow(t, address, cookie, ""), rawDial(t, address, "", cookie, 0)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, "http://"+address+sessionPath, nil)
	must(t, err)
	r.Header = cookie
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	must(t, err)
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("signing out: %d", res.StatusCode)
	}
	for name, s := range map[string]*eventStream{"the token": byToken, "the session": bySession} {
		if s.res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %d", name, s.res.StatusCode)
		}
		if _, err := io.ReadAll(s.r); err != nil {
			t.Errorf("I4 the events behind the end of %s: %v", name, err)
		}
	}
	for name, s := range map[string]*rawSocket{"the token": byTokenSocket, "the session": bySessionSocket} {
		if code, _, _ := s.closed(); code != 4401 {
			t.Errorf("I4 the WebSocket of %s is closed with %d", name, code)
		}
	}
}

func TestI5FramesThatAreNone(t *testing.T) {
	w := newWorld(t)
	address := listen(t, w)
	acme := authHeader(t, "acme", "reader")
	for name, c := range map[string]struct {
		frame string
		want  int
	}{
		"I5 binary":                               {"\x82\x81\x00\x00\x00\x00x", 1003},
		"I5 text that is not UTF-8":               {"\x81\x82\x00\x00\x00\x00\xff\xfe", 1007},
		"I5 text that ends within a character":    {"\x81\x81\x00\x00\x00\x00\xc3", 1007},
		"I5 unmasked":                             {"\x81\x01x", 1002},
		"I5 unmasked and empty":                   {"\x81\x00", 1002},
		"I5 the first reserved bit":               {"\xc1\x81\x00\x00\x00\x00x", 1002},
		"I5 the second reserved bit":              {"\xa1\x81\x00\x00\x00\x00x", 1002},
		"I5 the third reserved bit":               {"\x91\x81\x00\x00\x00\x00x", 1002},
		"I5 a reserved bit of a ping":             {"\xc9\x80\x00\x00\x00\x00", 1002},
		"I5 an opcode that is reserved":           {"\x83\x80\x00\x00\x00\x00", 1002},
		"I5 a ping in parts":                      {"\x09\x80\x00\x00\x00\x00", 1002},
		"I5 a ping that is too long":              {"\x89\xfe\x00\x7e\x00\x00\x00\x00" + strings.Repeat("x", 126), 1002},
		"I5 the continuation of nothing":          {"\x80\x80\x00\x00\x00\x00", 1002},
		"a message, which nobody asked for":       {"\x81\x81\x00\x00\x00\x00x", 1008},
		"a ping, which is answered, and the end":  {"\x89\x80\x00\x00\x00\x00\x88\x82\x00\x00\x00\x00\x03\xe8", 1000},
		"the announcement of 2^63 bytes of text":  {"\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 1002},
		"the announcement of 2^62 bytes of text":  {"\x81\xff\x40\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff", 1007},
		"half a frame, and then nothing any more": {"\x81\x85\x00\x00", 1002},
	} {
		s := rawDial(t, address, "", acme, 0)
		_, err := s.conn.Write([]byte(c.frame))
		must(t, err)
		must(t, s.conn.(*net.TCPConn).CloseWrite())
		if code, reason, _ := s.closed(); code != c.want {
			t.Errorf("%s: closed with %d %q, want %d", name, code, reason, c.want)
		}
		_ = s.conn.Close()
		w.streams.are(t, 0) // a caller has so many at a time
	}
}

// are waits until there are so many streams.
func (c *streamCount) are(t *testing.T, want int) {
	t.Helper()
	var n int
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		c.mu.Lock()
		n = c.all
		c.mu.Unlock()
		if n == want {
			return
		}
	}
	t.Errorf("there are %d streams, want %d", n, want)
}

// narrow serves a world over connections that hold little on their way, so that a slow reader is soon felt.
func narrow(t *testing.T, w *world) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	live(t, func(ctx context.Context) error { return w.Serve(ctx, narrowListener{l}) })
	return l.Addr().String()
}

type narrowListener struct{ net.Listener }

func (l narrowListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, ok := c.(*net.TCPConn); ok {
		err = errors.Join(err, tcp.SetWriteBuffer(32<<10))
	}
	return c, err
}

// slowly reads a little now and then.
type slowly struct {
	io.Reader
	reads int
}

func (s *slowly) Read(p []byte) (int, error) {
	if s.reads++; s.reads < 40 {
		time.Sleep(10 * time.Millisecond)
	}
	return s.Reader.Read(p[:min(len(p), 4<<10)])
}

func TestI6WhoTakesAPieceTooSlowlyIsToldAndAskedToComeAgain(t *testing.T) {
	w := newWorld(t)
	w.patience.slow, w.patience.gone = 40*time.Millisecond, time.Minute
	address := narrow(t, w)
	acme := authHeader(t, "acme", "reader")
	socket := rawDial(t, address, "", acme, 32<<10)
	socket.r = bufio.NewReaderSize(&slowly{Reader: socket.r}, 16)
	sse := rawEvents(t, address, acme)
	sse.r = bufio.NewReader(&slowly{Reader: sse.r})

	began := time.Now().Add(-time.Minute)
	long := strings.Repeat("x", 240<<10)
	w.put(t, "acme", logentry.Entry{Message: long, Service: "one"}, logentry.Entry{Message: long, Service: "two"}, logentry.Entry{Message: "last", Service: "three"})
	gap := func(name, text string) {
		var said struct{ From, To time.Time }
		if err := json.Unmarshal([]byte(text), &said); err != nil || said.From.Before(began) || !said.From.Before(said.To) || said.To.After(time.Now()) {
			t.Errorf("%s is told of the gap %s, %v", name, text, err)
		}
	}
	code, reason, last := socket.closed()
	var said struct {
		Event string
		Data  json.RawMessage
	}
	if err := json.Unmarshal([]byte(last), &said); err != nil || code != 1013 || reason != "too slow" || said.Event != "gap" {
		t.Errorf("I6 the WebSocket is closed with %d %q after %.100q", code, reason, last)
	}
	gap("I6 a slow WebSocket", string(said.Data))
	var e, before sseEvent
	var err error
	for err == nil {
		before = e
		e, err = sse.next()
	}
	if !errors.Is(err, io.EOF) || before.name != "gap" {
		t.Errorf("I6 the events end with %.100v, %v", before, err)
	}
	gap("I6 a slow reader of events", before.data)
	patient := newWorld(t, func(p *parts) { p.reading.Store = w.reading.Store })
	again := follow(t, listen(t, patient), acme, "after="+sse.last) // nothing is lost
	for _, want := range []string{"two", "three"} {
		e, err := again.next()
		for err == nil && e.name != "entry" {
			e, err = again.next()
		}
		if err != nil || !strings.Contains(e.data, `"service":"`+want+`"`) {
			t.Errorf("I6 when it comes again it gets %.100q, %v, want that of %s", e.data, err, want)
		}
	}
}

// rawEvents follows with a receive buffer that holds little.
func rawEvents(t *testing.T, address string, header http.Header) *eventStream {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	must(t, conn.(*net.TCPConn).SetReadBuffer(32<<10))
	must(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	r, err := http.NewRequest(http.MethodGet, "http://"+address+streamPath, nil)
	must(t, err)
	r.Header = header.Clone()
	must(t, r.Write(conn))
	res, err := http.ReadResponse(bufio.NewReaderSize(conn, 16), nil) //nolint:bodyclose // it ends with the connection
	must(t, err)
	s := &eventStream{t: t, res: res, r: bufio.NewReader(res.Body)}
	_, err = s.next()
	must(t, err)
	return s
}

func TestI6WhoTakesNothingIsCutOff(t *testing.T) {
	w := newWorld(t)
	w.patience.gone = 200 * time.Millisecond
	address := narrow(t, w)
	acme := authHeader(t, "acme", "reader")
	socket, sse := rawDial(t, address, "", acme, 32<<10), rawEvents(t, address, acme)
	long := strings.Repeat("x", 240<<10)
	w.put(t, "acme", logentry.Entry{Message: long}, logentry.Entry{Message: long}, logentry.Entry{Message: long})
	w.streams.are(t, 0)
	if code, _, _ := socket.closed(); code != 0 {
		t.Errorf("I6 a WebSocket that takes nothing is closed with %d, which it can't have been", code)
	}
	if _, err := io.Copy(io.Discard, sse.r); err == nil {
		t.Error("I6 a stream that was cut off looks whole")
	}
}

func TestI6WhatWasNotTakenInTimeIsCounted(t *testing.T) {
	w := newWorld(t)
	w.patience.slow, w.patience.gone = time.Hour, time.Hour
	w.tail = tail.New(tail.Config{HeldBytes: 256 << 10, Poll: 5 * time.Millisecond}, w.reading.Store, w.log)
	address := narrow(t, w)
	acme := authHeader(t, "acme", "reader")
	socket, sse := rawDial(t, address, "", acme, 32<<10), rawEvents(t, address, acme)
	quick := follow(t, address, acme, "service=s")
	const n = 60
	for i := range n { // more than waits and what is on its way
		w.put(t, "acme", logentry.Entry{Message: strings.Repeat("x", 20<<10), Service: "s", UserID: fmt.Sprint(i)})
		if e, err := quick.next(); err != nil || e.name != "entry" || !strings.Contains(e.data, fmt.Sprintf(`"user_id":"%d"`, i)) {
			t.Fatalf("I6 another reader gets %.60v, %v", e, err)
		}
	}
	count := func(name string, next func() (event string, data []byte)) {
		entries, skipped := 0, 0
		for entries+skipped < n {
			switch event, data := next(); event {
			case "entry":
				if skipped == 0 && !strings.Contains(string(data), fmt.Sprintf(`"user_id":"%d"`, entries)) {
					t.Errorf("%s: entry %d is %.60s", name, entries, data)
				}
				entries++
			case "skipped":
				var said struct{ Count int }
				must(t, json.Unmarshal(data, &said))
				skipped += said.Count
			}
		}
		if entries+skipped != n || skipped == 0 || entries == 0 {
			t.Errorf("I6 %s gets %d entries and is told of %d, of %d", name, entries, skipped, n)
		}
	}
	count("a slow reader of events", func() (string, []byte) {
		e, err := sse.next()
		must(t, err)
		return e.name, []byte(e.data)
	})
	count("a slow WebSocket", func() (string, []byte) {
		opcode, payload := socket.frame()
		var m struct {
			Event string
			Data  json.RawMessage
		}
		if opcode == 0 || opcode == 1 {
			must(t, json.Unmarshal(payload, &m))
		}
		return m.Event, m.Data
	})
}

func TestI10AnUpgradeToH2CIsIgnored(t *testing.T) {
	w := newWorld(t)
	address := listen(t, w)
	s := follow(t, address, authHeader(t, "acme", "reader"), "", "Connection", "Upgrade, HTTP2-Settings", "Upgrade", "h2c", "HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA")
	w.put(t, "acme", logentry.Entry{Message: "as usual"})
	if message, _ := s.message(); s.res.StatusCode != http.StatusOK || s.res.ProtoMajor != 1 || message != "as usual" {
		t.Errorf("%d %s %q", s.res.StatusCode, s.res.Proto, message)
	}
}
