package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/document"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

const viewsPath = "/api/v1/views"

// person carries a token that was given to somebody.
func person(t *testing.T, subject, slug string, roles ...string) http.Header {
	t.Helper()
	token, _, _, err := auth.Mint(authtest.Secret, auth.Claims{Subject: subject, Tenants: []string{slug}, Roles: roles, TTL: time.Hour})
	must(t, err)
	return http.Header{"Authorization": {"Bearer " + token}}
}

// namesOf are the names of the views that somebody sees.
func (w *world) namesOf(t *testing.T, header http.Header) string {
	t.Helper()
	var names []string
	for _, v := range made[[]view](t, w.do(t, header, http.MethodGet, viewsPath, ""), http.StatusOK) {
		names = append(names, v.Name)
	}
	return strings.Join(names, ", ")
}

func TestTheLifeOfAView(t *testing.T) {
	w := newWorld(t)
	ada := person(t, "ada", "acme", "reader")
	if a := w.do(t, ada, http.MethodGet, viewsPath, ""); string(a.body) != `{"data":[],"meta":{}}` {
		t.Errorf("none yet: %s", a.body)
	}
	v := made[view](t, w.do(t, ada, http.MethodPost, viewsPath, `{"name":"declined","search":"q=card%20declined&severity=ERROR&metadata.region=eu&highlight=true"}`), http.StatusCreated)
	if v.ID == "" || v.Name != "declined" || v.Search != "q=card%20declined&severity=ERROR&metadata.region=eu&highlight=true" || v.Shared || v.CreatedBy != "ada" || time.Since(v.CreatedAt) > time.Minute {
		t.Fatalf("made: %+v", v)
	}
	made[view](t, w.do(t, ada, http.MethodPost, viewsPath, `{"name":"all","search":""}`), http.StatusCreated)
	if names := w.namesOf(t, ada); names != "all, declined" {
		t.Errorf("by name: %s", names)
	}
	want := v
	want.Name = "refused"
	if is := made[view](t, w.do(t, ada, http.MethodPatch, viewsPath+"/"+v.ID, `{"name":"refused"}`), http.StatusOK); is != want {
		t.Errorf("what was not sent has changed: %+v", is)
	}
	want.Search = "service=billing"
	if is := made[view](t, w.do(t, ada, http.MethodPatch, viewsPath+"/"+v.ID, `{"search":"service=billing","shared":false}`), http.StatusOK); is != want {
		t.Errorf("changed: %+v", is)
	}
	if all := made[[]view](t, w.do(t, ada, http.MethodGet, viewsPath, ""), http.StatusOK); len(all) != 2 || all[1] != want {
		t.Errorf("kept: %+v", all)
	}
	if end := made[ended](t, w.do(t, ada, http.MethodDelete, viewsPath+"/"+v.ID, ""), http.StatusOK); end.Status != "deleted" {
		t.Errorf("%+v", end)
	}
	for _, method := range []string{http.MethodDelete, http.MethodPatch} {
		if a := w.do(t, ada, method, viewsPath+"/"+v.ID, ""); a.status != http.StatusNotFound {
			t.Errorf("%s once it is gone: %d %s", method, a.status, a.body)
		}
	}
	if names := w.namesOf(t, ada); names != "all" {
		t.Errorf("after: %s", names)
	}
}

