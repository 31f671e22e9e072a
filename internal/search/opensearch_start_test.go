package search_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/auth/authtest"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/internal/telemetry"
)

func TestOnlyVersionsThatAreKnownAreTaken(t *testing.T) {
	number := func(n string) string {
		return `{"version":{"distribution":"opensearch","number":"` + n + `"},"tagline":"The OpenSearch Project: https://opensearch.org/"}`
	}
	for _, c := range []struct {
		name, root string
		status     int
		kind       fault.Kind
		code, says string // code "": taken
	}{
		{"2.19", number("2.19.0"), 200, 0, "", ""},
		{"a later 2", number("2.21.3"), 200, 0, "", ""},
		{"3", number("3.8.0"), 200, 0, "", ""},
		{"a snapshot of 3", number("3.9.0-SNAPSHOT"), 200, 0, "", ""},
		{"1", number("1.3.20"), 200, fault.Invalid, "opensearch_version", "is version 1.3.20: upgrade it to 2.19 or newer"},
		{"an older 2", number("2.18.0"), 200, fault.Invalid, "opensearch_version", "is version 2.18.0: upgrade it"},
		{"4", number("4.0.0"), 200, fault.Invalid, "opensearch_version", "upgrade Ocelot"},
		{"no number", number("main"), 200, fault.Invalid, "opensearch_version", "upgrade it"},
		{"Elasticsearch", `{"version":{"number":"8.15.0"},"tagline":"You Know, for Search"}`, 200, fault.Invalid, "opensearch_version", "is Elasticsearch 8.15.0"},
		{"OpenSearch in disguise", `{"version":{"number":"7.10.2"},"tagline":"The OpenSearch Project: https://opensearch.org/"}`, 200, fault.Invalid, "opensearch_version", "compatibility.override_main_response_version"},
		{"something else that speaks JSON", `{"hello":"world"}`, 200, fault.Invalid, "opensearch_not_found", "is no OpenSearch"},
		{"a web page", `<html>`, 200, fault.Invalid, "opensearch_not_found", "correct OPENSEARCH_URL"},
		{"nothing there", `404`, 404, fault.Invalid, "opensearch_not_found", "HTTP 404"},
		{"wrong password", ``, 401, fault.Invalid, "opensearch_credentials", "correct OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD"},
		{"not allowed", ``, 403, fault.Invalid, "opensearch_credentials", "refuses the user"},
		{"not yet ready", ``, 503, fault.Unavailable, "opensearch_unreachable", "not ready"},
		{"too busy", ``, 429, fault.Unavailable, "opensearch_unreachable", "not ready"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			f.on = func(r *http.Request, _ string) (int, string) {
				if r.URL.Path == "/" {
					return c.status, c.root
				}
				return 0, ""
			}
			at := strings.Replace(f.URL, "http://", "http://joe:hunter2@", 1)
			x, err := search.NewOpenSearch(t.Context(), search.OpenSearchConfig{URL: at}, telemetry.Discard())
			if c.code == "" {
				if err != nil {
					t.Fatal(err)
				}
				_ = x.Close()
				return
			}
			oneLine(t, err, c.kind, c.code, c.says)
		})
	}
}

// oneLine checks what somebody reads who started with bad settings.
func oneLine(t *testing.T, err error, kind fault.Kind, code, says string) {
	t.Helper()
	f := fault.Of(err)
	if f == nil || f.Kind != kind || f.Code != code || !strings.Contains(f.Detail, says) {
		t.Errorf("got %v", err)
	}
	if err != nil && strings.ContainsAny(err.Error(), "\n") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%q is not one line without secrets", err)
	}
}

