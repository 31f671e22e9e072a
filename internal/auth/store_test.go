package auth_test

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/fault"
	_ "github.com/ocelot-log/ocelot/internal/sqlite/driver"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/internal/telemetry"
)

// everywhere is how long a change may be unknown to another process.
const everywhere = 5 * time.Second

func TestChangesReachOtherProcessesOnSQLite(t *testing.T) {
	st, err := store.NewSQLite(":memory:", store.SQLiteConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	testChanges(t, st)
}

func TestChangesReachOtherProcessesOnMongo(t *testing.T) { testChanges(t, mongoStore(t)) }

// mongoStore is a store on a database of a random name, dropped in the end.
func mongoStore(t *testing.T) store.Store {
	t.Helper()
	uri := os.Getenv("TEST_MONGODB_URI")
	if uri == "" {
		t.Skip(`no MongoDB: make services-up; eval "$(tests/services/services test-env)"`)
	}
	name := "ocelot_test_" + strings.ToLower(rand.Text())
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	m, err := store.NewMongo(t.Context(), store.MongoConfig{URI: auth.NewSecret(uri), Database: name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = m.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := client.Database(name).Drop(ctx); err != nil {
			t.Errorf("drop the database: %v", err)
		}
		_ = client.Disconnect(ctx)
	})
	if err := m.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return m
}

// process is an Authenticator as one of several processes on a store has it.
func process(t *testing.T, st store.Store) *auth.Authenticator {
	t.Helper()
	a, err := auth.New(auth.Config{Secret: authtest.Secret}, authtest.Everyone{}, st, telemetry.Discard())
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return a
}

func testChanges(t *testing.T, st store.Store) {
	here, there := process(t, st), process(t, st)
	acme := authtest.Tenant(t, "acme")
	by := here.SignedIn("ada", []string{"acme"}, []string{"admin"})
	code := func(a *auth.Authenticator, h http.Header) string {
		if _, err := a.Authenticate(t.Context(), auth.Request{Header: h}); err != nil {
			return fault.Of(err).Code
		}
		return ""
	}
	ends := func(what, want string, code func() string) {
		t.Helper()
		began := time.Now()
		for code() != want {
			if time.Since(began) > everywhere {
				t.Errorf("%s: still %q after %s, want %q", what, code(), everywhere, want)
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Logf("%s after %s", what, time.Since(began).Round(10*time.Millisecond))
	}

	key, text, err := here.Keys().Create(t.Context(), by, acme, auth.KeyRequest{Name: "shop", Roles: []string{"writer"}})
	if err != nil {
		t.Fatal(err)
	}
	second, text2, err := here.Keys().Rotate(t.Context(), by, acme, key.ID, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	token, jwt, err := here.Tokens().Issue(t.Context(), by, auth.TokenRequest{Tenants: []string{"acme"}, Roles: []string{"reader"}})
	if err != nil {
		t.Fatal(err)
	}
	asKey, asToken := http.Header{"X-Api-Key": {text}}, http.Header{"Authorization": {"Bearer " + jwt}}
	p, err := here.Authenticate(t.Context(), auth.Request{Header: asToken})
	if err != nil {
		t.Fatal(err)
	}
	cookie, _, err := here.Sessions().Start(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	inSession := func(a *auth.Authenticator) func() string {
		return func() string {
			if _, err := a.Sessions().Principal(t.Context(), cookie, netip.Addr{}); err != nil {
				return fault.Of(err).Code
			}
			return ""
		}
	}
	for name, c := range map[string]string{"the key": code(there, asKey), "its successor": code(there, http.Header{"X-Api-Key": {text2}}),
		"the token": code(there, asToken), "the session": inSession(there)()} {
		if c != "" {
			t.Errorf("there at once: %s: %q", name, c)
		}
	}
	if all, err := there.Keys().List(t.Context(), acme); err != nil || len(all) != 2 {
		t.Errorf("%+v %v", all, err)
	}
	if all, err := there.Tokens().List(t.Context(), by); err != nil || len(all) != 1 || all[0].ID != token.ID {
		t.Errorf("%+v %v", all, err)
	}

	if _, err := here.Keys().SetDisabled(t.Context(), by, acme, second.ID, true); err != nil {
		t.Fatal(err)
	}
	if err := here.Keys().Revoke(t.Context(), by, acme, key.ID); err != nil {
		t.Fatal(err)
	}
	if err := here.Tokens().Revoke(t.Context(), by, token.ID); err != nil {
		t.Fatal(err)
	}
	if a, b, c := code(here, asKey), code(here, asToken), inSession(here)(); a != "key_invalid" || b != "token_revoked" || c != "session_invalid" {
		t.Errorf("here at once: %q %q %q", a, b, c)
	}
	ends("the key is disabled there", "key_disabled", func() string { return code(there, http.Header{"X-Api-Key": {text2}}) })
	ends("the key is revoked there", "key_invalid", func() string { return code(there, asKey) })
	ends("the token is revoked there", "token_revoked", func() string { return code(there, asToken) })
	ends("its session has ended there", "session_invalid", inSession(there))
	if c := code(process(t, st), asToken); c != "token_revoked" {
		t.Errorf("in a process that starts later: %q", c)
	}
}
