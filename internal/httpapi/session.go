package httpapi

import (
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/ocelot-log/ocelot/internal/audit"
	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/fault"
)

// The session's cookie. The long name is the browser's promise that it came from this host by TLS.
const (
	plainCookie  = "ocelot"
	secureCookie = "__Host-ocelot"
	sessionPath  = "/api/v1/session"
	streamEnd    = "/stream" // of the paths of live streams
)

var (
	errTwoCredentials = fault.New(fault.Malformed, "ambiguous_credentials", "send one credential, once: the session's cookie, a token or a key; sign out to get rid of the cookie")
	errOrigin         = fault.New(fault.Forbidden, "origin_not_allowed", "a session's cookie is taken from our own pages only; programs send a token or a key in a header")
	errNeedsTLS       = fault.New(fault.Forbidden, "https_required", "a browser signs in by https: set TLS_CERT_FILE, or name the proxy in front in TRUSTED_PROXIES and let it send X-Forwarded-Proto; http is for this machine alone")
)

// caller says who is calling, by the one credential of a request: one in a header, or the session's cookie. The cookie
// is what a browser sends by itself, so whatever changes something or goes on must come from a page of ours.
func (s *Server) caller(k *call, r route) (auth.Principal, error) {
	ctx, req := k.Request.Context(), k.Request
	inHeader := len(req.Header["Authorization"])+len(req.Header["X-Api-Key"]) > 0
	cookie, err := s.cookie(req, plainCookie, secureCookie)
	switch {
	case err != nil:
		return auth.Principal{}, err
	case cookie == "", r.path == sessionPath && r.method == http.MethodPost: // a new session takes the place of an old one
		return s.access.Auth.Authenticate(ctx, auth.Request{Header: req.Header, RawQuery: req.URL.RawQuery, Client: k.client})
	case inHeader:
		return auth.Principal{}, errTwoCredentials
	case (r.method != http.MethodGet && r.method != http.MethodHead || strings.HasSuffix(r.path, streamEnd)) && !s.fromOurPages(req):
		return auth.Principal{}, errOrigin
	}
	p, err := s.access.Auth.Sessions().Principal(ctx, cookie, k.client)
	if err != nil && fault.KindOf(err) == fault.Unauthenticated {
		s.setCookie(k, plainCookie, secureCookie, "", http.SameSiteStrictMode, time.Time{})
	}
	return p, err
}

// cookie is the value of the cookie that goes by one name without TLS and by another with it; empty where it is not
// sent. Kind Malformed: it is there twice.
func (s *Server) cookie(r *http.Request, plain, secure string) (string, error) {
	if len(r.Header["Cookie"]) == 0 {
		return "", nil
	}
	name := plain
	if s.secure(r) {
		name = secure
	}
	switch sent := r.CookiesNamed(name); len(sent) {
	case 0:
		return "", nil
	case 1:
		return sent[0].Value, nil
	}
	return "", errTwoCredentials
}

// setCookie gives the browser a cookie until a time, or takes it away where there is no value.
func (s *Server) setCookie(k *call, plain, secure, value string, site http.SameSite, until time.Time) {
	c := http.Cookie{Name: plain, Value: value, Path: "/", HttpOnly: true, SameSite: site, MaxAge: -1}
	if s.secure(k.Request) {
		c.Name, c.Secure = secure, true
	}
	if value != "" {
		c.MaxAge = max(1, int(time.Until(until).Seconds()))
	}
	http.SetCookie(k.Writer, &c)
}

// fromOurPages says whether a browser sent a request for a page of this service, or of an origin that is named in the
// settings. Sec-Fetch-Site is the browser's own word, which no page can write.
func (s *Server) fromOurPages(r *http.Request) bool {
	if site := r.Header["Sec-Fetch-Site"]; len(site) == 1 && site[0] == "same-origin" {
		return true
	}
	origin := r.Header["Origin"]
	if len(origin) != 1 {
		return false
	}
	scheme, port := "http://", ":80"
	if s.secure(r) {
		scheme, port = "https://", ":443"
	}
	return origin[0] == scheme+strings.TrimSuffix(strings.ToLower(r.Host), port) || s.cfg.Origins.named(origin[0])
}

// mayHaveCookie refuses to hand a session out where others could read it on its way.
func (s *Server) mayHaveCookie(k *call) error {
	if s.secure(k.Request) || k.client.IsLoopback() || k.client == (netip.Addr{}) {
		return nil
	}
	return errNeedsTLS
}

// sessionBody is who is calling.
type sessionBody struct {
	Subject   string       `json:"subject"`
	Kind      string       `json:"kind"` // session, token, key
	Platform  bool         `json:"platform"`
	Roles     []string     `json:"roles"`
	Tenants   []tenantName `json:"tenants"`
	Filter    string       `json:"filter,omitzero"`
	ExpiresAt time.Time    `json:"expires_at,omitzero"`
}

type tenantName struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// who is what a caller may know of itself. A tenant that is gone is not among its tenants.
func (s *Server) who(k *call, p auth.Principal) (sessionBody, error) {
	b := sessionBody{Subject: p.Subject, Kind: "token", Platform: p.Platform(), Roles: p.Roles(), Tenants: []tenantName{}, Filter: p.Filter(), ExpiresAt: p.Expires().UTC()}
	switch {
	case p.SessionID != "":
		b.Kind = "session"
	case p.TokenID == "":
		b.Kind = "key"
	}
	all, err := s.access.Tenants.List(k.Request.Context())
	for _, t := range all {
		if p.Serves(&t) && !t.Suspended {
			b.Tenants = append(b.Tenants, tenantName{t.Slug, t.Name})
		}
	}
	return b, err
}

func (s *Server) getSession(k *call) error {
	b, err := s.who(k, k.principal)
	if err != nil {
		return err
	}
	return replyData(k, http.StatusOK, b)
}

// startSession exchanges the token or key of a request for a session.
func (s *Server) startSession(k *call) error {
	if err := s.mayHaveCookie(k); err != nil {
		return err
	}
	if old, err := s.cookie(k.Request, plainCookie, secureCookie); err == nil && old != "" {
		if p, err := s.access.Auth.Sessions().Principal(k.Request.Context(), old, k.client); err == nil {
			if err := s.access.Auth.Sessions().End(k.Request.Context(), p); err != nil {
				return err
			}
		}
	}
	cookie, session, err := s.access.Auth.Sessions().Start(k.Request.Context(), k.principal)
	if err != nil {
		return err
	}
	b, err := s.who(k, k.principal)
	if err != nil {
		return err
	}
	b.Kind, b.ExpiresAt = "session", session.ExpiresAt
	if err := s.changedFor(k, k.principal.Tenants(), audit.Login, "session", "", nil, nil); err != nil {
		return err
	}
	s.setCookie(k, plainCookie, secureCookie, cookie, http.SameSiteStrictMode, session.ExpiresAt)
	return replyData(k, http.StatusCreated, b)
}

func (s *Server) endSession(k *call) error {
	if k.principal.SessionID == "" {
		return fault.New(fault.NotFound, "not_found", "these credentials are no session; a token ends by DELETE /api/v1/tokens/{jti}")
	}
	if err := s.access.Auth.Sessions().End(k.Request.Context(), k.principal); err != nil {
		return err
	}
	s.setCookie(k, plainCookie, secureCookie, "", http.SameSiteStrictMode, time.Time{})
	if err := s.changedFor(k, k.principal.Tenants(), audit.Logout, "session", "", nil, nil); err != nil {
		return err
	}
	return replyData(k, http.StatusOK, ended{"signed_out"})
}
