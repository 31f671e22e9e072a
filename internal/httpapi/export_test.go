package httpapi

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// exportWorld is a server with entries of two tenants: a hundred of acme, three of zeta.
func exportWorld(t *testing.T, change ...func(*parts)) *world {
	w := newWorld(t, change...)
	var entries []logentry.Entry
	for i := range 100 {
		entries = append(entries, logentry.Entry{Message: fmt.Sprintf("payment %d of acme", i), Service: []string{"billing", "shop"}[i%2], UserID: "=cmd()"})
	}
	w.put(t, "acme", entries...)
	w.put(t, "zeta", logentry.Entry{Message: "payment of zeta"}, logentry.Entry{Message: "b"}, logentry.Entry{Message: "c"})
	return w
}

// download sends a request over a connection, so that there are trailers and a broken transfer is seen.
func (w *world) download(t *testing.T, address string, header http.Header, params string, more ...string) (answer, http.Header, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/api/v1/logs/export?"+params, nil)
	must(t, err)
	r.Header = header.Clone()
	for i := 0; i+1 < len(more); i += 2 {
		r.Header.Set(more[i], more[i+1])
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}).Do(r)
	must(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, body}, res.Trailer, err
}

func textLines(b []byte) []string { return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n") }

func TestAnExportIsWhatASearchFinds(t *testing.T) {
	w := exportWorld(t)
	address := listen(t, w)
	acme := authHeader(t, "acme", "reader")
	for _, params := range []string{"", "service=billing", "service=!billing", "q=payment&sort=timestamp", "q=%22payment+7%22", "search=nothing", "sort=received_at&service=shop"} {
		a, trailer, err := w.download(t, address, acme, params)
		if err != nil || a.status != http.StatusOK {
			t.Fatalf("%s: %d %s %v", params, a.status, a.body, err)
		}
		found := w.search(t, acme, params+"&limit=1000&total=exact")
		got := textLines(a.body)
		if want := fmt.Sprintf(`{"complete":true,"count":%d}`, *found.Meta.Pagination.Total); got[len(got)-1] != want || trailer.Get("X-Export-Rows") != fmt.Sprint(*found.Meta.Pagination.Total) {
			t.Fatalf("%s: the last line is %s, the trailer %v, want %s", params, got[len(got)-1], trailer, want)
		}
		for i, line := range got[:len(got)-1] {
			var e map[string]any
			if err := json.Unmarshal([]byte(line), &e); err != nil || e["id"] != found.Data[i]["id"] || e["tenant_id"] != "acme" {
				t.Fatalf("%s: line %d is %s, the search has %v", params, i, line, found.Data[i]["id"])
			}
		}
		if sum := sha256.Sum256(a.body); trailer.Get("X-Export-Sha256") != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: the hash is %s", params, trailer.Get("X-Export-Sha256"))
		}
	}
}

