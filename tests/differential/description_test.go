//go:build e2e

package differential

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// description is the description of the API that the service itself answers. What is checked against it must be
// named in it: status, content type, headers, and every member of an object.
type description struct {
	paths    map[string]any
	compiler *jsonschema.Compiler

	mu      sync.Mutex
	schemas map[string]*jsonschema.Schema
	seen    map[string]int // answers by operation and status
	failed  map[string]bool
}

const descriptionURL = "https://ocelot.example/openapi.json"

func readDescription(t *testing.T, text []byte) *description {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	closeObjects(doc)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(descriptionURL, doc); err != nil {
		t.Fatal(err)
	}
	return &description{paths: doc.(map[string]any)["paths"].(map[string]any), compiler: c, schemas: map[string]*jsonschema.Schema{}, seen: map[string]int{}, failed: map[string]bool{}}
}

// closeObjects forbids members that a schema does not name, so that an answer with more than is described is found.
func closeObjects(v any) {
	switch v := v.(type) {
	case map[string]any:
		if _, has := v["properties"].(map[string]any); has && v["additionalProperties"] == nil {
			v["additionalProperties"] = false
		}
		for _, child := range v {
			closeObjects(child)
		}
	case []any:
		for _, child := range v {
			closeObjects(child)
		}
	}
}

// route is the path in the description that a request goes to; empty for none.
func (d *description) route(method, target string) string {
	path, _, _ := strings.Cut(target, "?")
	if _, exact := d.paths[path]; !exact {
		for template := range d.paths {
			if fits(template, path) {
				path = template
				break
			}
		}
	}
	for _, of := range []string{"/api/v1/tenants/", "/api/v1/jobs/"} {
		if rest, ok := strings.CutPrefix(path, of); ok && rest != "" && !strings.Contains(rest, "/") {
			path = of + "{id}"
		}
	}
	of, _ := d.paths[path].(map[string]any)
	if _, ok := of[strings.ToLower(method)]; !ok || method != strings.ToUpper(method) {
		return ""
	}
	return path
}

// fits says whether a path is one of a template.
func fits(template, path string) bool {
	want, have := strings.Split(template, "/"), strings.Split(path, "/")
	return len(want) == len(have) && !slices.ContainsFunc(want, func(part string) bool {
		at := have[0]
		have = have[1:]
		return part != at && (at == "" || !strings.HasPrefix(part, "{"))
	})
}

// check validates what both systems answered on a route; on none it must be a problem.
func (d *description) check(t *testing.T, method, route string, a [2]answer) {
	for side := range a {
		if method == "HEAD" { // has no body
			continue
		}
		if err := d.valid(method, route, a[side]); err != nil {
			d.mu.Lock()
			what := fmt.Sprint(method, route, a[side].status, sideNames[side])
			again := d.failed[what]
			d.failed[what] = true
			d.mu.Unlock()
			if again {
				t.Fail() // said once of each kind
				continue
			}
			t.Errorf("the description has another answer to %s %s than %s: %v\n  %d %.1000s", method, route, sideNames[side], err, a[side].status, a[side].body)
		}
	}
}

func (d *description) valid(method, route string, a answer) error {
	contentType := a.header.Get("Content-Type")
	pointer := "/components/schemas/Problem"
	if route != "" {
		responses := d.paths[route].(map[string]any)[strings.ToLower(method)].(map[string]any)["responses"].(map[string]any)
		pointer = fmt.Sprintf("/paths/%s/%s/responses/%d", escape(route), strings.ToLower(method), a.status)
		response, ok := responses[fmt.Sprint(a.status)].(map[string]any)
		if !ok {
			return fmt.Errorf("no status %d", a.status)
		}
		if ref, ok := response["$ref"].(string); ok {
			pointer = strings.TrimPrefix(ref, "#")
		}
		pointer += "/content/" + escape(contentType) + "/schema"
	} else if contentType != "application/problem+json" {
		return fmt.Errorf("%s, where there is no route", contentType)
	}
	d.mu.Lock()
	d.seen[fmt.Sprintf("%s %s %d", method, route, a.status)]++
	schema, err := d.schemas[pointer], error(nil)
	if schema == nil {
		if schema, err = d.compiler.Compile(descriptionURL + "#" + pointer); err == nil {
			d.schemas[pointer] = schema
		}
	}
	d.mu.Unlock()
	if err != nil {
		return err
	}
	switch has := a.header.Get("Retry-After") != ""; {
	case a.status == 401 && a.header.Get("WWW-Authenticate") == "":
		return fmt.Errorf("no WWW-Authenticate")
	case has != (a.status == 429 || a.status == 503):
		return fmt.Errorf("Retry-After is there: %v", has)
	}
	var body any = string(a.body) // lines and cells are no JSON
	if media, _, _ := strings.Cut(contentType, ";"); strings.HasSuffix(media, "json") && media != "application/x-ndjson" {
		if body, err = jsonschema.UnmarshalJSON(bytes.NewReader(a.body)); err != nil {
			return err
		}
	}
	if err := schema.Validate(body); err != nil {
		return err
	}
	if contentType == "application/problem+json" {
		if p := body.(map[string]any); fmt.Sprint(p["status"]) != fmt.Sprint(a.status) || p["request_id"] != a.header.Get("X-Request-Id") {
			return fmt.Errorf("the problem has another status or request_id than the answer")
		}
	}
	return nil
}

func escape(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D", "+", "+", " ", "%20").Replace(name)
}

// unseen are the answers of the description that no request had.
func (d *description) unseen() (missing []string) {
	for path, of := range d.paths {
		for method, operation := range of.(map[string]any) {
			for status := range operation.(map[string]any)["responses"].(map[string]any) {
				if what := fmt.Sprintf("%s %s %s", strings.ToUpper(method), path, status); d.seen[what] == 0 {
					missing = append(missing, what)
				}
			}
		}
	}
	slices.Sort(missing)
	return missing
}

func (d *description) String() string {
	var b strings.Builder
	for _, what := range slices.Sorted(maps.Keys(d.seen)) {
		fmt.Fprintf(&b, "%s: %d\n", what, d.seen[what])
	}
	return b.String()
}
