package auth

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ocelot-log/ocelot/internal/document"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/tenant"
)

func TestKeyTexts(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id, text := newKeyText()
		if keyID(text) != id || !whole(text) || len(text) != 51 || seen[id] {
			t.Fatalf("%q: %q", text, keyID(text))
		}
		seen[id] = true
	}
	_, text := newKeyText()
	for i := len(keyPrefix); i < len(text); i++ { // each typo of one character
		c := byte('a')
		if text[i] == c {
			c = 'b'
		}
		if typo := text[:i] + string(c) + text[i+1:]; keyID(typo) != "" && whole(typo) {
			t.Errorf("a typo at %d is not seen", i)
		}
	}
	for _, half := range []string{"", "ocl_", text[:50], text + "0", "ocl__" + text[5:], strings.Repeat("_", 51), strings.ToUpper(text)} {
		if keyID(half) != "" && whole(half) {
			t.Errorf("%q is whole", half)
		}
	}
}

func withKey(text string) Request { return Request{Header: http.Header{"X-Api-Key": {text}}} }

// ask is what a key gets from an address.
func ask(t *testing.T, a *Authenticator, text, client string) (Principal, string) {
	t.Helper()
	r := withKey(text)
	if client != "" {
		r.Client = netip.MustParseAddr(client)
	}
	p, err := a.Authenticate(t.Context(), r)
	asBearer, err2 := a.Authenticate(t.Context(), Request{Header: bearer(text), Client: r.Client})
	if codeOf(err) != codeOf(err2) || p.Subject != asBearer.Subject {
		t.Errorf("X-API-Key: %v, Bearer: %v", err, err2)
	}
	return p, codeOf(err)
}

func create(t *testing.T, a *Authenticator, r KeyRequest) (Key, string) {
	t.Helper()
	if r.Name == "" {
		r.Name = "shop"
	}
	if r.Roles == nil {
		r.Roles = []string{"writer"}
	}
	k, text, err := a.Keys().Create(t.Context(), adminOf("acme"), acme, r)
	if err != nil {
		t.Fatal(err)
	}
	return k, text
}

func TestAKeyMakesAPrincipalOfItsTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		a := s.process(t)
		k, text := create(t, a, KeyRequest{Filter: "service:billing"})
		p, code := ask(t, a, text, "")
		tn, err := p.Tenant(t.Context(), nil)
		if code != "" || err != nil || tn.ID() != acme.id || p.KeyID != k.ID || !p.Can(Writer) || p.Can(Reader) || p.Can(Admin) || p.Filter() != "service:billing" {
			t.Errorf("%+v %q %v", p, code, err)
		}
		if _, err := p.Tenant(t.Context(), []string{"zeta"}); codeOf(err) != "tenant_forbidden" {
			t.Errorf("another tenant: %v", err)
		}
		p.lookup = tenants{"acme": "another"}
		if _, err := p.Tenant(t.Context(), nil); codeOf(err) != "tenant_disabled" {
			t.Errorf("a later tenant of the same name: %v", err)
		}
		for _, d := range s.kept(document.Key) {
			if strings.Contains(string(d.Body), text[13:45]) || d.TenantID != acme.id {
				t.Errorf("kept: %s", d.Body)
			}
		}
	})
}

func TestKeysThatAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		a := s.process(t)
		good, text := create(t, a, KeyRequest{})
		forged := keyPrefix + good.ID + "_" + random62(secretSize)
		forged += checksum62(forged)
		_, unknown := newKeyText()
		_, ends := create(t, a, KeyRequest{ExpiresAt: time.Now().Add(time.Hour)})
		off, disabled := create(t, a, KeyRequest{})
		if _, err := a.Keys().SetDisabled(t.Context(), adminOf("acme"), acme, off.ID, true); err != nil {
			t.Fatal(err)
		}
		_, fenced := create(t, a, KeyRequest{CIDRs: []string{"10.0.0.0/8", "192.0.2.7", "2001:db8::/32"}})
		time.Sleep(time.Hour)
		for name, c := range map[string]struct{ text, client, code string }{
			"a good one":                      {text, "", ""},
			"a wrong secret":                  {forged, "", "key_invalid"},
			"an id that nobody has":           {unknown, "", "key_invalid"},
			"half of it":                      {text[:30], "", "key_invalid"},
			"a typo":                          {text[:20] + "~" + text[21:], "", "key_invalid"},
			"the prefix alone":                {"ocl_", "", "key_invalid"},
			"8 KiB of it":                     {"ocl_" + strings.Repeat("a", 9000), "", "key_invalid"},
			"A14 one that has expired":        {ends, "", "key_expired"},
			"A14 one that is disabled":        {disabled, "", "key_disabled"},
			"from within its networks":        {fenced, "10.1.2.3", ""},
			"from its one address":            {fenced, "192.0.2.7", ""},
			"from an IPv4 address as IPv6":    {fenced, "::ffff:10.1.2.3", ""},
			"from an IPv6 network":            {fenced, "2001:db8::1", ""},
			"from beside its one address":     {fenced, "192.0.2.8", "ip_not_allowed"},
			"A14 from outside":                {fenced, "11.0.0.1", "ip_not_allowed"},
			"from nowhere":                    {fenced, "", "ip_not_allowed"},
			"a wrong secret, from everywhere": {forged, "10.1.2.3", "key_invalid"},
		} {
			p, code := ask(t, a, c.text, c.client)
			if code != c.code || code != "" && p.Can(Writer) {
				t.Errorf("%s: %q, want %q", name, code, c.code)
			}
		}
		_, e1 := a.Authenticate(t.Context(), withKey(forged))
		_, e2 := a.Authenticate(t.Context(), withKey(unknown))
		if e1.Error() != e2.Error() {
			t.Errorf("an id that is there is told: %v, %v", e1, e2)
		}
		if _, err := a.Keys().SetDisabled(t.Context(), adminOf("acme"), acme, off.ID, false); err != nil {
			t.Fatal(err)
		}
		if _, code := ask(t, a, disabled, ""); code != "" {
			t.Errorf("enabled again: %q", code)
		}
	})
}

func TestWhatAProcessDoesWithAKeyAnotherSees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		here, there := s.process(t), s.process(t)
		k, text := create(t, here, KeyRequest{})
		if _, code := ask(t, there, text, ""); code != "" {
			t.Errorf("a new key at once: %q", code)
		}
		if err := here.Keys().Revoke(t.Context(), adminOf("acme"), acme, k.ID); err != nil {
			t.Fatal(err)
		}
		if _, code := ask(t, here, text, ""); code != "key_invalid" {
			t.Errorf("here at once: %q", code)
		}
		time.Sleep(5 * time.Second)
		if _, code := ask(t, there, text, ""); code != "key_invalid" {
			t.Errorf("there after 5 s: %q", code)
		}
		k, text = create(t, here, KeyRequest{})
		time.Sleep(5 * time.Second)
		if _, err := here.Keys().SetDisabled(t.Context(), adminOf("acme"), acme, k.ID, true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if _, code := ask(t, there, text, ""); code != "key_disabled" {
			t.Errorf("there after 5 s: %q", code)
		}
	})
}

func TestAKnownKeyAsksTheStoreNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		_, text := create(t, s.process(t), KeyRequest{})
		a := s.process(t)
		before := s.asks()
		for range 1000 {
			if _, code := ask(t, a, text, ""); code != "" {
				t.Fatal(code)
			}
		}
		if s.asks() != before {
			t.Errorf("%d readings", s.asks()-before)
		}
	})
}

func TestWrongKeysAskTheStoreSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		a := s.process(t)
		good, text := create(t, a, KeyRequest{})
		forged := keyPrefix + good.ID + "_" + random62(secretSize)
		forged += checksum62(forged)
		before := s.asks()
		for i := range 3000 {
			wrong := forged
			if i%2 == 0 {
				_, wrong = newKeyText()
			}
			if _, code := ask(t, a, wrong, ""); code != "key_invalid" {
				t.Fatal(code)
			}
			if i%1000 == 999 {
				time.Sleep(time.Second - time.Millisecond)
			}
		}
		polls := 3 // within three seconds
		if n := s.asks() - before - polls; n > 3*keyLooks {
			t.Errorf("%d readings in three seconds", n)
		}
		if _, code := ask(t, a, text, ""); code != "" {
			t.Errorf("meanwhile the right one: %q", code)
		}
	})
}

func TestWhileTheStoreIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		a := s.process(t)
		_, text := create(t, a, KeyRequest{})
		_, unknown := newKeyText()
		s.goDown(true)
		time.Sleep(time.Hour)
		if _, code := ask(t, a, text, ""); code != "" {
			t.Errorf("what is known: %q", code)
		}
		if _, err := a.Authenticate(t.Context(), withKey(unknown)); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("what nobody can know: %v", err)
		}
		s.goDown(false)
		time.Sleep(5 * time.Second)
		if _, code := ask(t, a, unknown, ""); code != "key_invalid" {
			t.Errorf("afterwards: %q", code)
		}
	})
}

func TestAKeyIsNeverWiderThanItsMaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newShelf().process(t)
		scoped, err := newScope([]string{"service:billing"})
		if err != nil {
			t.Fatal(err)
		}
		narrow := adminOf("acme")
		narrow.scope, narrow.from = scoped, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		writer := narrow
		writer.roles = Writer
		for name, c := range map[string]struct {
			by   Principal
			r    KeyRequest
			code string
		}{
			"what its maker may":            {adminOf("acme"), KeyRequest{Name: "n", Roles: []string{"admin"}}, ""},
			"another tenant's admin":        {adminOf("zeta"), KeyRequest{Name: "n", Roles: []string{"reader"}}, "wider_than_issuer"},
			"a role that its maker has not": {writer, KeyRequest{Name: "n", Roles: []string{"reader"}}, "wider_than_issuer"},
			"other networks":                {narrow, KeyRequest{Name: "n", Roles: []string{"reader"}, CIDRs: []string{"11.0.0.0/8"}}, "wider_than_issuer"},
			"a wider network":               {narrow, KeyRequest{Name: "n", Roles: []string{"reader"}, CIDRs: []string{"0.0.0.0/0"}}, "wider_than_issuer"},
			"a narrower network":            {narrow, KeyRequest{Name: "n", Roles: []string{"reader"}, CIDRs: []string{"10.1.0.0/16"}}, ""},
			"no name":                       {narrow, KeyRequest{Roles: []string{"reader"}}, "name_invalid"},
			"a name with a line break":      {narrow, KeyRequest{Name: "a\nb", Roles: []string{"reader"}}, "name_invalid"},
			"no role":                       {narrow, KeyRequest{Name: "n"}, "role_invalid"},
			"a role that is none":           {narrow, KeyRequest{Name: "n", Roles: []string{"root"}}, "role_invalid"},
			"an end in the past":            {narrow, KeyRequest{Name: "n", Roles: []string{"reader"}, ExpiresAt: time.Now().Add(-time.Second)}, "expiry_invalid"},
			"a network that is none":        {narrow, KeyRequest{Name: "n", Roles: []string{"reader"}, CIDRs: []string{"10.0.0.0/33"}}, "cidr_invalid"},
			"a filter that is none":         {narrow, KeyRequest{Name: "n", Roles: []string{"reader"}, Filter: "(a"}, "filter_invalid"},
		} {
			if _, _, err := a.Keys().Create(t.Context(), c.by, acme, c.r); codeOf(err) != c.code {
				t.Errorf("%s: %v, want %q", name, err, c.code)
			}
		}
		k, text, err := a.Keys().Create(t.Context(), narrow, acme, KeyRequest{Name: "n", Roles: []string{"reader"}, Filter: "action:PAY OR action:READ"})
		if err != nil {
			t.Fatal(err)
		}
		p, code := ask(t, a, text, "10.0.0.1")
		if code != "" || p.Filter() != "(service:billing) (action:PAY OR action:READ)" || len(k.CIDRs) != 1 || k.CIDRs[0] != "10.0.0.0/8" {
			t.Errorf("%q %+v", p.Filter(), k)
		}
		if _, code := ask(t, a, text, "11.0.0.1"); code != "ip_not_allowed" {
			t.Errorf("from outside of what its maker may: %q", code)
		}
	})
}

func TestKeysOfOthersAreAbsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newShelf().process(t)
		k, text := create(t, a, KeyRequest{})
		for name, act := range map[string]func(id string) error{
			"get":    func(id string) error { _, err := a.Keys().Get(t.Context(), zeta, id); return err },
			"revoke": func(id string) error { return a.Keys().Revoke(t.Context(), adminOf("zeta"), zeta, id) },
			"disable": func(id string) error {
				_, err := a.Keys().SetDisabled(t.Context(), adminOf("zeta"), zeta, id, true)
				return err
			},
			"rotate": func(id string) error {
				_, _, err := a.Keys().Rotate(t.Context(), adminOf("zeta"), zeta, id, 0)
				return err
			},
		} {
			foreign, absent := act(k.ID), act("00000000")
			if fault.KindOf(foreign) != fault.NotFound || foreign.Error() != absent.Error() {
				t.Errorf("%s: %v, %v", name, foreign, absent)
			}
		}
		if all, err := a.Keys().List(t.Context(), zeta); err != nil || len(all) != 0 {
			t.Errorf("%v %v", all, err)
		}
		if _, code := ask(t, a, text, ""); code != "" {
			t.Errorf("afterwards: %q", code)
		}
	})
}

func TestARotatedKeyAndItsSuccessorOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		a, there := s.process(t), s.process(t)
		k, old := create(t, a, KeyRequest{Filter: "service:billing", CIDRs: []string{"10.0.0.0/8"}})
		made, text, err := a.Keys().Rotate(t.Context(), adminOf("acme"), acme, k.ID, time.Hour)
		if err != nil || made.Replaces != k.ID || made.Filter != k.Filter || made.CIDRs[0] != k.CIDRs[0] || made.Name != k.Name || !made.ExpiresAt.IsZero() {
			t.Fatalf("%+v %v", made, err)
		}
		if _, _, err := a.Keys().Rotate(t.Context(), adminOf("acme"), acme, k.ID, time.Hour); codeOf(err) != "key_not_rotatable" {
			t.Errorf("twice: %v", err)
		}
		time.Sleep(59 * time.Minute)
		for name, process := range map[string]*Authenticator{"here": a, "there": there} {
			if _, code := ask(t, process, old, "10.0.0.1"); code != "" {
				t.Errorf("%s: the old one during the overlap: %q", name, code)
			}
			if _, code := ask(t, process, text, "10.0.0.1"); code != "" {
				t.Errorf("%s: the new one: %q", name, code)
			}
		}
		time.Sleep(time.Minute)
		for name, process := range map[string]*Authenticator{"here": a, "there": there} {
			if _, code := ask(t, process, old, "10.0.0.1"); code != "key_expired" {
				t.Errorf("%s: the old one afterwards: %q", name, code)
			}
			if _, code := ask(t, process, text, "10.0.0.1"); code != "" {
				t.Errorf("%s: the new one afterwards: %q", name, code)
			}
		}
	})
}

func TestWhenAKeyWasLastUsedIsWrittenSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		here, there := s.process(t), s.process(t)
		k, text := create(t, here, KeyRequest{})
		version := func() int64 { return s.kept(document.Key)[k.ID].Version }
		before := version()
		for range 10 * 60 {
			for _, a := range []*Authenticator{here, there} {
				if _, code := ask(t, a, text, ""); code != "" {
					t.Fatal(code)
				}
			}
			time.Sleep(time.Second)
		}
		if n := version() - before; n < 5 || n > 10 {
			t.Errorf("written %d times in ten minutes", n)
		}
		time.Sleep(2 * time.Minute)
		for name, a := range map[string]*Authenticator{"here": here, "there": there} {
			all, err := a.Keys().List(t.Context(), acme)
			if err != nil || len(all) != 1 || time.Since(all[0].LastUsedAt) > 4*time.Minute {
				t.Errorf("%s: %+v %v", name, all, err)
			}
		}
	})
}

