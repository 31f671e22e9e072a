package httpapi

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// alive asks for something as anybody else would while a flood goes on.
func alive(t *testing.T, client *http.Client, url string) {
	t.Helper()
	res, err := client.Get(url)
	if err != nil {
		t.Fatalf("others are not answered: %v", err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("others get %d", res.StatusCode)
	}
}

func TestJ1HeadersThatNeverEndAreCutOffAndNobodyElseWaits(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the server's five seconds")
	}
	w := newWorld(t)
	address := listen(t, w)
	conns := make([]net.Conn, 500)
	for i := range conns {
		conn, err := net.Dial("tcp", address)
		must(t, err)
		defer func() { _ = conn.Close() }()
		_, err = conn.Write([]byte("GET /health/live HTTP/1.1\r\nHost: logs.example\r\nX-Slow: a"))
		must(t, err)
		conns[i] = conn
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for range 20 {
		alive(t, client, "http://"+address+"/health/live")
	}
	for _, conn := range conns {
		must(t, conn.SetReadDeadline(time.Now().Add(30*time.Second)))
		if _, err := io.Copy(io.Discard, conn); timedOut(err) {
			t.Fatal("a connection whose headers never end is kept")
		}
	}
}

// h2 is a connection that speaks HTTP/2 in frames, so that it can do what no client does.
type h2 struct {
	net.Conn
	*http2.Framer
}

func dialH2(t *testing.T, address string) *h2 {
	t.Helper()
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}) //nolint:gosec // a certificate of the test
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	_, err = io.WriteString(conn, http2.ClientPreface)
	must(t, err)
	f := http2.NewFramer(conn, conn)
	must(t, f.WriteSettings())
	return &h2{conn, f}
}

// listenTLS serves w by TLS and returns its address and a client for it.
func listenTLS(t *testing.T) (string, *http.Client) {
	t.Helper()
	files := newCertFiles(t)
	files.write(t, 1)
	c, err := CertificateOf(files.cert, files.key)
	must(t, err)
	address := listen(t, newWorld(t, func(p *parts) { p.cfg.Certificate = c }))
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} //nolint:gosec // a certificate of the test
	t.Cleanup(client.CloseIdleConnections)
	return address, client
}

func headersOf(t *testing.T, path string) []byte {
	t.Helper()
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "logs.example"}, {":path", path}} {
		must(t, e.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}))
	}
	return b.Bytes()
}

// ends reads frames until the server says goodbye or hangs up, and returns the goodbye's reason.
func (c *h2) ends(t *testing.T) http2.ErrCode {
	t.Helper()
	for {
		frame, err := c.ReadFrame()
		if err != nil {
			if timedOut(err) {
				t.Fatal("the connection is kept")
			}
			return http2.ErrCodeNo
		}
		if away, ok := frame.(*http2.GoAwayFrame); ok && away.ErrCode != http2.ErrCodeNo {
			return away.ErrCode
		}
	}
}

func TestJ9RequestsThatAreTakenBackAtOnceEndTheConnectionOrCostLittle(t *testing.T) {
	address, client := listenTLS(t)
	c := dialH2(t, address)
	read := make(chan http2.ErrCode, 1)
	go func() {
		for {
			frame, err := c.ReadFrame()
			if err != nil {
				read <- http2.ErrCodeNo
				return
			}
			if away, ok := frame.(*http2.GoAwayFrame); ok {
				read <- away.ErrCode
				return
			}
		}
	}()
	head := headersOf(t, "/health/live")
	for i := range 10_000 {
		id := uint32(2*i + 1) //nolint:gosec // below 2³¹
		if c.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: head, EndHeaders: true, EndStream: true}) != nil ||
			c.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
			break // it hung up
		}
		if i%1000 == 0 {
			alive(t, client, "https://"+address+"/health/live")
		}
	}
	alive(t, client, "https://"+address+"/health/live")
	_ = c.Close()
	<-read
}

func TestJ9MoreStreamsThanAreAllowedAreRefused(t *testing.T) {
	address, client := listenTLS(t)
	c := dialH2(t, address)
	head := headersOf(t, "/api/v1/logs/bulk")
	go func() { // requests whose bodies never come
		for i := range 10_000 {
			if c.WriteHeaders(http2.HeadersFrameParam{StreamID: uint32(2*i + 1), BlockFragment: head, EndHeaders: true}) != nil { //nolint:gosec // below 2³¹
				return
			}
		}
	}()
	for refused := false; !refused; {
		frame, err := c.ReadFrame()
		if err != nil {
			break // it hung up
		}
		switch f := frame.(type) {
		case *http2.GoAwayFrame:
			refused = true
		case *http2.RSTStreamFrame:
			refused = f.ErrCode == http2.ErrCodeRefusedStream || f.ErrCode == http2.ErrCodeProtocol
		}
	}
	alive(t, client, "https://"+address+"/health/live")
}

func TestJ9HeadersThatGoOnAndOnEndTheConnection(t *testing.T) {
	address, client := listenTLS(t)
	c := dialH2(t, address)
	go func() {
		var b bytes.Buffer
		e := hpack.NewEncoder(&b)
		_ = e.WriteField(hpack.HeaderField{Name: "x-flood", Value: string(bytes.Repeat([]byte("a"), 8<<10)), Sensitive: true})
		if c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headersOf(t, "/health/live")}) != nil {
			return
		}
		for range 10_000 {
			if c.WriteContinuation(1, false, b.Bytes()) != nil {
				return
			}
		}
	}()
	c.ends(t)
	alive(t, client, "https://"+address+"/health/live")
}

func timedOut(err error) bool {
	n, ok := errors.AsType[net.Error](err)
	return ok && n.Timeout()
}