func TestFormatsOfExports(t *testing.T) {
	w := exportWorld(t)
	address := listen(t, w)
	zeta := authHeader(t, "zeta", "reader")
	for params, c := range map[string]struct{ contentType, extension, body, escaping string }{
		"format=csv&columns=message,tenant_id&sort=timestamp":        {"text/csv; charset=utf-8; header=present", "csv", "message,tenant_id\r\npayment of zeta,zeta\r\nb,zeta\r\nc,zeta\r\n", "apostrophe"},
		"format=csv&columns=message,metadata.x&sort=timestamp&raw=1": {"text/csv; charset=utf-8; header=present", "csv", "message,metadata.x\r\npayment of zeta,\r\nb,\r\nc,\r\n", "none"},
		"format=json&columns=message&sort=timestamp":                 {"application/json", "json", "[\n{\"message\":\"payment of zeta\"},\n{\"message\":\"b\"},\n{\"message\":\"c\"}\n]\n", ""},
		"format=bigquery&columns=message,severity&sort=-timestamp":   {"application/x-ndjson", "ndjson", "{\"message\":\"c\",\"severity\":\"INFO\"}\n{\"message\":\"b\",\"severity\":\"INFO\"}\n{\"message\":\"payment of zeta\",\"severity\":\"INFO\"}\n", ""},
		"format=ndjson&columns=message&q=b":                          {"application/x-ndjson", "ndjson", "{\"message\":\"b\"}\n{\"complete\":true,\"count\":1}\n", ""},
		"format=json&q=absent":                                       {"application/json", "json", "[\n]\n", ""},
	} {
		a, _, err := w.download(t, address, zeta, params)
		if err != nil || a.status != http.StatusOK || string(a.body) != c.body || a.header.Get("Content-Type") != c.contentType || a.header.Get("X-Csv-Escaping") != c.escaping {
			t.Errorf("%s: %d %v %s %v", params, a.status, a.header, a.body, err)
		}
		var id string
		if n, err := fmt.Sscanf(a.header.Get("Content-Disposition"), `attachment; filename="export-%s`, &id); n != 1 || err != nil || !strings.HasSuffix(id, "."+c.extension+`"`) || strings.Trim(strings.TrimSuffix(id, "."+c.extension+`"`), "abcdefghijklmnopqrstuvwxyz234567") != "" {
			t.Errorf("%s: %s", params, a.header.Get("Content-Disposition"))
		}
	}
	schema := w.do(t, zeta, http.MethodGet, "/api/v1/logs/export?format=bigquery-schema&columns=message", "")
	if schema.status != http.StatusOK || string(schema.body) != "[\n  {\"name\": \"message\", \"type\": \"STRING\", \"mode\": \"NULLABLE\"}\n]\n" {
		t.Errorf("%d %s", schema.status, schema.body)
	}
	formulas := w.do(t, authHeader(t, "acme", "reader"), http.MethodGet, "/api/v1/logs/export?format=csv&columns=user_id&limit=1", "")
	if string(formulas.body) != "user_id\r\n\"'=cmd()\"\r\n" {
		t.Errorf("%s", formulas.body)
	}
}

func TestExportsAreCompressedOnRequest(t *testing.T) {
	w := exportWorld(t)
	address := listen(t, w)
	acme := authHeader(t, "acme", "reader")
	plain, _, err := w.download(t, address, acme, "")
	must(t, err)
	for asked, c := range map[string]struct {
		encoding string
		open     func(io.Reader) (io.Reader, error)
	}{
		"gzip":                      {"gzip", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
		"deflate, GZIP;q=0.5":       {"gzip", func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) }},
		"gzip, deflate, br, zstd":   {"zstd", func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r) }},
		"gzip;q=0, zstd; q=0.0, br": {"", func(r io.Reader) (io.Reader, error) { return r, nil }},
		"identity":                  {"", func(r io.Reader) (io.Reader, error) { return r, nil }},
	} {
		a, trailer, err := w.download(t, address, acme, "", "Accept-Encoding", asked)
		must(t, err)
		r, err := c.open(bytes.NewReader(a.body))
		must(t, err)
		body, err := io.ReadAll(r)
		if err != nil || a.header.Get("Content-Encoding") != c.encoding || !bytes.Equal(body, plain.body) || a.header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: %v, %d bytes, want %d, %v", asked, a.header, len(body), len(plain.body), err)
		}
		if sum := sha256.Sum256(body); trailer.Get("X-Export-Sha256") != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: the hash is not that of the text", asked)
		}
	}
}

