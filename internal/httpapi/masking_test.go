package httpapi

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/queue"
)

func TestADryRunShowsWhatRulesDo(t *testing.T) {
	const path = "/api/v1/tenants/acme/masking/test"
	w := newWorld(t)
	admin := authHeader(t, "acme", "admin")
	for name, c := range map[string]struct {
		body   string
		status int
		want   string // of the answer, by " | "
	}{
		"rules of the body": {`{"rules":[{"name":"who","field":"user_id","action":"hash"},{"builtin":"email","action":"mask"}],
			"entries":[{"message":"to ann@x.org","user_id":"ann","metadata":{"password":"hunter2","n":1.50}},{"action":"LOGIN"}]}`, 200,
			`"message":"to ***" | "user_id":"hash: | "metadata":{"password":"***","n":1.50} | {"rule":0,"name":"who","pointer":"/user_id"} | {"rule":1,"name":"","pointer":"/message"} | {"rule":null,"name":"secrets","pointer":"/metadata/password"} | {"entry":{"action":"LOGIN"},"hits":[]}`},
		"the tenant's own, which are none": {`{"entries":[{"message":"to ann@x.org"}]}`, 200, `{"data":[{"entry":{"message":"to ann@x.org"},"hits":[]}],"meta":{}}`},
		"rules that are none":              {`{"rules":[{"pattern":"(","action":"burn"}],"entries":[]}`, 422, `"code":"masking_invalid" | "pointer":"/rules/0/pattern" | "pointer":"/rules/0/action"`},
		"entries that are none":            {`{"entries":[{"message":"m"},{"message":"m","severity":"loud"}]}`, 422, `"pointer":"/entries/1/severity"`},
		"no entries":                       {`{"rules":[]}`, 422, `"pointer":"/entries","code":"required"`},
		"an empty list":                    {`{"entries":[]}`, 422, `"pointer":"/entries","code":"batch_empty"`},
		"something else":                   {`{"entries":{"message":"m"}}`, 422, `"pointer":"/entries","code":"field_wrong_type"`},
		"a text that is null":              {`{"rules":[{"pattern":null,"builtin":"email","action":"mask"}],"entries":[{"message":"m"}]}`, 422, `"pointer":"/rules/0/pattern","code":"field_wrong_type"`},
		"rules that are null":              {`{"rules":null,"entries":[{"message":"m"}]}`, 200, `"hits":[]`},
		"a name with a control character":  {`{"rules":[{"name":"\u0084","builtin":"email","action":"mask"}],"entries":[{"message":"m"}]}`, 422, `"pointer":"/rules/0/name","code":"rule_name_invalid"`},
		"null":                             {`null`, 422, `"code":"field_wrong_type"`},
		"more entries than it takes":       {`{"entries":[` + strings.Repeat(`{"message":"m"},`, 100) + `{"message":"m"}]}`, 413, `"code":"batch_too_large"`},
		"a field that is not known":        {`{"entries":[],"x":1}`, 400, `unknown_field`},
	} {
		a := w.do(t, admin, http.MethodPost, path, c.body)
		if a.status != c.status {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		for piece := range strings.SplitSeq(c.want, " | ") {
			if !strings.Contains(string(a.body), piece) {
				t.Errorf("%s: no %s in %s", name, piece, a.body)
			}
		}
		if strings.Contains(string(a.body), "hunter2") {
			t.Errorf("%s shows the secret: %s", name, a.body)
		}
	}
	if a := w.do(t, authHeader(t, "acme", "reader"), http.MethodPost, path, `{"entries":[]}`); a.status != http.StatusForbidden {
		t.Errorf("a reader: %d", a.status)
	}
	if a := w.do(t, authHeader(t, "zeta", "admin"), http.MethodPost, path, `{"entries":[]}`); a.status != http.StatusNotFound {
		t.Errorf("another tenant's admin: %d", a.status)
	}
	if n := w.sent(t); n != 0 {
		t.Errorf("%d envelopes were sent", n)
	}
}

// TestATenantsSettingsActOnWhatComesIn sets them as an admin does, and looks into what goes to the queue.
func TestATenantsSettingsActOnWhatComesIn(t *testing.T) {
	w := newWorld(t)
	a := w.do(t, authHeader(t, "acme", "admin"), http.MethodPatch, "/api/v1/tenants/acme",
		`{"settings":{"min_severity":"INFO","masking":[{"field":"user_id","action":"hash"},{"builtin":"email","action":"mask"}]}}`)
	if a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	writer := authHeader(t, "acme", "writer")
	a = w.do(t, writer, http.MethodPost, "/api/v1/logs/bulk", `[{"message":"to ann@x.org","user_id":"ann"},{"message":"x","severity":"DEBUG"}]`)
	if a.status != http.StatusAccepted || !strings.Contains(string(a.body), `"count":2,"status":"queued","duplicates":0,"dropped":1`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	a = w.do(t, writer, http.MethodPost, "/api/v1/logs", `{"message":"x","severity":"DEBUG"}`)
	if a.status != http.StatusAccepted || !strings.Contains(string(a.body), `"status":"dropped"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	messages, err := w.queue.Receive(t.Context(), 10, 0, time.Minute)
	must(t, err)
	if len(messages) != 1 {
		t.Fatalf("%d envelopes", len(messages))
	}
	e, err := queue.Unpack(messages[0].Body)
	must(t, err)
	if p := string(e.Payload); !strings.Contains(p, `"message":"to ***"`) || !strings.Contains(p, `"user_id":"hash:`) || strings.Contains(p, "ann") {
		t.Errorf("%s", p)
	}
}
