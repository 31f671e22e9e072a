// Package docs is the documents that the service itself hands out.
package docs

import _ "embed" // for the document

// OpenAPI is the description of the HTTP API, in YAML.
//
//go:embed openapi.yaml
var OpenAPI []byte
