package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"go.uber.org/zap"

	"github.com/ocelot-log/ocelot/internal/fault"
)

// What a queue should be like. An outage must neither let messages expire nor fill the dead-letter queue:
// its messages keep the time at which they were first sent, and expire there.
const (
	sqsRetention = 14 * 24 * time.Hour // the most that SQS has
	sqsReceives  = 1000                // the most that SQS has
)

// attributes reads attributes of a queue; "All" gives all.
func (q *SQS) attributes(ctx context.Context, queue string, names ...types.QueueAttributeName) (map[string]string, error) {
	if err := q.begin(); err != nil {
		return nil, err
	}
	defer q.running.Done()
	ctx, cancel := context.WithTimeout(ctx, q.timeout)
	defer cancel()
	out, err := q.calls.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &queue, AttributeNames: names})
	if err != nil {
		return nil, sqsFault(err, "read attributes")
	}
	return out.Attributes, nil
}

func (q *SQS) stats(ctx context.Context, queue string) (Stats, error) {
	const visible, delayed, held = types.QueueAttributeNameApproximateNumberOfMessages,
		types.QueueAttributeNameApproximateNumberOfMessagesDelayed, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible
	a, err := q.attributes(ctx, queue, visible, delayed, held)
	if err != nil {
		return Stats{}, err
	}
	var n [3]int64
	for i, name := range []types.QueueAttributeName{visible, delayed, held} {
		if n[i], err = strconv.ParseInt(a[string(name)], 10, 64); err != nil && name != delayed {
			return Stats{}, fault.New(fault.Unavailable, "sqs_stats", "the queue does not tell "+string(name))
		}
	}
	return Stats{Visible: n[0] + n[1], InFlight: n[2], Dead: -1, Oldest: -1}, nil
}

// check reads what the queues are like, takes the limits from it, and says what is off.
func (q *SQS) check(ctx context.Context, credentials aws.CredentialsProvider) error {
	if _, err := credentials.Retrieve(ctx); err != nil {
		if ctx.Err() != nil {
			return canceled(ctx.Err())
		}
		return &fault.Error{Kind: fault.Invalid, Code: "aws_credentials",
			Detail: "there are no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"}
	}
	main, err := q.attributes(ctx, q.url, types.QueueAttributeNameAll)
	if err != nil {
		return q.explain(err, "SQS_QUEUE_URL", q.url)
	}
	if main["FifoQueue"] == "true" {
		return fault.New(fault.Invalid, "sqs_fifo", "SQS_QUEUE_URL names a FIFO queue; make a standard queue")
	}
	size := sqsMaxBytes
	if n, err := strconv.Atoi(main["MaximumMessageSize"]); err == nil {
		size = min(n, sqsMaxBytes)
	}
	if size < sqsMinBytes {
		return fault.New(fault.Invalid, "sqs_message_size", fmt.Sprintf("the queue %s takes messages of at most %d bytes, which is too small; set its MaximumMessageSize to %d", where(q.url), size, sqsMaxBytes))
	}
	q.limits = Limits{MaxBytes: size - sqsMargin}
	var dlq map[string]string
	if q.dlqURL != "" {
		dlq, err = q.attributes(ctx, q.dlqURL, types.QueueAttributeNameAll)
		switch f := fault.Of(err); {
		case err == nil:
		case f.Code == "sqs_denied":
			q.log.Warn("the dead-letter queue can't be watched; allow sqs:GetQueueAttributes on it", zap.String("queue", where(q.dlqURL)))
		default:
			return q.explain(err, "SQS_DLQ_URL", q.dlqURL)
		}
	}
	for _, w := range sqsWarnings(main, dlq, size) {
		q.log.Warn(w.text, zap.String("queue", where(q.url)), zap.String("is", w.is), zap.String("want", w.want))
	}
	if dlq == nil && q.dlqURL == "" && main["RedrivePolicy"] != "" {
		q.log.Warn("the queue has a dead-letter queue that nobody watches; set SQS_DLQ_URL", zap.String("queue", where(q.url)))
	}
	return nil
}

