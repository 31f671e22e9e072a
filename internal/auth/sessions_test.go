package auth

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ocelot-log/ocelot/internal/document"
	"github.com/ocelot-log/ocelot/internal/fault"
)

var somewhere = netip.MustParseAddr("10.1.2.3")

func session(t *testing.T, a *Authenticator, cookie string) (Principal, string) {
	t.Helper()
	p, err := a.Sessions().Principal(t.Context(), cookie, somewhere)
	return p, codeOf(err)
}

// signedIn is a cookie and what it was made from.
func signedIn(t *testing.T, a *Authenticator, ttl time.Duration) (string, Principal) {
	t.Helper()
	_, text := issue(t, a, adminOf("acme"), TokenRequest{Tenants: []string{"acme"}, Roles: []string{"reader", "writer"}, TTL: ttl, Filter: "service:billing"})
	p, err := a.Authenticate(t.Context(), Request{Header: bearer(text)})
	if err != nil {
		t.Fatal(err)
	}
	cookie, _, err := a.Sessions().Start(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	return cookie, p
}

func TestASessionIsWhoItWasMadeBy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		here, there := s.process(t), s.process(t)
		cookie, by := signedIn(t, here, 48*time.Hour)
		for name, a := range map[string]*Authenticator{"here": here, "there at once": there} {
			p, code := session(t, a, cookie)
			if code != "" || p.Subject != by.Subject || p.TokenID != by.TokenID || p.Filter() != by.Filter() || !slices.Equal(p.Roles(), by.Roles()) || p.SessionID == "" {
				t.Errorf("%s: %+v %q", name, p, code)
			}
			if tn, err := p.Tenant(t.Context(), nil); err != nil || tn.ID() != acme.id {
				t.Errorf("%s: %v", name, err)
			}
			if _, _, err := a.Sessions().Start(t.Context(), p); codeOf(err) != "session_exists" {
				t.Errorf("%s: a session of a session: %v", name, err)
			}
		}
		for id, d := range s.kept(document.Session) {
			if strings.Contains(string(d.Body), cookie) || id == cookie || d.TenantID != acme.id {
				t.Errorf("%s %s", id, d.Body)
			}
		}
		for name, wrong := range map[string]string{"nothing": "", "something short": "abc", "another one": strings.Repeat("A", 43), "its id": sessionID(cookie), "with padding": cookie + "=", "8 KiB": strings.Repeat("A", 8<<10)} {
			if p, code := session(t, here, wrong); code != "session_invalid" || p.Can(Reader) {
				t.Errorf("%s: %q", name, code)
			}
		}
	})
}

