package httpapi

import (
	"net/http"
	"sync"

	"github.com/goccy/go-yaml"

	"github.com/ocelot-log/ocelot/docs"
)

// openAPIJSON is the description of the API as JSON, made when it is first asked for.
var openAPIJSON = sync.OnceValues(func() ([]byte, error) { return yaml.YAMLToJSON(docs.OpenAPI) })

// openAPI answers the description of the API.
func (s *Server) openAPI(k *call) error {
	b, err := openAPIJSON()
	if err != nil {
		return err
	}
	return reply(k.Context, http.StatusOK, b)
}
