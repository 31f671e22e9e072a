package queue

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	sqsIdle        = 128              // idle connections kept; more than the calls that run at the same time
	sqsHeaderLimit = 30 * time.Second // for an answer to begin; above the longest poll of 20 s
)

// sqsClient is an HTTP client of its own for one kind of call, so that long polls never take the
// connections of sends and deletes.
func sqsClient() ownBody {
	return ownBody{&http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: sqsHeaderLimit,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       50 * time.Second,
		MaxIdleConns:          sqsIdle,
		MaxIdleConnsPerHost:   sqsIdle,
		DisableCompression:    true, // bodies are compressed already
		WriteBufferSize:       32 << 10,
		ReadBufferSize:        32 << 10,
	}}}
}

// ownBody gives net/http a copy of the request's body. The SDK closes the body as soon as the answer
// begins; net/http may still hold it then, gives the connection up, and a large answer breaks in the
// middle with "use of closed network connection".
type ownBody struct{ client *http.Client }

// Do is http.Client's.
func (o ownBody) Do(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return o.client.Do(r)
	}
	buffer := bytes.NewBuffer(make([]byte, 0, max(r.ContentLength, 0)+bytes.MinRead))
	if _, err := buffer.ReadFrom(r.Body); err != nil {
		return nil, err
	}
	body := buffer.Bytes()
	r = r.WithContext(r.Context())
	r.ContentLength = int64(len(body))
	// GetBody lets net/http begin again when the server closes an idle connection just then.
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	r.Body = io.NopCloser(bytes.NewReader(body))
	return o.client.Do(r)
}

func (o ownBody) close() { o.client.CloseIdleConnections() }
