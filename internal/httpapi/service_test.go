package httpapi

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/ocelot-log/ocelot/docs"
	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/ingest"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

func TestTenantsAreCreatedByPlatformAdminsAndUsedAtOnce(t *testing.T) {
	w := newWorld(t)
	admin := authHeader(t, "*", "admin")
	nova := authHeader(t, "nova", "reader")
	if a := w.do(t, nova, http.MethodGet, "/api/v1/logs", ""); a.status != http.StatusUnauthorized || a.problem().Code != "tenant_disabled" {
		t.Fatalf("before: %d %s", a.status, a.body)
	}
	a := w.do(t, admin, http.MethodPost, "/api/v1/tenants", `{"id":"nova","name":"Nova Ltd"}`)
	if a.status != http.StatusCreated || !strings.Contains(string(a.body), `{"data":{"id":"nova","name":"Nova Ltd","created_at":"`) {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := w.do(t, nova, http.MethodGet, "/api/v1/logs", ""); a.status != http.StatusOK {
		t.Errorf("after: %d %s", a.status, a.body)
	}
	if a := w.do(t, admin, http.MethodPost, "/api/v1/tenants", `{"id":"nova"}`); a.status != http.StatusConflict || a.problem().Code != "tenant_exists" {
		t.Errorf("again: %d %s", a.status, a.body)
	}
	for who, want := range map[string]string{"*": "acme nova zeta", "acme": "acme", "zeta,acme,gone": "acme zeta"} {
		var got struct{ Data []tenantBody }
		a := w.do(t, authHeader(t, who, "admin"), http.MethodGet, "/api/v1/tenants", "")
		must(t, json.Unmarshal(a.body, &got))
		var slugs []string
		for _, tn := range got.Data {
			slugs = append(slugs, tn.ID)
		}
		if strings.Join(slugs, " ") != want {
			t.Errorf("%s sees %s", who, a.body)
		}
	}
}

func TestBodiesOfTenantsAreRefused(t *testing.T) {
	w := newWorld(t)
	for body, c := range map[string]struct {
		status  int
		code    string
		pointer string
	}{
		`{"id":"a/../b"}`:                 {422, "tenant_slug_invalid", "/id"},
		`{"id":"Acme"}`:                   {422, "tenant_slug_invalid", "/id"},
		`{"id":"аcme"}`:                   {422, "tenant_slug_invalid", "/id"},
		`{"id":"*"}`:                      {422, "tenant_slug_invalid", "/id"},
		`{"id":""}`:                       {422, "tenant_slug_invalid", "/id"},
		`{"name":"x"}`:                    {422, "required", "/id"},
		`{"id":null}`:                     {422, "required", "/id"},
		`{"id":7}`:                        {422, "field_wrong_type", "/id"},
		`[]`:                              {422, "field_wrong_type", ""},
		`{"id":"okay","name":"a\u0000b"}`: {422, "tenant_name_invalid", "/name"},
		`{"id":"okay","name":"` + strings.Repeat("x", 201) + `"}`:    {422, "tenant_name_invalid", "/name"},
		`{"id":"okay","role":"admin"}`:                               {400, "unknown_field", ""},
		`{"ID":"okay"}`:                                              {400, "unknown_field", ""},
		`{"id":"okay","id":"okay"}`:                                  {400, "json_duplicate_key", ""},
		`{"id":"okay"}{}`:                                            {400, "json_invalid", ""},
		`{"id":"okay"`:                                               {400, "json_invalid", ""},
		"{\"id\":\"okay\",\"name\":\"\xff\"}":                        {400, "json_invalid", ""},
		`{"id":"okay","name":"` + strings.Repeat("x", 70_000) + `"}`: {413, "body_too_large", ""},
		`{"id":"okay","name":["x"]}`:                                 {422, "field_wrong_type", "/name"},
	} {
		a := w.do(t, authHeader(t, "*", "admin"), http.MethodPost, "/api/v1/tenants", body)
		p := a.problem()
		if a.status != c.status || p.Code != c.code || c.pointer != "" && (len(p.Errors) != 1 || p.Errors[0].Pointer != c.pointer) {
			t.Errorf("%.60s: %d %s", body, a.status, a.body)
		}
	}
	if a := w.do(t, authHeader(t, "*", "admin"), http.MethodPost, "/api/v1/tenants", "", "Content-Type", "application/json"); a.problem().Code != "body_empty" {
		t.Errorf("nothing: %d %s", a.status, a.body)
	}
}

func TestTheDescriptionHasEveryRouteAndNoOther(t *testing.T) {
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string                    `yaml:"operationId"`
			Security    *[]map[string]any         `yaml:"security"`
			Responses   map[string]map[string]any `yaml:"responses"`
		} `yaml:"paths"`
	}
	must(t, yaml.Unmarshal(docs.OpenAPI, &doc))
	described := map[string]bool{}
	for path, operations := range doc.Paths {
		for method := range operations {
			described[strings.ToUpper(method)+" "+path] = true
		}
	}
	served, operations := map[string]bool{}, map[string]bool{}
	for _, r := range routes {
		path := pathParameter.ReplaceAllStringFunc(r.path, func(name string) string { return "{" + name[1:] + "}" })
		served[r.method+" "+path] = true
		op := doc.Paths[path][strings.ToLower(r.method)]
		if (op.Security != nil) != (r.access == open) {
			t.Errorf("%s %s: who may is described wrongly", r.method, path)
		}
		if _, ok := op.Responses["401"]; ok == (r.access == open) {
			t.Errorf("%s %s: 401 is described wrongly", r.method, path)
		}
		if op.OperationID == "" || operations[op.OperationID] {
			t.Errorf("%s %s: operationId %q", r.method, path, op.OperationID)
		}
		operations[op.OperationID] = true
	}
	if a, b := slices.Sorted(maps.Keys(described)), slices.Sorted(maps.Keys(served)); !slices.Equal(a, b) {
		t.Errorf("described: %v\nserved: %v", a, b)
	}
}

