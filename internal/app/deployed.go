package app

import (
	"context"
	"errors"

	"github.com/ocelot-log/ocelot/internal/audit"
	"github.com/ocelot-log/ocelot/internal/config"
	"github.com/ocelot-log/ocelot/internal/drain"
	"github.com/ocelot-log/ocelot/internal/httpapi"
	"github.com/ocelot-log/ocelot/internal/ingest"
	"github.com/ocelot-log/ocelot/internal/jobs"
	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"go.uber.org/zap"
)

// Memory that the Go heap of a process on servers aims to stay below.
const (
	apiMemory    = 100 << 20
	workerMemory = 200 << 20
)

// API accepts entries and answers searches until ctx ends: the process of cmd/api.
func API(ctx context.Context, s config.Settings, version string) error {
	return deployed(ctx, config.API, s, version, apiMemory, func(ctx context.Context, b *backends, tel telemetry.Telemetry, metrics *observed) ([]stage, error) {
		access, err := newAccess(ctx, s, b, tel)
		if err != nil {
			return nil, err
		}
		rules := masks(s)
		in := ingest.New(ingestConfig(s), b.queue, rules, tel.Named("ingest"))
		noted := audit.New(audit.Config{}, in, tel.Named("audit"))
		server, err := newServer(s, access, b, httpapi.Writing{Ingest: in, Queue: b.queue, Audit: noted, Masks: rules}, tel, version)
		if err != nil {
			return nil, err
		}
		l, err := listen("HOST", s.Host, "PORT", s.Port)
		if err != nil {
			return nil, err
		}
		metrics.show(server.MetricsHandler())
		tel.Log.Info("ready", zap.String("api", scheme(s)+reachable(l.Addr())), zap.String("metrics", "http://"+reachable(metrics.Addr())), zap.String("version", version))
		return []stage{
			{"api", func(ctx context.Context) error { return server.Serve(ctx, l) }},
			{"audit", noted.Run},
			{"ingest", in.Run},
			{"limits", access.Limits.Tenants.Run},
			{"limits of addresses", func(ctx context.Context) error { return access.Limits.Addresses.Run(ctx, "a", access.Limits.Tenants) }},
			{"limits of sign-ins", func(ctx context.Context) error { return access.Limits.Logins.Run(ctx, "l", access.Limits.Tenants) }},
			{"credentials", access.Auth.Run},
			{"levels", drain.NewLevels(0, b.queue, b.store, tel.Named("levels")).Run},
		}, nil
	})
}

// Worker drains the queue into record and index until ctx ends: the process of cmd/worker. Any number of
// them share one queue.
func Worker(ctx context.Context, s config.Settings, version string) error {
	return deployed(ctx, config.Worker, s, version, workerMemory, func(ctx context.Context, b *backends, tel telemetry.Telemetry, metrics *observed) ([]stage, error) {
		worker := drain.New(drainConfig(s), b.queue, b.store, b.index, tel.Named("drain"))
		metrics.show(httpapi.WorkerHandler(tel, version, b.queue, b.store, b.index))
		tel.Log.Info("ready", zap.String("metrics", "http://"+reachable(metrics.Addr())), zap.String("version", version))
		return []stage{
			{"worker", worker.Run},
			{"janitor", jobs.New(jobs.Config{}, b.store, b.index, tel.Named("janitor")).Run},
		}, nil
	})
}

// deployed runs the parts of one process on the servers that the settings name.
func deployed(ctx context.Context, p config.Process, s config.Settings, version string, memory int64,
	parts func(context.Context, *backends, telemetry.Telemetry, *observed) ([]stage, error)) error {
	if err := checkBackends(p, s); err != nil {
		return err
	}
	log, err := newLog(s)
	if err != nil {
		return err
	}
	limitMemory(memory)
	tel := telemetry.Telemetry{Log: log, Metrics: telemetry.NewMetrics()}
	l, err := listen("METRICS_HOST", s.MetricsHost, "METRICS_PORT", s.MetricsPort)
	if err != nil {
		return err
	}
	metrics := &observed{Listener: l}
	metrics.show(httpapi.StartingHandler(tel, version))
	return runStages(ctx, []stage{
		{"", func(ctx context.Context) (err error) {
			b, err := openBackends(ctx, s, nil, tel)
			switch {
			case err != nil && ctx.Err() != nil: // asked to stop while it waited
				log.Info("stopped")
				return nil
			case err != nil:
				return err
			}
			defer func() { err = errors.Join(err, b.Close()) }()
			stages, err := parts(ctx, b, tel, metrics)
			switch {
			case err != nil && ctx.Err() != nil:
				log.Info("stopped")
				return nil
			case err != nil:
				return err
			}
			err = runStages(ctx, stages)
			log.Info("stopped", zap.Error(err))
			return err
		}},
		{"metrics", metrics.Run},
	})
}

// Migrate makes and upgrades what the servers of the settings need: collections and indexes of the record, the
// tenant `default`, the template of the index. It may run beside running processes, and more than once.
func Migrate(ctx context.Context, s config.Settings) error {
	if !s.MongoDBURI.IsSet() || s.OpenSearchURL == "" {
		return config.Problems{{Where: "MONGODB_URI, OPENSEARCH_URL", Message: "both must be set; files need no migration"}}
	}
	log, err := newLog(s)
	if err != nil {
		return err
	}
	m, err := store.NewMongo(ctx, mongoConfig(s))
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }()
	if err := migrateStore(ctx, m); err != nil {
		return err
	}
	o, err := search.NewOpenSearch(ctx, openSearchConfig(s), telemetry.Telemetry{Log: log, Metrics: telemetry.NewMetrics()})
	if err != nil {
		return err
	}
	defer func() { _ = o.Close() }()
	return o.Migrate(ctx)
}
