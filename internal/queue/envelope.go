package queue

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// The body of a message is an envelope, entries of one tenant:
//
//	"OC" codec version ":"   five ASCII characters; the codec is z or s, the version a digit
//	frame                    z: base64 (padded) of one zstd frame with its size and checksum
//	                         s: one s2 block, raw bytes
//
// and in the frame, NDJSON: a header record, then one line for each entry.
//
//	{"v":1,"tenant":"…","producer":"…","created":"RFC 3339","count":2,"bytes":1234,"xxh64":"16 hex digits"}
//	{"id":…}
//	{"id":…}
//
// bytes and xxh64 are of the entries' lines. Members that a later writer adds to the header are skipped
// by this reader; a change that this reader would misread gets another version or another codec.

// Version is the version of the envelopes that Pack makes, and the newest that Unpack reads.
const Version = 1

// What an envelope may hold. Unpack refuses more before it makes room for it.
const (
	MaxEntries = 50_000
	MaxPayload = 16 << 20 // bytes of the entries' lines

	tagLen    = 5
	maxHeader = 4 << 10
	maxWindow = 1 << 20
	minSized  = 256 // the encoder leaves the size out of shorter frames
)

// Wire is how an envelope travels.
type Wire byte

const (
	Text   Wire = 'z' // ASCII only, small: for queues that take text and bill by size
	Binary Wire = 's' // any bytes, a quarter of the CPU, larger: for the embedded queue
)

// WireOf is the wire for a queue with limits l.
func WireOf(l Limits) Wire {
	if l.Binary {
		return Binary
	}
	return Text
}

// Header is what an envelope says of its entries.
type Header struct {
	TenantID string
	Producer string    // who packed it, for people
	Created  time.Time // when
	Count    int       // entries
}

// Packer makes envelopes. It keeps its buffers (about 1 MiB and four times the largest payload), and is
// not for concurrent use.
type Packer struct {
	wire Wire
	zstd *zstd.Encoder
	raw  []byte
	comp []byte
}

// NewPacker makes a packer for one wire.
func NewPacker(wire Wire) (*Packer, error) {
	p := &Packer{wire: wire}
	if wire == Binary {
		return p, nil
	}
	var err error
	p.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithEncoderCRC(true), zstd.WithWindowSize(maxWindow))
	if err != nil {
		return nil, fmt.Errorf("zstd: %w", err)
	}
	return p, nil
}

// Pack appends the envelope of h and lines to dst. The concatenation of lines is h.Count lines, each
// ended by \n; they may be cut anywhere. Kind TooLarge: more than an envelope may hold. Lines that
// are not what h says are an Internal fault: nothing else would notice before the worker does.
func (p *Packer) Pack(dst []byte, h Header, lines ...[]byte) ([]byte, error) {
	size := 0
	for _, l := range lines {
		size += len(l)
	}
	if size > MaxPayload || h.Count > MaxEntries {
		return dst, fault.New(fault.TooLarge, "envelope_too_large",
			fmt.Sprintf("an envelope holds at most %d entries and %d bytes", MaxEntries, MaxPayload))
	}
	raw, sum, err := appendHeader(p.raw[:0], h, size)
	if err != nil {
		return dst, err
	}
	start := len(raw)
	for _, l := range lines {
		raw = append(raw, l...)
	}
	p.raw = raw
	payload := raw[start:]
	if n := bytes.Count(payload, []byte{'\n'}); n != h.Count || size > 0 && payload[size-1] != '\n' {
		return dst, fault.New(fault.Internal, "envelope_miscounted", fmt.Sprintf("%d lines for %d entries", n, h.Count))
	}
	putHex(raw[sum:sum+16], xxhash.Sum64(payload))

	dst = append(dst, 'O', 'C', byte(p.wire), '0'+Version, ':')
	if p.wire == Binary {
		room := s2.MaxEncodedLen(len(raw))
		if cap(p.comp) < room {
			p.comp = make([]byte, room)
		}
		return append(dst, s2.Encode(p.comp[:room], raw)...), nil
	}
	p.comp = p.zstd.EncodeAll(raw, p.comp[:0])
	return base64.StdEncoding.AppendEncode(dst, p.comp), nil
}

