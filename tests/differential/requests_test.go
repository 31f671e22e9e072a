//go:build e2e

package differential

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

const (
	single = "/api/v1/logs"
	bulk   = "/api/v1/logs/bulk"
	isJSON = "Content-Type: application/json"
)

func post(as, path, body string, header ...string) request {
	if len(header) == 0 {
		header = []string{isJSON}
	}
	return request{method: "POST", target: path, as: as, header: header, body: []byte(body)}
}

func get(as, target string, header ...string) request {
	return request{method: "GET", target: target, as: as, header: header}
}

func gzipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, s)
	_ = z.Close()
	return b.String()
}

var zstds, _ = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))

func zstded(s string) string { return string(zstds.EncodeAll([]byte(s), nil)) }

// packed is a post of a body, compressed or not.
func (m *maker) packed(as, path, body, contentType string) request {
	header := []string{"Content-Type: " + contentType}
	switch m.IntN(4) {
	case 0:
		body, header = gzipped(body), append(header, "Content-Encoding: "+pick(m, "gzip", "GZIP"))
	case 1:
		body, header = zstded(body), append(header, "Content-Encoding: zstd")
	case 2:
		header = append(header, "Content-Encoding: identity")
	}
	return post(as, path, body, header...)
}

// batch is a post of entries in one of the forms that a batch has.
func (m *maker) batch(as string, entries []string) request {
	r := m.formed(as, entries)
	r.sent = slices.Clone(entries)
	return r
}

func (m *maker) formed(as string, entries []string) request {
	switch m.IntN(4) {
	case 0:
		return m.packed(as, bulk, m.space()+`{"logs":[`+strings.Join(entries, ",")+`]}`+m.space(), "application/json")
	case 1:
		return m.packed(as, bulk, "["+strings.Join(entries, ", ")+"]", "application/json; charset=utf-8")
	}
	var b strings.Builder
	for i, e := range entries {
		if i > 0 {
			b.WriteString(pick(m, "\n", "\n", "\r\n", "\n\n"))
		}
		b.WriteString(strings.NewReplacer("\n", " ", "\r", " ").Replace(e)) // white space between tokens: in strings they are escaped
	}
	b.WriteString(pick(m, "", "\n"))
	return m.packed(as, bulk, b.String(), pick(m, "application/x-ndjson", "application/ndjson"))
}

// posts are good requests with new entries, and repetitions of some of them.
func (m *maker) posts() (all []request) {
	own := 0
	entry := func(tenant string) string {
		own++
		return m.entry(tenant, own)
	}
	entries := func(tenant string, n int) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = entry(tenant)
		}
		return out
	}
	for i := range 500 {
		tenant := pick(m, tenants[:3]...)
		e := entry(tenant)
		r := m.packed(tenant, single, e, "application/json")
		r.sent = []string{e}
		if i%5 == 0 {
			r.header = append(r.header, fmt.Sprintf("Idempotency-Key: single-%d", i))
			all = append(all, r, r)
		}
		all = append(all, r)
	}
	for i := range 150 {
		tenant := pick(m, tenants[:3]...)
		batch := entries(tenant, 1+m.IntN(30))
		if i%3 == 0 { // the same entry twice, with an event_id and without
			batch = append(batch, batch[0], fmt.Sprintf(`{"message":"twice","event_id":"twice-%d"}`, i), fmt.Sprintf(`{"event_id":"twice-%d","message":"twice"}`, i))
		}
		r := m.batch(tenant, batch)
		if i%4 == 0 {
			r.header = append(r.header, fmt.Sprintf("Idempotency-Key: bulk-%d", i/8)) // two batches with one key
			all = append(all, r)
		}
		all = append(all, r)
		if i%6 == 0 { // entries with keys of their own are known again in another batch
			m.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
			all = append(all, m.batch(tenant, batch[:(len(batch)+1)/2]))
		}
	}
	all = append(all, m.batch("acme", entries("acme", 1500)), m.batch("ties", entries("ties", 300)))
	all = append(all, post("both", single, entry("acme"), isJSON, "X-Tenant-ID: acme"), post("platform", single, entry("zeta"), isJSON, "X-Tenant-ID: zeta"), post("writer", single, entry("acme")))
	all = append(all, m.crowd(0, 10_000), m.crowd(10_000, 2))
	all = append(all, m.events()...)
	for _, s := range severities {
		all = append(all, post("acme", single, fmt.Sprintf(`{"message":"severity","severity":%q,"timestamp":"2025-01-01T00:00:%02dZ"}`, s, len(all)%60)))
	}
	for _, text := range []string{strings.Repeat("x", 65536), strings.Repeat("ab ", 21845), strings.Repeat("𝐀", 130) + " tail", strings.Repeat("東", 200), strings.Repeat("w", 5000) + " end"} {
		all = append(all, post("acme", single, fmt.Sprintf(`{"message":%q,"timestamp":"2025-01-02T00:00:%02dZ"}`, text, len(all)%60)))
	}
	return all
}

