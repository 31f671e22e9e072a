package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/limit"
)

// Limits are how much may come. What is nil is not limited.
type Limits struct {
	Tenants   *limit.Tenants
	Addresses *limit.Addresses // requests without valid credentials
	Logins    *limit.Addresses // failed sign-ins
}

// authenticated lets check say who is calling, unless too many requests without valid credentials came from the
// address. An address over its limit is still served where its credentials are good by what this process has, so that
// strangers behind the same address do no harm; where the store or an issuer would have to be asked they are refused.
func (s *Server) authenticated(k *call, r route, check func() (auth.Principal, error)) (auth.Principal, error) {
	if r.path == sessionPath && r.method == http.MethodPost {
		return s.signedIn(k, check)
	}
	of := s.access.Limits.Addresses
	if wait, over := of.Over(k.client); over && !s.familiar(k) {
		return auth.Principal{}, s.tooManyStrangers(k, wait)
	}
	p, err := check()
	if stranger(err) {
		if wait, ok := of.Spend(k.client); !ok {
			err = s.tooManyStrangers(k, wait)
		}
	}
	return p, err
}

// signedIn is the same for a sign-in: only failures count, and whoever is over the limit is not even asked. The
// answer is the same whatever the credentials are.
func (s *Server) signedIn(k *call, check func() (auth.Principal, error)) (auth.Principal, error) {
	of := s.access.Limits.Logins
	if wait, over := of.Over(k.client); over {
		return auth.Principal{}, tooManyLogins(of, wait)
	}
	p, err := check()
	if stranger(err) {
		if wait, ok := of.Spend(k.client); !ok {
			err = tooManyLogins(of, wait)
		}
	}
	return p, err
}

// stranger says whether err means that a request came without valid credentials.
func stranger(err error) bool {
	f, ok := errors.AsType[*fault.Error](err)
	return ok && (f.Kind == fault.Unauthenticated || f.Code == "ambiguous_credentials")
}

// familiar says whether the request's credentials are somebody's, without asking anybody.
func (s *Server) familiar(k *call) bool {
	if cookie, err := s.cookie(k.Request, plainCookie, secureCookie); err == nil && cookie != "" && s.access.Auth.Sessions().Known(cookie) {
		return true
	}
	return s.access.Auth.Known(auth.Request{Header: k.Request.Header, RawQuery: k.Request.URL.RawQuery, Client: k.client})
}

// lost answers requests that find no route.
func (s *Server) lost(err error) gin.HandlerFunc {
	return func(c *gin.Context) {
		k := call{Context: c, client: s.client(c.Request)}
		if limited := s.uninvited(&k); limited != nil {
			s.fail(c, limited)
			return
		}
		if c.Request.Method == http.MethodConnect { // what it names is no path, but another machine
			c.Writer.Header().Set("Allow", "GET, POST, PATCH, DELETE")
			s.fail(c, errNoMethod)
			return
		}
		s.fail(c, err)
	}
}

// uninvited counts a request that needs no credentials, or finds nothing, against the address it comes from.
func (s *Server) uninvited(k *call) error {
	of := s.access.Limits.Addresses
	if of == nil || strings.HasPrefix(k.FullPath(), "/health") || s.familiar(k) { // probes come often, and know nothing
		return nil
	}
	if wait, ok := of.Spend(k.client); !ok {
		return s.tooManyStrangers(k, wait)
	}
	return nil
}

func (s *Server) tooManyStrangers(k *call, wait time.Duration) error {
	of := s.access.Limits.Addresses
	h := k.Writer.Header()
	h["Ratelimit-Policy"] = []string{fmt.Sprintf(`"address";q=%d;w=60`, of.PerMin())}
	h["Ratelimit"] = []string{fmt.Sprintf(`"address";r=0;t=%d`, int((wait+time.Second-1)/time.Second))}
	return &fault.Error{Kind: fault.Limited, Code: "rate_limited", RetryAfter: wait, Detail: fmt.Sprintf(
		"more than %d requests a minute without valid credentials came from this address; send valid credentials, or try again after the seconds in Retry-After", of.PerMin())}
}

func tooManyLogins(of *limit.Addresses, wait time.Duration) error {
	return &fault.Error{Kind: fault.Limited, Code: "login_throttled", RetryAfter: wait, Detail: fmt.Sprintf(
		"more than %d attempts a minute to sign in failed from this address; try again after the seconds in Retry-After", of.PerMin())}
}

// mayCome refuses before the body is read what the tenant's limits would not let in anyway: there is at least one
// entry, and at least as many bytes as are declared.
func (s *Server) mayCome(k *call) error {
	cost := limit.Cost{Entries: 1}
	if len(k.Request.Header["Content-Encoding"]) == 0 {
		cost.Bytes = max(0, k.Request.ContentLength)
	}
	tenants := s.access.Limits.Tenants
	if tenants == nil {
		return nil
	}
	standing, err := tenants.Ask(k.tenant.ID(), &k.tenant.Settings().Limits, cost)
	if err != nil {
		showLimits(k, &standing)
	}
	return err
}

// admitted takes the cost of a batch from the tenant's limits.
func (s *Server) admitted(k *call, cost limit.Cost) error {
	tenants := s.access.Limits.Tenants
	if tenants == nil {
		return nil
	}
	standing, err := tenants.Admit(k.Request.Context(), k.tenant.ID(), &k.tenant.Settings().Limits, cost)
	showLimits(k, &standing)
	return err
}

// pressing says whether the tenant sends more than its limits let in: then what is let in of it is not hurried, so
// that it costs the others as little as can be.
func (s *Server) pressing(k *call) bool {
	tenants := s.access.Limits.Tenants
	return tenants != nil && tenants.Pressing(k.tenant.ID())
}

// giveBack returns the cost of a batch of which nothing was stored.
func (s *Server) giveBack(k *call, cost limit.Cost, err error) {
	if tenants := s.access.Limits.Tenants; tenants != nil && fault.Of(err).Code != "unknown_outcome" {
		tenants.GiveBack(k.tenant.ID(), cost)
	}
}

// showLimits says in the answer which limits there are and what is left of them.
func showLimits(k *call, standing *limit.Standing) {
	if policy := standing.Policy(); policy != "" {
		h := k.Writer.Header()
		h["Ratelimit-Policy"] = []string{policy}
		h["Ratelimit"] = []string{standing.Fields()}
	}
}