func TestWhoSeesAndChangesWhichView(t *testing.T) {
	w := newWorld(t)
	people := map[string]http.Header{
		"ada, a reader": person(t, "ada", "acme", "reader"), "bob, a reader": person(t, "bob", "acme", "reader"), "eve, an admin": person(t, "eve", "acme", "admin"),
		"ada in zeta": person(t, "ada", "zeta", "admin"), "a platform admin": person(t, "root", "*", "admin"), "a writer": person(t, "ada", "acme", "writer"),
	}
	people["a platform admin"].Set("X-Tenant-Id", "acme")
	post := func(who, body string) string {
		t.Helper()
		return made[view](t, w.do(t, people[who], http.MethodPost, viewsPath, body), http.StatusCreated).ID
	}
	adas := post("ada, a reader", `{"name":"ada's","search":""}`)
	post("eve, an admin", `{"name":"eve's","search":""}`)
	shared := post("eve, an admin", `{"name":"shared","search":"","shared":true}`)
	for who, want := range map[string]string{"ada, a reader": "ada's, shared", "bob, a reader": "shared", "eve, an admin": "eve's, shared", "ada in zeta": "", "a platform admin": "shared"} {
		if names := w.namesOf(t, people[who]); names != want {
			t.Errorf("%s sees %q, want %q", who, names, want)
		}
	}
	const rename, share = `{"name":"shared"}`, `{"shared":true}`
	for _, c := range []struct {
		who, method, id, body string
		status                int
	}{
		{"ada, a reader", "POST", "", `{"name":"x","search":"","shared":true}`, 403},
		{"ada, a reader", "POST", "", `{"shared":true}`, 403},
		{"a writer", "GET", "", "", 403}, {"a writer", "POST", "", `{"name":"x","search":""}`, 403}, {"a writer", "PATCH", adas, `{}`, 403}, {"a writer", "DELETE", adas, "", 403},
		{"ada, a reader", "PATCH", adas, share, 403}, {"ada, a reader", "PATCH", adas, `{"shared":false}`, 200},
		{"ada, a reader", "PATCH", shared, rename, 403}, {"ada, a reader", "PATCH", shared, `{`, 403}, {"ada, a reader", "DELETE", shared, "", 403},
		{"bob, a reader", "PATCH", adas, `{}`, 404}, {"bob, a reader", "DELETE", adas, "", 404},
		{"eve, an admin", "PATCH", adas, share, 404}, {"eve, an admin", "DELETE", adas, "", 404}, {"eve, an admin", "PATCH", shared, rename, 200},
		{"a platform admin", "PATCH", adas, `{}`, 404}, {"a platform admin", "PATCH", shared, rename, 200},
		{"ada in zeta", "PATCH", adas, `{}`, 404}, {"ada in zeta", "PATCH", shared, `{}`, 404}, {"ada in zeta", "DELETE", shared, "", 404},
		{"eve, an admin", "PATCH", shared, `{"shared":false}`, 200}, {"a platform admin", "PATCH", shared, share, 404}, {"ada, a reader", "DELETE", shared, "", 404},
		{"eve, an admin", "PATCH", shared, share, 200}, {"a platform admin", "DELETE", shared, "", 200}, {"ada, a reader", "DELETE", adas, "", 200},
	} {
		target := viewsPath
		if c.id != "" {
			target += "/" + c.id
		}
		if a := w.do(t, people[c.who], c.method, target, c.body); a.status != c.status {
			t.Errorf("%s, %s %s: %d %s, want %d", c.who, c.method, c.body, a.status, a.body, c.status)
		}
	}
}

func TestAViewOfSomebodyElseIsAsAbsentAsNone(t *testing.T) {
	w := newWorld(t)
	mine := made[view](t, w.do(t, person(t, "ada", "acme", "reader"), http.MethodPost, viewsPath, `{"name":"x","search":""}`), http.StatusCreated)
	for who, header := range map[string]http.Header{"an admin of the tenant": person(t, "eve", "acme", "admin"), "the same subject in another tenant": person(t, "ada", "zeta", "admin")} {
		for _, method := range []string{http.MethodPatch, http.MethodDelete} {
			theirs := w.do(t, header, method, viewsPath+"/"+mine.ID, "", "X-Request-ID", "r")
			absent := w.do(t, header, method, viewsPath+"/nosuch", "", "X-Request-ID", "r")
			if theirs.status != http.StatusNotFound || string(theirs.body) != string(absent.body) {
				t.Errorf("%s, %s: %d %s, absent: %d %s", who, method, theirs.status, theirs.body, absent.status, absent.body)
			}
		}
	}
}

