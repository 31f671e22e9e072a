package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/ocelot-log/ocelot/internal/fault"
)

func TestSQSFault(t *testing.T) {
	api := func(code string, f smithy.ErrorFault) error {
		return &smithy.OperationError{ServiceID: "SQS", OperationName: "Any", Err: &smithy.GenericAPIError{Code: code, Message: "text", Fault: f}}
	}
	answered := func(status int, err error) error {
		return &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}}, Err: err}
	}
	for _, c := range []struct {
		err  error
		kind fault.Kind
		code string
	}{
		{api("QueueDoesNotExist", 0), fault.Invalid, "sqs_no_queue"},
		{api("AWS.SimpleQueueService.NonExistentQueue", 0), fault.Invalid, "sqs_no_queue"},
		{api("com.amazonaws.sqs#QueueDoesNotExist", 0), fault.Invalid, "sqs_no_queue"},
		{api("AccessDenied", 0), fault.Invalid, "sqs_denied"},
		{api("SignatureDoesNotMatch", 0), fault.Invalid, "sqs_denied"},
		{api("ExpiredToken", smithy.FaultClient), fault.Unavailable, "sqs_credentials_expired"},
		{api("KmsDisabled", 0), fault.Invalid, "sqs_key"},
		{api("KmsThrottled", smithy.FaultClient), fault.Unavailable, "sqs_throttled"},
		{api("RequestThrottled", smithy.FaultClient), fault.Unavailable, "sqs_throttled"},
		{api("OverLimit", smithy.FaultClient), fault.Limited, "sqs_in_flight"},
		{api("ReceiptHandleIsInvalid", 0), fault.NotFound, "delivery_lost"},
		{api("BatchRequestTooLong", 0), fault.TooLarge, "message_too_large"},
		{api("InvalidMessageContents", 0), fault.Invalid, "message_characters"},
		{api("NeverSeen", smithy.FaultClient), fault.Invalid, "sqs_refused"},
		{api("NeverSeen", smithy.FaultServer), fault.Unavailable, "sqs_failed"},
		{api("NeverSeen", smithy.FaultUnknown), fault.Unavailable, "sqs_failed"},
		{answered(400, api("NeverSeen", 0)), fault.Invalid, "sqs_refused"},
		{answered(429, api("NeverSeen", smithy.FaultClient)), fault.Unavailable, "sqs_failed"},
		{answered(503, api("NeverSeen", 0)), fault.Unavailable, "sqs_failed"},
		{answered(404, errors.New("no JSON")), fault.Invalid, "sqs_refused"},
		{answered(502, errors.New("no JSON")), fault.Unavailable, "sqs_unreachable"},
		{answered(200, &smithy.DeserializationError{Err: io.ErrUnexpectedEOF}), fault.Unavailable, "sqs_unreachable"},
		{&smithyhttp.RequestSendError{Err: errors.New("connection refused")}, fault.Unavailable, "sqs_unreachable"},
		{&smithy.CanceledError{Err: context.DeadlineExceeded}, fault.Unavailable, "sqs_timeout"},
		{&smithy.CanceledError{Err: context.Canceled}, fault.Unavailable, "canceled"},
		{&smithy.SerializationError{Err: errors.New("a bug")}, fault.Internal, "sqs_call"},
	} {
		err := sqsFault(fmt.Errorf("wrapped: %w", c.err), "try")
		if f := fault.Of(err); f.Kind != c.kind || f.Code != c.code {
			t.Errorf("%v: %v, want %v %s", c.err, err, c.kind, c.code)
		}
	}
	if err := sqsFault(nil, "try"); err != nil {
		t.Error(err)
	}
}

func TestSQSCircuit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c circuit
		fails := func() {
			t.Helper()
			if err := c.enter(); err != nil {
				t.Fatalf("closed to a try: %v", err)
			}
			c.leave(true)
		}
		for range circuitFailures - 1 {
			fails()
		}
		if err := c.enter(); err != nil {
			t.Errorf("opened too early: %v", err)
		}
		c.leave(false)
		for range circuitFailures {
			fails()
		}
		for range 5 {
			if err := c.enter(); fault.KindOf(err) != fault.Unavailable || fault.Of(err).RetryAfter != circuitPause {
				t.Fatalf("not open: %v", err)
			}
			time.Sleep(circuitPause)
			if err := c.enter(); err != nil {
				t.Fatalf("no try after the pause: %v", err)
			}
			if c.enter() == nil {
				t.Fatal("two tries at once")
			}
			c.leave(true)
		}
		time.Sleep(circuitPause)
		if err := c.enter(); err != nil {
			t.Fatal(err)
		}
		c.leave(false)
		for range 3 {
			if err := c.enter(); err != nil {
				t.Errorf("still open after a success: %v", err)
			}
		}
	})
}

// Of a body that is taken the server changes nothing: SQS allows #x9 #xA #xD, #x20 to #xD7FF, #xE000 to
// #xFFFD and #x10000 to #x10FFFF.
func TestSQSSendable(t *testing.T) {
	allowed := func(r rune) bool {
		return r == 9 || r == 10 || r == 13 || r >= 0x20 && r <= 0xd7ff || r >= 0xe000 && r <= 0xfffd || r >= 0x10000
	}
	for _, before := range []string{"", "seven..", "eight...", "more than eight"} {
		for r := rune(0); r <= 0x10400; r++ {
			if r >= 0xd800 && r < 0xe000 { // no characters; U+FFFD would stand for them
				continue
			}
			body := utf8.AppendRune([]byte(before), r)
			if got := sendable(append(body, "and after"...)); got != allowed(r) {
				t.Fatalf("U+%04X after %q: %v", r, before, got)
			}
		}
		for b := 0x80; b <= 0xff; b++ {
			if sendable(append([]byte(before), byte(b), 'x')) {
				t.Fatalf("the byte %#x after %q, which is no UTF-8", b, before)
			}
		}
	}
}

func TestSQSRegion(t *testing.T) {
	for _, c := range []struct{ set, queue, found, want string }{
		{"", "https://sqs.eu-west-1.amazonaws.com/1/q", "", "eu-west-1"},
		{"", "https://sqs.eu-west-1.amazonaws.com/1/q", "us-east-1", "eu-west-1"},
		{"eu-north-1", "https://sqs.eu-west-1.amazonaws.com/1/q", "us-east-1", "eu-north-1"},
		{"", "https://eu-west-1.queue.amazonaws.com/1/q", "", "eu-west-1"},
		{"", "https://queue.amazonaws.com/1/q", "us-east-1", "us-east-1"},
		{"", "https://sqs-fips.us-gov-west-1.amazonaws.com/1/q", "", "us-gov-west-1"},
		{"", "https://sqs.cn-north-1.amazonaws.com.cn/1/q", "", "cn-north-1"},
		{"", "https://vpce-1-2.sqs.eu-west-1.vpce.amazonaws.com/1/q", "", "eu-west-1"},
		{"", "http://localhost:9324/0/q", "", "us-east-1"},
		{"", "http://localhost:9324/0/q", "eu-west-1", "eu-west-1"},
	} {
		u, err := url.Parse(c.queue)
		if err != nil {
			t.Fatal(err)
		}
		if got := sqsRegion(c.set, u, c.found, !onAWS(u)); got != c.want {
			t.Errorf("set %q, queue %s, found %q: %q, want %q", c.set, c.queue, c.found, got, c.want)
		}
	}
}
