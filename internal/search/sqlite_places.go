package search

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/ocelot-log/ocelot/pkg/logentry"
)

// The row number of an entry is its timestamp in buckets of 10 ms, then a slot in the bucket: FTS5
// delivers rows in the order of their numbers, so that the newest entries are the first it finds. Inside a
// bucket slots are given as entries come; there, the exact order is made from the docs.
//
// When a bucket is full, entries go on into the buckets behind it, never before: the bucket of a row is at
// most `spill` buckets after that of its timestamp. The spill is kept with the index; it is 0 until more
// than a million entries share 10 ms.
const (
	bucketWidth = 10 * int64(time.Millisecond)
	slotBits    = 20
	maxSlots    = 1 << slotBits
)

// bucketOf is the bucket of a time in nanoseconds; what is before 1970 is in the first.
func bucketOf(ns int64) int64 { return max(ns, 0)/bucketWidth + 1 }

// bucketStart is the first row number of a bucket. No entry has row 0.
func bucketStart(bucket int64) int64 { return bucket << slotBits }

// doc is what the index keeps of an entry beside its terms.
type doc struct {
	at       int64 // timestamp, nanoseconds
	received int64
	id       logentry.ID
}

// The docs of consecutive rows are kept together in a row of the table docs, docSize bytes each, so that
// writing them costs a fraction of a row each. Beside them stands when the first of them was received and by how much
// the last came after it, at most maxSpread: pages by arrival are found by that. A purge leaves both as
// they are.
const (
	docSize      = 32
	docsInRow    = 120 // four rows just fit into a page of the file
	maxSpread    = int64(time.Second)
	minTime      = math.MinInt64
	maxTime      = math.MaxInt64
	beforeAnyRow = 0
)

func appendDoc(dst []byte, d doc) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(d.at))
	dst = binary.BigEndian.AppendUint64(dst, uint64(d.received))
	return append(dst, d.id[:]...)
}

func readDoc(b []byte) (d doc, ok bool) {
	if len(b) < docSize {
		return d, false
	}
	d.at = int64(binary.BigEndian.Uint64(b))
	d.received = int64(binary.BigEndian.Uint64(b[8:]))
	copy(d.id[:], b[16:])
	return d, true
}

// nanoseconds is the time as an integer. Times that it can't hold are the first or the last it can.
func nanoseconds(t time.Time) int64 {
	switch y := t.Year(); {
	case y < 1678:
		return minTime
	case y > 2261:
		return maxTime
	}
	return t.UnixNano()
}
