// Package httpapi is the service as HTTP: routes, who may use them, bodies, answers and errors.
//
// What it promises:
//   - Credentials, role and tenant are settled before the first byte of a body is read.
//   - A body is read within its limits, compressed and inflated, and what all requests hold together is
//     bounded; beyond it the answer is 503 with Retry-After.
//   - 202 is written only after ingest has said that every entry is durable.
//   - Every error is one application/problem+json with a stable code and the request's id. It never holds
//     input, driver text, or a fact about another tenant.
//   - Who has sent more than they may is told so before the work is done, where that can be known.
package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/mask"
	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/internal/signin"
	"github.com/ocelot-log/ocelot/internal/tail"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"github.com/ocelot-log/ocelot/internal/tenant"
)

// Config is how requests are bounded. A zero field takes its default.
type Config struct {
	Version       string        // of the service; a label of the metric build_info, and shown nowhere else
	MaxFutureSkew time.Duration // how far ahead of receipt a timestamp may be; default 24 h
	BodyTimeout   time.Duration // from a request's first byte to its body's last; default 15 s
	WriteTimeout  time.Duration // from the end of the headers to the end of the answer; default 30 s
	AcceptTimeout time.Duration // for entries to become durable, body not included; default 14 s, so that with it WriteTimeout is kept
	SearchTimeout time.Duration // for one search; default 5 s
	PingTimeout   time.Duration // for each dependency's answer to /health; default 2 s
	ShutdownGrace time.Duration // how long requests may go on after the stop began; default 20 s
	AuditTenant   string        // slug of the tenant that keeps changes which are about no tenant; default: default
	DeleteGrace   time.Duration // how long a deletion of a tenant may be taken back; 0: not at all
	TenantExports int           // exports of a tenant at the same time; default 4
	InFlightBytes int64         // inflated bytes of all bodies together; default 64 MiB

	UnauditedReads bool         // reads leave no audit entries; changes and refused attempts do all the same
	Proxies        Proxies      // whose X-Forwarded-For and X-Forwarded-Proto are believed; default nobody's
	Hosts          Hosts        // names that may be asked for; default every one
	Origins        Origins      // web origins whose pages may call; default none but our own
	Certificate    *Certificate // of the listener; nil: no TLS
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.MaxFutureSkew, 24 * time.Hour}, {&c.BodyTimeout, 15 * time.Second}, {&c.WriteTimeout, 30 * time.Second},
		{&c.AcceptTimeout, 14 * time.Second}, {&c.SearchTimeout, 5 * time.Second}, {&c.PingTimeout, 2 * time.Second}, {&c.ShutdownGrace, 20 * time.Second},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	if c.AuditTenant == "" {
		c.AuditTenant = "default"
	}
	if c.TenantExports <= 0 {
		c.TenantExports = 4
	}
	if c.InFlightBytes <= 0 {
		c.InFlightBytes = 64 << 20
	}
	return c
}

// Access is who may call, and which tenants there are.
type Access struct {
	Auth    *auth.Authenticator
	Tenants *tenant.Cache
	SignIn  *signin.Provider // nil: nobody signs in elsewhere
	Limits  Limits
}

// Writing is where entries go.
type Writing struct {
	Ingest accepter
	Queue  pinger // for /health
	Audit  auditor
	Masks  *mask.Set // the rules that Ingest masks with
}

// Reading is where entries are found.
type Reading struct {
	Store   records
	Index   index
	Cursors *query.Cursors
}

// Server answers requests. Make it with New.
type Server struct {
	cfg      Config
	access   Access
	writing  Writing
	reading  Reading
	tel      telemetry.Telemetry
	log      *zap.Logger // at most a few of a kind each second
	recall   recall
	budget   budget
	exports  quota
	streams  streamCount
	tail     *tail.Hub
	patience patience // with those who read streams
	health   health
	stopping atomic.Bool
	handler  http.Handler
}

// New checks that nothing is missing and starts nothing.
func New(cfg Config, access Access, w Writing, r Reading, tel telemetry.Telemetry) (*Server, error) {
	if access.Auth == nil || access.Tenants == nil || w.Ingest == nil || w.Queue == nil || w.Audit == nil || w.Masks == nil || r.Store == nil || r.Index == nil || r.Cursors == nil {
		return nil, errors.New("httpapi: a collaborator is missing")
	}
	s := &Server{cfg: cfg.withDefaults(), access: access, writing: w, reading: r, tel: tel, patience: streamPatience}
	s.log = tel.Log.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(core, time.Second, 5, 0)
	}))
	s.health = health{queue: w.Queue, store: r.Store, index: r.Index, timeout: s.cfg.PingTimeout}
	s.tail = tail.New(tail.Config{}, r.Store, s.log)
	s.budget.left.Store(s.cfg.InFlightBytes)
	if err := ruled(routes); err != nil {
		return nil, err
	}
	s.handler = s.newEngine()
	return s, nil
}

func (s *Server) newEngine() *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	e := gin.New()
	_ = e.SetTrustedProxies(nil) // can't fail without proxies
	e.RedirectTrailingSlash, e.RedirectFixedPath, e.HandleMethodNotAllowed = false, false, true
	e.UseEscapedPath, e.UnescapePathValues = true, false // an escaped path is another path
	e.Use(s.around)
	e.NoRoute(s.lost(errNoRoute))
	noMethod := s.allowing(ownMethods(routes))
	e.NoMethod(noMethod)
	for _, r := range routes {
		e.Handle(r.method, r.path, s.serve(r))
	}
	for _, r := range shadowed(routes) {
		e.Handle(r.method, r.path, noMethod)
	}
	return e
}

// Handler answers requests of the API.
func (s *Server) Handler() http.Handler { return s.handler }

// Run listens on address and serves until ctx ends; see Serve.
func (s *Server) Run(ctx context.Context, address string) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return s.Serve(ctx, l)
}

// Serve serves on l until ctx ends. Then it takes no new requests, is not ready any more, and returns nil
// once the running requests are answered; those that take longer than ShutdownGrace are cut off. It closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	hs := &http.Server{
		Handler:                      s.handler,
		ReadHeaderTimeout:            5 * time.Second,
		ReadTimeout:                  s.cfg.BodyTimeout,
		WriteTimeout:                 s.cfg.WriteTimeout,
		IdleTimeout:                  60 * time.Second,
		MaxHeaderBytes:               maxHeaderBytes,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     s.stdLog(),
	}
	served := make(chan error, 1)
	go func() {
		if s.cfg.Certificate == nil {
			served <- hs.Serve(l)
			return
		}
		hs.TLSConfig = s.cfg.Certificate.config(s.tel.Log)
		served <- hs.ServeTLS(l, "", "")
	}()
	following, stopFollowing := context.WithCancel(context.WithoutCancel(ctx))
	followed := make(chan struct{})
	s.tail.Open()
	go func() {
		defer close(followed)
		_ = s.tail.Run(following) // it ends when it is asked to, and then without an error
	}()
	defer func() { stopFollowing(); <-followed }()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	s.stopping.Store(true)
	stopFollowing() // streams end only so
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.ShutdownGrace)
	defer cancel()
	if err := hs.Shutdown(grace); err != nil {
		s.tel.Log.Warn("requests were cut off by the stop", zap.Error(err))
		_ = hs.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// stdLog is our log for code that knows only the standard one: rare, and worth a look.
func (s *Server) stdLog() *log.Logger {
	l, _ := zap.NewStdLogAt(s.log, zap.WarnLevel) // fails only for a level that does not exist
	return l
}
