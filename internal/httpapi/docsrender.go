package httpapi

import (
	"fmt"
	"html"
	"regexp"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/goccy/go-yaml"
)

// docsWriter writes the page. html/template would add more to the program than the page has: here every text goes
// through text or prose, which escape it.
type docsWriter struct {
	strings.Builder
	doc yaml.MapSlice
}

// member is a member of an object by its name; nil where it is not one, or has none.
func member(object any, names ...string) any {
	for _, name := range names {
		members, _ := object.(yaml.MapSlice)
		i := slices.IndexFunc(members, func(m yaml.MapItem) bool { return m.Key == name })
		if i < 0 {
			return nil
		}
		object = members[i].Value
	}
	return object
}

func members(object any, names ...string) yaml.MapSlice {
	m, _ := member(object, names...).(yaml.MapSlice)
	return m
}

func items(object any, names ...string) []any {
	list, _ := member(object, names...).([]any)
	return list
}

func word(object any, names ...string) string {
	if v := member(object, names...); v != nil {
		return fmt.Sprint(v)
	}
	return ""
}

// resolved is what a reference within the description leads to.
func (w *docsWriter) resolved(v any) any {
	if ref := word(v, "$ref"); ref != "" {
		return member(w.doc, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	}
	return v
}

// put writes HTML in which each %s stands for a text that is escaped.
func (w *docsWriter) put(format string, texts ...string) {
	escaped := make([]any, len(texts))
	for i, text := range texts {
		escaped[i] = html.EscapeString(text)
	}
	fmt.Fprintf(&w.Builder, format, escaped...)
}

var (
	codeMark   = regexp.MustCompile("`([^`]+)`")
	strongMark = regexp.MustCompile(`\*\*([^*]+)\*\*`)
)

// prose is a text of the description with its `code` and **strong** words.
func prose(text string) string {
	text = codeMark.ReplaceAllString(html.EscapeString(text), "<code>$1</code>")
	return strongMark.ReplaceAllString(text, "<strong>$1</strong>")
}

func (w *docsWriter) paragraphs(text string) {
	for p := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		if p != "" {
			w.WriteString("<p>" + prose(p) + "</p>\n")
		}
	}
}

// operation is a method of a path.
type operation struct {
	method, path string
	of           any
}

func (o operation) anchor() string { return "op-" + word(o.of, "operationId") }

// operations are those of a tag, in the order of the description.
func (w *docsWriter) operations(tag string) (all []operation) {
	for _, path := range members(w.doc, "paths") {
		for _, method := range members(path.Value) {
			if slices.Contains(items(method.Value, "tags"), any(tag)) {
				all = append(all, operation{fmt.Sprint(method.Key), fmt.Sprint(path.Key), method.Value})
			}
		}
	}
	return all
}

