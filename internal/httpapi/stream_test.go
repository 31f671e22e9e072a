package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// sseEvent is one server-sent event.
type sseEvent struct{ name, id, data string }

// eventStream is a client of a stream.
type eventStream struct {
	t    *testing.T
	res  *http.Response
	r    *bufio.Reader
	last string // id
}

func follow(t *testing.T, address string, header http.Header, params string, more ...string) *eventStream {
	t.Helper()
	ctx, leave := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(leave)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+streamPath+"?"+params, nil)
	must(t, err)
	r.Header = header.Clone()
	for i := 0; i+1 < len(more); i += 2 {
		r.Header.Set(more[i], more[i+1])
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	must(t, err)
	t.Cleanup(func() { _ = res.Body.Close() })
	s := &eventStream{t: t, res: res, r: bufio.NewReader(res.Body)}
	if res.StatusCode == http.StatusOK {
		if e, err := s.next(); err != nil || e.name != "" || e.data != "" {
			t.Fatalf("it begins with %+v, %v", e, err)
		}
	}
	return s
}

// next reads up to the next blank line.
func (s *eventStream) next() (e sseEvent, err error) {
	for {
		line, err := s.r.ReadString('\n')
		if err != nil {
			return e, err
		}
		switch name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": "); name {
		case "":
			if line == "\n" {
				return e, nil
			}
		case "event":
			e.name = value
		case "id":
			e.id, s.last = value, value
		case "data":
			e.data += value
		}
	}
}

func (s *eventStream) message() (string, string) {
	s.t.Helper()
	for {
		e, err := s.next()
		if err != nil {
			s.t.Fatal(err)
		}
		if e.name == "entry" {
			var entry struct{ Message string }
			must(s.t, json.Unmarshal([]byte(e.data), &entry))
			return entry.Message, e.id
		}
	}
}

