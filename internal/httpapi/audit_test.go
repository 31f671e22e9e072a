package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/audit"
	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/document"
	"github.com/ocelot-log/ocelot/internal/drain"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/ingest"
	"github.com/ocelot-log/ocelot/internal/mask"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// auditedWorld is a world whose audit events are remembered.
func auditedWorld(t *testing.T, change ...func(*parts)) (*world, *noted) {
	n := &noted{}
	w := newWorld(t, append([]func(*parts){func(p *parts) { p.writing.Audit = n }}, change...)...)
	return w, n
}

func TestReadsAreNoted(t *testing.T) {
	for name, c := range map[string]struct {
		target string
		want   audit.Event // without who
	}{
		"a search":                    {"/api/v1/logs?service=billing&q=card&limit=1", audit.Event{Action: "READ", ResourceType: "entries", Count: 1, Source: "index", Params: map[string][]string{"service": {"billing"}, "q": {"card"}, "limit": {"1"}}}},
		"a search that finds nothing": {"/api/v1/logs?q=nothing", audit.Event{Action: "READ", ResourceType: "entries", Source: "index", Params: map[string][]string{"q": {"nothing"}}}},
		"one entry":                   {"/api/v1/logs/", audit.Event{Action: "READ", ResourceType: "entry", Count: 1}},
	} {
		w, n := auditedWorld(t)
		id := w.put(t, "acme", logentry.Entry{Message: "card declined", Service: "billing"}, logentry.Entry{Message: "card accepted", Service: "billing"})[0].String()
		if c.target == "/api/v1/logs/" {
			c.target, c.want.ResourceID = c.target+id, id
		}
		a := w.do(t, authHeader(t, "acme", "reader"), http.MethodGet, c.target, "", "X-Request-ID", "r-1", "User-Agent", "curl/8")
		if a.status != http.StatusOK || len(n.events) != 1 {
			t.Fatalf("%s: %d, %d events", name, a.status, len(n.events))
		}
		got := n.events[0]
		if got.tenantID != authtest.TenantID("acme") || got.Subject == "" || got.RequestID != "r-1" || got.UserAgent != "curl/8" || got.Route == "" || !got.Address.IsValid() {
			t.Errorf("%s: %+v", name, got)
		}
		if got.Action != c.want.Action || got.ResourceType != c.want.ResourceType || got.ResourceID != c.want.ResourceID || got.Count != c.want.Count ||
			got.Source != c.want.Source || len(got.Params) != len(c.want.Params) {
			t.Errorf("%s: %+v", name, got.Event)
		}
		for param, values := range c.want.Params {
			if !slices.Equal(got.Params[param], values) {
				t.Errorf("%s: %s is %q", name, param, got.Params[param])
			}
		}
	}
}

func TestWithoutANoteNothingIsGivenOut(t *testing.T) {
	w, n := auditedWorld(t)
	id := w.put(t, "acme", logentry.Entry{Message: "canary"})[0].String()
	n.err = fault.New(fault.Unavailable, "audit_unavailable", "try again")
	for _, target := range []string{"/api/v1/logs", "/api/v1/logs/" + id} {
		a := w.do(t, authHeader(t, "acme", "reader"), http.MethodGet, target, "")
		if a.status != http.StatusServiceUnavailable || a.problem().Code != "audit_unavailable" || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", target, a.status, a.body)
		}
	}
	w, n = auditedWorld(t, func(p *parts) { p.cfg.UnauditedReads = true })
	n.err = fault.New(fault.Unavailable, "audit_unavailable", "try again")
	if a := w.do(t, authHeader(t, "acme", "reader"), http.MethodGet, "/api/v1/logs", ""); a.status != http.StatusOK {
		t.Errorf("reads that are not noted: %d", a.status)
	}
}

func TestChangesAreNotedWhereTheyBelong(t *testing.T) {
	w, n := auditedWorld(t, func(p *parts) { p.cfg.AuditTenant = "zeta" })
	a := w.do(t, authHeader(t, "*", "admin"), http.MethodPost, "/api/v1/tenants", `{"id":"fresh","name":"Fresh"}`)
	if a.status != http.StatusCreated || len(n.events) != 2 {
		t.Fatalf("%d %s, %d events", a.status, a.body, len(n.events))
	}
	made, err := w.access.Tenants.BySlug(t.Context(), "fresh")
	must(t, err)
	for i, tenantID := range []string{made.ID, authtest.TenantID("zeta")} {
		got := n.events[i]
		after, _ := got.After.(tenantBody)
		if got.tenantID != tenantID || got.Action != audit.Create || got.ResourceType != "tenant" || got.ResourceID != "fresh" || got.Before != nil || after.Name != "Fresh" {
			t.Errorf("%+v", got)
		}
	}
}