// explain adds to a fault at start what it is about and what to do. What the server said is kept where it
// tells more than its code does.
func (q *SQS) explain(err error, setting, queue string) error {
	f := *fault.Of(err)
	at := setting + " " + where(queue)
	via, said := "", ""
	if e := q.calls.Options().BaseEndpoint; e != nil && !strings.HasPrefix(queue, *e+"/") {
		via = " through " + where(*e)
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		f.Err = nil
		if m := api.ErrorMessage(); m != "" && m != api.ErrorCode() {
			said = fmt.Sprintf(" (it says: %s)", strings.Join(strings.Fields(m), " "))
		}
	}
	switch f.Code {
	case "sqs_no_queue":
		f.Detail = at + via + " does not exist; make the queue or correct the URL"
	case "sqs_denied":
		f.Detail = at + via + " can't be read with these AWS credentials; check them, and that they allow sqs:GetQueueAttributes there" + said
	case "sqs_refused":
		f.Detail = at + via + " is answered with a refusal; check that the URL and SQS_ENDPOINT_URL are those of an SQS server" + said
	case "sqs_unreachable", "sqs_timeout":
		f.Detail = at + via + " does not answer; check that the server runs and that this machine reaches it"
	default:
		f.Detail = at + via + ": " + f.Detail + said
	}
	return &f
}

// where is a URL without what might be secret in it.
func where(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "?"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

// warning is an attribute that puts entries at risk.
type warning struct{ text, is, want string }

// sqsWarnings compares queues with what they should be like. Servers that leave attributes out are not
// blamed for it, but for a missing dead-letter queue. dlq is nil when it is not known.
func sqsWarnings(main, dlq map[string]string, size int) (ws []warning) {
	warn := func(text, is, want string) { ws = append(ws, warning{text, is, want}) }
	most := strconv.Itoa(int(sqsRetention.Seconds()))
	if is, ok := shorter(main, sqsRetention); ok {
		warn("the queue forgets messages too early: a longer outage loses entries; raise its MessageRetentionPeriod", is, most)
	}
	if size < sqsMaxBytes {
		warn("the queue takes smaller messages than SQS allows, so that large entries are refused; raise its MaximumMessageSize", strconv.Itoa(size), strconv.Itoa(sqsMaxBytes))
	}
	if main["SqsManagedSseEnabled"] == "false" && main["KmsMasterKeyId"] == "" {
		warn("the queue is not encrypted; set its SqsManagedSseEnabled", "false", "true")
	}
	if d := main["DelaySeconds"]; d != "" && d != "0" {
		warn("the queue delays each message; set its DelaySeconds", d, "0")
	}
	var redrive struct {
		Target   string      `json:"deadLetterTargetArn"`
		Receives json.Number `json:"maxReceiveCount"` // AWS writes a number, some servers and tools text
	}
	if err := json.Unmarshal([]byte(main["RedrivePolicy"]), &redrive); err != nil || redrive.Target == "" {
		warn("the queue has no dead-letter queue; set its RedrivePolicy", "none", fmt.Sprintf("maxReceiveCount %d", sqsReceives))
	} else if n, err := redrive.Receives.Int64(); err != nil || n < sqsReceives {
		warn("an outage can fill the dead-letter queue, where messages expire; raise maxReceiveCount in the RedrivePolicy", redrive.Receives.String(), strconv.Itoa(sqsReceives))
	}
	if dlq == nil {
		return ws
	}
	if is, ok := shorter(dlq, sqsRetention); ok {
		warn("the dead-letter queue forgets messages too early, since they keep their first time there; raise its MessageRetentionPeriod", is, most)
	}
	if arn := dlq["QueueArn"]; redrive.Target != "" && arn != "" && !strings.EqualFold(arn, redrive.Target) {
		warn("SQS_DLQ_URL is not the queue that the RedrivePolicy names, so the wrong one is watched", arn, redrive.Target)
	}
	return ws
}

// shorter says that a queue keeps messages for less than want, and for how many seconds.
func shorter(attributes map[string]string, want time.Duration) (is string, ok bool) {
	is = attributes["MessageRetentionPeriod"]
	n, err := strconv.ParseInt(is, 10, 64)
	return is, err == nil && time.Duration(n)*time.Second < want
}
