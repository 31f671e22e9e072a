package queue

import (
	"context"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/ocelot-log/ocelot/internal/fault"
)

// sqsEarly is how long an empty answer is held back when it came before the wait was over, as it does
// while too many messages are held: the caller would ask again at once.
const sqsEarly = 500 * time.Millisecond

// Receive makes polls of PollTime until one brings messages or wait is over. When ctx ends it returns at
// once while the running poll goes on: a server need not notice that nobody listens any more, and would hide
// the next message for nobody. What the poll still brings is released.
func (q *SQS) Receive(ctx context.Context, most int, wait, visibility time.Duration) ([]Message, error) {
	began := time.Now()
	for most > 0 {
		start := time.Now()
		slice := max(0, min(wait-start.Sub(began), q.pollTime))
		held, err := q.listen(ctx, min(most, maxReceive), slice, clamp(visibility))
		if err != nil || len(held) > 0 {
			return held, err
		}
		if left := slice - time.Since(start); left > 0 {
			q.rest(ctx, min(left, sqsEarly))
		}
		if wait-time.Since(began) < time.Second/2 { // whole seconds only
			break
		}
	}
	return nil, nil
}

// listen makes one poll, and waits for it until ctx or the queue ends.
func (q *SQS) listen(ctx context.Context, most int, wait, visibility time.Duration) ([]Message, error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.Wrap(canceled(err), "receive")
	}
	if err := q.begin(); err != nil {
		return nil, err
	}
	type result struct {
		held []Message
		err  error
	}
	polled := make(chan result)
	go func() {
		defer q.running.Done()
		held, err := q.poll(most, wait, visibility)
		select {
		case polled <- result{held, err}:
		case <-ctx.Done():
			q.release(held)
		case <-q.open.Done():
			q.release(held)
		}
	}()
	select {
	case r := <-polled:
		return r.held, r.err
	case <-ctx.Done():
		return nil, fault.Wrap(canceled(ctx.Err()), "receive")
	case <-q.open.Done():
		return nil, errClosed()
	}
}

// rest waits for d, for ctx's end or for Close.
func (q *SQS) rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	case <-q.open.Done():
	}
}

// poll makes one call; nobody ends it but a Close that has waited for it.
func (q *SQS) poll(most int, wait, visibility time.Duration) ([]Message, error) {
	ctx, cancel := context.WithTimeout(q.polling, wait+sqsHeaderLimit)
	defer cancel()
	const receives, sent = types.MessageSystemAttributeNameApproximateReceiveCount, types.MessageSystemAttributeNameSentTimestamp
	out, err := q.polls.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &q.url, MaxNumberOfMessages: int32(most),
		WaitTimeSeconds: seconds(wait), VisibilityTimeout: max(1, seconds(visibility)), // 0 would be the queue's own
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{receives, sent}, MessageAttributeNames: []string{traceAttribute}})
	if err != nil {
		return nil, sqsFault(err, "receive")
	}
	if len(out.Messages) == 0 {
		return nil, nil
	}
	now := time.Now().UTC()
	held := make([]Message, len(out.Messages))
	for i, m := range out.Messages {
		held[i] = Message{ID: aws.ToString(m.MessageId), Body: []byte(aws.ToString(m.Body)), Receipt: aws.ToString(m.ReceiptHandle), Receives: 1, SentAt: now,
			Trace: aws.ToString(m.MessageAttributes[traceAttribute].StringValue)}
		if n, err := strconv.Atoi(m.Attributes[string(receives)]); err == nil && n > 0 {
			held[i].Receives = n
		}
		if ms, err := strconv.ParseInt(m.Attributes[string(sent)], 10, 64); err == nil {
			held[i].SentAt = time.UnixMilli(ms).UTC()
		}
	}
	return held, nil
}

// release gives messages back that nobody waits for any more. Where it fails they come back when their
// visibility ends.
func (q *SQS) release(held []Message) {
	receipts := make([]string, len(held))
	for i, m := range held {
		receipts[i] = m.Receipt
	}
	_ = q.extend(context.Background(), receipts, 0)
}

