package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/klauspost/compress/s2"
	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// Bounds of a block. 64 entries of about 500 bytes compress to a quarter of their size and cost one
// read; more would make a page of scattered entries slower, fewer would compress worse.
const (
	blockFormat = 1
	blockSlots  = 64
	blockBytes  = 64 << 10 // of JSON; one larger record has a block of its own
	maxRecord   = 16 << 20 // of JSON; what the smallest backend takes in one document
	maxRaw      = maxRecord + blockBytes
)

var errBlock = errors.New("a block of records fails its own check")

// packer makes the body of a block: the format byte, then s2 over
//
//	number of slots (1 byte), for each slot: length of its JSON (uvarint) and, unless 0, its SHA-256; the JSONs
//
// A slot of length 0 is a hole: a record that turned out to be held already.
type packer struct{ raw, packed []byte }

// pack returns the body for the records at slots, without those whose bit is set in holes. The body
// is valid until the next call.
func (p *packer) pack(records []logentry.Record, slots []int32, holes uint64) []byte {
	raw := append(p.raw[:0], byte(len(slots)))
	for i, r := range slots {
		if holes>>i&1 == 1 {
			raw = append(raw, 0)
			continue
		}
		sum := sha256.Sum256(records[r].JSON)
		raw = append(binary.AppendUvarint(raw, uint64(len(records[r].JSON))), sum[:]...)
	}
	for i, r := range slots {
		if holes>>i&1 == 0 {
			raw = append(raw, records[r].JSON...)
		}
	}
	p.raw = raw
	if n := 1 + s2.MaxEncodedLen(len(raw)); cap(p.packed) < n {
		p.packed = make([]byte, n)
	}
	p.packed = p.packed[:cap(p.packed)]
	p.packed[0] = blockFormat
	return p.packed[:1+len(s2.Encode(p.packed[1:], raw))]
}

// block is an unpacked block. Its bytes are valid until the next open.
type block struct {
	raw   []byte
	jsons [blockSlots][]byte // nil: a hole
	sums  [blockSlots][]byte
	n     int
}

// open unpacks body, checking all lengths but no hash.
func (b *block) open(body []byte) error {
	b.n = 0
	if len(body) < 2 || body[0] != blockFormat {
		return errBlock
	}
	if n, err := s2.DecodedLen(body[1:]); err != nil || n < 2 || n > maxRaw {
		return errBlock
	}
	raw, err := s2.Decode(b.raw[:cap(b.raw)], body[1:])
	if err != nil {
		return errBlock
	}
	b.raw = raw
	n, at := int(raw[0]), 1
	if n < 1 || n > blockSlots {
		return errBlock
	}
	var lengths [blockSlots]int
	total := 0
	for i := range n {
		length, size := binary.Uvarint(raw[at:])
		if size <= 0 || length > maxRecord {
			return errBlock
		}
		at += size
		b.sums[i] = nil
		if length > 0 {
			if len(raw)-at < sha256.Size {
				return errBlock
			}
			b.sums[i] = raw[at : at+sha256.Size]
			at += sha256.Size
		}
		lengths[i] = int(length)
		total += int(length)
	}
	if len(raw)-at != total {
		return errBlock
	}
	for i := range n {
		b.jsons[i] = nil
		if lengths[i] > 0 {
			b.jsons[i] = raw[at : at+lengths[i] : at+lengths[i]]
			at += lengths[i]
		}
	}
	b.n = n
	return nil
}

// all is the JSON of all records in one piece.
func (b *block) all() []byte {
	n := 0
	for _, j := range b.jsons[:b.n] {
		n += len(j)
	}
	return b.raw[len(b.raw)-n:]
}

// intact says whether the record in slot i still has the hash that it was stored with.
func (b *block) intact(i int) bool {
	sum := sha256.Sum256(b.jsons[i])
	return bytes.Equal(sum[:], b.sums[i])
}

// record returns a copy of the record in slot i; ok is false for a hole and for a slot that is not there.
func (b *block) record(i int, tenantID string) (r logentry.Record, ok bool, err error) {
	if i >= b.n || b.jsons[i] == nil {
		return logentry.Record{}, false, nil
	}
	r, err = logentry.ParseRecord(bytes.Clone(b.jsons[i]))
	if err != nil {
		return logentry.Record{}, false, errBlock
	}
	r.TenantID = tenantID
	return r, true, nil
}
