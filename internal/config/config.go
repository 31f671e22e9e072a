// Package config reads the settings: a YAML file, the environment over it, and NAME_FILE for secrets.
// viper lives here and nowhere else, and only app imports this package.
//
// Reading is strict: a misspelt key, a value of the wrong type or out of its bounds is an error, and
// all of them are reported at once. Every setting has one name: `jwt_secret` in the file is JWT_SECRET
// in the environment. The environment wins; an empty variable is the same as none.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/spf13/viper"
)

// Process is which program reads the settings; they share the names, not all defaults.
type Process string

// The programs.
const (
	Up     Process = "ocelot" // ocelot up and the tool's commands
	API    Process = "api"
	Worker Process = "worker"
)

// Settings are the effective settings. Tags: key, alias (another name in the environment), for (the
// programs that use it; none: all), default and default_worker, min and max (of numbers and durations,
// inclusive), oneof, scheme (what a URL may begin with), and help: the one comment of the key in configs/.
type Settings struct {
	LogLevel  string `key:"log_level" default:"info" oneof:"debug info warn error" help:"least level that is logged: debug, info, warn, error"`
	LogFormat string `key:"log_format" default:"auto" oneof:"auto json console" help:"json, console, or auto: console on a terminal, json elsewhere"`

	Host        string `key:"host" for:"ocelot api" default:"127.0.0.1" help:"address that the API listens on; 0.0.0.0 for every interface"`
	Port        int    `key:"port" for:"ocelot api" default:"8080" min:"0" max:"65535" help:"port of the API; 0 takes a free one"`
	TLSCertFile string `key:"tls_cert_file" for:"ocelot api" help:"PEM file of the API's certificate and its chain; with tls_key_file the API speaks TLS; read again when it changes"`
	TLSKeyFile  string `key:"tls_key_file" for:"ocelot api" help:"PEM file of its key"`
	MetricsHost string `key:"metrics_host" default:"127.0.0.1" help:"address of the second listener: metrics, health, pprof"`
	MetricsPort int    `key:"metrics_port" default:"9090" default_worker:"9091" min:"0" max:"65535" help:"port of the second listener; 0 takes a free one"`
	DataDir     string `key:"data_dir" for:"ocelot" default:"./data" help:"directory of the embedded files; one process owns it"`

	TrustedProxies string `key:"trusted_proxies" for:"ocelot api" help:"addresses and CIDRs, separated by commas, of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed"`
	AllowedHosts   string `key:"allowed_hosts" for:"ocelot api" help:"names that the API may be asked for, separated by commas: logs.example.com, *.example.com; unset: any"`
	CORSOrigins    string `key:"cors_origins" for:"ocelot api" help:"web origins whose pages may call the API, separated by commas: https://app.example.com, https://*.example.com; * alone: every page, never with cookies"`

	SQSQueueURL    string `key:"sqs_queue_url" scheme:"https:// or http://" help:"URL of the SQS queue; unset in 'ocelot up': a file in data_dir"`
	SQSDLQURL      string `key:"sqs_dlq_url" scheme:"https:// or http://" help:"URL of its dead-letter queue, which is watched; unset: nobody watches"`
	SQSEndpointURL string `key:"sqs_endpoint_url" scheme:"https:// or http://" help:"a server that speaks SQS; unset: AWS"`
	SQSFairQueues  bool   `key:"sqs_fair_queues" for:"ocelot api" default:"false" help:"send the tenant as MessageGroupId, so that a tenant with many messages delays others less; AWS charges extra"`
	AWSRegion      string `key:"aws_region" help:"region of the queue; unset: that of its URL, else what the AWS SDK finds"`

	MongoDBURI      auth.Secret `key:"mongodb_uri" alias:"MONGO_URI" scheme:"mongodb:// or mongodb+srv://" help:"MongoDB of the record, a replica set; unset in 'ocelot up': a file in data_dir"`
	MongoDBDatabase string      `key:"mongodb_database" default:"ocelot" help:"database of the record"`
	AutoMigrate     bool        `key:"auto_migrate" default:"true" help:"make and upgrade indexes and templates at start; false: run 'ocelot migrate' yourself"`

	OpenSearchURL         string        `key:"opensearch_url" scheme:"https:// or http://" help:"OpenSearch of the index; unset in 'ocelot up': a file in data_dir"`
	OpenSearchUsername    string        `key:"opensearch_username" help:"user of OpenSearch; unset: none"`
	OpenSearchPassword    auth.Secret   `key:"opensearch_password" help:"password of that user"`
	OpenSearchAWSSigV4    bool          `key:"opensearch_aws_sigv4" default:"false" help:"sign requests with AWS credentials instead"`
	OpenSearchIndexPrefix string        `key:"opensearch_index_prefix" default:"ocelot" help:"beginning of the names of indices, alias and template"`
	OpenSearchShards      int           `key:"opensearch_shards" default:"1" min:"1" max:"100" help:"primary shards of an index (one index a day)"`
	OpenSearchReplicas    int           `key:"opensearch_replicas" default:"1" min:"0" max:"10" help:"replicas of a shard"`
	OpenSearchCodec       string        `key:"opensearch_codec" default:"zstd_no_dict" help:"codec of the indices; default where the cluster refuses it"`
	OpenSearchRefresh     time.Duration `key:"opensearch_refresh_interval" default:"1s" min:"100ms" max:"10m" help:"how long an entry may be in the index before searches find it"`

	JWTSecret       auth.Secret   `key:"jwt_secret" for:"ocelot api" help:"HS256 secret, at least 32 bytes; unset: 'ocelot up' makes its own in data_dir"`
	JWTPublicKey    auth.Secret   `key:"jwt_public_key" for:"ocelot api" help:"PEM text of the public key or keys that check RS, ES and EdDSA tokens; JWT_PUBLIC_KEY_FILE for a path; unset: none"`
	JWKSURL         string        `key:"jwks_url" for:"ocelot api" scheme:"https:// or http://" help:"where an issuer publishes such keys; http:// on this machine only; unset: nowhere"`
	JWTTenantsClaim string        `key:"jwt_tenants_claim" for:"ocelot api" default:"tenants" help:"claim with the tenants of a token, a list or one text; a dot leads into an object"`
	JWTRolesClaim   string        `key:"jwt_roles_claim" for:"ocelot api" default:"roles" help:"claim with the roles of a token: writer, reader, admin; as jwt_tenants_claim"`
	JWTIssuer       string        `key:"jwt_issuer" for:"ocelot api" default:"" help:"iss that a token must have; unset: any"`
	JWTAudience     string        `key:"jwt_audience" for:"ocelot api" default:"" help:"aud that a token must hold; unset: any"`
	JWTMaxTTL       time.Duration `key:"jwt_max_ttl" for:"ocelot api" default:"8760h" min:"1m" max:"87600h" help:"longest time to live of an accepted token"`

	APIKeyPepper auth.Secret `key:"api_key_pepper" for:"ocelot api" help:"secret without which stolen hashes of API keys are no use, at least 32 bytes; unset: derived from jwt_secret. Another one ends all API keys"`
	APIKeys      auth.Secret `key:"api_keys" for:"ocelot api" help:"API keys between commas, each key:tenant:role (roles joined by +) or a key alone, which writes and reads for the tenant default; a key has 16 characters or more"`

	ReadAudit     bool        `key:"read_audit" for:"ocelot api" default:"true" help:"each read of entries leaves an entry that says who read what; changes and refused attempts always do"`
	AuditTenant   string      `key:"audit_tenant" for:"ocelot api" default:"default" help:"id of the tenant that keeps the entries of changes which are about no tenant, or about tenants themselves"`
	MaskingSecret auth.Secret `key:"masking_secret" for:"ocelot api" help:"hashes of masked values are made with it, at least 32 bytes; unset: jwt_secret, whose change then changes the hashes"`

	OIDCIssuerURL    string      `key:"oidc_issuer_url" for:"ocelot api" help:"OpenID Connect provider at which people may sign in; unset: none"`
	OIDCClientID     string      `key:"oidc_client_id" for:"ocelot api" help:"the name that the provider knows this service by"`
	OIDCClientSecret auth.Secret `key:"oidc_client_secret" for:"ocelot api" help:"the secret that goes with it; unset: a public client"`
	OIDCRedirectURL  string      `key:"oidc_redirect_url" for:"ocelot api" help:"address of /api/v1/session/oidc/callback as browsers know it; the provider must know it too"`
	OIDCTenantsClaim string      `key:"oidc_tenants_claim" for:"ocelot api" default:"tenants" help:"claim of the ID token with the ids of a person's tenants, * for all; a dot leads into an object"`
	OIDCRolesClaim   string      `key:"oidc_roles_claim" for:"ocelot api" default:"roles" help:"claim of the ID token with a person's roles: writer, reader, admin; a dot leads into an object"`
	OIDCScopes       string      `key:"oidc_scopes" for:"ocelot api" help:"scopes to ask for besides openid, separated by spaces, where the claims need some: profile email"`

	RatePerMin       int `key:"rate_limit_per_min" for:"ocelot api" default:"60" min:"0" max:"1000000000" help:"requests a minute without valid credentials, of one address (IPv6: /64); 0: unlimited"`
	LoginsPerMin     int `key:"login_limit_per_min" for:"ocelot api" default:"10" min:"0" max:"1000000000" help:"attempts a minute to sign in that may fail, of one address; 0: unlimited"`
	TenantRatePerMin int `key:"tenant_rate_limit_per_min" for:"ocelot api" default:"0" min:"0" max:"1000000000000" help:"entries a minute of a tenant that has no limit of its own; 0: unlimited"`

	EventSchemaVersion int           `key:"event_schema_version" for:"ocelot api" default:"1" min:"1" max:"1000000" help:"schema_version of entries that bring none"`
	MaxFutureSkew      time.Duration `key:"max_future_skew" for:"ocelot api" default:"24h" min:"0s" max:"8760h" help:"how far ahead of receipt a timestamp may be"`
	TenantDeleteGrace  time.Duration `key:"tenant_delete_grace" for:"ocelot api" default:"24h" min:"0s" max:"8760h" help:"how long a tenant that was deleted is kept, to be taken back; its credentials are refused at once"`

	IngestInFlight int           `key:"ingest_in_flight" for:"ocelot api" default:"4" min:"1" max:"64" help:"sends to the queue at the same time"`
	IngestLinger   time.Duration `key:"ingest_linger" for:"ocelot api" default:"5ms" min:"0s" max:"1s" help:"how long a part-full envelope waits for company; bounds the cost at low rates"`
	IngestBuffer   int           `key:"ingest_buffer_bytes" for:"ocelot api" default:"67108864" min:"1048576" max:"4294967296" help:"bytes of entries waiting to be sent; beyond it 429"`

	TenantExports int `key:"tenant_exports" for:"ocelot api" default:"4" min:"1" max:"1000" help:"exports of a tenant at the same time, of one process; beyond it 429"`

	WorkerPollers       int           `key:"worker_pollers" for:"ocelot worker" default:"2" min:"1" max:"64" help:"receives from the queue at the same time"`
	WorkerConcurrency   int           `key:"worker_concurrency" for:"ocelot worker" default:"0" min:"0" max:"64" help:"writes to the record, and as many to the index, at the same time; 0: what suits files or servers"`
	WorkerBudget        int           `key:"worker_budget_bytes" for:"ocelot worker" default:"20971520" default_worker:"37748736" min:"8388608" max:"4294967296" help:"decoded bytes that the worker holds at the most"`
	WorkerPollWait      time.Duration `key:"worker_poll_wait" for:"ocelot worker" default:"20s" min:"1s" max:"20s" help:"how long one receive waits for messages"`
	WorkerVisibility    time.Duration `key:"worker_visibility" for:"ocelot worker" default:"90s" min:"10s" max:"12h" help:"how long a received message stays hidden; extended while it is worked on"`
	WorkerIndexPatience time.Duration `key:"worker_index_patience" for:"ocelot worker" default:"10s" min:"100ms" max:"10m" help:"how long recorded entries wait for a slow index before they go to the backlog"`
	ShutdownGrace       time.Duration `key:"shutdown_grace" default:"20s" min:"1s" max:"10m" help:"how long a stop may take to finish what is held"`
}

