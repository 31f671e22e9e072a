//go:build e2e

package load

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ocelot-log/ocelot/internal/bench"
	"github.com/ocelot-log/ocelot/tests/service"
)

// BenchmarkAnalyst is what one analyst waits for over HTTP, among ANALYST_ENTRIES (1,000,000) of the last day in 20
// tenants: pages, counts, and exports with the most memory that the API takes meanwhile. On the real servers exports stand
// beside a bare loop over a cursor of MongoDB, and pages beside the raw requests to OpenSearch that they cause.
//
//	go test -tags e2e -run '^$' -bench Analyst -benchtime 200x -timeout 30m ./tests/load
func BenchmarkAnalyst(b *testing.B) {
	for _, kind := range []string{"embedded", "deployed"} {
		b.Run(kind, func(b *testing.B) { benchAnalyst(b, kind) })
	}
}

func benchAnalyst(b *testing.B, kind string) {
	a := newAnalyst(b, kind)
	for _, c := range []struct {
		name string
		ask  func() string
	}{
		{"a page of 50 with two filters and text", a.page},
		{"a page of 50 of the newest", func() string { return "/api/v1/logs?limit=50" }},
		{"five facets and a histogram of a day", func() string { return a.stats("") }},
		{"the same with a filter", func() string { return a.stats("&severity=INFO") }},
	} {
		b.Run(c.name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				took = append(took, a.timed(b, c.ask()))
			}
			report(b, "", took)
		})
	}
	b.Run("export", a.exports)
	if kind == "deployed" {
		b.Run("a page beside its raw requests", a.overhead)
	}
}

type analyst struct {
	s       *service.System
	tenants []string
	clients map[string]service.Client
	each    int // entries of a tenant
	now     time.Time
}

