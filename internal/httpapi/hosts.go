package httpapi

import (
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/ocelot-log/ocelot/internal/fault"
)

// Hosts are the names under which the service is asked for. The zero value is every name.
type Hosts struct {
	exact map[string]bool
	below []string // ".example.com": every name that ends so
}

// ParseHosts reads host names that are separated by commas; *.example.com is every name below example.com.
func ParseHosts(text string) (Hosts, error) {
	var h Hosts
	for item := range listed(text) {
		name, below := strings.CutPrefix(item, "*")
		plain := strings.TrimPrefix(name, ".")
		if below && !strings.HasPrefix(name, ".") || !hostName(plain) && (below || net.ParseIP(strings.Trim(item, "[]")) == nil) {
			return Hosts{}, fmt.Errorf("%q is no host: write logs.example.com, *.example.com or an address, without scheme and port", item)
		}
		if below {
			h.below = append(h.below, "."+strings.ToLower(plain))
			continue
		}
		if h.exact == nil {
			h.exact = map[string]bool{}
		}
		h.exact[strings.ToLower(strings.Trim(item, "[]"))] = true
	}
	return h, nil
}

// hostName says whether a name consists of labels of letters, digits and -.
func hostName(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i] | 0x20; (c < 'a' || c > 'z') && (label[i] < '0' || label[i] > '9') && label[i] != '-' {
				return false
			}
		}
	}
	return true
}

func (h Hosts) any() bool { return h.exact == nil && h.below == nil }

// have says whether a Host header names one of them; the port, a dot at the end and the case of letters do not matter.
func (h Hosts) have(host string) bool {
	if h.any() {
		return true
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if h.exact[host] {
		return true
	}
	for _, end := range h.below {
		if len(host) > len(end) && strings.HasSuffix(host, end) {
			return true
		}
	}
	return false
}

// checkHost refuses a request for a name that is not ours. Probes of load balancers ask by address, so /health* may be
// asked for by any.
func (s *Server) checkHost(r *http.Request) error {
	if s.cfg.Hosts.have(r.Host) || strings.HasPrefix(r.URL.Path, "/health") {
		return nil
	}
	return fault.New(fault.Malformed, "host_not_allowed", "this service is not known under the name in Host; use the address that its operators gave you")
}
