// Package docs is the documents that the service itself hands out.
package docs

import _ "embed" // for the documents

// OpenAPI is the description of the HTTP API, in YAML.
//
//go:embed openapi.yaml
var OpenAPI []byte

// Style is how the page looks that people read the description on, in CSS.
//
//go:embed docs.css
var Style []byte