// What an API key keeps for itself, and a cursor that it was given, are also those of the keys that it is rotated to.
func TestViewsFollowAKeyThatIsRotated(t *testing.T) {
	w := newWorld(t)
	w.put(t, "acme", logentry.Entry{Message: "a"}, logentry.Entry{Message: "b"})
	admin := authHeader(t, "acme", "admin")
	key := func(path, body string) keyBody {
		t.Helper()
		return made[keyBody](t, w.do(t, admin, http.MethodPost, keysOfAcme+path, body), http.StatusCreated)
	}
	first, other := key("", `{"name":"reports","role":"reader"}`), key("", `{"name":"reports","role":"reader"}`)
	mine := made[view](t, w.do(t, withKey(first.Key), http.MethodPost, viewsPath, `{"name":"mine","search":""}`), http.StatusCreated)
	cursor := *w.search(t, withKey(first.Key), "limit=1").Meta.Pagination.Next
	second := key("/"+first.ID+"/rotate", `{}`)
	made[view](t, w.do(t, withKey(second.Key), http.MethodPost, viewsPath, `{"name":"of the second","search":""}`), http.StatusCreated)
	third := key("/"+second.ID+"/rotate", `{}`)
	b := &browser{w: w}
	b.signIn(t, withKey(third.Key))
	if mine.CreatedBy != "key:"+first.ID {
		t.Errorf("made by %s", mine.CreatedBy)
	}
	for name, c := range map[string]struct {
		header http.Header
		want   string
	}{
		"the first key": {withKey(first.Key), "mine, of the second"}, "the second": {withKey(second.Key), "mine, of the second"}, "the third": {withKey(third.Key), "mine, of the second"},
		"a session of the third": {http.Header{"Cookie": {b.cookies[0].String()}}, "mine, of the second"},
		"another key":            {withKey(other.Key), ""}, "an admin": {admin, ""},
	} {
		if names := w.namesOf(t, c.header); names != c.want {
			t.Errorf("%s sees %q", name, names)
		}
		status := http.StatusOK
		if c.want == "" {
			status = http.StatusBadRequest
		}
		if a := w.do(t, c.header, http.MethodGet, "/api/v1/logs?limit=1&cursor="+cursor, ""); a.status != status {
			t.Errorf("%s, with the first one's cursor: %d %s", name, a.status, a.body)
		}
	}
	made[ended](t, w.do(t, admin, http.MethodDelete, keysOfAcme+"/"+first.ID, ""), http.StatusOK)
	made[ended](t, w.do(t, admin, http.MethodDelete, keysOfAcme+"/"+second.ID, ""), http.StatusOK)
	if is := made[view](t, w.do(t, withKey(third.Key), http.MethodPatch, viewsPath+"/"+mine.ID, `{"name":"renamed"}`), http.StatusOK); is.Name != "renamed" {
		t.Errorf("changed: %+v", is)
	}
}

func TestCallersWithoutASubjectAreNotOnePerson(t *testing.T) {
	w := newWorld(t)
	reader, admin := person(t, "", "acme", "reader"), person(t, "", "acme", "admin")
	if a := w.do(t, reader, http.MethodPost, viewsPath, `{"name":"x","search":""}`); a.status != http.StatusForbidden || a.problem().Code != "subject_required" {
		t.Errorf("one's own: %d %s", a.status, a.body)
	}
	shared := made[view](t, w.do(t, admin, http.MethodPost, viewsPath, `{"name":"shared","search":"","shared":true}`), http.StatusCreated)
	if a := w.do(t, admin, http.MethodPatch, viewsPath+"/"+shared.ID, `{"shared":false}`); a.problem().Code != "subject_required" {
		t.Errorf("shared no longer: %d %s", a.status, a.body)
	}
	if names := w.namesOf(t, reader); names != "shared" {
		t.Errorf("they see %s", names)
	}
}

func TestBodiesOfViewsAreRefused(t *testing.T) {
	w := newWorld(t)
	ada := person(t, "ada", "acme", "reader")
	id := made[view](t, w.do(t, ada, http.MethodPost, viewsPath, `{"name":"x","search":""}`), http.StatusCreated).ID
	text := func(s string) string { return `{"name":"x","search":"` + s + `"}` }
	for _, c := range []struct {
		method, body string
		status       int
		code         string
		pointers     string
	}{
		{"POST", `{}`, 422, "validation_failed", "/name /search"},
		{"POST", `{"name":"x"}`, 422, "required", "/search"},
		{"POST", `{"name":null,"search":""}`, 422, "required", "/name"},
		{"POST", `{"name":"","search":""}`, 422, "name_invalid", "/name"},
		{"POST", `{"name":" \t","search":""}`, 422, "name_invalid", "/name"},
		{"POST", `{"name":"a\u0000b","search":""}`, 422, "name_invalid", "/name"},
		{"POST", `{"name":"` + strings.Repeat("é", 101) + `","search":""}`, 422, "name_invalid", "/name"},
		{"POST", `{"name":7,"search":""}`, 422, "field_wrong_type", "/name"},
		{"POST", `{"name":"x","search":"","shared":"yes"}`, 422, "field_wrong_type", "/shared"},
		{"POST", text("severity=ERROR&" + strings.Repeat("x", 2_000)), 422, "search_invalid", "/search"},
		{"POST", text("servce=billing"), 422, "search_invalid", "/search"},
		{"POST", text("q=service:&limit=0"), 422, "validation_failed", "/search /search"},
		{"POST", text("?q=x"), 422, "search_invalid", "/search"},
		{"POST", text("q=%zz"), 422, "search_invalid", "/search"},
		{"POST", text("q=a;service=b"), 422, "search_invalid", "/search"},
		{"POST", text("cursor=abc"), 422, "search_invalid", "/search"},
		{"POST", text("q=x\\ny"), 422, "search_invalid", "/search"},
		{"POST", text("tenant=zeta"), 422, "search_invalid", "/search"},
		{"POST", `{"name":"x","search":"","id":"mine"}`, 400, "unknown_field", "/id"},
		{"POST", `{"name":"x","search":"","created_by":"eve"}`, 400, "unknown_field", "/created_by"},
		{"POST", `{"name":"x","search":"","tenant_id":"zeta"}`, 400, "unknown_field", "/tenant_id"},
		{"POST", `{"name":"x","name":"y","search":""}`, 400, "json_duplicate_key", ""},
		{"POST", `{`, 400, "json_invalid", ""},
		{"POST", strings.Repeat(" ", 65<<10), 413, "body_too_large", ""},
		{"PATCH", `{"name":"","search":"nothing=1"}`, 422, "validation_failed", "/name /search"},
		{"PATCH", `{"search":"limit=x"}`, 422, "search_invalid", "/search"},
		{"PATCH", `{"created_at":"2026-01-01T00:00:00Z"}`, 400, "unknown_field", "/created_at"},
	} {
		target := viewsPath
		if c.method == "PATCH" {
			target += "/" + id
		}
		a := w.do(t, ada, c.method, target, c.body)
		p := a.problem()
		var pointers []string
		for _, e := range p.Errors {
			pointers = append(pointers, e.Pointer)
		}
		if a.status != c.status || p.Code != c.code || strings.Join(pointers, " ") != c.pointers {
			t.Errorf("%s %.80s: %d %s", c.method, c.body, a.status, a.body)
		}
	}
	if all := made[[]view](t, w.do(t, ada, http.MethodGet, viewsPath, ""), http.StatusOK); len(all) != 1 || all[0].Name != "x" || all[0].Search != "" {
		t.Errorf("a refused request left something: %+v", all)
	}
}