func TestKeysOfTheSettings(t *testing.T) {
	fixed, err := ParseStaticKeys(NewSecret("0123456789abcdef, fedcba9876543210:acme:reader ,0011223344556677:zeta:writer+admin"))
	if err != nil {
		t.Fatal(err)
	}
	a := newAuthenticator(t, func(c *Config) { c.Keys = fixed })
	for text, want := range map[string]string{
		"0123456789abcdef": "default writer+reader", "fedcba9876543210": "acme reader", "0011223344556677": "zeta writer+admin",
	} {
		p, code := ask(t, a, text, "")
		if got := strings.Join(p.tenants, ",") + " " + strings.Join(p.roles.Names(), "+"); code != "" || got != want || strings.Contains(p.Subject, text) {
			t.Errorf("%s: %q %q %q", text, code, got, p.Subject)
		}
	}
	if _, err := a.Authenticate(t.Context(), withKey("0123456789abcdee")); codeOf(err) != "key_invalid" {
		t.Error(err)
	}
	for _, bad := range []string{"short", "aaaaaaaaaaaaaaaabbbb", "0123456789abcdef,", "0123456789abcdef:acme", "0123456789abcdef:Acme:reader", "0123456789abcdef:acme:root",
		"0123456789abcdef,0123456789abcdef", "ocl_0123456789abcdef", "0123456789 abcdef", "0123456789abcdef:acme:reader:x"} {
		if _, err := ParseStaticKeys(NewSecret(bad)); err == nil || strings.Contains(err.Error(), "0123456789") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func BenchmarkAKnownKey(b *testing.B) {
	s := newShelf()
	a, err := New(Config{Secret: NewSecret(testSecret)}, tenants{"acme": "aaaaaaaaaaaa"}, s, discard)
	if err != nil {
		b.Fatal(err)
	}
	_, text, err := a.Keys().Create(b.Context(), adminOf("acme"), acme, KeyRequest{Name: "n", Roles: []string{"writer"}})
	if err != nil {
		b.Fatal(err)
	}
	r, asked := withKey(text), s.asks()
	b.ReportAllocs()
	cpu := cpuTime()
	for b.Loop() {
		p, err := a.Authenticate(context.Background(), r)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := p.Tenant(context.Background(), nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(s.asks()-asked), "store-accesses")
}

// directory is a store of tenants.
type directory []tenant.Info

func (d directory) ListTenants(context.Context) ([]tenant.Info, error) { return slices.Clone(d), nil }

// What ten thousand tenants with a key each take: the tenants as the cache has them, and the keys.
func BenchmarkTenThousandTenantsWithKeys(b *testing.B) {
	const many = 10_000
	s, all := newShelf(), make(directory, many)
	maker, err := New(Config{Secret: NewSecret(testSecret)}, tenants{}, s, discard)
	if err != nil {
		b.Fatal(err)
	}
	for i := range all {
		t := Tenant{id: fmt.Sprintf("t%011d", i), slug: fmt.Sprintf("tenant-%d", i)}
		all[i] = tenant.Info{ID: t.id, Slug: t.slug, Name: "A tenant of some length", CreatedAt: time.Now()}
		if _, _, err := maker.Keys().Create(b.Context(), adminOf(AllTenants), t, KeyRequest{Name: "a key of the shop", Roles: []string{"writer"}, Filter: "service:billing", CIDRs: []string{"10.0.0.0/8"}}); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		before := heap()
		known := tenant.NewCache(all)
		if _, err := known.BySlug(b.Context(), "tenant-1"); err != nil {
			b.Fatal(err)
		}
		a, err := New(Config{Secret: NewSecret(testSecret)}, known, s, discard)
		if err != nil {
			b.Fatal(err)
		}
		if err := a.Load(b.Context()); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(heap()-before)/(1<<20), "MiB")
		if a.keys.held.get("none") != nil || len(a.keys.held.items) != many {
			b.Fatalf("%d keys", len(a.keys.held.items))
		}
	}
}
