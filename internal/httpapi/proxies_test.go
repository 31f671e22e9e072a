package httpapi

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

func TestTheClientIsTheRightmostHopThatIsNoTrustedProxy(t *testing.T) {
	trusted, err := ParseProxies("10.0.0.0/8, 192.0.2.1 ,fd00::/8,,::1")
	must(t, err)
	for name, c := range map[string]struct {
		peer, want string
		forwarded  []string
	}{
		"nobody forwards":                         {"203.0.113.9:1", "203.0.113.9", nil},
		"J4 a stranger's word is not taken":       {"203.0.113.9:1", "203.0.113.9", []string{"10.0.0.1"}},
		"a proxy that says nothing is the client": {"10.0.0.1:1", "10.0.0.1", nil},
		"one proxy":                           {"10.0.0.1:1", "203.0.113.9", []string{"203.0.113.9"}},
		"the client's own header stands left": {"10.0.0.1:1", "203.0.113.9", []string{"1.2.3.4, 203.0.113.9"}},
		"two proxies":                         {"10.0.0.1:1", "203.0.113.9", []string{"1.2.3.4, 203.0.113.9, 192.0.2.1"}},
		"several lines are one list":          {"10.0.0.1:1", "203.0.113.9", []string{"1.2.3.4", "203.0.113.9 ,\t192.0.2.1"}},
		"all are proxies":                     {"10.0.0.1:1", "10.0.0.3", []string{"10.0.0.3, 10.0.0.2"}},
		"a port":                              {"10.0.0.1:1", "203.0.113.9", []string{"203.0.113.9:443"}},
		"IPv6":                                {"[::1]:1", "2001:db8::1", []string{"2001:db8::1"}},
		"IPv6 in brackets":                    {"[::1]:1", "2001:db8::1", []string{"[2001:db8::1]"}},
		"IPv6 with a port":                    {"[fd00::2]:1", "2001:db8::1", []string{"[2001:db8::1]:8443"}},
		"IPv4 in IPv6":                        {"[::ffff:10.0.0.1]:1", "203.0.113.9", []string{"::ffff:203.0.113.9"}},
		"IPv4 in IPv6 is a trusted proxy all the same":    {"10.0.0.1:1", "203.0.113.9", []string{"203.0.113.9, ::ffff:10.0.0.7"}},
		"garbage ends the walk at who passed it on":       {"10.0.0.1:1", "192.0.2.1", []string{"203.0.113.9, unknown, 192.0.2.1"}},
		"an empty hop too":                                {"10.0.0.1:1", "10.0.0.1", []string{"203.0.113.9,"}},
		"an empty line too":                               {"10.0.0.1:1", "10.0.0.1", []string{"203.0.113.9", ""}},
		"a zone too":                                      {"10.0.0.1:1", "10.0.0.1", []string{"fe80::1%eth0"}},
		"IPv4 in brackets too":                            {"10.0.0.1:1", "10.0.0.1", []string{"[203.0.113.9]"}},
		"an address with leading zeros too":               {"10.0.0.1:1", "10.0.0.1", []string{"203.0.113.009"}},
		"a port that is none too":                         {"10.0.0.1:1", "10.0.0.1", []string{"203.0.113.9:99999"}},
		"something long too":                              {"10.0.0.1:1", "10.0.0.1", []string{strings.Repeat("1", 1<<13)}},
		"a link-local peer loses its zone":                {"[fe80::1%eth0]:1", "fe80::1", []string{"203.0.113.9"}},
		"a peer without address, as on a socket of files": {"@", "invalid IP", []string{"203.0.113.9"}},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = c.peer
		if c.forwarded != nil {
			r.Header["X-Forwarded-For"] = c.forwarded
		}
		s := &Server{cfg: Config{Proxies: trusted}}
		if got := s.client(r); got.String() != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if got := (&Server{}).client(r); got != peer(r) {
			t.Errorf("%s: without trusted proxies it is %s", name, got)
		}
	}
}

func TestProxiesThatAreNoneAreRefused(t *testing.T) {
	for _, text := range []string{"localhost", "10.0.0.0/33", "10.0.0.1/8", "::ffff:10.0.0.1", "::ffff:10.0.0.0/104", "fe80::1%eth0", "10.0.0.1 10.0.0.2", "*", "10.0.0.1:80"} {
		if p, err := ParseProxies(text); err == nil {
			t.Errorf("%q became %v", text, p)
		}
	}
	if p, err := ParseProxies(" , "); err != nil || len(p) != 0 {
		t.Errorf("nothing became %v, %v", p, err)
	}
}

func TestOnlyATrustedProxySaysThatARequestCameByTLS(t *testing.T) {
	trusted, err := ParseProxies("10.0.0.0/8")
	must(t, err)
	for name, c := range map[string]struct {
		peer  string
		proto []string
		want  bool
	}{
		"a trusted proxy":          {"10.0.0.1:1", []string{"https"}, true},
		"in capitals":              {"10.0.0.1:1", []string{"HTTPS"}, true},
		"it says http":             {"10.0.0.1:1", []string{"http"}, false},
		"it says nothing":          {"10.0.0.1:1", nil, false},
		"it passes two on":         {"10.0.0.1:1", []string{"https", "http"}, false},
		"J5 a stranger is ignored": {"203.0.113.9:1", []string{"https"}, false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = c.peer
		r.Header["X-Forwarded-Proto"] = c.proto
		if got := (&Server{cfg: Config{Proxies: trusted}}).secure(r); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// FuzzXFF: whatever is forwarded, the client is the peer or an address that stands in the header, nothing right of it
// is a stranger, and what a stranger wrote left of it changes nothing.
func FuzzXFF(f *testing.F) {
	for _, seed := range []string{"", "1.2.3.4", "1.2.3.4, 10.0.0.1", "[2001:db8::1]:443,10.1.1.1", "::ffff:10.0.0.1", "unknown, 10.0.0.1", ",,", "[::1", "fe80::1%a"} {
		f.Add(seed, "9.9.9.9, ")
	}
	trusted, err := ParseProxies("10.0.0.0/8")
	if err != nil {
		f.Fatal(err)
	}
	proxy := netip.MustParseAddr("10.0.0.1")
	f.Fuzz(func(t *testing.T, forwarded, invented string) {
		got := trusted.origin(proxy, []string{forwarded})
		if !got.IsValid() || got.Is4In6() || got.Zone() != "" {
			t.Fatalf("%q: %v", forwarded, got)
		}
		if got == proxy {
			return
		}
		hops, at := strings.Split(forwarded, ","), -1
		for i := len(hops) - 1; i >= 0 && at < 0; i-- {
			switch a, ok := parseHop(hops[i]); {
			case !ok:
				t.Fatalf("%q: %v stands left of a hop that can't be read", forwarded, got)
			case a == got && (i == 0 || !trusted.trust(a) || !readable(hops[i-1])):
				at = i
			case !trusted.trust(a):
				t.Fatalf("%q: %v stands left of the stranger %v", forwarded, got, a)
			}
		}
		if at < 0 {
			t.Fatalf("%q: %v does not stand there", forwarded, got)
		}
		if !trusted.trust(got) {
			if again := trusted.origin(proxy, []string{invented + "," + forwarded}); again != got {
				t.Fatalf("%q before %q: %v instead of %v", invented, forwarded, again, got)
			}
		}
	})
}

func readable(hop string) bool { _, ok := parseHop(hop); return ok }
