package httpapi

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json"
	"go.uber.org/zap"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/telemetry"
)

// statuses is the one table from what a failure means to the status of the answer.
var statuses = map[fault.Kind]int{
	fault.Internal:         http.StatusInternalServerError,
	fault.Malformed:        http.StatusBadRequest,
	fault.Invalid:          http.StatusUnprocessableEntity,
	fault.Unauthenticated:  http.StatusUnauthorized,
	fault.Forbidden:        http.StatusForbidden,
	fault.NotFound:         http.StatusNotFound,
	fault.NotAllowed:       http.StatusMethodNotAllowed,
	fault.Conflict:         http.StatusConflict,
	fault.TooLarge:         http.StatusRequestEntityTooLarge,
	fault.UnsupportedMedia: http.StatusUnsupportedMediaType,
	fault.Timeout:          http.StatusGatewayTimeout,
	fault.Limited:          http.StatusTooManyRequests,
	fault.Unavailable:      http.StatusServiceUnavailable,
	fault.Full:             http.StatusInsufficientStorage,
	fault.Corrupt:          http.StatusInternalServerError,
}

// exact are the codes for which HTTP has a status of its own within the kind.
var exact = map[string]int{
	"body_timeout":      http.StatusRequestTimeout,
	"url_too_long":      http.StatusRequestURITooLong,
	"websocket_version": http.StatusUpgradeRequired,
	"headers_too_large": http.StatusRequestHeaderFieldsTooLarge,
	"host_not_allowed":  http.StatusMisdirectedRequest,
	codeOtherVersion:    http.StatusPreconditionFailed,
}

var (
	errNoRoute  = fault.New(fault.NotFound, "not_found", "there is nothing here")
	errNoSocket = fault.New(fault.NotFound, "not_found", "there is no WebSocket here: it is at "+streamPath)
	errNoMethod = fault.New(fault.NotAllowed, "method_not_allowed", "this path takes the methods named in Allow")
)

// problem is an RFC 9457 document. Its type is about:blank: the stable name of a problem is its code.
type problem struct {
	Type      string          `json:"type"`
	Title     string          `json:"title"`
	Status    int             `json:"status"`
	Code      string          `json:"code"`
	Detail    string          `json:"detail,omitzero"`
	RequestID string          `json:"request_id"`
	Truncated bool            `json:"truncated,omitzero"`
	Errors    []fault.Problem `json:"errors,omitzero"`
}

func statusOf(f *fault.Error) int {
	if status, ok := exact[f.Code]; ok {
		return status
	}
	if status, ok := statuses[f.Kind]; ok {
		return status
	}
	return http.StatusInternalServerError
}

// traceOf is the trace that the caller says the request is part of, for the log.
func traceOf(c *gin.Context) zap.Field {
	if id := telemetry.TraceID(telemetry.Traceparent(c.Request.Header["Traceparent"])); id != "" {
		return zap.String("trace_id", id)
	}
	return zap.Skip()
}

// fail answers with the fault in err, and writes to the log what our operators must see: this is the edge.
func (s *Server) fail(c *gin.Context, err error) {
	f := fault.Of(err)
	status := statusOf(f)
	p := problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: f.Code, Detail: f.Detail,
		RequestID: requestID(c), Truncated: f.Truncated, Errors: f.Problems}
	if p.Code == "" {
		p.Code = f.Kind.String()
	}
	if f.Kind == fault.Internal || f.Kind == fault.Corrupt {
		p.Code, p.Detail, p.Errors = f.Kind.String(), "the service failed; tell its operators the request_id", nil
	}
	if status >= http.StatusInternalServerError && !errors.Is(c.Request.Context().Err(), context.Canceled) {
		log := s.log.Warn
		if f.Kind == fault.Internal || f.Kind == fault.Corrupt {
			log = s.log.Error
		}
		log("request failed", zap.String("route", c.FullPath()), zap.String("request_id", p.RequestID), zap.String("code", p.Code), zap.Error(err), traceOf(c))
	}
	h := c.Writer.Header()
	switch status {
	case http.StatusUnauthorized:
		challenge := `Bearer realm="ocelot"`
		if strings.HasPrefix(p.Code, "token_") {
			challenge += `, error="invalid_token"`
		}
		h.Set("WWW-Authenticate", challenge)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		h.Set("Retry-After", retryAfter(f.RetryAfter))
	default:
		if f.RetryAfter > 0 {
			h.Set("Retry-After", retryAfter(f.RetryAfter))
		}
	}
	body, err := json.Marshal(&p)
	if err != nil { // text that is not UTF-8 came into a detail: a bug, but an answer all the same
		body = []byte(`{"type":"about:blank","title":"Internal Server Error","status":500,"code":"internal","request_id":"` + p.RequestID + `"}`)
		status = http.StatusInternalServerError
	}
	h["Content-Type"] = problemType
	write(c, status, body)
	c.Set(codeKey, p.Code)
}

// retryAfter is whole seconds between half and one and a half times d, so that callers do not come
// back together; at least one. Half a minute either way is enough of it, and who waits for the next day gets none of
// it before.
func retryAfter(d time.Duration) string {
	const most = 30 * time.Second
	d = max(d, time.Second)
	if d > time.Hour {
		d += most
	}
	seconds := d.Seconds() + min(d/2, most).Seconds()*(2*rand.Float64()-1)
	return strconv.Itoa(max(1, int(seconds+0.5)))
}
