package app

import (
	"context"
	"errors"
	"time"

	"github.com/ocelot-log/ocelot/internal/config"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/queue"
	"github.com/ocelot-log/ocelot/internal/search"
	"github.com/ocelot-log/ocelot/internal/store"
	"github.com/ocelot-log/ocelot/internal/telemetry"
	"go.uber.org/zap"
)

// backends are what stands behind the three contracts.
type backends struct {
	queue queue.Queue
	store store.Store
	index search.Index
}

// Close closes what was opened, the queue first.
func (b *backends) Close() error {
	var errs []error
	if b.queue != nil {
		errs = append(errs, b.queue.Close())
	}
	if b.store != nil {
		errs = append(errs, b.store.Close())
	}
	if b.index != nil {
		errs = append(errs, b.index.Close())
	}
	return errors.Join(errs...)
}

// checkBackends refuses combinations that would lose or hide entries.
func checkBackends(p config.Process, s config.Settings) error {
	var problems config.Problems
	need := func(missing bool, name, why string) {
		if missing {
			problems = append(problems, config.Problem{Where: name, Message: "is not set: " + why})
		}
	}
	sqs, mongo, opensearch := s.SQSQueueURL != "", s.MongoDBURI.IsSet(), s.OpenSearchURL != ""
	if p == config.Up {
		need(sqs && !mongo, "MONGODB_URI", "a shared queue (SQS_QUEUE_URL) needs a shared record, or entries of other processes would end in this machine's files")
		need(opensearch && !mongo, "MONGODB_URI", "OPENSEARCH_URL is set, and record and index go together: both on servers or both in files")
		need(mongo && !opensearch, "OPENSEARCH_URL", "MONGODB_URI is set, and record and index go together: both on servers or both in files")
	} else {
		need(!sqs, "SQS_QUEUE_URL", "the URL of the queue that API and workers share")
		need(!mongo, "MONGODB_URI", "the MongoDB of the record, a replica set: mongodb://host:27017/?replicaSet=rs0")
		need(!opensearch, "OPENSEARCH_URL", "the OpenSearch of the index: http://host:9200")
	}
	if p == config.API && !s.JWTSecret.IsSet() {
		public := s.JWTPublicKey.IsSet() || s.JWKSURL != ""
		need(!public, "JWT_SECRET", "who may call is checked with it, unless JWT_PUBLIC_KEY or JWKS_URL is set; make one with: openssl rand -base64 48")
		need(public && !s.APIKeyPepper.IsSet(), "API_KEY_PEPPER", "without JWT_SECRET it is what all API processes share; make one with: openssl rand -base64 48")
	}
	if p != config.Worker {
		_, err := httpConfig(s, "")
		bad, _ := errors.AsType[config.Problems](err)
		problems = append(problems, bad...)
		_, err = newSignIn(s)
		bad, _ = errors.AsType[config.Problems](err)
		problems = append(problems, bad...)
		need(p == config.API && s.OIDCIssuerURL != "" && !s.JWTSecret.IsSet(), "JWT_SECRET", "OIDC_ISSUER_URL needs it: what a browser brings back from the provider is sealed with it")
	}
	if len(problems) > 0 {
		return problems
	}
	return nil
}

// openBackends opens what the settings name: servers, else the files of dir. It waits for servers that do
// not answer yet and says so; what is wrong for good is an error at once.
func openBackends(ctx context.Context, s config.Settings, dir *dataDir, tel telemetry.Telemetry) (_ *backends, err error) {
	b := &backends{}
	defer func() {
		if err != nil {
			_ = b.Close()
		}
	}()
	err = await(ctx, "queue", tel.Log, func() (err error) {
		b.queue, err = openQueue(ctx, s, dir, tel)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = await(ctx, "record", tel.Log, func() (err error) {
		b.store, err = openStore(ctx, s, dir)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = await(ctx, "index", tel.Log, func() (err error) {
		b.index, err = openIndex(ctx, s, dir, tel)
		return err
	})
	if err != nil {
		return nil, err
	}
	return b, nil
}

func openQueue(ctx context.Context, s config.Settings, dir *dataDir, tel telemetry.Telemetry) (queue.Queue, error) {
	if s.SQSQueueURL != "" {
		return settled[queue.Queue](queue.NewSQS(ctx, queue.SQSConfig{QueueURL: s.SQSQueueURL, DLQURL: s.SQSDLQURL,
			EndpointURL: s.SQSEndpointURL, Region: s.AWSRegion, FairQueues: s.SQSFairQueues}, tel))
	}
	return settled[queue.Queue](queue.NewSQLite(dir.file(queueFile), queue.SQLiteConfig{}))
}

func openStore(ctx context.Context, s config.Settings, dir *dataDir) (store.Store, error) {
	if !s.MongoDBURI.IsSet() {
		return settled[store.Store](store.NewSQLite(dir.file(storeFile), store.SQLiteConfig{}))
	}
	m, err := store.NewMongo(ctx, mongoConfig(s))
	if err != nil {
		return nil, err
	}
	if s.AutoMigrate {
		err = migrateStore(ctx, m)
	} else {
		err = m.CheckSchema(ctx)
	}
	if err != nil {
		_ = m.Close()
		return nil, err
	}
	return m, nil
}

func mongoConfig(s config.Settings) store.MongoConfig {
	return store.MongoConfig{URI: s.MongoDBURI, Database: s.MongoDBDatabase}
}

// migrateStore makes what the record needs, the first tenant included.
func migrateStore(ctx context.Context, m *store.Mongo) error {
	if err := m.Migrate(ctx); err != nil {
		return err
	}
	return ensureTenant(ctx, m, defaultTenant, "Default")
}

func openIndex(ctx context.Context, s config.Settings, dir *dataDir, tel telemetry.Telemetry) (search.Index, error) {
	if s.OpenSearchURL == "" {
		return settled[search.Index](search.NewSQLite(dir.file(searchFile), search.SQLiteConfig{}))
	}
	o, err := search.NewOpenSearch(ctx, openSearchConfig(s), tel)
	if err != nil {
		return nil, err
	}
	if s.AutoMigrate {
		if err := o.Migrate(ctx); err != nil {
			_ = o.Close()
			return nil, err
		}
	}
	return o, nil
}

func openSearchConfig(s config.Settings) search.OpenSearchConfig {
	return search.OpenSearchConfig{URL: s.OpenSearchURL, Username: s.OpenSearchUsername, Password: s.OpenSearchPassword,
		AWSSigV4: s.OpenSearchAWSSigV4, Region: s.AWSRegion, Prefix: s.OpenSearchIndexPrefix, Shards: s.OpenSearchShards,
		Replicas: s.OpenSearchReplicas, Codec: s.OpenSearchCodec, RefreshInterval: s.OpenSearchRefresh}
}

// settled makes an interface of a backend, nil when it failed to open.
func settled[I any, B any](b B, err error) (I, error) {
	if err != nil {
		var none I
		return none, err
	}
	return any(b).(I), nil
}

// await tries again as long as a server does not answer, saying what it waits for.
func await(ctx context.Context, what string, log *zap.Logger, open func() error) error {
	const most = 10 * time.Second
	for pause := 250 * time.Millisecond; ; pause = min(2*pause, most) {
		err := open()
		if err == nil || fault.KindOf(err) != fault.Unavailable {
			return err
		}
		log.Warn("waiting for the "+what, zap.String("because", plain(err)), zap.Duration("again_in", pause))
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}