// renderDocs is the description as a page that needs no script.
func renderDocs(doc yaml.MapSlice) []byte {
	w := &docsWriter{doc: doc}
	title := word(doc, "info", "title")
	w.put("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>%s: the HTTP API</title>\n"+
		"<link rel=\"stylesheet\" href=\"/api/v1/docs/docs.css\">\n</head>\n<body>\n<a class=\"skip\" href=\"#routes\">To the routes</a>\n<header>\n<h1>%s: the HTTP API</h1>\n<p class=\"dim\">%s</p>\n",
		title, title, word(doc, "info", "summary"))
	w.paragraphs(word(doc, "info", "description"))
	w.put("<p>The same for programs: <a href=\"/api/v1/openapi.json\">openapi.json</a> (OpenAPI %s).</p>\n</header>\n<div class=\"columns\">\n<nav aria-label=\"Routes\">\n", word(doc, "openapi"))
	for _, tag := range items(doc, "tags") {
		w.put("<h2>%s</h2>\n<ul>\n", word(tag, "name"))
		for _, o := range w.operations(word(tag, "name")) {
			w.put("<li><a href=\"#%s\">%s %s</a></li>\n", o.anchor(), strings.ToUpper(o.method), o.path)
		}
		w.WriteString("</ul>\n")
	}
	w.WriteString("<h2><a href=\"#schemas\">bodies by name</a></h2>\n</nav>\n<main id=\"routes\" tabindex=\"-1\">\n")
	for _, tag := range items(doc, "tags") {
		w.put("<section>\n<h2>%s</h2>\n", word(tag, "name"))
		w.paragraphs(word(tag, "description"))
		for _, o := range w.operations(word(tag, "name")) {
			w.operation(o)
		}
		w.WriteString("</section>\n")
	}
	w.WriteString("<section id=\"schemas\">\n<h2>Bodies by name</h2>\n")
	for _, s := range members(doc, "components", "schemas") {
		w.put("<article id=\"schema-%s\">\n<h3>%s</h3>\n<div>", fmt.Sprint(s.Key), fmt.Sprint(s.Key))
		w.schema(s.Value)
		w.WriteString("</div>\n</article>\n")
	}
	w.WriteString("</section>\n</main>\n</div>\n</body>\n</html>\n")
	return []byte(w.String())
}

func (w *docsWriter) operation(o operation) {
	w.put("<article id=\"%s\">\n<h3><span class=\"method %s\">%s</span> <a href=\"#%s\"><code>%s</code></a></h3>\n", o.anchor(), o.method, strings.ToUpper(o.method), o.anchor(), o.path)
	w.WriteString("<p><strong>" + prose(word(o.of, "summary")) + "</strong> <span class=\"dim\">" + html.EscapeString(word(o.of, "operationId")))
	if security, ok := member(o.of, "security").([]any); ok && len(security) == 0 {
		w.WriteString("; needs no credentials")
	}
	w.WriteString("</span></p>\n")
	w.paragraphs(word(o.of, "description"))
	w.parameters(items(o.of, "parameters"))
	if body := w.resolved(member(o.of, "requestBody")); body != nil {
		w.WriteString("<h4>Body</h4>\n")
		w.contents(body)
	}
	w.WriteString("<h4>Answers</h4>\n")
	var problems yaml.MapSlice
	for _, answer := range members(o.of, "responses") {
		if status := fmt.Sprint(answer.Key); status >= "400" {
			problems = append(problems, answer)
			continue
		}
		of := w.resolved(answer.Value)
		w.put("<p><code>%s</code> ", fmt.Sprint(answer.Key))
		w.WriteString(prose(word(of, "description")) + "</p>\n")
		w.contents(of)
	}
	if len(problems) > 0 {
		w.WriteString("<details>\n<summary>Problems</summary>\n<div class=\"wide\">\n<table>\n<thead><tr><th scope=\"col\">status</th><th scope=\"col\">when</th></tr></thead>\n<tbody>\n")
		for _, p := range problems {
			w.put("<tr><th scope=\"row\"><code>%s</code></th><td>", fmt.Sprint(p.Key))
			w.WriteString(prose(word(w.resolved(p.Value), "description")) + "</td></tr>\n")
		}
		w.WriteString("</tbody>\n</table>\n</div>\n</details>\n")
	}
	w.WriteString("</article>\n")
}

func (w *docsWriter) parameters(all []any) {
	if len(all) == 0 {
		return
	}
	w.WriteString("<h4>Parameters</h4>\n<div class=\"wide\">\n<table>\n<thead><tr><th scope=\"col\">name</th><th scope=\"col\">in</th><th scope=\"col\">what</th></tr></thead>\n<tbody>\n")
	for _, p := range all {
		p = w.resolved(p)
		w.put("<tr><th scope=\"row\"><code>%s</code></th><td>%s</td><td>", word(p, "name"), word(p, "in"))
		w.schema(member(p, "schema"))
		if member(p, "required") == true {
			w.WriteString("; <strong>required</strong>")
		}
		w.WriteString("<br>" + prose(word(p, "description")))
		if example := member(p, "example"); example != nil {
			w.put(" For example <code>%s</code>", fmt.Sprint(example))
		}
		w.WriteString("</td></tr>\n")
	}
	w.WriteString("</tbody>\n</table>\n</div>\n")
}

