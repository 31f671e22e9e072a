package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// lockedBuffer is a log that requests write to at the same time.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) Sync() error { return nil }

// loggedWorld is a world whose whole log is kept.
func loggedWorld(t *testing.T) (*world, *lockedBuffer) {
	t.Helper()
	log := &lockedBuffer{}
	return newWorld(t, func(p *parts) {
		p.tel = telemetry.Telemetry{Metrics: telemetry.NewMetrics(),
			Log: zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), log, zap.DebugLevel))}
	}), log
}

// prey is the tenant that others try to see something of: every string of it is a canary.
type prey struct {
	ids      []string // of entries, keys, and whatever else has one
	canaries []string
}

const canary = "canary7f3a"

// TestNothingOfATenantIsSeenByAnother is B11: it asks every route as everybody who is not of the tenant acme, with every form of
// id and header that might lead there, and looks for acme's strings in all that comes out.
func TestNothingOfATenantIsSeenByAnother(t *testing.T) {
	w, log := loggedWorld(t)
	address := listen(t, w)
	acme := w.fill(t)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()

	callers := map[string]http.Header{
		"nobody": {}, "a stranger": {"Authorization": {"Bearer nonsense"}},
		"writer": authHeader(t, "zeta", "writer"), "reader": authHeader(t, "zeta", "reader"), "admin": authHeader(t, "zeta", "admin"),
		"admin of a tenant that is gone": authHeader(t, "gone", "admin"), "a role that nobody knows": authHeader(t, "zeta"),
	}
	probes, seen, at, every := 0, 0, 0, 1
	if testing.Short() {
		every = 11 // shares no factor with the numbers of forms, so that each of them is asked
	}
	for name, header := range callers {
		for _, r := range routes {
			for _, p := range probesOf(r, acme, header) {
				if at++; at%every != 0 {
					continue
				}
				probes++
				what, out := p.send(t, client, address)
				for _, c := range acme.canaries {
					if strings.Contains(out, c) {
						seen++
						t.Errorf("B11 %s as %s sees %q: %.300s", what, name, c, out)
					}
				}
			}
			if seen > 10 {
				t.FailNow()
			}
		}
	}
	rec := httptest.NewRecorder()
	w.MetricsHandler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, c := range acme.canaries {
		if strings.Contains(rec.Body.String(), c) {
			t.Errorf("B11 the metrics have %q", c)
		}
		if strings.Contains(log.String(), c) {
			t.Errorf("B11 the log has %q", c)
		}
	}
	if probes < 5_000/every {
		t.Errorf("only %d probes", probes)
	}
	t.Logf("%d probes", probes)

	// The same probes find the canaries where they may be seen, or the above would say nothing.
	own := 0
	for _, r := range routes {
		for _, p := range probesOf(r, acme, authHeader(t, "acme", "admin")) {
			if r.method == http.MethodGet {
				if _, out := p.send(t, client, address); strings.Contains(out, canary) {
					own++
				}
			}
		}
	}
	if own < 10 {
		t.Errorf("acme itself sees its canaries %d times", own)
	}
}

