package httpapi

import (
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
)

// ownMethods are the methods that each path without variables takes, as Allow lists them.
func ownMethods(all []route) map[string]string {
	own := map[string]string{}
	for _, r := range all {
		switch had := own[r.path]; {
		case strings.Contains(r.path, ":"):
		case had == "":
			own[r.path] = r.method
		default:
			own[r.path] = had + ", " + r.method
		}
	}
	return own
}

// shadowed are the paths without variables that a path with one would take with another method: GET
// /api/v1/logs/bulk asks for no entry whose id is bulk.
func shadowed(all []route) []route {
	var found []route
	for path, methods := range ownMethods(all) {
		for _, r := range all {
			if r.path != path && patternFits(r.path, path) && !slices.Contains(strings.Split(methods, ", "), r.method) {
				found = append(found, route{method: r.method, path: path})
			}
		}
	}
	return found
}

// patternFits says whether a path is one of a path with variables.
func patternFits(pattern, path string) bool {
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	return slices.EqualFunc(want, have, func(part, at string) bool { return part == at || strings.HasPrefix(part, ":") })
}

// allowing answers that a path does not take the method, and which it takes: gin lists those of paths with variables too.
func (s *Server) allowing(own map[string]string) gin.HandlerFunc {
	lost := s.lost(errNoMethod)
	return func(c *gin.Context) {
		if methods, ok := own[c.Request.URL.EscapedPath()]; ok {
			c.Writer.Header()["Allow"] = []string{methods}
		}
		lost(c)
	}
}