func TestTheLifeOfAKeyIsNoted(t *testing.T) {
	w, n := auditedWorld(t)
	admin := authHeader(t, "acme", "admin")
	const keys = "/api/v1/tenants/acme/keys"
	var made struct{ Data struct{ ID, Key string } }
	a := w.do(t, admin, http.MethodPost, keys, `{"name":"reports","role":"reader"}`)
	must(t, json.Unmarshal(a.body, &made))
	one := keys + "/" + made.Data.ID
	w.do(t, admin, http.MethodPatch, one, `{"disabled":true}`)
	if a := w.do(t, http.Header{"X-Api-Key": {made.Data.Key}}, http.MethodGet, "/api/v1/logs", ""); a.problem().Code != "key_disabled" {
		t.Errorf("a disabled key: %d %s", a.status, a.body)
	}
	w.do(t, http.Header{"X-Api-Key": {made.Data.Key + "x"}}, http.MethodGet, "/api/v1/logs", "") // nobody's
	w.do(t, admin, http.MethodPatch, one, `{"disabled":false}`)
	w.do(t, admin, http.MethodPost, one+"/rotate", `{}`)
	w.do(t, admin, http.MethodDelete, one, "")
	w.do(t, admin, http.MethodDelete, one, "") // there is none any more
	var got []string
	for _, e := range n.events {
		b, err := json.Marshal([]any{e.Before, e.After})
		must(t, err)
		if strings.Contains(string(b), made.Data.Key) || e.tenantID != authtest.TenantID("acme") || e.Subject == "" {
			t.Errorf("%+v", e)
		}
		got = append(got, e.Action+" "+e.ResourceType+" "+e.Code)
	}
	want := []string{"CREATE key ", "UPDATE key ", "REFUSE  key_disabled", "UPDATE key ", "CREATE key ", "UPDATE key ", "DELETE key ", "REFUSE  not_found"}
	if !slices.Equal(got, want) || made.Data.Key == "" {
		t.Errorf("%q", got)
	}
	if before, after := n.events[1].Before.(keyBody), n.events[1].After.(keyBody); before.Disabled || !after.Disabled {
		t.Errorf("%+v, %+v", before, after)
	}
}

func TestRefusedAttemptsAreNotedAtHome(t *testing.T) {
	acme, zeta := authtest.TenantID("acme"), authtest.TenantID("zeta")
	aged := func(expires, more string) http.Header {
		return bearer(expand(t, "{{jwt `{\"alg\":\"HS256\"}` `{\"exp\":@"+expires+","+more+"\"sub\":\"ann\",\"tenants\":[\"acme\"],\"roles\":[\"reader\"],\"typ\":\"access\"}`}}"))
	}
	unsigned := aged("-1h", "").Get("Authorization")[len("Bearer "):]
	unsigned = unsigned[:strings.LastIndexByte(unsigned, '.')+1] + strings.Repeat("A", 43)
	for name, c := range map[string]struct {
		header       http.Header
		method, path string
		more         []string
		tenantID     string
		code         string
	}{
		"a reader who writes":                 {authHeader(t, "acme", "reader"), http.MethodPost, "/api/v1/logs", nil, acme, "insufficient_role"},
		"a reach for another's tenant":        {authHeader(t, "acme", "reader"), http.MethodGet, "/api/v1/logs", []string{"X-Tenant-ID", "zeta"}, acme, "tenant_forbidden"},
		"an admin who wants to be more":       {authHeader(t, "acme", "admin"), http.MethodPost, "/api/v1/tenants", nil, acme, "insufficient_role"},
		"a change that failed":                {authHeader(t, "*", "admin"), http.MethodPost, "/api/v1/tenants", nil, zeta, "content_type_unsupported"},
		"a token that has expired":            {aged("-1h", ""), http.MethodGet, "/api/v1/logs", nil, acme, "token_expired"},
		"a token before its time":             {aged("2h", `"nbf":@1h,`), http.MethodGet, "/api/v1/logs", nil, acme, "token_not_yet_valid"},
		"an expired one that signs in":        {aged("-1h", ""), http.MethodPost, sessionPath, nil, acme, "token_expired"},
		"an expired one that nobody signed":   {bearer(unsigned), http.MethodGet, "/api/v1/logs", nil, "", ""},
		"nobody known":                        {http.Header{}, http.MethodGet, "/api/v1/logs", nil, "", ""},
		"a question that can't be read":       {authHeader(t, "acme", "reader"), http.MethodGet, "/api/v1/logs?limit=0", nil, "", ""},
		"one of several without naming which": {authHeader(t, "acme,zeta", "writer"), http.MethodGet, "/api/v1/logs", nil, zeta, "insufficient_role"},
	} {
		w, n := auditedWorld(t, func(p *parts) { p.cfg.AuditTenant = "zeta" })
		w.do(t, c.header, c.method, c.path, "", c.more...)
		switch {
		case c.code == "" && len(n.events) == 0:
		case len(n.events) != 1:
			t.Errorf("%s: %d events", name, len(n.events))
		default:
			if got := n.events[0]; got.tenantID != c.tenantID || got.Code != c.code || got.Action != audit.Refuse || got.Subject == "" || got.Params != nil {
				t.Errorf("%s: %+v", name, got)
			}
		}
	}
}

