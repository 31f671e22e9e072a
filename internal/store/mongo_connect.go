package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/ocelot-log/ocelot/internal/fault"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
)

// mongoOldest is the oldest major version: the first whose majority is durable without being asked.
const mongoOldest = 5

// mongoHello is what a server says of itself.
type mongoHello struct {
	SetName      string    `bson:"setName"`
	IsReplicaSet bool      `bson:"isreplicaset"` // started as a member, not initiated
	Msg          string    `bson:"msg"`          // isdbgrid: a router of a sharded cluster
	LocalTime    time.Time `bson:"localTime"`
}

// connectMongo returns a client whose server was asked whether it can keep the promises.
func connectMongo(ctx context.Context, cfg MongoConfig) (*mongo.Client, error) {
	if !cfg.URI.IsSet() {
		return nil, fault.New(fault.Invalid, "mongodb_uri_missing", "MONGODB_URI is not set: it says where MongoDB is, as in mongodb://host:27017/?replicaSet=rs0")
	}
	journal := true
	opts := options.Client().ApplyURI(cfg.URI.Reveal()).SetAppName("ocelot").
		SetWriteConcern(&writeconcern.WriteConcern{W: writeconcern.WCMajority, Journal: &journal}).
		SetReadConcern(readconcern.Majority()).SetReadPreference(readpref.Primary()).
		SetRetryReads(true).SetRetryWrites(true).
		SetServerSelectionTimeout(cfg.ConnectTimeout).SetConnectTimeout(cfg.ConnectTimeout).SetMaxPoolSize(uint64(cfg.MaxConnections))
	opts.Timeout = nil // each call has its deadline
	if err := opts.Validate(); err != nil {
		return nil, uriFault(err)
	}
	at := strings.Join(opts.Hosts, ",")
	client, err := mongo.Connect(opts)
	if err != nil {
		return nil, uriFault(err)
	}
	if err := checkMongo(ctx, client.Database(cfg.Database), at); err != nil {
		f := fault.Of(err)
		if f.Code == "mongodb_unreachable" {
			if known := diagnoseMongo(ctx, opts, at); known != nil {
				f = known
			}
		}
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = client.Disconnect(closing)
		return nil, f
	}
	return client, nil
}

// uriFault never repeats the driver's words: they may hold pieces of the password.
func uriFault(err error) *fault.Error {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return fault.New(fault.Unavailable, "mongodb_unreachable", fmt.Sprintf("the name %s in MONGODB_URI can't be resolved: correct it, or wait for its DNS", dns.Name))
	}
	return fault.New(fault.Invalid, "mongodb_uri_invalid", "MONGODB_URI is no connection string of MongoDB: write mongodb://user:password@host:27017/?replicaSet=rs0, "+
		"user and password percent-encoded, options as MongoDB documents them")
}

// checkMongo asks for what the promises need.
func checkMongo(ctx context.Context, db *mongo.Database, at string) error {
	var hello mongoHello
	if err := db.RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello); err != nil {
		return connectFault(err, at)
	}
	if hello.SetName == "" && hello.Msg != "isdbgrid" {
		return setFault(hello, at)
	}
	var build struct {
		Version string  `bson:"version"`
		Parts   []int32 `bson:"versionArray"`
	}
	if err := db.RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&build); err != nil {
		return connectFault(err, at)
	}
	if len(build.Parts) == 0 || build.Parts[0] < mongoOldest {
		return fault.New(fault.Invalid, "mongodb_too_old", fmt.Sprintf("MongoDB at %s is version %s: version %d or newer is needed", at, build.Version, mongoOldest))
	}
	err := db.Collection(mongoMeta).FindOne(ctx, bson.D{{Key: "_id", Value: "schema"}}).Err()
	if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
		return connectFault(err, at)
	}
	return nil
}

// setFault says that a server is no member of a replica set, or not yet.
func setFault(hello mongoHello, at string) *fault.Error {
	if hello.IsReplicaSet {
		return fault.New(fault.Unavailable, "mongodb_unreachable", fmt.Sprintf("MongoDB at %s waits for its replica set to be initiated: run rs.initiate() once in mongosh", at))
	}
	return fault.New(fault.Invalid, "mongodb_no_replica_set", fmt.Sprintf("MongoDB at %s is not a replica set, without which nothing is durable for certain: start mongod with "+
		"--replSet rs0 and run rs.initiate() once in mongosh (one member will do)", at))
}

// connectFault is what a failed first command says. Its words are ours, for one line on a terminal.
func connectFault(err error, at string) *fault.Error {
	for _, code := range mongo.ErrorCodes(err) {
		switch code {
		case mongoAuthenticationFailed:
			return &fault.Error{Kind: fault.Invalid, Code: "mongodb_credentials", Detail: fmt.Sprintf("MongoDB at %s refuses the user or the password of MONGODB_URI: "+
				"correct them, and authSource where the user is of another database", at)}
		case mongoUnauthorized:
			return &fault.Error{Kind: fault.Invalid, Code: "mongodb_credentials", Detail: fmt.Sprintf("MongoDB at %s does not let the user of MONGODB_URI into the database: "+
				"give a user that has the role readWrite on it", at)}
		}
	}
	f := fault.Of(mongoFault(err, "connect"))
	if f.Kind == fault.Timeout || f.Kind == fault.Unavailable {
		return fault.New(fault.Unavailable, "mongodb_unreachable", fmt.Sprintf("no primary of MongoDB answers at %s: start it, or correct MONGODB_URI", at))
	}
	return f
}

// diagnoseMongo asks the servers one by one why none of them is the primary of the set in the URI; nil
// where that tells no more. A server of another set, or of none, is not even listed by the client.
func diagnoseMongo(ctx context.Context, opts *options.ClientOptions, at string) *fault.Error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	for _, host := range opts.Hosts {
		direct := *opts
		direct.Hosts, direct.ReplicaSet = []string{host}, nil
		client, err := mongo.Connect(direct.SetDirect(true).SetServerSelectionTimeout(time.Second))
		if err != nil {
			continue
		}
		var hello mongoHello
		err = client.Database("admin").RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello)
		_ = client.Disconnect(ctx)
		switch {
		case err != nil:
			if f := connectFault(err, host); f.Code == "mongodb_credentials" {
				return f
			}
		case hello.SetName == "":
			return setFault(hello, host)
		case opts.ReplicaSet != nil && hello.SetName != *opts.ReplicaSet:
			return fault.New(fault.Invalid, "mongodb_no_replica_set", fmt.Sprintf("the replica set of MongoDB at %s is %s, MONGODB_URI says %s: correct replicaSet=", host, hello.SetName, *opts.ReplicaSet))
		default:
			return fault.New(fault.Unavailable, "mongodb_unreachable", fmt.Sprintf("MongoDB at %s answers, but the replica set %s has no primary that can be reached: "+
				"its members must be reachable by the names in rs.conf()", at, hello.SetName))
		}
	}
	return nil
}