// appendHeader appends the header record and says where its 16 digits for the checksum are.
func appendHeader(b []byte, h Header, size int) (raw []byte, sum int, err error) {
	b = fmt.Appendf(b, `{"v":%d,"tenant":`, Version)
	if b, err = jsontext.AppendQuote(b, h.TenantID); err != nil {
		return nil, 0, fmt.Errorf("tenant of an envelope: %w", err)
	}
	b = append(b, `,"producer":`...)
	if b, err = jsontext.AppendQuote(b, h.Producer); err != nil {
		return nil, 0, fmt.Errorf("producer of an envelope: %w", err)
	}
	b = append(b, `,"created":"`...)
	b = h.Created.UTC().AppendFormat(b, time.RFC3339Nano)
	b = fmt.Appendf(b, `","count":%d,"bytes":%d,"xxh64":"`, h.Count, size)
	sum = len(b)
	b = append(b, "0000000000000000\""...)
	for len(b)+size < minSized { // white space is JSON too
		b = append(b, ' ')
	}
	b = append(b, "}\n"...)
	if len(b) > maxHeader || h.TenantID == "" {
		return nil, 0, fault.New(fault.Internal, "envelope_header", "the header of an envelope needs a tenant and fits in 4 KiB")
	}
	return b, sum, nil
}

func putHex(b []byte, v uint64) {
	const digits = "0123456789abcdef"
	for i := range 16 {
		b[i] = digits[v>>(60-4*i)&15]
	}
}

// Envelope is an opened envelope. Its checksum, sizes and count were verified.
type Envelope struct {
	Version  int
	TenantID string
	Producer string
	Created  time.Time // UTC
	Count    int
	Payload  []byte // NDJSON, Count lines, each ended by \n
}

// Unpack opens a body as received. It is for concurrent use, and takes memory for the body and at most
// MaxPayload more, whatever the body. Kind Corrupt: it will never open (codes envelope_unknown_format,
// envelope_corrupt). Kind Unavailable, code envelope_newer_version: a newer worker can open it, leave it.
func Unpack(body []byte) (Envelope, error) {
	if len(body) < tagLen || body[0] != 'O' || body[1] != 'C' || body[4] != ':' ||
		body[2] < 'a' || body[2] > 'z' || body[3] < '1' || body[3] > '9' {
		return Envelope{}, fault.New(fault.Corrupt, "envelope_unknown_format", "the body does not begin as an envelope does")
	}
	wire, version, frame := Wire(body[2]), int(body[3]-'0'), body[tagLen:]
	if version > Version || wire != Text && wire != Binary {
		return Envelope{}, fault.New(fault.Unavailable, "envelope_newer_version",
			fmt.Sprintf("the envelope has tag %s; this version reads up to OCz%d: and OCs%[2]d:", body[:tagLen], Version))
	}
	raw, err := inflate(wire, frame)
	if err != nil {
		return Envelope{}, err
	}
	return open(version, raw)
}

// open checks an inflated envelope against its header.
func open(version int, raw []byte) (Envelope, error) {
	end := bytes.IndexByte(raw[:min(len(raw), maxHeader)], '\n')
	if end < 0 {
		return Envelope{}, corrupt("there is no header", nil)
	}
	var h struct {
		V        int       `json:"v"`
		Tenant   string    `json:"tenant"`
		Producer string    `json:"producer"`
		Created  time.Time `json:"created"`
		Count    int       `json:"count"`
		Bytes    int       `json:"bytes"`
		Sum      string    `json:"xxh64"`
	}
	if err := json.Unmarshal(raw[:end], &h); err != nil {
		return Envelope{}, corrupt("the header can't be read", err)
	}
	payload := raw[end+1:]
	var sum [16]byte
	putHex(sum[:], xxhash.Sum64(payload))
	switch {
	case h.V != version:
		return Envelope{}, corrupt("tag and header name different versions", nil)
	case h.Tenant == "":
		return Envelope{}, corrupt("the header names no tenant", nil)
	case h.Bytes != len(payload) || h.Bytes > MaxPayload:
		return Envelope{}, corrupt("the size is not the one declared", nil)
	case string(sum[:]) != h.Sum:
		return Envelope{}, corrupt("the checksum is wrong", nil)
	case h.Count < 0 || h.Count > MaxEntries || h.Count != bytes.Count(payload, []byte{'\n'}),
		len(payload) > 0 && payload[len(payload)-1] != '\n':
		return Envelope{}, corrupt("the count is not the one declared", nil)
	}
	return Envelope{Version: version, TenantID: h.Tenant, Producer: h.Producer, Created: h.Created.UTC(),
		Count: h.Count, Payload: payload}, nil
}

func corrupt(detail string, cause error) error {
	return &fault.Error{Kind: fault.Corrupt, Code: "envelope_corrupt", Detail: detail, Err: cause}
}

// Records reads the entries, each with its tenant. They share the payload. Kind Corrupt: a line is no
// entry, which only a writer with a fault can have sent.
func (e Envelope) Records() ([]logentry.Record, error) {
	records, err := logentry.ParseRecords(e.Payload, e.Count)
	if err != nil {
		return nil, corrupt("a line is no entry", err)
	}
	for i := range records {
		records[i].TenantID = e.TenantID
	}
	return records, nil
}
