//go:build e2e

package differential

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/tests/service"
)

// gate passes connections on to a server until it is shut: then nobody listens.
type gate struct {
	l     net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func newGate(t *testing.T, server string) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{l: l}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", u.Host)
			if err != nil {
				_ = in.Close()
				continue
			}
			g.mu.Lock()
			g.conns = append(g.conns, in, out)
			g.mu.Unlock()
			go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
			go func() { _, _ = io.Copy(in, out); _ = in.Close() }()
		}
	}()
	t.Cleanup(g.shut)
	return g
}

func (g *gate) shut() {
	_ = g.l.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.conns {
		_ = c.Close()
	}
}

var readyAt = regexp.MustCompile(`"msg":"ready","api":"([^"]*)"`)

// startSecondAPI starts another API on the deployed system's servers, with OpenSearch behind a gate.
func (w *twins) startSecondAPI() (url string, g *gate) {
	servers := w.sides[1].Servers
	g = newGate(w.t, servers.OpenSearch)
	p := service.NewProcess(w.t, "api", nil, append(servers.Env(), "PORT=0", "METRICS_PORT=0", "LOG_FORMAT=json", "JWT_SECRET="+w.secret, "OPENSEARCH_URL=http://"+g.l.Addr().String())...)
	if err := p.Start(); err != nil {
		w.t.Fatal(err)
	}
	service.Eventually(w.t, 30*time.Second, func() (bool, string) {
		found := readyAt.FindStringSubmatch(p.Output())
		if found != nil {
			url = found[1]
		}
		return found != nil, p.Output()
	})
	return url, g
}

// fallen is what came of the questions to an API whose index is away.
type fallen struct{ answered, hits, unavailable, refused int }

// withoutIndex asks half of the questions with the index away: the record has the same answer, or says that it has none.
func (w *twins) withoutIndex(ctx context.Context, all []question) (f fallen) {
	at, g := w.startSecondAPI()
	g.shut()
	var mu sync.Mutex
	each(len(all)/2, 6, func(i int) {
		q := all[2*i]
		target := w.ids.deployed(q.target())
		a, err := w.bothOf(ctx, get(q.as, target), [2]string{w.sides[1].URL + target, at + target})
		if err != nil {
			w.t.Errorf("%s: %v", q, err)
			return
		}
		w.api.check(w.t, "GET", "/api/v1/logs", a)
		mu.Lock()
		defer mu.Unlock()
		if a[0].status != http.StatusOK {
			f.refused++
			if sameHead(a) != "" || !sameProblem(a) {
				w.report.differs(q, a, "without the index (second answer) the problem differs")
			}
			return
		}
		if a[1].status == http.StatusServiceUnavailable && codeOf(a[1].body) == "search_unavailable" {
			f.unavailable++
			if q.first("q") == "" && q.first("search") == "" {
				w.report.differs(q, a, "the record does not answer filters")
			}
			return
		}
		f.answered++
		var p [2]page
		for side := range p {
			if err := json.Unmarshal(a[side].body, &p[side]); err != nil {
				w.t.Errorf("%s: %v", q, err)
			}
		}
		f.hits += len(p[0].Data)
		if p[1].Meta.Source != "record" && len(p[1].Data) > 0 { // what can be nothing is asked of nobody
			w.report.differs(q, a, "the answer without the index (the second one) is from the %s", p[1].Meta.Source)
		}
		p[1].Meta.Source = p[0].Meta.Source
		same := p[0].head() == p[1].head()
		for i := range p[0].Data {
			same = same && string(p[0].Data[i]) == string(p[1].Data[i])
		}
		if !same {
			w.report.differs(q, a, "without the index (second answer) the result differs: %s and %s", p[0].head(), p[1].head())
		}
	})
	return f
}
