// Package app wires the parts: settings → backends → parts → Run. It is the only package that knows
// everything.
//
//	           ┌────────── httpapi ──────────┐
//	           │ auth ◀─ tenant.Cache ◀─ store│
//	requests ─▶│ ingest ─▶ queue              │      stop order:
//	           │ search, store (reading)      │      httpapi → audit → ingest → drain → metrics → backends
//	           └──────────────────────────────┘
//	queue ─▶ drain ─▶ store, then search, then delete
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/ocelot-log/ocelot/internal/audit"
	"github.com/ocelot-log/ocelot/internal/config"
	"github.com/ocelot-log/ocelot/internal/drain"
	"github.com/ocelot-log/ocelot/internal/httpapi"
	"github.com/ocelot-log/ocelot/internal/ingest"
	"github.com/ocelot-log/ocelot/internal/jobs"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"go.uber.org/zap"
)

// Up runs everything in one process, on the files of the data directory and on the servers that the
// settings name, until ctx ends, then stops in order. It prints to out how to sign in once it is ready.
func Up(ctx context.Context, s config.Settings, version string, out io.Writer) (err error) {
	if err := checkBackends(config.Up, s); err != nil {
		return err
	}
	log, err := newLog(s)
	if err != nil {
		return err
	}
	tel := telemetry.Telemetry{Log: log, Metrics: telemetry.NewMetrics()}
	limitMemory(embeddedMemory)

	dir, err := ownDataDir(s.DataDir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.release()) }()
	fresh, ownSecret := isFresh(dir), !s.JWTSecret.IsSet()
	if ownSecret {
		if s.JWTSecret, err = dir.secret(); err != nil {
			return err
		}
	}
	b, err := openBackends(ctx, s, dir, tel)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if err := ensureTenant(ctx, b.store, defaultTenant, "Default"); err != nil {
		return err
	}

	access, err := newAccess(ctx, s, b, tel)
	if err != nil {
		return err
	}
	rules := masks(s)
	in := ingest.New(ingestConfig(s), b.queue, rules, tel.Named("ingest"))
	noted := audit.New(audit.Config{}, in, tel.Named("audit"))
	worker := drain.New(drainConfig(s), b.queue, b.store, b.index, tel.Named("drain"))
	server, err := newServer(s, access, b, httpapi.Writing{Ingest: in, Queue: b.queue, Audit: noted, Masks: rules}, tel, version)
	if err != nil {
		return err
	}
	api, err := listen("HOST", s.Host, "PORT", s.Port)
	if err != nil {
		return err
	}
	metrics, err := listen("METRICS_HOST", s.MetricsHost, "METRICS_PORT", s.MetricsPort)
	if err != nil {
		_ = api.Close()
		return err
	}
	observing := &observed{Listener: metrics}
	observing.show(server.MetricsHandler())
	url := scheme(s) + reachable(api.Addr())
	if err := dir.announce(url); err != nil {
		return err
	}
	log.Info("ready", zap.String("api", url), zap.String("metrics", "http://"+reachable(metrics.Addr())), zap.String("data", s.DataDir), zap.String("version", version))
	welcome(out, url, "http://"+reachable(metrics.Addr()), s.DataDir, fresh, ownSecret)

	err = runStages(ctx, []stage{
		{"api", func(ctx context.Context) error { return server.Serve(ctx, api) }},
		{"audit", noted.Run},
		{"ingest", in.Run},
		{"limits", access.Limits.Tenants.Run},
		{"credentials", access.Auth.Run},
		{"worker", func(ctx context.Context) error {
			if err := rebuildIndex(ctx, b.store, b.index, tel.Log.Named("rebuild")); err != nil {
				return err
			}
			return worker.Run(ctx)
		}},
		{"janitor", jobs.New(jobs.Config{}, b.store, b.index, tel.Named("janitor")).Run},
		{"metrics", observing.Run},
	})
	log.Info("stopped", zap.Error(err))
	return err
}

func isFresh(d *dataDir) bool {
	_, err := os.Stat(d.file(storeFile))
	return errors.Is(err, os.ErrNotExist)
}

// reachable is an address that a client of this machine can use.
func reachable(a net.Addr) string {
	host, port, _ := net.SplitHostPort(a.String())
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// welcome says where everything is and, as a command that can be pasted, how to send a first entry.
func welcome(out io.Writer, url, metrics, dir string, fresh, ownSecret bool) {
	self, env := os.Args[0], ""
	if dir != "./data" {
		env = "DATA_DIR=" + dir + " "
	}
	head := "Ocelot is ready."
	switch {
	case fresh && ownSecret:
		head = "Ocelot is ready; this is a new data directory, with a tenant `default` and a secret of its own."
	case fresh:
		head = "Ocelot is ready; this is a new data directory, with a tenant `default`."
	}
	_, _ = fmt.Fprintf(out, `%s

  API      %s
  Metrics  %s/metrics
  Data     %s

Send a first entry:

  curl -sS %s/api/v1/logs -H "Authorization: Bearer $(%s%s token --role writer)" \
    -H 'Content-Type: application/json' -d '{"service":"demo","action":"CREATE","message":"hello from the first entry"}'

Find it again:

  %s%s search hello

To sign in elsewhere, print a token: %s%s token --role admin --ttl 12h
`, head, url, metrics, dir, url, env, self, env, self, env, self)
}
