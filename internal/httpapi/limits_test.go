package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/ingest"
	"github.com/ocelot-log/ocelot/internal/limit"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/internal/tenant"
)

// limited is a world whose tenant nova has limits.
func limited(tb testing.TB, limits tenant.Limits, change ...func(*parts)) *world {
	tb.Helper()
	w := newWorld(tb, change...)
	info := tenant.Info{ID: authtest.TenantID("nova"), Slug: "nova", Name: "nova", CreatedAt: time.Unix(0, 0).UTC(), Settings: tenant.Settings{Limits: limits}}
	must(tb, w.store.CreateTenant(tb.Context(), info))
	return w
}

func strangers(perMin int64) func(*parts) {
	return func(p *parts) {
		p.access.Limits.Addresses, p.access.Limits.Logins = limit.NewAddresses(perMin, 1<<10), limit.NewAddresses(10, 1<<10)
	}
}

// lines are n small entries.
func lines(n int) string { return strings.Repeat(`{"message":"x"}`+"\n", n) }

const bulkPath = "/api/v1/logs/bulk"

var asLines = []string{"Content-Type", "application/x-ndjson"}

// post sends NDJSON.
func (w *world) post(tb testing.TB, header http.Header, body string) answer {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, bulkPath, strings.NewReader(body))
	for name, values := range header {
		r.Header[name] = values
	}
	r.Header.Set(asLines[0], asLines[1])
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, r)
	return answer{rec.Code, rec.Header(), rec.Body.Bytes()}
}

// TestLimitsOfTenants has a batch each after another one of 60 entries.
func TestLimitsOfTenants(t *testing.T) {
	const size = int64(len(`{"message":"x"}` + "\n"))
	for name, c := range map[string]struct {
		limits  tenant.Limits
		then    int
		status  int
		code    string
		words   string
		headers string // RateLimit without its times
	}{
		"K1 one over the limit":              {tenant.Limits{EntriesPerMin: 60}, 1, 429, "rate_limited", "60 entries a minute (entries_per_min)", `"entries_per_min";r=0`},
		"K1 bytes over the limit":            {tenant.Limits{BytesPerMin: 70 * size}, 11, 429, "rate_limited", "(bytes_per_min)", `"bytes_per_min";r=16`},
		"K5 a quota reached within a batch":  {tenant.Limits{EntriesPerDay: 100}, 41, 429, "quota_exceeded", "100 entries a day (entries_per_day), counted in UTC, and 40 are left", `"entries_per_day";r=40`},
		"K5 a quota of bytes within a batch": {tenant.Limits{BytesPerDay: 100 * size}, 41, 429, "quota_exceeded", "(bytes_per_day)", `"bytes_per_day";r=640`},
		"a batch that can never pass":        {tenant.Limits{EntriesPerMin: 100}, 101, 413, "batch_over_limit", "can never pass", `"entries_per_min";r=40`},
		"a batch within what is left":        {tenant.Limits{EntriesPerDay: 100}, 40, 202, "", "", `"entries_per_day";r=0`},
		"no limits":                          {tenant.Limits{}, 1000, 202, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := limited(t, c.limits)
			writer := authHeader(t, "nova", "writer")
			if a := w.post(t, writer, lines(60)); a.status != http.StatusAccepted {
				t.Fatalf("%d %s", a.status, a.body)
			}
			before := w.sent(t)
			a := w.post(t, writer, lines(c.then))
			if a.status != c.status || a.problem().Code != c.code || !strings.Contains(a.problem().Detail, c.words) {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if (w.sent(t) != before) != (c.status == http.StatusAccepted) {
				t.Error("what was refused was sent, or the reverse")
			}
			if got := a.header.Get("RateLimit"); !strings.HasPrefix(got, c.headers) || (got == "") != (c.headers == "") || (got == "") != (a.header.Get("RateLimit-Policy") == "") {
				t.Errorf("RateLimit: %s; policy: %s", got, a.header.Get("RateLimit-Policy"))
			}
			wait, _ := strconv.Atoi(a.header.Get("Retry-After"))
			if (c.status == 429) != (wait > 0) || c.code == "quota_exceeded" && time.Now().UTC().Add(time.Duration(wait+2)*time.Second).Day() == time.Now().UTC().Day() {
				t.Errorf("Retry-After: %s", a.header.Get("Retry-After"))
			}
			if a := w.post(t, authHeader(t, "acme", "writer"), lines(60)); a.status != http.StatusAccepted {
				t.Errorf("another tenant: %d %s", a.status, a.body)
			}
		})
	}
}

