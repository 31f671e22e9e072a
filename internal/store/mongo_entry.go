package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/ocelot-log/ocelot/internal/query"
	"github.com/ocelot-log/ocelot/pkg/logentry"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/x/bsonx/bsoncore"
)

// A document of entries. Names are short because MongoDB stores them in each document. The entry itself
// is in j, byte for byte; the other fields are what can be asked for.
//
//	_id  id, as a UUID             p   number of the commit that brought it
//	t    internal id of the tenant ts  timestamp, nanoseconds since 1970
//	r    received_at, the same     x   received_at in milliseconds, as a date: what a TTL index needs
//	j    the JSON                  h   SHA-256 of it
//	sv   severity, 1 … 5           v   schema version
//	ip   address in its one spelling, and the texts below; absent where empty
const (
	mongoID        = "_id"
	mongoCommit    = "p"
	mongoTenant    = "t"
	mongoTimestamp = "ts"
	mongoReceived  = "r"
	mongoJSON      = "j"
	mongoHash      = "h"
	mongoSeverity  = "sv"
	mongoSchema    = "v"
	mongoAddress   = "ip"
)

// mongoTexts are the names of the fields that are compared as texts.
var mongoTexts = map[query.Field]string{
	query.Service: "s", query.Action: "a", query.UserID: "u", query.SessionID: "ss", query.ResourceType: "rt", query.ResourceID: "ri",
	query.UserAgent: "ua", query.RequestID: "rq", query.TraceID: "tr", query.SpanID: "sp", query.EventID: "ev",
}

const (
	uuidSubtype = 4
	// mongoMaxDocument is the most that MongoDB takes in one document.
	mongoMaxDocument = 16 << 20
	// mongoFixed is an upper bound of a document's bytes that are not the texts of its entry.
	mongoFixed = 320
)

var errMongoRecord = errors.New("a document of entries is not what was put")

// mongoSize is at least the size of the document of r.
func mongoSize(r *logentry.Record) int {
	return mongoFixed + len(r.JSON) + len(r.TenantID) + len(r.Service) + len(r.Action) + len(r.UserID) + len(r.SessionID) + len(r.ResourceType) +
		len(r.ResourceID) + len(r.IPAddress) + len(r.UserAgent) + len(r.RequestID) + len(r.TraceID) + len(r.SpanID) + len(r.EventID)
}

// mongoCommitAt is where, from the start of a document, the number of its commit lies.
const mongoCommitAt = 4 + len("\x05_id\x00") + 4 + 1 + len(logentry.ID{}) + len("\x12p\x00")

// appendMongoEntry appends the elements of the document of r. The number of its commit is to be filled in.
func appendMongoEntry(dst []byte, r *logentry.Record) []byte {
	dst = append(dst, "\x05_id\x00\x10\x00\x00\x00\x04"...)
	dst = append(dst, r.ID[:]...)
	dst = appendMongoInt(dst, "\x12p\x00", 0)
	dst = appendMongoText(dst, "\x02t\x00", r.TenantID)
	dst = appendMongoInt(dst, "\x12ts\x00", r.Timestamp.UnixNano())
	dst = appendMongoInt(dst, "\x12r\x00", r.ReceivedAt.UnixNano())
	dst = appendMongoInt(dst, "\x09x\x00", r.ReceivedAt.UnixMilli())
	if r.Severity != 0 {
		dst = append(dst, "\x10sv\x00"...)
		dst = append(dst, byte(r.Severity), 0, 0, 0)
	}
	dst = appendMongoText(dst, "\x02s\x00", r.Service)
	dst = appendMongoText(dst, "\x02a\x00", r.Action)
	dst = appendMongoText(dst, "\x02u\x00", r.UserID)
	dst = appendMongoText(dst, "\x02ss\x00", r.SessionID)
	dst = appendMongoText(dst, "\x02rt\x00", r.ResourceType)
	dst = appendMongoText(dst, "\x02ri\x00", r.ResourceID)
	if r.IPAddress != "" {
		if ip, ok := query.Address(r.IPAddress); ok {
			dst = appendMongoText(dst, "\x02ip\x00", ip)
		}
	}
	dst = appendMongoText(dst, "\x02ua\x00", r.UserAgent)
	dst = appendMongoText(dst, "\x02rq\x00", r.RequestID)
	dst = appendMongoText(dst, "\x02tr\x00", r.TraceID)
	dst = appendMongoText(dst, "\x02sp\x00", r.SpanID)
	dst = appendMongoText(dst, "\x02ev\x00", r.EventID)
	dst = append(dst, "\x10v\x00"...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(r.SchemaVersion))
	dst = append(dst, "\x05j\x00"...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(r.JSON)))
	dst = append(append(dst, 0), r.JSON...)
	sum := sha256.Sum256(r.JSON)
	dst = append(dst, "\x05h\x00\x20\x00\x00\x00\x00"...)
	return append(dst, sum[:]...)
}

