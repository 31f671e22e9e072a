package ingest

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/mask"
	"github.com/ocelot-log/ocelot/internal/tenant"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

func TestWhatIsKeptIsMasked(t *testing.T) {
	plain := authtest.Tenant(t, "plain")
	strict := authtest.TenantWith(t, "strict", 1, tenant.Settings{Masking: []mask.Rule{{Field: "user_id", Action: mask.Hash}, {Builtin: "email", Action: mask.Mask}}})
	e := logentry.Entry{Message: "mail to ann@x.org", UserID: "ann", Metadata: []byte(`{"password":"hunter2","a":1.50}`),
		BeforeState: []byte(`{"token":"a"}`), AfterState: []byte(`{"token":"b"}`)}
	for name, c := range map[string]struct {
		entries                 []logentry.Record
		message, user, metadata string
	}{
		"without rules the secret names": {first(acceptNow(t, plain, Config{}, Batch{Entries: []logentry.Entry{e}})), "mail to ann@x.org", "ann", `{"password":"***","a":1.50}`},
		"by the tenant's rules":          {first(acceptNow(t, strict, Config{}, Batch{Entries: []logentry.Entry{e}})), "mail to ***", "hash:", `{"password":"***","a":1.50}`},
	} {
		got := c.entries[0]
		if got.Message != c.message || got.UserID[:min(len(got.UserID), len(c.user))] != c.user || string(got.Metadata) != c.metadata || len(got.UserID) != len(c.user) && len(got.UserID) != 29 {
			t.Errorf("%s: %s", name, got.JSON)
		}
		if len(got.Changes) != 0 { // what differed cannot be told any more
			t.Errorf("%s: changes %q", name, got.Changes)
		}
	}
}

func first(_ Receipt, records []logentry.Record) []logentry.Record { return records }

func TestIDsAreMadeOfWhatIsKept(t *testing.T) {
	secret := func(password string) logentry.Entry {
		return logentry.Entry{Message: "m", EventID: "e", Metadata: []byte(`{"password":"` + password + `"}`)}
	}
	one := authtest.Tenant(t, "one")
	a, _ := acceptNow(t, one, Config{}, Batch{Entries: []logentry.Entry{secret("a")}})
	again, _ := acceptNow(t, one, Config{}, Batch{Entries: []logentry.Entry{secret("a")}})
	b, _ := acceptNow(t, one, Config{}, Batch{Entries: []logentry.Entry{secret("b")}})
	if a.IDs[0] != again.IDs[0] {
		t.Error("a retry got another id")
	}
	if a.IDs[0] != b.IDs[0] {
		t.Error("an id tells masked values apart")
	}
}

func TestEntriesBelowTheLeastSeverityAreNotKept(t *testing.T) {
	quiet := authtest.TenantWith(t, "quiet", 1, tenant.Settings{MinSeverity: logentry.Warning})
	s := newSink()
	in, stop := start(t, Config{}, s)
	defer stop()
	r, err := in.Accept(background, quiet, Batch{Entries: []logentry.Entry{{Message: "a"}, {Message: "b", Severity: logentry.Error}, {Message: "c", Severity: logentry.Debug}}})
	if got := s.records(t); err != nil || len(r.IDs) != 3 || r.Dropped != 2 || len(got) != 1 || got[0].ID != r.IDs[1] {
		t.Errorf("%+v, %v, %d kept", r, err, len(got))
	}
	r, err = in.Accept(background, quiet, Batch{Entries: []logentry.Entry{{Message: "a"}}})
	if err != nil || len(r.IDs) != 1 || r.Dropped != 1 || len(s.records(t)) != 1 {
		t.Errorf("none to keep: %+v, %v", r, err)
	}
	if n := testutil.ToFloat64(in.tel.Metrics.BelowSeverity); n != 3 {
		t.Errorf("%v counted", n)
	}
	if err := in.Own(background, quiet.ID(), []logentry.Entry{{Message: "read", EventID: "1", Metadata: []byte(`{"token":"t"}`)}}); err != nil {
		t.Fatal(err)
	}
	if got := s.records(t); len(got) != 2 || string(got[1].Metadata) != `{"token":"***"}` {
		t.Errorf("an entry of the service itself: %v", got)
	}
}

func TestRulesThatCannotBeReadLetNothingThrough(t *testing.T) {
	broken := authtest.TenantWith(t, "broken", 1, tenant.Settings{Masking: []mask.Rule{{Builtin: "of a newer version", Action: mask.Mask}}})
	s := newSink()
	in, stop := start(t, Config{}, s)
	defer stop()
	_, err := in.Accept(background, broken, Batch{ReceivedAt: time.Now(), Entries: []logentry.Entry{msg("m")}})
	if fault.Of(err).Code != "masking_unreadable" || fault.KindOf(err) != fault.Internal || len(s.records(t)) != 0 {
		t.Error(err)
	}
}
