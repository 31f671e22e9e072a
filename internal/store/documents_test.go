package store_test

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/document"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/mask"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/internal/tenant"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// oddID looks like an expression to whoever is not careful.
const oddID = `$$ROOT."é`

func create(t testing.TB, s store.Store, d document.Document) document.Document {
	t.Helper()
	out, err := s.CreateDocument(t.Context(), d)
	if err != nil {
		t.Fatalf("create %s: %v", d.ID, err)
	}
	return out
}

func idsOfDocuments(all []document.Document) string {
	var b strings.Builder
	for _, d := range all {
		fmt.Fprintf(&b, "%s:%d", d.ID, d.Version)
		if d.Deleted {
			b.WriteString(" gone")
		}
		b.WriteString("; ")
	}
	return b.String()
}

// testDocumentsWhileDeleted lists documents while others come and go: what is listed is there, with its body.
func testDocumentsWhileDeleted(t *testing.T, s store.Store) {
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				d := document.Document{Kind: document.View, ID: fmt.Sprintf("%d-%d", i, n), TenantID: "a", Body: []byte(`{}`)}
				if _, err := s.CreateDocument(t.Context(), d); err != nil {
					t.Error(err)
				}
				if err := s.DeleteDocument(t.Context(), document.View, d.ID); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 300 {
		all, err := s.Documents(t.Context(), document.View, "a", "", 100)
		if err != nil {
			t.Error(err)
		}
		for _, d := range all {
			if d.Deleted || string(d.Body) != `{}` {
				t.Errorf("%+v is listed", d)
			}
		}
		changed, err := s.DocumentChanges(t.Context(), document.View, time.Now().Add(-time.Second), 500)
		if err != nil {
			t.Error(err)
		}
		for _, d := range changed {
			if !d.Deleted && string(d.Body) != `{}` {
				t.Errorf("%+v is said to be there", d)
			}
		}
	}
	stop()
	writers.Wait()
}

func testDocuments(t *testing.T, s store.Store) {
	body := []byte(`{"name":"\u0000 $literal ü","n":1.0}`)
	before := time.Now().Add(-time.Minute)
	made := create(t, s, document.Document{Kind: document.Key, ID: oddID, TenantID: "$tenant", Body: body, Version: 77, Deleted: true})
	want := document.Document{Kind: document.Key, ID: oddID, TenantID: "$tenant", Body: body, Version: 1, ChangedAt: made.ChangedAt}
	if !reflect.DeepEqual(made, want) || made.ChangedAt.Before(before) || made.ChangedAt.After(time.Now().Add(time.Minute)) || made.ChangedAt.Location() != time.UTC {
		t.Fatalf("it was made as %+v, want %+v", made, want)
	}
	_, err := s.CreateDocument(t.Context(), document.Document{Kind: document.Key, ID: oddID, TenantID: "b", Body: []byte(`{}`)})
	wantKind(t, err, fault.Conflict, "document_exists")
	_, err = s.CreateDocument(t.Context(), document.Document{Kind: "entries", ID: "x"})
	wantKind(t, err, fault.Internal, "document_invalid")
	if got, err := s.Document(t.Context(), document.Key, oddID); err != nil || !reflect.DeepEqual(got, made) {
		t.Fatalf("it is read as %+v, %v", got, err)
	}
	_, err = s.Document(t.Context(), document.Token, oddID) // of another kind
	wantKind(t, err, fault.NotFound, "document_not_found")

	next, err := s.ReplaceDocument(t.Context(), document.Document{Kind: document.Key, ID: oddID, TenantID: "$tenant", Body: []byte(`[2]`), Version: 1, ExpiresAt: made.ChangedAt.Add(time.Hour)})
	if err != nil || next.Version != 2 || string(next.Body) != `[2]` || next.ChangedAt.Before(made.ChangedAt) || !next.ExpiresAt.Equal(made.ChangedAt.Add(time.Hour)) {
		t.Fatalf("it was replaced as %+v, %v", next, err)
	}
	for name, c := range map[string]struct {
		d    document.Document
		kind fault.Kind
		code string
	}{
		"a version that is past":  {document.Document{Kind: document.Key, ID: oddID, TenantID: "$tenant", Version: 1}, fault.Conflict, "document_changed"},
		"a version to come":       {document.Document{Kind: document.Key, ID: oddID, TenantID: "$tenant", Version: 3}, fault.Conflict, "document_changed"},
		"another tenant's":        {document.Document{Kind: document.Key, ID: oddID, TenantID: "b", Version: 2}, fault.NotFound, "document_not_found"},
		"one that does not exist": {document.Document{Kind: document.Key, ID: "other", TenantID: "$tenant", Version: 1}, fault.NotFound, "document_not_found"},
		"one of another kind":     {document.Document{Kind: document.View, ID: oddID, TenantID: "$tenant", Version: 2}, fault.NotFound, "document_not_found"},
	} {
		_, err := s.ReplaceDocument(t.Context(), c.d)
		if f := fault.Of(err); f == nil || f.Kind != c.kind || f.Code != c.code {
			t.Errorf("replacing %s: %v", name, err)
		}
	}
	if err := s.DeleteDocument(t.Context(), document.Key, oddID); err != nil {
		t.Fatal(err)
	}
	wantKind(t, s.DeleteDocument(t.Context(), document.Key, oddID), fault.NotFound, "document_not_found")
	wantKind(t, s.DeleteDocument(t.Context(), document.Key, "other"), fault.NotFound, "document_not_found")
	_, err = s.Document(t.Context(), document.Key, oddID)
	wantKind(t, err, fault.NotFound, "document_not_found")
	_, err = s.ReplaceDocument(t.Context(), next)
	wantKind(t, err, fault.NotFound, "document_not_found")
	// Who still holds version 2 of the one that is gone must not change the one that comes after it.
	if again := create(t, s, document.Document{Kind: document.Key, ID: oddID, Body: []byte(`3`)}); again.Version <= next.Version || again.TenantID != "" {
		t.Fatalf("after a deletion it is made as %+v", again)
	}
}

