package httpapi

import (
	"net/http"
	"net/url"
	"time"

	"go.uber.org/zap"

	"github.com/ocelot-log/ocelot/internal/audit"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/signin"
)

// The cookie of an attempt to sign in. It comes back with a request that the provider's page makes, so it can't be
// SameSite=Strict; it is good for that attempt alone.
const (
	plainAttempt  = "ocelot-signin"
	secureAttempt = "__Host-ocelot-signin"
)

// startSignIn sends a browser to the provider.
func (s *Server) startSignIn(k *call) error {
	if s.access.SignIn == nil {
		return errNoRoute
	}
	if err := s.mayHaveCookie(k); err != nil {
		return err
	}
	location, attempt, err := s.access.SignIn.Start(k.Request.Context())
	if err != nil {
		return err
	}
	s.setCookie(k, plainAttempt, secureAttempt, attempt, http.SameSiteLaxMode, time.Now().Add(signin.AttemptLife))
	return redirect(k, location)
}

// finishSignIn is where the provider sends the browser back to: it gets a session, and goes to the first page.
func (s *Server) finishSignIn(k *call) error {
	if s.access.SignIn == nil {
		return errNoRoute
	}
	if err := s.mayHaveCookie(k); err != nil {
		return err
	}
	answer, err := url.ParseQuery(k.Request.URL.RawQuery)
	if err != nil {
		return fault.New(fault.Malformed, "query_invalid", "the query of the URL can't be read")
	}
	attempt, err := s.cookie(k.Request, plainAttempt, secureAttempt)
	if err != nil {
		return err
	}
	s.setCookie(k, plainAttempt, secureAttempt, "", http.SameSiteLaxMode, time.Time{}) // good once, whatever comes of it
	id, err := s.access.SignIn.Finish(k.Request.Context(), answer, attempt)
	if err != nil {
		if cause := fault.Of(err).Err; cause != nil {
			s.log.Warn("a sign-in failed", zap.String("request_id", requestID(k.Context)), zap.String("code", fault.Of(err).Code), zap.Error(cause))
		}
		return err
	}
	cookie, session, err := s.access.Auth.Sessions().StartFor(k.Request.Context(), id.Name, id.Tenants, id.Roles)
	if err != nil {
		return err
	}
	if k.principal, err = s.access.Auth.Sessions().Principal(k.Request.Context(), cookie, k.client); err != nil {
		return err
	}
	if err := s.changedFor(k, k.principal.Tenants(), audit.Login, "session", "", nil, nil); err != nil {
		return err
	}
	s.setCookie(k, plainCookie, secureCookie, cookie, http.SameSiteStrictMode, session.ExpiresAt)
	return redirect(k, "/")
}

func redirect(k *call, location string) error {
	k.Writer.Header()["Location"] = []string{location}
	write(k.Context, http.StatusSeeOther, nil)
	return nil
}
