package logentry

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"sync"
	"time"
)

// ID is the identity of an entry: the 16 bytes of a UUID, version 7 (made from the time) or version 8
// (made from the tenant, the producer's key and the content). IDs compare bytewise.
type ID [16]byte

var errID = errors.New("an id is a UUID: 32 hex digits as 8-4-4-4-12")

// IDs makes ids of version 7, ascending within one IDs also when the clock stands or goes back.
// The zero value is ready; it may be used concurrently.
type IDs struct {
	mu   sync.Mutex
	last uint64 // milliseconds << 12 | sequence
	rnd  [8 * 128]byte
	left int
}

// New returns the next id for the moment now: 48 bits of milliseconds, 12 of a sequence (RFC 9562, method 3
// with method 1 on overflow), 62 random.
func (g *IDs) New(now time.Time) ID {
	ms := uint64(now.UnixMilli())
	sub := uint64(now.Nanosecond()%1_000_000) * 4096 / 1_000_000
	g.mu.Lock()
	tick := ms<<12 | sub
	if tick <= g.last {
		tick = g.last + 1
	}
	g.last = tick
	if g.left == 0 {
		_, _ = rand.Read(g.rnd[:]) // never fails since Go 1.24
		g.left = len(g.rnd)
	}
	g.left -= 8
	r := binary.LittleEndian.Uint64(g.rnd[g.left:])
	g.mu.Unlock()
	var id ID
	binary.BigEndian.PutUint64(id[:8], tick>>12<<16|0x7000|tick&0xfff)
	binary.BigEndian.PutUint64(id[8:], r&^(3<<62)|2<<62)
	return id
}

// KeyedID is the id of an entry that has a producer's key: version 8, from SHA-256 over the
// length-prefixed tenant id, key, position and content. The same key with the same content is the
// same entry; with other content it is another.
func KeyedID(tenantID, key string, position int, content []byte) ID {
	var n [8]byte
	buf := make([]byte, 0, 64+len(tenantID)+len(key)+len(content))
	for _, part := range []string{tenantID, key} {
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		buf = append(append(buf, n[:]...), part...)
	}
	binary.BigEndian.PutUint64(n[:], uint64(position))
	buf = append(buf, n[:]...)
	binary.BigEndian.PutUint64(n[:], uint64(len(content)))
	buf = append(append(buf, n[:]...), content...)
	sum := sha256.Sum256(buf)
	var id ID
	copy(id[:], sum[:])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}

// ParseID reads an id from its 36 characters, hex digits of either case.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return ID{}, errID
	}
	var hexes [32]byte
	n := 0
	for i := range len(s) {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			continue
		}
		hexes[n] = s[i]
		n++
	}
	if _, err := hex.Decode(id[:], hexes[:]); err != nil {
		return ID{}, errID
	}
	return id, nil
}

// String is the id in its 36 characters, lower case.
func (id ID) String() string { return string(id.AppendText(make([]byte, 0, 36))) }

// AppendText appends the 36 characters of the id.
func (id ID) AppendText(b []byte) []byte {
	b = append(hex.AppendEncode(b, id[0:4]), '-')
	b = append(hex.AppendEncode(b, id[4:6]), '-')
	b = append(hex.AppendEncode(b, id[6:8]), '-')
	b = append(hex.AppendEncode(b, id[8:10]), '-')
	return hex.AppendEncode(b, id[10:16])
}

// Version is that of the UUID: 7 was made at random and is never made again, 8 was made of a key.
func (id ID) Version() int { return int(id[6] >> 4) }

// IsZero tells an id that was never made.
func (id ID) IsZero() bool { return id == ID{} }