func testDocumentLists(t *testing.T, s store.Store) {
	for _, id := range []string{"c", "a", "B", "ä", "b", "aa"} {
		create(t, s, document.Document{Kind: document.View, ID: id, TenantID: "acme", Body: []byte(`{}`)})
	}
	create(t, s, document.Document{Kind: document.View, ID: "ab", TenantID: "zeta", Body: []byte(`{}`)})
	create(t, s, document.Document{Kind: document.Job, ID: "abc", TenantID: "acme", Body: []byte(`{}`)})
	for _, c := range []struct {
		tenant, after string
		max           int
		want          string
	}{
		{"acme", "", 100, "B:1; a:1; aa:1; b:1; c:1; ä:1; "},
		{"acme", "aa", 2, "b:1; c:1; "},
		{"acme", "ä", 2, ""},
		{"zeta", "", 100, "ab:1; "},
		{"", "a", 3, "aa:1; ab:1; b:1; "},
		{"nobody", "", 100, ""},
		{"acme", "", 0, ""},
		{"acme", "", -1, ""},
	} {
		all, err := s.Documents(t.Context(), document.View, c.tenant, c.after, c.max)
		if got := idsOfDocuments(all); err != nil || got != c.want {
			t.Errorf("%d of %q after %q are %q, %v; want %q", c.max, c.tenant, c.after, got, err, c.want)
		}
	}
}

func testDocumentsExpire(t *testing.T, s store.Store) {
	now := create(t, s, document.Document{Kind: document.Session, ID: "now", TenantID: "acme", Body: []byte(`1`)}).ChangedAt
	past := create(t, s, document.Document{Kind: document.Session, ID: "past", TenantID: "acme", Body: []byte(`1`), ExpiresAt: now.Add(-time.Second)})
	create(t, s, document.Document{Kind: document.Session, ID: "later", TenantID: "acme", Body: []byte(`1`), ExpiresAt: now.Add(time.Hour)})
	_, err := s.Document(t.Context(), document.Session, "past")
	wantKind(t, err, fault.NotFound, "document_not_found")
	_, err = s.ReplaceDocument(t.Context(), past)
	wantKind(t, err, fault.NotFound, "document_not_found")
	wantKind(t, s.DeleteDocument(t.Context(), document.Session, "past"), fault.NotFound, "document_not_found")
	all, err := s.Documents(t.Context(), document.Session, "acme", "", 10)
	if got := idsOfDocuments(all); err != nil || got != "later:1; now:1; " {
		t.Fatalf("there are %q, %v", got, err)
	}
	changes, err := s.DocumentChanges(t.Context(), document.Session, now, 500)
	if err != nil || len(changes) != 3 {
		t.Fatalf("changes are %q, %v", idsOfDocuments(changes), err)
	}
	for _, d := range changes {
		if d.Deleted != (d.ID == "past") || d.Deleted != (d.Body == nil) {
			t.Errorf("a change is %+v", d)
		}
	}
	if again := create(t, s, document.Document{Kind: document.Session, ID: "past", TenantID: "acme", Body: []byte(`2`)}); again.Version != 2 || !again.ExpiresAt.IsZero() {
		t.Fatalf("in place of one that had expired there is %+v", again)
	}
}

