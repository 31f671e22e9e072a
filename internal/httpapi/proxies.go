package httpapi

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// Proxies are the addresses whose word about a request's origin is taken. The zero value believes nobody.
type Proxies []netip.Prefix

// ParseProxies reads addresses and CIDRs that are separated by commas.
func ParseProxies(text string) (Proxies, error) {
	var all Proxies
	for item := range listed(text) {
		prefix, err := netip.ParsePrefix(item)
		if err != nil {
			a, err := netip.ParseAddr(item)
			if err != nil || a.Zone() != "" {
				return nil, fmt.Errorf("%q is neither an address nor a CIDR such as 10.0.0.0/8 or fd00::/8", item)
			}
			prefix = netip.PrefixFrom(a, a.BitLen())
		}
		if prefix.Addr().Is4In6() {
			return nil, fmt.Errorf("%q is an IPv4 address in IPv6's form; write it as IPv4", item)
		}
		if prefix != prefix.Masked() {
			return nil, fmt.Errorf("%q has bits behind its length; the network is %s", item, prefix.Masked())
		}
		all = append(all, prefix)
	}
	return all, nil
}

// listed are the items of a comma-separated setting, without the spaces around them and without empty ones.
func listed(text string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" && !yield(item) {
				return
			}
		}
	}
}

func (p Proxies) trust(a netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(a) {
			return true
		}
	}
	return false
}

// origin is who sent a request: the right-most hop of X-Forwarded-For that is no trusted proxy, asked only where the
// peer is one. A hop that can't be read ends the walk: what stands left of it is anybody's word, and so is it, so the
// proxy that passed it on is the nearest that is known. The zero Addr: the peer has no address.
func (p Proxies) origin(peer netip.Addr, forwarded []string) netip.Addr {
	at := peer
	if !p.trust(peer) {
		return at
	}
	for i := len(forwarded) - 1; i >= 0; i-- { // several lines are one list
		for rest, more := forwarded[i], true; more; {
			var hop string
			comma := strings.LastIndexByte(rest, ',')
			more = comma >= 0
			hop, rest = rest[comma+1:], rest[:max(comma, 0)]
			a, ok := parseHop(hop)
			if !ok {
				return at
			}
			at = a
			if !p.trust(a) {
				return at
			}
		}
	}
	return at
}

// parseHop reads one hop: an address, an IPv6 address in brackets, either with a port. An IPv4 address in IPv6's
// form is the IPv4 address. Names, zones, empty hops and everything else is not read.
func parseHop(hop string) (netip.Addr, bool) {
	hop = strings.Trim(hop, " \t")
	if len(hop) > len("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535") {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(hop)
	if err != nil {
		if inside, ok := strings.CutPrefix(hop, "["); ok && strings.HasSuffix(inside, "]") {
			a, err = netip.ParseAddr(inside[:len(inside)-1])
			if a.Is4() { // brackets are for IPv6
				return netip.Addr{}, false
			}
		} else {
			var port netip.AddrPort
			port, err = netip.ParseAddrPort(hop)
			a = port.Addr()
		}
	}
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}

// peer is the address at the other end of the connection; zero where it has none.
func peer(r *http.Request) netip.Addr {
	p, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().WithZone("").Unmap()
}

// client is who sent a request, as far as trusted proxies tell.
func (s *Server) client(r *http.Request) netip.Addr {
	return s.cfg.Proxies.origin(peer(r), r.Header["X-Forwarded-For"])
}

// secure says whether the request came by TLS: to us, or to the trusted proxy that passed it on.
func (s *Server) secure(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	proto := r.Header["X-Forwarded-Proto"]
	return len(proto) == 1 && strings.EqualFold(proto[0], "https") && s.cfg.Proxies.trust(peer(r))
}