func TestThereAreSoManyViewsAndNoMore(t *testing.T) {
	w := newWorld(t)
	post := func(subject string) answer {
		return w.do(t, person(t, subject, "acme", "reader"), http.MethodPost, viewsPath, `{"name":"one more","search":""}`)
	}
	keepViews(t, w, "ada", 199)
	keepViews(t, w, "bob", 200)
	keepViews(t, w, "cy", 99)
	made[view](t, post("ada"), http.StatusCreated)
	for _, subject := range []string{"ada", "bob"} {
		if a := post(subject); a.status != http.StatusConflict || a.problem().Code != "too_many_views" {
			t.Errorf("%s's 201st: %d %s", subject, a.status, a.body)
		}
	}
	made[view](t, post("cy"), http.StatusCreated)
	if a := post("cy"); a.status != http.StatusConflict || a.problem().Code != "too_many_views" {
		t.Errorf("the tenant's 501st: %d %s", a.status, a.body)
	}
	if n := len(made[[]view](t, w.do(t, person(t, "ada", "acme", "reader"), http.MethodGet, viewsPath, ""), http.StatusOK)); n != 200 {
		t.Errorf("ada sees %d", n)
	}
}

// keepViews keeps so many views of somebody in acme.
func keepViews(t *testing.T, w *world, subject string, n int) {
	t.Helper()
	for i := range n {
		body, err := json.Marshal(view{ID: fmt.Sprintf("%s-%03d", subject, i), Name: "x", CreatedBy: subject})
		must(t, err)
		_, err = w.store.CreateDocument(t.Context(), document.Document{Kind: document.View, ID: fmt.Sprintf("%s-%03d", subject, i), TenantID: authtest.TenantID("acme"), Body: body})
		must(t, err)
	}
}