func TestExportsGoOnWhereTheyEnded(t *testing.T) {
	w := exportWorld(t)
	acme := authHeader(t, "acme", "reader")
	for _, params := range []string{"limit=33", "limit=33&sort=timestamp", "limit=33&sort=-received_at&q=payment"} {
		var ids []string
		next := ""
		for range 10 {
			a := w.do(t, acme, http.MethodGet, "/api/v1/logs/export?"+params+next, "")
			got := textLines(a.body)
			var last struct {
				Complete bool
				Count    int
				Next     string `json:"next_cursor"`
			}
			must(t, json.Unmarshal([]byte(got[len(got)-1]), &last))
			if !last.Complete || last.Count != len(got)-1 {
				t.Fatalf("%s: %d lines, the last %s", params, len(got), got[len(got)-1])
			}
			for _, line := range got[:len(got)-1] {
				ids = append(ids, line[:45])
			}
			if last.Next == "" {
				break
			}
			next = "&cursor=" + last.Next
		}
		unique := slices.Compact(slices.Sorted(slices.Values(ids)))
		if len(ids) != 100 || len(unique) != 100 {
			t.Errorf("%s: %d entries, %d different ones", params, len(ids), len(unique))
		}
	}
	marked := textLines(w.do(t, acme, http.MethodGet, "/api/v1/logs/export?marks=1", "").body)
	if len(marked) != 101 { // fewer than a mark comes after
		t.Errorf("%d lines", len(marked))
	}
	f := w.search(t, acme, "limit=60") // a page's cursor is an export's too
	if rest := textLines(w.do(t, acme, http.MethodGet, "/api/v1/logs/export?cursor="+*f.Meta.Pagination.Next, "").body); len(rest) != 41 {
		t.Errorf("%d lines after a page of 60", len(rest))
	}
}