func testDocumentChanges(t *testing.T, s store.Store) {
	tick := func() { time.Sleep(3 * time.Millisecond) } // times are kept in milliseconds
	a := create(t, s, document.Document{Kind: document.Key, ID: "a", TenantID: "acme", Body: []byte(`1`)})
	tick()
	b := create(t, s, document.Document{Kind: document.Key, ID: "b", TenantID: "acme", Body: []byte(`1`)})
	create(t, s, document.Document{Kind: document.Token, ID: "t", TenantID: "acme", Body: []byte(`1`)})
	tick()
	a.Body = []byte(`2`)
	a, err := s.ReplaceDocument(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	tick()
	if err := s.DeleteDocument(t.Context(), document.Key, "b"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		since time.Time
		max   int
		want  string
	}{
		{time.Time{}, 500, "a:2; b:2 gone; "},
		{b.ChangedAt, 500, "a:2; b:2 gone; "},
		{a.ChangedAt, 1, "a:2; "},
		{a.ChangedAt.Add(time.Millisecond), 500, "b:2 gone; "},
		{time.Now().Add(time.Hour), 500, ""},
		{time.Time{}, 0, ""},
	} {
		all, err := s.DocumentChanges(t.Context(), document.Key, c.since, c.max)
		if got := idsOfDocuments(all); err != nil || got != c.want {
			t.Errorf("%d changes since %s are %q, %v; want %q", c.max, c.since, got, err, c.want)
		}
		for _, d := range all {
			if d.Kind != document.Key || d.TenantID != "acme" || d.Deleted && d.Body != nil {
				t.Errorf("a change is %+v", d)
			}
		}
	}
}

func testDocumentRaces(t *testing.T, s store.Store) {
	const writers, rounds = 8, 15
	var created, changed atomic.Int64
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			ctx := context.Background()
			if _, err := s.CreateDocument(ctx, document.Document{Kind: document.Lease, ID: "one", Body: []byte(`0`)}); err == nil {
				created.Add(1)
			} else if fault.Of(err).Code != "document_exists" {
				t.Error(err)
			}
			for range rounds {
				for { // until it is changed by this one
					d, err := s.Document(ctx, document.Lease, "one")
					if err == nil {
						_, err = s.ReplaceDocument(ctx, d)
					}
					if err == nil {
						changed.Add(1)
						break
					}
					if fault.Of(err).Code != "document_changed" {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	wg.Wait()
	d, err := s.Document(t.Context(), document.Lease, "one")
	if err != nil || created.Load() != 1 || changed.Load() != writers*rounds || d.Version != 1+writers*rounds {
		t.Fatalf("made %d times, changed %d times, it is %+v, %v", created.Load(), changed.Load(), d, err)
	}
}

func testTenantChanges(t *testing.T, s store.Store) {
	at := time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)
	acme := tenant.Info{ID: "bbbbbbbbbbbb", Slug: "acme", Name: "Acme", CreatedAt: at}
	if err := s.CreateTenant(t.Context(), acme); err != nil {
		t.Fatal(err)
	}
	change := acme
	change.Slug, change.CreatedAt = "changed", at.Add(time.Hour) // what never changes
	change.Version, change.Name, change.Suspended, change.DeleteAt = 1, "Acme & Sons", true, at.Add(24*time.Hour)
	change.Settings = tenant.Settings{RetentionDays: 30, MinSeverity: logentry.Warning, MaxEntryAge: 36 * time.Hour,
		Masking: []mask.Rule{{Name: "cards", Builtin: "card", Action: "mask"}}, Limits: tenant.Limits{EntriesPerMin: 1, BytesPerMin: 2, EntriesPerDay: 3, BytesPerDay: 1 << 40}}
	want := change
	want.Slug, want.CreatedAt, want.Version = acme.Slug, acme.CreatedAt, 2
	if got, err := s.UpdateTenant(t.Context(), change); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("it became %+v, %v; want %+v", got, err, want)
	}
	if all, err := s.ListTenants(t.Context()); err != nil || !reflect.DeepEqual(all, []tenant.Info{want}) {
		t.Fatalf("tenants are %+v, %v; want %+v", all, err, want)
	}
	_, err := s.UpdateTenant(t.Context(), change)
	wantKind(t, err, fault.Conflict, "tenant_changed")
	_, err = s.UpdateTenant(t.Context(), tenant.Info{ID: "cccccccccccc", Version: 1})
	wantKind(t, err, fault.NotFound, "tenant_not_found")
	back := want
	back.Settings, back.Suspended, back.DeleteAt = tenant.Settings{}, false, time.Time{}
	got, err := s.UpdateTenant(t.Context(), back)
	back.Version = 3
	if err != nil || !reflect.DeepEqual(got, back) {
		t.Fatalf("it became %+v, %v; want %+v", got, err, back)
	}

	for range 2 {
		if err := s.DeleteTenant(t.Context(), acme.ID); err != nil {
			t.Fatal(err)
		}
	}
	_, err = s.UpdateTenant(t.Context(), back)
	wantKind(t, err, fault.NotFound, "tenant_not_found")
	other := tenant.Info{ID: "dddddddddddd", Slug: "acme", Name: "Another", CreatedAt: at, Version: 1}
	if err := s.CreateTenant(t.Context(), other); err != nil {
		t.Fatalf("the slug is not free: %v", err)
	}
	if all, err := s.ListTenants(t.Context()); err != nil || !reflect.DeepEqual(all, []tenant.Info{other}) {
		t.Fatalf("tenants are %+v, %v", all, err)
	}
}
