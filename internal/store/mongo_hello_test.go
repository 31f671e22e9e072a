package store_test

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/ocelot-log/ocelot/internal/auth"
	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/store"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// pretender answers hello and buildInfo as a server of some kind would, for servers that tests don't have.
type pretender struct {
	hello   bson.D
	version string
}

func (p pretender) listen(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return l.Addr().String()
}

const opReply, opQuery, opMsg = 1, 2004, 2013

func (p pretender) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	for {
		var header [16]byte
		if _, err := io.ReadFull(c, header[:]); err != nil {
			return
		}
		body := make([]byte, binary.LittleEndian.Uint32(header[:])-16)
		if _, err := io.ReadFull(c, body); err != nil {
			return
		}
		op := binary.LittleEndian.Uint32(header[12:])
		cmd := bson.Raw(body[5:]) // flags, kind of section
		if op == opQuery {
			name := 4
			for body[name] != 0 {
				name++
			}
			cmd = bson.Raw(body[name+1+8:])
		}
		reply := append(bson.D{{Key: "ok", Value: 1}}, p.hello...)
		if elements, err := cmd.Elements(); err == nil && len(elements) > 0 && elements[0].Key() == "buildInfo" {
			reply = bson.D{{Key: "ok", Value: 1}, {Key: "version", Value: p.version}, {Key: "versionArray", Value: bson.A{int32(p.version[0] - '0'), int32(0), int32(0), int32(0)}}}
		}
		doc, err := bson.Marshal(reply)
		if err != nil {
			return
		}
		out := make([]byte, 16)
		copy(out[8:], header[4:8]) // in answer to
		if op == opQuery {
			binary.LittleEndian.PutUint32(out[12:], opReply)
			out = append(out, make([]byte, 16)...)
			out = append(out, 1, 0, 0, 0)
		} else {
			binary.LittleEndian.PutUint32(out[12:], opMsg)
			out = append(out, 0, 0, 0, 0, 0)
		}
		out = append(out, doc...)
		binary.LittleEndian.PutUint32(out, uint32(len(out)))
		if _, err := c.Write(out); err != nil {
			return
		}
	}
}

func TestMongoRefusesServersThatCantKeepPromises(t *testing.T) {
	hello := func(more ...bson.E) bson.D {
		return append(bson.D{{Key: "minWireVersion", Value: 0}, {Key: "maxWireVersion", Value: 21}, {Key: "maxBsonObjectSize", Value: 16 << 20},
			{Key: "maxMessageSizeBytes", Value: 48_000_000}, {Key: "maxWriteBatchSize", Value: 100_000}, {Key: "localTime", Value: time.Now()}}, more...)
	}
	alone := hello(bson.E{Key: "ismaster", Value: true}, bson.E{Key: "isWritablePrimary", Value: true})
	for _, c := range []struct {
		name    string
		server  pretender
		options string
		kind    fault.Kind
		code    string
		words   []string
	}{
		{"a server alone", pretender{alone, "8.0.0"}, "", fault.Invalid, "mongodb_no_replica_set", []string{"--replSet", "rs.initiate()"}},
		{"a server alone where a set is asked for", pretender{alone, "8.0.0"}, "?replicaSet=rs0", fault.Invalid, "mongodb_no_replica_set", []string{"--replSet"}},
		{"a set that waits to be initiated", pretender{hello(bson.E{Key: "isreplicaset", Value: true}), "8.0.0"}, "?replicaSet=rs0", fault.Unavailable, "mongodb_unreachable", []string{"rs.initiate()"}},
		{"a router of a version that is too old", pretender{append(alone, bson.E{Key: "msg", Value: "isdbgrid"}), "4.4.0"}, "", fault.Invalid, "mongodb_too_old", []string{"4.4.0", "version 5"}},
		{"a set without a primary", pretender{hello(bson.E{Key: "setName", Value: "rs0"}, bson.E{Key: "secondary", Value: true}, bson.E{Key: "hosts", Value: bson.A{"127.0.0.1:1"}}), "8.0.0"},
			"?replicaSet=rs0", fault.Unavailable, "mongodb_unreachable", []string{"rs0", "no primary"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			at := c.server.listen(t)
			_, err := store.NewMongo(t.Context(), store.MongoConfig{URI: auth.NewSecret("mongodb://" + at + "/" + c.options), ConnectTimeout: 300 * time.Millisecond})
			wantKind(t, err, c.kind, c.code)
			oneLine(t, err, append(c.words, at)...)
		})
	}
}
