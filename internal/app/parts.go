package app

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/config"
	"github.com/ocelot-log/ocelot/internal/drain"
	"github.com/ocelot-log/ocelot/internal/httpapi"
	"github.com/ocelot-log/ocelot/internal/ingest"
	"github.com/ocelot-log/ocelot/internal/limit"
	"github.com/ocelot-log/ocelot/internal/mask"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/internal/tenant"
	"go.uber.org/zap"
	"golang.org/x/term"
)

// newAccess wires who may call, and waits until what requests are checked with is read.
func newAccess(ctx context.Context, s config.Settings, b *backends, tel telemetry.Telemetry) (httpapi.Access, error) {
	tenants := tenant.NewCache(b.store)
	keys, err := auth.ParseStaticKeys(s.APIKeys)
	if err != nil {
		return httpapi.Access{}, config.Problems{{Where: "API_KEYS", Message: err.Error()}}
	}
	authn, err := auth.New(auth.Config{Secret: s.JWTSecret, PublicKey: s.JWTPublicKey.Reveal(), JWKSURL: s.JWKSURL, TenantsClaim: s.JWTTenantsClaim, RolesClaim: s.JWTRolesClaim, Issuer: s.JWTIssuer, Audience: s.JWTAudience, MaxTTL: s.JWTMaxTTL,
		Pepper: s.APIKeyPepper, Keys: keys}, tenants, b.store, tel.Named("auth"))
	if err != nil {
		return httpapi.Access{}, err
	}
	err = await(ctx, "credentials", tel.Log, func() error { return authn.Load(ctx) })
	if err != nil {
		return httpapi.Access{}, err
	}
	signIn, err := newSignIn(s)
	return httpapi.Access{Auth: authn, Tenants: tenants, SignIn: signIn, Limits: newLimits(s, b, tel)}, err
}

// newLimits is how much may come.
func newLimits(s config.Settings, b *backends, tel telemetry.Telemetry) httpapi.Limits {
	return httpapi.Limits{
		Tenants:   limit.New(limit.Config{PerMin: int64(s.TenantRatePerMin), Alone: !s.MongoDBURI.IsSet()}, b.store, tel.Named("limits")),
		Addresses: limit.NewAddresses(int64(s.RatePerMin), 1<<16),
		Logins:    limit.NewAddresses(int64(s.LoginsPerMin), 1<<13),
	}
}

// newServer wires the HTTP side: who may call, where entries go, where they are found.
func newServer(s config.Settings, access httpapi.Access, b *backends, w httpapi.Writing, tel telemetry.Telemetry, version string) (*httpapi.Server, error) {
	cfg, err := httpConfig(s, version)
	if err != nil {
		return nil, err
	}
	return httpapi.New(
		cfg,
		access,
		w,
		httpapi.Reading{Store: b.store, Index: b.index, Cursors: query.NewCursors(derive(rootSecret(s), "cursors"))},
		tel.Named("api"))
}

// rootSecret is what all API processes share, for keys that are derived: JWT_SECRET, and where others issue the tokens
// API_KEY_PEPPER.
func rootSecret(s config.Settings) auth.Secret {
	if s.JWTSecret.IsSet() {
		return s.JWTSecret
	}
	return s.APIKeyPepper
}

// derive makes a key of its own for one purpose out of the secret, so that all processes with one secret agree.
func derive(secret auth.Secret, purpose string) []byte {
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write([]byte("ocelot " + purpose))
	return mac.Sum(nil)
}

// masks compiles the tenants' masking rules. Their hashes stay the same as long as the secret does.
func masks(s config.Settings) *mask.Set {
	secret := s.MaskingSecret
	if !secret.IsSet() {
		secret = rootSecret(s)
	}
	return mask.NewSet(derive(secret, "masking"))
}

func ingestConfig(s config.Settings) ingest.Config {
	host, _ := os.Hostname()
	return ingest.Config{
		InFlight:      s.IngestInFlight,
		Linger:        s.IngestLinger,
		BufferBytes:   int64(s.IngestBuffer),
		SchemaVersion: s.EventSchemaVersion,
		Producer:      host,
	}
}

// sqsPace lets messages gather for a receive and a delete, which are billed by the call: at 10,000 entries a second,
// in bulks, a fourth of the calls for a tenth of a second.
const sqsPace = 100 * time.Millisecond

// openSearchEntries are a few bulks: an Add shows progress only at its end, and a slow cluster is not one that is
// down.
const openSearchEntries = 6_000

func drainConfig(s config.Settings) drain.Config {
	records, adds := s.WorkerConcurrency, s.WorkerConcurrency
	if s.WorkerConcurrency == 0 {
		records, adds = 1, 2 // a file has one writer; the index makes terms while it writes others
		if s.MongoDBURI.IsSet() {
			records = 2
		}
	}
	pace := time.Duration(0) // the drain's own
	if s.SQSQueueURL != "" {
		pace = sqsPace
	}
	entries := 0 // of one Add; the drain's own, which suits a file
	if s.OpenSearchURL != "" {
		entries = openSearchEntries
	}
	return drain.Config{
		IndexEntries:     entries,
		Pace:             pace,
		FewCalls:         s.SQSQueueURL != "",
		Pollers:          s.WorkerPollers,
		Concurrency:      records,
		IndexConcurrency: adds,
		BudgetBytes:      int64(s.WorkerBudget),
		Wait:             s.WorkerPollWait,
		Visibility:       s.WorkerVisibility,
		IndexPatience:    s.WorkerIndexPatience,
		ShutdownGrace:    s.ShutdownGrace,
	}
}

// listen opens the listener of host and port, which the settings that hold them name.
func listen(hostSetting, host, portSetting string, port int) (net.Listener, error) {
	at := net.JoinHostPort(host, strconv.Itoa(port))
	l, err := net.Listen("tcp", at)
	_, unknown := errors.AsType[*net.DNSError](err)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s: another process listens on %s; stop it, or choose another port", portSetting, at)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s: this user may not listen on %s; choose a port above 1023", portSetting, at)
	case unknown, errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s: %s is no address of this machine; 127.0.0.1 is for this machine alone, 0.0.0.0 for every interface", hostSetting, host)
	}
	return nil, fmt.Errorf("%s, %s: can't listen on %s: %w", hostSetting, portSetting, at, err)
}

// observed is the second listener: metrics, health, pprof. It answers from the start on, what it shows changes once
// the parts are wired.
type observed struct {
	net.Listener
	shown atomic.Pointer[http.Handler]
}

func (o *observed) show(h http.Handler) { o.shown.Store(&h) }

func (o *observed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*o.shown.Load()).ServeHTTP(w, r)
}

// Run serves until ctx ends. Something must be shown before.
func (o *observed) Run(ctx context.Context) error {
	hs := &http.Server{Handler: o, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	context.AfterFunc(ctx, func() { _ = hs.Close() })
	if err := hs.Serve(o.Listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func newLog(s config.Settings) (*zap.Logger, error) {
	console := s.LogFormat == "console" || s.LogFormat == "auto" && term.IsTerminal(int(os.Stderr.Fd()))
	return telemetry.NewLog(s.LogLevel, console)
}

// limitMemory makes the collector work harder near a bound instead of letting the heap double, unless the
// operator has said something himself.
func limitMemory(bytes int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(bytes)
	}
}
