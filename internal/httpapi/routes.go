package httpapi

import (
	"net/http"
	"net/netip"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
)

// route is a row of the table of routes.
type route struct {
	method, path string
	access       access
	parameters   bool // the URL may have a query
	serve        func(*Server, *call) error
}

// routes are all there are. docs/openapi.yaml describes them.
var routes = []route{
	{http.MethodPost, "/api/v1/logs", writers, false, (*Server).postLog},
	{http.MethodPost, "/api/v1/logs/bulk", writers, false, (*Server).postLogs},
	{http.MethodGet, "/api/v1/logs", readers, true, (*Server).searchLogs},
	{http.MethodDelete, "/api/v1/logs", admins, true, (*Server).deleteLogs},
	{http.MethodGet, "/api/v1/logs/stats", readers, true, (*Server).logStats},
	{http.MethodGet, "/api/v1/logs/fields", readers, true, (*Server).listFields},
	{http.MethodGet, "/api/v1/logs/fields/:name/values", readers, true, (*Server).listValues},
	{http.MethodGet, "/api/v1/logs/export", readers, true, (*Server).exportLogs},
	{http.MethodGet, streamPath, readers, true, (*Server).streamLogs},
	{http.MethodGet, "/api/v1/logs/:id", readers, false, (*Server).getLog},
	{http.MethodGet, "/api/v1/logs/:id/context", readers, true, (*Server).logContext},
	{http.MethodPost, "/events", writers, false, (*Server).postEvent},
	{http.MethodGet, "/events/:service", readers, true, (*Server).listEvents},
	{http.MethodGet, "/analytics/summary", readers, true, (*Server).analyticsSummary},
	{http.MethodGet, "/analytics/timeline", readers, true, (*Server).analyticsTimeline},
	{http.MethodGet, "/api/v1/usage", readers, false, (*Server).getUsage},
	{http.MethodGet, "/api/v1/tenants", known, false, (*Server).listTenants},
	{http.MethodPost, "/api/v1/tenants", platform, false, (*Server).createTenant},
	{http.MethodGet, "/api/v1/tenants/:id/keys", admins, false, (*Server).listKeys},
	{http.MethodPost, "/api/v1/tenants/:id/keys", admins, false, (*Server).createKey},
	{http.MethodPatch, "/api/v1/tenants/:id/keys/:key", admins, false, (*Server).changeKey},
	{http.MethodDelete, "/api/v1/tenants/:id/keys/:key", admins, false, (*Server).revokeKey},
	{http.MethodPost, "/api/v1/tenants/:id/keys/:key/rotate", admins, false, (*Server).rotateKey},
	{http.MethodPost, "/api/v1/tenants/:id/masking/test", admins, false, (*Server).testMasking},
	{http.MethodGet, "/api/v1/tokens", managers, false, (*Server).listTokens},
	{http.MethodPost, "/api/v1/tokens", managers, false, (*Server).issueToken},
	{http.MethodDelete, "/api/v1/tokens/:jti", enders, false, (*Server).revokeToken},
	{http.MethodGet, sessionPath, known, false, (*Server).getSession},
	{http.MethodPost, sessionPath, known, false, (*Server).startSession},
	{http.MethodDelete, sessionPath, known, false, (*Server).endSession},
	{http.MethodGet, "/api/v1/session/oidc", open, false, (*Server).startSignIn},
	{http.MethodGet, "/api/v1/session/oidc/callback", open, true, (*Server).finishSignIn},
	{http.MethodGet, "/api/v1/tenants/:id", admins, false, (*Server).getTenant},
	{http.MethodPatch, "/api/v1/tenants/:id", admins, false, (*Server).patchTenant},
	{http.MethodDelete, "/api/v1/tenants/:id", owners, false, (*Server).deleteTenant},
	{http.MethodGet, "/api/v1/jobs/:id", managers, false, (*Server).getJob},
	{http.MethodGet, "/api/v1/views", readers, false, (*Server).listViews},
	{http.MethodPost, "/api/v1/views", readers, false, (*Server).createView},
	{http.MethodPatch, "/api/v1/views/:id", readers, false, (*Server).changeView},
	{http.MethodDelete, "/api/v1/views/:id", readers, false, (*Server).deleteView},
	{http.MethodGet, "/api/v1/openapi.json", open, false, (*Server).openAPI},
	{http.MethodGet, "/api/v1/docs", open, false, (*Server).docsPage},
	{http.MethodHead, "/api/v1/docs", open, false, (*Server).docsPage},
	{http.MethodGet, "/api/v1/docs/docs.css", open, false, (*Server).docsStyle},
	{http.MethodGet, "/health", open, false, (*Server).healthAll},
	{http.MethodGet, "/health/live", open, false, (*Server).healthLive},
	{http.MethodGet, "/health/ready", open, false, (*Server).healthReady},
}

// call is a request on its way through a handler.
type call struct {
	*gin.Context
	principal auth.Principal // zero on open routes
	tenant    auth.Tenant    // zero where the request is about no tenant
	client    netip.Addr     // who sent it, as far as trusted proxies tell; zero where nobody can say
	handed    bool           // to ingest, which counts its own refusals
	known     bool           // the principal is settled, though it may not be allowed to do this
}

// serve settles who is calling and for whom before the handler sees the request.
func (s *Server) serve(r route) gin.HandlerFunc {
	return func(c *gin.Context) {
		k := call{Context: c, client: s.client(c.Request)}
		var err error
		if r.path != streamPath && wantsSocket(c.Request) {
			err = errNoSocket
		}
		if err == nil {
			err = s.admit(&k, r)
		}
		if err == nil {
			err = r.serve(s, &k)
		}
		if err == nil {
			return
		}
		if r.path != streamPath || !s.refuseSocket(&k, err) {
			s.fail(c, err)
		}
		s.refused(&k, r, fault.Of(err))
		if r.access == writers && !k.handed {
			s.tel.Metrics.RefusedEntries.WithLabelValues(c.GetString(codeKey)).Inc()
		}
	}
}

// admit checks credentials, role, tenant and the absence of parameters, in this order.
func (s *Server) admit(k *call, r route) error {
	if err := s.identify(k, r); err != nil {
		return err
	}
	if raw := k.Request.URL.RawQuery; raw != "" && !r.parameters {
		if _, err := query.ParseRawQuery(raw); err != nil {
			return err
		}
		return fault.New(fault.Malformed, "unknown_parameter", "this route takes no parameters")
	}
	return nil
}

// linked are the routes that a browser reaches without a header of ours, as by a link: the tenant may stand in the URL.
var linked = []string{"/api/v1/logs/export", streamPath}

// requestedTenants are the tenants that a request names.
func requestedTenants(k *call) []string {
	named := k.Request.Header["X-Tenant-Id"]
	if !slices.Contains(linked, k.FullPath()) {
		return named
	}
	params, err := query.ParseRawQuery(k.Request.URL.RawQuery)
	if err != nil { // refused by whoever reads the rest of it
		return named
	}
	return append(slices.Clone(named), params["tenant"]...)
}

// write sends an answer whose content type is set.
func write(c *gin.Context, status int, body []byte) {
	c.Writer.WriteHeader(status)
	_, _ = c.Writer.Write(body) // a caller who has gone needs no answer
}

// reply sends a JSON answer.
func reply(c *gin.Context, status int, body []byte) error {
	c.Writer.Header()["Content-Type"] = jsonType
	write(c, status, body)
	return nil
}
