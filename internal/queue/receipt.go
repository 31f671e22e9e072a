package queue

import (
	"strconv"
	"strings"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/sqlite"
)

// A receipt of the embedded queue is the message's id and the random number of the delivery, both in
// base 36.

func receiptOf(id, receipt int64) string {
	return strconv.FormatInt(id, 36) + "." + strconv.FormatUint(uint64(receipt), 36)
}

// parseReceipts gives id and number of each receipt, one after the other; bad is nil when all can be read.
func parseReceipts(receipts []string) (pairs []any, bad []error) {
	pairs = make([]any, 0, 2*len(receipts))
	for i, r := range receipts {
		left, right, _ := strings.Cut(r, ".")
		id, err1 := strconv.ParseInt(left, 36, 64)
		number, err2 := strconv.ParseUint(right, 36, 64)
		if err1 != nil || err2 != nil {
			if bad == nil {
				bad = make([]error, len(receipts))
			}
			bad[i] = fault.New(fault.Invalid, "receipt_invalid", "this is no receipt of this queue")
			continue
		}
		pairs = append(pairs, id, int64(number))
	}
	return pairs, bad
}

// named selects the ids whose receipt is the newest one; marks are pairs.
func named(marks string) string {
	return "(SELECT m.id FROM (VALUES " + marks + ") v CROSS JOIN q m ON m.id = v.column1 AND m.receipt = v.column2)"
}

// eachChunk calls do for up to 50 pairs at a time, filled up by repetition to one of three sizes so that few
// statements are prepared.
func eachChunk(pairs []any, do func(marks string, args []any) error) error {
	for len(pairs) > 0 {
		n := min(len(pairs)/2, 50)
		size := 1
		for _, s := range []int{10, 50} {
			if n > size {
				size = s
			}
		}
		args := make([]any, 0, 2*size+1)
		args = append(args, pairs[:2*n]...)
		for len(args) < 2*size {
			args = append(args, pairs[0], pairs[1])
		}
		if err := do(sqlite.Placeholders(size, 2), args); err != nil {
			return err
		}
		pairs = pairs[2*n:]
	}
	return nil
}
