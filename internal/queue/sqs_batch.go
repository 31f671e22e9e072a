package queue

import (
	"context"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/ocelot-log/ocelot/internal/fault"
)

const (
	sqsBatch   = 10 // items of one call
	sqsRetries = 3  // of the items that failed in a call that did not
)

// verdicts is the answer to a batch call. It is HTTP 200 even when every item failed.
type verdicts struct {
	done   []*string // ids of the items that are settled
	failed []types.BatchResultErrorEntry
}

// results are the errors of a call's items; nil while there are none.
type results struct {
	n    int
	errs []error
}

func (r *results) set(i int, err error) {
	if r.errs == nil {
		if err == nil {
			return
		}
		r.errs = make([]error, r.n)
	}
	r.errs[i] = err
}

func (r *results) setAll(items []int, err error) {
	for _, i := range items {
		r.set(i, err)
	}
}

// settle does call for items, and again, a little later, for those that failed by no fault of ours. The
// id of an item is its place in the call's slice. An item that the answer does not name is not done. The
// error is that of a whole call; the items it was for have it already.
func (r *results) settle(ctx context.Context, doing string, items []int, call func(items []int) (verdicts, error)) error {
	for try := 0; ; try++ {
		answer, err := call(items)
		if err != nil {
			err = sqsFault(err, doing)
			r.setAll(items, err)
			return err
		}
		items = r.read(doing, items, answer)
		if len(items) == 0 || try == sqsRetries || !pauseFor(ctx, 50*time.Millisecond<<try) {
			return nil
		}
	}
}

// read notes the verdict of each item and returns those worth another try.
func (r *results) read(doing string, items []int, answer verdicts) []int {
	at := func(id *string) int {
		n, err := strconv.Atoi(aws.ToString(id))
		if err != nil || n < 0 || n >= len(items) {
			return -1
		}
		return n
	}
	done := make([]bool, len(items))
	for _, id := range answer.done {
		if n := at(id); n >= 0 {
			done[n] = true
		}
	}
	var again []int
	final := make([]bool, len(items))
	for _, f := range answer.failed {
		n := at(f.Id)
		if n < 0 {
			continue
		}
		api := itemError(f)
		done[n], final[n] = false, api.Fault == smithy.FaultClient
		r.set(items[n], sqsFault(api, doing))
		if !final[n] {
			again = append(again, items[n])
		}
	}
	for n, ok := range done {
		switch {
		case ok:
			r.set(items[n], nil)
		case r.errs == nil || r.errs[items[n]] == nil:
			r.set(items[n], fault.New(fault.Unavailable, "sqs_unconfirmed", "the queue's answer does not name the message"))
			again = append(again, items[n])
		}
	}
	return again
}

// pauseFor waits for about d; it is false when ctx ended first.
func pauseFor(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d/2 + rand.N(d))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