// contents are the forms that a body has, each with its examples.
func (w *docsWriter) contents(of any) {
	for _, c := range members(of, "content") {
		w.put("<details>\n<summary><code>%s</code></summary>\n<div>", fmt.Sprint(c.Key))
		w.schema(member(c.Value, "schema"))
		w.WriteString("</div>\n")
		for _, e := range members(c.Value, "examples") {
			w.put("<p class=\"dim\">Example: %s</p>\n<pre tabindex=\"0\">%s</pre>\n", fmt.Sprint(e.Key), pretty(member(e.Value, "value")))
		}
		if e := member(c.Value, "example"); e != nil {
			w.put("<pre tabindex=\"0\">%s</pre>\n", pretty(e))
		}
		w.WriteString("</details>\n")
	}
}

// pretty is an example as it goes over the wire: lines as they are, JSON with its members below each other.
func pretty(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	b, err := yaml.MarshalWithOptions(v, yaml.JSON())
	j := jsontext.Value(b)
	if err != nil || j.Indent() != nil {
		return fmt.Sprint(v)
	}
	return string(j)
}

// bounds are what a schema says of a value besides its type, in this order.
var bounds = []string{"format", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "default", "example"}

// schema says what a value is: a link where it has a name, else its type, its bounds and what is in it.
func (w *docsWriter) schema(s any) {
	if ref := word(s, "$ref"); ref != "" {
		name := ref[strings.LastIndexByte(ref, '/')+1:]
		w.put("<a href=\"#schema-%s\">%s</a>", name, name)
		return
	}
	switch {
	case member(s, "const") != nil:
		w.put("always <code>%s</code>", word(s, "const"))
	case len(items(s, "enum")) > 0:
		w.put("one of <code>%s</code>", joined(items(s, "enum")))
	case len(items(s, "type")) > 0:
		w.put("%s", strings.ReplaceAll(joined(items(s, "type")), " ", " or "))
	case member(s, "items") != nil:
		w.WriteString("array of ")
		w.schema(member(s, "items"))
	default:
		w.put("%s", word(s, "type"))
	}
	for _, name := range bounds {
		if v := member(s, name); v != nil {
			w.put(", %s <code>%s</code>", name, fmt.Sprint(v))
		}
	}
	if text := word(s, "description"); text != "" {
		w.WriteString(". " + prose(text))
	}
	for _, alternatives := range [][]any{items(s, "oneOf"), items(s, "anyOf")} {
		for i, one := range alternatives {
			if i > 0 {
				w.WriteString(" or ")
			}
			w.schema(one)
			if needs := items(one, "required"); len(needs) > 0 && member(one, "properties") == nil {
				w.put(" with <code>%s</code>", joined(needs))
			}
		}
	}
	if others, ok := member(s, "additionalProperties").(yaml.MapSlice); ok {
		w.WriteString("; each member: ")
		w.schema(others)
	}
	if inside := members(s, "properties"); len(inside) > 0 {
		w.members(inside, items(s, "required"))
	}
}

func (w *docsWriter) members(all yaml.MapSlice, required []any) {
	w.WriteString("\n<ul class=\"members\">\n")
	for _, m := range all {
		w.put("<li><code>%s</code> ", fmt.Sprint(m.Key))
		if slices.Contains(required, m.Key) {
			w.WriteString("<strong>required</strong>, ")
		}
		w.schema(m.Value)
		w.WriteString("</li>\n")
	}
	w.WriteString("</ul>\n")
}

func joined(values []any) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = fmt.Sprint(v)
	}
	return strings.Join(words, " ")
}