// newAnalyst fills a system and waits until everything is found.
func newAnalyst(b *testing.B, kind string) *analyst {
	b.Helper()
	a := &analyst{clients: map[string]service.Client{}, now: time.Now()}
	if kind == "deployed" {
		a.s = service.Deploy(b, service.NewServers(b), 1, quiet...)
	} else {
		a.s = service.Start(b, b.TempDir(), "LOG_LEVEL=warn", "READ_AUDIT=false")
	}
	for i := range 20 {
		slug := fmt.Sprintf("tenant-%02d", i)
		if out, err := a.s.Run(nil, "tenant", "create", slug); err != nil {
			b.Fatal(out, err)
		}
		a.tenants = append(a.tenants, slug)
		a.clients[slug] = service.Client{URL: a.s.URL, Token: a.s.Token(slug, "admin")}
	}
	a.each = numberOf(b, "ANALYST_ENTRIES", 1_000_000) / bulk / len(a.tenants) * bulk
	gen := bench.NewGenerator(1, "analyst")
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: conns}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	bulks := int64(a.each / bulk * len(a.tenants))
	var next atomic.Int64
	errs := make([]error, conns)
	var wg sync.WaitGroup
	for c := range conns {
		wg.Go(func() {
			var body []byte
			for n := next.Add(1) - 1; n < bulks && errs[c] == nil; n = next.Add(1) - 1 {
				batch := gen.Batch(uint64(n*bulk), a.now.Add(24*time.Hour*time.Duration(n-bulks)/time.Duration(bulks)))
				body = append(body[:0], '[')
				for i := range bulk {
					if i > 0 {
						body = append(body, ',')
					}
					body = gen.Append(body, &batch, i)
				}
				slug := a.tenants[n%int64(len(a.tenants))]
				errs[c] = post(b.Context(), client, a.s.URL+"/api/v1/logs/bulk", a.clients[slug].Token, append(body, ']'))
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		b.Fatal(err)
	}
	for _, slug := range a.tenants {
		service.Eventually(b, drainLimit, func() (bool, string) {
			p, err := a.clients[slug].Search(b.Context(), url.Values{"limit": {"1"}, "total": {"exact"}})
			return err == nil && p.Meta.Source == "index" && p.Meta.Pagination.Total == int64(a.each), fmt.Sprint(slug, ": ", p.Meta.Pagination.Total, " of ", a.each, " ", err)
		})
	}
	return a
}

var (
	askedServices   = []string{"checkout", "payments", "catalog", "gateway"}
	askedSeverities = []string{"INFO", "WARNING", "ERROR"}
	askedWords      = []string{"order", "invoice", "customer", "shipment", "rejected", "retried"}
)

// page is a question for two filters and a word.
func (a *analyst) page() string {
	return pageOf(pickOf(askedServices...), pickOf(askedSeverities...), pickOf(askedWords...))
}

func pageOf(service, severity, word string) string {
	return "/api/v1/logs?limit=50&service=" + service + "&severity=" + severity + "&search=" + word
}

// pages are all questions of page to all tenants, in any order.
func (a *analyst) pages() (all [][2]string) { // slug, path
	for _, slug := range a.tenants {
		for _, s := range askedServices {
			for _, severity := range askedSeverities {
				for _, word := range askedWords {
					all = append(all, [2]string{slug, pageOf(s, severity, word)})
				}
			}
		}
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// stats is a question for what the explorer of the product shows at once.
func (a *analyst) stats(more string) string {
	return "/api/v1/logs/stats?facets=severity,service,action,resource_type,user_id&interval=auto&start_time=" +
		url.QueryEscape(a.now.Add(-24*time.Hour).UTC().Format(time.RFC3339)) + "&end_time=" + url.QueryEscape(a.now.Add(time.Minute).UTC().Format(time.RFC3339)) + more
}

func pickOf(all ...string) string { return all[rand.IntN(len(all))] }

// timed asks for one of the tenants and returns how long the answer took.
func (a *analyst) timed(b *testing.B, path string) time.Duration {
	b.Helper()
	c := a.clients[pickOf(a.tenants...)]
	began := time.Now()
	answer, err := c.Do(b.Context(), http.MethodGet, path, nil)
	took := time.Since(began)
	if err != nil || answer.Status != http.StatusOK || bytes.Contains(answer.Body, []byte(`"source":"record"`)) {
		b.Fatal(path, answer.Status, err)
	}
	return took
}

func report(b *testing.B, prefix string, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(0, "ns/op")
	for _, q := range []int{50, 95} {
		b.ReportMetric(took[len(took)*q/100].Seconds()*1e3, fmt.Sprintf("%sp%d-ms", prefix, q))
	}
}

// exports exports one tenant after the other, each as many rows as a search counts, and on MongoDB reads each with a bare
// cursor in turns. The process is started anew, so that its memory is what exports take and not what was left of filling it.
func (a *analyst) exports(b *testing.B) {
	filled := peakOf(b, a.s.API)
	if err := errors.Join(a.s.API.Stop(), a.s.RestartProcess(0)); err != nil {
		b.Fatal(err)
	}
	for slug, c := range a.clients {
		c.URL = a.s.URL
		a.clients[slug] = c
	}
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", a.s.API.PID()), []byte("5"), 0); err != nil { // forgets the peak
		b.Fatal(err)
	}
	idle := peakOf(b, a.s.API)
	var exported, bare time.Duration
	n := 0
	for b.Loop() {
		slug := a.tenants[n%len(a.tenants)]
		if a.s.Servers != nil {
			bare += a.cursor(b, slug)
		}
		began := time.Now()
		rows := a.export(b, slug)
		exported += time.Since(began)
		if rows != a.each {
			b.Fatalf("%s: %d rows, a search counts %d", slug, rows, a.each)
		}
		n++
	}
	rate := float64(n*a.each) / exported.Seconds()
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(rate, "entries/s")
	b.ReportMetric(float64(peakOf(b, a.s.API))/(1<<20), "peak-MiB")
	b.ReportMetric(float64(idle)/(1<<20), "idle-MiB")
	b.ReportMetric(float64(filled)/(1<<20), "filled-MiB")
	if bare > 0 {
		b.ReportMetric(100*bare.Seconds()/exported.Seconds(), "%-of-bare-cursor")
	}
}

func (a *analyst) export(b *testing.B, slug string) (rows int) {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, a.s.URL+"/api/v1/logs/export?format=ndjson", nil)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+a.clients[slug].Token)
	req.Header.Set("Accept-Encoding", "identity")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		b.Fatal(res.Status)
	}
	buf := make([]byte, 256<<10)
	for {
		n, err := res.Body.Read(buf)
		rows += bytes.Count(buf[:n], []byte("\n"))
		if err == io.EOF {
			return rows - 1 // the last one says that the export is complete
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

// cursor reads a tenant's documents in the order of an export and looks at none.
func (a *analyst) cursor(b *testing.B, slug string) time.Duration {
	b.Helper()
	ctx, entries := b.Context(), a.s.Servers.Collection("entries")
	var tenant struct {
		ID string `bson:"_id"`
	}
	if err := a.s.Servers.Collection("tenants").FindOne(ctx, bson.D{{Key: "slug", Value: slug}}).Decode(&tenant); err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	docs, err := entries.Find(ctx, bson.D{{Key: "t", Value: tenant.ID}}, options.Find().SetSort(bson.D{{Key: "ts", Value: -1}, {Key: "_id", Value: -1}}))
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for docs.Next(ctx) {
		n++
	}
	took := time.Since(began)
	if err := docs.Err(); err != nil || n < a.each { // with what the service noted of the tenant itself
		b.Fatal(n, err)
	}
	return took
}

// overhead asks for pages through an API before whose OpenSearch stands a proxy that writes down what it is asked, and then,
// in any order, another API, and the server itself with the same bytes. The page's entries come from MongoDB then: that is
// measured too. The same question once more finds them in the memory of the API: that is the page that was seen. What the
// API asks for are places of entries only; beside it stands the same question for the entries that OpenSearch holds,
// which is how one would ask it by hand for a page.
func (a *analyst) overhead(b *testing.B) {
	target, err := url.Parse(a.s.Servers.OpenSearch)
	if err != nil {
		b.Fatal(err)
	}
	type asked struct {
		method, uri string
		header      http.Header
		body        []byte
	}
	var (
		mu  sync.Mutex
		all []asked
	)
	proxy := httputil.NewSingleHostReverseProxy(target)
	l := service.Listen(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		if strings.Contains(r.URL.Path, "_search") {
			mu.Lock()
			all = append(all, asked{r.Method, r.URL.RequestURI(), r.Header.Clone(), body})
			mu.Unlock()
		}
		proxy.ServeHTTP(w, r)
	}))
	watched := a.s.AddAPI("OPENSEARCH_URL=" + l)
	service.Eventually(b, drainLimit, func() (bool, string) {
		n, err := a.s.Servers.Merging(b.Context())
		return err == nil && n == 0, fmt.Sprint(n, " merges under way, ", err)
	})
	raw := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	var ours, theirs, whole, seen, record []time.Duration
	pages := a.pages() // 1,440, so that none was seen before in as many turns
	for b.Loop() {
		page := pages[len(ours)%len(pages)]
		path, c := page[1], a.clients[page[0]]
		mu.Lock()
		all = nil
		mu.Unlock()
		res, err := (service.Client{URL: watched, Token: c.Token}).Do(b.Context(), http.MethodGet, path, nil)
		if err != nil || res.Status != http.StatusOK {
			b.Fatal(res.Status, err)
		}
		mu.Lock()
		requests := slices.Clone(all)
		mu.Unlock()
		if len(requests) == 0 {
			b.Fatal("the index was not asked")
		}
		direct := func(requests []asked) time.Duration {
			began := time.Now()
			for _, r := range requests {
				if err := again(b.Context(), raw, a.s.Servers.OpenSearch+r.uri, r.method, r.header, r.body); err != nil {
					b.Fatal(err)
				}
			}
			return time.Since(began)
		}
		through := func() time.Duration {
			began := time.Now()
			if res, err := c.Do(b.Context(), http.MethodGet, path, nil); err != nil || res.Status != http.StatusOK {
				b.Fatal(res.Status, err)
			}
			return time.Since(began)
		}
		record = append(record, a.documents(b, res.Body))
		entries := make([]asked, len(requests))
		for i, r := range requests {
			body := bytes.Replace(r.body, []byte(`,"_source":false,"stored_fields":"_none_"`), nil, 1)
			uri, _, _ := strings.Cut(r.uri, "?")
			if entries[i] = (asked{r.method, uri, r.header, body}); len(body) == len(r.body) {
				b.Fatal("the API asks in another way than this knows: ", string(r.body))
			}
		}
		direct(entries)
		for _, turn := range rand.Perm(3) {
			switch turn {
			case 0:
				ours = append(ours, through())
			case 1:
				theirs = append(theirs, direct(requests))
			case 2:
				whole = append(whole, direct(entries))
			}
		}
		seen = append(seen, through())
	}
	over := func(page, raw []time.Duration) []time.Duration {
		more := make([]time.Duration, len(page))
		for i := range page {
			more[i] = page[i] - raw[i]
		}
		return more
	}
	reports := []struct {
		name string
		took []time.Duration
	}{{"overhead-", over(ours, theirs)}, {"seen-overhead-", over(seen, theirs)}, {"over-entries-", over(ours, whole)},
		{"api-", ours}, {"raw-", theirs}, {"raw-entries-", whole}, {"record-", record}}
	for _, r := range reports { // which sorts
		report(b, r.name, r.took)
	}
}

// documents reads the documents of a page from MongoDB.
func (a *analyst) documents(b *testing.B, body []byte) time.Duration {
	b.Helper()
	var page struct{ Data []struct{ ID string } }
	if err := json.Unmarshal(body, &page); err != nil {
		b.Fatal(err)
	}
	ids := bson.A{}
	for _, e := range page.Data {
		raw, err := hex.DecodeString(strings.ReplaceAll(e.ID, "-", ""))
		if err != nil {
			b.Fatal(err)
		}
		ids = append(ids, bson.Binary{Subtype: 4, Data: raw})
	}
	began := time.Now()
	docs, err := a.s.Servers.Collection("entries").Find(b.Context(), bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}})
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for docs.Next(b.Context()) {
		n++
	}
	took := time.Since(began)
	if err := docs.Err(); err != nil || n != len(ids) {
		b.Fatal(n, err)
	}
	return took
}

// again sends a request once more and reads its answer.
func again(ctx context.Context, client *http.Client, url, method string, header http.Header, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header = header.Clone()
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if _, err = io.Copy(io.Discard, res.Body); err == nil && res.StatusCode != http.StatusOK {
		err = errors.New(res.Status)
	}
	return err
}