func appendMongoInt(dst []byte, header string, v int64) []byte {
	return binary.LittleEndian.AppendUint64(append(dst, header...), uint64(v))
}

// appendMongoText appends nothing for an empty text: an absent field has no value, not an empty one.
func appendMongoText(dst []byte, header, v string) []byte {
	if v == "" {
		return dst
	}
	return bsoncore.AppendString(append(dst, header...), v)
}

// mongoBinary is an id as the driver writes it.
func mongoBinary(id logentry.ID) bson.Binary { return bson.Binary{Subtype: uuidSubtype, Data: id[:]} }

// mongoIDOf reads an id.
func mongoIDOf(doc bson.Raw) (id logentry.ID, ok bool) {
	_, data, ok := doc.Lookup(mongoID).BinaryOK()
	if !ok || len(data) != len(id) {
		return id, false
	}
	return logentry.ID(data), true
}

// mongoParts are what a document says of its record. The bytes are the document's.
type mongoParts struct {
	commit       int64
	tenant, json []byte
}

// mongoPartsOf goes over a document once: to look up each of its elements goes over it as often.
func mongoPartsOf(doc bson.Raw) (p mongoParts, ok bool) {
	const header = 4 // the length
	if len(doc) < header {
		return p, false
	}
	for rest := []byte(doc[header:]); p.json == nil; {
		var e bsoncore.Element
		if e, rest, ok = bsoncore.ReadElement(rest); !ok {
			return p, false
		}
		switch string(e.KeyBytes()) {
		case mongoCommit:
			p.commit, _ = e.Value().Int64OK()
		case mongoTenant:
			if text := e.Value(); text.Type == bsoncore.TypeString {
				p.tenant = text.Data[header : len(text.Data)-1]
			}
		case mongoJSON:
			if _, p.json, ok = e.Value().BinaryOK(); !ok {
				return p, false
			}
		}
	}
	return p, p.tenant != nil && p.json != nil
}

// mongoRecord reads the record of a document, with memory of its own.
func mongoRecord(doc bson.Raw) (logentry.Record, error) {
	return mongoRecordIn(bytes.Clone(doc))
}

// mongoRecordIn is mongoRecord of a document that nobody else uses: the record lies in it.
func mongoRecordIn(doc bson.Raw) (logentry.Record, error) {
	_, json, ok := doc.Lookup(mongoJSON).BinaryOK()
	if !ok {
		return logentry.Record{}, errMongoRecord
	}
	r, err := logentry.ParseRecord(json)
	if err != nil {
		return logentry.Record{}, errMongoRecord
	}
	if r.TenantID, ok = doc.Lookup(mongoTenant).StringValueOK(); !ok {
		return logentry.Record{}, errMongoRecord
	}
	return r, nil
}

// intact says whether the JSON is what was put.
func intact(doc bson.Raw) bool {
	_, json, ok := doc.Lookup(mongoJSON).BinaryOK()
	_, hash, is := doc.Lookup(mongoHash).BinaryOK()
	sum := sha256.Sum256(json)
	return ok && is && bytes.Equal(sum[:], hash)
}