func TestTheDescriptionIsServedAsJSONWithoutLooseEnds(t *testing.T) {
	a := newWorld(t).do(t, http.Header{}, http.MethodGet, "/api/v1/openapi.json", "")
	var doc map[string]any
	if err := json.Unmarshal(a.body, &doc); err != nil || a.status != http.StatusOK || doc["openapi"] != "3.1.0" {
		t.Fatalf("%d %.200s %v", a.status, a.body, err)
	}
	refs := 0
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, x := range v {
				walk(x)
			}
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				refs++
				var at any = doc
				for _, name := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
					m, _ := at.(map[string]any)
					at = m[name]
				}
				if at == nil {
					t.Errorf("%s leads nowhere", ref)
				}
			}
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(doc)
	if refs < 50 {
		t.Errorf("only %d references", refs)
	}
}

func TestTheSecondListener(t *testing.T) {
	w := newWorld(t, func(p *parts) { p.cfg.Version = "v1.2.3" })
	w.do(t, http.Header{}, http.MethodGet, "/no/such/path", "")
	h := w.MetricsHandler()
	_ = w.MetricsHandler() // a second one is no conflict
	for path, want := range map[string]string{"/metrics": `ocelot_build_info{version="v1.2.3"} 1`, "/health/ready": "ready", "/debug/pprof/": "goroutine"} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
		if rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), want) {
			t.Errorf("%s: %d %.200s", path, rec.Code, rec.Body)
		}
		if path == "/metrics" && (!strings.Contains(rec.Body.String(), `ocelot_http_requests_total{method="GET",route="none",status="404"} 1`) || !strings.Contains(rec.Body.String(), "go_goroutines")) {
			t.Errorf("%s", rec.Body)
		}
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/api/v1/logs", nil))
	if rec.Code != http.StatusNotFound {
		t.Errorf("the API on the second listener: %d", rec.Code)
	}
}

func TestAStopAnswersWhatIsRunning(t *testing.T) {
	taken, release := make(chan struct{}), make(chan struct{})
	w := newWorld(t, func(p *parts) {
		p.writing.Ingest = accept(func(context.Context, auth.Tenant, ingest.Batch) (ingest.Receipt, error) {
			close(taken)
			<-release
			return ingest.Receipt{IDs: make([]logentry.ID, 1)}, nil
		})
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- w.Serve(ctx, l) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	post := func() (int, error) {
		r, err := http.NewRequest(http.MethodPost, "http://"+l.Addr().String()+"/api/v1/logs", strings.NewReader(`{"message":"x"}`))
		if err != nil {
			return 0, err
		}
		r.Header = authHeader(t, "acme", "writer")
		r.Header.Set("Content-Type", "application/json")
		res, err := client.Do(r)
		if err != nil {
			return 0, err
		}
		_, _ = io.Copy(io.Discard, res.Body)
		return res.StatusCode, res.Body.Close()
	}
	type result struct {
		status int
		err    error
	}
	first := make(chan result, 1)
	go func() { status, err := post(); first <- result{status, err} }()
	<-taken
	stop()
	for !w.stopping.Load() {
		select {
		case err := <-served:
			t.Fatalf("it stopped while a request was running: %v", err)
		default:
		}
	}
	close(release)
	if r := <-first; r.status != http.StatusAccepted || r.err != nil {
		t.Errorf("the running request: %d %v", r.status, r.err)
	}
	if err := <-served; err != nil {
		t.Errorf("stopped with %v", err)
	}
	if status, err := post(); err == nil {
		t.Errorf("a request after the stop: %d", status)
	}
}

func TestAListenerThatFailsIsAnError(t *testing.T) {
	w := newWorld(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, l.Close())
	if err := w.Serve(t.Context(), l); err == nil {
		t.Error("no error")
	}
	if err := w.Run(t.Context(), "256.0.0.1:1"); err == nil {
		t.Error("no error")
	}
}

func TestAMissingCollaboratorIsAnError(t *testing.T) {
	w := newWorld(t)
	for name, change := range map[string]func(*parts){
		"auth":    func(p *parts) { p.access.Auth = nil },
		"ingest":  func(p *parts) { p.writing.Ingest = nil },
		"masks":   func(p *parts) { p.writing.Masks = nil },
		"audit":   func(p *parts) { p.writing.Audit = nil },
		"cursors": func(p *parts) { p.reading.Cursors = nil },
	} {
		p := parts{access: w.access, writing: w.writing, reading: w.reading}
		change(&p)
		if _, err := New(p.cfg, p.access, p.writing, p.reading, w.tel); err == nil {
			t.Errorf("without %s: no error", name)
		}
	}
}