func TestAStreamShowsWhatComesAndGoesOn(t *testing.T) {
	w := newWorld(t)
	address := listen(t, w)
	acme := authHeader(t, "acme", "reader")
	w.put(t, "acme", logentry.Entry{Message: "before"})
	s := follow(t, address, acme, "service=billing")
	if s.res.Header.Get("Content-Type") != "text/event-stream" || s.last == "" {
		t.Fatalf("%v", s.res.Header)
	}
	start := s.last
	w.put(t, "zeta", logentry.Entry{Message: "of zeta", Service: "billing"})
	// I9 a message that looks like the next event is one line of data.
	w.put(t, "acme", logentry.Entry{Message: "a\n\nevent: admin\ndata: {}", Service: "billing"}, logentry.Entry{Message: "of shop", Service: "shop"}, logentry.Entry{Message: "b", Service: "billing"})
	first, id := s.message()
	if second, _ := s.message(); first != "a\n\nevent: admin\ndata: {}" || second != "b" {
		t.Fatalf("%q, then %q", first, second)
	}
	_ = s.res.Body.Close()
	w.put(t, "acme", logentry.Entry{Message: "c", Service: "billing"})
	for name, c := range map[string]struct {
		params string
		header []string
		want   string
	}{
		"from the start":             {"service=billing&after=" + start, nil, "a\n\nevent: admin\ndata: {}"},
		"after the first":            {"service=billing&after=" + id, nil, "b"},
		"after the last":             {"service=billing&after=" + s.last, nil, "c"},
		"as a browser connects":      {"service=billing&after=" + start, []string{"Last-Event-Id", s.last}, "c"},
		"by a link with the tenant":  {"service=billing&tenant=acme&after=" + s.last, nil, "c"},
		"by somebody else of acme's": {"service=billing&after=" + s.last, nil, "c"},
	} {
		again := follow(t, address, acme, c.params, c.header...)
		if got, _ := again.message(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		_ = again.res.Body.Close()
	}
}

func TestRefusedStreams(t *testing.T) {
	w := newWorld(t)
	address := listen(t, w)
	acme := authHeader(t, "acme", "reader")
	s := follow(t, address, acme, "")
	id := s.last
	forged := "A" + id[1:]
	if forged == id {
		forged = "B" + id[1:]
	}
	for name, c := range map[string]struct {
		header http.Header
		params string
		more   []string
		status int
		code   string
	}{
		"nobody":                      {http.Header{}, "", nil, 401, "unauthenticated"},
		"a token in the URL":          {http.Header{}, "token=x", nil, 401, "credentials_in_url"},
		"an access token in the URL":  {http.Header{}, "access_token=x", nil, 401, "credentials_in_url"},
		"a ticket":                    {http.Header{}, "ticket=x", nil, 401, "credentials_in_url"},
		"a writer":                    {authHeader(t, "acme", "writer"), "", nil, 403, "insufficient_role"},
		"another tenant":              {acme, "tenant=zeta", nil, 403, "tenant_forbidden"},
		"a regular expression":        {acme, "q=/(a%2B)%2B$/", nil, 400, "query_too_expensive"},
		"too many words":              {acme, "q=" + strings.Repeat("ab+", 65), nil, 400, "query_too_expensive"},
		"an order":                    {acme, "sort=timestamp", nil, 400, "unknown_parameter"},
		"a limit":                     {acme, "limit=5", nil, 400, "unknown_parameter"},
		"I8 a forged id":              {acme, "", []string{"Last-Event-Id", forged}, 400, "cursor_invalid"},
		"a negative id":               {acme, "after=-1", nil, 400, "cursor_invalid"},
		"an id of 7 KiB":              {acme, "after=" + strings.Repeat("A", 7<<10), nil, 400, "cursor_invalid"},
		"an id of another question":   {acme, "service=x&after=" + id, nil, 400, "cursor_invalid"},
		"I8 an id of another tenant":  {authHeader(t, "zeta", "reader"), "after=" + id, nil, 400, "cursor_invalid"},
		"a version that there is not": {acme, "", []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "99", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}, 426, "websocket_version"},
		"a handshake without its key": {acme, "", []string{"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13"}, 400, "handshake_invalid"},
	} {
		r := follow(t, address, c.header, c.params, c.more...)
		body, _ := io.ReadAll(r.res.Body)
		if a := (answer{r.res.StatusCode, r.res.Header, body}); a.status != c.status || a.problem().Code != c.code || c.code == "cursor_invalid" && !strings.Contains(a.problem().Detail, "of this stream") {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

func TestACallerHasSoManyStreams(t *testing.T) {
	w := newWorld(t)
	address := listen(t, w)
	acme := authHeader(t, "acme", "reader")
	all := make([]*eventStream, maxStreams)
	for i := range all {
		all[i] = follow(t, address, acme, fmt.Sprintf("service=s%d", i))
	}
	if one := follow(t, address, acme, ""); one.res.StatusCode != http.StatusTooManyRequests || one.res.Header.Get("Retry-After") == "" {
		t.Errorf("one more: %d", one.res.StatusCode)
	}
	_ = all[0].res.Body.Close()
	for deadline := time.Now().Add(10 * time.Second); ; {
		one := follow(t, address, acme, "")
		_ = one.res.Body.Close()
		if one.res.StatusCode == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the place of one that ended is not free")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestAStopEndsStreams(t *testing.T) {
	w := newWorld(t)
	ctx, stop := context.WithCancel(t.Context())
	l, served := serveWorld(ctx, t, w)
	s := follow(t, l, authHeader(t, "acme", "reader"), "")
	stop()
	if _, err := io.ReadAll(s.r); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func dial(t *testing.T, address string, header http.Header, params string) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), "ws://"+address+streamPath+"?"+params, //nolint:bodyclose // the library closes it
		&websocket.DialOptions{HTTPHeader: header, HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}})
	must(t, err)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

func TestAWebSocketIsTheSameStream(t *testing.T) {
	w := newWorld(t)
	address := listen(t, w)
	acme := authHeader(t, "acme", "reader")
	conn := dial(t, address, acme, "service=billing")
	read := func(conn *websocket.Conn) (m struct {
		Event, ID string
		Data      struct{ Message string }
	}) {
		for m.Event == "" || m.Event == "alive" {
			_, b, err := conn.Read(t.Context())
			must(t, err)
			must(t, json.Unmarshal(b, &m))
		}
		return m
	}
	_, b, err := conn.Read(t.Context())
	if err != nil || !strings.HasPrefix(string(b), `{"event":"alive","id":"`) {
		t.Fatalf("it begins with %s, %v", b, err)
	}
	w.put(t, "acme", logentry.Entry{Message: "a", Service: "billing"}, logentry.Entry{Message: "no"}, logentry.Entry{Message: "b", Service: "billing"})
	first := read(conn)
	if second := read(conn); first.Event != "entry" || first.Data.Message != "a" || second.Data.Message != "b" {
		t.Fatalf("%+v, then %+v", first, second)
	}
	again := dial(t, address, acme, "service=billing&after="+first.ID)
	if m := read(again); m.Data.Message != "b" {
		t.Errorf("after the first comes %+v", m)
	}
	for name, c := range map[string]struct {
		kind websocket.MessageType
		text string
		want websocket.StatusCode
	}{
		"a message":      {websocket.MessageText, "hello", websocket.StatusPolicyViolation},
		"a binary one":   {websocket.MessageBinary, "hello", websocket.StatusUnsupportedData},
		"bytes as text":  {websocket.MessageText, "\xff\xfe", websocket.StatusInvalidFramePayloadData},
		"an empty one":   {websocket.MessageText, "", websocket.StatusPolicyViolation},
		"a long message": {websocket.MessageText, strings.Repeat("x", 10_000), websocket.StatusPolicyViolation},
	} {
		conn := dial(t, address, acme, "")
		must(t, conn.Write(t.Context(), c.kind, []byte(c.text)))
		var err error
		for err == nil {
			_, _, err = conn.Read(t.Context())
		}
		if got := websocket.CloseStatus(err); got != c.want {
			t.Errorf("%s: closed with %d, %v, want %d", name, got, err, c.want)
		}
	}
}

// serveWorld serves a world until ctx ends.
func serveWorld(ctx context.Context, t *testing.T, w *world) (address string, served chan error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	served = make(chan error, 1)
	go func() { served <- w.Serve(ctx, l) }()
	return l.Addr().String(), served
}
