//go:build e2e

package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/tests/service"
)

// BenchmarkNeighbour posts steadily for one tenant to `ocelot up`, in turns of a second: alone, beside somebody who sends
// 1,000 requests a second that are refused, or opens 500 connections whose headers never end, and reports the 99th
// percentiles of the tenant's answers and their ratio. The noise costs its sender next to nothing: prepared bytes over
// a few connections, evenly spread over each second.
//
//	go test -tags e2e -run '^$' -bench Neighbour -benchtime 60x ./tests/load
func BenchmarkNeighbour(b *testing.B) {
	const (
		perSecond = 1_000 // requests of the noise
		conns     = 4     // it comes over
		good      = 100   // requests a second of the tenant
	)
	for _, c := range []struct {
		name   string
		header func(*service.System) string
		body   []byte
	}{
		{"1000 wrong keys a second", func(*service.System) string {
			return "X-API-Key: ocelot_0123456789_0123456789abcdefghijklmnopqrstuv"
		}, linesOf(10)},
		{"a tenant at ten times its limit", func(s *service.System) string {
			return "Authorization: Bearer " + s.Token("nova", "writer")
		}, linesOf(1)},
		{"500 headers that never end", nil, nil},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := service.Start(b, b.TempDir(), "LOG_LEVEL=warn", "RATE_LIMIT_PER_MIN=60")
			for _, args := range [][]string{{"tenant", "create", "acme"}, {"tenant", "create", "nova"}} {
				if out, err := s.Run(nil, args...); err != nil {
					b.Fatal(out, err)
				}
			}
			limitOf(b, s, "nova", perSecond/10/2*60) // a bucket fills in the quiet turns too: a tenth is let in while there is noise
			body := linesOf(10)
			var set func(on bool)
			noise := &noise{statuses: map[string]int64{}}
			if c.header != nil {
				noise = startNoise(b, s.URL, c.header(s), c.body, perSecond, conns)
				set = noise.on.Store
			} else {
				set = unending(b, s.URL, 500)
			}
			client := service.Client{URL: s.URL, Token: s.Token("acme", "writer")}
			took := map[bool][]time.Duration{}
			turn := func(noisy bool) {
				set(noisy)
				time.Sleep(50 * time.Millisecond)
				tick := time.NewTicker(time.Second / good)
				defer tick.Stop()
				for range good {
					due := <-tick.C
					a, err := client.Do(b.Context(), http.MethodPost, "/api/v1/logs/bulk", body, "Content-Type: application/x-ndjson")
					if err != nil || a.Status != http.StatusAccepted {
						b.Fatal(a.Status, err)
					}
					took[noisy] = append(took[noisy], time.Since(due))
				}
				set(false)
			}
			for range 8 { // both are warm, and what a limit lets through at first is used up
				turn(true)
			}
			clear(took)
			noise.reset()
			for i := 0; b.Loop(); i++ {
				turn(i%2 == 0)
				turn(i%2 != 0)
			}
			quantile := func(noisy bool, q int) float64 {
				slices.Sort(took[noisy])
				return took[noisy][len(took[noisy])*q/100].Seconds() * 1e3
			}
			for _, q := range []int{50, 99} {
				b.ReportMetric(quantile(false, q), fmt.Sprintf("quiet-p%d-ms", q))
				b.ReportMetric(quantile(true, q), fmt.Sprintf("noisy-p%d-ms", q))
				b.ReportMetric(quantile(true, q)/quantile(false, q), fmt.Sprintf("p%d-ratio", q))
			}
			for status, n := range noise.counts() {
				b.ReportMetric(float64(n)/float64(b.N), status+"/s")
			}
		})
	}
}