// Problem is one thing that is wrong with the settings.
type Problem struct{ Where, Message string }

// Problems are all things that are wrong with the settings.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, 0, len(p))
	for _, x := range p {
		lines = append(lines, x.Where+": "+x.Message)
	}
	if len(lines) == 1 {
		return "bad settings: " + lines[0]
	}
	return "bad settings:\n  " + strings.Join(lines, "\n  ")
}

// Load reads the settings of a process: the file at path (none when empty) and the environment
// (os.Environ's form). A file may hold keys that only another process uses.
func Load(process Process, path string, environ []string) (Settings, error) {
	var (
		s        Settings
		problems Problems
		env      = map[string]string{}
	)
	for _, kv := range environ {
		if k, v, ok := strings.Cut(kv, "="); ok && v != "" {
			env[k] = v
		}
	}
	file := viper.NewWithOptions(viper.KeyDelimiter("\x00"))
	if path != "" {
		file.SetConfigFile(path)
		file.SetConfigType("yaml")
		if err := file.ReadInConfig(); err != nil {
			return s, Problems{{path, "can't be read: " + unread(err)}}
		}
	}
	fields := describe(&s)
	for _, key := range file.AllKeys() {
		if !slices.ContainsFunc(fields, func(f field) bool { return f.key == key }) {
			problems = append(problems, Problem{path, fmt.Sprintf("no setting named %q%s", key, suggest(key, fields))})
		}
	}
	for _, f := range fields {
		text, where, err := f.find(process, file, path, env)
		if err == nil {
			err = f.set(text)
		}
		if err != nil {
			problems = append(problems, Problem{where, err.Error()})
		}
	}
	for _, secret := range []struct {
		where string
		of    auth.Secret
	}{{"jwt_secret", s.JWTSecret}, {"masking_secret", s.MaskingSecret}, {"api_key_pepper", s.APIKeyPepper}} {
		if secret.of.IsSet() {
			if weak := secret.of.Weakness(); weak != "" {
				problems = append(problems, Problem{secret.where, weak + "; make one with: openssl rand -base64 48"})
			}
		}
	}
	if err := auth.CheckPublicKey(s.JWTPublicKey); err != nil {
		problems = append(problems, Problem{"jwt_public_key", err.Error()})
	}
	if err := auth.CheckJWKSURL(s.JWKSURL); err != nil {
		problems = append(problems, Problem{"jwks_url", err.Error()})
	}
	if s.JWTPublicKey.IsSet() && s.JWKSURL != "" {
		problems = append(problems, Problem{"jwt_public_key, jwks_url", "both are set; keep one"})
	}
	if _, err := auth.ParseStaticKeys(s.APIKeys); err != nil {
		problems = append(problems, Problem{"api_keys", err.Error()})
	}
	if len(problems) > 0 {
		return s, problems
	}
	return s, nil
}

