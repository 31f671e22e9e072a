package httpapi

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"
	"go.uber.org/zap"

	"github.com/ocelot-log/ocelot/internal/fault"
)

const (
	maxHeaderBytes = 16 << 10
	maxHeaders     = 256 // lines; a browser sends about twenty
	maxURLBytes    = 8 << 10
	requestIDKey   = "request_id"
	codeKey        = "code" // of the problem that was answered
)

// Header values that never change; nobody appends to them.
var (
	problemType = []string{"application/problem+json"}
	jsonType    = []string{"application/json"}
	fixed       = map[string][]string{
		"X-Content-Type-Options":    {"nosniff"},
		"Content-Security-Policy":   {"default-src 'none'; frame-ancestors 'none'"},
		"Referrer-Policy":           {"no-referrer"},
		"Cache-Control":             {"no-store"},
		"Strict-Transport-Security": {"max-age=31536000; includeSubDomains"},
	}
)

// around is what happens to every request, also to those that find no route: an id, the fixed headers,
// limits of what net/http lets through, the end of panics, and the numbers.
func (s *Server) around(c *gin.Context) {
	started := time.Now()
	h := c.Writer.Header()
	for name, values := range fixed {
		h[name] = values
	}
	id := acceptedID(c.Request.Header["X-Request-Id"])
	h["X-Request-Id"] = []string{id}
	c.Set(requestIDKey, id)
	defer func() {
		if cause := recover(); cause != nil {
			s.panicked(c, cause)
		}
		s.count(c, started)
	}()
	err := checkSizes(c.Request)
	if err == nil {
		err = s.checkHost(c.Request)
	}
	if err != nil {
		s.fail(c, err)
		c.Abort()
		return
	}
	if s.cors(c) {
		c.Abort()
		return
	}
	c.Next()
}

func (s *Server) panicked(c *gin.Context, cause any) {
	if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(cause)
	}
	s.tel.Metrics.Panics.Inc()
	s.log.Error("panic", zap.String("route", c.FullPath()), zap.String("request_id", requestID(c)),
		zap.String("cause", fmt.Sprint(cause)), zap.ByteString("stack", debug.Stack()), traceOf(c))
	if c.Writer.Written() { // half an answer must not look like a whole one
		panic(http.ErrAbortHandler)
	}
	s.fail(c, fault.New(fault.Internal, "internal", ""))
	c.Abort()
}

func (s *Server) count(c *gin.Context, started time.Time) {
	m, route := s.tel.Metrics, c.FullPath()
	if route == "" {
		route = "none"
	}
	m.Requests.WithLabelValues(route, boundedMethod(c.Request.Method), strconv.Itoa(c.Writer.Status())).Inc()
	m.RequestSeconds.WithLabelValues(route).Observe(time.Since(started).Seconds())
}

// boundedMethod keeps invented methods out of the labels.
func boundedMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}

func checkSizes(r *http.Request) error {
	if len(r.RequestURI) > maxURLBytes {
		return fault.New(fault.TooLarge, "url_too_long", "a URL has at most 8,192 bytes")
	}
	n := 0
	for _, values := range r.Header {
		n += len(values)
	}
	if n > maxHeaders {
		return fault.New(fault.TooLarge, "headers_too_large", "a request has at most 256 header lines and 16 KiB of them")
	}
	return nil
}

// acceptedID is the caller's id of the request where it is a sane one, otherwise a new one.
func acceptedID(sent []string) string {
	if len(sent) == 1 && saneID(sent[0]) {
		return sent[0]
	}
	return rand.Text()
}

func saneID(id string) bool {
	for i := range len(id) {
		c := id[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return len(id) >= 1 && len(id) <= 128
}

func requestID(c *gin.Context) string { return c.GetString(requestIDKey) }