func TestViewsThatAreMadeInTheSameMomentAreNotTooMany(t *testing.T) {
	w := newWorld(t)
	keepViews(t, w, "ada", 195)
	ada := person(t, "ada", "acme", "reader")
	post := func() answer { return w.do(t, ada, http.MethodPost, viewsPath, `{"name":"one more","search":""}`) }
	var wg sync.WaitGroup
	var kept atomic.Int64
	for range 16 {
		wg.Go(func() {
			switch a := post(); {
			case a.status == http.StatusCreated:
				kept.Add(1)
			case a.status != http.StatusConflict || a.problem().Code != "too_many_views":
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	wg.Wait()
	list := func() int { return len(made[[]view](t, w.do(t, ada, http.MethodGet, viewsPath, ""), http.StatusOK)) }
	if n := list(); n > 200 || n != 195+int(kept.Load()) {
		t.Errorf("there are %d views, %d of them were made now", n, kept.Load())
	}
	for range 200 - list() {
		made[view](t, post(), http.StatusCreated)
	}
	if a := post(); a.status != http.StatusConflict || list() != 200 {
		t.Errorf("%d %s, %d views", a.status, a.body, list())
	}
}

// crossed is a store in which somebody else is always a little faster, up to some times.
type crossed struct {
	store.Store
	times int
	other func()
}

func (c *crossed) ReplaceDocument(ctx context.Context, d document.Document) (document.Document, error) {
	if c.times > 0 {
		c.times--
		c.other()
	}
	return c.Store.ReplaceDocument(ctx, d)
}

func TestAChangeOfAViewTakesNothingOfAnotherBack(t *testing.T) {
	crossing := &crossed{}
	w := newWorld(t, func(p *parts) {
		crossing.Store, _ = p.reading.Store.(store.Store)
		p.reading.Store = crossing
	})
	eve := person(t, "eve", "acme", "admin")
	v := made[view](t, w.do(t, eve, http.MethodPost, viewsPath, `{"name":"x","search":"","shared":true}`), http.StatusCreated)
	n := 0
	crossing.other = func() {
		n++
		d, err := crossing.Document(t.Context(), document.View, v.ID)
		must(t, err)
		d.Body = fmt.Appendf(nil, `{"id":%q,"name":"x","search":"limit=%d","shared":true,"created_by":"eve"}`, v.ID, n)
		_, err = crossing.Store.ReplaceDocument(t.Context(), d)
		must(t, err)
	}
	crossing.times = 2
	if is := made[view](t, w.do(t, eve, http.MethodPatch, viewsPath+"/"+v.ID, `{"name":"y"}`), http.StatusOK); is.Name != "y" || is.Search != "limit=2" {
		t.Errorf("after two others: %+v", is)
	}
	crossing.times = 99
	if a := w.do(t, eve, http.MethodPatch, viewsPath+"/"+v.ID, `{"name":"z"}`); a.status != http.StatusConflict || a.problem().Code != "document_changed" {
		t.Errorf("after ever more others: %d %s", a.status, a.body)
	}
	crossing.times, crossing.other = 1, func() { must(t, crossing.DeleteDocument(t.Context(), document.View, v.ID)) }
	if a := w.do(t, eve, http.MethodPatch, viewsPath+"/"+v.ID, `{"name":"z"}`); a.status != http.StatusNotFound {
		t.Errorf("deleted meanwhile: %d %s", a.status, a.body)
	}
}

func TestChangesOfViewsAreNotedAndOnesOwnStayOnesOwn(t *testing.T) {
	w, n := auditedWorld(t)
	eve := person(t, "eve", "acme", "admin")
	id := made[view](t, w.do(t, eve, http.MethodPost, viewsPath, `{"name":"secret","search":"user_id=secret"}`), http.StatusCreated).ID
	for _, body := range []string{`{"name":"secret too"}`, `{"name":"open","search":"user_id=open","shared":true}`, `{}`, `{"name":"known"}`} {
		made[view](t, w.do(t, eve, http.MethodPatch, viewsPath+"/"+id, body), http.StatusOK)
	}
	made[ended](t, w.do(t, eve, http.MethodDelete, viewsPath+"/"+id, ""), http.StatusOK)
	var actions []string
	for _, e := range n.events {
		actions = append(actions, e.Action)
		if e.tenantID != authtest.TenantID("acme") || e.ResourceType != "view" || e.ResourceID != id || e.Subject != "eve" {
			t.Errorf("%+v", e)
		}
		states, err := json.Marshal([]any{e.Before, e.After})
		must(t, err)
		if strings.Contains(string(states), "secret") {
			t.Errorf("others read %s", states)
		}
	}
	if want := []string{"CREATE", "UPDATE", "UPDATE", "UPDATE", "DELETE"}; !slices.Equal(actions, want) { // {} changed nothing
		t.Errorf("noted: %v", actions)
	}
	states, err := json.Marshal([]any{n.events[3].Before, n.events[3].After})
	must(t, err)
	if !strings.Contains(string(states), `"name":"open"`) || !strings.Contains(string(states), `"name":"known"`) {
		t.Errorf("of a shared one: %s", states)
	}

	n.err = fault.New(fault.Unavailable, "overloaded", "")
	if a := w.do(t, eve, http.MethodPost, viewsPath, `{"name":"x","search":""}`); a.status != http.StatusServiceUnavailable {
		t.Errorf("a change that can't be noted: %d %s", a.status, a.body)
	}
}