func TestHowLongASessionGoesOn(t *testing.T) {
	for name, test := range map[string]func(t *testing.T, s *shelf, here, there *Authenticator){
		"eight hours without a request": func(t *testing.T, _ *shelf, here, _ *Authenticator) {
			cookie, _ := signedIn(t, here, 48*time.Hour)
			time.Sleep(SessionIdle - time.Second)
			if _, code := session(t, here, cookie); code != "" {
				t.Errorf("before: %q", code)
			}
			time.Sleep(SessionIdle)
			if _, code := session(t, here, cookie); code != "session_expired" {
				t.Errorf("after: %q", code)
			}
		},
		"24 hours in any case": func(t *testing.T, s *shelf, here, there *Authenticator) {
			cookie, _ := signedIn(t, here, 48*time.Hour)
			for range 4 {
				time.Sleep(6*time.Hour - time.Second)
				if _, code := session(t, here, cookie); code != "" {
					t.Fatal(code)
				}
			}
			time.Sleep(4 * time.Second)
			for name, a := range map[string]*Authenticator{"here": here, "there": there} { // whose it was is known for a day
				if p, code := session(t, a, cookie); code != "session_expired" || p.Subject == "" || p.Can(Reader) || a.Sessions().Known(cookie) {
					t.Errorf("after, %s: %q of %q, who may read: %v", name, code, p.Subject, p.Can(Reader))
				}
			}
			time.Sleep(sessionKept)
			if p, code := session(t, here, cookie); code != "session_invalid" || p.Subject != "" {
				t.Errorf("a day later: %q of %q", code, p.Subject)
			}
		},
		"no longer than its token": func(t *testing.T, _ *shelf, here, _ *Authenticator) {
			cookie, by := signedIn(t, here, time.Hour)
			time.Sleep(time.Until(by.Expires()) - time.Second)
			if _, code := session(t, here, cookie); code != "" {
				t.Errorf("before: %q", code)
			}
			time.Sleep(time.Second)
			if _, code := session(t, here, cookie); code == "" {
				t.Error("it outlives its token")
			}
		},
		"until its token is revoked": func(t *testing.T, _ *shelf, here, there *Authenticator) {
			cookie, by := signedIn(t, here, time.Hour)
			if err := here.Tokens().Revoke(t.Context(), adminOf("acme"), by.TokenID); err != nil {
				t.Fatal(err)
			}
			if _, code := session(t, here, cookie); code != "session_invalid" {
				t.Errorf("here at once: %q", code)
			}
			time.Sleep(5 * time.Second)
			if _, code := session(t, there, cookie); code != "session_invalid" {
				t.Errorf("there after 5 s: %q", code)
			}
		},
		"until its key is revoked": func(t *testing.T, _ *shelf, here, there *Authenticator) {
			k, text := create(t, here, KeyRequest{CIDRs: []string{"10.0.0.0/8"}})
			p, _ := ask(t, here, text, "10.0.0.1")
			cookie, _, err := here.Sessions().Start(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range []*Authenticator{here, there} {
				if _, code := session(t, a, cookie); code != "" {
					t.Fatal(code)
				}
				if _, err := a.Sessions().Principal(t.Context(), cookie, netip.MustParseAddr("11.0.0.1")); codeOf(err) != "ip_not_allowed" {
					t.Errorf("from outside of the key's networks: %v", err)
				}
			}
			if err := here.Keys().Revoke(t.Context(), adminOf("acme"), acme, k.ID); err != nil {
				t.Fatal(err)
			}
			if _, code := session(t, here, cookie); code != "session_invalid" {
				t.Errorf("here at once: %q", code)
			}
			time.Sleep(5 * time.Second)
			if _, code := session(t, there, cookie); code != "session_invalid" {
				t.Errorf("there after 5 s: %q", code)
			}
		},
		"until it is ended": func(t *testing.T, _ *shelf, here, there *Authenticator) {
			cookie, _ := signedIn(t, here, time.Hour)
			other, _ := signedIn(t, here, time.Hour)
			p, code := session(t, there, cookie)
			if code != "" {
				t.Fatal(code)
			}
			if err := there.Sessions().End(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			if p, code := session(t, there, cookie); code != "session_invalid" || p.Subject == "" || p.Can(Reader) || there.Sessions().Known(cookie) {
				t.Errorf("there at once: %q of %q, who may read: %v", code, p.Subject, p.Can(Reader))
			}
			time.Sleep(5 * time.Second)
			if _, code := session(t, here, cookie); code != "session_invalid" {
				t.Errorf("here after 5 s: %q", code)
			}
			if _, code = session(t, here, other); code != "" {
				t.Errorf("the other one: %q", code)
			}
		},
		"also while the store is down": func(t *testing.T, s *shelf, here, there *Authenticator) {
			cookie, _ := signedIn(t, here, time.Hour)
			s.goDown(true)
			if _, code := session(t, here, cookie); code != "" {
				t.Errorf("here: %q", code)
			}
			if _, err := there.Sessions().Principal(t.Context(), cookie, somewhere); fault.KindOf(err) != fault.Unavailable {
				t.Errorf("there: %v", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShelf()
				if strings.Contains(name, "hours") { // of polls
					test(t, s, s.still(t), s.still(t))
					return
				}
				test(t, s, s.process(t), s.process(t))
			})
		})
	}
}

func TestRequestsElsewhereKeepASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		here, there := s.process(t), s.process(t)
		cookie, _ := signedIn(t, here, 48*time.Hour)
		for range 10 * 60 {
			for _, a := range []*Authenticator{here, there} {
				if _, code := session(t, a, cookie); code != "" {
					t.Fatal(code)
				}
			}
			time.Sleep(time.Second)
		}
		for id, d := range s.kept(document.Session) {
			if d.Version < 5 || d.Version > 11 {
				t.Errorf("written %d times in ten minutes", d.Version)
			}
			seen := here.opened.held.get(id).seen.Load()
			time.Sleep(10 * time.Minute)
			if _, code := session(t, there, cookie); code != "" {
				t.Fatal(code)
			}
			time.Sleep(2 * time.Minute)
			if now := here.opened.held.get(id).seen.Load(); now < seen+int64(10*time.Minute/time.Second) {
				t.Errorf("a request elsewhere is not known here: %d s", now-seen)
			}
		}
	})
}

func TestACredentialHasSoManySessionsAtTheMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		a := s.process(t)
		other, _ := signedIn(t, a, 10*time.Hour)
		first, by := signedIn(t, a, 10*time.Hour)
		time.Sleep(time.Minute)
		second, _, err := a.Sessions().Start(t.Context(), by)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if _, code := session(t, a, first); code != "" { // used later than the second
			t.Fatal(code)
		}
		last := ""
		for range maxSessions - 1 {
			time.Sleep(time.Second)
			if last, _, err = a.Sessions().Start(t.Context(), by); err != nil {
				t.Fatal(err)
			}
		}
		if _, code := session(t, a, second); code != "session_invalid" {
			t.Errorf("the one that was used longest ago: %q", code)
		}
		for name, cookie := range map[string]string{"the first": first, "the last": last, "another credential's": other} {
			if _, code := session(t, a, cookie); code != "" {
				t.Errorf("%s: %q", name, code)
			}
		}
		n := 0
		for _, d := range s.kept(document.Session) {
			if !d.Deleted {
				n++
			}
		}
		if n != maxSessions+1 {
			t.Errorf("%d are kept", n)
		}
	})
}