func TestARevokedTokenThatIsUsedIsNoted(t *testing.T) {
	w, n := auditedWorld(t)
	admin := authHeader(t, "acme", "admin")
	token := made[tokenBody](t, w.do(t, admin, http.MethodPost, tokensPath, `{"tenants":["acme"],"role":"admin","subject":"ann"}`), http.StatusCreated)
	made[ended](t, w.do(t, admin, http.MethodDelete, tokensPath+"/"+token.JTI, ""), http.StatusOK)
	n.events = nil
	for range 2 { // the second time it is known here
		if a := w.do(t, bearer(token.Token), http.MethodDelete, "/api/v1/logs?days=1", ""); a.status != http.StatusUnauthorized || a.problem().Code != "token_revoked" {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if all := jobsOf(t, w); len(n.events) != 2 || len(all) != 0 {
		t.Fatalf("%d events, %d jobs", len(n.events), len(all))
	}
	for _, e := range n.events {
		if e.tenantID != authtest.TenantID("acme") || e.Action != audit.Refuse || e.Code != "token_revoked" || e.Subject != "ann" || e.Credential != "token:"+token.JTI {
			t.Errorf("%+v", e)
		}
	}
}

func TestASessionThatIsOverAndUsedIsNoted(t *testing.T) {
	w, n := auditedWorld(t)
	admin := authHeader(t, "acme", "admin")
	signIn := func(header http.Header) []*http.Cookie {
		t.Helper()
		b := &browser{w: w}
		b.signIn(t, header)
		return b.cookies
	}
	key := func(body string) keyBody {
		t.Helper()
		return made[keyBody](t, w.do(t, admin, http.MethodPost, keysOfAcme, body), http.StatusCreated)
	}
	signedOut := signIn(person(t, "ann", "acme", "reader"))
	(&browser{w: w, cookies: signedOut}).do(t, nil, http.MethodDelete, sessionPath, "", "Sec-Fetch-Site", ours)
	token := made[tokenBody](t, w.do(t, admin, http.MethodPost, tokensPath, `{"tenants":["acme"],"role":"reader","subject":"ann"}`), http.StatusCreated)
	revoked := signIn(bearer(token.Token))
	made[ended](t, w.do(t, admin, http.MethodDelete, tokensPath+"/"+token.JTI, ""), http.StatusOK)
	gone, local := key(`{"name":"k","role":"reader"}`), key(`{"name":"k","role":"reader","cidrs":["127.0.0.1"]}`)
	ofKey, elsewhere := signIn(withKey(gone.Key)), signIn(withKey(local.Key))
	made[ended](t, w.do(t, admin, http.MethodDelete, keysOfAcme+"/"+gone.ID, ""), http.StatusOK)

	value := strings.Repeat("x", 32) // a session of yesterday, as it is kept
	hash := sha256.Sum256([]byte(value))
	day := time.Now().Add(-25 * time.Hour).UTC().Format(time.RFC3339)
	_, err := w.store.CreateDocument(t.Context(), document.Document{Kind: document.Session, ID: base64.RawURLEncoding.EncodeToString(hash[:]), ExpiresAt: time.Now().Add(time.Hour),
		Body: []byte(`{"subject":"ann","tenants":["acme"],"roles":["reader"],"created_at":"` + day + `","expires_at":"` + time.Now().Add(-time.Hour).UTC().Format(time.RFC3339) + `","seen_at":"` + day + `","issued_at":"` + day + `"}`)})
	must(t, err)
	cookie := func(value string) []*http.Cookie {
		return []*http.Cookie{{Name: plainCookie, Value: base64.RawURLEncoding.EncodeToString([]byte(value))}}
	}
	for name, c := range map[string]struct {
		cookies                   []*http.Cookie
		from                      string
		code, subject, credential string // none: it is not noted
	}{
		"one that was signed out":        {signedOut, "", "session_invalid", "ann", "session"},
		"one whose token was revoked":    {revoked, "", "session_invalid", "ann", "session"},
		"one whose key was revoked":      {ofKey, "", "session_invalid", "key:" + gone.ID, "key:" + gone.ID},
		"one that has expired":           {cookie(value), "", "session_expired", "ann", "session"},
		"one that is used from far away": {elsewhere, "203.0.113.1:1", "ip_not_allowed", "key:" + local.ID, "key:" + local.ID},
		"a cookie that was made up":      {cookie(strings.Repeat("y", 32)), "", "session_invalid", "", ""},
	} {
		n.events = nil
		a := (&browser{w: w, cookies: c.cookies, from: c.from}).do(t, nil, http.MethodGet, "/api/v1/logs", "")
		if a.problem().Code != c.code {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		switch {
		case c.subject == "" && len(n.events) == 0:
		case len(n.events) != 1:
			t.Errorf("%s: %d events", name, len(n.events))
		default:
			if e := n.events[0]; e.tenantID != authtest.TenantID("acme") || e.Action != audit.Refuse || e.Code != c.code || e.Subject != c.subject || e.Credential != c.credential {
				t.Errorf("%s: %+v", name, e)
			}
		}
	}
}

// TestWhoReadCanBeRead goes the whole way, through queue, record and index.
func TestWhoReadCanBeRead(t *testing.T) {
	w := newWorld(t)
	in := ingest.New(ingest.Config{}, w.queue, mask.NewSet(nil), w.tel)
	live(t, in.Run)
	recorder := audit.New(audit.Config{}, in, w.tel)
	live(t, recorder.Run)
	live(t, drain.New(drain.Config{Wait: time.Second}, w.queue, w.store, w.index, w.tel).Run)
	w.writing.Audit = recorder
	w.put(t, "acme", logentry.Entry{Message: "card declined"})
	reader := authHeader(t, "acme", "reader")

	if f := w.search(t, reader, "q=card"); len(f.Data) != 1 {
		t.Fatalf("%+v", f.Data)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var e, asked, params map[string]any
	for e == nil && ctx.Err() == nil { // looking is reading too, and what came later may be found first
		time.Sleep(20 * time.Millisecond)
		for _, one := range w.search(t, reader, "audit=only").Data {
			asked, _ = one["metadata"].(map[string]any)
			if params, _ = asked["params"].(map[string]any); params["q"] == "card" {
				e = one
				break
			}
		}
	}
	if e == nil {
		t.Fatal("nobody read")
	}
	if e["service"] != "ocelot" || e["action"] != "READ" || e["user_id"] == "" || params["q"] != "card" || asked["count"] != 1.0 || e["tenant_id"] != "acme" {
		t.Errorf("%v", e)
	}
	if id, _ := asked["credential_id"].(string); !strings.HasPrefix(id, "token:") {
		t.Errorf("which credentials: %v", asked)
	}
	for question, want := range map[string]int{"q=declined": 1, "total=exact": 1, "q=service:ocelot": 0, "action=READ": 0} {
		if f := w.search(t, reader, question); int(*f.Meta.Pagination.Total) != want {
			t.Errorf("%s: %d, want %d: %v", question, *f.Meta.Pagination.Total, want, f.Data)
		}
	}
	if f := w.search(t, reader, "audit=include&q=card+OR+action:READ"); *f.Meta.Pagination.Total < 2 {
		t.Errorf("with audit entries: %v", f.Data)
	}
	if a := w.do(t, authHeader(t, "acme", "writer"), http.MethodPost, "/api/v1/logs", `{"message":"forged","service":"ocelot","action":"READ"}`); a.status != http.StatusUnprocessableEntity || a.problem().Code != "service_reserved" {
		t.Errorf("a forged one: %d %s", a.status, a.body)
	}
	if f := w.search(t, authHeader(t, "zeta", "reader"), "audit=include"); len(f.Data) != 0 {
		t.Errorf("another tenant sees %v", f.Data)
	}
}
