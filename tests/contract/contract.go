// Package contract holds the API to its description, docs/openapi.yaml.
package contract

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/ocelot-log/ocelot/docs"
)

// Description is a description of the API. What is checked against it must be named in it: status, content type,
// headers, and every member of an object. It may be used by several goroutines.
type Description struct {
	paths    map[string]any
	compiler *jsonschema.Compiler

	mu      sync.Mutex
	schemas map[string]*jsonschema.Schema
	seen    map[string]int // answers by operation and status
}

const descriptionURL = "https://ocelot.example/openapi.json"

// API is the description as it stands in docs.
var API = sync.OnceValues(func() (*Description, error) {
	text, err := yaml.YAMLToJSON(docs.OpenAPI)
	if err != nil {
		return nil, err
	}
	return Read(text)
})

// Read reads a description in JSON.
func Read(text []byte) (*Description, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	of, ok := doc.(map[string]any)
	if !ok {
		return nil, errors.New("the description is no object")
	}
	paths, ok := of["paths"].(map[string]any)
	if !ok {
		return nil, errors.New("the description has no paths")
	}
	closeObjects(doc)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(descriptionURL, doc); err != nil {
		return nil, err
	}
	return &Description{paths: paths, compiler: c, schemas: map[string]*jsonschema.Schema{}, seen: map[string]int{}}, nil
}

// closeObjects forbids members that a schema does not name, so that an answer with more than is described is found.
// A schema without a type is a condition on another one.
func closeObjects(v any) {
	switch v := v.(type) {
	case map[string]any:
		if _, has := v["properties"].(map[string]any); has && v["type"] != nil && v["additionalProperties"] == nil {
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

// Route is the path in the description that a request goes to; empty for none.
func (d *Description) Route(method, target string) string {
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

// Check says what is not as described in the answer to a request for a route of Route; where that is none, the answer
// must be a problem. An answer to HEAD has no body, and is not looked at.
func (d *Description) Check(method, route string, status int, header http.Header, body []byte) error {
	if method == http.MethodHead {
		return nil
	}
	contentType := header.Get("Content-Type")
	pointer, err := d.pointer(method, route, status, contentType)
	if err != nil {
		return err
	}
	schema, err := d.schema(fmt.Sprintf("%s %s %d", method, route, status), pointer)
	if err != nil {
		return err
	}
	switch has := header.Get("Retry-After") != ""; {
	case status == http.StatusUnauthorized && header.Get("WWW-Authenticate") == "":
		return errors.New("no WWW-Authenticate")
	case has != (status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable):
		return fmt.Errorf("Retry-After is there: %v", has)
	}
	var content any = string(body) // lines and cells are no JSON
	if media, _, _ := strings.Cut(contentType, ";"); strings.HasSuffix(media, "json") && media != "application/x-ndjson" {
		if content, err = jsonschema.UnmarshalJSON(bytes.NewReader(body)); err != nil {
			return err
		}
	}
	if err := schema.Validate(content); err != nil {
		return err
	}
	if contentType == problemType {
		if p, ok := content.(map[string]any); !ok || fmt.Sprint(p["status"]) != fmt.Sprint(status) || p["request_id"] != header.Get("X-Request-Id") {
			return errors.New("the problem has another status or request_id than the answer")
		}
	}
	return nil
}

const problemType = "application/problem+json"

// pointer is where the description has the schema of an answer.
func (d *Description) pointer(method, route string, status int, contentType string) (string, error) {
	if route == "" {
		if contentType != problemType {
			return "", fmt.Errorf("%s, where there is no route", contentType)
		}
		return "/components/schemas/Problem", nil
	}
	operation, _ := at(d.paths, route, strings.ToLower(method), "responses", fmt.Sprint(status))
	response, ok := operation.(map[string]any)
	if !ok {
		return "", fmt.Errorf("no status %d", status)
	}
	pointer := fmt.Sprintf("/paths/%s/%s/responses/%d", escape(route), strings.ToLower(method), status)
	if ref, ok := response["$ref"].(string); ok {
		pointer = strings.TrimPrefix(ref, "#")
	}
	return pointer + "/content/" + escape(contentType) + "/schema", nil
}

// at follows names into objects.
func at(v any, names ...string) (any, bool) {
	for _, name := range names {
		of, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = of[name]; !ok {
			return nil, false
		}
	}
	return v, true
}

// schema counts an answer and is its schema.
func (d *Description) schema(answer, pointer string) (*jsonschema.Schema, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen[answer]++
	if schema := d.schemas[pointer]; schema != nil {
		return schema, nil
	}
	schema, err := d.compiler.Compile(descriptionURL + "#" + pointer)
	if err == nil {
		d.schemas[pointer] = schema
	}
	return schema, err
}

func escape(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D", "+", "+", " ", "%20").Replace(name)
}

// Unseen are the answers of the description that Check was asked about for no request.
func (d *Description) Unseen() (missing []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
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

// String is how many answers of each kind Check was asked about.
func (d *Description) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var b strings.Builder
	for _, what := range slices.Sorted(maps.Keys(d.seen)) {
		fmt.Fprintf(&b, "%s: %d\n", what, d.seen[what])
	}
	return b.String()
}