// unending returns what opens connections, each with the beginning of a request's head, and closes them again.
func unending(b *testing.B, address string, n int) func(on bool) {
	b.Helper()
	u, err := url.Parse(address)
	if err != nil {
		b.Fatal(err)
	}
	var open []net.Conn
	set := func(on bool) {
		for _, conn := range open {
			_ = conn.Close()
		}
		open = open[:0]
		for on && len(open) < n {
			conn, err := net.Dial("tcp", u.Host)
			if err == nil {
				open = append(open, conn)
				_, err = conn.Write([]byte("POST /api/v1/logs HTTP/1.1\r\nX-Slow: a"))
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Cleanup(func() { set(false) })
	return set
}

// limitOf lets a tenant send so many entries a minute.
func limitOf(b *testing.B, s *service.System, tenant string, perMin int) {
	b.Helper()
	c := service.Client{URL: s.URL, Token: s.Token("*", "admin")}
	body := fmt.Sprintf(`{"settings":{"limits":{"entries_per_min":%d}}}`, perMin)
	a, err := c.Do(b.Context(), http.MethodPatch, "/api/v1/tenants/"+tenant, []byte(body), "Content-Type: application/merge-patch+json")
	if err != nil || a.Status != http.StatusOK {
		b.Fatal(a.Status, string(a.Body), err)
	}
}

// linesOf are n entries as NDJSON.
func linesOf(n int) []byte {
	var body bytes.Buffer
	for i := range n {
		fmt.Fprintf(&body, `{"service":"billing","message":"payment %d declined for the order","user_id":"u%d","severity":"WARNING"}`+"\n", i, i)
	}
	return body.Bytes()
}

// noise sends the same request again and again while it is on.
type noise struct {
	on       atomic.Bool
	mu       sync.Mutex
	statuses map[string]int64
}

func startNoise(b *testing.B, address, header string, body []byte, perSecond, conns int) *noise {
	b.Helper()
	u, err := url.Parse(address)
	if err != nil {
		b.Fatal(err)
	}
	n := &noise{statuses: map[string]int64{}}
	request := fmt.Appendf(nil, "POST /api/v1/logs/bulk HTTP/1.1\r\nHost: %s\r\n%s\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n%s", u.Host, header, len(body), body)
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for i := range conns {
		conn, err := net.Dial("tcp", u.Host)
		if err != nil {
			b.Fatal(err)
		}
		wg.Go(func() {
			defer conn.Close()
			time.Sleep(time.Duration(i) * time.Second / time.Duration(perSecond))
			tick := time.NewTicker(time.Second * time.Duration(conns) / time.Duration(perSecond))
			defer tick.Stop()
			r := bufio.NewReader(conn)
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
				if !n.on.Load() {
					continue
				}
				if _, err := conn.Write(request); err != nil {
					b.Error(err)
					return
				}
				status, err := readAnswer(r)
				if err != nil {
					b.Error(err)
					return
				}
				n.mu.Lock()
				n.statuses[status]++
				n.mu.Unlock()
			}
		})
	}
	b.Cleanup(func() { stop(); wg.Wait() })
	return n
}

// readAnswer reads an answer and returns its status. It makes no garbage, whose collection would delay whoever is measured.
func readAnswer(r *bufio.Reader) (status string, err error) {
	length := -1
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return "", err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch text, is := bytes.CutPrefix(line, []byte("Content-Length: ")); {
		case status == "":
			if !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) || len(line) < 12 {
				return "", fmt.Errorf("no answer: %q", line)
			}
			status = statusText(line[9:12])
		case is:
			if length, err = strconv.Atoi(string(text)); err != nil {
				return "", err
			}
		case len(line) == 0:
			if length < 0 {
				return "", errors.New("an answer without its length")
			}
			_, err = r.Discard(length)
			return status, err
		}
	}
}

func statusText(b []byte) string {
	for _, known := range []string{"202", "401", "429"} {
		if string(b) == known {
			return known
		}
	}
	return string(b)
}

func (n *noise) reset() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.statuses)
}

// counts tells how often each status was the answer.
func (n *noise) counts() map[string]int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.statuses)
}
