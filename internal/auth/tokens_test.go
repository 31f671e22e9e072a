package auth

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ocelot-log/ocelot/internal/document"
	"github.com/ocelot-log/ocelot/internal/fault"
)

func issue(t *testing.T, a *Authenticator, by Principal, r TokenRequest) (Token, string) {
	t.Helper()
	made, text, err := a.Tokens().Issue(t.Context(), by, r)
	if err != nil {
		t.Fatal(err)
	}
	return made, text
}

func authenticated(t *testing.T, a *Authenticator, token string) string {
	t.Helper()
	_, err := a.Authenticate(t.Context(), Request{Header: bearer(token)})
	return codeOf(err)
}

func TestAnIssuedTokenIsAcceptedAndListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		a := s.process(t, func(c *Config) { c.Issuer, c.Audience = "ocelot", "logs" })
		made, text := issue(t, a, adminOf("acme"), TokenRequest{Tenants: []string{"acme"}, Roles: []string{"reader"}, TTL: time.Hour, Filter: "service:billing"})
		p, err := a.Authenticate(t.Context(), Request{Header: bearer(text)})
		if err != nil || p.Subject != "ada" || p.TokenID != made.ID || !p.Can(Reader) || p.Can(Admin) || p.Filter() != "service:billing" || !slices.Equal(p.Tenants(), []string{"acme"}) {
			t.Errorf("%+v %v", p, err)
		}
		for name, c := range map[string]struct {
			by   Principal
			want int
		}{
			"its tenant's admin": {adminOf("acme"), 1}, "another tenant's": {adminOf("zeta"), 0}, "one of both": {adminOf("acme", "zeta"), 1}, "the platform's": {adminOf(AllTenants), 1},
		} {
			all, err := a.Tokens().List(t.Context(), c.by)
			if err != nil || len(all) != c.want || c.want == 1 && (all[0].ID != made.ID || all[0].Issuer != "ada" || !all[0].RevokedAt.IsZero()) {
				t.Errorf("%s: %+v %v", name, all, err)
			}
		}
		for _, d := range s.kept(document.Token) {
			if strings.Contains(string(d.Body), text[len(text)-20:]) || d.TenantID != acme.id {
				t.Errorf("%s %s", d.TenantID, d.Body)
			}
		}
		time.Sleep(time.Hour + time.Minute)
		if all, err := a.Tokens().List(t.Context(), adminOf("acme")); err != nil || len(all) != 0 {
			t.Errorf("after its end: %+v %v", all, err)
		}
	})
}

func TestATokenIsNeverWiderThanWhoAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newShelf().process(t)
		short, narrow := adminOf("acme"), adminOf("acme")
		short.expires = time.Now().Add(time.Hour)
		narrow.scope, _ = newScope([]string{"service:billing"})
		reader := adminOf("acme")
		reader.roles = Reader
		for name, c := range map[string]struct {
			by   Principal
			r    TokenRequest
			code string
		}{
			"what they have":                   {adminOf("acme"), TokenRequest{Tenants: []string{"acme"}, Roles: []string{"admin"}}, ""},
			"two of their tenants":             {adminOf("acme", "zeta"), TokenRequest{Tenants: []string{"acme", "zeta"}, Roles: []string{"admin"}}, ""},
			"another tenant":                   {adminOf("acme"), TokenRequest{Tenants: []string{"acme", "zeta"}, Roles: []string{"reader"}}, "wider_than_issuer"},
			"a tenant that is not there":       {adminOf("acme"), TokenRequest{Tenants: []string{"nobody"}, Roles: []string{"reader"}}, "wider_than_issuer"},
			"one of theirs that is not there":  {adminOf("acme", "gone"), TokenRequest{Tenants: []string{"gone"}, Roles: []string{"reader"}}, "wider_than_issuer"},
			"all tenants":                      {adminOf("acme"), TokenRequest{Tenants: []string{AllTenants}, Roles: []string{"reader"}}, "wider_than_issuer"},
			"all tenants by the platform":      {adminOf(AllTenants), TokenRequest{Tenants: []string{AllTenants}, Roles: []string{"admin"}}, ""},
			"no admin":                         {reader, TokenRequest{Tenants: []string{"acme"}, Roles: []string{"reader"}}, "insufficient_role"},
			"longer than they have":            {short, TokenRequest{Tenants: []string{"acme"}, Roles: []string{"reader"}, TTL: 2 * time.Hour}, "wider_than_issuer"},
			"as long as they have":             {short, TokenRequest{Tenants: []string{"acme"}, Roles: []string{"reader"}, TTL: time.Hour}, ""},
			"longer than anybody may":          {adminOf("acme"), TokenRequest{Tenants: []string{"acme"}, Roles: []string{"reader"}, TTL: 8761 * time.Hour}, "ttl_invalid"},
			"for less than a second":           {adminOf("acme"), TokenRequest{Tenants: []string{"acme"}, Roles: []string{"reader"}, TTL: time.Millisecond}, "ttl_invalid"},
			"backwards":                        {adminOf("acme"), TokenRequest{Tenants: []string{"acme"}, Roles: []string{"reader"}, TTL: -time.Hour}, "ttl_invalid"},
			"no tenant":                        {adminOf("acme"), TokenRequest{Roles: []string{"reader"}}, "tenants_invalid"},
			"no role":                          {adminOf("acme"), TokenRequest{Tenants: []string{"acme"}}, "role_invalid"},
			"a filter that is none":            {narrow, TokenRequest{Tenants: []string{"acme"}, Roles: []string{"reader"}, Filter: ")"}, "filter_invalid"},
			"a subject that breaks the line":   {adminOf("acme"), TokenRequest{Tenants: []string{"acme"}, Roles: []string{"reader"}, Subject: "a\nb"}, "subject_invalid"},
			"more tenants than a token names":  {adminOf(AllTenants), TokenRequest{Tenants: slices.Repeat([]string{"acme"}, 101), Roles: []string{"reader"}}, "tenants_invalid"},
			"a filter for a part of all these": {narrow, TokenRequest{Tenants: []string{"acme"}, Roles: []string{"reader"}, Filter: "service:shop OR service:billing"}, ""},
		} {
			if _, _, err := a.Tokens().Issue(t.Context(), c.by, c.r); codeOf(err) != c.code {
				t.Errorf("%s: %v, want %q", name, err, c.code)
			}
		}
		made, _ := issue(t, a, short, TokenRequest{Tenants: []string{"acme"}, Roles: []string{"reader"}})
		if !made.ExpiresAt.Equal(short.expires.Truncate(time.Second)) {
			t.Errorf("without a ttl it ends at %s, who asked at %s", made.ExpiresAt, short.expires)
		}
		_, text := issue(t, a, narrow, TokenRequest{Tenants: []string{"acme"}, Roles: []string{"reader"}, Filter: "service:shop OR service:billing"})
		if p, err := a.Authenticate(t.Context(), Request{Header: bearer(text)}); err != nil || p.Filter() != "(service:billing) (service:shop OR service:billing)" {
			t.Errorf("%q %v", p.Filter(), err)
		}
	})
}

// TestARevokedTokenEndsEverywhere is A12.
func TestARevokedTokenEndsEverywhere(t *testing.T) {
	claims := func(jti string) string {
		return claimed(time.Hour, jti)
	}
	for name, make := range map[string]func(t *testing.T, a *Authenticator) (text, jti string){
		"issued here": func(t *testing.T, a *Authenticator) (string, string) {
			made, text := issue(t, a, adminOf("acme"), TokenRequest{Tenants: []string{"acme"}, Roles: []string{"reader"}})
			return text, made.ID
		},
		"minted by the command": func(t *testing.T, _ *Authenticator) (string, string) {
			text, jti, _, err := Mint(NewSecret(testSecret), Claims{Tenants: []string{"acme"}, Roles: []string{"reader"}, TTL: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			return text, jti
		},
		"of somebody else": func(*testing.T, *Authenticator) (string, string) {
			return signed(plainHeader, claims(`,"jti":"urn:uuid:1"`), sha256.New), "urn:uuid:1"
		},
		"with a jti that no path can hold": func(*testing.T, *Authenticator) (string, string) {
			return signed(plainHeader, claims(`,"jti":"a/b c"`), sha256.New), "a/b c"
		},
		"without a jti": func(t *testing.T, a *Authenticator) (string, string) {
			text := signed(plainHeader, claims(""), sha256.New)
			p, err := a.Authenticate(t.Context(), Request{Header: bearer(text)})
			if err != nil || len(p.TokenID) > 64 {
				t.Fatal(p.TokenID, err)
			}
			return text, p.TokenID
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newShelf()
				here, there := s.process(t), s.process(t)
				text, jti := make(t, here)
				if authenticated(t, here, text) != "" || authenticated(t, there, text) != "" {
					t.Fatal("it is no token to begin with")
				}
				for _, by := range []Principal{adminOf("zeta"), adminOf("gone")} { // who has no say over it
					if err := here.Tokens().Revoke(t.Context(), by, jti); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(5 * time.Second)
				if authenticated(t, here, text) != "" || authenticated(t, there, text) != "" {
					t.Fatal("another tenant ended it")
				}
				if err := here.Tokens().Revoke(t.Context(), adminOf("acme"), jti); err != nil {
					t.Fatal(err)
				}
				if code := authenticated(t, here, text); code != "token_revoked" {
					t.Errorf("here at once: %q", code)
				}
				time.Sleep(5 * time.Second)
				if code := authenticated(t, there, text); code != "token_revoked" {
					t.Errorf("there after 5 s: %q", code)
				}
				if code := authenticated(t, s.process(t), text); code != "token_revoked" {
					t.Errorf("in a process that starts later: %q", code)
				}
			})
		})
	}
}

func TestWhoMayRevoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newShelf().process(t)
		made, text := issue(t, a, adminOf("acme", "zeta"), TokenRequest{Tenants: []string{"acme", "zeta"}, Roles: []string{"reader"}})
		p, err := a.Authenticate(t.Context(), Request{Header: bearer(text)})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Tokens().Revoke(t.Context(), p, "another"); codeOf(err) != "insufficient_role" {
			t.Errorf("a reader another's: %v", err)
		}
		if err := a.Tokens().Revoke(t.Context(), adminOf("acme"), made.ID); err != nil || authenticated(t, a, text) != "" {
			t.Errorf("an admin of one of its two tenants: %v", err)
		}
		if all, err := a.Tokens().List(t.Context(), adminOf("acme", "zeta")); err != nil || len(all) != 1 || !all[0].RevokedAt.IsZero() {
			t.Errorf("%+v %v", all, err)
		}
		if err := a.Tokens().Revoke(t.Context(), p, made.ID); err != nil || authenticated(t, a, text) != "token_revoked" {
			t.Errorf("a reader its own: %v", err)
		}
		all, err := a.Tokens().List(t.Context(), adminOf("acme", "zeta"))
		if err != nil || len(all) != 1 || all[0].RevokedAt.IsZero() {
			t.Errorf("%+v %v", all, err)
		}
		_, text = issue(t, a, adminOf(AllTenants), TokenRequest{Tenants: []string{AllTenants}, Roles: []string{"admin"}})
		p, err = a.Authenticate(t.Context(), Request{Header: bearer(text)})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Tokens().Revoke(t.Context(), adminOf("acme"), p.TokenID); err != nil || authenticated(t, a, text) != "" {
			t.Errorf("a tenant's admin the platform's: %v", err)
		}
		if err := a.Tokens().Revoke(t.Context(), adminOf(AllTenants), p.TokenID); err != nil || authenticated(t, a, text) != "token_revoked" {
			t.Errorf("the platform its own: %v", err)
		}
	})
}

func TestRevocationsHoldWhileTheStoreIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		a := s.process(t)
		made, text := issue(t, a, adminOf("acme"), TokenRequest{Tenants: []string{"acme"}, Roles: []string{"reader"}})
		_, other := issue(t, a, adminOf("acme"), TokenRequest{Tenants: []string{"acme"}, Roles: []string{"reader"}})
		if err := a.Tokens().Revoke(t.Context(), adminOf("acme"), made.ID); err != nil {
			t.Fatal(err)
		}
		s.goDown(true)
		time.Sleep(time.Hour)
		if authenticated(t, a, text) != "token_revoked" || authenticated(t, a, other) != "" {
			t.Error("what was known does not hold")
		}
		if err := a.Tokens().Revoke(t.Context(), adminOf("acme"), "x"); err == nil || fault.KindOf(err) == fault.NotFound {
			t.Errorf("a revocation that was not kept: %v", err)
		}
	})
}

func TestAChangeIsSeenAmongMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		here, there := s.process(t), s.process(t)
		var texts []string
		for i := range 3*pageSize + 7 { // all in one moment
			text := signed(plainHeader, claimed(time.Hour, fmt.Sprintf(`,"jti":"j%d"`, i)), sha256.New)
			if err := here.Tokens().Revoke(t.Context(), adminOf("acme"), fmt.Sprintf("j%d", i)); err != nil {
				t.Fatal(err)
			}
			texts = append(texts, text)
		}
		time.Sleep(5 * time.Second)
		for i, text := range texts {
			if code := authenticated(t, there, text); code != "token_revoked" {
				t.Fatalf("%d: %q", i, code)
			}
		}
	})
}

func TestATenantHasSoManyTokensAtTheMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		for i := range maxTokens - 1 {
			d := document.Document{Kind: document.Token, ID: fmt.Sprint(i), TenantID: acme.id, Body: []byte(`{"tenants":["acme"]}`), ExpiresAt: time.Now().Add(3 * time.Second)}
			if _, err := s.CreateDocument(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
		a := s.still(t)
		ask := func(tenants ...string) string {
			_, _, err := a.Tokens().Issue(t.Context(), adminOf("acme", "zeta"), TokenRequest{Tenants: tenants, Roles: []string{"reader"}, TTL: 3 * time.Hour})
			return codeOf(err)
		}
		if last, more, others := ask("acme"), ask("acme"), ask("zeta")+ask("acme", "zeta"); last != "" || more != "too_many_tokens" || others != "" {
			t.Errorf("the last one %q, one more %q, of others %q", last, more, others)
		}
		time.Sleep(10 * time.Second)
		a.Tokens().held.prune()
		if code := ask("acme"); code != "" {
			t.Errorf("when they have expired: %q", code)
		}
	})
}

// A token that is for several tenants, or says so, counts for the first one of them.
func TestTokensOfSeveralTenantsHaveALimitToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		for i := range maxTokens {
			d := document.Document{Kind: document.Token, ID: fmt.Sprint(i), TenantID: acme.id, Body: []byte(`{"tenants":["acme"]}`), ExpiresAt: time.Now().Add(time.Hour)}
			several := document.Document{Kind: document.Token, ID: fmt.Sprint("s", i), Body: []byte(`{"tenants":["acme","zeta"]}`), ExpiresAt: time.Now().Add(time.Hour)}
			for _, d := range []document.Document{d, several} {
				if _, err := s.CreateDocument(t.Context(), d); err != nil {
					t.Fatal(err)
				}
			}
		}
		a := s.still(t)
		for name, c := range map[string]struct {
			by, tenants []string
			want        string
		}{
			"of several":               {[]string{"acme", "zeta"}, []string{"acme", "zeta"}, "too_many_tokens"},
			"of one that stands twice": {[]string{"acme"}, []string{"acme", "acme"}, "too_many_tokens"},
			"of another one first":     {[]string{"acme", "zeta"}, []string{"zeta", "acme"}, ""},
			"of another one twice":     {[]string{"acme", "zeta"}, []string{"zeta", "zeta"}, ""},
			"of all":                   {[]string{"*"}, []string{"*"}, ""},
		} {
			issued, _, err := a.Tokens().Issue(t.Context(), adminOf(c.by...), TokenRequest{Tenants: c.tenants, Roles: []string{"reader"}})
			if codeOf(err) != c.want {
				t.Errorf("%s: %q, want %q", name, codeOf(err), c.want)
			}
			if c.want == "" && name == "of another one twice" && strings.Join(issued.Tenants, " ") != "zeta" {
				t.Errorf("%s: it is for %v", name, issued.Tenants)
			}
		}
	})
}

func TestATenantRevokesSoManyUnseenTokensAtTheMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShelf()
		for i := range maxTokens {
			d := document.Document{Kind: document.Token, ID: fmt.Sprint(i), Body: []byte(`{"revoked_for":["acme"]}`), ExpiresAt: time.Now().Add(time.Hour)}
			if _, err := s.CreateDocument(t.Context(), d); err != nil {
				t.Fatal(err)
			}
		}
		a := s.still(t)
		issued, _, err := a.Tokens().Issue(t.Context(), adminOf("acme"), TokenRequest{Tenants: []string{"acme"}, Roles: []string{"reader"}})
		if err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			by   Principal
			jti  string
			want string
		}{
			"another one":              {adminOf("acme"), "unseen", "too_many_revocations"},
			"of several tenants":       {adminOf("acme", "zeta"), "unseen", "too_many_revocations"},
			"one of them again":        {adminOf("acme"), "7", ""},
			"one that was issued here": {adminOf("acme"), issued.ID, ""},
			"of another tenant":        {adminOf("zeta"), "elsewhere", ""},
			"by who runs the service":  {adminOf("*"), "any", ""},
			"by the token itself":      {Principal{Subject: "ada", tenants: []string{"acme"}, TokenID: "own"}, "own", ""},
		} {
			if code := codeOf(a.Tokens().Revoke(t.Context(), c.by, c.jti)); code != c.want {
				t.Errorf("%s: %q, want %q", name, code, c.want)
			}
		}
	})
}