// fill gives acme something of everything, each with a canary in it, and zeta something too.
func (w *world) fill(t *testing.T) prey {
	t.Helper()
	acme := prey{canaries: []string{canary, authtest.TenantID("acme")}}
	for _, id := range w.put(t, "acme", logentry.Entry{Service: canary + "-service", Message: canary + " message", UserID: canary + "-user", Action: canary},
		logentry.Entry{Service: "billing", Message: canary + " other", RequestID: canary + "-request"}) {
		acme.ids = append(acme.ids, id.String())
	}
	w.put(t, "zeta", logentry.Entry{Service: "billing", Message: "zeta's own"})
	a := w.do(t, authHeader(t, "acme", "admin"), http.MethodPost, "/api/v1/tenants/acme/keys", `{"name":"`+canary+` key","role":"reader"}`)
	if a.status != http.StatusCreated {
		t.Fatalf("a key: %d %s", a.status, a.body)
	}
	token := made[tokenBody](t, w.do(t, authHeader(t, "acme", "admin"), http.MethodPost, "/api/v1/tokens", `{"tenants":["acme"],"role":"reader","subject":"`+canary+` person"}`), http.StatusCreated)
	acme.canaries = append(acme.canaries, token.Token[strings.LastIndexByte(token.Token, '.'):])
	named, err := w.access.Tenants.BySlug(t.Context(), "acme")
	must(t, err)
	renamed := *named
	renamed.Name = canary + " Ltd"
	_, err = w.store.UpdateTenant(t.Context(), renamed)
	must(t, err)
	w.access.Tenants.Forget()
	shared := made[view](t, w.do(t, authHeader(t, "acme", "admin"), http.MethodPost, "/api/v1/views", `{"name":"`+canary+` view","search":"service=`+canary+`","shared":true}`), http.StatusCreated)
	own := made[view](t, w.do(t, authHeader(t, "acme", "reader"), http.MethodPost, "/api/v1/views", `{"name":"`+canary+` own","search":"service=`+canary+`"}`), http.StatusCreated)
	id := regexp.MustCompile(`"id":"([^"]+)"`).FindSubmatch(a.body)
	acme.ids = append(acme.ids, string(id[1]), token.JTI)
	acme.ids = append(acme.ids, shared.ID, own.ID)
	acme.canaries = append(acme.canaries, string(id[1]), shared.ID, own.ID)
	return acme
}

// probe is one request.
type probe struct {
	method, target, body string
	header               http.Header
}

var pathParameter = regexp.MustCompile(`:\w+`)

// probesOf are the forms in which a route is asked for what is acme's.
func probesOf(r route, acme prey, credentials http.Header) []probe {
	ids := append(slices.Clone(acme.ids), "acme", authtest.TenantID("acme"), "*", "%2e%2e%2facme", strings.ToUpper(acme.ids[0]), "0197fd60-0000-7000-8000-000000000000", "acme,zeta", "%00")
	targets := []string{r.path}
	if n := len(pathParameter.FindAllString(r.path, -1)); n > 0 {
		targets = nil
		for _, first := range ids {
			seconds := []string{""}
			if n > 1 {
				seconds = ids[:4]
			}
			for _, second := range seconds {
				given := []string{first, second, second}
				targets = append(targets, pathParameter.ReplaceAllStringFunc(r.path, func(string) string {
					value := given[0]
					given = given[1:]
					return value
				}))
			}
		}
	}
	if r.method == http.MethodGet && r.parameters {
		for _, q := range []string{"tenant=acme", "tenant_id=acme", "q=" + canary, "q=tenant_id:acme", "q=_index:*", "q=" + url.QueryEscape("message:"+canary+" OR service:*"), "id=" + acme.ids[0],
			"service=" + canary + "-service", "service=%2A", "search=message", "facets=service,user_id,action", "interval=1h", "query=billing", "prefix=c"} {
			targets = append(targets, targets[0]+"?"+q)
		}
	}
	headers := [][]string{nil, {"acme"}, {"zeta"}, {"acme,zeta"}, {"zeta", "acme"}, {"ACME"}, {"*"}, {authtest.TenantID("acme")}, {""}, {"zeta\tacme"}}
	body := ""
	if r.method != http.MethodGet && r.method != http.MethodDelete {
		body = `{"tenant_id":"acme","tenants":["acme"],"id":"` + acme.ids[0] + `","message":"x"}`
	}
	var all []probe
	for _, target := range targets {
		for _, named := range headers {
			h := credentials.Clone()
			if named != nil {
				h["X-Tenant-Id"] = named
			}
			if body != "" {
				h.Set("Content-Type", "application/json")
			}
			h.Set("X-Original-URL", "/api/v1/tenants/acme/keys")
			all = append(all, probe{r.method, target, body, h})
		}
	}
	return all
}

