package httpapi

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/gin-gonic/gin"
)

// Origins are the web origins whose pages may call the service. The zero value is none but its own.
type Origins struct {
	any   bool // by token or key only: cookies never go with it
	exact map[string]bool
	below []string // ".example.com": https origins of every name that ends so, optionally with a port as in ".example.com:8443"
}

// ParseOrigins reads origins that are separated by commas: https://app.example.com, https://*.example.com for every
// name below example.com, or * alone for everybody.
func ParseOrigins(text string) (Origins, error) {
	var o Origins
	for item := range listed(text) {
		if item == "*" {
			o.any = true
			continue
		}
		origin, below := strings.CutPrefix(item, "https://*.")
		if below {
			origin = "https://" + origin
		}
		u, err := url.Parse(origin)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Scheme+"://"+u.Host != origin || !originHost(u.Hostname()) {
			return Origins{}, fmt.Errorf("%q is no origin: write https://app.example.com, https://*.example.com or *, without a path, in lower case", item)
		}
		if port := u.Port(); strings.HasSuffix(u.Host, ":") || port == "443" && u.Scheme == "https" || port == "80" && u.Scheme == "http" {
			return Origins{}, fmt.Errorf("%q: browsers leave the usual port out; leave it out too", item)
		}
		if !below {
			if o.exact == nil {
				o.exact = map[string]bool{}
			}
			o.exact[origin] = true
			continue
		}
		if !strings.Contains(u.Hostname(), ".") {
			return Origins{}, fmt.Errorf("%q: behind *. there must be a domain of your own, such as example.com", item)
		}
		o.below = append(o.below, "."+u.Host)
	}
	if o.any && (o.exact != nil || o.below != nil) {
		return Origins{}, fmt.Errorf("* is everybody: it stands alone, since cookies are taken from named origins only")
	}
	return o, nil
}

// originHost says whether a host is written as browsers write it in an origin.
func originHost(host string) bool {
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Zone() == "" && a.String() == host
	}
	return hostName(host) && strings.ToLower(host) == host
}

func (o Origins) none() bool { return !o.any && o.exact == nil && o.below == nil }

// named says whether an origin is one of those that are named, so that its pages may come with cookies.
func (o Origins) named(origin string) bool {
	if o.exact[origin] {
		return true
	}
	host, ok := strings.CutPrefix(origin, "https://")
	if !ok {
		return false
	}
	for _, end := range o.below {
		below, ok := strings.CutSuffix(host, end)
		if ok && hostName(below) && strings.ToLower(below) == below {
			return true
		}
	}
	return false
}

// What pages of other origins may send and see.
var (
	corsMethods = []string{"GET, POST, PATCH, DELETE"}
	corsHeaders = []string{"Authorization, Content-Encoding, Content-Type, Idempotency-Key, If-Match, Last-Event-ID, traceparent, X-API-Key, X-Request-ID, X-Tenant-ID"}
	corsExposed = []string{"Content-Disposition, ETag, Location, RateLimit, RateLimit-Policy, Retry-After, X-CSV-Escaping, X-Request-ID"}
	corsMaxAge  = []string{"7200"} // seconds; browsers take no more
)

// cors adds what lets pages of the allowed origins call the service, and answers their preflights; it says whether it
// did. Other pages get no word, so that browsers keep the answer from them.
func (s *Server) cors(c *gin.Context) bool {
	o, h, r := s.cfg.Origins, c.Writer.Header(), c.Request
	if o.none() {
		return false
	}
	preflight := r.Method == http.MethodOptions && len(r.Header["Access-Control-Request-Method"]) > 0
	h.Add("Vary", "Origin")
	if preflight {
		h.Add("Vary", "Access-Control-Request-Method")
		h.Add("Vary", "Access-Control-Request-Headers")
	}
	origin := r.Header["Origin"]
	switch {
	case len(origin) != 1:
		return false
	case o.any:
		h["Access-Control-Allow-Origin"] = []string{"*"}
	case o.named(origin[0]):
		h["Access-Control-Allow-Origin"] = origin
		h["Access-Control-Allow-Credentials"] = []string{"true"}
	default:
		return false
	}
	if !preflight {
		h["Access-Control-Expose-Headers"] = corsExposed
		return false
	}
	h["Access-Control-Allow-Methods"], h["Access-Control-Allow-Headers"], h["Access-Control-Max-Age"] = corsMethods, corsHeaders, corsMaxAge
	c.Writer.WriteHeader(http.StatusNoContent)
	c.Writer.WriteHeaderNow()
	return true
}