// crowd are the n entries of the tenant many from one on.
func (m *maker) crowd(from, n int) request {
	start := time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC)
	lines := make([]string, n)
	for i := range lines {
		lines[i] = fmt.Sprintf(`{"message":"one of many","service":"s%d","timestamp":%q}`, (from+i)%3, start.Add(time.Duration(from+i)*time.Second).Format(time.RFC3339))
	}
	r := m.packed("many", bulk, strings.Join(lines, "\n"), "application/x-ndjson")
	r.sent = lines
	return r
}

// bad are requests that must be refused, or are at the border of it.
func (m *maker) bad() (all []request) {
	for _, body := range []string{
		``, ` `, "\ufeff" + `{"message":"x"}`, `null`, `[]`, `"x"`, `1`, `{}`, `{`, `}`, `{"message"}`, `{"message":}`, `{"message":"x"`, `{"message":"x",}`, `{"message":"x"}}`, `{"message":"x"}{"message":"y"}`, `{"message":"x"} x`,
		`{"message":"x"/* */}`, `{'message':'x'}`, `{message:"x"}`, `{"message":"x","message":"y"}`, `{"message":"x","m\u0065ssage":"y"}`, `{"message":"x","metadata":{"a":1,"a":2}}`, `{"message":"x","metadata":{"a":1,"\u0061":2}}`,
		"{\"message\":\"\xff\"}", "{\"message\":\"\xc0\xaf\"}", "{\"message\":\"\xed\xa0\x80\"}", `{"message":"\ud800"}`, `{"message":"\udc00\ud800"}`, `{"message":"\x"}`, `{"message":"\u12"}`, "{\"message\":\"a\nb\"}", "{\"message\":\"a\x00b\"}",
		`{"message":null}`, `{"message":123}`, `{"message":{}}`, `{"message":[]}`, `{"message":true}`, `{"message":""}`, `{"message":"","action":""}`, `{"message":" \u200b\u200d\u2800 "}`, `{"action":"` + strings.Repeat("a", 65) + `"}`, `{"action":"` + strings.Repeat("支", 65) + `"}`,
		`{"message":"` + strings.Repeat("x", 65537) + `"}`, `{"message":"` + strings.Repeat("é", 32769) + `"}`, `{"message":"x","severity":"loud"}`, `{"message":"x","severity":3}`, `{"message":"x","severity":null}`, `{"message":"x","severity":"ERROR "}`, `{"message":"x","severity":"ı"}`,
		`{"message":"x","timestamp":1700000000}`, `{"message":"x","timestamp":"1700000000"}`, `{"message":"x","timestamp":"2026-01-01"}`, `{"message":"x","timestamp":"2016-12-31T23:59:60Z"}`, `{"message":"x","timestamp":"2025-01-01T24:00:00Z"}`, `{"message":"x","timestamp":"2025-01-01T00:00:00+99:99"}`,
		`{"message":"x","timestamp":"2025-01-01t00:00:00z"}`, `{"message":"x","timestamp":"2025-01-01 00:00:00Z"}`, `{"message":"x","timestamp":"2025-01-01T00:00:00,5Z"}`, `{"message":"x","timestamp":"2025-01-01T00:00:00.1234567891Z"}`, `{"message":"x","timestamp":"2025-02-29T00:00:00Z"}`,
		`{"message":"x","timestamp":"9999-12-31T23:59:59Z"}`, `{"message":"x","timestamp":"0000-01-01T00:00:00Z"}`, `{"message":"x","timestamp":"1677-01-01T00:00:00Z"}`, `{"message":"x","timestamp":"1969-12-31T23:59:59.999999999Z"}`, `{"message":"x","timestamp":"2262-04-12T00:00:00Z"}`,
		`{"message":"x","tenant_id":"acme"}`, `{"message":"x","tenant_id":null}`, `{"message":"x","id":"1"}`, `{"message":"x","received_at":"2025-01-01T00:00:00Z"}`, `{"message":"x","changes":[]}`, `{"mesage":"x"}`, `{"Message":"x"}`, `{"message":"x","userId":"a"}`, `{"message":"x","":1}`,
		`{"message":"x","metadata":[]}`, `{"message":"x","metadata":null}`, `{"message":"x","metadata":"x"}`, `{"message":"x","before_state":1}`, `{"message":"x","metadata":{"":1}}`, `{"message":"x","metadata":{"a\u0000":1}}`, `{"message":"x","metadata":{"` + strings.Repeat("k", 129) + `":1}}`,
		`{"message":"x","metadata":{"a":1e309}}`, `{"message":"x","metadata":{"a":1e999999999}}`, `{"message":"x","metadata":{"a":-1e-999}}`, `{"message":"x","metadata":{"a":` + strings.Repeat("1", 33) + `}}`, `{"message":"x","metadata":{"a":01}}`, `{"message":"x","metadata":{"a":+1}}`, `{"message":"x","metadata":{"a":.5}}`, `{"message":"x","metadata":{"a":NaN}}`,
		`{"message":"x","metadata":{"a":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}}`, `{"message":"x","metadata":{"a":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + `}}`, strings.Repeat("[", 100000), `{"message":"x","metadata":{"a":[` + strings.Repeat(`"xxxxxxxxxx",`, 25000) + `1]}}`,
		`{"message":"x","trace_id":"abc"}`, `{"message":"x","trace_id":"00000000000000000000000000000000"}`, `{"message":"x","span_id":"xyz"}`, `{"message":"x","span_id":"0000000000000000"}`, `{"message":"x","event_id":""}`, `{"message":"x","event_id":"` + strings.Repeat("e", 129) + `"}`, `{"message":"x","event_id":"a\u0007"}`,
		`{"message":"x","ip_address":"10.0.0.256"}`, `{"message":"x","ip_address":"fe80::1%eth0"}`, `{"message":"x","ip_address":"10.0.0.1:80"}`, `{"message":"x","ip_address":"10.0.0.0/8"}`, `{"message":"x","schema_version":0}`, `{"message":"x","schema_version":1.5}`, `{"message":"x","schema_version":"1"}`, `{"message":"x","schema_version":2147483648}`,
		`{"message":"x","service":"` + strings.Repeat("s", 513) + `"}`, `{"message":"x","resource_id":"` + strings.Repeat("s", 1025) + `"}`, `{"message":"x","user_id":5,"service":[],"level":"x","metadata":{"":1e999}}`,
	} {
		all = append(all, post("junk", single, body), post("junk", bulk, body), post("junk", bulk, `{"logs":[`+body+`]}`), post("junk", bulk, `[{"message":"good"},`+body+`]`), post("junk", bulk, "{\"message\":\"good\"}\n"+body, "Content-Type: application/x-ndjson"))
	}
	for _, body := range []string{`{"logs":[]}`, `{"logs":{}}`, `{"logs":null}`, `{"logs":[{"message":"x"}],"logs":[]}`, `{"logs":[{"message":"x"}],"more":1}`, `{"log":[]}`, `[[]]`, `[null]`, `[1,"x",{}]`, `[{"message":"x"},]`, `[{"message":"x"}{"message":"y"}]`,
		`[{"message":"x","event_id":"e"},{"message":"y","event_id":"e"}]`, `[` + strings.Repeat(`{"message":1},`, 120) + `{}]`, `[` + strings.Repeat(`{"message":"x"},`, 10000) + `{"message":"x"}]`, `[` + strings.Repeat(`{"message":"x"},`, 998) + `{"message":2}]`} {
		all = append(all, post("junk", bulk, body))
	}
	all = append(all, post("junk", bulk, "\n\r\n \n", "Content-Type: application/x-ndjson"), post("junk", bulk, strings.Repeat("{\"message\":\"x\"}\n", 10001), "Content-Type: application/x-ndjson"),
		post("junk", bulk, `{"message":"`+strings.Repeat("x", 1<<20)+`"}`, "Content-Type: application/x-ndjson"), post("junk", bulk, strings.Repeat("{\"message\":\"x\"}\n", 500)+"{\"message\":7}\n"+"{\"message\":\"x\"}\n", "Content-Type: application/x-ndjson"))

	const x = `{"message":"x","timestamp":"2025-01-03T00:00:00Z"}`
	for _, h := range []string{"", "text/html", "application/json, text/html", "application/json; charset=utf-16", "application/json; charset=latin1", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/x-protobuf", "application/", "json", "Application/JSON; charset=\"UTF-8\"", "application/x-ndjson"} {
		all = append(all, post("junk", single, x, "Content-Type: "+h), post("junk", bulk, "["+x+"]", "Content-Type: "+h))
	}
	for _, e := range []string{"br", "deflate", "gzip, gzip", "gzip,zstd", "", "x-gzip"} {
		all = append(all, post("junk", single, x, isJSON, "Content-Encoding: "+e))
	}
	g, z := gzipped(x), zstded(x)
	for _, body := range []string{x, g + "x", g + g, g[:len(g)-1], g[:len(g)-9], g[:10], "", gzipped(""), gzipped(" "), z, g[:len(g)-8] + "\x00\x00\x00\x00" + g[len(g)-4:], gzipped(strings.Repeat(" ", 17<<20))} {
		all = append(all, post("junk", single, body, isJSON, "Content-Encoding: gzip"))
	}
	for _, body := range []string{x, z + "x", z + z, z[:len(z)-1], z[:6], "", zstded(""), g, "\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00", zstded(strings.Repeat(" ", 17<<20))} {
		all = append(all, post("junk", single, body, isJSON, "Content-Encoding: zstd"))
	}
	all = append(all, post("junk", single, g), post("junk", single, z), post("junk", single, x, isJSON, isJSON), post("junk", single, x, isJSON, "Content-Encoding: gzip", "Content-Encoding: gzip"))
	for _, k := range []string{"", "a b", "é", strings.Repeat("k", 255), strings.Repeat("k", 256)} {
		all = append(all, post("junk", single, x, isJSON, "Idempotency-Key: "+k))
	}
	all = append(all, post("junk", single, x, isJSON, "Idempotency-Key: a", "Idempotency-Key: a"), post("junk", single+"?x=1", x), post("junk", single+"?", x), post("junk", single+"?a;b", x), post("junk", bulk+"?%zz", x))
	return append(all, m.mutants(900)...)
}

// mutants are good bodies that something was done to; some of them stay good.
func (m *maker) mutants(n int) (all []request) {
	pieces := []string{`"`, `\`, `{`, `}`, `[`, `]`, `,`, `:`, "\x00", "\xff", " ", "\n", `null`, `1e999`, `-`, `"a":1,`, `"message":"b",`, `"tenant_id":"x",`, `\ud800`, "é", `"severity":"x",`, `"metadata":{"":1},`}
	scratch := &maker{m.Rand, m.now, map[string][]map[string]any{}} // these need not be found
	for i := range n {
		entries := []string{scratch.entry("junk", 100_000+i)}
		path, body := single, entries[0]
		if i%2 == 0 {
			path = bulk
			entries = append(entries, scratch.entry("junk", 200_000+i), scratch.entry("junk", 300_000+i))
			body = "[" + strings.Join(entries, ",") + "]"
		}
		for range 1 + m.IntN(2) {
			at := m.IntN(len(body))
			end := min(len(body), at+m.IntN(2)*m.IntN(9))
			body = body[:at] + pick(m, pieces...) + body[end:]
		}
		all = append(all, post("junk", path, body))
	}
	return all
}