func TestSettingsThatCannotWork(t *testing.T) {
	secret := auth.NewSecret("hunter2")
	closed := httptest.NewServer(nil)
	closed.Close()
	tls := httptest.NewTLSServer(http.NotFoundHandler())
	defer tls.Close()
	plain := newFake(t)
	for _, c := range []struct {
		name       string
		cfg        search.OpenSearchConfig
		kind       fault.Kind
		code, says string
	}{
		{"no URL", search.OpenSearchConfig{}, fault.Invalid, "opensearch_url_missing", "OPENSEARCH_URL"},
		{"no host", search.OpenSearchConfig{URL: "https://"}, fault.Invalid, "opensearch_url_invalid", "https://host:9200"},
		{"another scheme", search.OpenSearchConfig{URL: "ftp://joe:hunter2@host"}, fault.Invalid, "opensearch_url_invalid", "https://host:9200"},
		{"no URL at all", search.OpenSearchConfig{URL: "http://joe:hunter2@host:port%%"}, fault.Invalid, "opensearch_url_invalid", ""},
		{"nobody there", search.OpenSearchConfig{URL: closed.URL, Username: "joe", Password: secret}, fault.Unavailable, "opensearch_unreachable", "start it, or correct OPENSEARCH_URL"},
		{"a name that is none", search.OpenSearchConfig{URL: "http://nowhere.invalid:9200"}, fault.Unavailable, "opensearch_unreachable", "nowhere.invalid"},
		{"a certificate of nobody", search.OpenSearchConfig{URL: tls.URL}, fault.Invalid, "opensearch_certificate", "SSL_CERT_FILE"},
		{"TLS where there is none", search.OpenSearchConfig{URL: strings.Replace(plain.URL, "http:", "https:", 1)}, fault.Invalid, "opensearch_url_invalid", "write http://"},
		{"a user without password", search.OpenSearchConfig{URL: plain.URL, Username: "joe"}, fault.Invalid, "opensearch_credentials", "OPENSEARCH_PASSWORD"},
		{"two kinds of credentials", search.OpenSearchConfig{URL: plain.URL, Username: "joe", Password: secret, AWSSigV4: true}, fault.Invalid, "opensearch_credentials", "exclude each other"},
		{"serverless", search.OpenSearchConfig{URL: "https://x.us-east-1.aoss.amazonaws.com", AWSSigV4: true}, fault.Invalid, "opensearch_serverless", "use a domain"},
		{"a prefix in capitals", search.OpenSearchConfig{URL: plain.URL, Prefix: "Logs"}, fault.Invalid, "setting_invalid", "OPENSEARCH_INDEX_PREFIX"},
		{"a prefix with a star", search.OpenSearchConfig{URL: plain.URL, Prefix: "a*"}, fault.Invalid, "setting_invalid", "OPENSEARCH_INDEX_PREFIX"},
		{"too many shards", search.OpenSearchConfig{URL: plain.URL, Shards: 5000}, fault.Invalid, "setting_invalid", "shards"},
		{"no time to refresh", search.OpenSearchConfig{URL: plain.URL, RefreshInterval: 1}, fault.Invalid, "setting_invalid", "refresh interval"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := search.NewOpenSearch(t.Context(), c.cfg, telemetry.Discard())
			oneLine(t, err, c.kind, c.code, c.says)
		})
	}
}

func TestCredentialsAreSent(t *testing.T) {
	for k, v := range map[string]string{"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "hunter2", "AWS_SESSION_TOKEN": "", "AWS_REGION": "", "AWS_CONFIG_FILE": "/none", "AWS_SHARED_CREDENTIALS_FILE": "/none"} {
		t.Setenv(k, v)
	}
	for _, c := range []struct {
		name  string
		cfg   search.OpenSearchConfig
		wants []string
	}{
		{"a user", search.OpenSearchConfig{Username: "joe", Password: auth.NewSecret("hunter2")}, []string{"Basic am9lOmh1bnRlcjI="}},
		{"a signature", search.OpenSearchConfig{AWSSigV4: true, Region: "eu-west-1"}, []string{"AWS4-HMAC-SHA256 Credential=AKIATEST/", "/eu-west-1/es/aws4_request"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			checked := 0
			f.on = func(r *http.Request, body string) (int, string) {
				for _, want := range c.wants {
					if got := r.Header.Get("Authorization"); !strings.Contains(got, want) {
						t.Errorf("%s %s with %q", r.Method, r.URL.Path, got)
					}
					checked++
				}
				return 0, ""
			}
			f.bulk = func(ids []string, _ string) (int, string) { return http.StatusOK, items(created(len(ids))...) }
			x := f.open(t, c.cfg)
			if verdicts, err := x.Add(t.Context(), oneDay(3)); err != nil || verdicts[2] != search.Indexed {
				t.Errorf("got %v, %v", verdicts, err)
			}
			if checked < 3 {
				t.Errorf("only %d checks", checked)
			}
		})
	}
}

