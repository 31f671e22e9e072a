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
	"github.com/ocelot-log/ocelot/internal/wait"
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
	doing string // for the errors
	n     int
	judge func(code string) (err error, known bool) // what an item's code means in this call; may be nil
	errs  []error
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

// result is nil when nothing failed in the end.
func (r *results) result() []error {
	for _, err := range r.errs {
		if err != nil {
			return r.errs
		}
	}
	return nil
}

// settle does call for items, and again, a little later, for those that failed by no fault of ours. The
// id of an item is its place in the call's slice. The error is that of a whole call; the items it was for
// have it already.
func (r *results) settle(ctx context.Context, items []int, call func(items []int) (verdicts, error)) error {
	for try := 0; ; try++ {
		answer, err := call(items)
		if err != nil {
			err = sqsFault(err, r.doing)
			r.setAll(items, err)
			return err
		}
		items = r.read(items, answer)
		if len(items) == 0 || try == sqsRetries || wait.For(ctx, jitter(50*time.Millisecond<<try)) != nil {
			return nil
		}
	}
}

// read notes the verdict of each item and returns those worth another try. An item that the answer does
// not name is not done.
func (r *results) read(items []int, answer verdicts) (again []int) {
	unconfirmed := fault.New(fault.Unavailable, "sqs_unconfirmed", "the queue's answer does not name the message")
	verdict, final := make([]error, len(items)), make([]bool, len(items))
	for i := range verdict {
		verdict[i] = unconfirmed
	}
	for _, id := range answer.done {
		if i, err := strconv.Atoi(aws.ToString(id)); err == nil && i >= 0 && i < len(items) {
			verdict[i] = nil
		}
	}
	for _, f := range answer.failed {
		if i, err := strconv.Atoi(aws.ToString(f.Id)); err == nil && i >= 0 && i < len(items) {
			verdict[i], final[i] = r.failed(f), f.SenderFault
		}
	}
	for i, err := range verdict {
		r.set(items[i], err)
		if err != nil && !final[i] {
			again = append(again, items[i])
		}
	}
	return again
}

// failed is the error of one item; nil where the failure does no harm.
func (r *results) failed(f types.BatchResultErrorEntry) error {
	api := &smithy.GenericAPIError{Code: aws.ToString(f.Code), Message: aws.ToString(f.Message), Fault: smithy.FaultServer}
	if f.SenderFault {
		api.Fault = smithy.FaultClient
	}
	if r.judge != nil {
		if err, known := r.judge(plainCode(api.Code)); known {
			return err
		}
	}
	return sqsFault(api, r.doing)
}

// jitter is somewhere between half of d and one and a half.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d) }