// send returns what was asked, for people, and all that came back.
func (p probe) send(t *testing.T, client *http.Client, address string) (what, out string) {
	t.Helper()
	life := 20 * time.Second
	if strings.HasSuffix(strings.SplitN(p.target, "?", 2)[0], "/stream") {
		life = 30 * time.Millisecond // it has no end
	}
	ctx, cancel := context.WithTimeout(t.Context(), life)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, p.method, "http://"+address, strings.NewReader(p.body))
	must(t, err)
	path, query, _ := strings.Cut(p.target, "?")
	req.URL.Opaque, req.URL.RawQuery = path, query
	req.Header = p.header
	what = fmt.Sprintf("%s %s %v", p.method, p.target, p.header["X-Tenant-Id"])
	res, err := client.Do(req)
	if err != nil {
		if life > time.Second {
			t.Fatalf("%s: %v", what, err)
		}
		return what, ""
	}
	defer func() { _ = res.Body.Close() }()
	var b strings.Builder
	_, _ = io.Copy(&b, io.LimitReader(res.Body, 1<<20))
	_ = res.Header.Write(&b)
	if res.StatusCode >= http.StatusInternalServerError {
		t.Errorf("%s: %d %s", what, res.StatusCode, b.String())
	}
	return what, b.String()
}

// TestWhatIsAnothersTakesAsLongAsWhatIsNowhere compares the two in turns. Only a difference that shows in each of many
// rounds fails: one round in which a machine is busy says nothing.
func TestWhatIsAnothersTakesAsLongAsWhatIsNowhere(t *testing.T) {
	w := newWorld(t)
	acme := w.fill(t)
	zeta := authHeader(t, "zeta", "admin")
	for name, c := range map[string]struct{ theirs, absent string }{
		"an entry":                     {"/api/v1/logs/" + acme.ids[0], "/api/v1/logs/0197fd60-0000-7000-8000-000000000000"},
		"a tenant in the path":         {"/api/v1/tenants/acme/keys", "/api/v1/tenants/nosuch/keys"},
		"B6 a key of another, revoked": {"DELETE /api/v1/tenants/zeta/keys/" + acme.ids[2], "DELETE /api/v1/tenants/zeta/keys/" + acme.ids[2][:len(acme.ids[2])-1] + "0"},
		"a view of another, deleted":   {"DELETE /api/v1/views/" + acme.ids[4], "DELETE /api/v1/views/" + acme.ids[4][:len(acme.ids[4])-1] + "0"},
	} {
		ask := func(target string) (time.Duration, answer) {
			method, path, ok := strings.Cut(target, " ")
			if !ok {
				method, path = http.MethodGet, target
			}
			r := newRequest(t, zeta, method, path, "", "X-Request-ID", "r")
			started := time.Now()
			a := w.serveRequest(r)
			return time.Since(started), a
		}
		_, theirs := ask(c.theirs)
		_, absent := ask(c.absent)
		if theirs.status != http.StatusNotFound || absent.status != http.StatusNotFound || !bytes.Equal(theirs.body, absent.body) {
			t.Fatalf("B1 %s: %d %s, absent: %d %s", name, theirs.status, theirs.body, absent.status, absent.body)
		}
		takesAsLong(t, "B1 "+name, func() time.Duration { took, _ := ask(c.theirs); return took }, func() time.Duration { took, _ := ask(c.absent); return took })
	}
}

// takesAsLong compares two in turns, by what each says that it took.
func takesAsLong(t *testing.T, what string, one, other func() time.Duration) {
	t.Helper()
	const rounds, each = 12, 200
	last := ""
	for range rounds {
		var a, b []time.Duration
		for i := range each {
			if i%2 == 0 {
				a, b = append(a, one()), append(b, other())
			} else {
				b, a = append(b, other()), append(a, one())
			}
		}
		slices.Sort(a)
		slices.Sort(b)
		x, y := a[each/2], b[each/2]
		if max(x, y)*2 <= min(x, y)*3 {
			return // as long as the other, within what anybody could measure over a network
		}
		last = fmt.Sprintf("%s and %s", x, y)
	}
	t.Errorf("%s: the medians differ in each of %d rounds: %s", what, rounds, last)
}
