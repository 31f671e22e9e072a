package httpapi

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/klauspost/compress/zstd"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
)

// hostileCase is a request as bytes on a socket, and the answer it must get. head and body are templates;
// Host, Authorization (token: the roles of a token for acme), Content-Length and Connection: close are added
// unless the case is verbatim.
type hostileCase struct {
	ID       string `yaml:"id"`
	Case     string `yaml:"case"`
	Head     string `yaml:"head"`
	Body     string `yaml:"body"`
	Token    string `yaml:"token"` // default admin; none: no header; platform: of all tenants
	Verbatim bool   `yaml:"verbatim"`
	Half     bool   `yaml:"half_close"` // the client ends its side behind the request
	Stalls   bool   `yaml:"stalls"`     // the client never sends the rest; sent to a server with little patience
	Status   int    `yaml:"want_status"`
	Code     string `yaml:"want_code"` // empty: whatever answers, net/http itself perhaps
	Pointer  string `yaml:"want_pointer"`
	Line     int    `yaml:"want_line"`
}

func TestHostileRequests(t *testing.T) {
	w, impatient := newWorld(t), newWorld(t, func(p *parts) { p.cfg.BodyTimeout = 300 * time.Millisecond })
	address, impatientAddress := listen(t, w), listen(t, impatient)
	files, err := filepath.Glob("testdata/hostile/*.yaml")
	must(t, err)
	n := 0
	for _, path := range files {
		text, err := os.ReadFile(path)
		must(t, err)
		var cases []hostileCase
		must(t, yaml.UnmarshalWithOptions(text, &cases, yaml.Strict()))
		for _, c := range cases {
			n++
			t.Run(filepath.Base(path)+"/"+c.ID+" "+c.Case, func(t *testing.T) {
				if c.Stalls {
					impatient.hostile(t, impatientAddress, c)
				} else {
					w.hostile(t, address, c)
				}
			})
		}
	}
	if n < 100 {
		t.Errorf("only %d cases", n)
	}
}

func listen(t testing.TB, w *world) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	live(t, func(ctx context.Context) error { return w.Serve(ctx, l) })
	return l.Addr().String()
}

func (w *world) hostile(t *testing.T, address string, c hostileCase) {
	before := w.sent(t)
	status, header, body := send(t, address, c.bytes(t), c.Half)
	if status != c.Status {
		t.Fatalf("%d %.300s, want %d", status, body, c.Status)
	}
	after := w.sent(t)
	if status >= 400 && after != before {
		t.Error("something was sent to the queue all the same")
	}
	if status == http.StatusAccepted && after == before {
		t.Error("nothing was sent to the queue")
	}
	if status == http.StatusUnauthorized && header.Get("WWW-Authenticate") == "" || status == http.StatusMethodNotAllowed && header.Get("Allow") == "" {
		t.Errorf("%d without what belongs to it: %v", status, header)
	}
	if c.Code == "" {
		return
	}
	p := answer{status, header, body}.problem()
	if p.Code != c.Code || p.Status != status || p.RequestID == "" || header.Get("Content-Type") != "application/problem+json" || header.Get("X-Request-Id") != p.RequestID {
		t.Errorf("%s %s, want the code %s", header, body, c.Code)
	}
	if c.Pointer != "" && (len(p.Errors) == 0 || p.Errors[0].Pointer != c.Pointer) {
		t.Errorf("%s, want the pointer %s", body, c.Pointer)
	}
	if c.Line != 0 && (len(p.Errors) == 0 || p.Errors[0].Line != c.Line) {
		t.Errorf("%s, want the line %d", body, c.Line)
	}
}