// TestALimitIsKnownBeforeTheBodyIsRead sends a body that knows whether it was read.
func TestALimitIsKnownBeforeTheBodyIsRead(t *testing.T) {
	w := limited(t, tenant.Limits{EntriesPerMin: 60, BytesPerMin: 6_000})
	writer := authHeader(t, "nova", "writer")
	ask := func(length int64) (int, bool) {
		body := &touchy{}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, bulkPath, body)
		must(t, err)
		r.Header, r.ContentLength = writer.Clone(), length
		r.Header.Set(asLines[0], asLines[1])
		rec := newRecorder()
		w.Handler().ServeHTTP(rec, r)
		return rec.status, body.read
	}
	if status, read := ask(6_001); status != http.StatusRequestEntityTooLarge || read {
		t.Errorf("more bytes than the limit: %d, read: %t", status, read)
	}
	if a := w.post(t, writer, lines(60)); a.status != http.StatusAccepted {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if status, read := ask(20); status != http.StatusTooManyRequests || read {
		t.Errorf("nothing left: %d, read: %t", status, read)
	}
}

// TestWhatWasNotStoredCostsNothing is refused by the queue as often as it likes.
func TestWhatWasNotStoredCostsNothing(t *testing.T) {
	w := limited(t, tenant.Limits{EntriesPerMin: 60}, func(p *parts) {
		p.writing.Ingest = accept(func(context.Context, auth.Tenant, ingest.Batch) (ingest.Receipt, error) {
			return ingest.Receipt{}, fault.New(fault.Unavailable, "enqueue_failed", "")
		})
	})
	for range 5 {
		if a := w.post(t, authHeader(t, "nova", "writer"), lines(60)); a.status != http.StatusServiceUnavailable {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
}

// TestAnyNumberOfKeysShareTheLimit is K2 for the keys and addresses of one process; internal/limit has the processes.
func TestAnyNumberOfKeysShareTheLimit(t *testing.T) {
	w := limited(t, tenant.Limits{EntriesPerMin: 600})
	in := 0
	for i := range 40 {
		header := authtest.Header(t, []string{"nova"}, "writer")
		header["X-Forwarded-For"] = []string{fmt.Sprint("192.0.2.", i)}
		if a := w.post(t, header, lines(50)); a.status == http.StatusAccepted {
			in += 50
		}
	}
	if in < 600 || in > 660 {
		t.Errorf("%d let in", in)
	}
}

// TestWithoutTheStoreOfCounters is K3: writes go by what the process knows. A sign-in needs the store for its session.
func TestWithoutTheStoreOfCounters(t *testing.T) {
	var st store.Store
	w := limited(t, tenant.Limits{EntriesPerMin: 60}, func(p *parts) {
		st, _ = store.NewSQLite(":memory:", store.SQLiteConfig{})
		must(t, st.Close())
		tenants := limit.New(limit.Config{}, st, telemetry.Discard())
		live(t, tenants.Run)
		p.access.Limits.Tenants = tenants
	})
	writer := authHeader(t, "nova", "writer")
	if a := w.post(t, writer, lines(60)); a.status != http.StatusAccepted {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := w.post(t, writer, lines(60)); a.status != http.StatusTooManyRequests {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := w.do(t, authHeader(t, "nova", "reader"), http.MethodGet, "/api/v1/usage", ""); a.status != http.StatusServiceUnavailable {
		t.Errorf("usage: %d %s", a.status, a.body)
	}
	must(t, w.store.Close()) // where sessions are kept; nobody is let in without one
	if a := (&browser{w: w}).do(t, authHeader(t, "nova", "reader"), http.MethodPost, sessionPath, ""); a.status != http.StatusServiceUnavailable || a.header.Get("Set-Cookie") != "" {
		t.Errorf("K3 a sign-in: %d %s %v", a.status, a.body, a.header)
	}
}

// TestARetryStorm is K6: ten thousand clients come back at once.
func TestARetryStorm(t *testing.T) {
	const clients, perMin = 10_000, 1_000
	w := limited(t, tenant.Limits{EntriesPerMin: perMin})
	header := authHeader(t, "nova", "writer")
	var (
		in    atomic.Int64
		mu    sync.Mutex
		waits = map[int]int{}
		wg    sync.WaitGroup
		began = time.Now()
	)
	for range 50 {
		wg.Go(func() {
			for range clients / 50 {
				a := w.do(t, header, http.MethodPost, "/api/v1/logs", `{"message":"x"}`)
				if a.status == http.StatusAccepted {
					in.Add(1)
					continue
				}
				wait, _ := strconv.Atoi(a.header.Get("Retry-After"))
				if a.status != http.StatusTooManyRequests || wait < 1 {
					t.Errorf("%d %s", a.status, a.body)
				}
				mu.Lock()
				waits[wait]++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if most := int64(1.1 * (perMin + time.Since(began).Minutes()*perMin)); in.Load() > most || in.Load() < perMin {
		t.Errorf("%d let in, want %d to %d: limits hold within a tenth", in.Load(), perMin, most)
	}
	far := map[string]int{}
	for range 1_000 {
		far[retryAfter(20*time.Second)]++
	}
	for text := range far {
		if n, err := strconv.Atoi(text); err != nil || n < 10 || n > 30 {
			t.Errorf("Retry-After %s for 20 s", text)
		}
	}
	if len(far) < 20 {
		t.Errorf("only %d values of Retry-After: clients come back together", len(far))
	}
}

// TestStrangersAreLimitedByAddress sends one more than the limit from an address in several forms.
func TestStrangersAreLimitedByAddress(t *testing.T) {
	wrong := http.Header{"Authorization": {"Bearer x.y.z"}}
	for name, c := range map[string]struct {
		header http.Header
		target string
		first  int // status within the limit
		last   int // and over it
	}{
		"without credentials":       {http.Header{}, "/api/v1/logs", 401, 429},
		"with a wrong token":        {wrong, "/api/v1/logs", 401, 429},
		"with a wrong key":          {http.Header{"X-Api-Key": {"ocelot_x"}}, "/api/v1/tenants", 401, 429},
		"with two credentials":      {http.Header{"Authorization": {"Bearer x", "Bearer y"}}, "/api/v1/logs", 400, 429},
		"on a path that is none":    {http.Header{}, "/api/v1/nothing", 404, 429},
		"on an open route":          {http.Header{}, "/api/v1/openapi.json", 200, 429},
		"probes are never too many": {http.Header{}, "/health/live", 200, 200},
	} {
		t.Run(name, func(t *testing.T) {
			const perMin = 5 // so few that none comes back while the test runs
			w := newWorld(t, strangers(perMin))
			known, fresh := authHeader(t, "acme", "reader"), authHeader(t, "zeta", "reader")
			if a := w.do(t, known, http.MethodGet, "/api/v1/logs", ""); a.status != http.StatusOK {
				t.Fatalf("%d %s", a.status, a.body)
			}
			for i := range perMin {
				if a := w.do(t, c.header, http.MethodGet, c.target, ""); a.status != c.first {
					t.Fatalf("request %d: %d %s", i, a.status, a.body)
				}
			}
			a := w.do(t, c.header, http.MethodGet, c.target, "")
			if a.status != c.last {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if c.last != http.StatusTooManyRequests {
				return
			}
			if a.problem().Code != "rate_limited" || a.header.Get("Retry-After") == "" || a.header.Get("RateLimit-Policy") != `"address";q=5;w=60` {
				t.Errorf("%s %s", a.header, a.body)
			}
			if a := w.do(t, known, http.MethodGet, "/api/v1/logs", ""); a.status != http.StatusOK {
				t.Errorf("credentials that are known: %d %s", a.status, a.body)
			}
			if a := w.do(t, fresh, http.MethodGet, "/api/v1/logs", ""); a.status != http.StatusOK {
				t.Errorf("a token that was never seen: %d %s", a.status, a.body)
			}
			if a := w.do(t, http.Header{"Cookie": {plainCookie + "=" + strings.Repeat("A", 43)}}, http.MethodGet, "/api/v1/logs", ""); a.status != http.StatusTooManyRequests {
				t.Errorf("a session that would have to be asked for: %d %s", a.status, a.body)
			}
		})
	}
}

// TestOnlyFailuresCountAgainstAnAddress sends many good requests, then one that is not.
func TestOnlyFailuresCountAgainstAnAddress(t *testing.T) {
	w := newWorld(t, strangers(5))
	header := authHeader(t, "acme", "reader")
	for range 50 {
		if a := w.do(t, header, http.MethodGet, "/api/v1/tenants", ""); a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if a := w.do(t, http.Header{}, http.MethodGet, "/api/v1/logs", ""); a.status != http.StatusUnauthorized {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestUsage sends, is refused, and looks.
func TestUsage(t *testing.T) {
	w := limited(t, tenant.Limits{EntriesPerMin: 100, BytesPerDay: 1_000_000})
	for range 3 {
		w.post(t, authHeader(t, "nova", "writer"), lines(40))
	}
	a := w.do(t, authHeader(t, "nova", "reader"), http.MethodGet, "/api/v1/usage", "")
	var got struct{ Data usageBody }
	must(t, json.Unmarshal(a.body, &got))
	u := got.Data
	if a.status != http.StatusOK || u.Day.Entries != 80 || u.Day.Bytes != 80*16 || len(u.Days) != 31 || u.Days[0].Entries != 80 || u.Days[0].Date != u.Day.Since.Format(time.DateOnly) {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if len(u.Limits) != 2 || u.Limits[0].Name != "entries_per_min" || u.Limits[0].Limit != 100 || u.Limits[0].Left < 20 || u.Limits[0].Left > 25 ||
		u.Limits[1].Name != "bytes_per_day" || u.Limits[1].Left != 1_000_000-80*16 || !u.Limits[1].Resets.Equal(u.Day.Since.AddDate(0, 0, 1)) {
		t.Errorf("limits: %+v", u.Limits)
	}
	a = w.do(t, authHeader(t, "acme", "reader"), http.MethodGet, "/api/v1/usage", "")
	got.Data = usageBody{}
	must(t, json.Unmarshal(a.body, &got))
	if got.Data.Day.Entries != 0 || len(got.Data.Limits) != 0 {
		t.Errorf("another tenant sees %s", a.body)
	}
}

// TestFailedSignInsAreThrottled is K4: ten attempts may fail, with credentials of nobody or of somebody; then nobody
// signs in from there for a while, and all are told the same.
func TestFailedSignInsAreThrottled(t *testing.T) {
	w := newWorld(t, strangers(1_000), func(p *parts) { p.cfg.Proxies, _ = ParseProxies("192.0.2.1") }) // where httptest's requests come from
	right := authHeader(t, "acme", "reader")
	answers := map[string]bool{}
	try := func(header http.Header) (int, string) {
		a := w.do(t, header, http.MethodPost, sessionPath, "", "X-Request-ID", "same", "X-Forwarded-Proto", "https")
		if wait, _ := strconv.Atoi(a.header.Get("Retry-After")); (a.status == http.StatusTooManyRequests) != (wait > 0) {
			t.Errorf("%d with Retry-After %d", a.status, wait)
		}
		return a.status, string(a.body)
	}
	if status, body := try(right); status >= 400 {
		t.Fatalf("%d %s", status, body)
	}
	for i := range 10 {
		if status, body := try(http.Header{"Authorization": {fmt.Sprintf("Bearer x%d.y.z", i)}}); status != http.StatusUnauthorized {
			t.Fatalf("attempt %d: %d %s", i, status, body)
		}
	}
	for _, header := range []http.Header{right, {"Authorization": {"Bearer x.y.z"}}, {"X-Api-Key": {"ocelot_nobody"}}, {}} {
		status, body := try(header)
		if status != http.StatusTooManyRequests || !strings.Contains(body, `"code":"login_throttled"`) {
			t.Errorf("%d %s", status, body)
		}
		answers[body] = true
	}
	if len(answers) != 1 {
		t.Errorf("the answers tell the credentials apart: %v", answers)
	}
	if a := w.do(t, right, http.MethodGet, "/api/v1/logs", ""); a.status != http.StatusOK {
		t.Errorf("what is no sign-in: %d %s", a.status, a.body)
	}
}

// TestASignInForSomebodyUnknownIsRefusedAsAWrongOne is K4: by the answer and by its time nobody learns whether a key with
// this public part exists, or for whom a token was made.
func TestASignInForSomebodyUnknownIsRefusedAsAWrongOne(t *testing.T) {
	w := newWorld(t)
	admin := authHeader(t, "acme", "admin")
	known := made[keyBody](t, w.do(t, admin, http.MethodPost, keysOfAcme, `{"name":"k","role":"reader"}`), http.StatusCreated)
	gone := made[keyBody](t, w.do(t, admin, http.MethodPost, keysOfAcme, `{"name":"k","role":"reader"}`), http.StatusCreated)
	made[ended](t, w.do(t, admin, http.MethodDelete, keysOfAcme+"/"+gone.ID, ""), http.StatusOK)
	if known.Key[:12] != "ocl_"+known.ID {
		t.Fatal("a key does not begin with its id")
	}
	wrong := authtest.KeyText(known.Key[:13] + gone.Key[13:45]) // a whole key, with the secret of another
	unsigned := func(subject, tenant string) http.Header {
		text := expand(t, "{{jwt `{\"alg\":\"HS256\"}` `{\"exp\":@1h,\"sub\":\""+subject+"\",\"tenants\":[\""+tenant+"\"],\"roles\":[\"admin\"],\"typ\":\"access\"}`}}")
		return bearer(text[:strings.LastIndexByte(text, '.')+1] + strings.Repeat("A", 43))
	}
	for name, c := range map[string]struct{ known, unknown http.Header }{
		"a key":              {withKey(wrong), withKey(gone.Key)},
		"a key as Bearer":    {bearer(wrong), bearer(gone.Key)},
		"a token of someone": {unsigned("test", "acme"), unsigned("nobody", "none")},
	} {
		ask := func(header http.Header) (time.Duration, answer) {
			r := newRequest(t, header, http.MethodPost, sessionPath, "", "X-Request-ID", "same")
			r.RemoteAddr = "127.0.0.1:1234"
			began := time.Now()
			a := w.serveRequest(r)
			return time.Since(began), a
		}
		_, a := ask(c.known)
		_, b := ask(c.unknown)
		if a.status != http.StatusUnauthorized || a.status != b.status || string(a.body) != string(b.body) || fmt.Sprint(a.header) != fmt.Sprint(b.header) {
			t.Errorf("K4 %s: %d %s\nunknown: %d %s", name, a.status, a.body, b.status, b.body)
		}
		takesAsLong(t, "K4 "+name, func() time.Duration { took, _ := ask(c.known); return took }, func() time.Duration { took, _ := ask(c.unknown); return took })
	}
}
