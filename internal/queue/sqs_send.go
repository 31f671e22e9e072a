package queue

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"go.uber.org/zap"

	"github.com/ocelot-log/ocelot/internal/fault"
	"github.com/ocelot-log/ocelot/internal/telemetry"
)

// Send sends up to ten messages and 1 MiB in a call, one call after the other. A call that gets no answer
// is tried three times: what had arrived all the same is then there twice. While the queue is down Send
// fails at once, but for one call a second.
func (q *SQS) Send(ctx context.Context, messages []Outgoing) []error {
	r := &results{doing: "send", n: len(messages)}
	take := make([]int, 0, len(messages))
	for i, m := range messages {
		switch {
		case len(m.Body) > q.limits.MaxBytes:
			r.set(i, fault.New(fault.TooLarge, "message_too_large", fmt.Sprintf("a message is at most %d bytes", q.limits.MaxBytes)))
		case len(m.Body) == 0:
			r.set(i, fault.New(fault.Invalid, "message_empty", "a message has at least one byte"))
		case !sendable(m.Body):
			r.set(i, fault.New(fault.Invalid, "message_characters", "the body has characters that SQS does not take"))
		default:
			take = append(take, i)
		}
	}
	if err := q.begin(); err != nil {
		r.setAll(take, err)
		return r.result()
	}
	defer q.running.Done()
	for len(take) > 0 {
		n := fit(messages, take)
		if err := q.sendPart(ctx, r, messages, take[:n]); fault.KindOf(err) == fault.Unavailable {
			r.setAll(take[n:], err) // each would wait for the same timeout
			break
		}
		take = take[n:]
	}
	return r.result()
}

// traceAttribute is the message attribute that the trace travels in, so that people and tools that look at
// a message see it without opening the envelope.
const traceAttribute = "traceparent"

// traced are the attributes of a message; nil: none.
func traced(m Outgoing) map[string]types.MessageAttributeValue {
	if telemetry.TraceID(m.Trace) == "" { // no trace is worth a refused message
		return nil
	}
	return map[string]types.MessageAttributeValue{traceAttribute: {DataType: aws.String("String"), StringValue: &m.Trace}}
}

// weight is what a message counts for: its body, and names, types and values of its attributes.
func weight(m Outgoing) int {
	n := len(m.Body)
	if m.Trace != "" {
		n += len(traceAttribute) + len("String") + len(m.Trace)
	}
	return n
}

// fit is how many of the messages go in one call. For the names of groups the margin has room.
func fit(messages []Outgoing, take []int) int {
	size := 0
	for n, i := range take {
		size += weight(messages[i])
		if n == sqsBatch || n > 0 && size > sqsMaxBytes-sqsMargin {
			return n
		}
	}
	return len(take)
}

// sendPart sends what fits in one call. A server that counts otherwise gets the halves.
func (q *SQS) sendPart(ctx context.Context, r *results, messages []Outgoing, part []int) error {
	if err := q.circuit.enter(); err != nil {
		err = fault.Wrap(err, "send")
		r.setAll(part, err)
		return err
	}
	err := r.settle(ctx, part, func(items []int) (verdicts, error) { return q.send(ctx, messages, items) })
	if !errors.Is(err, context.Canceled) {
		q.circuit.leave(fault.KindOf(err) == fault.Unavailable)
	}
	if fault.KindOf(err) != fault.TooLarge || len(part) == 1 {
		return err
	}
	half := len(part) / 2
	if err := q.sendPart(ctx, r, messages, part[:half]); fault.KindOf(err) == fault.Unavailable {
		r.setAll(part[half:], err)
		return err
	}
	return q.sendPart(ctx, r, messages, part[half:])
}

// send makes one call. When the server takes no groups it is made again without them.
func (q *SQS) send(ctx context.Context, messages []Outgoing, items []int) (verdicts, error) {
	ctx, cancel := context.WithTimeout(ctx, q.timeout)
	defer cancel()
	fair := q.fair.Load()
	group := func(m Outgoing) *string {
		if !fair || !groupName(m.Group) {
			return nil
		}
		return &m.Group
	}
	var answer verdicts
	var err error
	if len(items) == 1 {
		m := messages[items[0]]
		var out *sqs.SendMessageOutput
		out, err = q.calls.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &q.url, MessageBody: aws.String(string(m.Body)), MessageGroupId: group(m), MessageAttributes: traced(m)})
		if err == nil && out.MessageId != nil {
			answer.done = []*string{aws.String("0")}
		}
	} else {
		entries := make([]types.SendMessageBatchRequestEntry, len(items))
		for n, i := range items {
			m := messages[i]
			entries[n] = types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(n)), MessageBody: aws.String(string(m.Body)), MessageGroupId: group(m), MessageAttributes: traced(m)}
		}
		var out *sqs.SendMessageBatchOutput
		out, err = q.calls.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &q.url, Entries: entries})
		if err == nil {
			for _, s := range out.Successful {
				if s.MessageId != nil {
					answer.done = append(answer.done, s.Id)
				}
			}
			answer.failed = out.Failed
		}
	}
	if !fair {
		return answer, err
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok && refusesGroups(api.ErrorCode()) {
		q.unfair(api.ErrorCode())
		return q.send(ctx, messages, items)
	}
	for i, f := range answer.failed {
		if refusesGroups(aws.ToString(f.Code)) {
			q.unfair(aws.ToString(f.Code))
			answer.failed[i].SenderFault = false // worth another try, without a group
		}
	}
	return answer, err
}

// unfair stops sending groups.
func (q *SQS) unfair(code string) {
	if q.fair.CompareAndSwap(true, false) {
		q.log.Warn("the queue takes no MessageGroupId; fair queues are off until the next start", zap.String("code", code))
	}
}

// refusesGroups says that a code may mean that the queue takes no MessageGroupId.
func refusesGroups(code string) bool {
	switch plainCode(code) {
	case "InvalidParameterValue", "InvalidParameter", "InvalidAttributeValue", "UnsupportedOperation", "InvalidParameterCombination":
		return true
	}
	return false
}

// groupName says that SQS takes a name for a group: up to 128 letters, digits and punctuation marks.
func groupName(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) > 0 && len(s) <= 128
}

// sendable says that SQS keeps each character of a body as it is: of others it refuses some and replaces
// some. ASCII, which is what envelopes are made of, is seen eight bytes at a time.
func sendable(body []byte) bool {
	const high, space = 0x8080808080808080, 0x2020202020202020
	for len(body) >= 8 {
		word := binary.LittleEndian.Uint64(body)
		if (word|(word-space))&high != 0 {
			break
		}
		body = body[8:]
	}
	return plainText(body)
}

func plainText(body []byte) bool {
	for i := 0; i < len(body); {
		r, n := utf8.DecodeRune(body[i:])
		switch {
		case r == utf8.RuneError && n <= 1:
			return false
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0xfffe, r == 0xffff:
			return false
		}
		i += n
	}
	return true
}