// strangers are requests that are not about entries: routes, methods, credentials, tenants.
func (w *twins) strangers() (all []request) {
	const x = `{"message":"x","timestamp":"2025-01-04T00:00:00Z"}`
	for _, target := range []string{"/", "/api", "/api/v1", "//api/v1/logs", "/api/v1/logs/", "/API/v1/logs", "/api/v1/logs;x=1", "/api/v1/logs/x", "/api/v1/logs/%00", "/api/v1/logs/%ff", "/api/v1/logs/..%2f", "/api/v1/logs/bulk", "/api/v1/logs/bulk/x", "/api/v1/l%6fgs",
		"/api/v1/logs/00000000-0000-0000-0000-000000000000", "/api/v1/logs/0199c1f0-8a4e-7c3b-9f00-2f1d3c4b5a69", "/api/v1/logs/0199C1F0-8A4E-7C3B-9F00-2F1D3C4B5A69", "/api/v1/logs/0199c1f08a4e7c3b9f002f1d3c4b5a69", "/api/v1/logs/0199c1f0-8a4e-7c3b-9f00-2f1d3c4b5a69?x=1", "/api/v1/logs/0199c1f0-8a4e-7c3b-9f00-2f1d3c4b5a69/context",
		"/api/v1/tenants?x=1", "/api/v1/tenants/acme", "/metrics", "/debug/pprof/", "/health", "/health/live", "/health/ready", "/health/x", "/health?x=1", "/health/live?x=1", "/health/ready?x=1", "/api/v1/openapi.json", "/api/v1/openapi.json?v=1", "/api/v1/docs", "/api/v1/docs?x=1", "/api/v1/docs/", "/api/v1/docs/docs.css", "/api/v1/docs/docs.css?x=1", "/api/v1/docs/docs.js", "/favicon.ico", "/api/v1/logs?" + strings.Repeat("a", 8200), "/api/v1/logs/export?" + strings.Repeat("a", 8200)} {
		all = append(all, get("acme", target), get("", target))
	}
	for _, method := range []string{"PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "FOO", "get"} {
		for _, target := range []string{single, bulk, "/api/v1/tenants", "/health", "/nothing", "/api/v1/logs/0199c1f0-8a4e-7c3b-9f00-2f1d3c4b5a69"} {
			all = append(all, request{method: method, target: target, as: "acme"})
		}
	}
	for _, h := range []string{"Authorization: Bearer", "Authorization: Bearer  x", "Authorization: bearer x y", "Authorization: Basic YTpi", "Authorization: Bearer x", "Authorization: Bearer a.b.c", "Authorization: Bearer " + strings.Repeat(".", 12288), "X-API-Key: k",
		"Authorization: Bearer " + w.mint(`{"alg":"none"}`, `{}`), "Authorization: Bearer " + w.mint(`{"alg":"HS512"}`, `{}`), "Authorization: Bearer " + w.mint(`{"alg":"HS256","crit":["x"]}`, `{}`), "Authorization: Bearer " + w.mint(`{"alg":"HS256","typ":"at+jwt"}`, `{"tenants":["acme"],"roles":["admin"]}`),
		"Authorization: Bearer " + w.mint(`{"alg":"HS256","typ":"at+jwt"}`, `{"exp":1000000000,"tenants":["acme"],"roles":["admin"]}`), "Authorization: Bearer " + w.mint(`{"alg":"HS256"}`, `{"exp":1000000000,"typ":"id"}`), "Authorization: Bearer " + w.mint(`{"alg":"HS256","typ":"at+jwt"}`, `{"exp":99999999999,"tenants":["acme"],"roles":["admin"]}`),
		"Authorization: Bearer " + w.mint(`{"alg":"HS256","typ":"at+jwt","alg":"HS256"}`, `{}`), "Authorization: Bearer " + w.tokens["acme"][:len(w.tokens["acme"])-4] + "AAAA"} {
		all = append(all, get("", single, h), post("", single, x, isJSON, h), get("acme", single, h))
	}
	for _, as := range []string{"", "reader", "writer", "both", "nobody", "all-reader", "acme", "platform"} {
		for _, h := range []string{"", "X-Tenant-ID: acme", "X-Tenant-ID: zeta", "X-Tenant-ID: nobody", "X-Tenant-ID: acme,zeta", "X-Tenant-ID: ", "X-Tenant-ID: *", "X-Tenant-ID: ../acme", "X-Tenant-ID: ACME"} {
			all = append(all, get(as, single+"?limit=1&q=nothinglikethis", h), post(as, single, x, isJSON, h), get(as, "/api/v1/logs/0199c1f0-8a4e-7c3b-9f00-2f1d3c4b5a69", h), get(as, single+"?lvel=1", h), post(as, bulk, "["+x+"]", isJSON, h), post(as, single, `{`, isJSON, h))
		}
		for _, target := range []string{"", "?tenant=acme&q=nothinglikethis", "?tenant=zeta&q=nothinglikethis", "?tenant=acme&format=xlsx", "?tenant=acme&columns=id,nothing", "?tenant=acme&limit=0", "?tenant=acme&format=bigquery-schema&columns=id,metadata.a", "?tenant=acme&cursor=x", "?tenant=acme&total=exact", "?tenant=acme&sort=recorded&until=x", "?tenant=acme&until=x"} {
			all = append(all, get(as, "/api/v1/logs/export"+target))
		}
		for _, target := range []string{"?limit=1", "?tenant=nobody", "?after=x", "?" + strings.Repeat("a", 8200)} {
			all = append(all, get(as, "/api/v1/logs/stream"+target))
		}
		all = append(all, get(as, "/api/v1/logs/stream?tenant=acme", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 99", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="))
		all = append(all, get(as, usage), get(as, usage, "X-Tenant-ID: acme"), get(as, usage+"?x=1"), post(as, "/api/v1/tenants", `{"id":"acme"}`), post(as, "/api/v1/tenants", `{"id":"A"}`))
	}
	all = append(all, get("acme", single, "X-Tenant-ID: acme", "X-Tenant-ID: acme"), get("acme", single+"?api_key=k"), get("", single+"?access_token=k"), get("acme", single+"?tenant=zeta"))
	for _, body := range []string{``, `{}`, `[]`, `{"id":1}`, `{"id":null}`, `{"id":"ab"}`, `{"id":"a/../b"}`, `{"id":"*"}`, `{"id":"_all"}`, `{"id":"\u0430cme"}`, `{"id":"` + strings.Repeat("a", 41) + `"}`, `{"id":"ok-1","name":"` + strings.Repeat("n", 201) + `"}`, `{"id":"ok-1","name":"a\u0000"}`, `{"id":"ok-1","role":"admin"}`,
		`{"id":"ok-1","id":"ok-2"}`, `{"id":"ok-1"`, `{"id":"ok-1","name":5}`, `{"id":"zeta","name":"again"}`, `{"id":"ok-1"} x`} {
		all = append(all, post("platform", "/api/v1/tenants", body))
	}
	all = append(all, post("platform", "/api/v1/tenants", `{"id":"x"}`, "Content-Type: text/plain"), post("acme", "/api/v1/tenants", `{"id":"mine"}`), post("platform", "/api/v1/tenants", strings.Repeat(" ", 65<<10)))
	for _, h := range []string{"X-Request-ID: mine-1.2_3", "X-Request-ID: not mine", "X-Request-ID: " + strings.Repeat("r", 129), "X-Request-ID: ", "X-Forwarded-For: 10.0.0.1", "X-HTTP-Method-Override: DELETE", "Accept: text/html", "Accept-Encoding: gzip", "Range: bytes=0-1"} {
		all = append(all, get("acme", single+"?limit=0", h))
	}
	return all
}