// Effective lists every setting of a process with its value, secrets as ***, in YAML.
func (s Settings) Effective(process Process) string {
	var b strings.Builder
	for _, f := range describe(&s) {
		if !f.usedBy(process) {
			continue
		}
		v := fmt.Sprint(f.value.Interface())
		switch x := f.value.Interface().(type) {
		case auth.Secret:
			v = `"***"`
			if !x.IsSet() {
				v = `"" # not set`
			}
		case string:
			v = strconv.Quote(x)
		}
		fmt.Fprintf(&b, "%s: %s\n", f.key, v)
	}
	return b.String()
}

// Example is a whole configuration file of a process: every key, its default and one comment.
func Example(process Process) string {
	var s Settings
	var b strings.Builder
	for _, f := range describe(&s) {
		if !f.usedBy(process) {
			continue
		}
		def := f.standard(process)
		if f.value.Kind() == reflect.String || def == "" {
			def = strconv.Quote(def)
		}
		fmt.Fprintf(&b, "# %s\n# %s: %s\n\n", f.tag.Get("help"), f.key, def)
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

type field struct {
	key   string
	tag   reflect.StructTag
	value reflect.Value
}

func describe(s *Settings) []field {
	v := reflect.ValueOf(s).Elem()
	fields := make([]field, v.NumField())
	for i := range fields {
		t := v.Type().Field(i)
		fields[i] = field{t.Tag.Get("key"), t.Tag, v.Field(i)}
	}
	return fields
}

// usedBy says whether a process has any use for the setting.
func (f field) usedBy(process Process) bool {
	of := strings.Fields(f.tag.Get("for"))
	return len(of) == 0 || slices.Contains(of, string(process))
}

// standard is the default of a process.
func (f field) standard(process Process) string {
	if d, ok := f.tag.Lookup("default_" + string(process)); ok {
		return d
	}
	return f.tag.Get("default")
}

// find returns the text of a setting and where it came from: environment, NAME_FILE, file, default.
func (f field) find(process Process, file *viper.Viper, path string, env map[string]string) (text, where string, err error) {
	name := strings.ToUpper(f.key)
	_, secret := f.value.Interface().(auth.Secret)
	text, direct := env[name]
	if alias := f.tag.Get("alias"); !direct && alias != "" {
		if text, direct = env[alias]; direct {
			name = alias
		}
	}
	if secret {
		if from, ok := env[name+"_FILE"]; ok {
			if direct {
				return "", name, fmt.Errorf("both %s and %s_FILE are set; keep one", name, name)
			}
			b, err := os.ReadFile(from)
			if err != nil {
				return "", name + "_FILE", fmt.Errorf("can't be read: %s: %s", from, unread(err))
			}
			return strings.TrimRight(string(b), "\r\n"), name + "_FILE", nil
		}
	}
	switch {
	case direct:
		return text, name, nil
	case file.IsSet(f.key):
		v := file.Get(f.key)
		switch v.(type) {
		case nil:
			return f.standard(process), f.key, nil
		case string, int, int64, float64, bool, uint64:
			return fmt.Sprint(v), path + ": " + f.key, nil
		}
		return "", path + ": " + f.key, fmt.Errorf("must be a single value")
	}
	return f.standard(process), f.key, nil
}

func (f field) set(text string) error {
	if !f.begins(text) { // it may hold a password, so it is not repeated
		return fmt.Errorf("is no address of a server; it begins with %s", f.tag.Get("scheme"))
	}
	switch f.value.Interface().(type) {
	case auth.Secret:
		f.value.Set(reflect.ValueOf(auth.NewSecret(text)))
	case time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q is no duration; write 500ms, 30s, 24h", text)
		}
		lo, _ := time.ParseDuration(f.tag.Get("min"))
		hi, _ := time.ParseDuration(f.tag.Get("max"))
		if d < lo || d > hi {
			return fmt.Errorf("%s is not between %s and %s", d, lo, hi)
		}
		f.value.SetInt(int64(d))
	case int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is no whole number", text)
		}
		lo, _ := strconv.Atoi(f.tag.Get("min"))
		hi, _ := strconv.Atoi(f.tag.Get("max"))
		if n < lo || n > hi {
			return fmt.Errorf("%d is not between %d and %d", n, lo, hi)
		}
		f.value.SetInt(int64(n))
	case bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is not true or false", text)
		}
		f.value.SetBool(b)
	case string:
		if of := strings.Fields(f.tag.Get("oneof")); len(of) > 0 && !slices.Contains(of, text) {
			return fmt.Errorf("%q is not one of %s", text, strings.Join(of, ", "))
		}
		f.value.SetString(text)
	}
	return nil
}

// begins says whether a URL begins as one of its kind does and has something after it; anything else does.
func (f field) begins(text string) bool {
	schemes := f.tag.Get("scheme")
	if schemes == "" || text == "" {
		return true
	}
	return slices.ContainsFunc(strings.Split(schemes, " or "), func(s string) bool { return strings.HasPrefix(text, s) && len(text) > len(s) })
}

func suggest(key string, fields []field) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.key
	}
	if best := fault.Nearest(key, names); best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	return ""
}

// unread says in one line why a file can't be read, without its name.
func unread(err error) string {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		err = path.Err
	}
	return strings.TrimPrefix(strings.Join(strings.Fields(err.Error()), " "), "While parsing config: ")
}