func TestRefusedExports(t *testing.T) {
	w := exportWorld(t)
	both := authHeader(t, "acme,zeta", "reader")
	for name, c := range map[string]struct {
		header http.Header
		params string
		more   []string
		status int
		code   string
	}{
		"nobody":                          {http.Header{}, "", nil, 401, "unauthenticated"},
		"a writer":                        {authHeader(t, "acme", "writer"), "", nil, 403, "insufficient_role"},
		"a token in the URL":              {http.Header{}, "token=x", nil, 401, "credentials_in_url"},
		"no tenant named of two":          {both, "", nil, 400, "tenant_required"},
		"a tenant named in the URL":       {both, "tenant=acme", nil, 200, ""},
		"the same in the header too":      {both, "tenant=acme", []string{"X-Tenant-Id", "acme"}, 400, "ambiguous_tenant"},
		"two named in the URL":            {both, "tenant=acme&tenant=zeta", nil, 400, "ambiguous_tenant"},
		"somebody else's":                 {authHeader(t, "acme", "reader"), "tenant=zeta", nil, 403, "tenant_forbidden"},
		"one that there is not":           {authHeader(t, "acme", "reader"), "tenant=nothere", nil, 403, "tenant_forbidden"},
		"one with a line break":           {authHeader(t, "acme", "reader"), "tenant=acme%0d%0aX-A:1", nil, 403, "tenant_forbidden"},
		"a format that there is not":      {both, "tenant=acme&format=xlsx", nil, 400, "format_invalid"},
		"Parquet":                         {both, "tenant=acme&format=parquet", nil, 400, "format_invalid"},
		"a format twice":                  {both, "tenant=acme&format=csv&format=csv", nil, 400, "repeated_parameter"},
		"a column that there is not":      {both, "tenant=acme&columns=id,mesage", nil, 400, "column_invalid"},
		"raw that is neither":             {both, "tenant=acme&raw=yes", nil, 400, "value_invalid"},
		"marks in CSV":                    {both, "tenant=acme&format=csv&marks=1", nil, 400, "value_invalid"},
		"a limit of nothing":              {both, "tenant=acme&limit=0", nil, 400, "limit_invalid"},
		"a limit beyond 64 bits":          {both, "tenant=acme&limit=99999999999999999999", nil, 400, "limit_invalid"},
		"a total":                         {both, "tenant=acme&total=exact", nil, 400, "unknown_parameter"},
		"a skip":                          {both, "tenant=acme&skip=1", nil, 400, "unknown_parameter"},
		"a filter that there is not":      {both, "tenant=acme&lvel=x", nil, 400, "unknown_parameter"},
		"a question that can't be read":   {both, "tenant=acme&q=*a", nil, 400, "query_too_expensive"},
		"a bad escape":                    {both, "tenant=%zz", nil, 400, "tenant_required"},
		"a cursor that is none":           {both, "tenant=acme&cursor=x", nil, 400, "cursor_invalid"},
		"a tenant where none is a link's": {both, "", nil, 400, "tenant_required"},
	} {
		a := w.do(t, c.header, http.MethodGet, "/api/v1/logs/export?"+c.params, "", c.more...)
		if a.status != c.status || a.problem().Code != c.code {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if a.status != 200 && a.header.Get("Content-Disposition") != "" {
			t.Errorf("%s: a refusal is a download", name)
		}
	}
	if a := w.do(t, both, http.MethodGet, "/api/v1/logs?tenant=acme", "", "X-Tenant-Id", "acme"); a.problem().Code != "unknown_parameter" {
		t.Errorf("elsewhere: %d %s", a.status, a.body)
	}
}

// halting is a record whose exports stop at an entry until they are let go, and may fail there.
type halting struct {
	store.Store
	at    int
	let   chan struct{}
	err   error
	ended chan error
}

func (h *halting) Export(ctx context.Context, t auth.Tenant, q query.Query, yield func(logentry.Record) error) error {
	n := 0
	err := h.Store.Export(ctx, t, q, func(r logentry.Record) error {
		if n++; n == h.at {
			select {
			case <-h.let:
			case <-ctx.Done():
				return ctx.Err()
			}
			if h.err != nil {
				return h.err
			}
		}
		return yield(r)
	})
	if h.ended != nil {
		h.ended <- err
	}
	return err
}

// TestATenantHasSoManyExportsAtATime is H4; that a long export takes little memory is tested with the record.
func TestATenantHasSoManyExportsAtATime(t *testing.T) {
	h := &halting{at: 1, let: make(chan struct{})}
	w := exportWorld(t, func(p *parts) {
		h.Store = p.reading.Store.(store.Store)
		p.reading.Store, p.cfg.TenantExports = h, 3
	})
	acme := authHeader(t, "acme", "reader")
	answers := make(chan answer)
	for range 100 {
		go func() { answers <- w.do(t, acme, http.MethodGet, "/api/v1/logs/export", "") }()
	}
	for range 97 {
		if a := <-answers; a.status != http.StatusTooManyRequests || a.problem().Code != "export_quota" || a.header.Get("Retry-After") == "" {
			t.Errorf("%d %.200s", a.status, a.body)
		}
	}
	other := make(chan answer)
	go func() { other <- w.do(t, authHeader(t, "zeta", "reader"), http.MethodGet, "/api/v1/logs/export", "") }()
	close(h.let)
	if a := <-other; a.status != http.StatusOK {
		t.Errorf("another tenant: %d %s", a.status, a.body)
	}
	for range 3 {
		if a := <-answers; a.status != http.StatusOK || len(textLines(a.body)) != 101 {
			t.Errorf("%d %.200s", a.status, a.body)
		}
	}
	if a := w.do(t, acme, http.MethodGet, "/api/v1/logs/export", ""); a.status != http.StatusOK {
		t.Errorf("after them: %d %s", a.status, a.body)
	}
}

// manyEntries are more than fit into what is written at once.
func manyEntries(w *world, t *testing.T) {
	var entries []logentry.Entry
	for i := range 2000 {
		entries = append(entries, logentry.Entry{Message: fmt.Sprintf("%d %s", i, strings.Repeat("x", 200))})
	}
	w.put(t, "acme", entries...)
}

// TestAnExportThatFailsIsSeenToBeBroken is H5 without the kill, which is in tests/e2e.
func TestAnExportThatFailsIsSeenToBeBroken(t *testing.T) {
	h := &halting{at: 1500, let: make(chan struct{}), err: errors.New("the disk is gone"), ended: make(chan error, 5)}
	close(h.let)
	w := newWorld(t, func(p *parts) {
		h.Store = p.reading.Store.(store.Store)
		p.reading.Store = h
	})
	manyEntries(w, t)
	address := listen(t, w)
	acme := authHeader(t, "acme", "reader")
	for _, encoding := range []string{"identity", "gzip", "zstd"} {
		a, trailer, err := w.download(t, address, acme, "", "Accept-Encoding", encoding)
		if !errors.Is(err, io.ErrUnexpectedEOF) || trailer.Get("X-Export-Rows") != "" || bytes.Contains(a.body, []byte("complete")) {
			t.Errorf("%s: %v, trailer %v, %d bytes", encoding, err, trailer, len(a.body))
		}
	}
	a, _, err := w.download(t, address, acme, "marks=1&format=ndjson")
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	// What came whole before the last mark is kept; the cursor gives the rest, each once.
	var ids []string
	cursor := ""
	all := textLines(a.body)
	for i, line := range all {
		var mark struct {
			Cursor string
			Count  int
		}
		if strings.HasPrefix(line, `{"cursor":`) && i < len(all)-1 {
			must(t, json.Unmarshal([]byte(line), &mark))
			cursor = mark.Cursor
			ids = nil
			for _, l := range all[:i] {
				if strings.HasPrefix(l, `{"id":`) {
					ids = append(ids, l[:45])
				}
			}
			if len(ids) != mark.Count {
				t.Fatalf("a mark after %d entries says %d", len(ids), mark.Count)
			}
		}
	}
	if cursor == "" {
		t.Fatalf("no mark in %d lines", len(all))
	}
	for range 4 {
		if err := <-h.ended; !errors.Is(err, h.err) {
			t.Errorf("an export ended with %v", err)
		}
	}
	h.err = nil
	rest := w.do(t, acme, http.MethodGet, "/api/v1/logs/export?marks=0&cursor="+cursor, "")
	for _, l := range textLines(rest.body) {
		if strings.HasPrefix(l, `{"id":`) {
			ids = append(ids, l[:45])
		}
	}
	if unique := slices.Compact(slices.Sorted(slices.Values(ids))); len(ids) != 2000 || len(unique) != 2000 {
		t.Errorf("%d entries, %d different ones", len(ids), len(unique))
	}
}

func TestAnExportEndsWithItsCaller(t *testing.T) {
	h := &halting{at: 1500, let: make(chan struct{}), ended: make(chan error, 1)}
	w := newWorld(t, func(p *parts) {
		h.Store = p.reading.Store.(store.Store)
		p.reading.Store = h
	})
	manyEntries(w, t)
	address := listen(t, w)
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/api/v1/logs/export", nil)
	must(t, err)
	r.Header = authHeader(t, "acme", "reader")
	res, err := http.DefaultClient.Do(r)
	must(t, err)
	defer res.Body.Close()
	if _, err := bufio.NewReader(res.Body).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	leave()
	select {
	case err := <-h.ended:
		if !errors.Is(err, context.Canceled) && !errors.Is(err, errGone) {
			t.Errorf("the record was left with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the record is still asked")
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestAnExportOutlivesTheDeadlinesOfSmallRequests(t *testing.T) {
	h := &halting{at: 1500, let: make(chan struct{})}
	w := newWorld(t, func(p *parts) {
		h.Store = p.reading.Store.(store.Store)
		p.reading.Store = h
		p.cfg.WriteTimeout, p.cfg.BodyTimeout = 200*time.Millisecond, 200*time.Millisecond
	})
	manyEntries(w, t)
	address := listen(t, w)
	time.AfterFunc(600*time.Millisecond, func() { close(h.let) })
	a, trailer, err := w.download(t, address, authHeader(t, "acme", "reader"), "")
	if err != nil || trailer.Get("X-Export-Rows") != "2000" {
		t.Errorf("%v after %d bytes, %v", err, len(a.body), trailer)
	}
}

func TestAScopeBoundsAnExport(t *testing.T) {
	w := exportWorld(t)
	token, _, _, err := auth.Mint(authtest.Secret, auth.Claims{Subject: "part", Tenants: []string{"acme"}, Roles: []string{"reader"}, TTL: time.Hour, Filter: "service:billing"})
	must(t, err)
	part := http.Header{"Authorization": {"Bearer " + token}}
	for params, want := range map[string]int{"": 50, "service=shop": 0, "q=payment": 50} {
		if got := textLines(w.do(t, part, http.MethodGet, "/api/v1/logs/export?"+params, "").body); len(got)-1 != want {
			t.Errorf("%s: %d entries, want %d", params, len(got)-1, want)
		}
	}
}
