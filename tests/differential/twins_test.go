//go:build e2e

// Package differential sends the same requests to the embedded system and to the deployed one and compares what
// they answer, what they keep and what they find. Both must mean the same.
package differential

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/tests/service"
)

// The tenants besides default: two with all kinds of entries, one whose entries share their timestamps, one for what
// should mostly be refused, and one with more entries than are counted unasked. A tenant nobody has a token and does
// not exist.
var tenants = []string{"acme", "zeta", "ties", "junk", "many"}

// twins are the two systems. Tokens are good for both: they have one secret.
type twins struct {
	t      *testing.T
	sides  [2]*service.System // embedded, deployed
	http   *http.Client
	tokens map[string]string
	secret string
	ids    *pairs
	api    *description
	report *report

	kepts   [2]map[string]*entry // what each system keeps, by id
	byLabel []string             // ids of the embedded system
	sent    map[string]string    // what was sent of an entry, by the same ids
	sampled atomic.Int64         // answers that could be checked against the description
	marked  atomic.Int64         // entries with highlights that were compared
}

var sideNames = [2]string{"embedded", "deployed"}

// startTwins starts both systems at the same time.
func startTwins(t *testing.T) *twins {
	servers := service.NewServers(t) // skips the test before anything is started
	if left := time.Until(time.Now().UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)); left < 2*time.Minute {
		time.Sleep(left) // else the two systems might receive an entry on different days
	}
	w := &twins{t: t, secret: rand.Text() + rand.Text(), tokens: map[string]string{}, ids: newPairs(), sent: map[string]string{}, report: &report{t: t}, kepts: [2]map[string]*entry{{}, {}},
		http: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 32, DisableCompression: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	secret := "JWT_SECRET=" + w.secret
	service.Binary(t, "ocelot") // built once, before both need it
	dir := t.TempDir()
	var wg sync.WaitGroup
	wg.Go(func() { w.sides[0] = service.Start(t, dir, secret) })
	wg.Go(func() { w.sides[1] = service.Deploy(t, servers, 2, secret) })
	wg.Wait()
	if w.sides[0] == nil || w.sides[1] == nil {
		t.FailNow()
	}
	var mu sync.Mutex
	for name, of := range map[string][2]string{
		"platform": {"*", "admin"}, "acme": {"acme", "admin"}, "zeta": {"zeta", "admin"}, "ties": {"ties", "admin"}, "junk": {"junk", "admin"}, "many": {"many", "admin"},
		"reader": {"acme", "reader"}, "writer": {"acme", "writer"}, "both": {"acme,zeta", "reader,writer"}, "nobody": {"nobody", "admin"}, "all-reader": {"*", "reader"},
	} {
		wg.Go(func() {
			token := w.sides[0].Token(of[0], of[1])
			mu.Lock()
			defer mu.Unlock()
			w.tokens[name] = token
		})
	}
	wg.Wait()
	return w
}

// request is one request as both systems get it.
type request struct {
	method, target string // target: the path and the query as they go over the wire
	as             string // whose token; empty: no credentials
	header         []string
	body           []byte
	sent           []string // the good entries in it, as JSON
}

func (r request) String() string {
	body := r.body
	if len(body) > 400 {
		body = append(bytes.Clone(body[:400]), "…"...)
	}
	return fmt.Sprintf("%s %s as %q %q\n    %q", r.method, r.target, r.as, r.header, body)
}

// answer is what one system said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// both sends a request to both systems at the same time. targets may differ where something in them is of one
// system only, as an id is.
func (w *twins) both(ctx context.Context, r request, targets [2]string) (a [2]answer, err error) {
	return w.bothOf(ctx, r, [2]string{w.sides[0].URL + targets[0], w.sides[1].URL + targets[1]})
}

// bothOf sends a request to two URLs at the same time.
func (w *twins) bothOf(ctx context.Context, r request, urls [2]string) (a [2]answer, err error) {
	id := "X-Request-ID: " + rand.Text()
	for _, h := range r.header {
		if name, _, _ := strings.Cut(h, ": "); strings.EqualFold(name, "X-Request-ID") {
			id = ""
		}
	}
	var errs [2]error
	var wg sync.WaitGroup
	for side := range 2 {
		wg.Go(func() { a[side], errs[side] = w.send(ctx, urls[side], r, id) })
	}
	wg.Wait()
	for side, e := range errs {
		if e != nil {
			return a, fmt.Errorf("%s: %w", urls[side], e)
		}
	}
	return a, nil
}

func (w *twins) send(ctx context.Context, url string, r request, id string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, url, bytes.NewReader(r.body))
	if err != nil {
		return answer{}, err
	}
	if r.as != "" {
		token, ok := w.tokens[r.as]
		if !ok {
			return answer{}, fmt.Errorf("there is no token %q", r.as)
		}
		req.Header.Add("Authorization", "Bearer "+token)
	}
	for _, h := range append(r.header[:len(r.header):len(r.header)], id) {
		if name, value, ok := strings.Cut(h, ": "); ok {
			req.Header.Add(name, value)
		}
	}
	res, err := w.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, body}, err
}

// each calls do for 0 … n-1, a few at a time.
func each(n, atATime int, do func(i int)) {
	next := make(chan int)
	var wg sync.WaitGroup
	for range atATime {
		wg.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
}