// seconds are whole ones, rounded up.
func seconds(d time.Duration) int32 {
	return int32((max(d, 0) + time.Second - 1) / time.Second)
}

// Extend answers NotFound for a delivery that was deleted, whose visibility has ended, or that was handed
// out again as far as the server tells.
func (q *SQS) Extend(ctx context.Context, receipts []string, visibility time.Duration) []error {
	if err := q.begin(); err != nil {
		return all(err, len(receipts))
	}
	defer q.running.Done()
	return q.extend(ctx, receipts, clamp(visibility))
}

func (q *SQS) extend(ctx context.Context, receipts []string, visibility time.Duration) []error {
	lost := func(code string) (err error, known bool) {
		if staleReceipt(code) { // the receipt is the only parameter that can be wrong
			return fault.New(fault.NotFound, "delivery_lost", "the message was deleted or handed out again"), true
		}
		return nil, false
	}
	return q.each(ctx, receipts, "extend", lost, func(ctx context.Context, names []string) (v verdicts, err error) {
		entries := make([]types.ChangeMessageVisibilityBatchRequestEntry, len(names))
		for i := range names {
			entries[i] = types.ChangeMessageVisibilityBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &names[i], VisibilityTimeout: seconds(visibility)}
		}
		out, err := q.calls.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &q.url, Entries: entries})
		if err != nil {
			return v, err
		}
		for _, s := range out.Successful {
			v.done = append(v.done, s.Id)
		}
		v.failed = out.Failed
		return v, nil
	})
}

// Delete takes it for done when the server no longer knows a receipt.
func (q *SQS) Delete(ctx context.Context, receipts []string) []error {
	if err := q.begin(); err != nil {
		return all(err, len(receipts))
	}
	defer q.running.Done()
	gone := func(code string) (err error, known bool) { return nil, staleReceipt(code) }
	return q.each(ctx, receipts, "delete", gone, func(ctx context.Context, names []string) (v verdicts, err error) {
		entries := make([]types.DeleteMessageBatchRequestEntry, len(names))
		for i := range names {
			entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &names[i]}
		}
		out, err := q.calls.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &q.url, Entries: entries})
		if err != nil {
			return v, err
		}
		for _, s := range out.Successful {
			v.done = append(v.done, s.Id)
		}
		v.failed = out.Failed
		return v, nil
	})
}

// staleReceipt says that a code is about the receipt.
func staleReceipt(code string) bool {
	switch code {
	case "ReceiptHandleIsInvalid", "MessageNotInflight", "InvalidParameterValue":
		return true
	}
	return false
}

// each does call for receipts, ten at a time and each receipt once. A call without an answer ends it: the
// others would wait as long.
func (q *SQS) each(ctx context.Context, receipts []string, doing string, judge func(code string) (err error, known bool),
	call func(ctx context.Context, receipts []string) (verdicts, error)) []error {
	r := &results{doing: doing, n: len(receipts), judge: judge}
	first := make(map[string]int, len(receipts))
	once := make([]int, 0, len(receipts))
	for i, name := range receipts {
		if _, seen := first[name]; !seen {
			first[name] = i
			once = append(once, i)
		}
	}
	for len(once) > 0 {
		n := min(len(once), sqsBatch)
		err := r.settle(ctx, once[:n], func(items []int) (verdicts, error) {
			ctx, cancel := context.WithTimeout(ctx, q.timeout)
			defer cancel()
			names := make([]string, len(items))
			for n, i := range items {
				names[n] = receipts[i]
			}
			return call(ctx, names)
		})
		once = once[n:]
		if err != nil {
			r.setAll(once, err)
			break
		}
	}
	for i, name := range receipts {
		if r.errs != nil {
			r.errs[i] = r.errs[first[name]]
		}
	}
	return r.result()
}
