package httpapi

import (
	"net/http"
	"sync"

	"github.com/goccy/go-yaml"

	"github.com/ocelot-log/ocelot/docs"
)

// docsPolicy lets the page of the description have its own style and nothing else: it needs no script.
const docsPolicy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// docsHTML is the description of the API as a page for people, made when it is first asked for.
var docsHTML = sync.OnceValues(func() ([]byte, error) {
	var doc yaml.MapSlice
	if err := yaml.UnmarshalWithOptions(docs.OpenAPI, &doc, yaml.UseOrderedMap()); err != nil {
		return nil, err
	}
	return renderDocs(doc), nil
})

// docsPage answers the description of the API as a page for people.
func (s *Server) docsPage(k *call) error {
	page, err := docsHTML()
	if err != nil {
		return err
	}
	k.Writer.Header().Set("Content-Security-Policy", docsPolicy)
	k.Writer.Header().Set("Content-Type", "text/html; charset=utf-8")
	write(k.Context, http.StatusOK, page)
	return nil
}

// docsStyle answers how that page looks.
func (s *Server) docsStyle(k *call) error {
	k.Writer.Header().Set("Content-Type", "text/css; charset=utf-8")
	write(k.Context, http.StatusOK, docs.Style)
	return nil
}