// bytes is the request as it goes over the wire.
func (c hostileCase) bytes(t *testing.T) []byte {
	body := expand(t, c.Body)
	head := strings.TrimRight(expand(t, c.Head), "\n")
	if !c.Verbatim {
		lower := strings.ToLower(head)
		add := func(name, value string) {
			if !strings.Contains(lower, "\n"+strings.ToLower(name)+":") {
				head += "\n" + name + ": " + value
			}
		}
		add("Host", "logs.example")
		add("Connection", "close")
		if c.Token == "" {
			c.Token = "admin"
		}
		if c.Token != "none" {
			of, roles := "acme", strings.Fields(c.Token)
			if c.Token == "platform" {
				of, roles = "*", []string{"admin"}
			}
			add("Authorization", authHeader(t, of, roles...).Get("Authorization"))
		}
		if body != "" && !strings.Contains(lower, "transfer-encoding:") {
			add("Content-Length", fmt.Sprint(len(body)))
		}
	}
	return []byte(strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n" + body)
}

func expand(t *testing.T, text string) string {
	t.Helper()
	tmpl, err := template.New("").Funcs(template.FuncMap{
		"repeat": func(n int, s string) string { return strings.Repeat(s, n) },
		"hex":    func(s string) (string, error) { b, err := hex.DecodeString(s); return string(b), err },
		"gzip":   gzipped,
		"zstd":   zstded,
		"cut":    func(n int, s string) string { return s[:len(s)-n] },
		"spoil":  func(fromEnd int, s string) string { b := []byte(s); b[len(b)-fromEnd] ^= 0xff; return string(b) },
		"entries": func(n int) string {
			return strings.TrimSuffix(strings.Repeat(`{"message":"x"},`, n), ",")
		},
		"keys": func(n int) string {
			var b strings.Builder
			for i := range n {
				fmt.Fprintf(&b, `"k%d":0,`, i)
			}
			return strings.TrimSuffix(b.String(), ",")
		},
		"chunks": func(n int, s string) string { // each of one byte
			var b strings.Builder
			for i := range n {
				fmt.Fprintf(&b, "1\r\n%c\r\n", s[i%len(s)])
			}
			return b.String()
		},
		"in": func(d string) (string, error) {
			x, err := time.ParseDuration(d)
			return time.Now().Add(x).UTC().Format(time.RFC3339Nano), err
		},
		"token": func(roles string) string {
			return authHeader(t, "acme", strings.Fields(roles)...).Get("Authorization")[7:]
		},
		"jwt": func(header, claims string) string {
			claims = moments.ReplaceAllStringFunc(claims, func(m string) string {
				d, err := time.ParseDuration(m[1:])
				must(t, err)
				return fmt.Sprint(time.Now().Add(d).Unix())
			})
			text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
			kind := sha256.New
			if strings.Contains(header, "HS512") {
				kind = sha512.New
			}
			mac := hmac.New(kind, []byte(authtest.Secret.Reveal()))
			mac.Write([]byte(text))
			return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
		},
		"b64": func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
	}).Option("missingkey=error").Parse(text)
	must(t, err)
	var b strings.Builder
	must(t, tmpl.Execute(&b, nil))
	return b.String()
}

// moments are seconds since 1970 in claims, by their distance from now: @1h, @-31s.
var moments = regexp.MustCompile(`@-?[0-9a-z]+`)

func gzipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, s)
	_ = z.Close()
	return b.String()
}

func zstded(s string) string {
	var b bytes.Buffer
	z, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err.Error()
	}
	_, _ = io.WriteString(z, s)
	_ = z.Close()
	return b.String()
}

// send writes a request to a socket as it is and reads what comes back.
func send(t *testing.T, address string, request []byte, half bool) (int, http.Header, []byte) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	wrote := make(chan struct{})
	go func() {
		defer close(wrote)
		_, _ = conn.Write(request) // the server may stop listening before the end
		if half {
			_ = conn.(*net.TCPConn).CloseWrite()
		}
	}()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("half an answer: %v", err)
	}
	_ = res.Body.Close()
	_ = conn.Close()
	<-wrote
	return res.StatusCode, res.Header, body
}
