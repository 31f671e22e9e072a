package httpapi

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/ocelot-log/ocelot/docs"
)

func TestTheDescriptionAsAPageHasEverythingOnce(t *testing.T) {
	a := newWorld(t).do(t, http.Header{}, http.MethodGet, "/api/v1/docs", "")
	page := string(a.body)
	if a.status != http.StatusOK || a.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("%d %v", a.status, a.header)
	}
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string         `yaml:"operationId"`
			Summary     string         `yaml:"summary"`
			Responses   map[string]any `yaml:"responses"`
		} `yaml:"paths"`
		Components struct {
			Schemas map[string]any `yaml:"schemas"`
		} `yaml:"components"`
	}
	must(t, yaml.Unmarshal(docs.OpenAPI, &doc))
	for path, methods := range doc.Paths {
		for method, o := range methods {
			_, after, ok := strings.Cut(page, `<article id="op-`+o.OperationID+`">`)
			article, _, _ := strings.Cut(after, "</article>")
			if !ok || strings.Contains(after, `<article id="op-`+o.OperationID+`">`) {
				t.Errorf("%s is not there once", o.OperationID)
			}
			for _, want := range []string{strings.ToUpper(method) + "</span>", "<code>" + path + "</code>", "<strong>" + prose(o.Summary) + "</strong>", `<span class="dim">` + o.OperationID} {
				if !strings.Contains(article, want) {
					t.Errorf("%s: no %s", o.OperationID, want)
				}
			}
			for status := range o.Responses {
				if !strings.Contains(article, "<code>"+status+"</code>") {
					t.Errorf("%s: no answer %s", o.OperationID, status)
				}
			}
		}
	}
	for name := range doc.Components.Schemas {
		if strings.Count(page, `id="schema-`+name+`"`) != 1 {
			t.Errorf("%s is not there once", name)
		}
	}
	for _, link := range regexp.MustCompile(`href="#([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if !strings.Contains(page, `id="`+link[1]+`"`) {
			t.Errorf("#%s leads nowhere", link[1])
		}
	}
	if !strings.Contains(page, "&#34;name&#34;: &#34;Declined cards&#34;") {
		t.Error("the examples are not there as JSON")
	}
}

func TestThePageIsWholeAndLoadsNothingFromElsewhere(t *testing.T) {
	w := newWorld(t)
	a := w.do(t, http.Header{}, http.MethodGet, "/api/v1/docs", "")
	if policy := a.header.Get("Content-Security-Policy"); policy != docsPolicy || len(a.header.Values("Content-Security-Policy")) != 1 {
		t.Errorf("the policy is %q", a.header.Values("Content-Security-Policy"))
	}
	page := string(a.body)
	for _, link := range regexp.MustCompile(`(?:href|src|action|srcset)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if to := link[1]; !strings.HasPrefix(to, "#") && to != "/api/v1/docs/docs.css" && to != "/api/v1/openapi.json" {
			t.Errorf("it leads to %s", to)
		}
	}
	for _, not := range []string{"<script", "<style", " style=", " onclick=", "<img", "<nil>", "%!", "map["} {
		if strings.Contains(page, not) {
			t.Errorf("it has %s", not)
		}
	}
	// Every element is closed in its turn, but for those that have no end.
	d := xml.NewDecoder(strings.NewReader(regexp.MustCompile(`<(!doctype|meta|link|br)[^>]*>`).ReplaceAllString(page, "")))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	style := w.do(t, http.Header{}, http.MethodGet, "/api/v1/docs/docs.css", "")
	css := string(style.body)
	if style.status != http.StatusOK || style.header.Get("Content-Type") != "text/css; charset=utf-8" || !strings.Contains(css, "prefers-color-scheme: dark") {
		t.Errorf("%d %v", style.status, style.header)
	}
	if strings.Contains(css, "url(") || strings.Contains(css, "@import") || strings.Contains(css, "://") {
		t.Error("the style loads something")
	}
}

func TestThePageIsThereForHead(t *testing.T) {
	address := listen(t, newWorld(t))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodHead, "http://"+address+"/api/v1/docs", nil)
	must(t, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	must(t, err)
	defer func() { _ = res.Body.Close() }()
	if body, err := io.ReadAll(res.Body); err != nil || len(body) > 0 || res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("%d %v, %d bytes, %v", res.StatusCode, res.Header, len(body), err)
	}
}

func TestTextsOfTheDescriptionAreTextsOfThePage(t *testing.T) {
	evil := `<script>alert("x")</script>`
	page := string(renderDocs(yaml.MapSlice{
		{Key: "info", Value: yaml.MapSlice{{Key: "title", Value: evil}, {Key: "summary", Value: evil}, {Key: "description", Value: "`" + evil + "` **" + evil + "**"}}},
		{Key: "tags", Value: []any{yaml.MapSlice{{Key: "name", Value: evil}, {Key: "description", Value: evil}}}},
		{Key: "paths", Value: yaml.MapSlice{{Key: "/" + evil, Value: yaml.MapSlice{{Key: "get", Value: yaml.MapSlice{
			{Key: "tags", Value: []any{evil}}, {Key: "operationId", Value: evil}, {Key: "summary", Value: evil},
			{Key: "parameters", Value: []any{yaml.MapSlice{{Key: "name", Value: evil}, {Key: "in", Value: evil}, {Key: "example", Value: evil}, {Key: "schema", Value: yaml.MapSlice{{Key: "enum", Value: []any{evil}}, {Key: "pattern", Value: evil}}}}}},
			{Key: "responses", Value: yaml.MapSlice{{Key: "200", Value: yaml.MapSlice{{Key: "description", Value: evil}}}, {Key: "400", Value: yaml.MapSlice{{Key: "description", Value: evil}}}}},
		}}}}}},
	}))
	if strings.Contains(page, "<script") || strings.Count(page, "&lt;script&gt;") < 15 {
		t.Errorf("%s", page)
	}
}