func TestASearchThatFails(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		answer string
		kind   fault.Kind
		code   string
	}{
		{"too slow", 200, `{"timed_out":true,"hits":{"total":{"value":1,"relation":"gte"}}}`, fault.Timeout, "search_timeout"},
		{"stopped", 500, `{"error":{"type":"search_phase_execution_exception","root_cause":[{"type":"task_cancelled_exception"}]}}`, fault.Timeout, "search_timeout"},
		{"longer than the cluster allows", 500, `{"error":{"type":"search_phase_execution_exception","root_cause":[{"type":"query_phase_execution_exception"}]}}`, fault.Timeout, "search_timeout"},
		{"without a shard", 503, `{"error":{"type":"search_phase_execution_exception","root_cause":[{"type":"no_shard_available_action_exception"}]}}`, fault.Unavailable, "opensearch_failed"},
		{"a failed shard", 200, `{"_shards":{"failed":1},"hits":{}}`, fault.Unavailable, "opensearch_failed"},
		{"too busy", 429, `{"error":{"type":"search_phase_execution_exception","root_cause":[{"type":"rejected_execution_exception"}]}}`, fault.Unavailable, "opensearch_busy"},
		{"not ready", 503, `{"error":{"type":"cluster_block_exception"}}`, fault.Unavailable, "opensearch_failed"},
		{"too many terms", 400, `{"error":{"type":"search_phase_execution_exception","root_cause":[{"type":"too_many_nested_clauses"}]}}`, fault.Invalid, "query_too_expensive"},
		{"a bug of ours", 400, `{"error":{"type":"parsing_exception"}}`, fault.Internal, "opensearch_refused"},
		{"no JSON", 200, `hello`, fault.Unavailable, "opensearch_answer"},
		{"a hit without a place", 200, `{"hits":{"hits":[{"sort":[1]}]}}`, fault.Internal, "opensearch_answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			f.on = func(r *http.Request, _ string) (int, string) {
				if strings.HasSuffix(r.URL.Path, "_search") {
					return c.status, c.answer
				}
				return 0, ""
			}
			x := f.open(t, search.OpenSearchConfig{})
			_, err := x.Search(t.Context(), authtest.Tenant(t, "acme"), query.Query{Limit: 1})
			if got := fault.Of(err); got == nil || got.Kind != c.kind || got.Code != c.code {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestAClusterThatHangsIsNoSlowSearch: who asks still has time to ask the record.
func TestAClusterThatHangsIsNoSlowSearch(t *testing.T) {
	for _, c := range []struct {
		name  string
		hangs bool
		kind  fault.Kind
		code  string
	}{
		{"a search takes long", false, fault.Timeout, "search_timeout"},
		{"nothing is heard", true, fault.Unavailable, "opensearch_unreachable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			release := make(chan struct{})
			defer close(release)
			var started atomic.Bool
			var searches atomic.Int32
			f.on = func(r *http.Request, _ string) (int, string) {
				if is := strings.HasSuffix(r.URL.Path, "_search"); is || c.hangs && started.Load() {
					if is {
						searches.Add(1)
					}
					<-release
				}
				return 0, ""
			}
			x := f.open(t, search.OpenSearchConfig{CallTimeout: time.Second})
			started.Store(true)
			for range 2 { // what was found out is remembered
				_, err := x.Search(t.Context(), authtest.Tenant(t, "acme"), query.Query{Limit: 1})
				if got := fault.Of(err); got == nil || got.Kind != c.kind || got.Code != c.code {
					t.Errorf("got %v", err)
				}
			}
			if n, want := searches.Load(), map[bool]int32{true: 1, false: 2}[c.hangs]; n != want {
				t.Errorf("%d searches were sent, want %d", n, want)
			}
		})
	}
}

func TestTheTemplateIsPutWhenItMust(t *testing.T) {
	f := newFake(t)
	x := f.open(t, search.OpenSearchConfig{RefreshInterval: 5 * time.Second, Replicas: 1})
	golden(t, "opensearch_template.golden", string(x.Template())+"\n")
	settings := strings.SplitN(strings.SplitN(string(x.Template()), `"ocelot_settings":"`, 2)[1], `"`, 2)[0]
	for _, c := range []struct {
		name, meta string // of the template that is there
		version    int    // of ours
		puts       int
	}{
		{"there is none", "", 1, 1},
		{"it is ours", `{"ocelot_version":1,"ocelot_settings":"` + settings + `"}`, 1, 0},
		{"it is older", `{"ocelot_version":1,"ocelot_settings":"` + settings + `"}`, 2, 1},
		{"it is newer", `{"ocelot_version":3,"ocelot_settings":"x"}`, 2, 0},
		{"it has other settings", `{"ocelot_version":1,"ocelot_settings":"x"}`, 1, 1},
		{"it is somebody else's", `{}`, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			puts, mappings := 0, 0
			f.on = func(r *http.Request, body string) (int, string) {
				switch {
				case r.Method == "PUT" && strings.HasPrefix(r.URL.Path, "/_index_template/"):
					puts++
					return 200, `{"acknowledged":true}`
				case r.Method == "PUT" && strings.HasSuffix(r.URL.Path, "/_mapping"):
					mappings++
					return 200, `{"acknowledged":true}`
				case r.Method == "GET" && strings.HasPrefix(r.URL.Path, "/_index_template/") && c.meta != "":
					return 200, `{"index_templates":[{"index_template":{"template":{"mappings":{"dynamic":"false","_meta":` + c.meta + `}}}}]}`
				case r.Method == "GET" && r.URL.Path == "/ocelot":
					return 200, `{"ocelot-2026.11.03":{"aliases":{"ocelot":{}},"mappings":{"dynamic":"false","_meta":{"ocelot_version":1}}}}`
				}
				return 0, ""
			}
			x.SetVersion(c.version)
			if err := x.Migrate(t.Context()); err != nil || puts != c.puts || mappings != c.version-1 {
				t.Errorf("%d templates and %d mappings were put, %v", puts, mappings, err)
			}
		})
	}
}
